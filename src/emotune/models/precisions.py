"""Precisions of a prediction: which of them this machine can have, and whether bf16 gains by it."""

# pyright: strict, reportUnknownMemberType=false
from __future__ import annotations

import logging
import platform
import time
from pathlib import Path

import torch
from torch.nn import functional as F

from emotune.choices import Precision
from emotune.errors import ConfigError, TableError
from emotune.io.tables import read_json, to_json, write_text
from emotune.models.backbones.product import product

MEASURED = Path("~/.cache/emotune/bf16.json")
"""File of the gains of bf16, by processor and version of PyTorch."""
_PAYS = 1.2  # what a whole model keeps of less is noise
_SHAPE = (512, 1024, 1024)
_TIMES = 5
_LOG = logging.getLogger(__name__)


def check_precision(precision: Precision, device: str) -> None:
    """Refuses a precision that brings nothing on a device; ``int8`` on a CPU is left to ``to_eight_bits``.

    Raises:
        ConfigError: with the reason.
    """
    on_cpu = torch.device(device).type == "cpu"
    if precision == "int8" and not on_cpu:
        raise ConfigError(f"Precision int8 runs on the CPU: leave out device '{device}', or take precision bf16.")
    if precision == "bf16" and on_cpu and (gain := bf16_gain()) < _PAYS:
        raise ConfigError(
            f"Precision bf16 would not gain on this processor: its products were measured to be {gain:.2f} times as"
            f" fast as exact ones ({MEASURED}). Leave the precision out, or take int8."
        )


def bf16_gain(path: Path = MEASURED) -> float:
    """Ratio of exact to bf16 time of a product on this CPU, measured at first use and kept in a file."""
    file, machine = path.expanduser(), f"{_processor()}, PyTorch {torch.__version__}"
    try:
        known = read_json(file, "The measurement of bf16") if file.exists() else {}
    except TableError:
        known = {}
    gain = known.get(machine)
    if not isinstance(gain, int | float):
        gain = _measured_gain()
        try:
            write_text(file, to_json(known | {machine: round(gain, 3)}) + "\n")
        except TableError as error:
            _LOG.info("bf16 is measured anew each time: %s", error)
    return float(gain)


@torch.no_grad()
def _measured_gain() -> float:
    rows, inputs, outputs = _SHAPE
    hidden, weight = torch.ones(rows, inputs), torch.ones(outputs, inputs)
    half = hidden.bfloat16(), weight.bfloat16()

    def least(halved: bool) -> float:
        seconds: list[float] = []
        for _ in range(_TIMES):
            began = time.perf_counter()
            F.linear(*half) if halved else product(hidden, weight, None)
            seconds.append(time.perf_counter() - began)
        return min(seconds)

    return least(halved=False) / least(halved=True)


def _processor() -> str:
    """Name of the processor, as Linux gives it."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8", errors="replace").splitlines() if about.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()} {torch.backends.cpu.get_cpu_capability()}"
