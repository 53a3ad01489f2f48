"""Losses of a whole optimiser step: over micro-batches with dropout, and over two processes."""

import copy

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from emotune.batch import Batch, Output, Targets, pad
from emotune.labels import LabelSpace, Scale
from emotune.losses import CCCLoss, CombinedLoss, CrossEntropy
from emotune.models.backbones import BACKBONES
from emotune.models.emotion_model import EmotionModel
from emotune.training.whole_step import parts_of_step, processes, summed

CPU = torch.device("cpu")
CLASS_WEIGHTS = torch.tensor([0.5, 1.0, 3.0])


def batches(sizes: list[int]) -> list[Batch]:
    generator = np.random.default_rng(0)
    found = []
    for size in sizes:
        clips = [generator.standard_normal(int(generator.integers(4000, 9000))).astype(np.float32) for _ in range(size)]
        dimensions = torch.tensor(generator.uniform(size=(size, 2)), dtype=torch.float32)
        dimensions[0, 1] = torch.nan
        found.append(pad(clips, Targets(torch.tensor(generator.integers(0, 3, size)), dimensions)))
    return found


@pytest.fixture
def noisy_model(tiny_wavlm) -> EmotionModel:
    torch.manual_seed(0)
    noise = dict.fromkeys(("hidden_dropout", "activation_dropout", "attention_dropout"), 0.3) | {"layerdrop": 0.4}
    space = LabelSpace(("anger", "happiness", "neutral"), {"arousal": Scale(1, 7), "valence": Scale(1, 7)})
    return EmotionModel(BACKBONES["wavlm"].from_config(tiny_wavlm | noise), space, dropout=0.3).train()


def gradients(model: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize("sizes", [[5], [3, 4], [2, 5, 3, 4]])
def test_ccc_over_micro_batches_is_that_of_all_predictions_with_dropout(noisy_model, sizes):
    """Against one graph over all micro-batches, the random states given to it."""
    loss, steps, twin = CCCLoss(), batches(sizes), copy.deepcopy(noisy_model)
    torch.manual_seed(7)
    predictions = torch.cat([twin(batch).dimensions for batch in steps])
    whole = loss(predictions, torch.cat([batch.targets.dimensions for batch in steps]))
    whole.backward()
    after = torch.rand(3)
    torch.manual_seed(7)
    parts = parts_of_step(noisy_model, steps, loss, CPU)
    values = []
    for batch, part in zip(steps, parts, strict=True):
        part.random.restore()
        value = part.surrogate(noisy_model(batch).dimensions)
        value.backward()
        values.append(value.detach())
    torch.testing.assert_close(torch.stack(values).sum(), whole.detach(), rtol=1e-4, atol=1e-6)
    expected = gradients(twin)
    assert expected.keys() == gradients(noisy_model).keys()
    for name, gradient in gradients(noisy_model).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-3, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}")
    assert torch.equal(torch.rand(3), after), "the random state went on as if there had been one run"


def test_normalisers_are_added_up():
    found = summed([{"a": torch.tensor(2.0), "b": torch.tensor(1.0)}, {"a": torch.tensor(3.0), "b": torch.tensor(0.0)}])
    assert {name: value.item() for name, value in found.items()} == {"a": 5.0, "b": 1.0}
    assert processes() == 1


class Small(nn.Module):
    """Stands for an emotion model: three class logits and two dimensions of the mean of a clip."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 5)

    def forward(self, batch: Batch) -> Output:
        lengths = batch.mask.sum(dim=1)
        features = torch.stack(
            [batch.waveforms.sum(dim=1) / lengths * 50, batch.waveforms.square().sum(1) / lengths], 1
        )
        values = self.linear(features)
        return Output(values[:, :3], values[:, 3:], features)


def small_loss() -> CombinedLoss:
    return CombinedLoss({"cross_entropy": (1.0, CrossEntropy(class_weights=CLASS_WEIGHTS)), "ccc": (0.5, CCCLoss())})


def small_step(model: nn.Module, bare: nn.Module, steps: list[Batch]) -> float:
    """One step as the trainer does it; returns this process's share of the loss."""
    loss = small_loss()
    normalisers = summed([loss.normalisers(batch.targets) for batch in steps])
    parts = parts_of_step(bare, steps, loss.whole_losses, CPU)
    total = 0.0
    for batch, part in zip(steps, parts, strict=True):
        output = model(batch)
        value = loss.mean_losses(output, batch.targets, normalisers) + part.surrogate(output.dimensions)
        (value * processes()).backward()
        total += value.item()
    return total


def one_of_two(rank: int, address: str, answers) -> None:
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    torch.manual_seed(0)
    bare = Small()
    first, second = batches([4, 6])
    total = small_step(DistributedDataParallel(bare), bare, [first if rank == 0 else second])
    answers.put((rank, total, {name: gradient.numpy() for name, gradient in gradients(bare).items()}))
    dist.barrier()
    dist.destroy_process_group()


def test_two_processes_are_one_with_the_same_step(tmp_path):
    """Class weights and CCC, over clips of two processes against two micro-batches of one."""
    context = torch.multiprocessing.get_context("spawn")
    answers = context.Queue()
    address = (tmp_path / "meeting").as_uri()
    running = [context.Process(target=one_of_two, args=(rank, address, answers)) for rank in (0, 1)]
    for process in running:
        process.start()
    found = sorted((answers.get(timeout=120) for _ in running), key=lambda answer: answer[0])
    for process in running:
        process.join(timeout=60)
    torch.manual_seed(0)
    alone = Small()
    expected = small_step(alone, alone, batches([4, 6]))
    assert sum(total for _, total, _ in found) == pytest.approx(expected, rel=1e-5)
    for _, _, grads in found:
        for name, gradient in gradients(alone).items():
            np.testing.assert_allclose(grads[name], gradient.numpy(), rtol=1e-4, atol=1e-6)
