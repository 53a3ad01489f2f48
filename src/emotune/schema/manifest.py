"""The manifest: one row an utterance, all that training and scoring know of a corpus.

Stored as CSV, JSONL or Parquet with a metadata file beside it. ``file`` is relative to ``root``, and ``root`` is stored
relative to the manifest's own folder, so a corpus and its manifest move together.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby
from pathlib import Path
from typing import Any, cast

from emotune import audio
from emotune.errors import AudioError, CorpusError, TableError, quoted
from emotune.io.tables import iter_rows, metadata_path, own_columns, read_json, write_rows
from emotune.schema.labels import LabelSpace
from emotune.schema.utterance import COLUMNS, Utterance, check_utterance, row_of, segment_of, utterance_of

SCHEMA = "emotune-manifest/1"


@dataclass(frozen=True)
class Skipped:
    """A file or row that a reader left out, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class Manifest:
    """Utterances of a corpus, with their label space and provenance.

    Args:
        utterances: the rows, ids unique.
        label_space: classes and dimensions with scales.
        root: the folder that ``file`` is relative to.
        information: corpus name, licence, version, reference, warnings, mappings made.
        skipped: what the reader left out.
        file: that it was read from; errors name it.
    """

    utterances: tuple[Utterance, ...]
    label_space: LabelSpace
    root: Path
    information: Mapping[str, Any] = field(default_factory=dict[str, Any])
    skipped: tuple[Skipped, ...] = ()
    file: Path | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return len(self.utterances)

    def __iter__(self) -> Iterator[Utterance]:
        return iter(self.utterances)

    def path_of(self, utterance: Utterance) -> Path:
        """Absolute path of an utterance's recording."""
        return self.root / utterance.file

    def clip_of(
        self,
        utterance: Utterance,
        *,
        sampling_rate_hz: int = audio.SAMPLING_RATE_HZ,
        max_duration_s: float = math.inf,
    ) -> audio.Clip:
        """Decodes an utterance.

        Raises:
            AudioError: when it cannot be decoded, is too long, or is not the recording that the manifest describes.
        """
        (heard,) = self.clips_of([utterance], sampling_rate_hz=sampling_rate_hz, max_duration_s=max_duration_s)
        if isinstance(heard, AudioError):
            raise heard
        return heard

    def clips_of(
        self,
        utterances: Sequence[Utterance],
        *,
        sampling_rate_hz: int = audio.SAMPLING_RATE_HZ,
        max_duration_s: float = math.inf,
    ) -> Iterator[audio.Clip | AudioError]:
        """Decodes utterances in order, those of one recording that follow each other in one pass over it.

        Yields:
            Each utterance's clip, or why ``clip_of`` would not give it.
        """
        for _, group in groupby(utterances, key=lambda utterance: utterance.file):
            together = list(group)
            path, early = self.path_of(together[0]), dict[int, audio.Clip | AudioError]()
            following = 0
            for position, heard in audio.clips(
                path,
                [segment_of(utterance) for utterance in together],
                sampling_rate_hz=sampling_rate_hz,
                max_duration_s=max_duration_s,
                with_content=True,
            ):
                early[position] = checked(heard, together[position].content_sha256, str(path))
                while following in early:
                    yield early.pop(following)
                    following += 1

    def replace_utterances(self, utterances: Sequence[Utterance]) -> Manifest:
        """Copy with other utterances."""
        return dataclasses.replace(self, utterances=tuple(utterances))

    def filter(self, keep: Callable[[Utterance], bool]) -> Manifest:
        """Copy with the utterances that ``keep`` accepts."""
        return self.replace_utterances([utterance for utterance in self.utterances if keep(utterance)])

    def split(self, name: str) -> Manifest:
        """Manifest of one split.

        Raises:
            CorpusError: for an empty split, listing those there are.
        """
        part = self.filter(lambda utterance: utterance.split == name)
        if not len(part):
            known = sorted({utterance.split or "(none)" for utterance in self.utterances})
            raise CorpusError(
                f"{self.file or 'The manifest'} has no utterance in split '{name}'; it has: {', '.join(known)}."
                " Make splits with `emotune corpus split`, or name them in the recipe under data.splits."
            )
        return part

    def fingerprint(self) -> str:
        """SHA-256 over content, segments, labels, speakers and splits: equal when the data are, wherever they lie."""
        digest = hashlib.sha256(json.dumps(self.label_space.to_json()).encode())
        for utterance in sorted(self.utterances, key=lambda item: item.utterance_id):
            row = row_of(utterance)
            own = [name for name in COLUMNS if name != "file" and (name != "channel" or row[name] is not None)]
            kept = {name: row[name] for name in own} | {
                name: value for name, value in row.items() if name.startswith("votes.") or name in utterance.dimensions
            }
            kept = {name: float(value) if isinstance(value, int) else value for name, value in kept.items()}
            digest.update(json.dumps(kept, sort_keys=True).encode())
        return digest.hexdigest()

    def write(self, path: str | os.PathLike[str], *, spreadsheet_safe: bool = False) -> None:
        """Writes table and metadata atomically; the suffix chooses the format. See ``emotune.io.tables.write_rows``."""
        path = Path(path)
        votes = sorted({name for utterance in self.utterances for name in utterance.votes})
        ours = [*COLUMNS, *(f"votes.{name}" for name in votes), *self.label_space.dimensions]
        extra = [own_columns(utterance.extra, ours) for utterance in self.utterances]
        columns = [*ours, *sorted({name for cells in extra for name in cells})]
        metadata = {
            "schema": SCHEMA,
            "root": Path(os.path.relpath(self.root.resolve(), path.resolve().parent)).as_posix(),
            **self.label_space.to_json(),
            "information": dict(self.information),
            "skipped": [dataclasses.asdict(item) for item in self.skipped],
            "without_words": [u.utterance_id for u in self.utterances if u.text_predicted == ""],
        }
        rows = [row_of(utterance) | cells for utterance, cells in zip(self.utterances, extra, strict=True)]
        write_rows(path, columns, rows, metadata, spreadsheet_safe=spreadsheet_safe)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Manifest:
        """Reads a manifest that emotune wrote.

        Raises:
            TableError: for a file that is not one, naming file, row and field.
        """
        head, utterances = cls.stream(path)
        manifest = head.replace_utterances(tuple(utterances))
        repeated = [key for key, count in Counter(u.utterance_id for u in manifest).items() if count > 1]
        if repeated:
            raise TableError(
                f"{path}: utterance_id must be unique, but {len(repeated)} appear more than once, such as"
                f" '{repeated[0]}'."
            )
        return manifest

    @classmethod
    def stream(
        cls, path: str | os.PathLike[str], *, on_fault: Callable[[str], None] | None = None
    ) -> tuple[Manifest, Iterator[Utterance]]:
        """Manifest without its utterances, and an iterator over them, each checked but for repeated ids.

        Args:
            path: of the table.
            on_fault: hears what is wrong with a row, which is then left out; None: the first fault ends the reading.

        Raises:
            TableError: as ``read``; for a row when its turn comes.
        """
        path = Path(path)
        rows = iter_rows(path)
        first = next(rows, None)
        if not metadata_path(path).exists():
            raise TableError(
                f"{path} has no {metadata_path(path).name} beside it, so it is not a manifest that emotune wrote."
                f" Make one with `emotune corpus read table {path} -o manifest.csv`."
            )
        metadata = read_json(metadata_path(path), "The metadata file")
        if metadata.get("schema") != SCHEMA:
            raise TableError(
                f"{metadata_path(path)}: schema is {quoted(metadata.get('schema'))}, this version reads {SCHEMA!r}."
                " Read the corpus again with `emotune corpus read`."
            )
        if not isinstance(metadata.get("root"), str):
            raise TableError(f"{metadata_path(path)}: 'root' must be the folder of the recordings, as text.")
        label_space = label_space_of(metadata, path)
        information: Any = metadata.get("information") or {}
        skipped: Any = metadata.get("skipped") or []
        without_words: Any = metadata.get("without_words") or []
        if not isinstance(without_words, list):
            raise TableError(f"{metadata_path(path)}: 'without_words' must be a list of ids of utterances.")
        if not isinstance(information, dict) or not all(isinstance(item, dict) for item in skipped):
            raise TableError(
                f"{metadata_path(path)}: 'information' must be an object and 'skipped' a list of objects."
                " Read the corpus again with `emotune corpus read`."
            )
        left_out = tuple(Skipped(str(item.get("file")), str(item.get("reason"))) for item in skipped)
        head = cls((), label_space, path.parent / metadata["root"], cast(dict[str, Any], information), left_out, path)
        wordless = {str(utterance_id) for utterance_id in cast(list[Any], without_words)}

        def utterances() -> Iterator[Utterance]:
            for number, row in enumerate([] if first is None else chain([first], rows), start=1):
                where = f"{path}, row {number}"
                try:
                    utterance = utterance_of(row, where, label_space)
                    if utterance.text_predicted is None and utterance.utterance_id in wordless:
                        utterance = dataclasses.replace(utterance, text_predicted="")  # a table has no empty text
                    check_utterance(utterance, label_space, where)
                except TableError as error:
                    if on_fault is None:
                        raise
                    on_fault(str(error))
                    continue
                yield utterance

        return head, utterances()


def by_recording(utterances: Sequence[Utterance]) -> list[list[int]]:
    """Positions of the utterances, grouped by recording, recordings in order of first appearance."""
    found: dict[str, list[int]] = {}
    for position, utterance in enumerate(utterances):
        found.setdefault(utterance.file, []).append(position)
    return list(found.values())


def checked(heard: audio.Clip | AudioError, expected_sha256: str | None, name: str) -> audio.Clip | AudioError:
    """The clip, or an error when it has changed since its manifest was made."""
    if isinstance(heard, AudioError) or expected_sha256 in (None, heard.content_sha256):
        return heard
    return AudioError(
        f"{name} is not the recording that the manifest describes: it has changed since. Read the corpus again with"
        " `emotune corpus read`."
    )


def label_space_of(metadata: Mapping[str, Any], table: Path) -> LabelSpace:
    """Label space from a table's metadata file.

    Raises:
        TableError: if it holds none, naming the file.
    """
    try:
        return LabelSpace.from_json(metadata)
    except CorpusError as error:
        raise TableError(f"{metadata_path(table)}: {error}") from error
