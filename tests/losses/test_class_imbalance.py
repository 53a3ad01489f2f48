"""Class weights, balanced sampling, and the prior that they teach a model."""

import json
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emotune.config.reading import load_recipe
from emotune.config.recipe import Recipe
from emotune.data.duration_batches import REPEATED, DurationBatches
from emotune.data.group_draws import GroupDraws
from emotune.errors import ConfigError
from emotune.losses.cross_entropy import balanced_class_weights, effective_number_class_weights
from emotune.schema.manifest import Manifest
from emotune.training.build_task import build_loss
from emotune.training.prior import training_prior

CLASSES = [0] * 60 + [1] * 6 + [2] * 3 + [-1] * 5


def test_effective_number_weights_follow_the_formula_of_the_paper():
    counts = torch.tensor([5000.0, 500.0, 10.0])
    found = effective_number_class_weights(counts, beta=0.99)
    expected = np.array([(1 - 0.99) / (1 - 0.99**n) for n in (5000, 500, 10)])
    np.testing.assert_allclose(found.numpy(), expected * 3 / expected.sum(), rtol=1e-6)


def test_effective_number_weights_lie_between_equal_and_inverse_ones():
    counts = torch.tensor([40.0, 10.0, 0.0])
    torch.testing.assert_close(effective_number_class_weights(counts, beta=0.0), torch.tensor([1.0, 1.0, 0.0]))
    inverse = balanced_class_weights(counts)
    near = effective_number_class_weights(counts, beta=1 - 1e-9)
    torch.testing.assert_close(near / near.sum(), inverse / inverse.sum(), rtol=1e-5, atol=0)
    with pytest.raises(ValueError, match="less than 1"):
        effective_number_class_weights(counts, beta=1.0)


@given(counts=st.lists(st.integers(1, 100_000), min_size=2, max_size=8), beta=st.floats(0, 0.99999))
@settings(max_examples=60, deadline=None)
def test_effective_number_weights_sum_to_the_classes_and_fall_with_the_count(counts, beta):
    weights = effective_number_class_weights(torch.tensor(counts, dtype=torch.float64), beta=beta)
    assert float(weights.sum()) == pytest.approx(len(counts))
    ranked = weights[torch.tensor(counts).argsort()]
    assert bool((ranked.diff() <= 1e-9).all())


def epoch_of(sampler: DurationBatches, epoch: int) -> list[list[tuple[int, int]]]:
    sampler.set_epoch(epoch)
    return list(sampler)


def balanced(seed: int = 0) -> DurationBatches:
    durations = np.random.default_rng(7).uniform(1, 5, len(CLASSES))
    return DurationBatches(durations, batch_seconds=20, together=2, seed=seed, draws=GroupDraws(CLASSES))


def test_balanced_sampling_draws_classes_equally_often_and_keeps_the_unlabelled():
    for epoch in range(3):
        keys = [key for batch in epoch_of(balanced(), epoch) for key in batch]
        assert len(keys) == len(CLASSES)
        assert Counter(CLASSES[index] for _, index in keys) == {0: 23, 1: 23, 2: 23, -1: 5}
        assert len(set(keys)) == len(keys)  # what comes again is augmented otherwise
        assert {round_ % REPEATED for round_, _ in keys} == {epoch}
        times = Counter(index for _, index in keys if CLASSES[index] == 2)
        assert set(times.values()) <= {7, 8}


def test_balanced_sampling_hears_all_of_a_frequent_class_over_the_epochs():
    sampler = balanced()
    heard = {index for epoch in range(20) for batch in epoch_of(sampler, epoch) for _, index in batch}
    assert heard == set(range(len(CLASSES)))


def test_balanced_sampling_comes_from_seed_and_epoch_alone():
    used = balanced()
    epoch_of(used, 0)
    assert epoch_of(used, 3) == epoch_of(balanced(), 3)
    assert epoch_of(balanced(), 3) != epoch_of(balanced(), 2)
    assert epoch_of(balanced(seed=1), 3) != epoch_of(balanced(), 3)
    assert {len(epoch_of(used, epoch)) for epoch in range(4)} == {len(used)}


def recipe(tones: Manifest, *overrides: str) -> Recipe:
    return load_recipe("demo/tiny_wavlm", [f"data.manifest={tones.root / 'manifest.csv'}", *overrides])


def test_balanced_sampling_with_class_weights_is_refused(tones):
    with pytest.raises(ConfigError, match=r"make up for rare classes twice.*class_weights=none"):
        recipe(tones, "train.sampling=balanced")
    recipe(tones, "train.sampling=balanced", "loss.cross_entropy.class_weights=none")


def uneven(tones: Manifest) -> Manifest:
    """Three of four training utterances are neutral."""
    angry = [u.utterance_id for u in tones.split("train") if u.emotion == "anger"]
    return tones.split("train").filter(lambda u: u.utterance_id not in angry[2:])


@pytest.mark.parametrize(
    ("overrides", "anger"),
    [
        (["loss.cross_entropy.class_weights=none"], 0.2),
        (["loss.cross_entropy.class_weights=balanced"], 0.5),
        (["loss.cross_entropy.class_weights=none", "train.sampling=balanced"], 0.5),
        (["loss.cross_entropy.class_weights=none", "loss.cross_entropy.smoothing=0.5"], 0.35),
        (
            [
                "loss.cross_entropy.class_weights=none",
                "loss.focal.weight=3",
                "loss.focal.class_weights=balanced",
            ],
            0.2 / 4 + 0.5 * 3 / 4,
        ),
    ],
)
def test_the_training_prior_is_that_of_counts_weights_and_sampling(tones, overrides, anger):
    train = uneven(tones)
    assert [sum(u.emotion == name for u in train) for name in ("anger", "neutral")] == [2, 8]
    found = training_prior(recipe(tones, *overrides), train.label_space, train)
    assert found == pytest.approx({"anger": anger, "neutral": 1 - anger})


def test_effective_number_weights_reach_the_loss(tones):
    chosen = recipe(tones, "loss.cross_entropy.class_weights=effective_number", "loss.cross_entropy.effective_beta=0.5")
    train = uneven(tones)
    loss = build_loss(chosen, train.label_space, train).means["cross_entropy"]
    expected = effective_number_class_weights(torch.tensor([2.0, 8.0]), beta=0.5)
    torch.testing.assert_close(loss.class_weights, expected)


def test_a_balanced_run_trains_and_its_model_says_what_it_was_taught(tones, tiny_wavlm, tmp_path, emotune_command):
    keys = [
        f"data.manifest={tones.root / 'manifest.csv'}",
        f"model.backbone.config={json.dumps(tiny_wavlm)}",
        "train.epochs=1",
        "train.sampling=balanced",
        "loss.cross_entropy.class_weights=none",
    ]
    ended = emotune_command("train", "demo/tiny_wavlm", *keys, "-o", tmp_path / "run")
    assert ended.code == 0, ended.err
    config = json.loads((tmp_path / "run" / "model" / "config.json").read_text())
    assert config["training_prior"] == pytest.approx({"anger": 0.5, "neutral": 0.5})
    assert emotune_command("evaluate", tmp_path / "run", "--split", "development").code == 0


def test_a_power_tempers_balanced_weights():
    counts = torch.tensor([1.0, 4.0, 16.0, 0.0])
    plain, tempered = balanced_class_weights(counts), balanced_class_weights(counts, power=0.5)
    torch.testing.assert_close(tempered**2, plain)
    assert tempered[3] == 0
    assert (tempered[0] / tempered[2]).item() == pytest.approx(4.0)
