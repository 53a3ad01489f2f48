"""Figures of multi-view pre-training: views of a clip that find each other, and the spread of clips in their space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from emotune.audio import SAMPLING_RATE_HZ
from emotune.audio.preprocessing import batches_under
from emotune.batch import Batch
from emotune.data.dataset import EmotionDataset, collate
from emotune.losses.contrastive import PairwiseInfoNCE
from emotune.models.views.view_model import ViewModel
from emotune.training.loop import processes
from emotune.training.views.views_task import CLIP


def view_scores(
    dataset: EmotionDataset, loss: PairwiseInfoNCE, batch_seconds: float, model: ViewModel
) -> dict[str, float]:
    """``retrieval``, that of each pair of views, ``alignment``, ``uniformity`` and ``info_nce`` over all clips at once.

    Each process embeds its part, and every one gets the figures of all.

    Args:
        dataset: the clips, as they are.
        loss: that of training.
        batch_seconds: longest padded batch.
        model: to score.
    """
    was_training, device = model.training, next(model.parameters()).device
    model.eval()

    def own_part(rows: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        found: dict[int, tuple[Tensor, Tensor]] = {}
        with torch.inference_mode():
            for part, batch in _batches(dataset, rows, batch_seconds):
                views = torch.stack(list(model(batch.to(device)).values()), dim=1).cpu()
                found |= {row: (views[place], batch.targets[CLIP][place]) for place, row in enumerate(part)}
        return [found[row] for row in rows]

    try:
        embedded = processes.shared_out(range(len(dataset)), own_part)
    finally:
        model.train(was_training)
    views, numbers = (torch.stack([row[place] for row in embedded]) for place in (0, 1))
    names = model.names
    pairs = {
        f"retrieval_{one}_{other}": retrieval(views[:, names.index(one)], views[:, names.index(other)])
        for one, other in combinations(names, 2)
    }
    return {
        "retrieval": float(np.mean(list(pairs.values()))),
        **pairs,
        "alignment": alignment(views),
        "uniformity": uniformity(views),
        "info_nce": float(loss(views, numbers[:, 0], numbers[:, 1])),
    }


def retrieval(one: Tensor, other: Tensor) -> float:
    """Share of clips whose nearest clip in the other view is themselves, the mean of both ways; each (clips, width).

    By chance it is 1 over the number of clips. A clip that is no nearer than another one is not found.
    """
    likeness = one @ other.T
    own = likeness.diagonal()
    foreign = likeness.masked_fill(torch.eye(len(own), dtype=torch.bool, device=own.device), -torch.inf)
    hits = [(own > foreign.amax(dim=dim)).float().mean() for dim in (0, 1)]
    return float(torch.stack(hits).mean())


def alignment(views: Tensor) -> float:
    """Mean squared distance of two views of a clip, in [0, 4]; views has shape (clips, views, width), of unit length.

    Reference:
        Wang and Isola (2020), Understanding Contrastive Representation Learning through Alignment and Uniformity on the
        Hypersphere, arXiv 2005.10242, section 4.1.1.
    """
    pairs = combinations(range(views.shape[1]), 2)
    return float(np.mean([float((views[:, a] - views[:, b]).square().sum(dim=1).mean()) for a, b in pairs]))


def uniformity(views: Tensor) -> float:
    """Mean over views of log mean exp(-2 d^2) over every two clips: 0 where all lie together, lower where they spread.

    NaN for a single clip.

    Reference:
        As ``alignment``, section 4.1.2, with t = 2.
    """
    if len(views) < 2:
        return float("nan")
    found = [torch.pdist(views[:, view].float()).square().mul(-2).exp().mean().log() for view in range(views.shape[1])]
    return float(torch.stack(found).mean())


def _batches(dataset: EmotionDataset, rows: Sequence[int], batch_seconds: float) -> Iterator[tuple[list[int], Batch]]:
    """Clips in padded batches of similar length, with their rows."""
    by_length = sorted(rows, key=lambda row: dataset.manifest.utterances[row].duration_s or 0.0)
    prepared = ((row, dataset[(0, row)]) for row in by_length)
    limit = batch_seconds * SAMPLING_RATE_HZ
    for batch in batches_under(prepared, samples_of=lambda item: len(item[1].waveform), limit=limit):
        yield [row for row, _ in batch], collate([example for _, example in batch])
