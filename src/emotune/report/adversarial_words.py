"""Conclusions from the figures of an audit, in sentences, and what limits them."""

from __future__ import annotations

import math

from emotune.attacks.options import BoundedOptions
from emotune.evaluation.adversarial.audit import Audit
from emotune.evaluation.adversarial.effects import AttackEffect, ChangeSize
from emotune.evaluation.notes import FEW_SPEAKERS
from emotune.evaluation.statistics.bootstrap import FEWEST_CLUSTERS
from emotune.report.numbers import percent
from emotune.report.robustness_words import LOSS, confidence_words, verdict_of

QUIET_DB = 30.0
"""Level under the speech at which a change is hardly heard beside it."""
EXPOSED = 0.05
"""With more of time and frequency uncovered, a change is likely to be heard."""


def conclusions(audit: Audit) -> list[str]:
    """Sentences on what the attacks show, the worst first."""
    ranked = sorted(audit.effects, key=lambda item: item.effect.differences["uar"].value)
    said = [_sentence(item) for item in ranked if verdict_of(item.effect.differences["uar"]) == LOSS]
    return [*said, *_against_chance(audit)] or ["No attack is shown to cost anything on these clips."]


def _sentence(item: AttackEffect) -> str:
    effect, words = item.effect, item.attack.words
    said = f"{words[0].upper()}{words[1:]}: UAR {effect.scores['uar'].value:.3f}, a change of"
    said += f" {effect.differences['uar'].in_words('+')}."
    if item.attack.options.domain == "waveform":
        said += f" {_audibility(item)}"
    return said + confidence_words(effect)


def heard_words(size: ChangeSize) -> str:
    """Says whether a change is likely to be heard; empty for none, and for that of a spectrogram."""
    if not math.isfinite(size.snr_db):
        return ""
    return "likely" if size.exposed > EXPOSED or size.snr_db < QUIET_DB else "hardly"


def _audibility(item: AttackEffect) -> str:
    """Says how far the change lies under the speech, and whether it is likely to be heard."""
    size = item.size
    if not math.isfinite(size.snr_db):
        return "Half of the clips or more stayed as they were."
    likely = heard_words(size) == "likely"
    heard = "likely to be heard" if likely else "hardly to be heard beside the speech"
    return (
        f"The change lies {size.snr_db:.0f} dB under the speech and is louder in {percent(size.exposed)} of time"
        f" and frequency: {heard}."
    )


def _against_chance(audit: Audit) -> list[str]:
    """Says of each random change that costs nothing, where an attack of its size does, that the direction counts."""
    costly = [item for item in audit.effects if verdict_of(item.effect.differences["uar"]) == LOSS]
    sizes = {_bound(item) for item in costly}
    noises = [item for item in audit.effects if item.attack.name == "random_sign"]
    harmless = [item for item in noises if verdict_of(item.effect.differences["uar"]) != LOSS and _bound(item) in sizes]
    return [
        f"A random change of the same size ({item.attack.options.strength}) is not shown to cost as much:"
        f" {item.effect.differences['uar'].in_words('+')}. It is the direction that counts."
        for item in harmless
    ]


def _bound(item: AttackEffect) -> tuple[str, float | None, float | None] | None:
    """Domain and bound of an attack, by which others of its size are known; None where it has none."""
    options = item.attack.options
    return (options.domain, options.epsilon, options.snr_db) if isinstance(options, BoundedOptions) else None


def limits(audit: Audit) -> list[str]:
    """Sentences on what the figures rest on."""
    said = [
        "The attacks know the model and the true class of each clip. Whoever lacks either has less success; a better"
        " attack than these may have more: a model that withstands them is not shown to be safe."
    ]
    if audit.clips < audit.of:
        said.append(
            f"{audit.clips} of {audit.of} clips were attacked, as many of each class and speaker as possible; the clean"
            " figures here are of the same clips."
        )
    if 1 < audit.clean.speakers < FEW_SPEAKERS:
        said.append(
            f"The intervals rest on {audit.clean.speakers} speakers; with fewer than {FEW_SPEAKERS} they tend to be too"
            " narrow."
            if audit.clean.speakers >= FEWEST_CLUSTERS
            else f"{audit.clean.speakers} speakers are too few for intervals."
        )
    if any(item.attack.options.domain == "waveform" for item in audit.effects):
        said.append(
            "Audibility is told from levels alone, not from hearing: listen to the example, on headphones. Attacked"
            " clips are judged as files: trimmed and prepared anew, in 32-bit samples. Codecs, rooms and loudspeakers"
            " in between are not tried."
        )
    if any(item.attack.options.domain == "log_mel" for item in audit.effects):
        said.append(
            "Attacks on the spectrogram need not be those of any sound: they tell of the model behind the spectrogram."
        )
    return said
