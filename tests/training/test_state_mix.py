"""Manifold mixup: what the encoder gives is mixed with a batch mate's, and the truth with it."""

import dataclasses

import numpy as np
import pytest
import torch

from builders.recipes import sections_over
from emotune.batch import Batch, Mixing, Output
from emotune.config.recipe import Recipe
from emotune.config.training import TrainSection
from emotune.data.dataset import collate
from emotune.models.backbones.base import HiddenStates
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.manifest import Manifest
from emotune.training.build import build_experiment
from emotune.training.fine_tune import train_run
from emotune.training.loop.parallel import Replicated
from emotune.training.loop.step import Piece, StepGradients
from emotune.training.manifest import build_manifest
from emotune.training.state_mix import StateMix

FRAMES, LENGTHS = 7, [7, 3, 5]


def batch_of(targets: dict[str, torch.Tensor]) -> Batch:
    clips = len(next(iter(targets.values())))
    return Batch(torch.zeros(clips, 4), torch.ones(clips, 4, dtype=torch.bool), targets)


def test_clips_are_mixed_with_those_of_which_the_same_is_known_and_the_truth_of_a_batch_keeps_its_sum():
    classes = torch.eye(3).repeat(8, 1)
    classes[::2] = torch.nan
    values = torch.arange(24.0)[:, None].clone()
    values[::3] = torch.nan
    batch = batch_of({"classes": classes, "dimensions": values})
    torch.manual_seed(0)
    mixed = StateMix(alpha=1.0, probability=0.7, at="states")(batch)
    assert mixed.mixing is not None and 0.5 < mixed.mixing.share < 1
    changed = mixed.mixing.partners != torch.arange(24)
    assert 6 < int(changed.sum()) < 24
    for name, before in batch.targets.items():
        after = mixed.targets[name]
        assert torch.equal(after.isnan(), before.isnan())
        torch.testing.assert_close(after.nansum(dim=0), before.nansum(dim=0))
        share = mixed.mixing.share
        torch.testing.assert_close(after, share * before + (1 - share) * before[mixed.mixing.partners], equal_nan=True)


def test_shares_follow_the_folded_beta_distribution():
    mix, batch = StateMix(alpha=0.4, probability=1.0, at="states"), batch_of({"classes": torch.eye(2)})
    torch.manual_seed(1)
    shares = [mix(batch).mixing.share for _ in range(600)]
    drawn = np.random.default_rng(0).beta(0.4, 0.4, 200_000)
    assert np.mean(shares) == pytest.approx(np.maximum(drawn, 1 - drawn).mean(), abs=0.02)


def test_states_are_mixed_frame_by_frame_with_a_partner_repeated_or_cut():
    mask = torch.arange(FRAMES)[None, :] < torch.tensor(LENGTHS)[:, None]
    states = tuple(torch.randn(3, FRAMES, 2, generator=torch.Generator().manual_seed(n)) for n in range(2))
    undefined = tuple(state.masked_fill(~mask[:, :, None], 1e9) for state in states)
    partners = torch.tensor([1, 2, 0])
    found = HiddenStates(undefined, mask).mixed(Mixing(partners, 0.75, "states"))
    assert torch.equal(found.mask, mask)
    for layer, state in enumerate(states):
        for clip, length in enumerate(LENGTHS):
            other = state[partners[clip], : LENGTHS[partners[clip]]].repeat(FRAMES, 1)[:length]
            expected = 0.75 * state[clip, :length] + 0.25 * other
            torch.testing.assert_close(found.states[layer][clip, :length], expected)


@pytest.fixture
def recipe(tones):
    def build(*, train: dict | None = None, **mix) -> Recipe:
        sections = {
            "model": {"dropout": 0.0, "layer_mix": "last", "pooling": "mean"},
            "augmentation": {"mix_states": {"alpha": 1.0, "probability": 1.0, **mix}},
            "train": {"epochs": 2, "batch_seconds": 3.0, **(train or {})},
        }
        return Recipe.model_validate(sections_over(tones.root / "manifest.csv", backbone={"train": "none"}, **sections))

    return build


def experiment_of(recipe: Recipe):
    return build_experiment(recipe, build_manifest(recipe))


def test_mixed_features_give_a_linear_head_mixed_scores_and_predictions_know_no_mixing(recipe):
    found = experiment_of(recipe(at="features"))
    model, batch = found.model.eval(), collate([found.dataset[0, index] for index in range(6)])
    plain = model(batch).heads["classes"]
    heard = found.task.heard(model, batch)
    torch.testing.assert_close(model(heard).heads["classes"], heard.mixing.of(plain))
    assert model.pooled(batch.waveforms, batch.mask).shape == (6, 16)


class CommonLoss(StepGradients):
    """Remembers what the heads said of each piece and which truth belonged to it."""

    def _forward(self, piece: Piece) -> tuple[Output, Batch]:
        output, batch = super()._forward(piece)
        self.seen[piece.key] = (output.heads["dimensions"].detach(), batch.targets["dimensions"])
        return output, batch


def test_a_loss_of_a_whole_step_is_of_the_mixed_truth(tones):
    """1 - CCC over two micro-batches, against its formula over what was predicted and mixed."""
    rows = [dataclasses.replace(u, dimensions={"arousal": 1 + 6 * (n % 7) / 6}) for n, u in enumerate(tones)]
    space = LabelSpace((), {"arousal": Scale(1, 7)})
    manifest = Manifest(tuple(dataclasses.replace(u, emotion=None) for u in rows), space, tones.root)
    mix = {"mix_states": {"alpha": 1.0, "probability": 1.0}}
    data = {"manifest": "m.csv", "classes": False, "dimensions": ["arousal"]}
    chosen = sections_over("m.csv", data=data, augmentation=mix, train={"metric": "ccc"})
    found = build_experiment(Recipe.model_validate(chosen), manifest)
    step = CommonLoss(Replicated(found.model), found.task, TrainSection(metric="ccc"), print)
    step.seen = {}
    halves = [collate([found.dataset[0, index] for index in range(start, start + 5)]) for start in (0, 5)]
    loss = step.add([Piece(str(n), half) for n, half in enumerate(halves)], list(found.model.heads.parameters()))
    said, truth = (torch.cat(parts).double().flatten() for parts in zip(*step.seen.values(), strict=True))
    assert not torch.equal(truth, torch.cat([half.targets["dimensions"] for half in halves]).double().flatten())
    spread = said.var(correction=0) + truth.var(correction=0) + (said.mean() - truth.mean()) ** 2
    ccc = 2 * ((said - said.mean()) * (truth - truth.mean())).mean() / (spread + 1e-8)
    assert loss == pytest.approx(1 - float(ccc), abs=1e-5)


@pytest.mark.load
@pytest.mark.parametrize("at", ["states", "features"])
def test_a_frozen_encoder_is_kept_and_mixed_with_and_mixing_changes_what_is_learnt(recipe, tmp_path, monkeypatch, at):
    seen = []
    original = StateMix.__call__
    monkeypatch.setattr(StateMix, "__call__", lambda *given: seen.append(1) or original(*given))
    remembered = []
    monkeypatch.setattr(
        "emotune.training.fine_tune.RememberedStates", lambda *given, **options: remembered.append(1) or None
    )
    assert train_run(recipe(at=at, train={"epochs": 1}), tmp_path / "run").scored == 8
    assert seen and remembered == [1]
