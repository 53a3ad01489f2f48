"""Choice of the engine for a model folder: PyTorch for weights, onnxruntime for an exported graph."""

from __future__ import annotations

from pathlib import Path

from emotune.inference.engine import Engine
from emotune.models.exported import is_exported
from emotune.runtime.extras import needs


def engine_of(folder: Path, *, device: str | None = None, threads: int | None = None) -> Engine:
    """Loads what runs the model of a folder.

    Args:
        folder: of a model.
        device: see ``emotune.load``.
        threads: of a run; None = one a core.

    Raises:
        ModelError: for a folder that is incomplete or broken.
        ConfigError: for a device that is not there, or where the extra is missing that the engine needs.
    """
    if is_exported(folder):
        from emotune.inference.onnx_engine import OnnxEngine  # noqa: PLC0415 (only where it is used)

        return OnnxEngine.load(folder, device=device, threads=threads)
    with needs("train", f"Loading {folder}"):
        import torch  # noqa: PLC0415 (only where it is used)

        from emotune.inference.torch_engine import TorchEngine  # noqa: PLC0415 (as above)
    if threads is not None:
        torch.set_num_threads(threads)
    return TorchEngine.load(folder, device=device)
