"""A manifest with the recordings of ``data.unlabelled`` beside its own."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from emotune.corpora.join import joined
from emotune.corpora.unlabelled import read_unlabelled
from emotune.errors import CorpusError
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest
from emotune.schema.splits import TRAIN


def with_unlabelled(
    manifest: Manifest | None,
    sources: Sequence[Path],
    *,
    known: Collection[str | None] = (),
    progress: Progress = silent,
) -> Manifest:
    """Joins recordings without labels, all of split train, to a manifest, whose splits and labels stay.

    A recording whose content is known already is left out and counted: of training it would come twice, and one of
    another split is not to be heard.

    Args:
        manifest: None = there is none.
        sources: folders of recordings, or manifests, see ``read_unlabelled``.
        known: fingerprints of contents of the whole corpus, those of ``manifest`` aside.
        progress: shows how far the decoding is.

    Raises:
        CorpusError: for a source without a usable recording, or without fingerprints of its contents.
    """
    parts: dict[str, Manifest] = {}
    seen, left_out = set(known), dict[str, int]()
    if manifest is not None:
        parts[_name_of(str(manifest.information.get("corpus", "manifest")), parts)] = manifest
        seen |= {utterance.content_sha256 for utterance in manifest}
        left_out |= manifest.information.get("left_out", {})
    for source in sources:
        found = read_unlabelled(source, progress=progress)
        new = []
        for utterance in found:
            if utterance.content_sha256 is None:
                raise CorpusError(
                    f"data.unlabelled: {utterance.utterance_id} of {source} has no content_sha256; read it again with"
                    " `emotune corpus read`."
                )
            if utterance.content_sha256 not in seen:
                new.append(dataclasses.replace(utterance, split=TRAIN))
            seen.add(utterance.content_sha256)
        name = _name_of(source.stem, parts)
        if len(new) < len(found):
            left_out[f"of {name} that were read before, such as from the manifest"] = len(found) - len(new)
        parts[name] = found.replace_utterances(new)
    heard = {name: part for name, part in parts.items() if len(part)} or parts
    (first, *others) = heard.values()
    whole = joined(heard, classes="all") if others else first
    information = {**whole.information, **({"left_out": left_out} if left_out else {})}
    return dataclasses.replace(whole, information=information)


def _name_of(text: str, taken: Collection[str]) -> str:
    """A corpus's name of letters that a join takes, unlike those that are taken."""
    plain = re.sub(r"[^\w.+-]+", "_", text) or "recordings"
    names = [plain, *(f"{plain}_{number}" for number in range(2, len(taken) + 2))]
    return next(name for name in names if name not in taken)
