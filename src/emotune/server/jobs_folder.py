"""Folder in which jobs survive a restart: a folder for each, with its recordings until it is done."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import Timeout

from emotune.errors import ConfigError, EmotuneError, TableError
from emotune.io.locks import LOCK, held
from emotune.io.tables import read_json, to_json, write_text
from emotune.schema.labels import LabelSpace
from emotune.schema.predictions import Prediction, Predictions
from emotune.server.answers import prediction_json
from emotune.server.job import Job, Result
from emotune.server.logs import log
from emotune.server.options import JobOptions
from emotune.server.uploads import Upload
from emotune.timelines import Timelines
from emotune.timelines.formats.json_document import settings_of, timeline_from_json, timeline_to_json

SCHEMA = "emotune-job/1"
_ABOUT = "job.json"
_COPY_BYTES = 2**20


class JobsFolder:
    """Jobs on disk. Only this user may read them, since they are recordings of people.

    Args:
        path: of the folder; it is made if missing.

    Raises:
        TableError: when it cannot be written.
        ConfigError: when another server has its jobs there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = ExitStack()
        if path.exists() and not path.is_dir():
            raise TableError(f"--jobs-folder {path} is a file: name a folder, which is made if it is missing.")
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock.enter_context(held(path / LOCK))
        except Timeout as error:
            raise ConfigError(f"Another server has its jobs in {path}: choose another --jobs-folder.") from error
        except OSError as error:
            raise TableError(f"{path} cannot be written ({error.strerror}); choose another --jobs-folder.") from error

    def close(self) -> None:
        """Leaves the folder to others."""
        self._lock.close()

    def keep(self, job: Job) -> None:
        """Writes a new job with its recordings; its description comes last.

        Raises:
            TableError, OSError: when it cannot.
        """
        own = self.path / job.job_id
        own.mkdir(mode=0o700)
        for number, upload in enumerate(job.uploads):
            upload.stream.seek(0)
            with (own / str(number)).open("wb") as stream:
                shutil.copyfileobj(upload.stream, stream, _COPY_BYTES)
        self._describe(job)

    def update(self, job: Job) -> None:
        """Writes what a job that is done came to, and deletes its recordings, also where it cannot be written.

        Raises:
            TableError, OSError: when it cannot, even in the room of the recordings.
        """
        try:
            self._describe(job)
        except (TableError, OSError):
            self._let_go(job)
            self._describe(job)
        self._let_go(job)

    def _let_go(self, job: Job) -> None:
        for path in (self.path / job.job_id).iterdir():
            if path.name != _ABOUT:
                path.unlink()

    def forget(self, job_id: str) -> None:
        """Deletes a job."""
        shutil.rmtree(self.path / job_id, ignore_errors=True)

    def jobs(self, space_of: Callable[[str], LabelSpace | None]) -> list[Job]:
        """Jobs that are not expired, oldest first; what cannot be read is deleted.

        Args:
            space_of: classes and dimensions of a served model by its name.

        Raises:
            ConfigError: for jobs of a model that is not served; nothing is deleted then.
        """
        known = {own: _about(own) for own in self.path.iterdir() if own.is_dir()}
        for model in {about["model"] for about in known.values() if about is not None}:
            if space_of(model) is None:
                raise ConfigError(
                    f"{self.path} keeps jobs of the model '{model}', which is not served: serve it too, as {model} or"
                    f" {model}=MODEL, or choose another --jobs-folder. Nothing was deleted."
                )
        found: list[Job] = []
        for own, about in known.items():
            job = None if about is None else _job(own, about, space_of(about["model"]))
            if job is None:
                self.forget(own.name)
            else:
                found.append(job)
        return sorted(found, key=lambda job: job.created)

    def _describe(self, job: Job) -> None:
        about = {
            "schema": SCHEMA,
            "client": job.client,
            "model": job.model,
            "options": job.options.model_dump(),
            "files": [upload.name for upload in job.uploads],
            "created": job.created,
            "outcome": job.outcome,
            "expires": job.expires,
            "problem": job.problem,
            "result": None if job.result is None else _result_json(job.result),
        }
        write_text(self.path / job.job_id / _ABOUT, to_json(about, indent=None))


_UNREADABLE = (EmotuneError, OSError, ValueError, KeyError, TypeError, AttributeError)


def _about(own: Path) -> dict[str, Any] | None:
    """Description of a job; None for one that is expired or cannot be read."""
    try:
        about = read_json(own / _ABOUT, "A job")
        if about["schema"] != SCHEMA or not isinstance(about["model"], str):
            raise ValueError
        is_expired = about["expires"] is not None and about["expires"] < time.time()
    except _UNREADABLE as error:
        log("a job of the folder is deleted", reason=type(error).__name__)
        return None
    return None if is_expired else about


def _job(own: Path, about: dict[str, Any], space: LabelSpace | None) -> Job | None:
    """Job by its description; None where that is broken."""
    try:
        assert space is not None  # its model is served
        result = None if about["result"] is None else _result_of(about["result"], space)
        is_active = about["outcome"] is None
        return Job(
            about["client"],
            about["model"],
            JobOptions.model_validate(about["options"]),
            [_stored(name, own / str(number)) for number, name in enumerate(about["files"])] if is_active else [],
            job_id=own.name,
            created=about["created"],
            outcome=about["outcome"],
            done=float(result is not None),
            expires=about["expires"],
            result=result,
            problem=about["problem"],
        )
    except _UNREADABLE as error:
        log("a job of the folder is deleted", reason=type(error).__name__)
        return None


def _stored(name: str, path: Path) -> Upload:
    upload = Upload(name)
    upload.stream = path.open("rb")
    upload.size = path.stat().st_size
    return upload


def _result_json(result: Result) -> dict[str, Any]:
    if isinstance(result, Predictions):
        rows = [prediction_json(row) | {"utterance_id": row.utterance_id} for row in result]
        return {"predictions": rows, "fingerprint": result.model_fingerprint}
    fingerprint = next((row.model_fingerprint for row in result if row.error is None), None)
    timelines = [timeline_to_json(row) for row in result]
    return {"timelines": timelines, "settings": settings_of(result), "fingerprint": fingerprint}


def _result_of(data: dict[str, Any], space: LabelSpace) -> Result:
    """Reads the output of ``_result_json``."""
    if "predictions" in data:
        rows = tuple(_prediction_of(row) for row in data["predictions"])
        return Predictions(rows, space, data["fingerprint"])
    plain = (timeline_from_json(row, space) for row in data["timelines"])
    settled = (replace(row, settings=data["settings"], model_fingerprint=data["fingerprint"]) for row in plain)
    return Timelines(tuple(settled), space)


def _prediction_of(row: dict[str, Any]) -> Prediction:
    extra = {"file": row["file"], **({} if row["channel"] is None else {"channel": row["channel"]})}
    fields = ("probabilities", "dimensions", "conditions_used", "error", "uncertain", "warning")
    return Prediction(row["utterance_id"], extra=extra, **{name: row[name] for name in fields})
