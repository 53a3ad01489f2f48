"""Several manifests joined into one: ids and speakers kept apart, classes and scales made one, licences carried."""

from __future__ import annotations

import dataclasses
import os
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from emotune.corpora import CORPORA
from emotune.corpora.beside import below, common_folder, is_joined, licences_of, with_name
from emotune.corpora.class_mapping import map_classes
from emotune.errors import ConfigError, CorpusError
from emotune.registry import unknown_name_message
from emotune.schema.labels import LabelSpace, Scale, in_class_order
from emotune.schema.manifest import Manifest, Skipped
from emotune.schema.speakers import with_corpus, without_corpus
from emotune.schema.utterance import Utterance

Kept = Literal["shared", "all"] | Sequence[str]
"""Classes of a join: those that every corpus has, those that any has, or these."""

_NAME = re.compile(r"[\w.+-]+")
_OF_EACH = ("corpus", "licence", "reference", "class_mapping", "warnings", "unheard", "utterances")
_OF_ALL = ("corpora", "joined_classes", "licence_rule", "scales_converted")


def join_manifests(
    sources: Sequence[str | os.PathLike[str]],
    *,
    classes: Kept = "shared",
    mapping: Mapping[str, str] | None = None,
    scales: Mapping[str, Scale] | None = None,
) -> Manifest:
    """Reads manifests and joins them, see ``joined``.

    Args:
        sources: paths, each by itself or as ``NAME=PATH``. Without a name a corpus that emotune has a reader for is
            called as that reader, any other as its file.
        classes, mapping, scales: as for ``joined``.

    Raises:
        ConfigError: for two sources that are the same file or have the same name.
        TableError: for what is no manifest.
        CorpusError: as ``joined``.
    """
    named: dict[str, Manifest] = {}
    read: dict[Path, str] = {}
    for source in (os.fspath(given) for given in sources):
        given, path = name_and_path(source)
        if (earlier := read.setdefault(path.resolve(), source)) != source or len(read) == len(named):
            raise ConfigError(f"{source} is the same file as {earlier}: a manifest cannot be joined with itself.")
        manifest = Manifest.read(path)
        name = given or _own_name(manifest, path)
        if name in named:
            raise ConfigError(f"{source}: there is a corpus '{name}' already. Give this one another name: NAME={path}.")
        if given and is_joined(manifest):
            raise ConfigError(f"{source}: {path} is a join, whose corpora have names already. Leave '{given}=' out.")
        named[name] = manifest
    return joined(named, classes=classes, mapping=mapping, scales=scales)


def joined(
    manifests: Mapping[str, Manifest],
    *,
    classes: Kept = "shared",
    mapping: Mapping[str, str] | None = None,
    scales: Mapping[str, Scale] | None = None,
) -> Manifest:
    """Joins manifests of different corpora into one.

    ``utterance_id``, ``speaker``, ``session`` and ``copy_of`` become ``<corpus>/<their own>``, so that nobody and
    nothing of one corpus is taken for one of another; the column ``corpus`` says where each utterance is from. Splits
    and all other columns stay. An utterance whose class is not kept is left out; one without a class stays. A join
    among the manifests counts as the corpora that it was made of.

    ``information`` has each corpus's own under ``corpora``, the ``licence_rule`` of all together, the
    ``scales_converted``, and in ``joined_classes`` for each class what it ``becomes`` (None: left out) and its
    ``utterances`` by corpus.

    Args:
        manifests: by the corpus's name, at least two.
        classes: which classes are kept: those that every labelled corpus has (``shared``), ``all``, or these.
        mapping: class -> class, renames or merges classes wherever they occur, before ``classes`` counts.
        scales: dimension -> the scale that its values are brought to; without one, that of the first corpus.

    Raises:
        ConfigError: for names that cannot stand before an id, or are the same.
        CorpusError: for fewer than two corpora, two that are the same, one of which nothing would be left, or classes
            that do not occur.
    """
    parts = _parts(manifests)
    changes = mapping or {}
    kept = _kept(parts, classes, changes)
    common = _common_scales(parts, scales or {})
    chosen = {name: _with_classes(part, kept, changes) for name, part in parts.items()}
    root = common_folder([part.root for part in parts.values()])
    information = {
        **_agreed([part.information for part in parts.values()]),
        **licences_of({name: part.information for name, part in parts.items()}),
        "corpora": {name: {**part.information, "utterances": len(part)} for name, part in chosen.items()},
        "joined_classes": _class_table(parts, kept, changes),
        "class_mapping": _of_each(chosen, "class_mapping", ": "),
        "scales_converted": _conversions(parts, common),
        "unheard": _of_each(parts, "unheard", "/"),
        "warnings": [
            *(
                f"{name}: {words.removeprefix(f'{name}: ')}"
                for name, part in parts.items()
                for words in part.information.get("warnings", ())
            ),
            *_doubts(parts, chosen, kept),
        ],
    }
    return Manifest(
        tuple(_placed(u, part, root, common) for part in chosen.values() for u in part),
        LabelSpace(kept, common),
        root,
        {name: value for name, value in information.items() if value},
        tuple(
            Skipped(with_corpus(name, item.file), item.reason) for name, part in parts.items() for item in part.skipped
        ),
    )


def name_and_path(source: str) -> tuple[str | None, Path]:
    """``NAME=PATH`` in its halves; a file whose own name holds a ``=`` is a path."""
    name, equals, path = source.partition("=")
    return (None, Path(source)) if not equals or Path(source).exists() else (name, Path(path))


def _own_name(manifest: Manifest, path: Path) -> str:
    """The reader's name where it stands for one corpus, else the file's."""
    names = {utterance.corpus for utterance in manifest}
    name = next(iter(names)) if len(names) == 1 else None
    return name if name is not None and name in CORPORA.own and not CORPORA[name].takes else path.stem


def _parts(manifests: Mapping[str, Manifest]) -> dict[str, Manifest]:
    """The corpora by name, ids and names prefixed, roots absolute; for a join those that it was made of.

    Raises:
        ConfigError: for names that cannot stand before an id, or are the same.
        CorpusError: for fewer than two corpora, or two that are the same.
    """
    parts: dict[str, Manifest] = {}
    for name, manifest in manifests.items():
        if not _NAME.fullmatch(name):
            raise ConfigError(f"A corpus cannot be called '{name}': expected letters, digits, '.', '_', '+' or '-'.")
        for own, part in (_unjoined(manifest) if is_joined(manifest) else {name: _prefixed(manifest, name)}).items():
            if own in parts:
                raise ConfigError(f"Corpus '{own}' is in two of the manifests. Leave it out of one, or rename it.")
            parts[own] = dataclasses.replace(part, root=part.root.resolve())
    if len(parts) < 2:
        raise CorpusError(f"A join needs at least two corpora, got {', '.join(parts) or 'none'}.")
    seen: dict[frozenset[object], str] = {}
    for name, part in parts.items():
        if all(u.content_sha256 is not None for u in part):
            content = frozenset((u.content_sha256, u.start_s, u.end_s, u.channel) for u in part)
            if (earlier := seen.setdefault(content, name)) != name:
                raise CorpusError(f"'{name}' has the recordings of '{earlier}': a corpus cannot be joined with itself.")
    return parts


def _prefixed(manifest: Manifest, name: str) -> Manifest:
    return manifest.replace_utterances([with_name(utterance, name) for utterance in manifest])


def _unjoined(manifest: Manifest) -> dict[str, Manifest]:
    """The corpora of a join, each with its own information and what has become known of all since."""
    since = {key: value for key, value in manifest.information.items() if key not in (*_OF_EACH, *_OF_ALL)}
    return {
        name: dataclasses.replace(
            manifest.filter(lambda u, name=name: u.corpus == name),
            information={**information, **since},
            skipped=tuple(
                Skipped(without_corpus(name, item.file), item.reason)
                for item in manifest.skipped
                if item.file != without_corpus(name, item.file)
            ),
        )
        for name, information in manifest.information["corpora"].items()
    }


def _classes_of(part: Manifest, mapping: Mapping[str, str]) -> set[str]:
    """Classes that occur, as they are called after a mapping."""
    return {mapping.get(u.emotion, u.emotion) for u in part if u.emotion is not None}


def _kept(parts: Mapping[str, Manifest], classes: Kept, mapping: Mapping[str, str]) -> tuple[str, ...]:
    """The classes that stay.

    Raises:
        CorpusError: for a class that does not occur, where no class is shared, or where a corpus has none of them.
    """
    own = {name for part in parts.values() for name in (*part.label_space.classes, *_voted(part))}
    unknown = [name for name in mapping if name not in own]
    if unknown:
        raise CorpusError("--map: " + unknown_name_message("class", unknown[0], own))
    occurring = {name: found for name, part in parts.items() if (found := _classes_of(part, mapping))}
    every = set[str]().union(*occurring.values())
    listed = "; ".join(f"{name} has {', '.join(in_class_order(found))}" for name, found in occurring.items())
    if isinstance(classes, str):
        if classes not in ("shared", "all"):
            raise CorpusError(f"classes is '{classes}', expected shared, all, or a list of classes.")
        kept = set.intersection(*occurring.values()) if occurring and classes == "shared" else every
        if every and not kept:
            raise CorpusError(
                f"The corpora share no class: {listed}. Make some the same with --map, or give --classes."
            )
        return in_class_order(kept)
    unknown = [name for name in classes if name not in every]
    if unknown:
        raise CorpusError("--classes: " + unknown_name_message("class", unknown[0], every))
    empty = [name for name, found in occurring.items() if not found & set(classes)]
    if empty:
        raise CorpusError(f"Nothing would be left of {', '.join(empty)} with --classes {','.join(classes)}: {listed}.")
    return in_class_order(classes)


def _voted(part: Manifest) -> set[str]:
    return {name for utterance in part for name in utterance.votes}


def _with_classes(part: Manifest, kept: Collection[str], mapping: Mapping[str, str]) -> Manifest:
    """A corpus with the classes that stay."""
    classes = part.label_space.classes
    drop = [name for name in classes if mapping.get(name, name) not in kept]
    there = {*classes, *_voted(part)} - {*drop}
    return map_classes(part, {name: target for name, target in mapping.items() if name in there}, drop)[0]


def _class_table(
    parts: Mapping[str, Manifest], kept: Collection[str], mapping: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    counts = {name: Counter(u.emotion for u in part if u.emotion is not None) for name, part in parts.items()}
    return {
        name: {
            "becomes": mapping.get(name, name) if mapping.get(name, name) in kept else None,
            "utterances": {corpus: found[name] for corpus, found in counts.items()},
        }
        for name in in_class_order(name for found in counts.values() for name in found)
    }


def _common_scales(parts: Mapping[str, Manifest], wanted: Mapping[str, Scale]) -> dict[str, Scale]:
    """Scale of each dimension that any corpus has."""
    common: dict[str, Scale] = {}
    for part in parts.values():
        for name, scale in part.label_space.dimensions.items():
            common.setdefault(name, wanted.get(name, scale))
    unknown = [name for name in wanted if name not in common]
    if unknown:
        raise CorpusError("--scale: " + unknown_name_message("dimension", unknown[0], common))
    return common


def _conversions(parts: Mapping[str, Manifest], common: Mapping[str, Scale]) -> dict[str, str]:
    """Dimensions whose values change, as ``corpus: dimension`` -> ``[1, 5] -> [1, 7]``."""
    return {
        f"{name}: {dimension}": f"[{own.low:g}, {own.high:g}] -> [{scale.low:g}, {scale.high:g}]"
        for name, part in parts.items()
        for dimension, own in part.label_space.dimensions.items()
        if own != (scale := common[dimension])
    }


def _placed(utterance: Utterance, part: Manifest, root: Path, common: Mapping[str, Scale]) -> Utterance:
    """An utterance with its recording below the common folder and its dimensions on the common scales."""
    own = part.label_space.dimensions
    return dataclasses.replace(
        below(part.root.relative_to(root), utterance),
        dimensions={
            name: value if own[name] == common[name] else common[name].from_unit(own[name].to_unit(value))
            for name, value in utterance.dimensions.items()
        },
    )


def _of_each(parts: Mapping[str, Manifest], key: str, between: str) -> dict[str, Any]:
    """A mapping of each corpus's information in one, the corpus's name before each entry's."""
    return {
        f"{name}{between}{inner}": value
        for name, part in parts.items()
        for inner, value in part.information.get(key, {}).items()
    }


def _agreed(known: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Entries that every corpus has alike, such as the model that predicted a gender."""
    first, *others = known
    return {
        name: value
        for name, value in first.items()
        if name not in (*_OF_EACH, *_OF_ALL) and all(name in other and other[name] == value for other in others)
    }


def _doubts(parts: Mapping[str, Manifest], chosen: Mapping[str, Manifest], kept: Sequence[str]) -> list[str]:
    """Sentences on emotions that a model could tell by the corpus, on missing splits and on repeated recordings."""
    found = []
    for name, part in chosen.items():
        there = _classes_of(part, {})
        missing = [emotion for emotion in kept if emotion not in there]
        if there and missing:
            found.append(
                f"{name} has no {', '.join(missing)}: a model may tell these emotions by the sound of a corpus"
            )
    without = [name for name, part in parts.items() if not any(utterance.split is not None for utterance in part)]
    if 0 < len(without) < len(parts):
        found.append(f"{', '.join(without)} without splits, others with: `emotune corpus split` makes them for all")
    first: dict[str, str] = {}
    for name, part in parts.items():
        contents = {utterance.content_sha256 for utterance in part if utterance.content_sha256 is not None}
        again = Counter(first[content] for content in contents if content in first)
        found += [
            f"{count} recordings of {name} are also in {other}, where their speakers count as other people"
            for other, count in again.items()
        ]
        first |= dict.fromkeys(contents, name)
    return found
