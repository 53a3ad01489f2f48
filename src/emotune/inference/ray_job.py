"""The same job of prediction parts on a cluster, through Ray Data.

Recordings, model and the folder of the parts must be visible under the same paths from every machine.
"""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray
import ray.data

from emotune.allocator import FEW_KERNELS, keep_freed_memory
from emotune.inference.parts import Part, PredictionParts
from emotune.inference.predictor import Item, Predictor
from emotune.labels import LabelSpace
from emotune.models.store import find_model_folder, fingerprint_of
from emotune.progress import Progress, silent


class PartWorker:
    """An actor with the model in memory: predicts a part and writes its table."""

    def __init__(self, model: str, parts: PredictionParts, batch_seconds: float) -> None:
        keep_freed_memory()
        import torch  # noqa: PLC0415 (in the actor alone, after the allocator is set)

        from emotune.inference.torch_engine import TorchEngine  # noqa: PLC0415

        torch.set_num_threads(1)
        self.predictor = Predictor(TorchEngine.load(model, device="cpu"), batch_seconds=batch_seconds)
        self.parts = parts

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        number = int(row["number"])
        items: list[Item] = pickle.loads(_inputs_of(self.parts, number).read_bytes())
        part = self.parts.write(number, items, self.predictor.predict_items(items))
        space = self.predictor.label_space.to_json()
        return {"number": number, "part": json.dumps(asdict(part)), "label_space": json.dumps(space)}


def _inputs_of(parts: PredictionParts, number: int) -> Path:
    """Where the inputs of a part lie while the job runs, so that no process has to hold those of all parts."""
    return parts.folder / ".inputs" / f"{number:05d}.pickle"


def model_fingerprint(model: str) -> str:
    """The fingerprint of a model folder, without loading the model."""
    return fingerprint_of(find_model_folder(model))


def predict_on_ray(
    model: str,
    items: Iterable[Item],
    parts: PredictionParts,
    *,
    total: int,
    workers: int | None = None,
    batch_seconds: float = 40.0,
    progress: Progress = silent,
) -> None:
    """Predict what is missing with one actor a core; Ray starts actors that die again and repeats their parts.

    It joins the cluster that ``RAY_ADDRESS`` names or that runs on this machine, else it starts one here.

    Args:
        model: a model folder or Hub name that every machine can load.
        items: all inputs of the job, those of finished parts too.
        parts: the folder, opened by ``working_in``.
        total: how many items there are.
        workers: actors; None = one for each core of the cluster.
        batch_seconds: longest padded batch in audio-seconds.
    """
    if not ray.is_initialized():
        ray.init(log_to_driver=False, include_dashboard=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    numbers = []
    for number, piece in parts.missing(items):
        numbers.append({"number": number})
        _inputs_of(parts, number).parent.mkdir(exist_ok=True)
        _inputs_of(parts, number).write_bytes(pickle.dumps(piece))
    if numbers:
        actors = min(workers or int(ray.cluster_resources().get("CPU", 1)), len(numbers))
        done = ray.data.from_items(numbers, override_num_blocks=len(numbers)).map(
            PartWorker,  # pyright: ignore[reportArgumentType]
            fn_constructor_args=(model, parts, batch_seconds),
            compute=ray.data.ActorPoolStrategy(size=actors),
            num_cpus=1,
            runtime_env={"env_vars": FEW_KERNELS | {"OMP_NUM_THREADS": "1"}},
        )

        def rows() -> Iterable[None]:
            for row in done.iter_rows():
                part = Part(**json.loads(row["part"]))
                parts.enter(int(row["number"]), part, LabelSpace.from_json(json.loads(row["label_space"])))
                yield from [None] * part.rows

        for _ in progress(rows(), total=total - parts.rows, title="predicting"):
            pass
        shutil.rmtree(_inputs_of(parts, 0).parent)
    parts.finish()
