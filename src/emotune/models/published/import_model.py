"""Published emotion models into folders of emotune's own form: they then train on, export and travel as ours do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from emotune.errors import ConfigError
from emotune.io.hub import CARD, Download, corpora_of, download_snapshot, licence_of
from emotune.io.new_folders import check_new, new_folder
from emotune.models.card import model_card
from emotune.models.folder import find_model_folder
from emotune.models.published.read import read_published
from emotune.models.store import is_ours, save_model
from emotune.schema.labels import LabelSpace


@dataclass(frozen=True)
class ImportedModel:
    """Outcome of an import: the folder, where it came from, its licence as stated, and what it predicts."""

    folder: Path
    source: str
    licence: str | None
    label_space: LabelSpace


def import_model(name: str | Path, output: Path, *, download: Download = download_snapshot) -> ImportedModel:
    """Writes a published emotion model as a model folder of emotune.

    Args:
        name: a folder of a published format, or ``hf:owner/name[@revision]``.
        output: folder to make; it must not be there yet.

    Raises:
        ConfigError: for an output that is there, or a model that is emotune's own.
        ModelError: where it cannot be loaded.
    """
    check_new(output)
    found = find_model_folder(name, download=download)
    if is_ours(found.folder):
        raise ConfigError(f"{name} is a model of emotune already: nothing is to be imported.")
    published = read_published(found.folder)
    published.announce()
    licence = licence_of(found.folder / CARD)
    source = found.name if str(name).startswith("hf:") else found.folder.name
    card = model_card(
        title=f"{source}, imported",
        config=published.model.settings,
        information={"licence": licence or "unknown", "source": source, "format": published.format},
        scores={},
        licence=licence,
        corpora=corpora_of(found.folder / CARD),
        notice="Made by others and imported: figures, data and conditions of use are on its own card.",
    )
    with new_folder(output) as made:
        save_model(made, published.model, published.preprocessing, card=card)
    return ImportedModel(output, source, licence, published.model.label_space)
