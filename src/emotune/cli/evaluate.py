"""emotune evaluate: predict and score one split of a run, or another manifest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from emotune.cli.console import Condition, out, pairs, show_progress, warn_all
from emotune.cli.corpus import mapped
from emotune.cli.train import print_evaluation
from emotune.conditions.origins import asked_notes
from emotune.errors import ConfigError, ModelError
from emotune.evaluation.comparing.shared_classes import on_shared_classes, shared_classes
from emotune.inference import load
from emotune.io.tables import check_output
from emotune.runtime.extras import needs
from emotune.schema.gender import GENDER_CLASSES, gender_as_class
from emotune.schema.manifest import Manifest
from emotune.schema.run_folder import RunFolder, runs_with_models, why_no_model


def evaluate(
    run_path: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    split: Annotated[str | None, typer.Option(help="A split of the run's own manifest; default test.")] = None,
    manifest_path: Annotated[
        Path | None, typer.Option("--manifest", help="Another manifest instead, all of it or its --split.")
    ] = None,
    map: Annotated[list[str], typer.Option(help="--manifest: CLASS=CLASS, rename a class.")] = [],
    drop: Annotated[list[str], typer.Option(help="--manifest: a class to leave out.")] = [],
    shared: Annotated[
        bool, typer.Option("--shared-classes", help="Score on the classes that model and manifest share.")
    ] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Where to write; default RUN/<split>.")] = None,
    resamples: Annotated[int, typer.Option(min=0, help="Bootstrap resamples over speakers.")] = 1000,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Also under noise, babble, telephone, codecs, rooms and cuts.")
    ] = False,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; default a GPU where there is one.")] = None,
    coverage: Annotated[
        float | None, typer.Option(help="Say 'uncertain' in predictions.csv beyond this share, such as 0.8.")
    ] = None,
    condition: Condition = [],
) -> None:
    """Score a split that training did not see: table of predictions, report.json and report.html."""
    run = RunFolder(run_path)
    run.information()
    if runs_with_models(run_path):
        raise ModelError(why_no_model(run_path))
    if robustness and shared:
        raise ConfigError("--robustness scores all classes of the model: leave out either it or --shared-classes.")
    if manifest_path is None:
        if map or drop:
            raise ConfigError("--map and --drop go with --manifest; a run's own classes are mapped by its recipe.")
        name = split or "test"
        manifest = Manifest.read(run.manifest).split(name)
    else:
        manifest = Manifest.read(manifest_path)
        manifest = manifest if split is None else manifest.split(split)
        manifest = mapped(manifest, map, drop)
        name = "manifest-" + (manifest_path.stem if split is None else f"{manifest_path.stem}-{split}")
    sources = pairs(condition, "--condition", "CONDITION=SOURCE")
    name += "".join(f"-{condition}-{source}" for condition, source in sources.items())
    check_output((output or run.results(name)) / "predictions.csv")
    with needs("train"):
        from emotune.report.score_run import score_run
    predictor = load(run_path, device=device, coverage=coverage, conditions=sources, scored=manifest)
    if manifest_path is not None and set(predictor.label_space.classes) == set(GENDER_CLASSES):
        manifest = gender_as_class(manifest)
    if shared:  # what cannot be scored is refused before the long work
        shared_classes([predictor.label_space, manifest.label_space])
    predictions = predictor.predict_manifest(manifest, progress=show_progress)
    notes = asked_notes(sources, (row.conditions_used for row in predictions))
    extra: dict[str, Any] = {"conditions_asked_for": sources} if sources else {}
    unrestricted = predictions if shared else None
    if shared:
        manifest, predictions, note = on_shared_classes(manifest, predictions)
        notes, extra = [note, *notes], {**extra, "shared classes": note}
    evaluation = score_run(
        run,
        manifest,
        predictions,
        name=name,
        unrestricted=unrestricted,
        folder=output,
        resamples=resamples,
        notes=notes,
        extra=extra,
    )
    print_evaluation(evaluation, name, output or run.results(name))
    if coverage is not None:
        _print_answered(predictions, manifest)
    failed = len(predictions.failed)
    if robustness:
        failed += _score_robustness(
            run, predictor, manifest, predictions, output or run.results(name), name, resamples, notes
        )
    if failed:
        raise typer.Exit(1)


def _print_answered(predictions: Any, manifest: Manifest) -> None:
    """Prints the share that was answered at the coverage that was asked for, and the share of it that is right."""
    truth = {utterance.utterance_id: utterance.emotion for utterance in manifest}
    sure = [row for row in predictions if row.error is None and not row.uncertain]
    scored = [row.emotion == truth[row.utterance_id] for row in sure if truth.get(row.utterance_id) is not None]
    right = f"right {sum(scored) / len(scored):.3f}" if scored else "none of them with a label"
    out.print(f"answered {len(sure)} of {len(predictions)} ({len(sure) / len(predictions):.3f}), {right}")


def _score_robustness(
    run: RunFolder,
    predictor: Any,
    manifest: Manifest,
    clean: Any,
    folder: Path,
    name: str,
    resamples: int,
    notes: Sequence[str],
) -> int:
    """Every degradation, its page and a line on each; how many predictions failed."""
    with needs("train"):
        from emotune.evaluation.robustness.run import FOLDER, run_robustness
        from emotune.report.robustness_page import PAGE, write_robustness
        from emotune.report.score_run import seen_before
    found = run_robustness(predictor, manifest, clean, folder / FOLDER, resamples=resamples, progress=show_progress)
    title = f"{run.information().get('recipe', run.path.name)}: {name}, robustness"
    seen = seen_before(Manifest.read(run.manifest), manifest)
    notice = run.information().get("notice")
    write_robustness(folder, found, title=title, notices=[*([notice] if notice else []), *seen, *notes])
    for item in found.effects:
        score, change = item.scores[found.metric], item.differences[found.metric]
        out.print(
            f"{item.name} {found.metric} {score.value:.3f}, change {change.in_words('+')}",
            markup=False,
        )
    warn_all(f"{degradation} left out: {reason}." for degradation, reason in found.skipped.items())
    out.print(f"robustness: {folder / PAGE}", markup=False)
    return found.failed
