"""Model that is to be exported, in whatever form."""

from __future__ import annotations

from pathlib import Path

from emotune.errors import ConfigError
from emotune.io.new_folders import check_new
from emotune.models.exported import is_exported
from emotune.models.folder import ModelFolder, find_model_folder


def source_of(model: str | Path, output: Path) -> ModelFolder:
    """Folder of a model to export.

    Raises:
        ConfigError: for an output that is there, or a model that is an export itself.
        ModelError: where there is no model.
    """
    check_new(output)
    found = find_model_folder(model)
    if is_exported(found.folder):
        raise ConfigError(
            f"{model} is an export already: `emotune predict` takes it as it is. Export its source instead."
        )
    return found
