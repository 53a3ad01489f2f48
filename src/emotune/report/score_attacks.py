"""Attacks that an evaluation is asked for: made, scored, and written as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emotune.attacks.plan import STANDARD, PlannedAttack, plan_of
from emotune.errors import ConfigError
from emotune.inference.predictor import Predictor
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions

if TYPE_CHECKING:
    from emotune.evaluation.adversarial.audit import Audit


@dataclass(frozen=True)
class Attacks:
    """Attacks to be made.

    Args:
        plan: each of them; those of ``STANDARD`` when None.
        clips: attacked at most.
        seed: of the choice of clips and of the attacks.
    """

    plan: Sequence[PlannedAttack] | None = None
    clips: int = 100
    seed: int = 0

    @classmethod
    def asked(cls, adversarial: bool, texts: Sequence[str], clips: int | None = None) -> Attacks | None:
        """Attacks as the command line asks for them; None where it asks for none.

        Raises:
            ConfigError: for a text that is no attack, or attacks without ``--adversarial``.
        """
        if not adversarial:
            if texts:
                raise ConfigError("--attack goes with --adversarial: add that too.")
            if clips is not None:
                raise ConfigError("--attack-clips goes with --adversarial: add that too.")
            return None
        plan = plan_of(texts) if texts else None
        return cls(plan) if clips is None else cls(plan, clips)


def score_attacks(
    attacks: Attacks,
    predictor: Predictor,
    manifest: Manifest,
    clean: Predictions,
    folder: Path,
    title: str,
    notices: Sequence[str],
    *,
    resamples: int = 1000,
    progress: Progress = silent,
) -> Audit:
    """Makes attacks, and writes ``adversarial.json``, ``adversarial.html`` and an example to listen to.

    Raises:
        EmotuneError: as ``run_audit`` raises.
    """
    from emotune.evaluation.adversarial.audit import FOLDER, run_audit  # noqa: PLC0415 (SciPy comes with it)
    from emotune.report.adversarial_page import write_audit  # noqa: PLC0415

    found = run_audit(
        predictor,
        manifest,
        clean,
        folder / FOLDER,
        plan_of(STANDARD) if attacks.plan is None else attacks.plan,
        named=attacks.plan is not None,
        clips=attacks.clips,
        resamples=resamples,
        seed=attacks.seed,
        progress=progress,
    )
    write_audit(folder, found, title=f"{title}, under attack", notices=notices)
    return found
