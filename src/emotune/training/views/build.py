"""From a recipe with task views to what pre-training works with."""

from __future__ import annotations

from functools import partial

import torch

from emotune.config.recipe import Recipe
from emotune.config.views import ViewsOptions
from emotune.data.dataset import EmotionDataset
from emotune.errors import CorpusError
from emotune.losses.contrastive import PairwiseInfoNCE
from emotune.models.backbones.base import Backbone
from emotune.models.emotion_model import EmotionModel
from emotune.models.views import VIEWS
from emotune.models.views.encoder import refuse_otherwise_normalised
from emotune.models.views.view import View
from emotune.models.views.view_model import ViewModel
from emotune.schema.labels import LabelSpace
from emotune.training.build import build_augmentation, build_cache, build_model
from emotune.training.features import pooled_features, pooled_together
from emotune.training.fine_tune import remember
from emotune.training.pretraining.pretraining import Pretraining, PretrainingData
from emotune.training.views.data import clip_truth, measured_numbers, refuse_unknown_speakers
from emotune.training.views.score import view_scores
from emotune.training.views.views_task import CLIP, ViewsTask

_FEWEST = 2  # a single clip would always find itself


def build_views(recipe: Recipe, encoder: Backbone, data: PretrainingData) -> Pretraining:
    """Builds the recipe's model without heads, the views beside it, and the task of their agreement.

    Raises:
        CorpusError: for too few recordings, or unknown speakers where negatives are chosen by them.
        ConfigError, ModelError: for a view that cannot be had.
    """
    options = recipe.task
    assert isinstance(options, ViewsOptions)
    whole = data.learnt.replace_utterances([*data.learnt, *data.held_out])
    if len(data.held_out) < _FEWEST:
        raise CorpusError(
            f"Pre-training by views needs {_FEWEST} recordings that choose the epoch, which a twentieth of"
            f" {len(whole)} is not: give it 30 or more."
        )
    if options.same_speaker != "keep":
        refuse_unknown_speakers(whole)
    trunk = build_model(recipe, LabelSpace(()), encoder)
    torch.manual_seed(recipe.seed)
    others: dict[str, View] = {}
    for name, section in options.beside.items():
        others[name] = VIEWS[name](**section.model_dump())
        refuse_otherwise_normalised(name, others[name], encoder.normalize)
    model = ViewModel(trunk, others, width=options.width)
    measured = partial(
        measured_numbers,
        others,
        preprocessing=data.preprocessing,
        cache=options.cache.expanduser(),
        progress=data.progress,
    )
    numbers = measured(data.learnt)
    for view in others.values():
        if view.measures is not None:
            view.fit(torch.from_numpy(numbers[view.measures]))
    remember(trunk, recipe)
    truths = {CLIP: clip_truth(whole)}
    plain = EmotionDataset(
        data.held_out, truths, data.preprocessing, cache=build_cache(recipe), conditions=measured(data.held_out)
    )
    dataset = EmotionDataset(
        data.learnt,
        truths,
        data.preprocessing,
        augmentation=build_augmentation(recipe),
        cache=build_cache(recipe),
        conditions=numbers,
        seed=recipe.seed,
    )
    loss = PairwiseInfoNCE(
        temperature=options.temperature, hardness=options.hardness, same_speaker=options.same_speaker
    )
    return Pretraining(
        model,
        ViewsTask(loss, width=options.width),
        dataset,
        partial(view_scores, plain, loss, recipe.train.batch_seconds),
        "retrieval",
        lambda trained: trained.model.backbone,
        {
            "views": f"{', '.join(model.names)}, which learnt to find each other's clips (after arXiv 2406.07900)",
            "retrieval by chance": f"{1 / len(data.held_out):.3f}",
        },
        partial(kept, data),
        partial(standardize, data),
    )


def standardize(data: PretrainingData, model: ViewModel) -> None:
    """Measures what the untrained model's pooled features are standardised by, over the clips that are learnt from."""
    features = torch.from_numpy(pooled_together(model.model, data.preprocessing, data.learnt, progress=data.progress))
    model.standardize.fit(features)


def kept(data: PretrainingData, model: ViewModel) -> EmotionModel:
    """The recipe's own model on the CPU, its pooled features standardised over the clips that were learnt from."""
    trunk = model.model
    features = torch.from_numpy(pooled_features(trunk, data.preprocessing, data.learnt, progress=data.progress))
    trunk.standardize.fit(features)
    trunk.merge_adapter()
    return trunk.cpu().eval()
