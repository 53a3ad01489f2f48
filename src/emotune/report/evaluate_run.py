"""Evaluation of a run on a split or on another manifest, from its folder to the page."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotune.choices import Precision
from emotune.conditions.origins import asked_notes
from emotune.corpora import map_classes
from emotune.errors import ConfigError, ModelError
from emotune.evaluation import evaluate, scores
from emotune.evaluation.comparing.shared_classes import on_shared_classes, shared_classes
from emotune.evaluation.result import Evaluation
from emotune.evaluation.words.against_voice import words_against_voice
from emotune.evaluation.words.reader import LexiconReader
from emotune.inference.agreement import Agreement
from emotune.inference.loading import load
from emotune.inference.predictor import Predictor
from emotune.io.tables import check_output
from emotune.models.folder import find_model_folder
from emotune.report.card_figures import add_evaluation
from emotune.report.read_words import add_to_card, read_words
from emotune.report.score_attacks import Attacks, score_attacks
from emotune.report.score_run import Remarks, report_run, title_and_notices
from emotune.runtime.progress import Progress, silent
from emotune.schema.gender import GENDER_CLASSES, gender_as_class
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions
from emotune.schema.run_folder import LoneModel, RunFolder, pretraining_in, runs_with_models, why_no_model
from emotune.schema.splits import DEVELOPMENT

if TYPE_CHECKING:
    from emotune.evaluation.adversarial.audit import Audit
    from emotune.evaluation.robustness.run import Robustness


@dataclass(frozen=True)
class Scored:
    """Set that a run is scored on.

    Args:
        split: of the run's own manifest, default test; with ``manifest_path`` of that one, default all of it.
        manifest_path: another manifest.
        mapping: class -> class, renames classes of ``manifest_path``.
        drop: classes of ``manifest_path`` to leave out.
    """

    split: str | None = None
    manifest_path: Path | None = None
    mapping: Mapping[str, str] = field(default_factory=dict[str, str])
    drop: Sequence[str] = ()

    def read(self, run: RunFolder) -> tuple[str, Manifest, dict[str, int]]:
        """The name of the results, the manifest, and what was changed of its classes.

        Raises:
            EmotuneError: for a manifest, a split or classes that are not there.
        """
        if self.manifest_path is None:
            if isinstance(run, LoneModel):
                raise ConfigError(
                    f"{run.name} is a model without its run, and so without utterances to be scored on: give"
                    " --manifest."
                )
            if self.mapping or self.drop:
                raise ConfigError("--map and --drop go with --manifest; a run's own classes are mapped by its recipe.")
            name = self.split or "test"
            return name, Manifest.read(run.manifest).split(name), {}
        manifest = Manifest.read(self.manifest_path)
        manifest = manifest if self.split is None else manifest.split(self.split)
        changes: dict[str, int] = {}
        if self.mapping or self.drop:
            manifest, changes = map_classes(manifest, self.mapping, self.drop)
        stem = self.manifest_path.stem
        return f"manifest-{stem if self.split is None else f'{stem}-{self.split}'}", manifest, changes


@dataclass(frozen=True)
class EvaluatedRun:
    """Outcome of an evaluation.

    Args:
        name: of the split, as it is printed.
        folder: of the predictions and the page.
        evaluation: the figures.
        manifest: the truth.
        predictions: as they were scored.
        class_changes: what was renamed and dropped of the manifest -> utterances.
        robustness: the scores under degradations, where these were asked for.
        audit: the scores under attacks, likewise.
        exact_scores: in fp32, where another precision was asked for.
    """

    name: str
    folder: Path
    evaluation: Evaluation
    manifest: Manifest
    predictions: Predictions
    class_changes: Mapping[str, int]
    robustness: Robustness | None = None
    audit: Audit | None = None
    exact_scores: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def failed(self) -> int:
        """Number of failed predictions, with those under degradations and attacks."""
        more = [found.failed for found in (self.robustness, self.audit) if found is not None]
        return len(self.predictions.failed) + sum(more)


def evaluate_run(
    run_path: str | Path,
    scored: Scored | None = None,
    output: Path | None = None,
    *,
    shared: bool = False,
    robustness: bool = False,
    attacks: Attacks | None = None,
    words: bool = False,
    text_encoder: str | None = None,
    resamples: int = 1000,
    device: str | None = None,
    coverage: float | None = None,
    precision: Precision = "fp32",
    conditions: Mapping[str, str] | None = None,
    progress: Progress = silent,
) -> EvaluatedRun:
    """Predicts a set by a run's model, scores it, and writes predictions, ``report.json`` and ``report.html``.

    Args:
        run_path: a run folder, or a model as ``emotune.load`` has it, which needs another manifest and an output.
        scored: what it is scored on; its test split when None.
        output: where to write; ``<run>/<name>`` when None.
        shared: score on the classes that model and manifest share.
        robustness: also under every degradation.
        attacks: also under these attacks, see ``docs/how-to/adversarial.md``.
        words: also with the prosody levelled, the words filtered out and transcripts exchanged, for the section on
            words against voice, which the model's card gets too.
        text_encoder: reads the transcripts for that section, fitted to those of the run's training split; None = a list
            of English emotional words.
        resamples: of the bootstrap over speakers.
        device: as ``emotune.load`` has it.
        coverage: as ``emotune.load`` has it.
        precision: as ``emotune.load`` has it; with another than ``fp32`` the exact scores stand beside.
        conditions: as ``emotune.load`` has it.
        progress: shows how far the work is.

    Raises:
        EmotuneError: for a run, a manifest or an output that cannot be used, or that do not go together.
    """
    run, scored, sources = _run_of(run_path, output), scored or Scored(), conditions or {}
    _check_together(shared=shared, robustness=robustness, attacks=attacks, words=words, precision=precision)
    name, manifest, changes = scored.read(run)
    name += "".join(f"-{condition}-{source}" for condition, source in sources.items())
    name += "" if precision == "fp32" else f"-{precision}"
    folder = output or run.results(name)
    check_output(folder / "predictions.csv")
    loading: dict[str, Any] = {"device": device, "coverage": coverage, "conditions": sources, "scored": manifest}
    predictor = load(run_path, precision=precision, **loading)
    if scored.manifest_path is not None and set(predictor.label_space.classes) == set(GENDER_CLASSES):
        manifest = gender_as_class(manifest)
    if shared:  # what cannot be scored is refused before the long work
        shared_classes([predictor.label_space, manifest.label_space])
    answered = _Answered(manifest, predictor.predict_manifest(manifest, progress=progress))
    if precision != "fp32":
        exact = load(run_path, **loading).predict_manifest(manifest, progress=progress)
        answered = answered.beside(exact, precision)
    if sources:
        answered = answered.asked_for(sources)
    unrestricted = answered.predictions if shared else None
    if shared:
        answered = answered.of_shared_classes()
    manifest, predictions, notes = answered.manifest, answered.predictions, answered.notes
    if words or text_encoder is not None:
        against_voice = read_words(
            run,
            predictor,
            manifest,
            predictions,
            folder,
            controls=words,
            text_encoder=text_encoder,
            resamples=resamples,
            progress=progress,
        )
    else:
        against_voice = words_against_voice(manifest, predictions, LexiconReader(), resamples=resamples)
    evaluation = evaluate(
        manifest, predictions, resamples=resamples, calibration=run.calibration(), unrestricted=unrestricted
    )
    evaluation = dataclasses.replace(evaluation, words=against_voice)
    evaluation = report_run(run, manifest, predictions, evaluation, name=name, folder=output, remarks=answered.remarks)
    if not isinstance(run, LoneModel):
        if words and against_voice is not None:
            add_to_card(run, against_voice, name)
        if output is None and (scored.manifest_path is not None or name != DEVELOPMENT):  # that one is of training
            add_evaluation(run, name, evaluation)
    found = audit = None
    if robustness:
        found = _score_robustness(run, predictor, manifest, predictions, folder, name, resamples, notes, progress)
    if attacks:
        title, notices = title_and_notices(run, manifest, name, notes)
        audit = score_attacks(
            attacks, predictor, manifest, predictions, folder, title, notices, resamples=resamples, progress=progress
        )
    return EvaluatedRun(name, folder, evaluation, manifest, predictions, changes, found, audit, answered.exact_scores)


@dataclass(frozen=True)
class _Answered:
    """A manifest and the answers to it, with what a report tells of how they came about.

    Args:
        manifest: the truth.
        predictions: of it.
        exact: those in fp32, where another precision was asked for.
        information: for the report's table.
        notes: for its reader.
    """

    manifest: Manifest
    predictions: Predictions
    exact: Predictions | None = None
    information: Mapping[str, Any] = field(default_factory=dict[str, Any])
    notes: Sequence[str] = ()

    @cached_property
    def exact_scores(self) -> Mapping[str, float]:
        """Scores of the exact answers; empty where no other precision was asked for."""
        return {} if self.exact is None else scores(self.manifest, self.exact)

    @property
    def remarks(self) -> Remarks:
        """Remarks of the report."""
        information = dict(self.information)
        if self.exact is not None:
            information["precision"] = {**(self.predictions.precision or {}), "scores_in_fp32": self.exact_scores}
        return Remarks(information, notes=self.notes)

    def beside(self, exact: Predictions, precision: Precision) -> _Answered:
        """Says how far the answers are from exact ones."""
        agreement = Agreement.of(precision, exact, self.predictions)
        predictions = dataclasses.replace(self.predictions, precision=agreement.to_json())
        return dataclasses.replace(self, predictions=predictions, exact=exact)

    def asked_for(self, sources: Mapping[str, str]) -> _Answered:
        """Says where conditions were asked to come from, and where they came from."""
        notes = asked_notes(sources, (row.conditions_used for row in self.predictions))
        return dataclasses.replace(self, notes=notes, information={**self.information, "conditions_asked_for": sources})

    def of_shared_classes(self) -> _Answered:
        """Leaves out what is not of the classes that both have."""
        exact = None if self.exact is None else on_shared_classes(self.manifest, self.exact)[1]
        manifest, predictions, note = on_shared_classes(self.manifest, self.predictions)
        information = {**self.information, "shared classes": note}
        return _Answered(manifest, predictions, exact, information, [note, *self.notes])


def _check_together(
    *, shared: bool, robustness: bool, attacks: Attacks | None, words: bool, precision: Precision
) -> None:
    """Refuses options that do not go together."""
    wholes = {"--robustness scores": robustness, "--adversarial attacks": attacks, "--words scores": words}
    for does in (name for name, asked in wholes.items() if asked and shared):
        raise ConfigError(f"{does} all classes of the model: leave out either it or --shared-classes.")
    if attacks and precision != "fp32":
        raise ConfigError(
            f"--adversarial needs gradients, those of the exact model: leave out --precision {precision}."
        )


def _run_of(path: str | Path, output: Path | None) -> RunFolder:
    """The run of a folder, or the model that a name stands for, without one."""
    run = RunFolder(Path(path))
    if run.path.is_dir() and (pretraining_in(run.path) or runs_with_models(run.path)):
        raise ModelError(why_no_model(run.path))
    if any(part.exists() for part in (run.provenance, run.model, run.recipe, run.manifest)):
        run.information()
        return run
    found = find_model_folder(path)
    if output is None:
        raise ConfigError(f"{found.name} is a model without its run: say with -o where its results are to be written.")
    return LoneModel(found.folder, found.name)


def _score_robustness(
    run: RunFolder,
    predictor: Predictor,
    manifest: Manifest,
    clean: Predictions,
    folder: Path,
    name: str,
    resamples: int,
    notes: Sequence[str],
    progress: Progress,
) -> Robustness:
    """Scores under every degradation, and their page."""
    # SciPy comes with them
    from emotune.evaluation.robustness.run import FOLDER, run_robustness  # noqa: PLC0415
    from emotune.report.robustness_page import write_robustness  # noqa: PLC0415

    found = run_robustness(predictor, manifest, clean, folder / FOLDER, resamples=resamples, progress=progress)
    title, notices = title_and_notices(run, manifest, name, notes)
    write_robustness(folder, found, title=f"{title}, robustness", notices=notices)
    return found
