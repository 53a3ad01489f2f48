"""One system's table, its classes shifted to another prior or by thresholds that were fitted on development."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emotune.errors import ConfigError
from emotune.fusion.offsets import Thresholds, fit_thresholds, shifted
from emotune.io.tables import check_output, to_json, write_text
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions, predictions_of, table_at
from emotune.schema.prior import estimated_prior, prior_offsets
from emotune.schema.run_folder import RunFolder
from emotune.schema.splits import DEVELOPMENT

UNIFORM, ESTIMATED = "uniform", "estimated"
_NOTHING = 5e-4
"""An offset that is printed as zero."""
Shares = Mapping[str, float]


@dataclass(frozen=True)
class Adjustment:
    """Outcome of an adjustment.

    Args:
        predictions: the adjusted table.
        offsets: of the classes' logits.
        changed: answers that are others now.
        thresholds: as they were fitted; None for a prior.
        notes: what should be known.
    """

    predictions: Predictions
    offsets: Mapping[str, float]
    changed: int
    thresholds: Thresholds | None
    notes: tuple[str, ...]


def adjust_to_prior(
    path: Path,
    output: Path,
    prior: Shares | str,
    *,
    trained_prior: Shares | str | None = None,
    split: str = "test",
    spreadsheet_safe: bool = False,
) -> Adjustment:
    """Shifts a system's classes to another prior; writes the table, and its offsets beside it.

    Args:
        path: a run folder, a prediction table, or a folder that holds one.
        output: the table to write.
        prior: class -> share to answer for, in any proportion; ``uniform``; or ``estimated`` from the table's answers.
        trained_prior: shares that the model was taught; those of its model folder when None.
        split: of a run folder.
        spreadsheet_safe: see ``emotune.io.tables.write_rows``.

    Raises:
        ConfigError: for shares of other classes, or where it is not known what the model was taught.
        TableError: when the table cannot be read or written.
    """
    run, predictions = _read(path, output, split, (), spreadsheet_safe=spreadsheet_safe)
    taught = _taught(run, trained_prior, predictions)
    wanted = _estimated(predictions, taught) if prior == ESTIMATED else _shares(prior, "--prior", predictions)
    offsets = prior_offsets(taught, wanted)
    notes: tuple[str, ...] = ()
    if all(abs(value) < _NOTHING for value in offsets.values()):
        notes = ("the model was taught this prior already, by class weights or sampling: nothing changes",)
    about = {"trained_prior": taught, "prior": wanted, "offsets": offsets}
    changed, adjusted = _write(output, predictions, offsets, about, spreadsheet_safe=spreadsheet_safe)
    return Adjustment(adjusted, offsets, changed, None, notes)


def adjust_by_thresholds(
    path: Path,
    output: Path,
    *,
    metric: str = "macro_f1",
    development: Path | None = None,
    manifest_path: Path | None = None,
    seed: int = 0,
    split: str = "test",
    spreadsheet_safe: bool = False,
) -> Adjustment:
    """Shifts a system's classes by offsets fitted on development; writes the table, and its offsets beside it.

    Args:
        path: a run folder, a prediction table, or a folder that holds one.
        output: the table to write.
        metric: macro_f1, uar or accuracy.
        development: the system's development table; the run folder's own when None.
        manifest_path: the manifest with the development split; the run folder's own when None.
        seed: of the two parts of development and of the search.
        split: of a run folder.
        spreadsheet_safe: see ``emotune.io.tables.write_rows``.

    Raises:
        ConfigError: for another metric, or where there is no development.
        CorpusError: when development has no classes.
        TableError: when a table cannot be read or written.
    """
    read = [given for given in (development, manifest_path) if given is not None]
    run, predictions = _read(path, output, split, read, spreadsheet_safe=spreadsheet_safe)
    fitted = fit_thresholds(*_development(run, development, manifest_path), metric=metric, seed=seed)
    about = fitted.to_json()
    changed, adjusted = _write(output, predictions, fitted.offsets, about, spreadsheet_safe=spreadsheet_safe)
    return Adjustment(adjusted, fitted.offsets, changed, fitted, fitted.notes)


def _read(
    path: Path, output: Path, split: str, read: Sequence[Path], *, spreadsheet_safe: bool
) -> tuple[RunFolder | None, Predictions]:
    """The run, where the path is one, and its table."""
    run = RunFolder(path) if RunFolder(path).provenance.exists() else None
    source = table_at(path) if run is None else run.predictions(split)
    check_output(output, inputs=[source, *read], spreadsheet_safe=spreadsheet_safe)
    predictions = Predictions.read(source) if run is None else predictions_of(run, split)
    if not predictions.label_space.classes:
        raise ConfigError(f"{path} has no classes; dimensions have no prior to adjust.")
    return run, predictions


def _write(
    output: Path,
    predictions: Predictions,
    offsets: Mapping[str, float],
    about: Mapping[str, object],
    *,
    spreadsheet_safe: bool,
) -> tuple[int, Predictions]:
    """Writes the shifted table; gives it back with the number of answers that changed."""
    adjusted = shifted(predictions, offsets)
    adjusted.write(output, spreadsheet_safe=spreadsheet_safe)
    write_text(output.with_name(f"{output.name}.offsets.json"), to_json(about) + "\n")
    pairs = zip(predictions, adjusted, strict=True)
    return sum(before.most_probable != after.most_probable for before, after in pairs), adjusted


def _taught(run: RunFolder | None, given: Shares | str | None, predictions: Predictions) -> dict[str, float]:
    if given is not None:
        return _shares(given, "--trained-prior", predictions)
    found = run.training_prior() if run is not None else None
    if found is None:
        where = f"{run.path} does not say" if run is not None else "A table does not say"
        raise ConfigError(
            f"{where} which prior its model was taught: give it as --trained-prior NAME=SHARE,..., such as the counts"
            " of the training utterances by class times their class weights, or uniform for balanced ones."
        )
    return found


def _shares(shares: Shares | str, option: str, predictions: Predictions) -> dict[str, float]:
    """Shares that sum to one, from any positive numbers in that proportion."""
    classes = predictions.label_space.classes
    if isinstance(shares, str):
        if shares.strip() != UNIFORM:
            raise ConfigError(f"{option} {shares}: expected {UNIFORM}, or NAME=SHARE,NAME=SHARE,...")
        return {name: 1 / len(classes) for name in classes}
    total = sum(shares.values())
    if set(shares) != set(classes):
        raise ConfigError(
            f"{option} names {', '.join(shares)}; expected each of the table's classes once: {', '.join(classes)}."
            " A share of 0 excludes a class."
        )
    if not (math.isfinite(total) and total > 0 and min(shares.values()) >= 0):
        given = ",".join(f"{name}={share:g}" for name, share in shares.items())
        raise ConfigError(f"{option} {given}: shares must be numbers of at least 0, not all of them 0.")
    return {name: shares[name] / total for name in classes}


def _estimated(predictions: Predictions, taught: Shares) -> dict[str, float]:
    """Shares of the classes, estimated from the answers of a table without labels."""
    classes = predictions.label_space.classes
    answers = [[row.probabilities[name] for name in classes] for row in predictions if row.probabilities]
    if not answers:
        raise ConfigError("--prior estimated: the table holds no answers to estimate it from.")
    if min(taught.values()) <= 0:
        raise ConfigError("--prior estimated: each class must have a share above 0 of what the model was taught.")
    found = estimated_prior(answers, [taught[name] for name in classes])
    return dict(zip(classes, found.tolist(), strict=True))


def _development(run: RunFolder | None, table: Path | None, manifest_path: Path | None) -> tuple[Manifest, Predictions]:
    """Truth and answers of development: the run's own, or those that are named."""
    if run is None and (table is None or manifest_path is None):
        raise ConfigError("--thresholds of a table need --development TABLE and --manifest M, or give the run folder.")
    truth = manifest_path or (run.manifest if run is not None else Path())
    answers = table or (run.predictions(DEVELOPMENT) if run is not None else Path())
    return Manifest.read(truth).split(DEVELOPMENT), Predictions.read(answers)
