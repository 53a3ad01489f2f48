"""Location and revision of a pretrained model, such as a speech recogniser or a text encoder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emotune.errors import ModelError
from emotune.io.hub import PREFIX, Download, download_snapshot, fetch, is_hub_name, no_folder


@dataclass(frozen=True)
class Pretrained:
    """A folder with weights.

    Args:
        folder: on this machine.
        name: ``hf:owner/name``, or the whole path of the folder: found from everywhere.
        revision: the Hub's commit, or the first 12 digits of a SHA-256 over the names and contents of the files.
    """

    folder: Path
    name: str
    revision: str

    @property
    def identity(self) -> dict[str, str]:
        """Name and revision, which a model trained with this one keeps in its config."""
        return {"name": self.name, "revision": self.revision}


def find_pretrained(
    name: str,
    *,
    revision: str | None,
    patterns: Sequence[str],
    what: str,
    config: str = "config.json",
    old_patterns: Sequence[str] = (),
    cure: str = "",
    download: Download = download_snapshot,
) -> Pretrained:
    """Finds a local folder, or fetches a snapshot of ``hf:owner/name[@revision]``.

    Args:
        name: of a folder, or on the Hub.
        revision: branch, tag or commit of the Hub, or what a folder must have; None: any.
        patterns: the files to download.
        what: for messages, such as "speech recogniser".
        config: the file without which a folder is none.
        old_patterns: downloaded too where there are no safetensors.
        cure: more words for the error that there is no such folder.

    Raises:
        ModelError: when there is no such folder, name or revision, or it does not hold what it should.
    """
    if is_hub_name(name):
        found = fetch(
            name, patterns=patterns, what=what, revision=revision, old_patterns=old_patterns, download=download
        )
        if not (found.folder / config).is_file():
            raise ModelError(f"{name} on the Hugging Face Hub has no {config}, so it is no {what}. Name another one.")
        return Pretrained(found.folder, PREFIX + found.repository, found.commit)
    local = Path(name).expanduser() if not name.startswith("~") or name.startswith("~/") else Path(name)
    if not local.exists():
        raise no_folder(name, what, cure=cure)
    if not (local / config).is_file():
        raise ModelError(f"{name} holds no {config}, so it is no {what}. Name the folder that holds it.")
    fingerprint = fingerprint_of_files(local)
    if revision not in (None, fingerprint):
        raise ModelError(f"{name} is of revision {fingerprint}, not of the {revision} that is wanted. Name that one.")
    return Pretrained(local.resolve(), str(local.resolve()), fingerprint)


def fingerprint_of_files(folder: Path) -> str:
    """12 digits that change with the name or content of any file in a folder; hidden files do not count."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        relative = path.relative_to(folder)
        if not any(part.startswith(".") for part in relative.parts):
            with path.open("rb") as stream:
                digest.update(relative.as_posix().encode(errors="surrogateescape") + b"\0")
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:12]
