"""Contract of an attack, and what all of them share: the margin between classes, and its gradient."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor

from emotune.attacks.victim import Victim

Needs = Literal["gradients", "scores", "decisions"]
"""Access to a model that an attack needs; an exported one has no gradients."""


class Attack(ABC):
    """Changes a clip so that a model takes it for another class.

    Its options are plain keyword arguments, checked by the section beside it in ``ATTACKS``.
    """

    needs: ClassVar[Needs] = "gradients"

    @abstractmethod
    def perturbed(self, victim: Victim, truth: int, generator: torch.Generator) -> Tensor:
        """Changes the clip, in the shape of ``victim.clean`` and between ``victim.low`` and ``victim.high``.

        Args:
            victim: the model, and the clip that it hears.
            truth: index of the class that the model must no longer answer.
            generator: of everything random.
        """


def margin(scores: Tensor, truth: int) -> Tensor:
    """Lead of the other classes, log sum_{k != truth} exp(z_k) - z_truth: (batch, classes) -> (batch,).

    Cross-entropy is log(1 + exp(margin)), so both have gradients of one direction; this one does not vanish where the
    model is so sure that its softmax is 1 in float32.
    """
    others = torch.cat([scores[:, :truth], scores[:, truth + 1 :]], dim=1)
    return torch.logsumexp(others, dim=1) - scores[:, truth]


def lead(scores: Tensor, truth: int) -> Tensor:
    """Score of the true class less the best of the others, below 0 where the answer is wrong: (batch,)."""
    others = torch.cat([scores[:, :truth], scores[:, truth + 1 :]], dim=1)
    return scores[:, truth] - others.amax(dim=1)


def margin_gradient(victim: Victim, inputs: Tensor, truth: int) -> Tensor:
    """Gradient of the margin by the inputs, both of the shape of ``victim.clean``."""
    with torch.enable_grad():
        leaf = inputs.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(margin(victim.scores(leaf[None]), truth).sum(), leaf)
    return gradient


def jacobian(victim: Victim, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Scores of the classes, shape (classes,), and the gradient of each, shape (classes, *inputs)."""
    with torch.enable_grad():
        leaf = inputs.detach().requires_grad_(True)
        scores = victim.scores(leaf[None])[0]
        gradients = [torch.autograd.grad(score, leaf, retain_graph=True)[0] for score in scores]
    return scores.detach(), torch.stack(gradients)


def level(clean: Tensor) -> float:
    """Standard deviation of a clip's numbers, by which lengths of changes are measured; never 0."""
    return max(float(clean.double().std(correction=0)), 1e-9)
