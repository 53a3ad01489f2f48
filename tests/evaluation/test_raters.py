"""Agreement of a rater with the labels, against scikit-learn and krippendorff."""

import numpy as np
import pytest

from builders.manifests import manifest_of, utterance
from emotune.evaluation.raters import rater_agreements

CLASSES = ("anger", "fear", "neutral")


def test_agreement_equals_that_of_other_libraries():
    sklearn = pytest.importorskip("sklearn.metrics")
    krippendorff = pytest.importorskip("krippendorff")
    generator = np.random.default_rng(0)
    truth = generator.integers(3, size=60)
    said = np.where(generator.random(60) < 0.6, truth, generator.integers(3, size=60))
    silent = np.arange(60) % 10 == 0
    rows = [
        utterance(
            f"u{n}",
            CLASSES[truth[n]],
            speaker=f"s{n % 5}",
            extra={f"llm:m.{name}": int(not silent[n] and name == CLASSES[said[n]]) for name in CLASSES}
            | {"llm:m.unparsed": int(silent[n])},
        )
        for n in range(60)
    ]
    (found,) = rater_agreements(manifest_of(*rows, classes=CLASSES, information={"raters": {"llm:m": {}}}))
    assert (found.rated, found.unparsed, found.compared, found.labelled) == (60, 6, 54, 60)
    kept = ~silent
    assert found.kappa.value == pytest.approx(sklearn.cohen_kappa_score(truth[kept], said[kept]))
    alpha = krippendorff.alpha(np.stack([truth[kept], said[kept]]), level_of_measurement="nominal")
    assert found.alpha.value == pytest.approx(alpha)
    counted_wrong = np.where(silent, 9, said)
    assert found.uar.value == pytest.approx(
        sklearn.recall_score(truth, counted_wrong, average="macro", labels=[0, 1, 2])
    )
    assert found.uar.low < found.uar.value < found.uar.high


def test_a_manifest_without_raters_has_no_agreement():
    assert rater_agreements(manifest_of(utterance("u", "fear"), classes=CLASSES)) == []
