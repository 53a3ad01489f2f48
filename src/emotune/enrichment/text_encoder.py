"""Sentence embeddings by a frozen text encoder, through sentence-transformers: texts in, vectors out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from emotune.enrichment.answer_cache import AnswerCache, open_cache
from emotune.enrichment.pretrained import find_pretrained
from emotune.errors import ModelError
from emotune.runtime.extras import needs
from emotune.runtime.progress import Progress, silent

FloatArray = NDArray[np.float32]
CACHE = Path("~/.cache/emotune/embeddings")
WHAT = "text encoder"
EXTRA = "text"
_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")
_OLD_FILES = (*_FILES, "pytorch_model.bin")
_BATCH = 32
_KEPT_AT_A_TIME = 512


class TextEncoder:
    """Encodes texts with a model of sentence-transformers or transformers, in float32; nothing is trained.

    A folder of sentence-transformers is used as it was made, its pooling and normalisation included. A plain encoder of
    transformers, such as RoBERTa, gives the mean of its last hidden states over the text's tokens. Text beyond what the
    model takes (512 tokens for RoBERTa) is cut.

    Args:
        name: a folder, or ``hf:owner/name[@revision]`` on the Hugging Face Hub.
        revision: branch, tag or commit on the Hub, or the fingerprint that a folder must have.
        device: such as ``cpu`` or ``cuda``; None: a GPU where there is one.

    Raises:
        ConfigError: when sentence-transformers is not installed.
        ModelError: when there is no such model, or it cannot be loaded.
    """

    def __init__(self, name: str | Path, *, revision: str | None = None, device: str | None = None) -> None:
        with needs(EXTRA, f"A {WHAT}"):
            from sentence_transformers import SentenceTransformer  # noqa: PLC0415
        self._pretrained = find_pretrained(
            str(name), revision=revision, patterns=_FILES, what=WHAT, old_patterns=_OLD_FILES
        )
        try:
            with _quiet():
                model = SentenceTransformer(str(self._pretrained.folder), device=device, local_files_only=True)
            self._model: Any = model.float().eval()
            self.dimension = self._encoded(["a"]).shape[1]
        except Exception as error:  # transformers and tokenizers raise what they like for files that do not fit
            raise ModelError(
                f"'{self._pretrained.name}' cannot be loaded as a text encoder: {_reason(error)}. Name a folder or Hub"
                " model (hf:owner/name) of sentence-transformers or transformers."
            ) from error

    @property
    def identity(self) -> dict[str, str]:
        """``name`` and ``revision``: the Hub's commit, or a fingerprint of the folder's files."""
        return self._pretrained.identity

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Embeddings of texts, shape (texts, dimension), which do not depend on their batch mates (to 1e-5)."""
        return self._encoded(texts) if len(texts) else np.zeros((0, self.dimension), dtype=np.float32)

    def _encoded(self, texts: Sequence[str]) -> FloatArray:
        found = self._model.encode(list(texts), batch_size=_BATCH, show_progress_bar=False, convert_to_numpy=True)
        return np.asarray(found, dtype=np.float32)


class SentenceEncoder(Protocol):
    """Encoder of texts; ``TextEncoder`` is one."""

    dimension: int

    @property
    def identity(self) -> dict[str, str]:
        """Name and revision."""
        ...

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Embeddings of texts, shape (texts, dimension)."""
        ...


def embeddings(
    encoder: SentenceEncoder, texts: Sequence[str | None], *, cache: Path | None = None, progress: Progress = silent
) -> FloatArray:
    """Embeddings of texts, shape (texts, dimension), each text encoded once and kept on disk.

    Args:
        encoder: what encodes.
        texts: None, or a text of white space alone, gives a row of NaN.
        cache: folder of the cache; None: ``~/.cache/emotune/embeddings``.

    Raises:
        TableError: when the cache cannot be used.
    """
    said = {text for text in texts if text is not None and text.strip()}
    key_of = {text: hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest() for text in said}
    with open_cache((cache or CACHE).expanduser(), encoder.identity) as answers:
        known = answers.get(list(key_of.values()))
        kept = {text: _embedding(known.get(key), encoder.dimension) for text, key in key_of.items()}
        found = {text: row for text, row in kept.items() if row is not None}
        missing = sorted(key_of.keys() - found.keys(), key=lambda text: (len(text), text))
        found.update(progress(_new(encoder, missing, key_of, answers), total=len(missing), title="texts"))
    empty = np.full(encoder.dimension, np.nan, dtype=np.float32)
    rows = [found.get(text or "", empty) for text in texts]
    return np.stack(rows).astype(np.float32) if rows else np.zeros((0, encoder.dimension), dtype=np.float32)


def _embedding(answer: object, dimension: int) -> FloatArray | None:
    """An embedding from the cache; None where there is none, or none of this length and finite: it is made again."""
    if not isinstance(answer, bytes) or len(answer) != 4 * dimension:
        return None
    row = np.frombuffer(answer, dtype="<f4")
    return row if bool(np.isfinite(row).all()) else None


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".:")


def _new(
    encoder: SentenceEncoder, texts: Sequence[str], key_of: dict[str, str], answers: AnswerCache
) -> Iterator[tuple[str, FloatArray]]:
    for start in range(0, len(texts), _KEPT_AT_A_TIME):
        part = texts[start : start + _KEPT_AT_A_TIME]
        encoded = encoder.encode(part)
        answers.keep({key_of[text]: row.astype("<f4").tobytes() for text, row in zip(part, encoded, strict=True)})
        yield from zip(part, encoded, strict=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences the progress bars and warnings of transformers for the time of the block."""
    with needs(EXTRA, f"A {WHAT}"):
        from transformers.utils import logging as talk  # noqa: PLC0415
    bars, verbosity = talk.is_progress_bar_enabled(), talk.get_verbosity()
    talk.disable_progress_bar()
    talk.set_verbosity_error()
    try:
        yield
    finally:
        talk.set_verbosity(verbosity)
        if bars:
            talk.enable_progress_bar()
