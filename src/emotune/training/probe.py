"""Probes: linear models on frozen features, of an encoder's layers or of pitch and energy, as whole runs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from emotune import audio
from emotune.audio import acoustics
from emotune.audio.preprocessing import Preprocessing
from emotune.config.conditions import ConditionsSection
from emotune.config.recipe import Recipe
from emotune.config.tasks import refuse_task
from emotune.errors import ConfigError, CorpusError
from emotune.evaluation import Evaluation
from emotune.evaluation.earlier_training import earlier_in
from emotune.evaluation.speaker_dependence import SpeakerDependence, speaker_dependence_of_parts
from emotune.models.backbones.base import Backbone
from emotune.models.emotion_model import EmotionModel
from emotune.report.score_run import Remarks, score_run
from emotune.report.seen_before import SeenBefore
from emotune.runtime.listener import Listener
from emotune.runtime.progress import Progress, silent
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions, align
from emotune.schema.run_folder import RunFolder
from emotune.schema.splits import DEVELOPMENT, TRAIN, held_out
from emotune.training import linear
from emotune.training.build import (
    best_device,
    build_augmentation,
    build_backbone,
    build_label_space,
    build_preprocessing,
    settle_lengths,
)
from emotune.training.features import AugmentedCopy, layer_features, utterance_waveforms
from emotune.training.heard_before import earlier_models, refuse_heard
from emotune.training.manifest import build_manifest
from emotune.training.parameters import count_parameters
from emotune.training.run import (
    Beginning,
    few_choosers,
    finish_run,
    metric_of,
    opened,
    provenance_of,
    write_end,
    write_start,
)
from emotune.training.sampling import mean_times
from emotune.training.speaker_means import without_speaker_means


@dataclass(frozen=True)
class _Probing:
    """Data and options of both ways of probing; features have shape (utterances, layers, features), layer 1 first.

    Args:
        copies: features of augmented copies of the training utterances, each of shape (training utterances, layers,
            features).
    """

    run: RunFolder
    recipe: Recipe
    manifest: Manifest
    space: LabelSpace
    backbone: Backbone
    preprocessing: Preprocessing
    features: np.ndarray
    copies: Sequence[np.ndarray]
    provenance: Mapping[str, Any]

    @property
    def grid(self) -> list[float]:
        return self.recipe.probe.inverse_regularisation

    @property
    def score(self) -> linear.Score:
        return partial(metric_of, metric=self.recipe.train.metric)


def probe_run(
    recipe: Recipe, folder: Path, *, listener: Listener | None = None, progress: Progress = silent
) -> Evaluation:
    """Linear probe on frozen features: layer and regularisation chosen on development, the model saved as any other.

    Candidates are the outputs of the layers, not the input of the first. With ``probe.leave_out`` every speaker is
    predicted by a probe that never saw it; then there is no single model to save, and predictions and report of all
    speakers lie under ``all``.

    Raises:
        ConfigError, CorpusError: as ``train_run`` does.
    """
    listener = listener or Listener()
    run = RunFolder(folder)
    with opened(run, recipe, "probe") as began:
        return _probe_run(recipe, run, began, listener, progress)


def _probe_run(recipe: Recipe, run: RunFolder, began: Beginning, listener: Listener, progress: Progress) -> Evaluation:
    if recipe.model.conditions != ConditionsSection():
        raise ConfigError("A probe learns from the sound alone: leave model.conditions out, or use `emotune train`.")
    refuse_task(recipe, learner="A probe")
    if recipe.model.second is not None:
        raise ConfigError("A probe learns from one encoder: leave model.second out, or use `emotune train`.")
    manifest, earlier = build_manifest(recipe, progress=progress), earlier_models(recipe)
    if recipe.probe.leave_out is None:  # what cannot be probed is refused before the long work
        manifest.split(TRAIN)
        manifest.split(DEVELOPMENT)
        refuse_heard(earlier, held_out(manifest), allow=recipe.data.allow)
    else:
        _groups(manifest, recipe.probe.leave_out)
        refuse_heard(earlier, manifest, allow=recipe.data.allow)
    backbone = build_backbone(recipe).to(best_device())
    preprocessing = build_preprocessing(recipe, backbone)
    learnt = (TRAIN, DEVELOPMENT) if recipe.probe.leave_out is None else ()
    manifest = settle_lengths(recipe, manifest, preprocessing, learnt=learnt)
    provenance = provenance_of(recipe, manifest, began, kind="probe", earlier=earlier)
    write_start(run, recipe, manifest, provenance, listener, earlier=earlier)
    features_of = partial(
        layer_features,
        backbone,
        preprocessing,
        pooling=recipe.probe.pooling,
        cache=recipe.probe.cache.expanduser(),
        progress=progress,
    )
    features = features_of(manifest)[:, 1:]
    copies = [features_of(manifest.split(TRAIN), copy=copy)[:, 1:] for copy in _copies(recipe)]
    listener.say(f"features of {len(manifest)} utterances, {features.shape[1]} layers of {features.shape[2]}")
    if copies:
        listener.say(f"augmented copies of each training utterance: {len(copies)}")
    space = build_label_space(recipe, manifest)
    probing = _Probing(run, recipe, manifest, space, backbone, preprocessing, features, copies, provenance)
    if recipe.probe.leave_out is None:
        return _probe_on_development(probing, listener, progress)
    return _probe_leaving_out(probing, listener, progress)


def _copies(recipe: Recipe) -> list[AugmentedCopy]:
    """The augmented copies that the recipe asks for, numbered from 1."""
    augmentation = build_augmentation(recipe)
    settings = recipe.augmentation.model_dump(mode="json")
    return [AugmentedCopy(augmentation, settings, recipe.seed, number + 1) for number in range(recipe.probe.copies)]


def _with_copies(probing: _Probing) -> tuple[Manifest, np.ndarray, np.ndarray]:
    """Manifest and features with the copies behind the utterances, and how often each row counts in training.

    Half of what ``train.sampling`` draws of an utterance is the clip itself, the other half its copies.
    """
    manifest, copies = probing.manifest, probing.copies
    train = manifest.split(TRAIN)
    drawn = mean_times(train, probing.recipe.train.sampling)
    times = np.ones(len(manifest))
    times[_mask(manifest, TRAIN)] = drawn / 2 if copies else drawn
    return (
        manifest.replace_utterances([*manifest, *train.utterances * len(copies)]),
        np.concatenate([probing.features, *copies]),
        np.concatenate([times, *[drawn / (2 * len(copies)) for _ in copies]]),
    )


def _probe_on_development(probing: _Probing, listener: Listener, progress: Progress) -> Evaluation:
    recipe = probing.recipe
    manifest, features, times = _with_copies(probing)
    train, development = _mask(manifest, TRAIN), _mask(manifest, DEVELOPMENT)
    if recipe.probe.standardize == "speaker":
        features[train] = without_speaker_means(features[train], [u.speaker for u in manifest.split(TRAIN)])
    started = time.perf_counter()
    choice = linear.choose(
        *(features, manifest, train, development, probing.space),
        grid=probing.grid,
        score=probing.score,
        times=times,
        progress=progress,
    )
    seconds = (time.perf_counter() - started) / len(choice.scores)
    for layer in range(features.shape[1]):
        best = max(choice.scores[(layer, strength)] for strength in probing.grid)
        listener.say(f"layer {layer + 1}: development {recipe.train.metric} {best:.3f}")
    tied = [str(layer + 1) for layer in choice.tied_layers]
    simplest = f", the lowest of layers {', '.join(tied)}, which are equal" if len(tied) > 1 else ""
    listener.say(f"chosen: {_chosen(choice)}, development {choice.score:.3f}{simplest}; {seconds:.2f} s a fit")
    fitted = linear.fit_linear(
        features[train, choice.layer],
        manifest.split(TRAIN),
        probing.space,
        inverse_regularisation=choice.inverse_regularisation,
        times=times[train],
    )
    model = _probe_model(probing, choice.layer + 1, fitted)
    found = {"chosen": _chosen(choice), "seconds_per_fit": round(seconds, 4), **count_parameters(model)}
    provenance = {**probing.provenance, **found}
    return finish_run(probing.run, recipe, model, probing.preprocessing, probing.manifest, provenance, progress)


def _probe_leaving_out(probing: _Probing, listener: Listener, progress: Progress) -> Evaluation:
    manifest, column = probing.manifest, str(probing.recipe.probe.leave_out)
    predictions, choices = linear.leave_groups_out(
        probing.features,
        manifest,
        _groups(manifest, column),
        probing.space,
        grid=probing.grid,
        score=probing.score,
        progress=progress,
    )
    for name, choice in choices.items():
        listener.say(f"held out {name}: {_chosen(choice)}")
    chosen = {f"chosen without {name}": _chosen(choice) for name, choice in choices.items()}
    kind = f"probe, leave one {column} out"
    extra = {"kind": kind, **chosen}
    seen = SeenBefore.of(manifest, _dependence(manifest, column), earlier_in(probing.provenance))
    remarks = Remarks(extra, seen=seen)
    evaluation = score_run(probing.run, manifest, predictions, name="all", remarks=remarks)
    write_end(probing.run, {**probing.provenance, **extra})
    return evaluation


def _chosen(choice: linear.LayerChoice) -> str:
    return f"layer {choice.layer + 1}, C {choice.inverse_regularisation:g}"


def baseline_run(
    recipe: Recipe, folder: Path, *, listener: Listener | None = None, progress: Progress = silent
) -> dict[str, Evaluation]:
    """Pitch and energy statistics with logistic regression: what any encoder should beat.

    Regularisation is chosen on development. Returns the evaluation of every split but the training split, by its name.

    Raises:
        ConfigError, CorpusError: as ``train_run`` does.
    """
    listener = listener or Listener()
    run = RunFolder(folder)
    with opened(run, recipe, "pitch and energy baseline") as began:
        return _baseline_run(recipe, run, began, listener, progress)


def _baseline_run(
    recipe: Recipe, run: RunFolder, began: Beginning, listener: Listener, progress: Progress
) -> dict[str, Evaluation]:
    refuse_task(recipe, learner="The baseline")
    if recipe.probe.leave_out is not None:
        raise ConfigError(
            "The baseline leaves no one out: set probe.leave_out=null; protocol=folds, or one of `emotune protocols`,"
            " tests every speaker."
        )
    manifest = build_manifest(recipe, progress=progress)
    train, development = _mask(manifest, TRAIN), _mask(manifest, DEVELOPMENT)
    space = build_label_space(recipe, manifest)
    write_start(
        run, recipe, manifest, provenance_of(recipe, manifest, began, kind="pitch and energy baseline"), listener
    )
    waveforms = utterance_waveforms(manifest, Preprocessing(max_duration_s=float("inf"), min_samples=1))
    rows = [
        acoustics.functionals(waveform, audio.SAMPLING_RATE_HZ)
        for _, waveform in progress(waveforms, total=len(manifest), title="pitch and energy")
    ]
    features = np.array(rows)
    usable = ~np.isnan(features[train]).all(axis=0)
    features = features[:, usable]
    features = np.where(np.isnan(features), np.nanmean(features[train], axis=0), features)[:, None, :]
    choice = linear.choose(
        features,
        manifest,
        train,
        development,
        space,
        grid=recipe.probe.inverse_regularisation,
        score=partial(metric_of, metric=recipe.train.metric),
    )
    fitted = linear.fit_linear(
        features[train, 0], manifest.split(TRAIN), space, inverse_regularisation=choice.inverse_regularisation
    )
    predictions = linear.predict_linear(fitted, features[:, 0], manifest, space)
    remarks = Remarks(
        {"model": "pitch and energy, logistic regression"},
        notes=few_choosers(manifest.split(DEVELOPMENT), chose="Regularisation"),
    )
    evaluations = {}
    for name in sorted({str(utterance.split) for utterance in held_out(manifest)}):
        part = manifest.split(name)
        chosen = Predictions(tuple(align(predictions, [u.utterance_id for u in part])), space)
        evaluations[name] = score_run(run, part, chosen, name=name, remarks=remarks)
    write_end(run, provenance_of(recipe, manifest, began, kind="pitch and energy baseline"))
    return evaluations


def _mask(manifest: Manifest, split: str) -> np.ndarray:
    manifest.split(split)
    return np.array([utterance.split == split for utterance in manifest])


def _groups(manifest: Manifest, column: str) -> list[str]:
    groups = [getattr(utterance, column) for utterance in manifest]
    if any(group is None for group in groups):
        raise CorpusError(f"probe.leave_out: {column} needs a {column} for every utterance; some have none.")
    return groups


def _dependence(manifest: Manifest, column: str) -> SpeakerDependence:
    """Counts the speakers of each group that are in another one, as those of a session may be."""
    groups = sorted(set(_groups(manifest, column)))
    return speaker_dependence_of_parts(
        (
            manifest.filter(lambda u, group=group: getattr(u, column) != group),
            manifest.filter(lambda u, group=group: getattr(u, column) == group),
        )
        for group in groups
    )


def _probe_model(probing: _Probing, layer: int, fitted: linear.LinearModel) -> EmotionModel:
    """The probe as an emotion model: the encoder cut after the chosen layer, its last state, pooling, linear heads."""
    final_norm = probing.backbone.final_norm is not None and layer == probing.backbone.num_layers
    cut = type(probing.backbone).from_config({**probing.backbone.config, "final_norm": final_norm}, layers=layer)
    weights = probing.backbone.state_dict()
    cut.load_state_dict({name: weights[name] for name in cut.state_dict()})
    model = EmotionModel(cut, probing.space, layer_mix="last", pooling=probing.recipe.probe.pooling)
    linear.copy_into(model, [fitted])
    model.choose_trainable(layers="none", front_end=False)
    return model.eval()
