"""Task of adversarial training: heads learn the truth of clips that an attack has just made hard."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from emotune.attacks.gradient_sign import PGD_STRIDE, signed_steps
from emotune.batch import Batch, Output
from emotune.losses.combined import CombinedLoss
from emotune.training.label_task import LabelTask
from emotune.training.state_mix import StateMix


class AdversarialTask(LabelTask):
    """Attacks a share of the clips of each training batch by the losses of the recipe, then learns from them.

    Clips are attacked as the model hears them, behind augmentation and normalisation, and the model is in evaluation
    mode meanwhile. All randomness comes from torch's generator, which the loop seeds for every piece.

    Args:
        loss: those of the recipe.
        attack: ``fgsm``, a random step and then one along the gradient; or ``pgd``, several.
        snr_db: bound of the change, under each clip's root mean square.
        share: of the clips.
        steps: of ``pgd``.
        mix: of the clips behind the encoder, after the attack.

    Reference:
        Madry et al. (2018), arXiv 1706.06083, section 2.1; the random step before FGSM: Wong et al. (2020), arXiv
        2001.03994, algorithm 3.
    """

    differentiates_inputs = True

    def __init__(
        self, loss: CombinedLoss, *, attack: str, snr_db: float, share: float, steps: int, mix: StateMix | None = None
    ) -> None:
        super().__init__(loss, mix=mix)
        self.snr_db = snr_db
        self.share = share
        self.steps = 1 if attack == "fgsm" else steps
        self.stride = 1.25 if attack == "fgsm" else PGD_STRIDE  # 1.25: of Wong et al.

    def heard(self, model: nn.Module, batch: Batch) -> Batch:
        chosen = torch.rand(len(batch.waveforms)) < self.share
        rows = torch.ones_like(chosen) if self.whole_losses else chosen  # those are no sum over clips
        if not chosen.any():
            return super().heard(model, batch)
        part = _rows_of(batch, rows)
        bound = _bound(part, self.snr_db)
        start = part.waveforms + bound * (torch.rand(part.waveforms.shape).to(part.waveforms) * 2 - 1)
        was_training = model.training
        model.eval()
        try:
            attacked = signed_steps(
                lambda waveforms: self._gradient(model, dataclasses.replace(part, waveforms=waveforms)),
                part.waveforms,
                start,
                bound=bound,
                steps=self.steps,
                stride=self.stride,
                clipped=lambda waveforms: waveforms,
            )
        finally:
            model.train(was_training)
        waveforms = batch.waveforms.clone()
        waveforms[chosen] = attacked[chosen[rows]]
        return super().heard(model, dataclasses.replace(batch, waveforms=waveforms))

    def _gradient(self, model: nn.Module, batch: Batch) -> Tensor:
        """Gradient of the batch's losses by its waveforms."""
        with torch.enable_grad():
            leaf = batch.waveforms.detach().requires_grad_(True)
            output: Output = model(dataclasses.replace(batch, waveforms=leaf))
            losses = list(self.mean_losses(output, batch, self.normalisers(batch)).values())
            losses += [whole.loss(whole.prediction(output), whole.truth(batch)) for whole in self.whole_losses.values()]
            (gradient,) = torch.autograd.grad(torch.stack(losses).sum(), leaf)
        return gradient.nan_to_num()


def _rows_of(batch: Batch, rows: Tensor) -> Batch:
    """Clips of a mask of shape (batch,), with their padding."""
    targets, conditions = (
        {name: value[rows.to(value.device)] for name, value in named.items()}
        for named in (batch.targets, batch.conditions)
    )
    here = rows.to(batch.waveforms.device)
    return Batch(batch.waveforms[here], batch.mask[here], targets, conditions)


def _bound(batch: Batch, snr_db: float) -> Tensor:
    """Bound of each sample's change, 0 in padding, shape (batch, samples)."""
    power = (batch.waveforms.square() * batch.mask).sum(dim=1) / batch.mask.sum(dim=1)
    return (power.sqrt() * 10 ** (-snr_db / 20))[:, None] * batch.mask
