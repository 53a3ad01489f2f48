"""A manifest with the recordings of ``data.unlabelled`` beside its own."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from emotune.corpora.beside import with_others
from emotune.corpora.unlabelled import ELSEWHERE, read_unlabelled
from emotune.errors import CorpusError
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest
from emotune.schema.speakers import Voice, known_voices, voice_of
from emotune.schema.splits import TRAIN


def with_unlabelled(
    manifest: Manifest | None,
    sources: Sequence[Path],
    *,
    whole: Manifest | None = None,
    progress: Progress = silent,
) -> Manifest:
    """Adds recordings without labels, all of split train, to a manifest, whose own utterances stay as they are.

    A recording that the whole corpus holds already is left out and counted: one of training would come twice, and one
    of another split, or of none, is not to be heard. It is known by its content, and one in which anything but
    training lies by its path too, so that it is not even opened. Nor is another recording heard of a speaker who is,
    by corpus and name, of another split; of folders by name alone.

    Args:
        manifest: what training and its choices hear; None = nothing but ``sources``.
        sources: folders of recordings, or manifests, see ``read_unlabelled``.
        whole: the corpus that ``manifest`` was taken from.
        progress: shows how far the decoding is.

    Raises:
        CorpusError: for a source without a usable recording, or without lengths or fingerprints of its contents.
    """
    seen, elsewhere, strangers = set[str | None](), frozenset[Path](), set[Voice]()
    if manifest is not None and whole is not None:
        learnt = {u.utterance_id: voice_of(u) for u in manifest if u.split == TRAIN}
        others = [u for u in whole if u.utterance_id not in learnt]
        elsewhere = frozenset(whole.path_of(u).resolve() for u in others)
        strangers = known_voices(others) - set(learnt.values())
        seen = {u.content_sha256 for u in whole}
    names_of_strangers = {name for _, name in strangers}
    base, parts, left_out = manifest, dict[str, Manifest](), dict[str, int]()
    for source in sources:
        found = read_unlabelled(source, elsewhere=elsewhere, progress=progress)
        name = _name_of(source.stem, base, parts)
        unknown = next((u for u in found if u.duration_s is None or u.content_sha256 is None), None)
        if unknown is not None:
            raise CorpusError(
                f"data.unlabelled: {unknown.utterance_id} of {source} has no duration_s or no content_sha256; read it"
                " again with `emotune corpus read`."
            )
        strange = {
            (corpus, name)
            for corpus, name in known_voices(found)
            if (corpus, name) in strangers or (corpus is None and name in names_of_strangers)
        }
        new, of_strangers = [], 0
        for utterance in found:
            is_new, is_strange = utterance.content_sha256 not in seen, voice_of(utterance) in strange
            of_strangers += is_new and is_strange
            if is_new and not is_strange:
                new.append(dataclasses.replace(utterance, split=TRAIN))
            seen.add(utterance.content_sha256)
        unopened = sum(item.reason == ELSEWHERE for item in found.skipped)
        if known := len(found) - len(new) - of_strangers + unopened:
            left_out[f"of {name} that were read before, such as from the manifest"] = known
        if of_strangers:
            left_out[f"of {name} by speakers whom the manifest has in other splits than training"] = of_strangers
        part = found.replace_utterances(new)
        if base is None:
            base = part
        elif new:
            parts[name] = part
    assert base is not None, "a recipe has a manifest, or sources"
    added = with_others(base, parts) if parts else base
    counted = {**base.information.get("left_out", {}), **left_out}
    return dataclasses.replace(added, information={**added.information, **({"left_out": counted} if counted else {})})


def _name_of(text: str, manifest: Manifest | None, parts: Collection[str]) -> str:
    """A name for a corpus, of letters that a join takes, that names nothing else and stands before no id."""
    taken = {*parts, "" if manifest is None else str(manifest.information.get("corpus"))}
    for utterance in manifest or ():
        taken |= {str(utterance.corpus), utterance.utterance_id.partition("/")[0]}
    plain = re.sub(r"[^\w.+-]+", "_", text) or "recordings"
    names = [plain, *(f"{plain}_{number}" for number in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)
