"""Language model in a GGUF file, through transformers: on this machine, without any server."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from emotune.annotation.engines.engine import AnnotationEngine, Answer, EngineOptions, Question
from emotune.errors import ModelError
from emotune.runtime.extras import needs


class GgufEngine(AnnotationEngine):
    """Chat model of a ``.gguf`` file, its weights unpacked to float32; the tokenizer and template come out of the file.

    Raises:
        ConfigError: when the extra gguf is not installed.
        ModelError: for a file that is not there or cannot be loaded.
    """

    example: ClassVar[str] = "path/to/model.gguf"

    def __init__(self, model: str, options: EngineOptions) -> None:
        super().__init__(model, options)
        self._path = Path(model).expanduser()
        if not self._path.is_file():
            raise ModelError(f"{model} is no file, expected a .gguf file of a language model.")
        with needs("gguf", "A model in a GGUF file"):
            import gguf  # noqa: F401, PLC0415 (transformers asks for it late, and in other words)
            import torch  # noqa: PLC0415
            import transformers  # noqa: PLC0415
        self._torch: Any = torch
        where = {"pretrained_model_name_or_path": str(self._path.parent.resolve()), "gguf_file": self._path.name}
        try:
            self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(**where, local_files_only=True)
            loaded: Any = transformers.AutoModelForCausalLM
            self._model: Any = loaded.from_pretrained(**where, local_files_only=True, dtype=torch.float32).eval()
        except Exception as error:  # of a library that raises what it likes for a broken file
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise ModelError(f"{model} cannot be loaded as a language model: {reason[0].rstrip('.')}.") from error
        if not self._tokenizer.chat_template:
            raise ModelError(f"{model} has no chat template: name an instruction-tuned model.")
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """Name of the file without its end."""
        return self._path.stem

    @cached_property
    def _sha256(self) -> str:
        with self._path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    @property
    def identity(self) -> Mapping[str, str]:
        """Hash of the file, and how answers are drawn."""
        return {
            "engine": "gguf",
            "name": self.name,
            "sha256": self._sha256[:16],
            "temperature": f"{self.options.temperature}",
        }

    def answer(self, question: Question) -> Answer:
        """Words of the model after the prompt, the same for the same question and seed."""
        torch, sampled = self._torch, self.options.temperature > 0
        prompt = self._tokenizer.apply_chat_template(
            list(question.messages), add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        length = prompt["input_ids"].shape[1]
        drawing = {"temperature": self.options.temperature, "top_k": 0, "top_p": 1.0} if sampled else {}
        end = self._tokenizer.eos_token_id
        with self._lock, torch.inference_mode(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(question.seed)
            found = self._model.generate(
                **prompt,
                max_new_tokens=self.options.most_tokens,
                do_sample=sampled,
                pad_token_id=end,
                **drawing,
            )
        words = self._tokenizer.decode(found[0, length:], skip_special_tokens=True)
        return Answer(words, length, int(found.shape[1] - length))
