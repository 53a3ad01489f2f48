"""Vesper's task: a student says what two layers of a frozen encoder make of frames that it cannot hear."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from emotune.batch import Batch
from emotune.errors import ModelError
from emotune.models.backbones.base import Backbone
from emotune.models.backbones.remembered import RememberedClips, digest_of
from emotune.training.loop.task import Task
from emotune.training.vesper.student import FramePredictions, frame_masks

WEIGHTS = {"middle": 1.0, "last": 0.1, "whole": 1.0}
"""Of the three losses in their sum."""
_TEACHER = "teacher"
_MIDDLE_STATE, _LAST_STATE = "middle_state", "last_state"


class VesperTask(Task[FramePredictions]):
    """Mean squared errors a frame and feature of three predictions, weighted by ``WEIGHTS``.

    Args:
        teacher: the whole encoder; it is frozen and stays in evaluation mode.
        kept_gb: memory for its states of clips that come again unchanged; each clip is then encoded by itself, so that
            it has the same states to the bit whether they were kept or not. 0 = nothing is kept, batches are encoded.

    Reference:
        Chen et al. (2023), Vesper, arXiv 2307.10757, equations of section III-C.
    """

    def __init__(self, teacher: Backbone, *, kept_gb: float) -> None:
        super().__init__()
        self.teacher = teacher.requires_grad_(False).eval()
        self._known: Tensor | None = None
        self.kept = RememberedClips(most_gb=kept_gb) if kept_gb else None

    def train(self, mode: bool = True) -> VesperTask:
        """As ``nn.Module.train``; the teacher stays in evaluation mode."""
        super().train(mode)
        self.teacher.eval()
        return self

    def state_dict(self, *args: Any, **options: Any) -> dict[str, Any]:
        """The teacher's digest: no checkpoint needs its weights, which stay as they are."""
        return {_TEACHER: self._digest()}

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **options: Any) -> Any:
        """Compares the teacher with that of an unfinished run.

        Raises:
            ModelError: for another one.
        """
        if _TEACHER in state_dict and not torch.equal(state_dict[_TEACHER], self._digest()):
            raise ModelError(
                "The unfinished run was taught by another encoder than model.backbone names now, though perhaps under"
                " the same name. Bring the first one back, or choose another folder with -o."
            )

    def _digest(self) -> Tensor:
        if self._known is None:
            self._known = torch.tensor(list(bytes.fromhex(digest_of(self.teacher))), dtype=torch.uint8)
        return self._known

    @torch.no_grad()
    def taught(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Middle and last state of the teacher for a batch, each shape (batch, frames, features)."""
        middle = self.teacher.num_layers // 2
        if self.kept is None:
            states = self.teacher(batch.waveforms, batch.mask).states
            return states[middle], states[-1]

        def of_each(clips: Sequence[Tensor]) -> list[Tensor]:
            found = (self.teacher(clip[None], torch.ones_like(clip[None], dtype=torch.bool)) for clip in clips)
            return [torch.cat([each.states[middle][0], each.states[-1][0]], dim=1).cpu() for each in found]

        lengths = batch.mask.sum(dim=1).tolist()
        clips = [waveform[:length] for waveform, length in zip(batch.waveforms, lengths, strict=True)]
        both = pad_sequence(self.kept.of_each_clip(of_each, clips), batch_first=True).to(batch.waveforms.device)
        first, second = both.chunk(2, dim=2)
        return first, second

    def heard(self, model: torch.nn.Module, batch: Batch) -> Batch:
        """Adds the teacher's states to the targets of a batch."""
        middle, last = self.taught(batch)
        return dataclasses.replace(batch, targets={**batch.targets, _MIDDLE_STATE: middle, _LAST_STATE: last})

    def normalisers(self, batch: Batch) -> Mapping[str, Tensor]:
        """Frames that each loss is a mean over."""
        masks = frame_masks(batch, self.teacher.frame_count)
        device = next(self.teacher.parameters()).device
        counts = {"middle": masks.small, "last": masks.large, "whole": masks.real}
        return {name: mask.sum().float().to(device) for name, mask in counts.items()}

    def mean_losses(
        self, output: FramePredictions, batch: Batch, normalisers: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Errors of the middle layer where small spans are hidden, of the last where large ones are, and everywhere."""
        middle, last = batch.targets[_MIDDLE_STATE], batch.targets[_LAST_STATE]
        masks = output.masks
        pairs = {
            "middle": (output.middle, middle[masks.small]),
            "last": (output.last, last[masks.large]),
            "whole": (output.whole, middle[masks.real]),
        }
        return {
            name: WEIGHTS[name] * (said.float() - true.float()).square().mean(dim=1).sum() / normalisers[name]
            for name, (said, true) in pairs.items()
        }

    def everything(self, output: FramePredictions) -> Tensor:
        """Scalar of all predictions."""
        return torch.stack([said.float().sum() for said in (output.middle, output.last, output.whole)]).sum()
