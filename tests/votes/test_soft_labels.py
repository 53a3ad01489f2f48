"""Where votes know what the most voted class hides, learning from votes is learning more: a case made so."""

import numpy as np
import pytest
import torch
from torch import nn

from emotune.batch import Output
from emotune.losses import LOSSES
from emotune.losses.combined import CombinedLoss
from emotune.metrics import METRICS
from emotune.votes.consensus import plurality, vote_shares

CLASSES = ("anger", "sadness", "neutral")
ANNOTATORS = 7
SIZE = 1500


def annotated(seed: int) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """Features, the chances with which an annotator names each class, linear in the features, and votes as shares."""
    generator = np.random.default_rng(seed)
    features = generator.standard_normal((SIZE, 4))
    logits = features @ np.random.default_rng(7).normal(0, 0.8, size=(4, 3))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    counts = np.array([generator.multinomial(ANNOTATORS, row) for row in chances])
    return torch.tensor(features, dtype=torch.float32), chances, counts / ANNOTATORS


def probabilities(losses: dict[str, float]) -> np.ndarray:
    """Held-out probabilities of a linear head trained on the same data, from the same start, in as many steps."""
    features, _, votes = annotated(0)
    ballots = [dict(zip(CLASSES, row, strict=True)) for row in votes.tolist()]
    labels = [plurality(ballot, CLASSES) for ballot in ballots]
    hard = [[float(name == label) if label else float("nan") for name in CLASSES] for label in labels]
    soft = [vote_shares(ballot, CLASSES) for ballot in ballots]
    targets = {"classes": torch.tensor(hard), "votes": torch.tensor(soft, dtype=torch.float32)}
    loss = CombinedLoss({name: (weight, LOSSES[name]()) for name, weight in losses.items()})
    torch.manual_seed(0)
    head = nn.Linear(4, 3)
    optimiser = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(300):
        optimiser.zero_grad()
        output = Output({"classes": head(features)}, features)
        terms = loss.mean_losses(output, targets, loss.normalisers(targets))
        torch.stack(list(terms.values())).sum().backward()
        optimiser.step()
    with torch.no_grad():
        return torch.softmax(head(annotated(1)[0]), dim=1).double().numpy()


@pytest.mark.parametrize("loss", ["soft_cross_entropy", "kl"])
def test_votes_teach_what_their_most_voted_class_hides(loss):
    _, chances, votes = annotated(1)
    soft, hard = probabilities({loss: 1.0}), probabilities({"cross_entropy": 1.0})
    divergence = METRICS["jensen_shannon"]
    # Seven votes are themselves so far from the chances that they were drawn with: nothing can do clearly better. Soft
    # labels get there; hard ones stay a quarter of that farther off at least (measured: 41 %).
    floor = divergence(votes, chances)
    assert divergence(votes, soft) < 1.02 * floor
    assert divergence(votes, hard) > 1.25 * floor
    # How sure the head is of a further annotator's answer. Of honest probabilities chance alone makes a gap of about
    # .8 sqrt(.2 / 150) = .03 in each of ten bins of 150 answers: twice that is allowed.
    answers = np.array([np.random.default_rng([2, row]).choice(3, p=p) for row, p in enumerate(chances)])
    calibration = METRICS["expected_calibration_error"]
    assert calibration(answers, soft) < 0.06
    assert calibration(answers, hard) > 0.12
    # Both know equally well which class comes first, so accuracy alone would not have shown it.
    best = chances.argmax(axis=1)
    assert METRICS["accuracy"](best, soft.argmax(axis=1)) > 0.95
    assert METRICS["accuracy"](best, hard.argmax(axis=1)) > 0.95
