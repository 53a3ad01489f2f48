"""Examples for prompts, never from the split or the speakers that are annotated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emotune.errors import ConfigError, CorpusError
from emotune.evaluation.words.reader import has_transcript
from emotune.schema.manifest import Manifest
from emotune.schema.speakers import voice_of
from emotune.schema.utterance import Utterance


def example_pool(manifest: Manifest, annotated: Sequence[Utterance], split: str) -> list[Utterance]:
    """Labelled utterances with transcripts of one split, without those of any speaker or recording that is annotated.

    Raises:
        ConfigError: when the annotated utterances are of that split themselves.
        CorpusError: when nothing is left.
    """
    if any(utterance.split == split for utterance in annotated):
        raise ConfigError(
            f"Examples are to come from the split {split}, which is annotated itself: an example would give its own"
            " answer away. Annotate another split (--split), or take the examples elsewhere (--examples-from)."
        )
    voices = {voice_of(u) for u in annotated} - {None}
    contents = {u.content_sha256 for u in annotated} - {None}
    left = [
        u
        for u in manifest
        if u.split == split
        and u.emotion is not None
        and has_transcript(u)
        and voice_of(u) is not None
        and voice_of(u) not in voices
        and u.content_sha256 not in contents
    ]
    if not left:
        raise CorpusError(
            f"No example is left in the split {split}: it needs labels, transcripts, and known speakers that are not"
            " annotated. Ask without examples (--shots 0), or name another split."
        )
    return left


def chosen_examples(pool: Sequence[Utterance], count: int, *, seed: int) -> list[Utterance]:
    """Draws examples, as evenly over the classes as they go."""
    generator = np.random.default_rng(seed)
    by_class: dict[str, list[Utterance]] = {}
    for place in generator.permutation(len(pool)):
        by_class.setdefault(pool[int(place)].emotion or "", []).append(pool[int(place)])
    names = sorted(by_class)
    order = [names[int(place)] for place in generator.permutation(len(names))]
    chosen: list[Utterance] = []
    while len(chosen) < min(count, len(pool)):
        chosen += [by_class[name].pop() for name in order if by_class[name] and len(chosen) < count]
    return chosen[:count]
