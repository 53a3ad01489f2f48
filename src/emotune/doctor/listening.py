"""Audio checks: every recording decoded once for content, changes and near copies."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from emotune import audio
from emotune.audio.decoding.audibility import Unheard
from emotune.audio.fingerprint import RATE_HZ, Fingerprint, fingerprint
from emotune.audio.near_copies import copies_by_position
from emotune.doctor.finding import Case, Finding, case_of, findings_of, ids
from emotune.errors import AudioError
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest, by_recording
from emotune.schema.utterance import Utterance, segment_of

CLIPPED_SHARE = 0.001
SHORT_S, LONG_S = 0.5, 30.0


@dataclass(frozen=True)
class DecodedRecording:
    """Content and measurements of one recording."""

    content_sha256: str
    duration_s: float
    sampling_rate_hz: int
    channels: int
    unheard: Unheard | None
    clipped_share: float
    fingerprint: Fingerprint


def listen(manifest: Manifest, *, progress: Progress = silent) -> tuple[Manifest, tuple[Finding, ...]]:
    """The manifest with content and copies as they are now, and what is wrong with the recordings."""
    groups = by_recording(manifest.utterances)
    found: dict[int, DecodedRecording | str] = {}
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        results = pool.map(partial(_heard, manifest), ([manifest.utterances[n] for n in group] for group in groups))
        pairs = (pair for group, own in zip(groups, results, strict=True) for pair in zip(group, own, strict=True))
        found.update(progress(pairs, total=len(manifest), title="listening"))
    heard = [found[position] for position in range(len(manifest))]
    pairs = list(zip(manifest, heard, strict=True))
    good = [(utterance, result) for utterance, result in pairs if isinstance(result, DecodedRecording)]
    now = _described(manifest, [result if isinstance(result, DecodedRecording) else None for result in heard])
    return now, (
        *findings_of(
            "unreadable",
            "error",
            ("recording that cannot be read", "recordings that cannot be read"),
            (case_of(utterance, result) for utterance, result in pairs if isinstance(result, str)),
            "Copy the files again, or leave their rows out of the manifest.",
        ),
        *findings_of(
            "changed",
            "error",
            ("recording that changed since the manifest was made", "recordings that changed since"),
            (case_of(u, u.file) for u, result in good if u.content_sha256 not in (None, result.content_sha256)),
            "Read the corpus again with `emotune corpus read`.",
        ),
        *_quality(good),
        *_confounded(good, "sampling rate", lambda result: f"{result.sampling_rate_hz} Hz"),
        *_confounded(good, "channel count", lambda result: f"{result.channels} channels"),
    )


def _heard(manifest: Manifest, utterances: Sequence[Utterance]) -> list[DecodedRecording | str]:
    """Listens to the utterances of one recording, or says why they cannot be read."""
    path, segments = manifest.path_of(utterances[0]), [segment_of(utterance) for utterance in utterances]
    found: dict[int, DecodedRecording | str] = {}
    for position, clip in audio.clips(path, segments, sampling_rate_hz=RATE_HZ, with_content=True):
        if isinstance(clip, AudioError):
            found[position] = str(clip)
            continue
        assert clip.content_sha256 is not None
        found[position] = DecodedRecording(
            clip.content_sha256,
            clip.duration_s,
            clip.stored_rate_hz,
            clip.channels,
            clip.unheard,
            clip.clipped_share,
            fingerprint(clip.samples),
        )
    return [found[position] for position in range(len(utterances))]


def _described(manifest: Manifest, heard: Sequence[DecodedRecording | None]) -> Manifest:
    """The manifest with the contents that were found; what cannot be read keeps what the table says of it."""
    known = [position for position, result in enumerate(heard) if result is not None]
    results = [result for result in heard if result is not None]
    files = [manifest.utterances[position].file for position in known]
    copies = copies_by_position(
        [result.fingerprint for result in results], [result.content_sha256 for result in results], files
    )
    utterances = list(manifest)
    for number, position in enumerate(known):
        first = copies.get(number)
        utterances[position] = dataclasses.replace(
            utterances[position],
            content_sha256=results[number].content_sha256,
            copy_of=None if first is None else manifest.utterances[known[first]].utterance_id,
        )
    return manifest.replace_utterances(utterances)


def _quality(good: Sequence[tuple[Utterance, DecodedRecording]]) -> tuple[Finding, ...]:
    deaf = [(utterance, result.unheard) for utterance, result in good if result.unheard is not None]
    silence = [case_of(u, found.words) for u, found in deaf if found.kind in ("silent", "faint")]
    constant = [case_of(u, found.words) for u, found in deaf if found.kind == "constant"]
    cancelled = [case_of(u, found.words) for u, found in deaf if found.kind == "cancelled"]
    clipped = [case_of(u, f"{r.clipped_share:.1%} at full scale") for u, r in good if r.clipped_share >= CLIPPED_SHARE]
    short = [case_of(u, f"{r.duration_s:.2f} s") for u, r in good if r.duration_s < SHORT_S]
    long = [case_of(u, f"{r.duration_s:.1f} s") for u, r in good if r.duration_s > LONG_S]
    return (
        *findings_of(
            "silent",
            "note",
            ("silent recording", "silent recordings"),
            silence,
            "Leave them out: nothing can be heard in them.",
        ),
        *findings_of(
            "constant",
            "note",
            ("recording of one constant value", "recordings of one constant value"),
            constant,
            "Leave them out: nothing can be heard in them.",
        ),
        *findings_of(
            "cancelled",
            "note",
            ("recording whose channels cancel each other", "recordings whose channels cancel each other"),
            cancelled,
            "Read the corpus again with --channel 0.",
        ),
        *findings_of(
            "clipped",
            "note",
            ("clipped recording", "clipped recordings"),
            clipped,
            "Clipping changes loudness and voice quality; export them again at a lower level if you can.",
        ),
        *findings_of(
            "short",
            "note",
            (f"recording shorter than {SHORT_S:g} s", f"recordings shorter than {SHORT_S:g} s"),
            short,
            "Look whether they hold speech.",
        ),
        *findings_of(
            "long",
            "note",
            (f"recording longer than {LONG_S:g} s", f"recordings longer than {LONG_S:g} s"),
            long,
            "Cut them into segments, or raise data.max_duration_s.",
        ),
    )


def _confounded(
    good: Sequence[tuple[Utterance, DecodedRecording]], property_name: str, value_of: Callable[[DecodedRecording], str]
) -> tuple[Finding, ...]:
    """Classes that a model could tell by a property of their files alone: none of their values occurs elsewhere."""
    values: dict[str, set[str]] = {}
    members: dict[str, list[Utterance]] = {}
    for utterance, result in good:
        if utterance.emotion is not None:
            values.setdefault(utterance.emotion, set()).add(value_of(result))
            members.setdefault(utterance.emotion, []).append(utterance)
    cases = [
        Case(f"{name}: {', '.join(sorted(own))}", ids(members[name]))
        for name, own in sorted(values.items())
        if len(values) > 1 and not own & set().union(*(v for other, v in values.items() if other != name))
    ]
    what = f"with a {property_name} that no other class has"
    return findings_of(
        f"confounded_{property_name.replace(' ', '_')}",
        "note",
        (f"class {what}", f"classes {what}"),
        cases,
        "A model may learn the recording condition instead of the emotion: convert all files alike, test elsewhere.",
    )
