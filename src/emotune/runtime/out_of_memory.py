"""Out-of-memory errors of PyTorch: recognised, and followed by room for another attempt."""

from __future__ import annotations

import torch

_WORDS = (
    "can't allocate memory",  # PyTorch's own allocator on a CPU
    "could not create a memory",  # oneDNN
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Tells whether an error calls for a smaller batch; CPUs and some GPU libraries say so in words alone."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)


def release_unused(device: torch.device) -> None:
    """Releases the memory that PyTorch caches on a GPU; does nothing on other devices."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
