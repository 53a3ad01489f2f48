"""Priors of classes: offsets from one to another, and the prior of a collection estimated from answers alone."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emotune.errors import ConfigError
from emotune.schema.softmax import softmax

SMALLEST = 1e-12
"""Probability that stands for zero where a logarithm is taken."""
_ROUNDS, _CLOSE = 1000, 1e-7


def prior_offsets(trained: Mapping[str, float], wanted: Mapping[str, float]) -> dict[str, float]:
    """Offsets log q_c - log pi_c from a model's training prior pi to the prior q of its test data.

    By Bayes' rule p(c | x) is proportional to p(x | c) pi_c, so a model that learnt pi answers under q with
    p(c | x) q_c / pi_c. With class weights or balanced sampling, pi is what these made of the counts.

    Args:
        trained: class -> share, positive, as ``training_prior`` of a model has it.
        wanted: the same classes -> share, or any positive numbers in that proportion; a zero excludes a class.

    Raises:
        ConfigError: for other classes, or a share that cannot be.

    Reference:
        Saerens, Latinne & Decaestecker (2002), Adjusting the Outputs of a Classifier to New a Priori Probabilities,
        Neural Computation 14(1), equation 2.4.

    >>> round(prior_offsets({"anger": 0.2, "neutral": 0.8}, {"anger": 1, "neutral": 1})["anger"], 4)  # log(.5 / .2)
    0.9163
    """
    if trained.keys() != wanted.keys():
        raise ConfigError(
            f"The prior names {', '.join(wanted)}, and the model's classes are {', '.join(trained)}; name each once."
        )
    for what, shares in (("trained", trained), ("wanted", wanted)):
        wrong = [name for name, share in shares.items() if not math.isfinite(share) or share < 0]
        wrong += [name for name, share in shares.items() if what == "trained" and share == 0]
        if wrong or sum(shares.values()) <= 0:
            raise ConfigError(f"The {what} prior of {', '.join(wrong) or 'all classes'} must be a positive number.")
    totals = sum(trained.values()), sum(wanted.values())
    return {
        name: math.log(wanted[name] / totals[1]) - math.log(trained[name] / totals[0]) if wanted[name] else -math.inf
        for name in trained
    }


def with_offsets(probabilities: ArrayLike, offsets: ArrayLike) -> NDArray[np.float64]:
    """Probabilities proportional to p_c exp(b_c), which sum to one.

    Args:
        probabilities: shape (utterances, classes).
        offsets: b, shape (classes,) or (utterances, classes); minus infinity excludes a class.

    >>> with_offsets([[0.5, 0.5]], [0.0, np.log(3)]).round(3)
    array([[0.25, 0.75]])
    """
    return softmax(np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), SMALLEST)) + np.asarray(offsets))


def estimated_prior(probabilities: ArrayLike, trained: ArrayLike) -> NDArray[np.float64]:
    """Shares of the classes in a collection without labels, by expectation-maximisation over a model's answers.

    It is right as far as the model is calibrated and the classes sound in the collection as they did in training.

    Args:
        probabilities: shape (utterances, classes), at least one row.
        trained: shares that the model was taught, shape (classes,), positive.

    Returns:
        Shares that sum to one, shape (classes,).

    Reference:
        Saerens, Latinne & Decaestecker (2002), equation 2.9.

    >>> estimated_prior([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9]], [0.5, 0.5]).round(2)
    array([0.71, 0.29])
    """
    taught = np.asarray(trained, dtype=np.float64)
    shares = taught = taught / taught.sum()
    for _ in range(_ROUNDS):
        with np.errstate(divide="ignore"):
            following = with_offsets(probabilities, np.log(shares) - np.log(taught)).mean(axis=0)
        moved, shares = np.abs(following - shares).max(), following
        if moved < _CLOSE:
            break
    return shares
