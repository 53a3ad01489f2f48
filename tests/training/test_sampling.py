"""Training utterances sampled by corpus: their shares, what that teaches, and a run that is continued."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.manifests import manifest_of, utterance
from builders.recipes import sections_over
from emotune.config.recipe import Recipe
from emotune.config.sampling import SamplingSection
from emotune.data.duration_batches import DurationBatches
from emotune.data.group_draws import GroupDraws
from emotune.errors import CorpusError
from emotune.models.store import load_model
from emotune.runtime.listener import Listener
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.training.build_task import build_loss
from emotune.training.fine_tune import train_run
from emotune.training.prior import training_prior
from emotune.training.sampling import draws_of, mean_times, sampling_groups

COUNTS = {("large", "anger"): 300, ("large", "neutral"): 60, ("small", "anger"): 10, ("small", "neutral"): 30}
"""Of 400 utterances; roots of the corpora's sizes are 18.97 and 6.32: shares of 3/4 and 1/4."""


def two_corpora() -> Manifest:
    rows = [
        utterance(f"{corpus}{emotion}{n}", emotion, corpus=corpus)
        for (corpus, emotion), count in COUNTS.items()
        for n in range(count)
    ]
    return manifest_of(*rows, classes=("anger", "neutral"))


def recipe_with(sampling, manifest="m.csv", **sections) -> Recipe:
    train = {"sampling": sampling, **sections.pop("train", {})}
    return Recipe.model_validate(sections_over(manifest, train=train, **sections))


@pytest.mark.parametrize(
    ("sampling", "by", "shares"),
    [
        ({"by": "corpus", "power": 0.5}, "corpus", {"large": 300, "small": 100}),
        ({"by": "corpus"}, "corpus", {"large": 200, "small": 200}),
        ({"by": "corpus", "power": 1}, "corpus", {"large": 360, "small": 40}),
        ({"by": "class", "power": 1}, "emotion", {"anger": 310, "neutral": 90}),
        ("natural", "corpus", {"large": 360, "small": 40}),
        ("balanced", "emotion", {"anger": 200, "neutral": 200}),
        ({"by": "corpus_and_class"}, "both", dict.fromkeys(COUNTS, 100)),
    ],
)
def test_groups_come_as_often_as_their_size_to_the_power_says(sampling, by, shares):
    plain = {"cross_entropy": {"class_weights": "none"}}
    train, section = two_corpora(), recipe_with(sampling, loss=plain).train
    sampler = DurationBatches([1.0] * len(train), batch_seconds=20, draws=draws_of(train, section))
    for epoch in range(2):
        sampler.set_epoch(epoch)
        drawn = [train.utterances[index] for batch in sampler for _, index in batch]
        groups = [(u.corpus, u.emotion) if by == "both" else getattr(u, by) for u in drawn]
        assert Counter(groups) == shares
    assert mean_times(train, section.sampling).sum() == pytest.approx(len(train))


@pytest.mark.parametrize(
    ("sampling", "shares"),
    [
        ({"by": "class", "repeats": False}, {"anger": 90, "neutral": 90}),
        ({"by": "class", "power": 1, "repeats": False}, {"anger": 310, "neutral": 90}),
    ],
)
def test_undersampling_hears_nobody_twice_and_is_as_short_as_the_scarcest_class_makes_it(sampling, shares):
    train, section = two_corpora(), recipe_with(sampling, loss={"cross_entropy": {"class_weights": "none"}}).train
    sampler = DurationBatches([1.0] * len(train), batch_seconds=20, draws=draws_of(train, section))
    heard: set[int] = set()
    for epoch in range(12):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        indices = [index for batch in batches for _, index in batch]
        assert len(indices) == len(set(indices)) and len(batches) == len(sampler)
        assert Counter(train.utterances[index].emotion for index in indices) == shares
        heard |= set(indices)
    assert len(heard) > 0.9 * len(train)
    assert mean_times(train, section.sampling).sum() == pytest.approx(sum(shares.values()))


def test_undersampling_from_an_epoch_on_fills_as_many_batches_as_before():
    draws = GroupDraws([0] * 30 + [1] * 3, from_epoch=1, repeats=False)
    sampler = DurationBatches([1.0] * 33, batch_seconds=2, together=2, draws=draws)
    counts = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert all(batches) and len(batches) == len(sampler) == 6
        counts.append(sum(map(len, batches)))
    assert counts == [33, 6]


def test_sampling_by_language_draws_languages_alike():
    rows = [utterance(f"u{n}", "anger", language="de" if n < 6 else "pl") for n in range(24)]
    train = manifest_of(*rows, classes=("anger",))
    draws = draws_of(train, recipe_with({"by": "language"}).train)
    drawn = draws.draw(np.random.default_rng(0), 0)
    assert Counter(rows[index].language for index in drawn) == {"de": 12, "pl": 12}


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    free=st.integers(0, 5),
    power=st.floats(0, 1),
    seed=st.integers(0, 5),
)
@settings(max_examples=80, deadline=None)
def test_an_epoch_is_as_long_as_ever_and_nobody_of_a_group_comes_twice_before_all_came_once(sizes, free, power, seed):
    groups = [-1] * free + [code for code, size in enumerate(sizes) for _ in range(size)]
    draws = GroupDraws(groups, power=power)
    drawn = draws.draw(np.random.default_rng(seed))
    assert len(drawn) == len(groups)
    times = np.bincount(drawn, minlength=len(groups))
    assert (times[:free] == 1).all()
    expected = [size**power / sum(s**power for s in sizes) * sum(sizes) for size in sizes]
    for code, share in enumerate(expected):
        own = times[np.array(groups) == code]
        assert own.max() - own.min() <= 1
        assert abs(own.sum() - share) < 1 + 1e-6


def test_class_weights_and_the_prior_know_how_often_each_class_is_heard():
    train = two_corpora()
    space = LabelSpace(("anger", "neutral"))
    sampling = {"by": "corpus", "power": 0.5}
    # of 300 draws of the large corpus 5/6 are anger, of 100 draws of the small one 1/4
    heard = np.array([300 * 5 / 6 + 100 / 4, 300 / 6 + 100 * 3 / 4])
    plain = recipe_with(sampling, loss={"cross_entropy": {"class_weights": "none"}})
    assert list(training_prior(plain, space, train).values()) == pytest.approx(heard / 400)
    weighted = recipe_with(sampling, loss={"cross_entropy": {"class_weights": "balanced"}})
    assert list(training_prior(weighted, space, train).values()) == pytest.approx([0.5, 0.5])
    weights = build_loss(weighted, space, train).means["cross_entropy"].class_weights
    np.testing.assert_allclose(weights.numpy(), 400 / (2 * heard), rtol=1e-6)


def test_utterances_without_a_class_or_corpus_come_once():
    rows = [utterance("a", "anger", corpus="x"), utterance("b", None, corpus="x"), utterance("c", "anger")]
    for by, groups in (("class", [0, -1, 0]), ("corpus", [0, 0, -1]), ("corpus_and_class", [0, -1, -1])):
        assert sampling_groups(rows, SamplingSection(by=by)) == groups


class Interrupt(Listener):
    """Ctrl-C in the middle of the second epoch."""

    def step(self, done: int, total: int, figures) -> None:
        if done > total // 2:
            raise KeyboardInterrupt


@pytest.fixture
def two_tones(tones, tmp_path):
    """The tones as two corpora, three of whose four training speakers are of the first."""
    corpus_of = {"s3": "rare", "s5": "rare"}
    rows = [dataclasses.replace(u, corpus=corpus_of.get(u.speaker or "", "frequent")) for u in tones]
    path = tmp_path / "m.csv"
    tones.replace_utterances(rows).write(path)
    return path


def test_a_run_that_samples_corpora_goes_on_to_the_bit(two_tones, tmp_path):
    sampling = {"by": "corpus", "power": 0.25}
    train = {"epochs": 2, "batch_seconds": 2.0, "checkpoint_minutes": 0, "workers": 1}
    chosen = recipe_with(sampling, two_tones, train=train, augmentation={"gain_db": 6.0})
    train_run(chosen, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train_run(chosen, tmp_path / "broken", listener=Interrupt())
    train_run(chosen, tmp_path / "broken")
    whole, broken = (load_model(tmp_path / run / "model").model.state_dict() for run in ("whole", "broken"))
    assert all(torch.equal(whole[name], broken[name]) for name in whole)


def test_sampling_by_corpus_needs_several(tones, tmp_path):
    chosen = recipe_with({"by": "corpus"}, tones.root / "manifest.csv")
    with pytest.raises(CorpusError, match=r"train.sampling.by: corpus needs .* column corpus, there is none named"):
        train_run(chosen, tmp_path / "run")
