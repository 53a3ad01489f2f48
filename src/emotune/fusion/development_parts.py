"""Development in two parts: one that a fusion is fitted on, and one that says what it is worth."""

from __future__ import annotations

import numpy as np

from emotune.errors import CorpusError
from emotune.schema.manifest import Manifest
from emotune.schema.splits import assign_splits

_FIT, _REPORT = "fit", "report"


def in_two(
    manifest: Manifest, *, fit_share: float, seed: int, purpose: str = "fitted"
) -> tuple[Manifest, Manifest, tuple[str, ...]]:
    """The part to fit on, the part to report on, and what should be known of them.

    Each known speaker lies in one part, classes and genders are spread evenly. Utterances of unknown speakers are
    parted one by one, class by class, as all are where fewer than two speakers are known; a note says so.

    Args:
        manifest: the utterances of which a truth is known.
        fit_share: of the utterances, above 0 and below 1.
        seed: of the parting.
        purpose: what the first part is called in a note: fitted on, or, where nothing is fitted, chosen on.

    Raises:
        CorpusError: for fewer than two utterances, or another share.
    """
    if not 0 < fit_share < 1:
        raise CorpusError(
            f"fit_share is {fit_share}, expected a share between 0 and 1: one part fits, the other reports."
        )
    if len(manifest) < 2:
        raise CorpusError(
            f"{len(manifest)} development utterances have a truth and an answer of every system; two parts need more."
        )
    known = manifest.filter(lambda utterance: utterance.speaker is not None)
    unknown = manifest.filter(lambda utterance: utterance.speaker is None)
    speakers = len({utterance.speaker for utterance in known})
    notes: tuple[str, ...] = ()
    if speakers < 2:
        why = "has utterances of unknown speakers" if len(unknown) else "has one speaker"
        notes = (f"Development {why}: both parts hear the same speakers, and the reported score is optimistic.",)
        fit_ids = _by_utterance(manifest, fit_share, seed)
    else:
        parted = assign_splits(known, {_FIT: fit_share, _REPORT: 1 - fit_share}, seed=seed)
        fit_ids = {utterance.utterance_id for utterance in parted if utterance.split == _FIT}
        if len(unknown):
            notes = (
                f"{len(unknown)} of {len(manifest)} development utterances are of unknown speakers, who may be heard in"
                " both parts; all other speakers are in one.",
            )
            fit_ids |= _by_utterance(unknown, fit_share, seed)
    fit = manifest.filter(lambda utterance: utterance.utterance_id in fit_ids)
    report = manifest.filter(lambda utterance: utterance.utterance_id not in fit_ids)
    for part, other, what in ((fit, report, purpose), (report, fit, "reported")):
        absent = sorted({u.emotion for u in other if u.emotion is not None} - {u.emotion for u in part})
        if absent:
            notes += (f"The part that is {what} on has no {', '.join(absent)}.",)
    return fit, report, notes


def _by_utterance(manifest: Manifest, fit_share: float, seed: int) -> set[str]:
    """Draws the share from each class, in all at least one utterance and not every one."""
    generator = np.random.default_rng(seed)
    order = sorted(
        (manifest.utterances[number] for number in generator.permutation(len(manifest))),
        key=lambda utterance: utterance.emotion or "",
    )
    edges = np.floor(np.arange(len(order) + 1) * fit_share + 0.5)
    chosen = {u.utterance_id for u, taken in zip(order, np.diff(edges) > 0, strict=True) if taken}
    if not chosen:
        chosen = {order[0].utterance_id}
    return chosen if len(chosen) < len(order) else chosen - {order[-1].utterance_id}
