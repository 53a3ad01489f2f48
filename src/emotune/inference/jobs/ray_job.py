"""The same job of prediction parts on a cluster, through Ray Data.

Recordings, model and the folder of the parts must be visible under the same paths from every machine.
"""
# Ray leaves some of its arguments untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import dataclasses
import json
import pickle
import platform
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray
import ray.data
from ray.data.exceptions import SystemException
from ray.exceptions import RayError

from emotune.errors import ModelError
from emotune.inference.items import Item
from emotune.inference.jobs.parts import PredictionParts, TablePart
from emotune.inference.loading import load
from emotune.io.hub import from_everywhere
from emotune.models.folder import find_model_folder
from emotune.runtime.memory_allocator import FEW_KERNELS, keep_freed_memory
from emotune.runtime.progress import Progress, silent
from emotune.schema.labels import LabelSpace

_MOST_ATTEMPTS = 4  # at a part: Ray itself would start a worker that dies over and over again


class PartWorker:
    """An actor with the model in memory: predicts a part and writes its table."""

    def __init__(
        self,
        model: str,
        fingerprint: str,
        parts: PredictionParts,
        loading: Mapping[str, Any],
    ) -> None:
        keep_freed_memory()
        self.predictor = load(model, device="cpu", threads=1, **loading)  # may import torch: after the allocator is set
        if self.predictor.fingerprint != fingerprint:
            raise ModelError(f"{model} on {platform.node()} is not the model of this job; give all machines the same.")
        self.parts = parts

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Predicts one part."""
        number = int(row["number"])
        if not self.parts.inputs_folder.is_dir():
            raise ModelError(
                f"{platform.node()} does not see {self.parts.folder}. The folder must be the same on all machines, such"
                " as on a shared file system."
            )
        self._count_attempt(number)
        items: list[Item] = pickle.loads(_inputs_of(self.parts, number).read_bytes())
        part = self.parts.write(number, items, self.predictor.predict_items(items))
        space = self.predictor.label_space.to_json()
        return {"number": number, "part": json.dumps(asdict(part)), "label_space": json.dumps(space)}

    def _count_attempt(self, number: int) -> None:
        with _inputs_of(self.parts, number).with_suffix(".attempts").open("ab") as attempts:
            if attempts.tell() >= _MOST_ATTEMPTS:
                raise ModelError(
                    f"{_MOST_ATTEMPTS} workers ended one after the other in part {number}; the system may have run out"
                    " of memory."
                )
            attempts.write(b".")


def _inputs_of(parts: PredictionParts, number: int) -> Path:
    """Path of a part's inputs while the job runs, so that no process holds those of all parts."""
    return parts.inputs_folder / f"{number:05d}.pickle"


def predict_on_ray(
    model: str,
    items: Iterable[Item],
    parts: PredictionParts,
    *,
    fingerprint: str,
    total: int,
    workers: int | None = None,
    loading: Mapping[str, Any] | None = None,
    progress: Progress = silent,
    worker: type[PartWorker] = PartWorker,
) -> None:
    """Predicts the missing parts with one actor a core; Ray restarts actors that die and repeats their parts.

    It joins the cluster that ``RAY_ADDRESS`` names or that runs on this machine, else it starts one here.

    Args:
        model: a model folder or ``hf:owner/name`` that every machine can load.
        items: all inputs of the job, those of finished parts too.
        parts: the folder, opened by ``parts_in``.
        fingerprint: of the model.
        total: how many items there are.
        workers: actors; None = one for each core of the cluster.
        loading: more arguments of ``emotune.load``.
        worker: class of the actors.

    Raises:
        ModelError: when Ray or a worker gives up; what is done stays done.
    """
    found = find_model_folder(model).name  # absolute, or of one commit: actors have working folders of their own
    asked: dict[str, Any] = dict(loading or {})
    named: Mapping[str, str | None] = asked.get("helpers") or {}
    helpers = {key: name and from_everywhere(name) for key, name in named.items()}
    try:
        _join()
        parts.begin()
        ray.data.DataContext.get_current().enable_progress_bars = False
        numbers: list[dict[str, int]] = []
        for number, piece in parts.missing(items):
            numbers.append({"number": number})
            parts.inputs_folder.mkdir(exist_ok=True)
            _inputs_of(parts, number).write_bytes(pickle.dumps([_for_other_machines(item) for item in piece]))
        if numbers:
            actors = min(workers or int(ray.cluster_resources().get("CPU", 1)), len(numbers))
            done = ray.data.from_items(numbers, override_num_blocks=len(numbers)).map(
                worker,  # pyright: ignore[reportArgumentType]
                fn_constructor_args=(found, fingerprint, parts, {**asked, "helpers": helpers}),
                compute=ray.data.ActorPoolStrategy(size=actors),
                num_cpus=1,
                runtime_env={"env_vars": FEW_KERNELS | {"OMP_NUM_THREADS": "1"}},
            )
            for _ in progress(_entered(done, parts), total=total - parts.rows, title="predicting"):
                pass
    except (RayError, SystemException) as error:
        raise ModelError(
            f"Ray gave up: {_reason(error)} What is done is kept: the same command continues, with --engine local too."
        ) from error
    finally:
        shutil.rmtree(parts.inputs_folder, ignore_errors=True)
    parts.finish()


def _join() -> None:
    """Joins or starts a cluster."""
    if ray.is_initialized():
        return
    try:
        ray.init(log_to_driver=False, include_dashboard=False)
    except (RuntimeError, ValueError, OSError) as error:  # such as another version of Ray or Python there
        raise ModelError(f"No Ray could be joined or started: {_reason(error)}") from error


def _entered(done: ray.data.Dataset, parts: PredictionParts) -> Iterator[None]:
    """Enters each part as it comes; yields once for each of its rows."""
    for row in done.iter_rows():
        part = TablePart(**json.loads(row["part"]))
        parts.enter(int(row["number"]), part, LabelSpace.from_json(json.loads(row["label_space"])))
        yield from [None] * part.rows


def _for_other_machines(item: Item) -> Item:
    """The item with a path that does not depend on the working folder."""
    if not isinstance(item.source, str | Path):
        return item
    return dataclasses.replace(item, source=Path(item.source).absolute())


def _reason(error: BaseException) -> str:
    """Reason in Ray's error, without its traceback: a worker's own error, or the last line."""
    own = re.findall(r"emotune\.[\w.]+Error: (.*)", str(error))
    lines = own or [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[-1].rstrip(".") + "."
