"""A trained model to the Hugging Face Hub: its own files and a complete card, nothing else."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from emotune.errors import ConfigError, ModelError
from emotune.export.hub_card import StatedMetadata, hub_card
from emotune.io.hub import CARD, PREFIX
from emotune.io.tables import read_json
from emotune.models.folder import CONFIG, GRAPH, HEADS_GRAPH, PREPROCESSOR, WEIGHTS
from emotune.schema.run_folder import RunFolder

FILES = (CONFIG, PREPROCESSOR, WEIGHTS, GRAPH, HEADS_GRAPH)
"""All that is uploaded beside the card: never sound, tables or what else lies in a run."""
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_FOLDER = re.compile(r"(~[\w.-]*|[A-Za-z]:|\.{1,2})?[\\/].*", re.DOTALL)
_REFUSALS = {401: "nobody is logged in", 403: "this account may not write there", 404: "there is no such owner"}


@dataclass(frozen=True)
class Push:
    """Upload of a model, done or planned.

    Args:
        repository: ``owner/name``.
        files: name -> bytes, with the card.
        card: text of the card.
        address: where it lies now; None for a dry run.
    """

    repository: str
    files: dict[str, int]
    card: str
    address: str | None

    @property
    def metadata(self) -> dict[str, Any]:
        """Front matter of the card."""
        return yaml.safe_load(self.card.split("---\n")[1])


def push(
    run_path: str | Path,
    repository: str,
    stated: StatedMetadata | None = None,
    *,
    dry_run: bool = False,
    private: bool = False,
    endpoint: str | None = None,
    token: str | None = None,
) -> Push:
    """Uploads the model of a run with its card.

    Args:
        run_path: a run folder with a finished model.
        repository: ``owner/name`` on the Hub; made where it is not there.
        stated: metadata that the run does not hold.
        dry_run: nothing is sent.
        private: make it visible to its owner alone.
        endpoint: address of another hub than huggingface_hub's own.
        token: as huggingface_hub has it; default that of the login.

    Raises:
        ConfigError: for a name that is none, metadata that is missing, or a package that is.
        ModelError: for a run without a model, a folder's name in what would be sent, or a hub that refuses.
    """
    repository = repository.removeprefix(PREFIX)
    if not _NAME.fullmatch(repository):
        raise ConfigError(f"'{repository}' is no name on the Hugging Face Hub, expected owner/name.")
    run = RunFolder(Path(run_path))
    if not run.finished or not (run.model / CARD).is_file():
        raise ModelError(f"{run_path} is no run folder with a finished model. Name one of `emotune train`.")
    files = [run.model / name for name in FILES if (run.model / name).is_file()]
    for file in files:
        _refuse_folders(file)
    sizes = {file.name: file.stat().st_size for file in files}
    try:
        card = hub_card(run, repository, stated or StatedMetadata())
    except ConfigError as error:
        if not dry_run:
            raise
        listed = ", ".join(f"{name} {size / 1e6:.3f} MB" for name, size in sizes.items())
        raise ConfigError(f"{error} Beside the card would be sent: {listed}.") from error
    sizes |= {CARD: len(card.encode())}
    if dry_run:
        return Push(repository, sizes, card, None)
    address = _upload(repository, files, card, private=private, endpoint=endpoint, token=token)
    return Push(repository, sizes, card, address)


def _refuse_folders(file: Path) -> None:
    """Refuses a setting that names a folder of this machine."""
    if file.suffix != ".json":
        return
    found = [path for path, value in _words(read_json(file, "The model's file"), "") if _FOLDER.fullmatch(value)]
    if found:
        raise ModelError(
            f"{file}: {found[0]} names a folder of this machine, which nobody else has. Put the name of a model there,"
            " or train with one from the Hub."
        )


def _words(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _words(inner, f"{path}.{key}".removeprefix("."))


def _upload(
    repository: str, files: list[Path], card: str, *, private: bool, endpoint: str | None, token: str | None
) -> str:
    try:
        library = importlib.import_module("huggingface_hub")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"emotune push needs '{error.name}', which is not installed: pip install 'emotune[train]'."
        ) from error
    hub = library.HfApi(endpoint=endpoint, token=token)
    add = library.CommitOperationAdd
    operations = [add(file.name, str(file)) for file in files] + [add(CARD, card.encode())]
    try:
        hub.create_repo(repository, private=private, exist_ok=True)
        hub.create_commit(repository, operations, commit_message="Upload a model of emotune")
    except Exception as error:  # the hub's HTTP library, and with it its exceptions, differs between its versions
        status: int | None = getattr(getattr(error, "response", None), "status_code", None)
        said = type(error).__name__ if status is None else _REFUSALS.get(status, f"status {status}")
        raise ModelError(
            f"The Hugging Face Hub did not take {repository}: {said}. Log in with `hf auth login`, see that the name is"
            " yours and the network there, and push again."
        ) from error
    return f"{(endpoint or library.constants.ENDPOINT).rstrip('/')}/{repository}"
