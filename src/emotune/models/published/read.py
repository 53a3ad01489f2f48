"""Published folders as emotion models: recognised, described, checked weight by weight, then loaded."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch

from emotune.audio.preprocessing import Preprocessing
from emotune.errors import ConfigError, ModelError, page_here
from emotune.io.hub import CARD, licence_of
from emotune.models.backbones import BACKBONES
from emotune.models.backbones.base import Backbone
from emotune.models.backbones.checkpoint import fitting_names, settings_of
from emotune.models.backbones.parts_on_top import left_out, prefix_of_encoder
from emotune.models.emotion_model import EmotionModel
from emotune.models.folder import CONFIG, FUNASR, PREPROCESSOR, SPEECHBRAIN, is_adapter
from emotune.models.peft.base import base_of
from emotune.models.peft.merged import merged
from emotune.models.published import FORMATS
from emotune.models.published.checkpoint_format import CheckpointFormat, Description, PublishedFolder, in_folder
from emotune.models.published.sequence_classification import looks_untrained
from emotune.models.weight_files import Shards, StateDict, Weights, open_weights, read_pickle
from emotune.models.weights import is_finite, nothing_drawn, without_memory

_CURE = (
    "Download it again, or name a folder as its authors published it; the formats are listed in"
    f" {page_here('docs/how-to/checkpoints.md')}."
)
_ENCODER = (
    "A pretrained encoder is not an emotion model yet: name it as model.backbone.checkpoint of a recipe and train."
)
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class PublishedModel:
    """A published emotion model, loaded.

    Args:
        files: that it was read from, in a fixed order.
        format: in words.
        about: format, answers, licence and limits in a sentence.
        remark: on what looks wrong and may be right; None where nothing does.
    """

    model: EmotionModel
    preprocessing: Preprocessing
    files: tuple[Path, ...]
    format: str
    about: str
    remark: str | None

    def announce(self) -> None:
        """Sends what a user should know to the log."""
        if self.remark is not None:
            _LOG.warning("%s", self.remark)
        _LOG.info("%s", self.about)


def read_published(path: Path) -> PublishedModel:
    """Loads the emotion model of a published folder, whole.

    Nothing in the folder is executed: neither code beside the weights nor pickled objects.

    Raises:
        ModelError: for a format that is not known, contradictions, and any weight that is missing, new, misshapen or
            not finite.
    """
    folder = _opened(path)
    format_of = _format_of(folder)
    description = format_of.describe(folder)
    model, remark = _loaded(folder, description)
    settings = [file for file in (path / CONFIG, folder.hearing) if file.is_file()]
    files = (*settings, *folder.weights.files)
    said = _about(folder, format_of, description)
    return PublishedModel(model, description.preprocessing, files, format_of.about, said, remark)


def _opened(path: Path) -> PublishedFolder:
    if is_adapter(path):
        return _adapted(path)
    config = settings_of(path / CONFIG) if (path / CONFIG).is_file() else {}
    if _is_of_funasr(path):
        config = _of_yaml(path / FUNASR[1])
    preprocessor = settings_of(path / PREPROCESSOR) if (path / PREPROCESSOR).is_file() else None
    return PublishedFolder(path, config, preprocessor, _weights(path), path / PREPROCESSOR)


def _adapted(path: Path) -> PublishedFolder:
    """An adapter of PEFT folded into its base; settings that lie beside it go before those of the base."""
    base = _opened(base_of(path))
    config = {**base.config, **(settings_of(path / CONFIG) if (path / CONFIG).is_file() else {})}
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in BACKBONES:
        raise ModelError(f"{path}: its base {base.path} is of type {kind!r}, which is not known here.")
    weights = merged(path, base.weights, model_type=kind, anchor=BACKBONES[kind].anchor)
    own = (path / PREPROCESSOR).is_file()
    preprocessor = settings_of(path / PREPROCESSOR) if own else base.preprocessor
    return PublishedFolder(path, config, preprocessor, weights, path / PREPROCESSOR if own else base.hearing)


def _weights(path: Path) -> Weights:
    if _is_of_funasr(path):
        return StateDict(read_pickle(path / FUNASR[0], cure=_CURE, inside="model"), [path / FUNASR[0]])
    pickled = [path / name for name in SPEECHBRAIN[:2]]
    if all(file.is_file() for file in pickled):
        return Shards([StateDict(read_pickle(file, cure=_CURE), [file]) for file in pickled])
    return open_weights(path, cure=_CURE)


def _is_of_funasr(path: Path) -> bool:
    return not (path / CONFIG).is_file() and all((path / name).is_file() for name in FUNASR[:2])


def _of_yaml(path: Path) -> dict[str, Any]:
    import yaml  # noqa: PLC0415 (no other format needs it)

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read as plain YAML. {_CURE}") from error
    return cast(dict[str, Any], found) if isinstance(found, dict) else {}


def _format_of(folder: PublishedFolder) -> type[CheckpointFormat]:
    names = folder.weights.header.keys()
    found = [FORMATS[name] for name in FORMATS if FORMATS[name].fits(names)]
    if len(found) == 1:
        return found[0]
    known = "; ".join(FORMATS[name].about for name in FORMATS)
    claimed = ", ".join(map(str, folder.config.get("architectures") or []))
    if not any(word in claimed for word in ("ForSequenceClassification", "ForAudioClassification")):
        claims = f" It says that it is {claimed}." if claimed else ""
        raise in_folder(folder, f"it holds no emotion model of a known format ({known}).{claims} {_ENCODER}")
    raise in_folder(
        folder,
        f"it says that it is {claimed}, and its weights hold no head of a known format ({known}): answers would come"
        f" from random weights. {_CURE}",
    )


def _loaded(folder: PublishedFolder, description: Description) -> tuple[EmotionModel, str | None]:
    """The model, and a remark on its head."""
    encoder = fitting_encoder(folder, description)
    with nothing_drawn():
        model = _built(folder, description)
    own = model.state_dict()
    folder.weights.read_into({theirs: own[f"backbone.{ours}"] for ours, theirs in encoder.items()})
    values = {name: torch.empty(folder.weights.header[name].shape) for name in description.used}
    folder.weights.read_into(values)
    remark = looks_untrained(values)
    for name, value in description.head(values).items():
        own[name].copy_(value)
    spoilt = [name for name, value in own.items() if not is_finite(value)]
    if spoilt:
        raise _misfit(folder, [f"not finite: {name}" for name in spoilt])
    return model.eval(), remark and f"{folder.path}: {remark}"


def fitting_encoder(folder: PublishedFolder, description: Description) -> dict[str, str]:
    """Published name of each weight of the encoder, once all weights of the folder are known to fit the model.

    Names and shapes are compared; no value is read, and no memory for any is taken.

    Raises:
        ModelError: naming the weights that are missing, unexpected or misshapen.
    """
    try:
        shapes = without_memory(partial(_built, folder, description))
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:  # of sizes that no memory could hold
        raise in_folder(folder, f"its config does not describe a model: {str(error).splitlines()[0]}") from error
    lacking = [name for name in description.used if name not in folder.weights.header]
    if lacking:
        raise _misfit(folder, [f"missing {name}" for name in lacking])
    encoder = _encoder_names(folder, description, shapes.backbone)
    _check_head(folder, description, shapes)
    return encoder


def _built(folder: PublishedFolder, description: Description) -> EmotionModel:
    config = dict(description.backbone)
    backbone_class = BACKBONES[config["model_type"]]
    try:
        return EmotionModel(backbone_class.from_config(config), description.space, **description.options)
    except ConfigError as error:
        raise in_folder(folder, str(error)) from error


def _encoder_names(folder: PublishedFolder, description: Description, backbone: Backbone) -> dict[str, str]:
    """Published name of each weight of the encoder; what is neither its nor the head's is refused."""
    header = folder.weights.header
    beside = {*description.used, *description.left_out}
    theirs = {name: tensor for name, tensor in header.items() if name not in beside}
    prefix = prefix_of_encoder(theirs, backbone.anchor)
    dropped = [name for names in left_out(theirs, backbone.anchor).values() for name in names]
    strangers = dropped + [name for name in theirs if prefix and not name.startswith(prefix) and name not in dropped]
    if strangers:
        raise _misfit(folder, [f"unexpected {name}" for name in strangers])
    return fitting_names(backbone, theirs, source=str(folder.path), cure=_CURE)


def _check_head(folder: PublishedFolder, description: Description, model: EmotionModel) -> None:
    """Shapes of the head's weights against those of the model, before any value is read."""
    header = folder.weights.header
    try:
        found = description.head({name: header[name].to("meta") for name in description.used})
    except (RuntimeError, IndexError) as error:
        reason = str(error).splitlines()[0]
        raise _misfit(folder, [f"the weights of its head do not fit each other ({reason})"]) from error
    fixed = {name for name in model.state_dict() if name.startswith(("backbone.", "standardize."))}
    expected = {name: tensor.shape for name, tensor in model.state_dict().items() if name not in fixed}
    faults = [f"missing {name}" for name in expected if name not in found]
    faults += [
        f"{name} would have shape {list(tensor.shape)}, expected {list(expected[name])}"
        for name, tensor in found.items()
        if tensor.shape != expected.get(name, tensor.shape)
    ]
    if faults:
        raise _misfit(folder, faults)


def _misfit(folder: PublishedFolder, faults: list[str]) -> ModelError:
    more = f" and {len(faults) - 5} more" if len(faults) > 5 else ""
    return in_folder(folder, f"its weights do not fit: {'; '.join(sorted(faults)[:5])}{more}. {_CURE}")


def _about(folder: PublishedFolder, format_of: type[CheckpointFormat], description: Description) -> str:
    licence = licence_of(folder.path / CARD)
    terms = "not stated in its card" if licence is None else licence
    if licence is not None and "nc" in licence.lower().replace("_", "-").split("-"):
        terms += " (non-commercial use only)"
    names: Mapping[str, Any] = {**dict.fromkeys(description.space.classes), **description.space.dimensions}
    there = [name for name in description.left_out if name in folder.weights.header]
    left = f"; left out: {', '.join(sorted({name.partition('.')[0] for name in there}))}" if there else ""
    note = f"; {description.note}" if description.note else ""
    return f"{folder.path}: {format_of.about}; answers {', '.join(names)}; licence {terms}{left}{note}"
