"""Choice of the engine for a model folder: PyTorch for weights, onnxruntime for an exported graph."""

from __future__ import annotations

from pathlib import Path

from emotune.choices import Precision
from emotune.errors import ConfigError
from emotune.inference.engine import Engine
from emotune.models.exported import is_exported
from emotune.runtime.extras import needs


def engine_of(
    folder: Path,
    *,
    device: str | None = None,
    threads: int | None = None,
    precision: Precision = "fp32",
    shared: bool = False,
) -> Engine:
    """Loads what runs the model of a folder.

    Args:
        folder: of a model.
        device: see ``emotune.load``.
        threads: of a run; None = one a core.
        precision: see ``emotune.load``.
        shared: whether other processes load the same model, and share its weights in memory.

    Raises:
        ModelError: for a folder that is incomplete or broken.
        ConfigError: for a device or a precision that cannot be had, or where the extra is missing that it needs.
    """
    if is_exported(folder):
        if precision != "fp32":
            raise ConfigError(
                f"{folder} is an exported model, which keeps the precision that it was exported with: leave out"
                f" precision {precision}, or export it with `emotune export --precision int8`."
            )
        from emotune.inference.onnx_engine import OnnxEngine  # noqa: PLC0415 (only where it is used)

        return OnnxEngine.load(folder, device=device, threads=threads)
    with needs("train", f"Loading {folder}"):
        import torch  # noqa: PLC0415 (only where it is used)

        from emotune.inference.torch_engine import TorchEngine  # noqa: PLC0415 (as above)
    if threads is not None:
        torch.set_num_threads(threads)
    return TorchEngine.load(folder, device=device, precision=precision, shared=shared)
