"""Score one split of a run: predictions table, report.json and report.html under the run folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emotune.conditions.origins import origins_used
from emotune.evaluation.evaluate import evaluate
from emotune.evaluation.result import Evaluation
from emotune.evaluation.words.against_voice import words_against_voice
from emotune.evaluation.words.reader import LexiconReader
from emotune.report.evaluation_page import write_report
from emotune.report.seen_before import SeenBefore, seen_by
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions
from emotune.schema.run_folder import RunFolder

_OF_MANIFEST = ("corpus", "licence", "reference")
_OF_RUN = ("recipe", "description", "seed", "kind", "encoder", "pooling", "chosen", "emotune", "git_commit")


@dataclass(frozen=True)
class Remarks:
    """Lines, banners and notes of a report beside its figures.

    Args:
        information: more lines for the table of where the figures come from.
        notices: more banners.
        notes: what a reader should know of how truth and predictions came about.
        seen: what the model had heard of what is scored; None = as the run's manifest and provenance have it.
    """

    information: Mapping[str, Any] = field(default_factory=dict[str, Any])
    notices: Sequence[str] = ()
    notes: Sequence[str] = ()
    seen: SeenBefore | None = None


def score_run(
    run: RunFolder,
    manifest: Manifest,
    predictions: Predictions,
    *,
    name: str,
    folder: Path | None = None,
    remarks: Remarks | None = None,
) -> Evaluation:
    """Evaluates, with a look at words and voice where there are transcripts, and writes predictions and report.

    Args:
        run: the run that the model comes from, or the model alone.
        manifest: the truth, one split or another corpus.
        predictions: of that manifest.
        name: of the split, for title and folder.
        folder: where to write; ``<run>/<name>`` when None.
        remarks: that the report makes of the figures.
    """
    evaluation = evaluate(manifest, predictions, calibration=run.calibration())
    words = words_against_voice(manifest, predictions, LexiconReader())
    evaluation = dataclasses.replace(evaluation, words=words)
    return report_run(run, manifest, predictions, evaluation, name=name, folder=folder, remarks=remarks)


def report_run(
    run: RunFolder,
    manifest: Manifest,
    predictions: Predictions,
    evaluation: Evaluation,
    *,
    name: str,
    folder: Path | None = None,
    remarks: Remarks | None = None,
) -> Evaluation:
    """Writes ``predictions.csv`` and the report of an evaluation; arguments are as for ``score_run``.

    Returns:
        The evaluation, with the notes of its report.
    """
    target, remarks, about = folder or run.results(name), remarks or Remarks(), run.information()
    seen = remarks.seen or seen_by(run, manifest)
    evaluation = dataclasses.replace(evaluation, notes=(*seen.sentences, *remarks.notes, *evaluation.notes))
    used = origins_used(row.conditions_used for row in predictions)
    predictions.write(target / "predictions.csv")
    write_report(
        target,
        evaluation,
        title=title_of(run, name),
        information={
            "split": name,
            "speaker_dependent": seen.speaker_dependent,
            **{key: manifest.information[key] for key in _OF_MANIFEST if key in manifest.information},
            **_shown(about),
            **({"conditions_used": used} if used else {}),
            "manifest fingerprint": manifest.fingerprint(),
            "model fingerprint": predictions.model_fingerprint or "not saved as a model",
            **remarks.information,
        },
        history=run.history(),
        notices=[*_notice(about), *remarks.notices, *seen.sentences],
    )
    return evaluation


def title_and_notices(
    run: RunFolder, manifest: Manifest, name: str, notes: Sequence[str] = ()
) -> tuple[str, list[str]]:
    """Title of another page about a run, and what its readers must know."""
    return title_of(run, name), [*_notice(run.information()), *seen_by(run, manifest).sentences, *notes]


def title_of(run: RunFolder, name: str) -> str:
    """Title of a page about a run: its recipe and pooling, by which runs of one recipe often differ, and the split."""
    about = run.information()
    pooling = f", {about['pooling']} pooling" if about.get("pooling") else ""
    return f"{about.get('recipe', run.path.name)}{pooling}: {name}"


def _notice(about: Mapping[str, Any]) -> list[str]:
    return [about["notice"]] if about.get("notice") else []


def _shown(about: Mapping[str, Any]) -> dict[str, Any]:
    """Facts on a run for its report; a baseline's description tells of an encoder, which it has not."""
    left_out = {"description"} if "baseline" in str(about.get("kind")) else set[str]()
    return {key: about[key] for key in _OF_RUN if about.get(key) not in (None, "", {}, []) and key not in left_out}
