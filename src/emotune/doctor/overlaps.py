"""Leakage between splits: speakers, recordings, near copies and files in common, from the table alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from itertools import combinations

from emotune.doctor.finding import Case, Finding, findings_of, ids, named
from emotune.errors import CorpusError
from emotune.schema.manifest import Manifest
from emotune.schema.speakers import as_written, voice_of
from emotune.schema.utterance import Utterance, end_of, share_sound

ALLOWED_BY = {
    "speaker_overlap": "speaker_overlap",
    "recording_overlap": "recording_overlap",
    "copy_overlap": "recording_overlap",
    "file_overlap": "recording_overlap",
    "label_conflict": "recording_overlap",
}
"""Error -> the word in ``data.allow`` with which a recipe trains all the same."""

_SPLIT_CURE = "Make splits that share no speaker: `emotune corpus split MANIFEST -o FILE`."
_COPY_CURE = "Keep all copies of a recording in one split, or leave all but one out of the manifest."


def overlaps(manifest: Manifest) -> tuple[Finding, ...]:
    """Errors across splits, and notes on the same inside one; utterances without split count as in none."""
    recordings = _groups(manifest, lambda utterance: utterance.content_sha256)
    copies = copy_groups(manifest)
    files = [segments for segments in _groups(manifest, lambda utterance: utterance.file) if len(segments) > 1]
    speakers = _groups(manifest, voice_of)
    return (
        *findings_of(
            "speaker_overlap",
            "error",
            ("speaker in more than one split", "speakers in more than one split"),
            (Case(f"{_names(found)} in {_splits_text(found)}", ids(found)) for found in speakers if _crosses(found)),
            _SPLIT_CURE,
        ),
        *findings_of(
            "recording_overlap",
            "error",
            ("identical recording in more than one split", "identical recordings in more than one split"),
            (_case(found) for found in recordings if _crosses(found)),
            _COPY_CURE,
        ),
        *findings_of(
            "copy_overlap",
            "error",
            ("near copy of a recording in another split", "near copies of recordings in other splits"),
            (Case(f"{named(one)}, {named(other)}", ids((one, other))) for one, other in _copies_apart(copies)),
            _COPY_CURE + " They differ only by a cut, the level, the sampling rate, the channel or the codec.",
        ),
        *_file_findings(files),
        *_label_findings(copies),
        *findings_of(
            "duplicates",
            "note",
            ("recording more than once inside one split", "recordings more than once inside one split"),
            (_case(found) for found in copies if len(found) > 1 and not _crosses(found) and found[0].split),
            "They count more than once: leave all but one out, unless that is meant.",
        ),
    )


def overlap_sentences(manifest: Manifest) -> list[str]:
    """The errors alone, a sentence each."""
    return [finding.sentence for finding in overlaps(manifest) if finding.severity == "error"]


def refuse_overlaps(manifest: Manifest, *, allow: Collection[str] = ()) -> None:
    """Refuses splits that leak into each other, save by the kinds that ``allow`` names.

    ``speaker_overlap`` allows shared speakers; ``recording_overlap`` allows shared recordings, copies and files.

    Raises:
        CorpusError: that names what the splits share, and the cures.
    """
    errors = [finding for finding in overlaps(manifest) if finding.severity == "error"]
    refused = [finding for finding in errors if ALLOWED_BY[finding.code] not in allow]
    if refused:
        cures = " ".join(dict.fromkeys(finding.cure for finding in refused))
        needed = ", ".join(sorted({ALLOWED_BY[finding.code] for finding in errors}))
        raise CorpusError(
            f"A score on these splits would not be honest: {'; '.join(finding.sentence for finding in refused)}."
            f" {cures} `emotune corpus check` tells more. To train all the same: data.allow=[{needed}]."
        )


def copy_groups(manifest: Manifest) -> list[list[Utterance]]:
    """Utterances of the same sound, by content and by ``copy_of``, also through copies that the manifest lacks."""
    parents: dict[Hashable, Hashable] = {}

    def root_of(key: Hashable) -> Hashable:
        while parents.setdefault(key, key) != key:
            parents[key] = parents[parents[key]]
            key = parents[key]
        return key

    for utterance in manifest:
        own = root_of(("id", utterance.utterance_id))
        if utterance.copy_of is not None:
            parents[own] = root_of(("id", utterance.copy_of))
        if utterance.content_sha256 is not None:
            parents[root_of(("content", utterance.content_sha256))] = root_of(("id", utterance.utterance_id))
    return _groups(manifest, lambda utterance: root_of(("id", utterance.utterance_id)))


def _file_findings(files: Iterable[Sequence[Utterance]]) -> tuple[Finding, ...]:
    """A file in two splits is an error, unless its segments are apart and no speaker of one split speaks in another."""
    shared, apart = [], []
    for segments in files:
        if not _crosses(segments):
            continue
        touching = _touching(segments)
        speakers = Counter(speaker for _, speaker in {(u.split, voice_of(u)) for u in segments if u.split})
        strangers = None not in speakers and max(speakers.values()) == 1
        case = Case(f"{segments[0].file} in {_splits_text(segments)}", ids(segments))
        if touching is not None:
            case = Case(f"{segments[0].file}: {named(touching[0])} and {named(touching[1])} overlap", ids(segments))
        (apart if touching is None and strangers else shared).append(case)
    return (
        *findings_of(
            "file_overlap",
            "error",
            ("file in more than one split", "files in more than one split"),
            shared,
            "Keep all segments of a file in one split.",
        ),
        *findings_of(
            "file_shared",
            "note",
            ("file with different speakers in different splits", "files with different speakers in different splits"),
            apart,
            "Room, channel and conversation are shared; split by session where there are sessions.",
        ),
    )


def _label_findings(copies: Iterable[Sequence[Utterance]]) -> tuple[Finding, ...]:
    across, inside = [], []
    for found in copies:
        labels = {utterance.emotion for utterance in found} - {None}
        if len(labels) > 1:
            words = ", ".join(f"{named(utterance)} {utterance.emotion or 'without label'}" for utterance in found[:3])
            (across if _crosses(found) else inside).append(Case(words, ids(found)))
    what = ("recording with different labels", "recordings with different labels")
    cure = "Look which label is right; a recording that deserves both may have votes."
    return (
        *findings_of("label_conflict", "error", what, across, cure),
        *findings_of("label_conflict_inside", "note", what, inside, cure),
    )


def _groups(manifest: Manifest, key_of: Callable[[Utterance], Hashable]) -> list[list[Utterance]]:
    groups: dict[Hashable, list[Utterance]] = {}
    for utterance in manifest:
        key = key_of(utterance)
        if key is not None:
            groups.setdefault(key, []).append(utterance)
    return list(groups.values())


def _splits(utterances: Iterable[Utterance]) -> list[str]:
    return sorted({utterance.split for utterance in utterances if utterance.split is not None})


def _splits_text(utterances: Iterable[Utterance]) -> str:
    return " and ".join(_splits(utterances))


def _crosses(utterances: Iterable[Utterance]) -> bool:
    return len(_splits(utterances)) > 1


def _names(found: Iterable[Utterance]) -> str:
    """One speaker's name, in all its spellings."""
    return ", also written ".join(dict.fromkeys(as_written(utterance.speaker or "") for utterance in found))


def _case(found: Sequence[Utterance]) -> Case:
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return Case(", ".join(named(utterance) for utterance in found[:3]) + more, ids(found))


def _copies_apart(copies: Iterable[Sequence[Utterance]]) -> Iterable[tuple[Utterance, Utterance]]:
    """Pairs, one a group of copies: the first two utterances of different content and file in different splits."""
    for found in filter(_crosses, copies):
        contents: dict[tuple[str | None, str], dict[str, Utterance]] = {}
        for utterance in found:
            if utterance.split is not None:
                key = (utterance.content_sha256, utterance.file)
                contents.setdefault(key, {}).setdefault(utterance.split, utterance)
        for one, other in combinations(contents, 2):
            if one[1] == other[1] or (one[0] is not None and one[0] == other[0]):
                continue
            pair = next(((a, b) for s, a in contents[one].items() for t, b in contents[other].items() if s != t), None)
            if pair is not None:
                yield pair
                break


def _touching(segments: Iterable[Utterance]) -> tuple[Utterance, Utterance] | None:
    """Two stretches of one file, in different splits, with a part of a channel in common."""
    longest: dict[tuple[str, int | None], Utterance] = {}  # of those of a split and channel that began: the last to end
    for segment in sorted((u for u in segments if u.split), key=lambda u: u.start_s or 0.0):
        for (split, _), earlier in longest.items():
            if split != segment.split and share_sound(earlier, segment):
                return earlier, segment
        assert segment.split is not None
        before = longest.get((segment.split, segment.channel))
        if before is None or end_of(segment) > end_of(before):
            longest[segment.split, segment.channel] = segment
    return None
