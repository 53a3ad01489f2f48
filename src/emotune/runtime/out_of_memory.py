"""What PyTorch says when there is no memory left, and what makes room for another attempt."""

from __future__ import annotations

import torch

_WORDS = (
    "can't allocate memory",  # PyTorch's own allocator on a CPU
    "could not create a memory",  # oneDNN
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that a smaller batch might do; CPUs and some of a GPU's libraries only say so in words."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)


def release_unused(device: torch.device) -> None:
    """Let go of the memory that PyTorch keeps on a GPU for tensors of the size that failed; elsewhere it keeps none."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
