"""Gradient reversal: the discriminator learns the corpus, what lies before it learns to hide it, and it is not kept."""

import dataclasses

import pytest
import torch
from torch.nn import functional as F

from builders.recipes import sections_over
from emotune.config.recipe import Recipe
from emotune.data.dataset import collate
from emotune.errors import CorpusError
from emotune.losses.group import GroupCrossEntropy
from emotune.models.discriminator import Discriminator
from emotune.models.store import load_model
from emotune.training.build import build_experiment
from emotune.training.fine_tune import train_run
from emotune.training.manifest import build_manifest


def test_what_lies_before_a_discriminator_gets_the_opposite_gradient():
    torch.manual_seed(0)
    discriminator = Discriminator(4, 3, hidden_size=5)
    features = torch.randn(6, 4, requires_grad=True)
    truth = torch.tensor([0, 1, 2, 0, 1, 2])
    F.cross_entropy(discriminator(features), truth).backward()
    own = [parameter.grad.clone() for parameter in discriminator.parameters()]
    reversed_gradient = features.grad.clone()
    discriminator.zero_grad()
    plain = features.detach().clone().requires_grad_(True)
    F.cross_entropy(discriminator.network(plain), truth).backward()
    torch.testing.assert_close(reversed_gradient, -plain.grad)
    for before, parameter in zip(own, discriminator.parameters(), strict=True):
        torch.testing.assert_close(before, parameter.grad)


def test_each_group_counts_alike_and_clips_of_none_do_not_count():
    loss = GroupCrossEntropy(group_weights=torch.tensor([0.5, 2.0]))
    scores = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    truth = torch.tensor([[1.0, 0], [1, 0], [1, 0], [0, 1], [torch.nan, torch.nan]])
    found = loss.values(scores, truth).sum() / loss.normaliser(truth)
    expected = F.cross_entropy(scores[:4], torch.tensor([0, 0, 0, 1]), weight=torch.tensor([0.5, 2.0]))
    torch.testing.assert_close(found, expected)


@pytest.fixture
def two_corpora(tones, tmp_path):
    """The tones as two corpora, clip by clip; some clips have none."""
    names = ("loud", "soft", "soft", None)
    rows = [dataclasses.replace(u, corpus=names[n % 4]) for n, u in enumerate(tones)]
    manifest = tones.replace_utterances(rows)
    manifest.write(tmp_path / "m.csv")
    return tmp_path / "m.csv"


def recipe_over(manifest, **train) -> Recipe:
    reversal = {"gradient_reversal": {"by": "corpus", "weight": 0.5, "hidden_size": 4}}
    return Recipe.model_validate(sections_over(manifest, train={"batch_seconds": 3.0, **reversal, **train}))


def test_a_task_learns_the_groups_of_training_beside_its_labels(two_corpora):
    recipe = recipe_over(two_corpora)
    found = build_experiment(recipe, build_manifest(recipe))
    batch = collate([found.dataset[0, index] for index in range(8)])
    assert batch.targets["group"].shape == (8, 2)
    output = found.model(batch)
    losses = found.task.mean_losses(output, batch, found.task.normalisers(batch))
    assert set(losses) == {"cross_entropy", "gradient_reversal"}
    counts = torch.tensor([sum(u.corpus == name for u in found.train) for name in ("loud", "soft")]).float()
    known = ~batch.targets["group"].isnan().any(dim=1)
    expected = F.cross_entropy(
        output.heads["group"][known], batch.targets["group"][known].argmax(dim=1), weight=counts.sum() / (2 * counts)
    )
    torch.testing.assert_close(losses["gradient_reversal"], 0.5 * expected)


@pytest.mark.load
def test_a_trained_model_is_stored_without_it_also_where_clips_are_mixed_or_attacked(two_corpora, tmp_path):
    run = tmp_path / "run"
    recipe = recipe_over(two_corpora, average=0.5, adversarial={"attack": "fgsm"})
    train_run(recipe.model_copy(update={"augmentation": _mixed(recipe)}), run)
    model = load_model(run / "model").model
    assert model.discriminator is None
    assert not any("discriminator" in name for name in model.state_dict())


def _mixed(recipe: Recipe):
    return type(recipe.augmentation).model_validate({"mix_states": {"probability": 1.0}, "mix": {"probability": 1.0}})


def test_one_corpus_is_refused_and_so_is_a_vector_for_each_layer(two_corpora, tones):
    recipe = recipe_over(tones.root / "manifest.csv")
    with pytest.raises(CorpusError, match=r"train\.gradient_reversal\.by: corpus needs .* column corpus, there is"):
        build_experiment(recipe, build_manifest(recipe))
    with pytest.raises(ValueError, match=r"train\.gradient_reversal goes by one pooled vector"):
        Recipe.model_validate(sections_over(two_corpora, model={"layer_mix": "varan"}, train={"gradient_reversal": {}}))
