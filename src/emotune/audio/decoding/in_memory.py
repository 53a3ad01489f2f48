"""Recordings given by a Python program, reduced to a path, bytes, or samples with their rate.

Objects of torch, datasets and torchcodec are known by what they can do, so that none of these is imported.
"""

from __future__ import annotations

import os
import reprlib
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from emotune.audio.decoding.sound import SoundSource
from emotune.errors import AudioError

MOST_CHANNELS = 32
"""More than this in either place of a shape are features or a spectrogram, not channels."""

Plain = Path | bytes | SoundSource | tuple[NDArray[Any], int]


def plain(source: object) -> Plain:
    """A path, encoded bytes, what opens itself, or samples of shape (samples,) or (samples, channels) with their rate.

    Raises:
        AudioError: for what is no recording; also when an object fails to say what it holds.
    """
    try:
        return _plain(source)
    except AudioError:
        raise
    except Exception as error:  # objects of others raise what they like
        reason = str(error).split("\n")[0][:200] or type(error).__name__
        raise AudioError(f"A recording cannot be read from this {type(source).__name__}: {reason}") from error


def _plain(source: Any) -> Plain:
    if isinstance(source, str | os.PathLike):
        return Path(source)
    if isinstance(source, SoundSource):
        return source
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if isinstance(source, tuple):
        return _of_pair(source)
    if isinstance(source, Mapping):
        return _of_mapping(source)
    return _of_object(source)


def _of_object(source: Any) -> Plain:
    if hasattr(source, "get_all_samples"):  # a decoder of torchcodec or datasets; ["array"] would be the channels' mean
        return _of_decoded(source.get_all_samples())
    if hasattr(source, "sample_rate") and hasattr(source, "data"):
        return _of_decoded(source)
    if hasattr(source, "read"):
        return _of_stream(source)
    if is_array(source):
        if getattr(getattr(source, "dtype", None), "kind", "f") not in "fiu":  # such as a column of paths
            raise AudioError(f"An array of {source.dtype} holds no samples; give several recordings as a list.")
        raise AudioError(
            "An array needs its sampling rate: give (samples, sampling_rate_hz)"
            " or {'array': ..., 'sampling_rate': ...}."
        )
    if hasattr(source, "__getitem__") and not isinstance(source, list):
        return samples_of(source["array"]), rate_of(source["sampling_rate"])
    raise AudioError(f"Cannot read a recording from a {type(source).__name__}; give a path, bytes, file or array.")


def _of_pair(source: tuple[Any, ...]) -> Plain:
    if len(source) != 2:
        raise AudioError("An array comes as (samples, sampling_rate_hz).")
    samples, rate = source
    if is_rate(samples) and not is_rate(rate):  # as SciPy and Gradio give them
        samples, rate = rate, samples
    return samples_of(samples), rate_of(rate)


def _of_mapping(source: Mapping[Any, Any]) -> Plain:
    if source.get("array") is not None:
        if source.get("sampling_rate") is None:
            raise AudioError("A mapping with 'array' must also hold its 'sampling_rate'.")
        return samples_of(source["array"]), rate_of(source["sampling_rate"])
    if isinstance(source.get("bytes"), bytes | bytearray | memoryview):
        return bytes(source["bytes"])
    if source.get("path") is not None:
        return Path(source["path"])
    raise AudioError(
        "A mapping must hold 'array' and 'sampling_rate', or 'bytes' or 'path', and not None; got: "
        + reprlib.repr({name: type(value).__name__ for name, value in source.items()})
    )


def _of_decoded(decoded: Any) -> Plain:
    """Samples as torchcodec gives them: its data have the shape (channels, samples), however short they are."""
    return np.atleast_2d(_as_numpy(decoded.data)).T, rate_of(decoded.sample_rate)


def _of_stream(source: Any) -> bytes:
    content = source.read()
    if not isinstance(content, bytes):
        raise AudioError(
            f"{getattr(source, 'name', 'The given stream')} gives {type(content).__name__}, expected bytes: open it in"
            " binary mode ('rb')."
        )
    return content


def name_of(source: object) -> str | None:
    """A recording's own name, where it has one: a path, or that of a file or of a mapping."""
    if isinstance(source, str | os.PathLike):
        return str(source)
    name = source.get("path") if isinstance(source, Mapping) else getattr(source, "name", None)
    return str(name) if isinstance(name, str | os.PathLike) else None


def is_array(value: object) -> bool:
    """Tells whether samples without a rate are given: an array of NumPy or a tensor of whatever library."""
    return isinstance(value, np.ndarray) or hasattr(value, "__array__")


def is_rate(value: object) -> bool:
    """Tells whether a value is a number that could be a sampling rate."""
    return isinstance(value, Real) and not isinstance(value, bool)


def rate_of(value: Any) -> int:
    """A sampling rate in Hz as a whole number.

    Raises:
        AudioError: if it is no whole number above 0.
    """
    rate = value.item() if hasattr(value, "item") and getattr(value, "ndim", None) == 0 else value
    if not is_rate(rate) or rate != int(rate):
        raise AudioError(f"The sampling rate must be a whole number of Hz, got {reprlib.repr(value)}.")
    return int(rate)


def samples_of(values: Any) -> NDArray[Any]:
    """Samples of shape (samples,) or (samples, channels): of two axes the longer one is time.

    Raises:
        AudioError: for what is not of such a shape, or not of integers of up to 32 bits or floats.
    """
    try:
        samples = _as_numpy(values)
    except ValueError as error:  # rows of different lengths
        raise AudioError(f"The samples are not a regular array: {error}.") from error
    if samples.ndim not in (1, 2) or samples.dtype.kind not in "fiu":
        raise AudioError(
            f"Expected samples of shape (samples,) or (samples, channels), got {samples.shape} of {samples.dtype}."
        )
    if not samples.size:
        raise AudioError(f"The given array, of shape {samples.shape}, holds no samples.")
    if samples.dtype.kind in "iu" and samples.dtype.itemsize > 4:
        raise AudioError(
            f"Samples are never {samples.dtype}: their full scale is not known. Give them as int16 or int32, whichever"
            " they were, or as floats in [-1, 1]."
        )
    if samples.ndim == 2 and samples.shape[0] < samples.shape[1]:
        samples = samples.T  # (channels, samples), as torchaudio gives them
    if samples.ndim == 2 and samples.shape[1] > MOST_CHANNELS:
        raise AudioError(
            f"An array of shape {samples.shape} has {samples.shape[1]} channels, more than {MOST_CHANNELS}: it looks"
            " like features or a spectrogram. Give the samples of the recording."
        )
    return samples


def _as_numpy(values: Any) -> NDArray[Any]:
    """An array, or a tensor on whatever device, with its gradient left behind."""
    if hasattr(values, "detach") and hasattr(values, "is_floating_point"):  # torch
        numbers = values.float() if values.is_floating_point() else values
        return cast(NDArray[Any], numbers.numpy(force=True))
    array = np.asarray(values)
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array  # as JAX and TensorFlow give it
