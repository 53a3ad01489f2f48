"""Folder of an adapted model: the shifts, and the name and fingerprint of the model that they belong to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotune.errors import ModelError, TableError, quoted
from emotune.inference.adaptation.adaptation import Adaptation
from emotune.io.tables import read_json, to_json, write_text

SCHEMA = "emotune-adaptation/1"
FILE = "adaptation.json"
_CURE = "Copy the folder again, or make it again with `emotune adapt`."


@dataclass(frozen=True)
class AdaptedModel:
    """An adapted model as its folder says it.

    Args:
        parent: name of the model that it was made of.
        fingerprint: of that model.
        adaptation: the shifts.
        prior: estimated class -> share in the recordings; it moves no answer.
    """

    parent: str
    fingerprint: str
    adaptation: Adaptation
    prior: Mapping[str, float]

    def write(self, folder: Path) -> None:
        """Writes the folder's file, atomically."""
        parent = {"name": self.parent, "fingerprint": self.fingerprint}
        about = {"schema": SCHEMA, "parent": parent, "prior": self.prior, **self.adaptation.to_json()}
        write_text(folder / FILE, to_json(about) + "\n")

    def check_parent(self, fingerprint: str | None, classes: tuple[str, ...], folder: Path) -> None:
        """Refuses a parent that is another model now.

        Raises:
            ModelError: saying which file names it.
        """
        if fingerprint != self.fingerprint or classes != self.adaptation.classes:
            raise ModelError(
                f"{folder / FILE} was made of another model than {self.parent} is now: its fingerprint was"
                f" {self.fingerprint[:12]}, now it is {str(fingerprint)[:12]}. Bring that model back, or adapt again."
            )


def is_adapted(name: str | Path) -> bool:
    """Tells whether a name stands for the folder of an adapted model."""
    return (Path(name) / FILE).is_file()


def read_adapted(folder: Path) -> AdaptedModel:
    """Reads the folder of an adapted model.

    Raises:
        ModelError: for one that is broken, or of another version.
    """
    path = folder / FILE
    try:
        about = read_json(path, "The adapted model's file")
    except TableError as error:
        raise ModelError(f"{error} {_CURE}") from error
    if about.get("schema") != SCHEMA:
        raise ModelError(f"{path}: schema is {quoted(about.get('schema'))}, this version reads {SCHEMA!r}.")
    try:
        parent: Mapping[str, Any] = about["parent"]
        name, fingerprint = str(parent["name"]), str(parent["fingerprint"])
        prior = {str(label): float(share) for label, share in about["prior"].items()}
        return AdaptedModel(name, fingerprint, Adaptation.from_json(about), prior)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"{path} must hold parent, prior, by, classes, corpus and groups ({error}). {_CURE}"
        ) from error
    except ModelError as error:
        raise ModelError(f"{path}: {error} {_CURE}") from error


def adapted_fingerprint(model: str | None, adaptation: Adaptation | None) -> str | None:
    """Fingerprint of a model with its shifts: that of the model alone without any."""
    if adaptation is None:
        return model
    return hashlib.sha256(f"{model}\n{to_json(adaptation.to_json())}".encode()).hexdigest()
