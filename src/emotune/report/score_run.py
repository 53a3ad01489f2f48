"""Score one split of a run: predictions table, report.json and report.html under the run folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emotune.conditions.origins import origins_used
from emotune.evaluation.earlier_training import EarlierTraining, earlier_in, earlier_notices, stamp_with_earlier
from emotune.evaluation.evaluate import evaluate
from emotune.evaluation.result import Evaluation
from emotune.evaluation.speaker_dependence import SpeakerDependence, speaker_dependence
from emotune.evaluation.words.against_voice import WordsAgainstVoice, words_against_voice
from emotune.evaluation.words.reader import LexiconReader
from emotune.io.hub import CARD, corpora_of
from emotune.report.evaluation_page import write_report
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions
from emotune.schema.run_folder import LoneModel, RunFolder
from emotune.schema.speakers import voice_of
from emotune.schema.splits import DEVELOPMENT, TRAIN

_UNKNOWN = SpeakerDependence(shared=0, scored=0, all_known=False)


def score_run(
    run: RunFolder,
    manifest: Manifest,
    predictions: Predictions,
    *,
    name: str,
    unrestricted: Predictions | None = None,
    folder: Path | None = None,
    resamples: int = 1000,
    held_out: bool = False,
    dependence: SpeakerDependence | None = None,
    earlier: Sequence[EarlierTraining] | None = None,
    extra: Mapping[str, Any] | None = None,
    notices: Sequence[str] = (),
    notes: Sequence[str] = (),
    words: WordsAgainstVoice | None = None,
) -> Evaluation:
    """Evaluate, and write ``predictions.csv`` and the report.

    Args:
        run: the run that the model comes from, or the model alone.
        manifest: the truth, one split or another corpus.
        predictions: of that manifest.
        name: of the split, for title and folder.
        unrestricted: as ``evaluate`` has it.
        folder: where to write; ``<run>/<name>`` when None.
        resamples: of the bootstrap.
        held_out: the predictions are of a cross-validation, so that what the run trained on says nothing.
        dependence: how far training heard the scored speakers, where the run's manifest does not say it.
        earlier: models that were learnt from, where the run's provenance does not say it.
        extra: more lines for the information table.
        notices: more banners.
        notes: what a reader should know of how truth and predictions came about.
        words: which of words and voice the answers go by; None = looked at without controls, where there are
            transcripts.
    """
    target = folder or run.results(name)
    used = origins_used(row.conditions_used for row in predictions)
    calibration = None if held_out else run.calibration()
    evaluation = evaluate(
        manifest, predictions, resamples=resamples, calibration=calibration, unrestricted=unrestricted
    )
    words = words or words_against_voice(manifest, predictions, LexiconReader(), resamples=resamples)
    predictions.write(target / "predictions.csv")
    about = run.information()
    banners = [*([about["notice"]] if about.get("notice") else []), *notices]
    stamp, seen = known_before(run, manifest, held_out=held_out, dependence=dependence, earlier=earlier)
    banners += seen
    evaluation = dataclasses.replace(evaluation, notes=(*seen, *notes, *evaluation.notes), words=words)
    shown = {
        key: about[key]
        for key in ("recipe", "description", "seed", "kind", "encoder", "pooling", "chosen", "emotune", "git_commit")
        if about.get(key) not in (None, "", {}, [])
        and not (key == "description" and "baseline" in str(about.get("kind")))  # it tells of an encoder
    }
    write_report(
        target,
        evaluation,
        title=title_of(run, name),
        information={
            "split": name,
            "speaker_dependent": stamp,
            **{
                key: manifest.information[key]
                for key in ("corpus", "licence", "reference")
                if key in manifest.information
            },
            **shown,
            **({"conditions_used": used} if used else {}),
            "manifest fingerprint": manifest.fingerprint(),
            "model fingerprint": predictions.model_fingerprint or "not saved as a model",
            **(extra or {}),
        },
        history=run.history(),
        notices=banners,
    )
    return evaluation


def title_of(run: RunFolder, name: str) -> str:
    """Title of a page about a run: its recipe and pooling, by which runs of one recipe often differ, and the split."""
    about = run.information()
    pooling = f", {about['pooling']} pooling" if about.get("pooling") else ""
    return f"{about.get('recipe', run.path.name)}{pooling}: {name}"


def known_before(
    run: RunFolder,
    manifest: Manifest,
    *,
    held_out: bool = False,
    dependence: SpeakerDependence | None = None,
    earlier: Sequence[EarlierTraining] | None = None,
) -> tuple[bool | str, list[str]]:
    """Speaker dependence of a run on what is scored, and sentences on what it, or a model before it, heard of that.

    Arguments are as for ``score_run``.
    """
    earlier = earlier_in(run.information()) if earlier is None else earlier
    if isinstance(run, LoneModel):
        dependence, seen = _UNKNOWN, [trained_elsewhere(run)]
    else:
        run_manifest = Manifest.read(run.manifest)
        trained_on = run_manifest.filter(lambda utterance: utterance.split == TRAIN and not held_out)
        dependence = dependence or speaker_dependence(trained_on, manifest)
        seen = dependence.notices + ([] if held_out else seen_before(run_manifest, manifest))
    return stamp_with_earlier(dependence.stamp, earlier, manifest), [*seen, *earlier_notices(earlier, manifest)]


def trained_elsewhere(model: LoneModel) -> str:
    """Says what the card of a model without its run names as its training data, or that nobody knows."""
    if corpora := corpora_of(model.path / CARD):
        return (
            f"By its card this model was trained on {', '.join(corpora)}: of recordings or speakers from there,"
            " whatever they are called here, figures are optimistic."
        )
    return (
        "This model's training data are not known here: where it heard some of these recordings or speakers, figures"
        " are optimistic."
    )


def seen_before(run_manifest: Manifest, manifest: Manifest) -> list[str]:
    """Says which of the scored utterances the run knew already, one sentence a fact; empty for an honest test.

    Speakers of the training split are not named here: ``speaker_dependence`` counts them.
    """
    sentences: list[str] = []
    for split, verb in ((TRAIN, "was trained on"), (DEVELOPMENT, "chose layer, epoch or settings by")):
        known = [utterance for utterance in run_manifest if utterance.split == split]
        contents = {utterance.content_sha256 for utterance in known} - {None}
        voices = {voice_of(utterance) for utterance in known} - {None}
        clips = sum(utterance.content_sha256 in contents for utterance in manifest)
        speakers = len({voice_of(utterance) for utterance in manifest} & voices)
        if clips:
            sentences.append(f"The model {verb} {clips} of these {len(manifest)} utterances: figures are optimistic.")
        elif speakers and split != "train":
            sentences.append(f"The model {verb} {speakers} of these speakers: figures are optimistic.")
    return sentences
