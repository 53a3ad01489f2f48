"""emotune evaluate: predict and score one split of a run, or another manifest."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emotune.choices import Precision
from emotune.cli import sequences
from emotune.cli.console import Condition, counts_text, err, out, pairs, show_progress, warn_all
from emotune.cli.train import print_evaluation
from emotune.cli.ways import SEQUENCES, refuse_idle, refuse_others
from emotune.models.sequences.folder import find_sequences
from emotune.runtime.extras import needs

if TYPE_CHECKING:
    from emotune.evaluation.adversarial.audit import Audit
    from emotune.evaluation.robustness.run import Robustness
    from emotune.report.evaluate_run import EvaluatedRun
    from emotune.schema.manifest import Manifest
    from emotune.schema.predictions import Predictions


def evaluate(
    context: typer.Context,
    run_path: Annotated[
        str, typer.Argument(metavar="RUN", help="A run folder; or a model such as mini, with --manifest and -o.")
    ],
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
    adversarial: Annotated[
        bool, typer.Option("--adversarial", help="Also under attacks: an audit of your own model's robustness.")
    ] = False,
    attack: Annotated[
        list[str],
        typer.Option(help="--adversarial: one instead, such as pgd:snr_db=30 or fgsm:domain=log_mel,epsilon=0.05."),
    ] = [],
    attack_clips: Annotated[
        int | None, typer.Option(min=1, help="--adversarial: clips that are attacked at most, default 100.")
    ] = None,
    words: Annotated[
        bool,
        typer.Option("--words", help="Words or voice: also levelled, with the words filtered out, and exchanged."),
    ] = False,
    text_encoder: Annotated[
        str | None,
        typer.Option(help="Reads what the words say, fitted to the run's training split; default: a list of words."),
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; default a GPU where there is one.")] = None,
    precision: Annotated[
        Precision, typer.Option(help="int8 or bf16: faster, and the scores of fp32 beside them for comparison.")
    ] = "fp32",
    coverage: Annotated[
        float | None, typer.Option(help="Say 'uncertain' in predictions.csv beyond this share, such as 0.8.")
    ] = None,
    condition: Condition = [],
    figures_from: Annotated[
        Path | None,
        typer.Option(help="Score nothing: put the pooled figures of this run of folds into the model's card."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON, as report.json has them.")] = False,
) -> None:
    """Score a split that training did not see: table of predictions, report.json and report.html."""
    if find_sequences(run_path) is not None:
        refuse_idle(context, SEQUENCES, run_path)
        sequences.evaluate_run(run_path, split, output, resamples, device)
        return
    if figures_from is not None:
        refuse_others(context, "--figures-from")
        with needs("train"):
            from emotune.protocols.card import add_figures_of_folds
        for metric, score in add_figures_of_folds(run_path, figures_from).items():
            out.print(f"speakers left out {metric} {score.in_words()}", markup=False)
        out.print(f"card: {Path(run_path) / 'model' / 'README.md'}", markup=False)
        return
    with needs("train"):
        from emotune.report.evaluate_run import Scored, evaluate_run
        from emotune.report.score_attacks import Attacks
    found = evaluate_run(
        run_path,
        Scored(split, manifest_path, pairs(map, "--map", "CLASS=CLASS"), drop),
        output,
        shared=shared,
        robustness=robustness,
        attacks=Attacks.asked(adversarial, attack, attack_clips),
        words=words,
        text_encoder=text_encoder,
        resamples=resamples,
        device=device,
        coverage=coverage,
        precision=precision,
        conditions=pairs(condition, "--condition", "CONDITION=SOURCE"),
        progress=show_progress,
    )
    if found.class_changes:
        err.print(f"classes mapped: {counts_text(found.class_changes)}", markup=False)
    if as_json:
        typer.echo((found.folder / "report.json").read_text(encoding="utf-8").rstrip())
    else:
        _print(found, coverage, words=words)
    if found.failed:
        raise typer.Exit(1)


def _print(found: EvaluatedRun, coverage: float | None, *, words: bool) -> None:
    print_evaluation(found.evaluation, found.name, found.folder)
    for metric, value in found.exact_scores.items():
        scored = found.evaluation.overall.get(metric)
        if scored is not None:
            difference = scored.value - value
            out.print(f"{found.name} {metric} in fp32 {value:.3f}, difference {difference:+.4f}", markup=False)
    if words and found.evaluation.words is not None:
        verdict = found.evaluation.words.verdict
        out.print(f"words or voice: {verdict.name}. {verdict.reason}", markup=False)
    if coverage is not None:
        _print_answered(found.predictions, found.manifest)
    if found.robustness is not None:
        _print_robustness(found.robustness, found.folder)
    if found.audit is not None:
        _print_audit(found.audit, found.folder)


def _print_answered(predictions: Predictions, manifest: Manifest) -> None:
    """Prints the share that was answered at the coverage that was asked for, and the share of it that is right."""
    truth = {utterance.utterance_id: utterance.emotion for utterance in manifest}
    sure = [row for row in predictions if row.error is None and not row.uncertain]
    scored = [row.emotion == truth[row.utterance_id] for row in sure if truth.get(row.utterance_id) is not None]
    right = f"right {sum(scored) / len(scored):.3f}" if scored else "none of them with a label"
    out.print(f"answered {len(sure)} of {len(predictions)} ({len(sure) / len(predictions):.3f}), {right}")


def _print_robustness(found: Robustness, folder: Path) -> None:
    """A line for every degradation, and where the page lies."""
    from emotune.report.robustness_page import PAGE

    for item in found.effects:
        score, change = item.scores[found.metric], item.differences[found.metric]
        out.print(f"{item.name} {found.metric} {score.value:.3f}, change {change.in_words('+')}", markup=False)
    warn_all(f"{degradation} left out: {reason}." for degradation, reason in found.skipped.items())
    out.print(f"robustness: {folder / PAGE}", markup=False)


def _print_audit(found: Audit, folder: Path) -> None:
    """A line for every attack, and where page and example lie."""
    from emotune.report.adversarial_page import PAGE

    out.print(f"attacked {found.clips} of {found.of} clips, clean uar {found.clean.scores['uar'].value:.3f}")
    for item in found.effects:
        score, change = item.effect.scores["uar"], item.effect.differences["uar"]
        at = f", {item.size.snr_db:.1f} dB under the speech" if math.isfinite(item.size.snr_db) else ""
        at = ", half of the clips or more unchanged" if item.size.snr_db == math.inf else at
        seconds = f"{item.size.seconds:.2g} s a clip"
        out.print(
            f"{item.attack.slug} uar {score.value:.3f}, change {change.in_words('+')}{at}, {seconds}", markup=False
        )
    warn_all(f"{attack} left out: {reason}" for attack, reason in found.skipped.items())
    out.print(f"adversarial: {folder / PAGE}", markup=False)
