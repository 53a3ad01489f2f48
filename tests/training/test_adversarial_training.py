"""Adversarial training: bounded, from the seed alone, on the training split alone, continued to the bit."""

from pathlib import Path

import pytest
import torch

from builders.recipes import sections_over
from emotune.batch import Batch
from emotune.config.recipe import Recipe
from emotune.data.dataset import collate
from emotune.models.store import load_model
from emotune.runtime.listener import Listener
from emotune.training.adversarial_task import AdversarialTask
from emotune.training.build import build_experiment
from emotune.training.fine_tune import train_run
from emotune.training.loop.estimate import bytes_per_second
from emotune.training.manifest import build_manifest


@pytest.fixture
def recipe(tones):
    """Builds a recipe over the tones that attacks half of each batch; keyword arguments go to its train section."""

    def build(*, layers="all", **options) -> Recipe:
        train = {"epochs": 2, "batch_seconds": 3.0, "encoder_lr": 1e-3, "adversarial": {"steps": 2}} | options
        model = {"dropout": 0.3}
        manifest = tones.root / "manifest.csv"
        return Recipe.model_validate(sections_over(manifest, backbone={"train": layers}, model=model, train=train))

    return build


def experiment_of(recipe: Recipe):
    return build_experiment(recipe, build_manifest(recipe))


@pytest.fixture
def batch(recipe) -> Batch:
    return collate([experiment_of(recipe()).dataset[0, index] for index in range(8)])


@pytest.mark.parametrize("options", [{"steps": 3}, {"attack": "fgsm"}], ids=["pgd", "fgsm"])
def test_attacked_clips_keep_to_the_bound_and_the_others_and_padding_stay(recipe, batch, options):
    found = experiment_of(recipe(adversarial={"snr_db": 26.0, **options}))
    found.model.train()
    torch.manual_seed(3)
    heard = found.task.heard(found.model, batch)
    change = heard.waveforms - batch.waveforms
    attacked = change.abs().amax(dim=1) > 0
    assert 0 < int(attacked.sum()) < 8
    level = (batch.waveforms.square().sum(dim=1) / batch.mask.sum(dim=1)).sqrt()
    assert bool((change.abs() <= 10 ** (-26 / 20) * level[:, None] + 1e-6).all())
    assert not change[~batch.mask].any()
    assert found.model.training
    assert all(parameter.grad is None for parameter in found.model.parameters())
    torch.manual_seed(3)
    with torch.no_grad():  # as where a loss of a whole step is known first
        assert torch.equal(found.task.heard(found.model, batch).waveforms, heard.waveforms)


def test_the_attack_raises_the_loss_more_than_chance_does(recipe, batch):
    found = experiment_of(recipe(adversarial={"share": 1.0, "steps": 5, "snr_db": 20.0}))
    model, task = found.model.eval(), found.task
    attacked = task.heard(model, batch)
    size = (attacked.waveforms - batch.waveforms).abs().amax(dim=1, keepdim=True)
    signs = torch.randint(0, 2, batch.waveforms.shape, generator=torch.Generator().manual_seed(0)) * 2.0 - 1
    noisy = Batch(batch.waveforms + size * signs * batch.mask, batch.mask, batch.targets)

    def loss(heard: Batch) -> float:
        with torch.no_grad():
            return float(sum(task.mean_losses(model(heard), heard, task.normalisers(heard)).values()))

    assert loss(attacked) - loss(batch) > 3 * abs(loss(noisy) - loss(batch))


class Interrupted(Listener):
    def step(self, done, total, figures) -> None:
        if done == 3:
            raise KeyboardInterrupt


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_model(run / "model").model.state_dict()


def test_an_interrupted_run_goes_on_to_the_bit_and_only_training_clips_are_attacked(
    recipe, tones, tmp_path, monkeypatch
):
    heard: list[Batch] = []
    original = AdversarialTask.heard

    def recorded(self, model, batch):
        heard.append(batch)
        return original(self, model, batch)

    monkeypatch.setattr(AdversarialTask, "heard", recorded)
    train_run(recipe(), tmp_path / "whole")
    lengths = sorted(length for batch in heard for length in batch.mask.sum(dim=1).tolist())
    assert lengths == sorted(2 * [round(u.duration_s * 16000) for u in tones.split("train")])
    with pytest.raises(KeyboardInterrupt):
        train_run(recipe(checkpoint_minutes=0), tmp_path / "parts", listener=Interrupted())
    train_run(recipe(checkpoint_minutes=0), tmp_path / "parts")
    first, second = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_a_frozen_encoder_is_attacked_through_and_its_states_are_not_kept(recipe, tmp_path, monkeypatch):
    frozen = experiment_of(recipe(layers="none", adversarial={"share": 1.0}))
    plain = experiment_of(recipe(layers="none", adversarial=None))
    taken = [bytes_per_second(own.model, own.task, 1.0) for own in (frozen, plain)]
    assert taken[0] > 1.3 * taken[1]
    seen = []
    original = AdversarialTask.heard
    monkeypatch.setattr(AdversarialTask, "heard", lambda *given: seen.append(given[1].remembered) or original(*given))
    train_run(recipe(layers="none", epochs=1), tmp_path / "run")
    assert seen and all(states is None for states in seen)


def test_whole_weights_are_needed(recipe):
    with pytest.raises(ValueError, match=r"train\.fsdp has no whole weights to attack"):
        recipe(fsdp=True)
