"""One clip under one attack: the sound that comes of it, or the answer, and how far it was changed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emotune.attacks import ATTACKS
from emotune.attacks.attack import Attack
from emotune.attacks.audibility import exposed_share
from emotune.attacks.plan import PlannedAttack
from emotune.attacks.victim import ClosedVictim, LogMelVictim, Victim, WaveformVictim, encoder_of_log_mel
from emotune.audio import FloatArray
from emotune.audio.preprocessing import Preprocessing
from emotune.audio.recordings import sounding
from emotune.errors import ConfigError
from emotune.inference.engine import Engine
from emotune.inference.torch_engine import TorchEngine
from emotune.schema.calibration import with_temperature


@dataclass(frozen=True)
class ClipChange:
    """Size of an attack's change of a clip.

    Args:
        snr_db: power of what the model hears over that of the change; infinite where nothing changed, NaN for a
            spectrogram.
        largest: change of a number.
        mean: absolute change of a number.
        changed: share of the numbers.
        exposed: see ``exposed_share``; NaN for a spectrogram.
        queries: inputs that the model was asked about.
        seconds: that the attack took.
    """

    snr_db: float
    largest: float
    mean: float
    changed: float
    exposed: float
    queries: int
    seconds: float


@dataclass(frozen=True)
class AttackedClip:
    """Clip after an attack.

    Args:
        samples: the whole clip, shape (samples,); None where the spectrogram was attacked, which has no sound.
        probabilities: answer to the spectrogram, shape (classes,); None where there is sound to predict from.
        change: how far it goes.
    """

    samples: FloatArray | None
    probabilities: NDArray[np.floating] | None
    change: ClipChange


def refusal_of(engine: Engine, attack: PlannedAttack) -> str | None:
    """Gives the reason why an attack cannot be made on a model, with the cure; None where it can."""
    if attack.options.domain == "log_mel":
        if not isinstance(engine, TorchEngine):
            return _no_gradients(attack, "changes the spectrogram inside the model")
        try:
            encoder_of_log_mel(engine.model)
        except ConfigError as error:
            return str(error)
    if ATTACKS[attack.name].needs == "gradients" and not isinstance(engine, TorchEngine):
        return _no_gradients(attack, "needs gradients")
    return None


def _no_gradients(attack: PlannedAttack, why: str) -> str:
    closed = ", ".join(name for name in ATTACKS if ATTACKS[name].needs != "gradients")
    return (
        f"{attack.name} {why}, and an exported model answers only. Give the run folder that it was exported from, or"
        f" attacks that ask for answers alone: {closed}."
    )


def attack_clip(
    engine: Engine,
    attack: PlannedAttack,
    samples: FloatArray,
    truth: int,
    *,
    key: str,
    conditions: Mapping[str, FloatArray] | None = None,
) -> AttackedClip:
    """Attacks one clip.

    Only what the model hears is changed: silence that it trims away stays as it is.

    Args:
        engine: of the model.
        attack: which one.
        samples: decoded, shape (samples,).
        truth: index of the class that the model must no longer answer.
        key: what the attack's randomness is drawn from.
        conditions: what the model is given beside the sound, each shape (width,); held fast.

    Raises:
        AudioError: for a clip that the model cannot hear.
        ConfigError: for an attack that cannot be made on this model.
    """
    reason = refusal_of(engine, attack)
    if reason is not None:
        raise ConfigError(reason)
    began = time.perf_counter()
    heard, start = heard_part(engine.preprocessing, samples)
    victim = _victim(engine, attack, heard, conditions)
    generator = torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(key.encode()).digest()[:7], "little"))
    made: Attack = attack.make()
    changed = made.perturbed(victim, truth, generator).detach()
    change = (changed - victim.clean).cpu().numpy()
    seconds, queries = time.perf_counter() - began, victim.queries
    if attack.options.domain == "log_mel":
        return AttackedClip(None, _probabilities(victim, changed, engine), _measured(None, change, queries, seconds))
    whole = np.array(samples, dtype=np.float32)
    kept = min(len(heard), len(whole) - start)
    whole[start : start + kept] = changed.cpu().numpy()[:kept]
    return AttackedClip(whole, None, _measured(heard, change, queries, seconds))


def heard_part(preprocessing: Preprocessing, samples: FloatArray) -> tuple[FloatArray, int]:
    """Part of a clip that the model hears, before it is normalised, and the sample at which that begins.

    Raises:
        AudioError: for a clip that is too short or too long for the model.
    """
    threshold = preprocessing.trim_silence_db
    start = 0 if threshold is None else sounding(samples, threshold_db=threshold).start
    return preprocessing.trim(samples), start


def _victim(
    engine: Engine, attack: PlannedAttack, heard: FloatArray, conditions: Mapping[str, FloatArray] | None
) -> Victim:
    if not isinstance(engine, TorchEngine):
        return ClosedVictim(engine, heard, conditions)
    engine.model.eval()
    kind = LogMelVictim if attack.options.domain == "log_mel" else WaveformVictim
    return kind(engine.model, engine.preprocessing, heard, conditions)


def _probabilities(victim: Victim, changed: Tensor, engine: Engine) -> NDArray[np.floating]:
    with torch.no_grad():
        answered = torch.softmax(victim.scores(changed[None]).double(), dim=1).cpu().numpy()
    return with_temperature(answered, engine.calibration.temperature)[0]


def _measured(heard: FloatArray | None, change: NDArray[np.floating], queries: int, seconds: float) -> ClipChange:
    size = np.abs(change.astype(np.float64))
    snr_db = exposed = float("nan")
    if heard is not None:
        power, noise = float(np.mean(heard.astype(np.float64) ** 2)), float(np.mean(size**2))
        snr_db = 10 * np.log10(power / noise) if noise > 0 and power > 0 else float("inf")
        exposed = exposed_share(heard, change)
    return ClipChange(
        float(snr_db), float(size.max()), float(size.mean()), float((size > 0).mean()), exposed, queries, seconds
    )
