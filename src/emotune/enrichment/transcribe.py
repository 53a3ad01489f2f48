"""Transcription of a manifest's recordings into the column ``text_predicted``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from emotune.audio import SAMPLING_RATE_HZ, FloatArray
from emotune.enrichment.answer_cache import AnswerCache, open_cache
from emotune.enrichment.speech_recogniser import Transcript
from emotune.errors import AudioError
from emotune.io.nested_json import parse_json
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import Utterance

CACHE = Path("~/.cache/emotune/transcripts")
_BATCHES = 4  # decoded and kept at a time: bounds memory and what an interruption costs
_VERSION = "1"  # raise it when windows, thresholds or decoding change, so that old transcripts are not reused


class Recogniser(Protocol):
    """Transcriber of waveforms; ``emotune.enrichment.speech_recogniser.Transcriber`` is one."""

    batch_size: int
    language: str | None

    @property
    def identity(self) -> dict[str, str]:
        """Name and revision."""
        ...

    def transcribe(self, waveforms: Sequence[FloatArray]) -> list[Transcript]:
        """Transcribes waveforms, each of shape (samples,), at 16 kHz."""
        ...


def transcribed(
    manifest: Manifest,
    transcriber: Recogniser,
    *,
    cache: Path | None = None,
    progress: Progress = silent,
) -> tuple[Manifest, dict[str, str]]:
    """The manifest with ``text_predicted``, and ``language`` where it was unknown; errors by utterance_id.

    The text of an utterance without speech is empty; it stays unknown (None) where a recording cannot be used.

    A recording is known by its content: a copy, another manifest or the next run takes its transcript from the cache,
    which holds one file a recogniser, revision and language. What is transcribed is kept batch by batch, so that an
    interrupted run goes on where it was.

    Args:
        manifest: the utterances.
        transcriber: what transcribes.
        cache: folder of the cache; None: ``~/.cache/emotune/transcripts``.

    Raises:
        TableError: when the cache cannot be used.
    """
    identity = {**transcriber.identity, "language": transcriber.language or "any", "version": _VERSION}
    found: dict[int, Transcript] = {}
    errors: dict[str, str] = {}
    with open_cache((cache or CACHE).expanduser(), identity) as answers:
        known = answers.get(sorted({u.content_sha256 for u in manifest if u.content_sha256 is not None}))
        for position, utterance in enumerate(manifest):
            kept = _from_bytes(known.get(utterance.content_sha256 or ""))
            if kept is not None:
                found[position] = kept
        missing = [(position, u) for position, u in enumerate(manifest) if position not in found]
        new = _new(manifest, missing, transcriber, answers, errors)
        found.update(progress(new, total=len(missing), title="transcribing"))
    information = {
        **manifest.information,
        "speech_recogniser": {**transcriber.identity, "language": transcriber.language},
    }
    filled = [_filled(u, found.get(position)) for position, u in enumerate(manifest)]
    return dataclasses.replace(manifest, utterances=tuple(filled), information=information), errors


def _new(
    manifest: Manifest,
    missing: Sequence[tuple[int, Utterance]],
    transcriber: Recogniser,
    answers: AnswerCache,
    errors: dict[str, str],
) -> Iterator[tuple[int, Transcript]]:
    step = transcriber.batch_size * _BATCHES
    for start in range(0, len(missing), step):
        waveforms: dict[str, FloatArray] = {}
        content_of: dict[int, str] = {}
        chunk = missing[start : start + step]
        clips = manifest.clips_of([utterance for _, utterance in chunk], sampling_rate_hz=SAMPLING_RATE_HZ)
        for (position, utterance), clip in zip(chunk, clips, strict=True):
            if isinstance(clip, AudioError):
                errors[utterance.utterance_id] = str(clip)
                continue
            assert clip.content_sha256 is not None
            waveforms.setdefault(clip.content_sha256, clip.samples)
            content_of[position] = clip.content_sha256
        kept = answers.get(list(waveforms))  # copies of earlier ones, and recordings the manifest does not describe
        said = {content: old for content, answer in kept.items() if (old := _from_bytes(answer)) is not None}
        wanted = [content for content in waveforms if content not in said]
        heard = transcriber.transcribe([waveforms[content] for content in wanted])
        new = dict(zip(wanted, heard, strict=True))
        answers.keep({content: _to_bytes(transcript) for content, transcript in new.items()})
        for position, content in content_of.items():
            yield position, (said | new)[content]


def _filled(utterance: Utterance, transcript: Transcript | None) -> Utterance:
    if transcript is None:
        return dataclasses.replace(utterance, text_predicted=None)
    language = utterance.language or transcript.language
    return dataclasses.replace(utterance, text_predicted=transcript.text, language=language)


def one_language(manifest: Manifest) -> str | None:
    """The language of all utterances as Whisper names it, or None when there are several or it is not known."""
    found = {utterance.language for utterance in manifest}
    tag = found.pop() if len(found) == 1 else None
    primary = (tag or "und").replace("_", "-").split("-")[0].lower()
    return None if primary == "und" or len(primary) != 2 else primary


def _to_bytes(transcript: Transcript) -> bytes:
    return json.dumps(dataclasses.asdict(transcript), ensure_ascii=False).encode()


def _from_bytes(answer: object) -> Transcript | None:
    """A transcript from the cache; None where there is none, or none that can be read: it is made again."""
    try:
        kept = parse_json(answer.decode()) if isinstance(answer, bytes) else None
    except ValueError:
        return None
    if not isinstance(kept, dict) or not isinstance(kept.get("text"), str):
        return None
    language = kept.get("language")
    return Transcript(kept["text"], language) if isinstance(language, str | None) else None
