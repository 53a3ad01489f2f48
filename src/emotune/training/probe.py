"""Probes: linear models on frozen features, of an encoder's layers or of pitch and energy, as whole runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from emotune import acoustics, audio
from emotune.config import Recipe
from emotune.errors import CorpusError
from emotune.evaluation import Evaluation
from emotune.evaluation.score_run import score_run
from emotune.labels import LabelSpace
from emotune.manifest import Manifest
from emotune.models.backbones.base import Backbone
from emotune.models.emotion_model import EmotionModel
from emotune.predictions import Predictions, align
from emotune.preprocessing import Preprocessing
from emotune.progress import Progress, silent
from emotune.run_folder import RunFolder
from emotune.training import linear
from emotune.training.build import (
    DEVELOPMENT,
    TEST,
    TRAIN,
    build_backbone,
    build_label_space,
    build_manifest,
    build_preprocessing,
    count_parameters,
)
from emotune.training.features import layer_features, utterance_waveforms
from emotune.training.run import (
    Listener,
    Quiet,
    finish_run,
    metric_of,
    open_run,
    provenance_of,
    write_end,
    write_start,
)


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
    listener = listener or Quiet()
    run = RunFolder(folder)
    began = open_run(run, recipe)
    manifest = build_manifest(recipe, progress=progress)
    space = build_label_space(recipe, manifest)
    backbone = build_backbone(recipe)
    preprocessing = build_preprocessing(recipe, backbone)
    write_start(run, recipe, manifest, provenance_of(recipe, manifest, began, kind="probe"), listener)
    features = layer_features(
        backbone, preprocessing, manifest, pooling=recipe.probe.pooling, cache=recipe.probe.cache, progress=progress
    )[:, 1:]
    listener.say(f"features of {len(manifest)} utterances, {features.shape[1]} layers of {features.shape[2]}")
    score, grid = partial(metric_of, metric=recipe.train.metric), recipe.probe.inverse_regularisation
    if recipe.probe.leave_out is not None:
        predictions, choices = _leave_out(features, manifest, recipe, space, score, progress)
        for held_out, choice in choices.items():
            listener.say(f"held out {held_out}: layer {choice.layer + 1}, C {choice.inverse_regularisation:g}")
        chosen = {
            f"chosen without {name}": f"layer {choice.layer + 1}, C {choice.inverse_regularisation:g}"
            for name, choice in choices.items()
        }
        provenance = provenance_of(recipe, manifest, began, kind=f"probe, leave one {recipe.probe.leave_out} out")
        return _finish_without_model(run, manifest, predictions, provenance, chosen)
    train, development = _mask(manifest, TRAIN), _mask(manifest, DEVELOPMENT)
    started = time.perf_counter()
    choice = linear.choose(features, manifest, train, development, space, grid=grid, score=score)
    seconds = (time.perf_counter() - started) / len(choice.scores)
    for layer in range(features.shape[1]):
        best = max(choice.scores[(layer, strength)] for strength in grid)
        listener.say(f"layer {layer + 1}: development {recipe.train.metric} {best:.3f}")
    listener.say(
        f"chosen: layer {choice.layer + 1}, C {choice.inverse_regularisation:g}, development {choice.score:.3f};"
        f" {seconds:.2f} s a fit"
    )
    fitted = linear.fit_linear(
        features[train, choice.layer],
        manifest.split(TRAIN),
        space,
        inverse_regularisation=choice.inverse_regularisation,
    )
    model = _probe_model(backbone, recipe, choice.layer + 1, fitted, space)
    provenance = provenance_of(
        recipe,
        manifest,
        began,
        kind="probe",
        layer=choice.layer + 1,
        inverse_regularisation=choice.inverse_regularisation,
        seconds_per_fit=round(seconds, 4),
        **count_parameters(model),
    )
    return finish_run(run, recipe, model, preprocessing, manifest, provenance, progress)


def baseline_run(
    recipe: Recipe, folder: Path, *, listener: Listener | None = None, progress: Progress = silent
) -> tuple[str, Evaluation]:
    """Pitch and energy statistics with logistic regression: what any encoder should beat.

    Regularisation is chosen on development. Returns which split is scored, ``test`` where there is one, and the scores.

    Raises:
        ConfigError, CorpusError: as ``train_run`` does.
    """
    listener = listener or Quiet()
    run = RunFolder(folder)
    began = open_run(run, recipe)
    manifest = build_manifest(recipe, progress=progress)
    space = build_label_space(recipe, manifest)
    write_start(
        run, recipe, manifest, provenance_of(recipe, manifest, began, kind="pitch and energy baseline"), listener
    )
    waveforms = utterance_waveforms(manifest, Preprocessing(max_duration_s=float("inf"), min_samples=1))
    rows = [
        acoustics.functionals(waveform, audio.SAMPLING_RATE_HZ)
        for _, waveform in progress(waveforms, total=len(manifest), title="pitch and energy")
    ]
    train, development = _mask(manifest, TRAIN), _mask(manifest, DEVELOPMENT)
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
    name = TEST if any(utterance.split == TEST for utterance in manifest) else DEVELOPMENT
    part = manifest.split(name)
    chosen = Predictions(tuple(align(predictions, [u.utterance_id for u in part])), space)
    evaluation = score_run(run, part, chosen, name=name, extra={"model": "pitch and energy, logistic regression"})
    write_end(run, provenance_of(recipe, manifest, began, kind="pitch and energy baseline"))
    return name, evaluation


def _mask(manifest: Manifest, split: str) -> np.ndarray:
    manifest.split(split)
    return np.array([utterance.split == split for utterance in manifest])


def _leave_out(
    features: np.ndarray,
    manifest: Manifest,
    recipe: Recipe,
    space: LabelSpace,
    score: linear.Score,
    progress: Progress,
) -> tuple[Predictions, dict[str, linear.Choice]]:
    column = recipe.probe.leave_out
    assert column is not None
    groups = [getattr(utterance, column) for utterance in manifest]
    if any(group is None for group in groups):
        raise CorpusError(f"probe.leave_out: {column} needs a {column} for every utterance; some have none.")
    grid = recipe.probe.inverse_regularisation
    return linear.leave_groups_out(features, manifest, groups, space, grid=grid, score=score, progress=progress)


def _probe_model(
    backbone: Backbone, recipe: Recipe, layer: int, fitted: linear.LinearModel, space: LabelSpace
) -> EmotionModel:
    """The probe as an emotion model: the encoder cut after the chosen layer, its last state, pooling, linear heads."""
    cut = type(backbone).from_config(backbone.config, layers=layer)
    weights = backbone.state_dict()
    cut.load_state_dict({name: weights[name] for name in cut.state_dict()})
    model = EmotionModel(cut, space, layer_mix="last", pooling=recipe.probe.pooling)
    linear.copy_into(model, fitted)
    return model.eval()


def _finish_without_model(
    run: RunFolder,
    manifest: Manifest,
    predictions: Predictions,
    provenance: Mapping[str, Any],
    extra: Mapping[str, str],
) -> Evaluation:
    evaluation = score_run(run, manifest, predictions, name="all", extra=extra)
    write_end(run, provenance)
    return evaluation
