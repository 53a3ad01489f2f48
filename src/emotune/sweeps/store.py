"""Trials of a sweep in Optuna's storage, shared by processes: each is taken once, and goes on if interrupted."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import yaml
from filelock import FileLock, Timeout
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from emotune.errors import ConfigError
from emotune.studies.plan import on_one_line
from emotune.sweeps.sweep import Range, Sweep
from emotune.sweeps.trial import Told

FILE = "trials.sqlite3"
FAULT = "fault"
_PATIENCE_S = 60


@dataclass(frozen=True)
class Taken:
    """A trial that this process has taken.

    Args:
        number: in its arm.
        parameters: key of the recipe -> value.
        trial: Optuna's.
        reported: epochs whose score the storage has, of a trial that was interrupted.
    """

    number: int
    parameters: Mapping[str, Any]
    trial: Trial
    reported: frozenset[int] = frozenset()


class TrialStore:
    """The trials of all arms, in ``trials.sqlite3`` of the sweep's folder.

    Args:
        folder: of the sweep; it holds a locked file for each trial that a process is at work on.
        sweep: whose trials they are.

    Raises:
        ConfigError: when the file is no storage of this version of Optuna.
    """

    def __init__(self, folder: Path, sweep: Sweep) -> None:
        self.folder, self.sweep = folder, sweep
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        url = f"sqlite:///{(folder / FILE).resolve()}"
        try:
            with self._alone():
                self.storage = RDBStorage(url, engine_kwargs={"connect_args": {"timeout": _PATIENCE_S}})
                self.studies = {arm: self._study(arm) for arm in sweep.arms}
        except (RuntimeError, optuna.exceptions.OptunaError) as error:
            raise ConfigError(f"{folder / FILE} cannot be used ({error}); choose another folder with -o.") from error

    def _study(self, arm: str) -> optuna.Study:
        return optuna.create_study(
            storage=self.storage, study_name=arm, direction="maximize", pruner=self._pruner(), load_if_exists=True
        )

    def _pruner(self) -> BasePruner:
        if not self.sweep.prune:
            return NopPruner()
        return MedianPruner(n_startup_trials=self.sweep.prune_from, n_warmup_steps=0)

    @contextmanager
    def take(self, arm: str) -> Iterator[Taken | None]:
        """Takes the arm's next trial: one that a process left unfinished, else a new one; None when all are taken.

        The trial is this process's until the block ends.
        """
        with self._alone():
            taken, lock = self._left(arm) or self._new(arm) or (None, None)
        try:
            yield taken
        finally:
            if lock is not None:
                lock.release()

    def _left(self, arm: str) -> tuple[Taken, FileLock] | None:
        for frozen in self.studies[arm].get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            lock = self._lock(arm, frozen.number)
            if lock is not None:
                return self._taken(arm, frozen.number, frozen.params), lock
        return None

    def _new(self, arm: str) -> tuple[Taken, FileLock] | None:
        study = self.studies[arm]
        number = len(study.get_trials(deepcopy=False))
        if number >= self.sweep.trials:
            return None
        study.sampler = self._sampler(arm, number)
        trial = study.ask(distributions(self.sweep, arm))
        lock = self._lock(arm, trial.number)
        assert lock is not None  # it is new, and nobody else takes trials meanwhile
        return self._taken(arm, trial.number, trial.params), lock

    def _taken(self, arm: str, number: int, stored: Mapping[str, Any]) -> Taken:
        study_id = self.storage.get_study_id_from_name(arm)
        trial = Trial(self.studies[arm], self.storage.get_trial_id_from_study_id_trial_number(study_id, number))
        reported = frozenset(self.studies[arm].get_trials(deepcopy=False)[number].intermediate_values)
        return Taken(number, parameters(self.sweep, arm, stored), trial, reported)

    def _sampler(self, arm: str, number: int) -> BaseSampler:
        """A sampler of the trial's own: what it draws depends on the trials before it and not on the process."""
        seed = zlib.crc32(f"{self.sweep.seed} {arm} {number}".encode())
        return RandomSampler(seed) if self.sweep.sampler == "random" else TPESampler(seed=seed)

    def complete(self, arm: str, number: int, score: float) -> None:
        """Writes down a trial's development score."""
        self.studies[arm].tell(number, score)

    def prune(self, arm: str, number: int) -> None:
        """Writes down that a trial was ended early."""
        self.studies[arm].tell(number, state=TrialState.PRUNED)

    def fail(self, arm: str, taken: Taken, fault: str) -> None:
        """Writes down why a trial failed; it counts among the arm's trials."""
        taken.trial.set_user_attr(FAULT, fault)
        self.studies[arm].tell(taken.number, state=TrialState.FAIL)

    def trials(self, arm: str) -> list[Told]:
        """All trials of an arm so far."""
        return [_told(self.sweep, arm, frozen) for frozen in self.studies[arm].get_trials(deepcopy=False)]

    def _lock(self, arm: str, number: int) -> FileLock | None:
        """A trial's lock, held; None when a living process holds it."""
        path = self.folder / "trials" / arm / f".{number:04d}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            return None
        return lock

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with FileLock(self.folder / ".taking.lock", timeout=_PATIENCE_S):
            yield


def distributions(sweep: Sweep, arm: str) -> dict[str, BaseDistribution]:
    """Keys that are searched in an arm, in Optuna's terms; a choice is known by its YAML."""
    found: dict[str, BaseDistribution] = {}
    for key, domain in sweep.space_of(arm).items():
        if not isinstance(domain, Range):
            found[key] = CategoricalDistribution([on_one_line(value) for value in domain])
        elif isinstance(domain.low, int) and isinstance(domain.high, int) and not isinstance(domain.step, float):
            found[key] = IntDistribution(domain.low, domain.high, log=domain.log, step=domain.step or 1)
        else:
            found[key] = FloatDistribution(float(domain.low), float(domain.high), log=domain.log, step=domain.step)
    return found


def parameters(sweep: Sweep, arm: str, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Values for the recipe of what is stored."""
    space = sweep.space_of(arm)
    return {
        key: value if isinstance(space[key], Range) else yaml.safe_load(value)
        for key, value in stored.items()
        if key in space
    }


def _told(sweep: Sweep, arm: str, frozen: FrozenTrial) -> Told:
    reached = [value for value in frozen.intermediate_values.values() if math.isfinite(value)]
    score = frozen.value if frozen.state == TrialState.COMPLETE else max(reached, default=None)
    return Told(
        frozen.number,
        {TrialState.FAIL: "failed"}.get(frozen.state, frozen.state.name.lower()),
        parameters(sweep, arm, frozen.params),
        score,
        len(frozen.intermediate_values),
        frozen.user_attrs.get(FAULT),
    )
