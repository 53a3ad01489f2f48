"""Files of vectors with names: NumPy, Parquet and HDF5, written as the vectors come.

All three hold the same: rows of float32, and for each name its first row and how many follow. What they are stands in
the metadata file beside them, and within Parquet and HDF5 too.
"""

from __future__ import annotations

import importlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from emotune.errors import TableError
from emotune.io.tables import atomic_path, check_file, check_suffix, metadata_path, to_json
from emotune.runtime.extras import needs

SCHEMA = "emotune-embeddings/1"
SUFFIXES = (".npy", ".parquet", ".h5", ".hdf5")
_HEADER = 128  # bytes of a .npy header of version 1.0 whose shape is filled in at the end
_ROW_GROUP = 16384


class VectorFile(ABC):
    """File of vectors that grows; ``close`` makes it whole.

    Args:
        path: to write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self.features: int | None = None
        self.index: list[dict[str, Any]] = []

    def add(self, name: str, vectors: NDArray[np.float32]) -> None:
        """Appends the vectors of a name, of shape (rows, features).

        Raises:
            TableError: when they have other features than those before.
        """
        if self.features is None:
            self.features = vectors.shape[1]
        if vectors.shape[1] != self.features:
            raise TableError(f"{name} has {vectors.shape[1]} features, those before it {self.features}.")
        self._write(name, np.ascontiguousarray(vectors, dtype="<f4"))
        self.index.append({"utterance_id": name, "first": self.rows, "rows": len(vectors)})
        self.rows += len(vectors)

    def described(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """Metadata of the file: what the vectors are, and the rows of each name."""
        return {"schema": SCHEMA, **about, "features": self.features, "rows": self.rows, "index": self.index}

    @abstractmethod
    def _write(self, name: str, vectors: NDArray[np.float32]) -> None: ...

    @abstractmethod
    def close(self, about: Mapping[str, Any]) -> None:
        """Ends the file with what its vectors are."""


class NpyFile(VectorFile):
    """One array of shape (rows, features), for ``numpy.load`` with or without ``mmap_mode``."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._stream: BinaryIO = path.open("wb")
        self._stream.write(bytes(_HEADER))

    def _write(self, name: str, vectors: NDArray[np.float32]) -> None:
        self._stream.write(vectors.tobytes())

    def close(self, about: Mapping[str, Any]) -> None:
        """Ends the file: only now is its shape known."""
        description = repr({"descr": "<f4", "fortran_order": False, "shape": (self.rows, self.features or 0)})
        text = description.encode() + b" " * (_HEADER - 11 - len(description)) + b"\n"
        self._stream.seek(0)
        self._stream.write(np.lib.format.magic(1, 0) + (_HEADER - 10).to_bytes(2, "little") + text)
        self._stream.close()


class ParquetFile(VectorFile):
    """Rows of ``utterance_id``, ``row`` within it, ``time_s`` of a frame, and ``embedding``, a list of float32."""

    def __init__(self, path: Path, *, frame_rate_hz: float | None) -> None:
        super().__init__(path)
        self._arrow: ModuleType = importlib.import_module("pyarrow")
        self._parquet: ModuleType = importlib.import_module("pyarrow.parquet")
        self._rate = frame_rate_hz
        self._waiting: list[Any] = []
        self._waiting_rows = 0
        self._writer: Any = None

    def _write(self, name: str, vectors: NDArray[np.float32]) -> None:
        arrow = self._arrow
        count = len(vectors)
        columns = {
            "utterance_id": arrow.array([name] * count, arrow.string()),
            "row": arrow.array(np.arange(count, dtype=np.int64)),
            "embedding": arrow.FixedSizeListArray.from_arrays(arrow.array(vectors.ravel()), vectors.shape[1]),
        }
        if self._rate is not None:
            columns["time_s"] = arrow.array(np.arange(count) / self._rate)
        self._waiting.append(arrow.table(columns))
        self._waiting_rows += count
        if self._waiting_rows >= _ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        table = self._arrow.concat_tables(self._waiting)
        if self._writer is None:
            self._writer = self._parquet.ParquetWriter(self.path, table.schema)
        self._writer.write_table(table)
        self._waiting, self._waiting_rows = [], 0

    def close(self, about: Mapping[str, Any]) -> None:
        """Ends the file; ``emotune`` of its metadata is the description without the index."""
        self._flush()
        if self._writer is None:
            self._parquet.write_table(self._arrow.table({"utterance_id": self._arrow.array([], "string")}), self.path)
            return
        self._writer.add_key_value_metadata({"emotune": json.dumps({"schema": SCHEMA, **about})})
        self._writer.close()


class Hdf5File(VectorFile):
    """Data sets ``embeddings`` (rows, features), ``utterance_id``, ``first`` and ``rows``; the rest are attributes."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with needs("hdf5", f"{path.suffix} files"):
            self._library: ModuleType = importlib.import_module("h5py")
        self._file: Any = self._library.File(path, "w")

    def _write(self, name: str, vectors: NDArray[np.float32]) -> None:
        if "embeddings" not in self._file:
            self._file.create_dataset("embeddings", data=vectors, maxshape=(None, vectors.shape[1]), chunks=True)
            return
        data = self._file["embeddings"]
        data.resize(self.rows + len(vectors), axis=0)
        data[self.rows :] = vectors

    def close(self, about: Mapping[str, Any]) -> None:
        """Ends the file with its index and attributes."""
        names = [entry["utterance_id"] for entry in self.index]
        self._file.create_dataset("utterance_id", data=names, dtype=self._library.string_dtype())
        for key in ("first", "rows"):
            self._file.create_dataset(key, data=np.array([entry[key] for entry in self.index], dtype=np.int64))
        for key, value in {"schema": SCHEMA, **about}.items():
            self._file.attrs[key] = value if isinstance(value, str | int | float) else json.dumps(value)
        self._file.close()


def check_vector_output(path: Path, *, inputs: Iterable[Path] = ()) -> None:
    """Refuses, before any work is done, a path where a file of vectors could not be written afterwards.

    Raises:
        TableError: for another suffix, a folder that may not be written to, or a file that is read.
        ConfigError: where the extra is missing that the format needs.
    """
    suffix = check_suffix(path, SUFFIXES)
    if suffix == ".parquet":
        with needs("tables", f"{path}: Parquet"):
            importlib.import_module("pyarrow.parquet")
    elif suffix != ".npy":
        with needs("hdf5", f"{path}: HDF5"):
            importlib.import_module("h5py")
    sources = list(inputs)
    for file in (path, metadata_path(path)):
        check_file(file, inputs=sources)


def write_vectors(path: Path, vectors: Any, about: Mapping[str, Any]) -> VectorFile:
    """Writes vectors as they come, and the metadata file beside them; neither is there before both are whole.

    Args:
        path: whose suffix chooses the format.
        vectors: iterable of names with their vectors, each of shape (rows, features).
        about: what the vectors are; ``frame_rate_hz`` gives the rows of a Parquet file their times.

    Raises:
        TableError: when the file cannot be written.
    """
    with atomic_path(path) as temporary, atomic_path(metadata_path(path)) as temporary_metadata:
        file = _opened(temporary, path.suffix.lower(), about)
        for name, own in vectors:
            file.add(name, own)
        file.close(about)
        temporary_metadata.write_text(to_json(file.described(about)) + "\n", encoding="utf-8")
    return file


def _opened(path: Path, suffix: str, about: Mapping[str, Any]) -> VectorFile:
    if suffix == ".npy":
        return NpyFile(path)
    if suffix == ".parquet":
        return ParquetFile(path, frame_rate_hz=about.get("frame_rate_hz"))
    return Hdf5File(path)
