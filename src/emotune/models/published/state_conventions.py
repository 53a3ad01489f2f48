"""The last state that a published head was trained on: raw, or behind the encoder's final norm.

Where norms stand first in each layer, one more stands behind the last. transformers' ``last_hidden_state`` has always
passed it. ``hidden_states[-1]``, which a weighted sum of layers ends with, has passed it in version 4 and in no
published 5 from 5.23 on, for WavLM, HuBERT and wav2vec 2.0; for Whisper it has in all. ``tie_last_hidden_states`` of a
config settles it, as it does in transformers itself. docs/how-to/checkpoints.md has the table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from emotune.errors import ModelError

_NORMED_BELOW, _RAW_FROM = (5, 0), (5, 23)


def has_final_norm(config: Mapping[str, Any]) -> bool:
    """Tells whether a norm stands behind the last layer, by a published config."""
    return config["model_type"] == "whisper" or bool(config.get("do_stable_layer_norm", False))


def last_of_weighted_sum_is_normed(config: Mapping[str, Any], *, source: object) -> bool:
    """Tells whether the last state of a weighted sum over layers is the normed one.

    Raises:
        ModelError: where the config does not say enough.
    """
    if not has_final_norm(config):
        return False
    tied = config.get("tie_last_hidden_states")
    if isinstance(tied, bool):
        return tied
    if config["model_type"] == "whisper":
        return True
    version = _version_of(config)
    if version is None or version < _NORMED_BELOW:  # what states no version is older than 4.6
        return True
    if version >= _RAW_FROM:
        return False
    raise ModelError(
        f"{source}: config.json names transformers {config['transformers_version']}, and between 5.0 and 5.23 the last"
        ' state of a weighted sum changed. Write into it what the weights were trained with: "tie_last_hidden_states":'
        " true for the normed state, as in 4.x, or false for the raw one."
    )


def _version_of(config: Mapping[str, Any]) -> tuple[int, int] | None:
    found = re.match(r"(\d+)\.(\d+)", str(config.get("transformers_version", "")))
    return None if found is None else (int(found[1]), int(found[2]))
