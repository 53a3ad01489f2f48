"""Corpora beside each other in one manifest: ids kept apart, folders made one, licences carried."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emotune.corpora.licences import strictest_rule
from emotune.errors import CorpusError
from emotune.schema.manifest import Manifest, Skipped
from emotune.schema.speakers import UNNAMED_CORPORA, with_corpus
from emotune.schema.utterance import Utterance


def with_others(manifest: Manifest, others: Mapping[str, Manifest]) -> Manifest:
    """Adds corpora without labels to a manifest, whose own rows, classes and scales stay as they are.

    ``utterance_id`` and ``copy_of`` of the others become ``<name>/<their own>``, and so do ``speaker`` and ``session``
    of utterances without a corpus, which is ``<name>`` then, among the ``UNNAMED_CORPORA``.

    Args:
        manifest: with or without labels.
        others: by a name that is neither a corpus of the manifest nor stands before one of its ids.

    Raises:
        CorpusError: for recordings on several drives.
    """
    parts = {
        name: part.replace_utterances([with_name(u, name, keep_voice=u.corpus is not None) for u in part])
        for name, part in others.items()
    }
    roots = [part.root.resolve() for part in (manifest, *parts.values())]
    root = common_folder(roots)
    own = manifest.information
    told = own["corpora"] if is_joined(manifest) else {str(own.get("corpus", "manifest")): own}
    unnamed = [name for name, part in others.items() if any(utterance.corpus is None for utterance in part)]
    information = {
        **own,
        UNNAMED_CORPORA: [n for part in (manifest, *parts.values()) for n in part.information.get(UNNAMED_CORPORA, ())]
        + unnamed,
        **licences_of({**told, **{name: part.information for name, part in parts.items()}}),
        "warnings": [
            *own.get("warnings", ()),
            *(f"{name}: {words}" for name, part in parts.items() for words in part.information.get("warnings", ())),
        ],
    }
    skipped = (
        Skipped(with_corpus(name, item.file), item.reason) for name, part in parts.items() for item in part.skipped
    )
    return dataclasses.replace(
        manifest,
        utterances=tuple(
            below(folder.relative_to(root), utterance)
            for folder, part in zip(roots, (manifest, *parts.values()), strict=True)
            for utterance in part
        ),
        root=root,
        information={name: value for name, value in information.items() if value},
        skipped=(*manifest.skipped, *skipped),
    )


def is_joined(manifest: Manifest) -> bool:
    """Tells if a manifest is a join, whose corpora have names already."""
    corpora: Any = manifest.information.get("corpora")
    return isinstance(corpora, dict) and {utterance.corpus for utterance in manifest} <= set(corpora)


def with_name(utterance: Utterance, name: str, *, keep_voice: bool = False) -> Utterance:
    """An utterance whose ids, and corpus, speaker and session where they are not kept, are told by a corpus's name."""
    keys = ("utterance_id", "copy_of") if keep_voice else ("utterance_id", "copy_of", "speaker", "session")
    given = {key: getattr(utterance, key) for key in keys}
    changed: dict[str, Any] = {key: value and with_corpus(name, value) for key, value in given.items()}
    return dataclasses.replace(utterance, corpus=utterance.corpus if keep_voice else name, **changed)


def below(folder: Path, utterance: Utterance) -> Utterance:
    """An utterance whose recording lies in a folder inside of the common one."""
    return dataclasses.replace(utterance, file=(folder / utterance.file).as_posix())


def common_folder(folders: Sequence[Path]) -> Path:
    """The lowest folder that holds all of these.

    Raises:
        CorpusError: for folders on several drives.
    """
    try:
        return Path(os.path.commonpath(folders))
    except ValueError as error:
        raise CorpusError(
            f"The recordings lie on several drives ({', '.join(map(str, folders))}), and a manifest has one folder."
            " Move them to one."
        ) from error


def licences_of(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Names, licences and references of all corpora by their information, and the licences' strictest rule."""
    licences = {name: str(information.get("licence", "unknown")) for name, information in parts.items()}
    rule = strictest_rule(licences)
    return {
        "corpus": ", ".join(parts),
        "licence": "; ".join(f"{name}: {licence}" for name, licence in licences.items()) + f". Together: {rule}",
        "licence_rule": rule,
        "reference": "; ".join(str(own.get("reference", f"{name}: none")) for name, own in parts.items()),
    }
