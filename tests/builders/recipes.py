"""Recipes over a manifest and a tiny WavLM."""

from pathlib import Path
from typing import Any

import yaml

from builders.models import WAVLM

THREE_FOLDS = {
    "corpus": "tones",
    "groups": {"folds": [["s0", "s1"], ["s2", "s3"], ["s4", "s5"]]},
    "utterances": 24,
}
"""A protocol over the six speakers of ``tones``."""


def sections_over(
    manifest: Path, *, config: dict = WAVLM, backbone: dict | None = None, **sections: Any
) -> dict[str, Any]:
    """Sections of a recipe of one epoch, changed by the sections given; ``backbone`` changes that of the model."""
    defaults = {
        "name": "tiny",
        "data": {"manifest": str(manifest)},
        "model": {"backbone": {"name": "wavlm", "config": dict(config)} | (backbone or {})},
        "train": {"epochs": 1, "batch_seconds": 4.0},
    }
    merged = {name: own | sections.get(name, {}) for name, own in defaults.items() if isinstance(own, dict)}
    return defaults | sections | merged


def write_recipe(path: Path, manifest: Path, **sections: Any) -> Path:
    """The same in a YAML file."""
    path.write_text(yaml.safe_dump(sections_over(manifest, **sections)))
    return path
