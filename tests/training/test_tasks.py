"""A task of its own, masked-frame regression on a tiny encoder: what comes with the loop, whoever it trains for."""

import ast
import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from builders.processes import launched, run_together
from emotune.audio.preprocessing import Preprocessing
from emotune.batch import Batch
from emotune.config.training import TrainSection
from emotune.data.dataset import EmotionDataset
from emotune.data.loading import Loading
from emotune.errors import ConfigError
from emotune.runtime.listener import Listener
from emotune.schema.manifest import Manifest
from emotune.training import loop
from emotune.training.loop import estimate, processes
from emotune.training.loop.checkpoints import Checkpoints
from emotune.training.loop.estimate import Clips, bytes_per_second, fixed_bytes, within_memory
from emotune.training.loop.step import StepGradients
from emotune.training.loop.task import Task
from emotune.training.loop.trainer import Trainer, batches_of

FRAME = 400
SCALE = 4.0


class FrameEncoder(nn.Module):
    """Frames of the waveform, some of them hidden, to guesses of all; gives guesses, frames and which were hidden."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Linear(FRAME, 32), nn.GELU(), nn.Dropout(0.2), nn.Linear(32, FRAME))
        self.hidden = nn.Parameter(torch.zeros(FRAME))

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        whole = batch.waveforms.shape[1] // FRAME
        frames = SCALE * batch.waveforms[:, : whole * FRAME].unflatten(1, (whole, FRAME))
        is_hidden = torch.rand(frames.shape[:2], device=frames.device) < 0.5
        seen = torch.where(is_hidden[:, :, None], self.hidden, frames)
        context = seen + seen.mean(dim=1, keepdim=True)
        return self.encoder(context), frames, is_hidden


class MaskedFrames(Task[tuple[Tensor, Tensor, Tensor]]):
    """Mean over clips of the squared error in their hidden frames."""

    def normalisers(self, batch: Batch) -> Mapping[str, Tensor]:
        return {"masked": torch.tensor(float(len(batch.waveforms)))}

    def mean_losses(
        self, output: tuple[Tensor, Tensor, Tensor], batch: Batch, normalisers: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        guesses, frames, is_hidden = output
        is_real = batch.mask[:, : frames.shape[1] * FRAME].unflatten(1, (-1, FRAME)).all(dim=2)
        counted = (is_hidden & is_real).float()
        errors = ((guesses - frames).square().mean(dim=2) * counted).sum(dim=1) / counted.sum(dim=1).clamp(min=1)
        return {"masked": errors.sum() / normalisers["masked"]}

    def everything(self, output: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        return output[0].sum()


class Interrupted(Listener):
    """Interrupts after so many steps, and remembers what was said and scored."""

    def __init__(self, last_step: float = math.inf) -> None:
        self.last_step = last_step
        self.said: list[str] = []
        self.rows: list[Mapping[str, float]] = []

    def say(self, message: str) -> None:
        self.said.append(message)

    def step(self, done: int, total: int, figures: Mapping[str, float]) -> None:
        if done >= self.last_step:
            raise KeyboardInterrupt

    def epoch(self, rows) -> None:
        self.rows = list(rows)


def section(**options) -> TrainSection:
    chosen = {"epochs": 3, "batch_seconds": 3.0, "metric": "r", "warmup_share": 0.0, "checkpoint_minutes": 0}
    return TrainSection.model_validate(chosen | options)


def negative_error(model: FrameEncoder, batch: Batch) -> dict[str, float]:
    torch.manual_seed(1)
    with torch.no_grad():
        guesses, frames, _ = model.eval()(batch)
    return {"r": -(guesses - frames).square().mean().item()}


def durations(manifest: Manifest) -> list[float]:
    return [utterance.duration_s or 0.0 for utterance in manifest]


def train(manifest: Manifest, train: TrainSection, folder: Path, listener: Listener) -> FrameEncoder:
    """Train from where the folder's checkpoints are."""
    dataset = EmotionDataset(manifest, {}, Preprocessing(min_samples=FRAME))
    loading = Loading(dataset, workers=0)
    (scored,) = loading.batches([[(0, index) for index in range(4)]])
    checkpoint, _ = Checkpoints(folder).newest()
    trainer = Trainer(
        FrameEncoder(),
        MaskedFrames(),
        batches_of(durations(manifest), train, seed=0),
        loading,
        partial(negative_error, batch=scored),
        train,
        groups=lambda model: [{"params": list(model.parameters()), "lr": 1e-2, "weight_decay": 0.0}],
        seed=0,
        folder=folder,
        listener=listener,
    )
    return trainer.train(processes.from_first(checkpoint))


def weights(model: nn.Module) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in model.state_dict().values()])


@pytest.fixture(scope="module")
def manifest(tones) -> Manifest:
    return tones.split("train")


@pytest.fixture(scope="module")
def whole(manifest, tmp_path_factory) -> FrameEncoder:
    return train(manifest, section(), tmp_path_factory.mktemp("whole"), Listener())


def test_the_loop_trains_another_module_for_another_task(manifest, whole, tmp_path):
    listener = Interrupted()
    train(manifest, section(epochs=6), tmp_path, listener)
    losses = [row["train_loss"] for row in listener.rows]
    assert losses[-1] < 0.95 * losses[0]
    assert listener.rows[-1]["development_r"] > listener.rows[0]["development_r"]


def test_another_task_is_continued_to_the_bit(manifest, whole, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(manifest, section(), tmp_path, Interrupted(last_step=3))
    assert Checkpoints(tmp_path).newest()[0] is not None
    assert torch.equal(weights(train(manifest, section(), tmp_path, Listener())), weights(whole))


def test_another_tasks_batches_are_cut_into_a_memory_budget(manifest):
    model, task = FrameEncoder(), MaskedFrames()
    clips = Clips(durations(manifest), durations(manifest))
    longest_s = max(clips.longest_s)
    room = 3 * longest_s * bytes_per_second(model, task, longest_s)
    fixed = sum(fixed_bytes(model)) + estimate._OVERHEAD_BYTES["cpu"]
    asked = section(batch_seconds=8.0, memory_gb=(room + fixed) / estimate._USABLE / 1e9)
    found = within_memory(asked, model, task, clips)
    assert found.batch_seconds * found.accumulate == pytest.approx(8.0)
    assert found.accumulate > 1
    with pytest.raises(ConfigError, match="a step with one clip of"):
        within_memory(section(memory_gb=1e-6), model, task, clips)


def test_another_tasks_batch_that_does_not_fit_is_split(manifest, tmp_path, monkeypatch):
    forward, sizes = StepGradients._forward, []

    def limited(gradients, piece):
        sizes.append(piece.samples)
        if piece.samples > 25000:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(gradients, piece)

    monkeypatch.setattr(StepGradients, "_forward", limited)
    listener = Interrupted()
    train(manifest, section(), tmp_path, listener)
    split = [message for message in listener.said if message.startswith("out of memory: a batch of")]
    assert split
    assert len([size for size in sizes if size > 25000]) == len(split)
    assert len(listener.rows) == 3


def _one_of(count: int, number: int, port: str, source: str, folder: str, accumulate: int) -> None:
    launched(count, number, port)
    with processes.joined():
        manifest = Manifest.read(source).split("train")
        model = train(manifest, section(accumulate=accumulate, epochs=2), Path(folder), Listener())
        if processes.is_first():
            torch.save(weights(model), Path(folder) / "weights.pt")


@pytest.mark.load
def test_another_task_trains_in_two_processes_as_in_one_that_accumulates(tones, tmp_path):
    found = []
    for count, accumulate in ((1, 2), (2, 1)):
        folder = tmp_path / str(count)
        folder.mkdir()
        run_together(_one_of, count, str(tones.root / "manifest.csv"), str(folder), accumulate)
        found.append(torch.load(folder / "weights.pt", weights_only=True))
    torch.testing.assert_close(*found, rtol=0, atol=1e-4)


def test_the_loop_names_neither_the_emotion_model_nor_the_whole_recipe():
    """Of the configuration it knows its own section, of models and corpora nothing."""
    folder = Path(loop.__file__).parent
    named = {
        f"{node.module}.{alias.name}"
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    own = {name for name in named if name.startswith("emotune.")}
    assert "emotune.training.loop.task.Task" in own
    assert {name.rpartition(".")[2] for name in own if name.startswith("emotune.config")} == {"TrainSection"}
    allowed = ("emotune.training.loop", "emotune.config", "emotune.batch", "emotune.errors", "emotune.runtime")
    others = {name for name in own if not name.startswith(allowed)}
    assert others <= {
        "emotune.data.duration_batches.Draws",
        "emotune.data.duration_batches.DurationBatches",
        "emotune.data.loading.Loading",
        "emotune.io.tables.to_json",
    }
