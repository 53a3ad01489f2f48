"""A protocol: which classes, and which utterances train, choose and test; one fold or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from emotune.config.reading import bundled_or_file, read_section
from emotune.corpora import map_classes
from emotune.errors import CorpusError
from emotune.protocols import protocol_folder, protocol_names
from emotune.schema.manifest import Manifest
from emotune.schema.splits import DEVELOPMENT, TEST, TRAIN, assign_splits, by_group
from emotune.section import Section


class Groups(Section):
    """Folds by hand: the values of ``column`` that each fold tests."""

    column: Literal["speaker", "session"] = "speaker"
    folds: list[list[str]] = Field(min_length=2)


class Official(Section):
    """The corpus's own splits by name."""

    train: str = TRAIN
    development: str = DEVELOPMENT
    test: list[str] = Field(default=[TEST], min_length=1)

    @model_validator(mode="after")
    def _different(self) -> Official:
        names = [self.train, self.development, *self.test]
        if len(set(names)) < len(names):
            raise ValueError(f"train, development and each test must be different splits, got {', '.join(names)}")
        return self


class Protocol(Section):
    """Evaluation protocol of a corpus. Exactly one of ``leave_out``, ``groups`` and ``official`` says what is tested.

    With ``leave_out`` every value of that column is tested once, in the order of the values; ``split`` is for folds
    that a manifest has already. In each fold the following ``development_groups`` groups choose epoch, layer and the
    like, and all others train; where a ``corpus`` is left out, ``development_share`` of the speakers of the others
    choose. ``within`` takes the utterances of these splits of the manifest alone: choices that no test has seen.
    ``classes`` are kept, others left out; ``utterances`` is how many the complete corpus
    then has. ``allow`` is what such splits are known to share. Without ``corpus`` it is for any.
    """

    name: str = ""
    description: str = ""
    corpus: str | None = None
    map: dict[str, str] = Field(default={})
    classes: list[str] = Field(default=[])
    utterances: int | None = None
    leave_out: Literal["speaker", "session", "split", "corpus"] | None = None
    groups: Groups | None = None
    official: Official | None = None
    development_groups: int = Field(default=1, ge=1)
    development_share: float = Field(default=0.2, gt=0, lt=1)
    within: list[str] = Field(default=[])
    allow: list[Literal["speaker_overlap", "recording_overlap"]] = Field(default=[])

    @model_validator(mode="after")
    def _one_way(self) -> Protocol:
        ways = {"leave_out": self.leave_out, "groups": self.groups, "official": self.official}
        if sum(way is not None for way in ways.values()) != 1:
            raise ValueError(f"give exactly one of {', '.join(ways)}")
        if self.leave_out == "corpus" and "development_groups" in self.model_fields_set:
            raise ValueError("development_groups does not go with leave_out: corpus; give development_share")
        if self.leave_out != "corpus" and "development_share" in self.model_fields_set:
            raise ValueError("development_share goes with leave_out: corpus alone; give development_groups")
        if self.within and (self.leave_out == "split" or self.official is not None):
            raise ValueError("within does not go with leave_out: split or official, which use the splits themselves")
        return self


@dataclass(frozen=True, eq=False)
class Fold:
    """One round: the splits by the values of a column, as ``data.splits`` of a recipe, and which of them are tested."""

    name: str
    splits: Mapping[str, Mapping[str, list[str]]]
    tests: tuple[str, ...] = (TEST,)


def load_protocol(name: str | Path) -> Protocol:
    """A protocol by the name of one that comes with emotune, or from a YAML file.

    Raises:
        ConfigError: for an unknown name, or with every fault of the file.
    """
    protocol = read_section(Protocol, bundled_or_file("protocol", name, protocol_folder(), protocol_names()))
    return protocol.model_copy(update={"name": protocol.name or str(name)})


def under_protocol(manifest: Manifest, protocol: Protocol) -> Manifest:
    """The manifest with the protocol's classes: those it maps and keeps, as far as they occur.

    What has no label stays, for its votes or dimensions.

    Raises:
        CorpusError: when none of the protocol's classes occurs.
    """
    mapping, drop = class_changes(protocol, manifest)
    return map_classes(manifest, mapping, drop)[0]


def class_changes(protocol: Protocol, manifest: Manifest) -> tuple[dict[str, str], list[str]]:
    """Changes of the manifest's classes under a protocol: the mapped ones and the dropped ones.

    Raises:
        CorpusError: when the protocol would keep none of them.
    """
    occurring = manifest.label_space.classes
    mapping = {name: target for name, target in protocol.map.items() if name in occurring}
    left = {mapping.get(name, name) for name in occurring}
    drop = [name for name in occurring if protocol.classes and mapping.get(name, name) not in protocol.classes]
    if protocol.classes and not left & set(protocol.classes):
        raise CorpusError(
            f"Protocol {protocol.name} keeps {', '.join(protocol.classes)}; the manifest has {', '.join(occurring)}."
        )
    return mapping, drop


def folds_of(protocol: Protocol, manifest: Manifest) -> list[Fold]:
    """The rounds of a protocol on a manifest.

    Raises:
        CorpusError: when the manifest lacks what the protocol goes by, or has too few groups.
    """
    if protocol.official is not None:
        return [_official(protocol.official, manifest)]
    within = {"split": protocol.within} if protocol.within else {}
    if within:
        _require(protocol.within, manifest)
        manifest = manifest.filter(lambda utterance: utterance.split in protocol.within)
    column, groups = _groups(protocol, manifest)
    if column == "corpus":
        return [_without(corpus, manifest, protocol.development_share, within) for (corpus,) in groups]
    ahead = protocol.development_groups
    if len(groups) < ahead + 2:
        raise CorpusError(
            f"Protocol {protocol.name} needs at least {ahead + 2} groups by {column}, the manifest has {len(groups)}."
        )
    folds = []
    for number, tested in enumerate(groups):
        chosen = [groups[(number + step) % len(groups)] for step in range(1, ahead + 1)]
        development = [value for group in chosen for value in group]
        train = [value for group in groups for value in group if value not in {*tested, *development}]
        splits = {TRAIN: {column: train}, DEVELOPMENT: {column: development}, TEST: {column: tested}}
        folds.append(Fold(f"fold_{number + 1}", {name: {**rule, **within} for name, rule in splits.items()}))
    return folds


def _without(corpus: str, manifest: Manifest, share: float, within: Mapping[str, list[str]]) -> Fold:
    """The fold that tests a corpus; of each other corpus's speakers a share chooses, a single one trains."""
    speakers: dict[str, list[str]] = {TRAIN: [], DEVELOPMENT: []}
    for name in by_group(manifest, "corpus"):
        part = manifest.filter(lambda utterance, name=name: utterance.corpus == name)
        own = by_group(part, "speaker")
        if name == corpus:
            continue
        if len(own) > 1:
            parted = assign_splits(part, {TRAIN: 1 - share, DEVELOPMENT: share})
            chosen = by_group(parted.split(DEVELOPMENT), "speaker")
            speakers[DEVELOPMENT] += chosen
            own = own.keys() - chosen.keys()
        speakers[TRAIN] += sorted(own)
    if not speakers[DEVELOPMENT]:
        raise CorpusError(
            f"Without corpus '{corpus}' there are not two speakers of one corpus to train and to choose."
            " `emotune corpus join` makes one manifest of several corpora."
        )
    splits = {**{name: {"speaker": own} for name, own in speakers.items()}, TEST: {"corpus": [corpus]}}
    return Fold(f"without_{corpus}", {name: {**rule, **within} for name, rule in splits.items()})


def _official(official: Official, manifest: Manifest) -> Fold:
    _require([official.train, official.development, *official.test], manifest)
    splits = {TRAIN: official.train, DEVELOPMENT: official.development} | {name: name for name in official.test}
    return Fold("official", {name: {"split": [own]} for name, own in splits.items()}, tuple(official.test))


def _require(splits: Sequence[str], manifest: Manifest) -> None:
    """Refuses a manifest that lacks splits which a protocol goes by."""
    there = sorted({utterance.split for utterance in manifest if utterance.split is not None})
    missing = [name for name in splits if name not in there]
    if missing:
        raise CorpusError(
            f"The protocol goes by the corpus's own splits, and the manifest has no {', '.join(missing)}; it has:"
            f" {', '.join(there) or 'none'}. Read the corpus again with `emotune corpus read`."
        )


def _groups(protocol: Protocol, manifest: Manifest) -> tuple[str, list[list[str]]]:
    """The column and the groups that are tested together; with groups by hand, every value must have its place."""
    column = protocol.leave_out or (protocol.groups.column if protocol.groups else "")
    values = list(by_group(manifest, column))
    if protocol.groups is None:
        return column, [[value] for value in values]
    placed = {value for fold in protocol.groups.folds for value in fold}
    odd = sorted(set(values) - placed)
    if odd:
        raise CorpusError(
            f"Protocol {protocol.name} gives {column} {', '.join(odd[:5])} no fold. It is made for"
            f" {'other groups' if protocol.corpus is None else f'corpus {protocol.corpus!r}'}."
        )
    present = [[value for value in fold if value in values] for fold in protocol.groups.folds]
    return column, [fold for fold in present if fold]


def doubts(protocol: Protocol, manifest: Manifest) -> list[str]:
    """Reasons against comparing figures with others under the protocol, one sentence each."""
    found = []
    corpus = manifest.information.get("corpus", "unnamed")
    if protocol.corpus is not None and corpus != protocol.corpus:
        found.append(f"Protocol {protocol.name} is made for corpus '{protocol.corpus}', this manifest is '{corpus}'.")
    labelled = sum(utterance.emotion is not None for utterance in manifest)
    if protocol.utterances is not None and labelled != protocol.utterances:
        found.append(
            f"Protocol {protocol.name} has {protocol.utterances} labelled utterances, this manifest {labelled}: figures"
            " are not comparable with those on the whole corpus."
        )
    return found
