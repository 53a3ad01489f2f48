"""Layouts of original files: where each keeps the weights and the settings. A new one is a line in the table."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from emotune.models.originals.inert import settings_in

Parts = tuple[Any, Mapping[str, Any], Any]
"""Weights, settings of the encoder, and whether clips are normalised."""


@dataclass(frozen=True)
class Original:
    """Content of an original file.

    Args:
        layout: its name in ``LAYOUTS``.
        weights: by the names that the file has.
        settings: of the encoder; empty where the file has none.
        normalize: whether clips are normalised; None where the file does not say.
    """

    layout: str
    weights: Mapping[str, Tensor]
    settings: Mapping[str, Any]
    normalize: bool | None


def _unilm(content: Mapping[str, Any]) -> Parts:
    settings = settings_in(content["cfg"])
    return content["model"], settings, settings.get("normalize")


def _fairseq(content: Mapping[str, Any]) -> Parts:
    settings = settings_in(content["cfg"])
    model = settings_in(settings.get("model"))
    inner = settings_in(settings_in(model.get("w2v_args")).get("model"))  # of an encoder that was fine-tuned
    return content["model"], inner or model, settings_in(settings.get("task")).get("normalize")


def _old_fairseq(content: Mapping[str, Any]) -> Parts:
    settings = settings_in(content["args"])
    return content["model"], settings_in(settings.get("w2v_args")) or settings, settings.get("normalize")


def _s3prl(content: Mapping[str, Any]) -> Parts:
    normalize = settings_in(content["task_cfg"]).get("normalize")
    return content["model_weight"], settings_in(content["model_cfg"]), normalize


def _speechbrain(content: Mapping[str, Any]) -> Parts:
    return content, {}, None


def _has(*keys: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda content: all(content.get(key) is not None for key in keys)


def _is_fairseq(content: Mapping[str, Any]) -> bool:
    return _has("cfg", "model")(content) and "model" in settings_in(content["cfg"])


def _is_weights(content: Mapping[str, Any]) -> bool:
    return bool(content) and all(map(_is_tensor, content.values()))


LAYOUTS: Mapping[str, tuple[Callable[[Mapping[str, Any]], bool], Callable[[Mapping[str, Any]], Parts]]] = {
    "S3PRL {model_weight, model_cfg, task_cfg}": (_has("model_weight", "model_cfg", "task_cfg"), _s3prl),
    "fairseq {cfg, model}": (_is_fairseq, _fairseq),
    "unilm {cfg, model}": (_has("cfg", "model"), _unilm),
    "fairseq {args, model}": (_has("args", "model"), _old_fairseq),
    "SpeechBrain, weights alone": (_is_weights, _speechbrain),
}
"""Name of a layout -> (is it this one, weights with settings and normalisation), looked through in this order."""


def _is_tensor(value: object) -> bool:
    return isinstance(value, Tensor)


def original_of(content: Any) -> Original | None:
    """The weights and settings of a file's content; None where it is of no known layout."""
    if not isinstance(content, Mapping):
        return None
    for name, (fits, parts) in LAYOUTS.items():
        if fits(content):
            weights, settings, normalize = parts(content)
            if isinstance(weights, Mapping) and _is_weights(weights):
                return Original(name, weights, settings, normalize if isinstance(normalize, bool) else None)
    return None
