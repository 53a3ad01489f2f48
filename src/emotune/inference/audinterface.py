"""Prediction in the shape of audinterface: tables of pandas, indexed by file, start and end as audformat has them."""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from emotune import audio
from emotune.errors import AudioError, ConfigError, quoted
from emotune.inference.items import Item
from emotune.inference.predictor import Predictor
from emotune.runtime.extras import needs
from emotune.schema.predictions import Prediction, Predictions

Table = Any
"""A ``pandas.DataFrame``, with an index that audformat knows."""


class AudInterface:
    """Predictor with the methods of ``audinterface.Feature``; its columns are those of a prediction table.

    A file that cannot be used is a row with its error where there are several, and an error where it is alone. Starts
    and ends are seconds, text with a unit (``500ms``) or Timedeltas; without them a recording is predicted from its
    beginning to its end.

    Args:
        predictor: that answers.

    Raises:
        ConfigError: where audformat is not installed.

    Reference:
        https://audeering.github.io/audinterface/api/audinterface.Feature.html
    """

    def __init__(self, predictor: Predictor) -> None:
        with needs("audformat", "AudInterface"):
            import audformat  # noqa: PLC0415 (of an extra)
            import pandas  # noqa: PLC0415 (as above)
        self._audformat, self._pandas = audformat, pandas
        self.predictor = predictor

    @property
    def feature_names(self) -> list[str]:
        """Columns of the tables."""
        return Predictions((), self.predictor.label_space).columns()[1:]

    def process_signal(
        self, signal: NDArray[Any], sampling_rate: int, *, file: str | None = None, start: Any = None, end: Any = None
    ) -> Table:
        """Predicts samples of shape (samples,) or (channels, samples); ``file`` only names them in the index.

        Raises:
            AudioError: for samples that cannot be used.
        """
        begins, ends = self._time(start), self._time(end)
        source = (signal, sampling_rate)
        (row,) = self._alone([self._item(file or "signal", source, begins, ends)])
        index = self._index([file or "signal"], [begins], [ends], [source])
        return self._table([row], index if file is not None else index.droplevel("file"))

    def process_file(
        self, file: str | Path, *, start: Any = None, end: Any = None, root: str | Path | None = None
    ) -> Table:
        """Predicts a file, or a part of it.

        Raises:
            AudioError: for a file that cannot be used.
        """
        begins, ends, path = self._time(start), self._time(end), _path(file, root)
        row = self._alone([self._item(str(file), path, begins, ends)])
        return self._table(row, self._index([str(file)], [begins], [ends], [path]))

    def process_files(
        self,
        files: Sequence[str | Path],
        *,
        starts: Any = None,
        ends: Any = None,
        root: str | Path | None = None,
    ) -> Table:
        """Predicts files; ``starts`` and ``ends`` are one for each, or one for all.

        Raises:
            ConfigError: for more or fewer of them than files.
        """
        return self._several([str(file) for file in files], starts, ends, root)

    def process_folder(self, root: str | Path, *, filetype: str = "wav", include_root: bool = True) -> Table:
        """Predicts the files of a folder, not those of folders in it, whose names end in ``filetype``.

        Args:
            root: the folder.
            filetype: ends the names.
            include_root: files have absolute paths in the index, and else their names.

        Raises:
            ConfigError: for a folder that is not there.
        """
        folder = Path(root).expanduser().absolute()
        if not folder.is_dir():
            raise ConfigError(f"{folder} is no folder. Give one that holds recordings.")
        ending = f".{filetype.lstrip('.').lower()}"
        found = sorted(path for path in folder.iterdir() if path.name.lower().endswith(ending) and path.is_file())
        return self._several([str(path) if include_root else path.name for path in found], None, None, folder)

    def process_index(self, index: Any, *, preserve_index: bool = False, root: str | Path | None = None) -> Table:
        """Predicts the segments of an index of audformat, filewise or segmented.

        Args:
            index: as ``audformat.filewise_index`` or ``audformat.segmented_index`` makes it.
            preserve_index: the table has this index; else a segmented one with all ends.
            root: folder of files with relative paths.

        Raises:
            ConfigError: for an index of another kind.
        """
        try:
            self._audformat.index_type(index)
        except ValueError as error:
            raise ConfigError(f"An index of audformat is expected, filewise or segmented: {error}") from error
        segmented = self._audformat.utils.to_segmented_index(index)
        files, starts, ends = (list(segmented.get_level_values(level)) for level in ("file", "start", "end"))
        table = self._several(files, starts, ends, root)
        return table.set_axis(index) if preserve_index else table

    def _several(self, files: Sequence[str], starts: Any, ends: Any, root: str | Path | None) -> Table:
        begins, finishes = self._times(starts, len(files)), self._times(ends, len(files))
        paths = [_path(file, root) for file in files]
        parts = zip(files, paths, begins, finishes, strict=True)
        rows = self.predictor.predict_items([self._item(*part) for part in parts]).rows
        return self._table(rows, self._index(files, begins, finishes, paths))

    def _alone(self, items: Sequence[Item]) -> Sequence[Prediction]:
        rows = self.predictor.predict_items(items).rows
        if rows[0].error is not None:
            raise AudioError(rows[0].error)
        return rows

    def _item(self, name: str, source: audio.Source, start: Any, end: Any) -> Item:
        return Item(name, source, self._seconds(start), self._seconds(end))

    def _seconds(self, time: Any) -> float | None:
        return None if self._pandas.isna(time) else time.total_seconds()

    def _times(self, times: Any, count: int) -> list[Any]:
        """Times of as many files; a single one is that of each."""
        if times is None or isinstance(times, float | int | str | self._pandas.Timedelta):
            return [self._time(times)] * count
        if len(times) != count:
            raise ConfigError(f"{len(times)} times for {count} files: give one for each, or a single one for all.")
        return [self._time(time) for time in times]

    def _time(self, time: Any) -> Any:
        try:
            if isinstance(time, float | int):
                return self._pandas.Timedelta(time, "s")
            if isinstance(time, str) and time.strip().isdigit():
                raise ValueError
            return self._pandas.to_timedelta(time)
        except ValueError as error:
            raise ConfigError(
                f"{quoted(time)} is no time: give seconds, text with a unit (500ms) or a Timedelta."
            ) from error

    def _index(self, files: Sequence[str], starts: Any, ends: Any, sources: Sequence[audio.Source]) -> Any:
        isna = self._pandas.isna
        begins = [self._pandas.Timedelta(0) if isna(start) else start for start in starts]
        finishes = [self._end_of(source) if isna(end) else end for source, end in zip(sources, ends, strict=True)]
        return self._audformat.segmented_index(files, begins, finishes)

    def _end_of(self, source: audio.Source) -> Any:
        """End of a recording; NaT of one that cannot be read."""
        try:
            return self._pandas.Timedelta(audio.duration_s(source), "s")
        except AudioError:
            return self._pandas.NaT

    def _table(self, rows: Sequence[Prediction], index: Any) -> Table:
        predictions = Predictions(tuple(rows), self.predictor.label_space)
        return predictions.to_pandas().drop(columns="utterance_id").set_axis(index)


def _path(file: str | Path, root: str | Path | None) -> Path:
    return Path(file) if root is None else Path(root) / file
