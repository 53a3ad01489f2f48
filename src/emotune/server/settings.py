"""Settings of the service: limits of what is taken, keys, origins and folders."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from emotune.errors import ConfigError
from emotune.runtime.threads import usable_cores
from emotune.server.faults import words_of


class Limits(BaseModel):
    """Limits of requests, streams and jobs; what is beyond one is refused with a problem that names it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    files: int = Field(default=32, ge=1, description="recordings of a request")
    upload_mb: float = Field(default=100, gt=0, description="megabytes of a request")
    memory_mb: float = Field(default=4, ge=0, description="megabytes of it that stay in memory; more goes to a file")
    seconds: float = Field(default=900, gt=0, description="seconds of a recording that are answered at once")
    channels: int = Field(default=8, ge=1, description="channels of a recording")
    requests: int = Field(default=64, ge=1, description="requests that are taken at a time, waiting ones among them")
    client_requests: int = Field(default=32, ge=1, description="of these, those of one client")
    working: int = Field(default_factory=lambda: 4 * usable_cores(), ge=1, description="of these, those that work")
    upload_s: float = Field(default=60, gt=0, description="seconds in which a request must have come")
    request_s: float = Field(default=120, gt=0, description="seconds in which it must be answered once it has come")
    streams: int = Field(default=32, ge=0, description="streams at a time")
    client_streams: int = Field(default=8, ge=1, description="of these, those of one client")
    stream_s: float = Field(default=14400, gt=0, description="seconds of sound of a stream")
    stream_idle_s: float = Field(default=60, gt=0, description="seconds without sound after which a stream ends")
    jobs: int = Field(default=32, ge=1, description="jobs at a time that are not done")
    client_jobs: int = Field(default=8, ge=1, description="of these, those of one client")
    jobs_working: int = Field(default=1, ge=1, description="of the jobs, those that work")
    job_upload_mb: float = Field(default=1000, gt=0, description="megabytes of a job")
    job_upload_s: float = Field(default=600, gt=0, description="seconds in which a job must have come")
    job_seconds: float = Field(default=14400, gt=0, description="seconds of a recording of a job")
    job_keep_s: float = Field(default=3600, gt=0, description="seconds that a job is kept once it is done")
    results: int = Field(default=64, ge=1, description="done jobs that are kept at a time")
    drain_s: float = Field(default=25, ge=0, description="seconds to finish what was taken, when the service is to end")


class Settings(BaseModel):
    """Settings of the service.

    Attributes:
        limits: of what is taken.
        workers: threads that run models, over one copy of the weights of each; None = one a core.
        device: where models of PyTorch run; None = a GPU where there is one.
        batch_wait_s: longest that a clip waits for others to share a batch with, where the engine gains from batches.
        keys: hashed keys of clients, see ``server.keys``; none = everyone may ask.
        hosts: names by which it may be asked, in lower case; none = by any.
        origins: of web pages elsewhere that browsers may call the service from.
        jobs_folder: where jobs survive a restart; None = in memory alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    limits: Limits = Limits()
    workers: int | None = Field(default=None, ge=1)
    device: str | None = None
    batch_wait_s: float = Field(default=0.005, ge=0, le=1)
    keys: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    jobs_folder: Path | None = None

    @field_validator("origins")
    @classmethod
    def _as_browsers_send(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_origin, origins))

    @property
    def threads(self) -> int:
        """Threads that run a model."""
        return self.workers or usable_cores()


_ORIGIN = re.compile(r"([a-z]+-extension|https?)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d{1,5})?", re.ASCII)
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def _origin(given: str) -> str:
    """Origin as browsers send it: in lower case, without the usual port and without a slash at its end."""
    found = _ORIGIN.fullmatch(given.strip().lower().removesuffix("/"))
    if found is None:
        raise ConfigError(
            f"--origin {given}: expected SCHEME://NAME or SCHEME://NAME:PORT, such as https://example.org."
        )
    scheme, name, port = found.groups()
    return f"{scheme}://{name}{'' if port is None or port == _DEFAULT_PORTS.get(scheme) else port}"


def settings_of(limits: Mapping[str, float], **others: Any) -> Settings:
    """Settings with some limits by name, as the command line has them.

    Raises:
        ConfigError: for a limit that there is not, or a value that it cannot have.
    """
    unknown = [name for name in limits if name not in Limits.model_fields]
    if unknown:
        raise ConfigError(f"There is no limit '{unknown[0]}'. Known: {', '.join(Limits.model_fields)}.")
    try:
        return Settings(limits=Limits.model_validate(limits), **others)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, one['loc']))}: {words_of(one)}" for one in error.errors())
        raise ConfigError(f"--limit {faults}.") from error
