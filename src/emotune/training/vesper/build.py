"""From a recipe with task vesper to what pre-training works with."""

from __future__ import annotations

from functools import partial

import torch

from emotune.config.recipe import Recipe
from emotune.config.tasks import VesperOptions
from emotune.data.dataset import EmotionDataset, collate
from emotune.models.backbones.base import Backbone
from emotune.training.build import build_augmentation, build_cache, hears_the_same
from emotune.training.loop import processes
from emotune.training.pretraining.pretraining import Pretraining, PretrainingData
from emotune.training.vesper.data import HiddenSpans
from emotune.training.vesper.student import VesperStudent, with_copied_layers
from emotune.training.vesper.task import VesperTask


def build_vesper(recipe: Recipe, encoder: Backbone, data: PretrainingData) -> Pretraining:
    """Builds the student of an encoder and the task of its lessons.

    Raises:
        ConfigError: for a number of layers that cannot be copied evenly.
    """
    options = recipe.task
    assert isinstance(options, VesperOptions)
    student = with_copied_layers(encoder, options.layers)
    student.recompute_layers = recipe.train.gradient_checkpointing
    torch.manual_seed(recipe.seed)
    model = VesperStudent(student)
    task = VesperTask(encoder, kept_gb=recipe.train.states_gb if hears_the_same(recipe) else 0.0)
    dataset = HiddenSpans(
        data.learnt,
        data.preprocessing,
        hop=round(data.preprocessing.sampling_rate_hz / encoder.frame_rate_hz),
        augmentation=build_augmentation(recipe),
        cache=build_cache(recipe),
        seed=recipe.seed,
    )
    held_out = EmotionDataset(data.held_out, {}, data.preprocessing, cache=build_cache(recipe))
    copied = range(0, encoder.num_layers, encoder.num_layers // options.layers)
    return Pretraining(
        model,
        task,
        dataset,
        partial(explained, task, held_out),
        "explained",
        lambda trained: trained.backbone,
        {
            "layers": f"{options.layers} of {encoder.num_layers}, copied from {', '.join(map(str, copied))}, counted"
            " from 0, then taught by the whole encoder (Vesper, arXiv 2307.10757)",
        },
    )


@torch.no_grad()
def explained(task: VesperTask, held_out: EmotionDataset, model: VesperStudent) -> dict[str, float]:
    """``explained``, the share of the variance of the encoder's middle state that the student's last layer tells.

    Nothing is hidden from it meanwhile.

    Each process scores its part of the clips, and every one gets the figure of all.
    """
    was_training, device = model.training, next(model.parameters()).device
    model.eval()

    def sums(places: list[int]) -> list[torch.Tensor]:
        found = []
        for place in places:
            batch = collate([held_out[0, place]]).to(device)
            true, said = task.taught(batch)[0][0].double(), model.heard(batch).double()
            error = (said - true).square().sum(dim=0)
            found.append(torch.stack([error, true.sum(dim=0), true.square().sum(dim=0), len(true) + 0 * error]).cpu())
        return found

    parts = processes.shared_out(range(len(held_out)), sums)
    model.train(was_training)
    error, total, squares, frames = torch.stack(parts).sum(dim=0)
    return {"explained": float(1 - error.sum() / (squares - total.square() / frames).sum())}
