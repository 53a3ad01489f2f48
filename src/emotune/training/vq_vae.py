"""Discrete speech codes that are learnt: a VQ-VAE over the frame states of a frozen encoder, by the training loop."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from emotune.audio.preprocessing import Preprocessing
from emotune.batch import Batch
from emotune.config.training import TrainSection
from emotune.data.dataset import EmotionDataset
from emotune.data.loading import Loading
from emotune.models.backbones.base import Backbone
from emotune.runtime.listener import Listener
from emotune.schema.manifest import Manifest
from emotune.training.loop.task import Task
from emotune.training.loop.trainer import Trainer, batches_of

_COMMITMENT = 0.25
"""Weight of the commitment loss, beta of van den Oord et al."""
_LR = 3e-3
_SCORE = "explained"
_FIRST_CLIPS, _SCORED_FRAMES = 200, 20_000
"""Clips whose frames give mean, deviation and first codes, and on how many of them each epoch is scored."""


@dataclass(frozen=True)
class QuantisedFrames:
    """Real frames of a batch, each shape (frames, features): before, within and behind the quantisation.

    ``codes`` has shape (frames,).
    """

    states: Tensor
    decoded: Tensor
    projected: Tensor
    quantised: Tensor
    codes: Tensor


class VqVae(nn.Module):
    """Linear encoder, nearest code, decoder with one hidden layer, over standardised states of a frozen encoder.

    Args:
        backbone: the encoder, whose parameters are frozen.
        layer: the state that is coded.
        codes: how many there are.
        size: of a code's vector.

    Reference:
        van den Oord et al. (2017), Neural Discrete Representation Learning, arXiv 1711.00937.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, backbone: Backbone, layer: int, *, codes: int, size: int) -> None:
        super().__init__()
        self.backbone = backbone.requires_grad_(False)
        self.layer = layer
        features = backbone.hidden_size
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("deviation", torch.ones(features))
        self.encoder = nn.Linear(features, size)
        self.codebook = nn.Parameter(torch.zeros(codes, size))
        self.decoder = nn.Sequential(nn.Linear(size, features), nn.GELU(), nn.Linear(features, features))

    def train(self, mode: bool = True) -> VqVae:
        """As ``nn.Module.train``; the encoder of speech stays in evaluation mode."""
        super().train(mode)
        self.backbone.eval()
        return self

    def states(self, batch: Batch) -> Tensor:
        """Standardised states of a batch's real frames, shape (frames, features)."""
        with torch.no_grad():
            found = self.backbone(batch.waveforms, batch.mask)
        return (found.states[self.layer][found.mask] - self.mean) / self.deviation

    def forward(self, batch: Batch) -> QuantisedFrames:
        """Codes a batch's frames, and decodes the codes."""
        states = self.states(batch)
        projected = self.encoder(states)
        codes = torch.cdist(projected.detach(), self.codebook.detach()).argmin(dim=1)
        quantised = self.codebook[codes]
        passed = projected + (quantised - projected).detach()  # the gradient passes straight through
        return QuantisedFrames(states, self.decoder(passed), projected, quantised, codes)

    @torch.no_grad()
    def start_from(self, states: Tensor, generator: torch.Generator) -> None:
        """Takes mean and deviation of states, shape (frames, features), and begins codes at some of them.

        Raises:
            ValueError: for fewer frames than codes.
        """
        count = len(self.codebook)
        if len(states) < count:
            raise ValueError(f"{len(states)} frames, expected at least one for each of {count} codes")
        self.mean.copy_(states.mean(dim=0))
        self.deviation.copy_(states.std(dim=0).clamp(min=1e-5))
        drawn = states[torch.randperm(len(states), generator=generator)[:count]]
        self.codebook.copy_(self.encoder((drawn - self.mean) / self.deviation))

    @torch.no_grad()
    def flat(self) -> tuple[Tensor, Tensor, Tensor]:
        """Weight (size, features) and bias (size,) that map raw states to codes' space, and the codes (codes, size)."""
        weight = self.encoder.weight / self.deviation
        return weight, self.encoder.bias - weight @ self.mean, self.codebook.detach().clone()


class QuantisationTask(Task[QuantisedFrames]):
    """Teaches codes to stand for frames: reconstruction, codes to frames, and frames to their codes."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self._frames_of = backbone.frame_count

    def normalisers(self, batch: Batch) -> Mapping[str, Tensor]:
        """Real frames of the batch, for each of the means."""
        frames = self._frames_of(batch.mask.sum(dim=1)).sum().float()
        return dict.fromkeys(("reconstruction", "codebook", "commitment"), frames)

    def mean_losses(
        self, output: QuantisedFrames, batch: Batch, normalisers: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Mean squared errors of what is decoded, of codes, and of frames against their codes."""

        def summed(one: Tensor, other: Tensor) -> Tensor:
            return functional.mse_loss(one, other, reduction="none").mean(dim=1).sum()

        parts = {
            "reconstruction": summed(output.decoded, output.states),
            "codebook": summed(output.quantised, output.projected.detach()),
            "commitment": _COMMITMENT * summed(output.projected, output.quantised.detach()),
        }
        return {name: part / normalisers[name] for name, part in parts.items()}

    def everything(self, output: QuantisedFrames) -> Tensor:
        """Scalar of all that is trained."""
        return output.decoded.sum() + output.quantised.sum() + output.projected.sum()


def fit_vq_vae(
    backbone: Backbone,
    preprocessing: Preprocessing,
    training: Manifest,
    *,
    layer: int,
    codes: int,
    size: int = 32,
    epochs: int = 4,
    seed: int = 0,
    listener: Listener | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Trains a VQ-VAE by the training loop; gives what ``VqVae.flat`` does.

    Args:
        backbone: a frozen encoder.
        preprocessing: of its clips.
        training: utterances with their durations.
        layer: the state that is coded.
        codes: how many there are.
        size: of a code's vector.
        epochs: through the utterances.
        seed: of the first weights and of the order.
        listener: hears of every epoch.

    Raises:
        ValueError: for fewer frames than codes.
        EmotuneError: for a recording that cannot be used.
    """
    torch.manual_seed(seed)
    model = VqVae(backbone, layer, codes=codes, size=size)
    dataset = EmotionDataset(training, {}, preprocessing, seed=seed)
    loading = Loading(dataset, workers=0)
    section = TrainSection(epochs=epochs, batch_seconds=40.0, metric=_SCORE)
    batches = batches_of([u.duration_s or 1.0 for u in training], section, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(len(training), generator=generator)[:_FIRST_CLIPS].tolist()
    with loading:
        first = torch.cat([model.states(batch) for batch in loading.batches([[(0, place)] for place in drawn])])
    model.start_from(first, generator)
    scored = ((first - model.mean) / model.deviation)[:_SCORED_FRAMES]
    with tempfile.TemporaryDirectory(prefix="emotune-vq-") as folder:
        trainer = Trainer(
            model,
            QuantisationTask(backbone),
            batches,
            loading,
            partial(_explained, states=scored),
            section,
            groups=_learning,
            seed=seed,
            folder=Path(folder),
            listener=listener or Listener(),
        )
        trainer.train(None)
    return model.flat()


@torch.no_grad()
def _explained(model: VqVae, *, states: Tensor) -> dict[str, float]:
    """Share of the variance of standardised states that their codes explain; it chooses the epoch."""
    codes = torch.cdist(model.encoder(states), model.codebook).argmin(dim=1)
    left = functional.mse_loss(model.decoder(model.codebook[codes]), states)
    return {_SCORE: float(1 - left / states.var())}


def _learning(model: VqVae) -> list[dict[str, object]]:
    parts: Sequence[Tensor] = [*model.encoder.parameters(), model.codebook, *model.decoder.parameters()]
    return [{"params": list(parts), "lr": _LR}]
