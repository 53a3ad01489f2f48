"""Models that come with an installed package, found by a plain name such as ``mini``.

A package offers its models by the entry-point group ``emotune.model``: a name, and the path of a model folder that lies
in the package, such as ``mini = "emotune_mini:MINI"``.
"""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import difflib
from pathlib import Path

from emotune.errors import ModelError
from emotune.registry import Registry

MODELS: Registry[Path] = Registry("model", {})
OWN = {"mini": "mini", "mini-emodb": "mini-emodb"}
"""Names of the models that are built from emotune's own repository -> the extra that installs each."""


def is_plain(name: str | Path) -> bool:
    """Tells whether a name can be that of an installed model: it is a word, not a path.

    >>> is_plain("mini"), is_plain("./mini"), is_plain("runs/mini"), is_plain(Path("mini"))
    (True, False, False, False)
    """
    return isinstance(name, str) and bool(name.strip(". ")) and not any(sign in name for sign in r"\/:")


def installed_model(name: str | Path) -> Path | None:
    """The folder of an installed model; None where no package has one of that name.

    Raises:
        ConfigError: for a package that cannot be loaded.
        ModelError: for one without the model that it offers.
    """
    if not is_plain(name) or name not in MODELS:
        return None
    folder = Path(MODELS[str(name)])
    if not folder.is_dir():
        raise ModelError(f"The package of the model '{name}' lacks its folder {folder}. Install the package again.")
    return folder


def cure_of_absence(name: str | Path) -> str:
    """Sentence on how to get an installed model of that name, or of the closest; empty where none is close."""
    close = difflib.get_close_matches(str(name), {*MODELS, *OWN}, n=1, cutoff=0.6) if is_plain(name) else []
    if not close:
        return ""
    if close[0] in MODELS:
        return f"'{close[0]}' is an installed model."
    return (
        f"The model '{close[0]}' is installed with pip install 'emotune[{OWN[close[0]]}]', in a clone with pip install"
        f" . packages/emotune-{close[0]}."
    )
