"""The rows of a manifest one by one, so that every broken one is reported and not the first alone."""

from __future__ import annotations

from pathlib import Path

from emotune.doctor.finding import Case, Finding, case_of, findings_of
from emotune.schema.labels import CLASSES
from emotune.schema.manifest import Manifest
from emotune.schema.speakers import NAMED, as_written, spelled_apart, voice_of


def read_rows_leniently(path: Path) -> tuple[Manifest, tuple[Finding, ...]]:
    """The manifest of all rows that keep the schema, and what is wrong with the others and with the labels.

    A broken row is reported with its first fault and takes part in no other check.

    Raises:
        TableError: for a file that is no manifest at all.
    """
    broken: list[Case] = []
    head, utterances = Manifest.stream(path, on_fault=lambda message: broken.append(Case(message)))
    manifest = head.replace_utterances(tuple(utterances))
    prefix = f"{path}, "
    broken = [Case(case.text.removeprefix(prefix)) for case in broken]
    return manifest, (
        *findings_of(
            "invalid_row",
            "error",
            ("row that breaks the schema", "rows that break the schema"),
            broken,
            "Correct the rows, or read the corpus again with `emotune corpus read`.",
        ),
        *_repeated_ids(manifest),
        *(finding for column in NAMED for finding in _spelled_apart(manifest, column)),
        *_unknown_votes(manifest),
    )


def _repeated_ids(manifest: Manifest) -> tuple[Finding, ...]:
    files: dict[str, list[str]] = {}
    for utterance in manifest:
        files.setdefault(utterance.utterance_id, []).append(utterance.file)
    return findings_of(
        "repeated_id",
        "error",
        ("utterance_id in more than one row", "utterance_ids in more than one row"),
        (Case(f"{name}: {', '.join(found[:3])}", (name,)) for name, found in files.items() if len(found) > 1),
        "Give every row an id of its own.",
    )


def _spelled_apart(manifest: Manifest, column: str) -> tuple[Finding, ...]:
    """Finds names in several spellings, each of which would count as a speaker or session of its own."""
    groups = spelled_apart(manifest, column)
    members: dict[object, list[str]] = {voice: [] for voice in groups}
    for utterance in manifest if groups else ():
        voice = voice_of(utterance, column)
        if voice in members:
            members[voice].append(utterance.utterance_id)
    what = "written in several ways"
    return findings_of(
        f"{column}_spelling",
        "error",
        (f"{column} {what}", f"{column}s {what}"),
        (Case(", ".join(map(as_written, groups[voice])), tuple(members[voice])) for voice in groups),
        "Make one name of them: `emotune corpus split` or `corpus read` with --merge-speakers; or rename those who are"
        " different people.",
    )


def _unknown_votes(manifest: Manifest) -> tuple[Finding, ...]:
    """Finds votes for unknown words; votes for a class that merely never won are no fault."""
    classes = manifest.label_space.classes
    cases: dict[bool, list[Case]] = {True: [], False: []}
    for utterance in manifest:
        strange = [name for name, count in utterance.votes.items() if count and name not in classes]
        for name in strange:
            cases[name in CLASSES].append(case_of(utterance, f"votes.{name}"))
    return (
        *findings_of(
            "unknown_vote",
            "error",
            ("vote for an unknown class", "votes for unknown classes"),
            cases[False],
            "Rename the column, or add the class to 'classes' in the metadata file.",
        ),
        *findings_of(
            "vote_without_class",
            "note",
            ("vote for a class that the manifest does not have", "votes for classes that the manifest does not have"),
            cases[True],
            "These votes teach nothing; shares are taken over the manifest's classes.",
        ),
    )
