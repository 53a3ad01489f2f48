"""Models by name: a folder, or ``hf:owner/name[@revision]`` on the Hugging Face Hub."""

from __future__ import annotations

import difflib
import importlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from emotune.errors import ConfigError, ModelError

PREFIX = "hf:"
CARD = "README.md"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_REVISION = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*")
_SHAPE = "expected hf:owner/name, or hf:owner/name@revision with a branch, tag or commit"
_SHORT_COMMIT = 12
_NEIGHBOURS = 10_000  # folders looked at beside a name that leads nowhere
_LICENCE_AT_MOST = 80
_CORPORA_AT_MOST, _CORPUS_AT_MOST = 12, 60
_LOG = logging.getLogger(__name__)


class Download(Protocol):
    """Fetches a model's files, as ``huggingface_hub.snapshot_download`` does; gives the folder, named by the commit."""

    def __call__(self, repository: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        """Fetches the files of a revision that match the patterns."""
        ...


@dataclass(frozen=True)
class Snapshot:
    """A model of the Hub as it was at one commit.

    Args:
        folder: on this machine.
        repository: ``owner/name``.
        commit: the whole hash.
        licence: as its card states it; None where it does not.
    """

    folder: Path
    repository: str
    commit: str
    licence: str | None

    @property
    def name(self) -> str:
        """The name of this commit, found again from everywhere."""
        return f"{PREFIX}{self.repository}@{self.commit}"


def download_snapshot(repository: str, *, revision: str | None, allow_patterns: list[str]) -> str:
    """Fetches files of the Hub, or finds them in its cache.

    Raises:
        ConfigError: if huggingface_hub is not installed.
    """
    try:
        library = importlib.import_module("huggingface_hub")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{PREFIX}{repository} needs '{error.name}', which is not installed: pip install 'emotune[train]'."
        ) from error
    return library.snapshot_download(repository, revision=revision, allow_patterns=allow_patterns)


def is_hub_name(name: str | Path) -> bool:
    """Tells whether a name asks for the Hub; a folder of such a name is ``./hf:...``."""
    return str(name).startswith(PREFIX)


def fetch(
    name: str,
    *,
    patterns: Sequence[str],
    what: str,
    revision: str | None = None,
    old_patterns: Sequence[str] = (),
    download: Download = download_snapshot,
) -> Snapshot:
    """Fetches a model of the Hub; its name, commit and licence go to the log of this module, at level INFO.

    Args:
        name: ``hf:owner/name[@revision]``.
        patterns: the files that are wanted; the card comes with them.
        what: for messages, such as "model".
        revision: as after the @.
        old_patterns: wanted too where there are no safetensors.

    Raises:
        ConfigError: for a name of another shape, or two revisions.
        ModelError: when it cannot be had.
    """
    repository, asked = _parts_of(name)
    if None not in (asked, revision) and asked != revision:
        raise ConfigError(f"{name}: revision {revision} is asked for beside it. Name one of the two.")
    wanted = asked or revision
    try:
        folder = Path(download(repository, revision=wanted, allow_patterns=[*patterns, CARD]))
        if old_patterns and not any(folder.glob("**/*.safetensors")):
            download(repository, revision=folder.name, allow_patterns=[*old_patterns])
    except ConfigError:
        raise
    except Exception as error:  # the hub's HTTP library, and with it its exceptions, differs between its versions
        at = f" at revision {wanted}" if wanted else ""
        raise ModelError(
            f"The Hugging Face Hub could not be reached or has no {what} {repository}{at} ({type(error).__name__})."
            " Name another one, or a folder."
        ) from error
    found = Snapshot(folder.absolute(), repository, folder.name, licence_of(folder / CARD))
    _LOG.info(
        "from the Hugging Face Hub: %s %s, commit %s, licence %s",
        what,
        repository,
        found.commit[:_SHORT_COMMIT],
        found.licence or "not stated in its card",
    )
    return found


def no_folder(name: str | Path, what: str, *, cure: str = "") -> ModelError:
    """Error for a name that is no local folder: names the closest path, and the Hub's form of a name."""
    near = _nearest(Path(name))
    said = f"There is no folder {name}" + (f", did you mean {near}?" if near is not None else ".")
    hub = f" A {what} of the Hugging Face Hub is named {PREFIX}{name}." if _NAME.fullmatch(str(name)) else ""
    return ModelError(f"{said}{hub}{' ' + cure if cure else ''}")


def from_everywhere(name: str) -> str:
    """Name that holds in every working folder: an existing folder becomes its absolute path."""
    return str(Path(name).absolute()) if not is_hub_name(name) and Path(name).exists() else name


def _parts_of(name: str) -> tuple[str, str | None]:
    repository, at, revision = name.removeprefix(PREFIX).partition("@")
    if not _NAME.fullmatch(repository) or (at and not _REVISION.fullmatch(revision)):
        raise ConfigError(f"'{name}' is no name on the Hugging Face Hub; {_SHAPE}.")
    return repository, revision or None


def _nearest(path: Path) -> Path | None:
    """The folder that was likely meant: each part of the path that does not exist replaced by the closest one."""
    here = Path(path.anchor)
    for part in path.parts[1 if path.anchor else 0 :]:
        if (here / part).is_dir():
            here /= part
            continue
        try:
            known = [entry.name for entry in islice(here.iterdir(), _NEIGHBOURS) if entry.is_dir()]
        except OSError:
            return None
        close = difflib.get_close_matches(part, known, n=1, cutoff=0.6)
        if not close:
            return None
        here /= close[0]
    return here if here != path else None


def licence_of(card: Path) -> str | None:
    """``license`` of a card's front matter, ``license_name`` where that says only 'other'."""
    about = _front_matter(card)
    licence = about.get("license")
    stated = about.get("license_name") if licence == "other" and about.get("license_name") else licence
    words = ", ".join(map(str, stated)) if isinstance(stated, list) else str(stated or "")
    return " ".join(words.split())[:_LICENCE_AT_MOST] or None


def corpora_of(card: Path) -> tuple[str, ...]:
    """``datasets`` of a card's front matter: the corpora that a model was trained on, as its makers name them."""
    stated = _front_matter(card).get("datasets") or []
    names = stated if isinstance(stated, list) else [stated]
    return tuple(" ".join(str(name).split())[:_CORPUS_AT_MOST] for name in names[:_CORPORA_AT_MOST])


def _front_matter(card: Path) -> dict[Any, Any]:
    """The YAML in front of a card; empty where there is none that can be read."""
    import yaml  # noqa: PLC0415 (a folder needs none of it)

    try:
        text = card.read_text(encoding="utf-8", errors="replace")
        front = text.split("\n---", 1)[0].removeprefix("---") if text.startswith("---") else ""
        about = yaml.safe_load(front)
    except (OSError, yaml.YAMLError, ValueError, RecursionError):
        return {}
    return about if isinstance(about, dict) else {}
