"""A manifest with the recordings of ``data.unlabelled`` beside its own."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emotune.corpora.beside import with_others
from emotune.corpora.unlabelled import read_unlabelled
from emotune.errors import CorpusError
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest
from emotune.schema.speakers import Voice, known_voices, voice_of
from emotune.schema.splits import TRAIN
from emotune.schema.utterance import Utterance, share_sound

_HELD_OUT = "the manifest has it in another split than training"
_OF_A_STRANGER = "the manifest has its speaker in another split than training"
_READ_BEFORE = "read before"
_COUNTED = {
    _HELD_OUT: "that the manifest has in other splits than training",
    _OF_A_STRANGER: "by speakers whom the manifest has in other splits than training",
    _READ_BEFORE: "that were read before, such as from the manifest",
}
"""Reason for which a recording is left out, and how those are called when they are counted."""


@dataclass(frozen=True)
class Known:
    """Knowledge of a corpus, by which recordings that come beside it are judged.

    Args:
        held_out: utterances that are not learnt, by their recording's path with all links followed.
        strangers: speakers of such utterances alone, each also without its corpus, which a folder does not name.
        contents: of all recordings.
    """

    held_out: Mapping[Path, Sequence[Utterance]]
    strangers: frozenset[Voice]
    contents: frozenset[str]

    @classmethod
    def of(cls, whole: Manifest, learnt: Collection[Utterance]) -> Known:
        """Takes up a whole corpus, of which these utterances are learnt."""
        ids, held_out = {utterance.utterance_id for utterance in learnt}, dict[Path, list[Utterance]]()
        others = [utterance for utterance in whole if utterance.utterance_id not in ids]
        for utterance in others:
            held_out.setdefault(whole.path_of(utterance).resolve(), []).append(utterance)
        voices = known_voices(others) - known_voices(learnt)
        strangers = frozenset(voices | {(None, name) for _, name in voices})
        return cls(held_out, strangers, frozenset(u.content_sha256 for u in whole if u.content_sha256))

    def why_unopened(self, path: Path, utterance: Utterance) -> str | None:
        """Why a recording must not even be opened; None for one that may be heard."""
        there = self.held_out.get(path.resolve(), ()) if self.held_out else ()
        if any(not _told_apart(utterance, other) for other in there):
            return _HELD_OUT
        if voice_of(utterance) in self.strangers:
            return _OF_A_STRANGER
        return None


def _told_apart(one: Utterance, other: Utterance) -> bool:
    """Tells if two stretches of one recording share no sound, and both say whose they are: nobody may be anybody."""
    return None not in (one.speaker, other.speaker) and not share_sound(one, other)


def with_unlabelled(
    manifest: Manifest | None,
    sources: Sequence[Path],
    *,
    whole: Manifest | None = None,
    progress: Progress = silent,
) -> Manifest:
    """Adds recordings without labels, all of split train, to a manifest, whose own utterances stay as they are.

    What must not be heard is not even opened: recordings in which the whole corpus has anything but training, save
    stretches that lie apart from that and are of somebody else; and all others of a speaker who is of other splits, by
    corpus and name, of folders by name alone. Of what is heard, a content that is there already is left out, since it
    would come twice, or is held out somewhere else. All of that is counted.

    Args:
        manifest: what training and its choices hear; None = nothing but ``sources``.
        sources: folders of recordings, or manifests, see ``read_unlabelled``.
        whole: the corpus that ``manifest`` was taken from.
        progress: shows how far the decoding is.

    Raises:
        CorpusError: for a source without a usable recording, or without lengths or fingerprints of its contents.
    """
    known = Known({}, frozenset(), frozenset())
    if manifest is not None and whole is not None:
        known = Known.of(whole, [utterance for utterance in manifest if utterance.split == TRAIN])
    base, parts, left_out, seen = manifest, dict[str, Manifest](), dict[str, int](), set(known.contents)
    for source in sources:
        found = read_unlabelled(source, unopened=known.why_unopened, progress=progress)
        name, new = _name_of(source.stem, base, parts), dict[str, Utterance]()
        for utterance in found:
            content = _content_of(utterance, source)
            if content not in seen:
                new[content] = dataclasses.replace(utterance, split=TRAIN)
                seen.add(content)
        counts = Counter(item.reason for item in found.skipped) + Counter({_READ_BEFORE: len(found) - len(new)})
        left_out |= {f"of {name} {words}": counts[reason] for reason, words in _COUNTED.items() if counts[reason]}
        part = found.replace_utterances(list(new.values()))
        if base is None:
            base = part
        elif new:
            parts[name] = part
    assert base is not None, "a recipe has a manifest, or sources"
    added = with_others(base, parts) if parts else base
    counted = {**base.information.get("left_out", {}), **left_out}
    return dataclasses.replace(added, information={**added.information, **({"left_out": counted} if counted else {})})


def _content_of(utterance: Utterance, source: Path) -> str:
    """Content of a recording that somebody has looked at."""
    if utterance.duration_s is None or utterance.content_sha256 is None:
        raise CorpusError(
            f"data.unlabelled: {utterance.utterance_id} of {source} has no duration_s or no content_sha256; read it"
            " again with `emotune corpus read`."
        )
    return utterance.content_sha256


def _name_of(text: str, manifest: Manifest | None, parts: Collection[str]) -> str:
    """A name for a corpus, of letters that a join takes, that names nothing else and stands before no id."""
    taken = {*parts, "" if manifest is None else str(manifest.information.get("corpus"))}
    for utterance in manifest or ():
        taken |= {str(utterance.corpus), utterance.utterance_id.partition("/")[0]}
    plain = re.sub(r"[^\w.+-]+", "_", text) or "recordings"
    names = [plain, *(f"{plain}_{number}" for number in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)
