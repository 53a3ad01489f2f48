"""Results of a sequence model: a table for each task, and all figures in one file."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotune.config.reading import read_section
from emotune.config.sequences import SequenceRecipe
from emotune.errors import ConfigError, CorpusError
from emotune.evaluation.sequences import score_answers
from emotune.evaluation.statistics.bootstrap import Estimate
from emotune.inference.sequences.task_data import TaskData, read_tasks
from emotune.inference.sequences.writer import Writer, Written, load
from emotune.io.tables import to_json, write_rows, write_text
from emotune.models.sequences.folder import find_sequences
from emotune.runtime.progress import Progress, silent
from emotune.schema.labels import LabelSpace
from emotune.schema.predictions import Prediction, Predictions
from emotune.schema.run_folder import RunFolder
from emotune.training.run import versions_here

REPORT = "report.json"


@dataclass(frozen=True)
class ScoredTask:
    """Figures of a task.

    Args:
        name: of the task.
        figures: by name, with intervals over speakers.
        clips: that were scored.
        failed: that could not be used.
        speakers: of the clips that were scored.
    """

    name: str
    figures: Mapping[str, Estimate]
    clips: int
    failed: int
    speakers: int


def score_sequences(
    writer: Writer,
    sets: Mapping[str, TaskData],
    folder: Path,
    *,
    about: Mapping[str, Any],
    resamples: int = 1000,
    progress: Progress = silent,
) -> list[ScoredTask]:
    """Lets a model write the answers of each task, and writes them beside the truth, and the figures.

    Args:
        writer: the model.
        sets: task -> clips with their truth.
        folder: gets ``<task>.csv`` and ``report.json``.
        about: what is scored and by which command, for the report; see ``origin_of``.
        resamples: of the bootstrap over speakers.
        progress: shows how far the work is.
    """
    scored: list[ScoredTask] = []
    for name, data in sets.items():
        written = writer.write_manifest(data.manifest, tasks=[name], progress=progress)
        task = writer.model.tasks[name].task
        _write_table(folder / f"{name}.csv", data, written, task.items)
        rows = [(u, row) for u, row in zip(data.manifest, written, strict=True) if row.error is None]
        truth = [task.parts(data.answers[utterance.utterance_id]) for utterance, _ in rows]
        answers = [task.parts(row.answers[name]) for _, row in rows]
        speakers = [None if u.speaker is None else f"{u.corpus}/{u.speaker}" for u, _ in rows]
        figures = score_answers(task.writes, truth, answers, speakers, resamples=resamples) if rows else {}
        failed = len(written) - len(rows)
        scored.append(ScoredTask(name, figures, len(rows), failed, len(set(speakers) - {None})))
    tasks = {
        found.name: {
            **{key: estimate.to_json() for key, estimate in found.figures.items()},
            "clips": found.clips,
            "failed": found.failed,
            "speakers": found.speakers,
        }
        for found in scored
    }
    information = {**about, **versions_here(), "resamples": resamples}
    write_text(folder / REPORT, to_json({"information": information, "tasks": tasks}) + "\n")
    return scored


def origin_of(run: RunFolder, recipe: SequenceRecipe, data: Sequence[TaskData], split: str) -> dict[str, Any]:
    """Origin of a report: recipe, seed, split, manifests, and the command that makes its figures again."""
    return {
        "recipe": recipe.name,
        "seed": recipe.seed,
        "split": split,
        "manifests": {own.task.name: own.fingerprint() for own in data},
        "command": shlex.join(["emotune", "evaluate", str(run.path), "--split", split]),
    }


def evaluate_sequences(
    run_path: str | Path,
    split: str = "test",
    output: Path | None = None,
    *,
    resamples: int = 1000,
    device: str | None = None,
    progress: Progress = silent,
) -> list[ScoredTask]:
    """Scores a run of a sequence model on a split of each of its tasks' manifests.

    Raises:
        ConfigError: for a model without its run.
        EmotuneError: for a manifest that has moved or changed, or a split that is not there.
    """
    run = RunFolder(Path(run_path))
    if find_sequences(run.path) is None or not run.recipe.is_file():
        raise ConfigError(
            f"{run_path} is a sequence model without its run, which says on what it is scored; name the run."
        )
    recipe = read_section(SequenceRecipe, run.recipe)
    data = read_tasks(recipe)
    _refuse_changed(run, data)
    sets = {own.task.name: own.part(split) for own in data}
    writer = load(run.path, device=device, batch_seconds=recipe.train.batch_seconds)
    about = origin_of(run, recipe, data, split)
    folder = output or run.results(split)
    return score_sequences(writer, sets, folder, about=about, resamples=resamples, progress=progress)


def _refuse_changed(run: RunFolder, data: Sequence[TaskData]) -> None:
    """Refuses manifests that are no longer those of the run: its test clips may be among those that it trained on."""
    known = run.information().get("manifests", {}) if run.provenance.exists() else {}
    for own in data:
        if known.get(own.task.name, own.fingerprint()) != own.fingerprint():
            raise CorpusError(
                f"tasks.{own.task.name}: its manifest has changed since {run.path} was trained. Put the former one"
                " back, or train again."
            )


def _write_table(path: Path, data: TaskData, written: list[Written], labels: tuple[str, ...]) -> None:
    """Truth and answer of each clip; of labels a prediction table, with every label's probability."""
    name = data.task.name
    truth = {u.utterance_id: data.answers[u.utterance_id] for u in data.manifest}
    path.parent.mkdir(parents=True, exist_ok=True)
    if data.task.writes == "label":
        rows = [
            Prediction(
                row.utterance_id,
                row.probabilities.get(name, {}),
                error=row.error,
                extra={"truth": truth[row.utterance_id]},
            )
            for row in written
        ]
        Predictions(tuple(rows), LabelSpace(labels)).write(path)
        return
    cells = [
        {
            "utterance_id": r.utterance_id,
            "truth": truth[r.utterance_id],
            "answer": r.answers.get(name),
            "error": r.error,
        }
        for r in written
    ]
    write_rows(path, ["utterance_id", "truth", "answer", "error"], cells, {"task": name, "writes": data.task.writes})
