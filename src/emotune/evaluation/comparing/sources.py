"""Sources of a comparison: run folders, results folders or prediction tables, with one truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emotune.errors import ConfigError, TableError
from emotune.evaluation.comparing.line_up import System
from emotune.evaluation.comparing.shared_classes import answering, restriction_note, shared_classes, with_classes
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import TABLE, Predictions, table_at
from emotune.schema.run_folder import RunFolder

USUAL_SPLITS = ("test", "all")


def read_systems(
    named: Sequence[tuple[str, Path]],
    *,
    manifest_path: Path | None = None,
    split: str | None = None,
    on_shared_classes: bool = False,
) -> tuple[Manifest, list[System], list[str]]:
    """Reads the truth and the systems, with notes on their fit.

    Args:
        named: name and path of each run; runs of one name are one system. A path is a run folder, a folder with a
            ``predictions.csv``, or a prediction table.
        manifest_path: of the truth; the run folders' own when None.
        split: of the manifest, and of the run folders' results; when None, the first of ``test`` and ``all`` that all
            run folders have, and all of ``manifest_path``.
        on_shared_classes: restrict truth and answers to the classes that all have.

    Raises:
        ConfigError: when there is no truth, or run folders have different ones.
        CorpusError: when fewer than two classes are shared.
        TableError: for what holds no predictions.
    """
    runs = [RunFolder(path) for _, path in named if _is_run(path)]
    found = _results_name(runs, manifest_path, split) if runs else ""
    tables = [
        (name, RunFolder(path).results(found) / TABLE if _is_run(path) else table_at(path)) for name, path in named
    ]
    predictions = [(name, Predictions.read(path)) for name, path in tables]
    manifests = _truths(named, found, manifest_path, split)
    notes = [
        f"{path} was predicted for another manifest, by its fingerprint; it is joined to the truth by utterance_id."
        for (_, path), (_, table) in zip(tables, predictions, strict=True)
        if manifest_path is not None and table.manifest_fingerprint not in (None, *manifests[0][2])
    ]
    truths = [(path, manifest) for path, manifest, _ in manifests]
    if on_shared_classes:
        spaces = [table.label_space for _, table in predictions]
        classes = shared_classes([*spaces, *(manifest.label_space for _, manifest in truths)])
        _, dropped = with_classes(truths[0][1], classes)
        notes.insert(0, restriction_note(classes, dropped, spaces))
        truths = [(path, with_classes(manifest, classes)[0]) for path, manifest in truths]
        predictions = [(name, answering(table, classes)) for name, table in predictions]
    _check_one_truth(truths, on_shared_classes)
    systems: dict[str, list[Predictions]] = {}
    for name, table in predictions:
        systems.setdefault(name, []).append(table)
    return truths[0][1], [System(name, tuple(tables)) for name, tables in systems.items()], notes


def _is_run(path: Path) -> bool:
    return RunFolder(path).provenance.exists()


def _results_name(runs: Sequence[RunFolder], manifest_path: Path | None, split: str | None) -> str:
    """Name of the split whose results all run folders hold."""
    candidates: list[str] = [split] if split else [*USUAL_SPLITS]
    if manifest_path is not None:
        stem = manifest_path.stem
        candidates.insert(0, f"manifest-{stem}-{split}" if split else f"manifest-{stem}")
    for name in candidates:
        if all((run.results(name) / TABLE).exists() for run in runs):
            return name
    lacking = next(run for run in runs if not (run.results(candidates[0]) / TABLE).exists())
    there = "; ".join(
        f"{run.path}: {', '.join(sorted(path.parent.name for path in run.path.glob(f'*/{TABLE}'))) or 'none'}"
        for run in runs
    )
    what = f"--manifest {manifest_path}" if manifest_path is not None else f"--split {split or USUAL_SPLITS[0]}"
    raise TableError(
        f"The runs have no predictions of {' or '.join(candidates)} in common. They have: {there}."
        f" Make them with `emotune evaluate {lacking.path} {what}`, or name a --split that all have."
    )


def _truths(
    named: Sequence[tuple[str, Path]], found: str, manifest_path: Path | None, split: str | None
) -> list[tuple[Path, Manifest, tuple[str, str]]]:
    """Candidate truths, each with the fingerprints of the whole manifest and of its scored part."""
    loose = [path for _, path in named if not _is_run(path)]
    absent = [path for path in loose if not path.exists()]
    if absent:
        raise ConfigError(f"{absent[0]} does not exist.")
    if manifest_path is None and loose:
        raise ConfigError(
            f"{loose[0]} is not a run folder, so its truth is not known: add --manifest M.csv, for example the"
            " manifest.csv of the run that it comes from, and its --split."
        )
    sources = [manifest_path] if manifest_path is not None else [RunFolder(path).manifest for _, path in named]
    wanted = split if manifest_path is not None else found
    truths = []
    for path in sources:
        whole = Manifest.read(path)
        part = whole
        if wanted and not (wanted == "all" and all(utterance.split != "all" for utterance in whole)):
            part = whole.split(wanted)
        truths.append((path, part, (whole.fingerprint(), part.fingerprint())))
    return truths


def _check_one_truth(truths: Sequence[tuple[Path, Manifest]], on_shared_classes: bool) -> None:
    (first, manifest), *others = truths
    fingerprint = manifest.fingerprint()
    for path, other in others:
        if other.fingerprint() == fingerprint:
            continue
        differs = "other classes" if other.label_space != manifest.label_space else "other utterances, labels or splits"
        cure = " Runs on other classes can be compared with --shared-classes." if not on_shared_classes else ""
        raise ConfigError(
            f"{first} and {path} are different manifests ({differs}; fingerprints {fingerprint[:12]} and"
            f" {other.fingerprint()[:12]}), so these runs were not tested on the same data.{cure} Or give one truth for"
            " all with --manifest M.csv, when its utterance ids are those of all predictions."
        )
