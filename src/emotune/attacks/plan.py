"""Attacks that an audit makes, read from texts such as ``pgd:snr_db=30,steps=20``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from emotune.attacks import ATTACKS
from emotune.attacks.options import AttackOptions
from emotune.config.faults import faults
from emotune.errors import ConfigError

STANDARD = (
    *("random_sign:snr_db=30", "random_sign:snr_db=20"),
    *("fgsm:snr_db=40", "fgsm:snr_db=30", "fgsm:snr_db=20"),
    *("pgd:snr_db=50", "pgd:snr_db=40", "pgd:snr_db=30"),
    *("fgsm:domain=log_mel,epsilon=0.025", "bim:domain=log_mel,epsilon=0.025"),
    *("deepfool", "cw_l2", "cw_linf", "jsma", "jsma:domain=log_mel", "sparse", "hop_skip_jump"),
)
"""Attacks of an audit that names none."""


@dataclass(frozen=True)
class PlannedAttack:
    """Attack with its options.

    Args:
        name: an entry of ``ATTACKS``.
        options: its section.
    """

    name: str
    options: AttackOptions

    @property
    def text(self) -> str:
        """All of it in one line, as ``planned`` reads it."""
        given = {key: value for key, value in self.options.model_dump().items() if value is not None}
        return f"{self.name}:{','.join(f'{key}={_short(value)}' for key, value in given.items())}"

    @property
    def slug(self) -> str:
        """Name of its files: what differs from the defaults."""
        given = self.options.model_dump(exclude_defaults=True)
        parts = [value if key == "domain" else f"{key}={_short(value)}" for key, value in given.items()]
        return re.sub(r"[^\w.=+-]", "-", "-".join([self.name, *parts]))

    @property
    def words(self) -> str:
        """Name, domain and strength, for a reader."""
        domain = " on the spectrogram" if self.options.domain == "log_mel" else ""
        return f"{self.name}{domain}, {self.options.strength}"

    def make(self) -> Any:
        """Builds the ``Attack`` itself, which needs torch."""
        return ATTACKS[self.name](**self.options.model_dump(exclude={"domain"}))


def planned(text: str) -> PlannedAttack:
    """Reads an attack: its name, and behind a colon its options.

    Raises:
        ConfigError: for an unknown attack or options that it does not take.

    >>> planned("fgsm:snr_db=30").words
    'fgsm, 30 dB under the speech'
    """
    name, _, rest = text.partition(":")
    name = name.strip()
    section: type[AttackOptions] = ATTACKS.options(name) or AttackOptions
    given: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in rest.split(","))):
        key, equals, value = part.partition("=")
        if not equals or not value.strip():
            raise ConfigError(f"--attack {text}: expected NAME or NAME:KEY=VALUE,KEY=VALUE, got '{part}'.")
        if key.strip() in given:
            raise ConfigError(f"--attack {text}: '{key.strip()}' is given twice.")
        given[key.strip()] = _value(value.strip())
    try:
        return PlannedAttack(name, section.model_validate(given))
    except ValidationError as error:
        whole = f"{section.__name__.lower()}: "
        told = "; ".join(fault.removeprefix(whole) for fault in faults(error, section, given))
        keys = ", ".join(section.model_fields)
        raise ConfigError(f"--attack {text}: {told}. Options of {name}: {keys}.") from error


def plan_of(texts: Sequence[str]) -> tuple[PlannedAttack, ...]:
    """Reads several attacks, each once.

    Raises:
        ConfigError: for a text that is no attack.
    """
    return tuple({attack.text: attack for attack in map(planned, texts)}.values())


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _value(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
