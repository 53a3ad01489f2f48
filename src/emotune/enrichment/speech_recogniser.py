"""Speech recognition by Whisper, through faster-whisper: waveforms in, transcripts out, the same at every run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from emotune.audio import SAMPLING_RATE_HZ, FloatArray
from emotune.enrichment.pretrained import Pretrained, find_pretrained
from emotune.errors import ConfigError, ModelError
from emotune.io.hub import PREFIX
from emotune.runtime.extras import needs

WHAT = "speech recogniser"
EXTRA = "asr"
_FILES = ("config.json", "preprocessor_config.json", "model.bin", "tokenizer.json", "vocabulary.*")
_WINDOW_SAMPLES = 30 * SAMPLING_RATE_HZ  # what Whisper hears at a time
_SHORTEST_SAMPLES = 1600  # 0.1 s: no word is shorter
_MAX_TOKENS = 448  # of Whisper's decoder
_BEAMS = 5
# OpenAI's own thresholds, whisper/transcribe.py
_NO_SPEECH, _UNLIKELY, _REPETITIVE = 0.6, -1.0, 2.4


@dataclass(frozen=True)
class Transcript:
    """Transcript of a clip, empty without speech, and its language, such as ``en``; None without speech."""

    text: str
    language: str | None


def find_recogniser(name: str | Path, revision: str | None) -> Pretrained:
    """Location and revision of a recogniser, without loading it; see ``Transcriber``.

    Raises:
        ConfigError: when faster-whisper is not installed.
        ModelError: when there is no such model.
    """
    with needs(EXTRA, f"A {WHAT}"):
        from faster_whisper import utils  # noqa: PLC0415
    sizes: dict[str, str] = utils._MODELS
    wanted = str(name)
    if wanted in sizes and not Path(name).exists():
        wanted = PREFIX + sizes[wanted]
    cure = f"Name a folder, a size ({', '.join(sizes)}), or {PREFIX}owner/name."
    return find_pretrained(wanted, revision=revision, patterns=_FILES, what=WHAT, cure=cure)


@dataclass(frozen=True)
class _Window:
    """Window of at most 30 s of one clip."""

    clip: int
    samples: FloatArray


class Transcriber:
    """Transcribes clips in batches; deterministic: beam search at temperature 0, no clip sees another's words.

    Silence and noise give an empty text: Silero's voice activity detector, which comes with faster-whisper, must find
    speech; a window is dropped when Whisper itself thinks that nobody speaks (probability above 0.6) and is unsure of
    its words (mean log-probability below -1), or when its words repeat so that they compress by more than 2.4. Clips
    longer than 30 s are cut in pauses.

    Args:
        name: a folder with a Whisper model for CTranslate2, a size such as ``small``, or ``hf:owner/name[@revision]``.
        revision: branch, tag or commit on the Hub, or the fingerprint that a folder must have.
        device: ``cpu`` or ``cuda``; None: a GPU where CTranslate2 can use one.
        language: of all clips; None: found for each clip (an English-only model knows but ``en``).
        batch_size: windows of 30 s a batch; the texts do not depend on it.

    Raises:
        ConfigError: when faster-whisper is not installed, or the language is none that the model knows.
        ModelError: when there is no such model, or it cannot be loaded.
    """

    def __init__(
        self,
        name: str | Path,
        *,
        revision: str | None = None,
        device: str | None = None,
        language: str | None = None,
        batch_size: int = 8,
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size is {batch_size}, expected at least 1.")
        self._pretrained = find_recogniser(name, revision)
        with needs(EXTRA, f"A {WHAT}"):
            from faster_whisper import transcribe, vad  # noqa: PLC0415
        self._library: Any = transcribe
        self._vad: Any = vad
        self._model = self._load(self._pretrained, device or "auto")
        known = self._model.supported_languages
        if language is not None and language not in known:
            raise ConfigError(
                f"'{self._pretrained.name}' does not know the language '{language}'; it knows: {', '.join(known)}."
                + (" Choose a multilingual model." if len(known) == 1 else "")
            )
        self.language = language or (known[0] if len(known) == 1 else None)
        self.batch_size = batch_size

    def _load(self, pretrained: Pretrained, device: str) -> Any:
        if device == "auto":
            device = "cuda" if self._library.ctranslate2.get_cuda_device_count() else "cpu"
        load = partial(
            self._library.WhisperModel,
            str(pretrained.folder),
            device=device,
            compute_type="float32" if device == "cpu" else "default",
            cpu_threads=os.cpu_count() or 1,
        )
        try:
            with ThreadPoolExecutor(1) as apart:  # OpenMP keeps the number for the thread that loads: PyTorch's stays
                return apart.submit(load).result()
        except Exception as error:  # CTranslate2 raises RuntimeError and ValueError, tokenizers a bare Exception
            raise ModelError(
                f"'{pretrained.name}' cannot be loaded as a Whisper model for CTranslate2 on {device}:"
                f" {str(error).rstrip('.')}. Convert it with ct2-transformers-converter, or choose another device."
            ) from error

    @property
    def identity(self) -> dict[str, str]:
        """``name`` and ``revision``: the Hub's commit, or a fingerprint of the folder's files."""
        return self._pretrained.identity

    def transcribe(self, waveforms: Sequence[FloatArray]) -> list[Transcript]:
        """Transcribes clips, each of shape (samples,), float32, mono, 16 kHz."""
        windows = [_Window(clip, part) for clip, samples in enumerate(waveforms) for part in self._speech(samples)]
        texts: list[list[str]] = [[] for _ in waveforms]
        languages: list[str | None] = [None] * len(waveforms)
        for start in range(0, len(windows), self.batch_size):
            batch = windows[start : start + self.batch_size]
            for window, (text, language) in zip(batch, self._transcribed(batch), strict=True):
                if text:
                    texts[window.clip].append(text)
                    languages[window.clip] = languages[window.clip] or language
        return [Transcript(" ".join(parts), language) for parts, language in zip(texts, languages, strict=True)]

    def _speech(self, samples: FloatArray) -> Iterator[FloatArray]:
        """A clip as windows of at most 30 s; none when nobody speaks."""
        if len(samples) < _SHORTEST_SAMPLES:
            return
        longest = self._vad.VadOptions(max_speech_duration_s=_WINDOW_SAMPLES / SAMPLING_RATE_HZ)
        found = [(part["start"], part["end"]) for part in self._vad.get_speech_timestamps(samples, longest)]
        if found and len(samples) <= _WINDOW_SAMPLES:
            yield samples
        else:
            yield from (samples[start:end] for start, end in joined(found, _WINDOW_SAMPLES))

    def _transcribed(self, windows: Sequence[_Window]) -> Iterator[tuple[str, str]]:
        features = [self._library.pad_or_trim(self._model.feature_extractor(window.samples)) for window in windows]
        encoded = self._model.encode(np.stack(features))
        languages = [self.language] * len(windows)
        if self.language is None:
            languages = [found[0][0].strip("<|>") for found in self._model.model.detect_language(encoded)]
        tokenizers = {language: self._tokenizer(language) for language in languages}
        results = self._model.model.generate(
            encoded,
            [self._model.get_prompt(tokenizers[language], [], without_timestamps=True) for language in languages],
            beam_size=_BEAMS,
            max_length=_MAX_TOKENS,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=True,
            suppress_tokens=list(self._library.get_suppressed_tokens(tokenizers[languages[0]], [-1])),
        )
        for language, result in zip(languages, results, strict=True):
            assert language is not None
            tokens = result.sequences_ids[0]
            text = tokenizers[language].decode(tokens).strip()
            mean_log_probability = result.scores[0] * len(tokens) / (len(tokens) + 1)
            heard = self._is_speech(text, mean_log_probability, result.no_speech_prob)
            yield (text if heard else ""), language

    def _is_speech(self, text: str, mean_log_probability: float, no_speech: float) -> bool:
        if not re.search(r"\w", text) or (no_speech > _NO_SPEECH and mean_log_probability < _UNLIKELY):
            return False
        return self._library.get_compression_ratio(text) <= _REPETITIVE

    def _tokenizer(self, language: str | None) -> Any:
        model = self._model
        return self._library.Tokenizer(
            model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language=language
        )


def joined(stretches: Sequence[tuple[int, int]], longest: int) -> list[tuple[int, int]]:
    """Stretches of speech, start and end in samples, joined with their neighbours while they stay within ``longest``.

    >>> joined([(0, 10), (12, 20), (25, 40), (50, 60)], longest=30)
    [(0, 20), (25, 40), (50, 60)]
    """
    found: list[tuple[int, int]] = []
    for start, end in stretches:
        if found and end - found[-1][0] <= longest:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found
