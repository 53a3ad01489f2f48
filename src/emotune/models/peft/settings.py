"""Settings of an adapter of PEFT, all of which are known or refused: another forward would be another model."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotune.errors import ModelError, TableError
from emotune.io.tables import read_json
from emotune.models.folder import PEFT_CONFIG

_METHOD = "LORA"
_WITHOUT_EFFECT = frozenset(
    [
        *("auto_mapping", "base_model_name_or_path", "bias", "ensure_weight_tying"),
        *("eva_config", "exclude_modules", "inference_mode", "layers_pattern", "layers_to_transform", "lora_bias"),
        *("lora_dropout", "megatron_core", "modules_to_save", "peft_type", "peft_version", "qalora_group_size"),
        *("rank_pattern", "revision", "runtime_config", "target_modules", "task_type"),
    ]
)
"""keys that change nothing beside the weights in the folder"""
_USED = frozenset(["alpha_pattern", "init_lora_weights", "lora_alpha", "r", "use_dora", "use_rslora"])
_STARTS = (True, False, "gaussian", "eva", "orthogonal")
"""starts of a LoRA that leave the weights of the base as they are"""
_PATTERN = re.compile(r"\^?[\w.]+")
_CURE = (
    "Merge it in the library that made it (PeftModel.from_pretrained(model, folder).merge_and_unload()), save the"
    " result with save_pretrained, and name that folder."
)


@dataclass(frozen=True)
class PeftSettings:
    """Settings of a LoRA or DoRA.

    Args:
        base: name or folder of the model that it changes.
        revision: of the base on the Hub, None = its main branch.
        rank: of every change that ``ranks`` does not name.
        ranks: end of a layer's name -> its rank.
        alpha: likewise the scale before it is divided by the rank.
        alphas: end of a layer's name -> its alpha.
        by_root: whether alpha is divided by the root of the rank instead.
        is_dora: whether directions and lengths of rows are changed apart.
    """

    base: str
    revision: str | None
    rank: int
    ranks: Mapping[str, int]
    alpha: float
    alphas: Mapping[str, float]
    by_root: bool
    is_dora: bool

    def rank_of(self, layer: str) -> int:
        """Rank of the change of a layer."""
        return _of(self.ranks, layer, self.rank)

    def scale_of(self, layer: str) -> float:
        """Factor of the change of a layer."""
        rank, alpha = self.rank_of(layer), _of(self.alphas, layer, self.alpha)
        return alpha / rank**0.5 if self.by_root else alpha / rank


def _of(values: Mapping[str, Any], layer: str, default: Any) -> Any:
    return next((value for key, value in values.items() if re.match(rf"(.*\.)?({key})$", layer)), default)


def read_settings(folder: Path) -> PeftSettings:
    """Settings of an adapter folder.

    Raises:
        ModelError: for another method than LoRA and DoRA, a setting that is not known, or values that cannot be.
    """
    try:
        found = read_json(folder / PEFT_CONFIG, "The adapter's settings")
    except TableError as error:
        raise ModelError(f"{error} Copy the folder again.") from error
    faults = list(_faults(found))
    if faults:
        listed = "\n".join(f"  {fault}" for fault in faults)
        raise ModelError(f"{folder / PEFT_CONFIG} is of an adapter that is not known here:\n{listed}\n{_CURE}")
    base = found.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise ModelError(
            f"{folder / PEFT_CONFIG} does not say which model it changes. Write the model's folder, or owner/name on"
            " the Hugging Face Hub, into base_model_name_or_path."
        )
    return PeftSettings(
        base=base,
        revision=found.get("revision"),
        rank=found["r"],
        ranks=found.get("rank_pattern") or {},
        alpha=found["lora_alpha"],
        alphas=found.get("alpha_pattern") or {},
        by_root=bool(found.get("use_rslora")),
        is_dora=bool(found.get("use_dora")),
    )


def _faults(found: Mapping[str, Any]) -> list[str]:
    method = found.get("peft_type")
    if method != _METHOD:
        return [f"peft_type is {method!r}, expected {_METHOD!r}, which DoRA is too (use_dora)"]
    faults = [
        f"{key} is {value!r}, and is not known"
        for key, value in found.items()
        if key not in _WITHOUT_EFFECT | _USED and value
    ]
    start = found.get("init_lora_weights", True)
    if start not in _STARTS:
        faults.append(f"init_lora_weights is {start!r}, which changes the weights of the base too")
    revision = found.get("revision")
    if not isinstance(revision, str | None):
        faults.append(f"revision is {revision!r}, expected a word")
    for key in ("r", "lora_alpha"):
        faults += _number_fault(key, found.get(key), whole=key == "r")
    for key in ("rank_pattern", "alpha_pattern"):
        patterns = found.get(key) or {}
        if not isinstance(patterns, dict) or not all(_PATTERN.fullmatch(name) for name in patterns):
            faults.append(f"{key} is {patterns!r}, expected ends of names of layers")
            continue
        for name, value in patterns.items():
            faults += _number_fault(f"{key}.{name}", value, whole=key == "rank_pattern")
    return faults


def _number_fault(key: str, value: object, *, whole: bool) -> list[str]:
    kinds = int if whole else (int, float)
    if isinstance(value, kinds) and not isinstance(value, bool) and 0 < value < 1e6:
        return []
    return [f"{key} is {value!r}, expected a {'whole ' if whole else ''}number above 0"]
