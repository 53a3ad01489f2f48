"""Base of an adapter of PEFT: the folder of the model that it changes."""

from __future__ import annotations

import re
from pathlib import Path

from emotune.errors import ModelError
from emotune.io.hub import PREFIX, Download, download_snapshot, is_hub_name
from emotune.models.folder import PEFT_CONFIG, fetch_published, is_adapter
from emotune.models.peft.settings import read_settings

_ON_HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def base_of(folder: Path, *, download: Download = download_snapshot) -> Path:
    """Folder of the base that an adapter names: a folder here, or ``owner/name`` on the Hugging Face Hub.

    Raises:
        ModelError: where there is none, or it is an adapter itself.
    """
    settings = read_settings(folder)
    local = Path(settings.base)
    if local.is_dir():
        base = local.absolute()
    elif (folder / local).is_dir():
        base = (folder / local).absolute()
    elif is_hub_name(settings.base) or _ON_HUB.fullmatch(settings.base):
        name = PREFIX + settings.base.removeprefix(PREFIX)
        base = fetch_published(name, what="base of an adapter", revision=settings.revision, download=download)
    else:
        raise ModelError(
            f"{folder} changes the model {settings.base}, and there is no such folder here. Write where it lies now, or"
            f" owner/name on the Hugging Face Hub, into base_model_name_or_path of {PEFT_CONFIG}."
        )
    if is_adapter(base):
        raise ModelError(f"{folder} changes {base}, which is an adapter of PEFT itself. Merge that one first.")
    return base
