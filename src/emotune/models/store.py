"""Models on disk: a Hub-style folder without pickle, loaded strictly."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError
from safetensors import SafetensorError

from emotune.audio import SAMPLING_RATE_HZ
from emotune.calibration import Calibration
from emotune.conditions import GENDER_CLASSES
from emotune.errors import EmotuneError, ModelError, TableError
from emotune.models.backbones.base import Backbone
from emotune.models.emotion_model import EmotionModel
from emotune.preprocessing import Preprocessing
from emotune.run_folder import why_no_model
from emotune.tables import atomic_path, read_json, to_json, write_text

CONFIG, PREPROCESSOR, WEIGHTS, CARD = "config.json", "preprocessor_config.json", "model.safetensors", "README.md"
SCHEMA = "emotune-model/1"
_CURE = "The model folder is incomplete or was changed: copy it again, or train again."


@dataclass(frozen=True)
class StoredModel:
    """A model as it came from disk."""

    model: EmotionModel
    preprocessing: Preprocessing
    calibration: Calibration
    config: Mapping[str, Any]
    fingerprint: str


def save_model(
    folder: Path,
    model: EmotionModel,
    preprocessing: Preprocessing,
    *,
    calibration: Calibration | None = None,
    training_prior: Mapping[str, float] | None = None,
    card: str = "",
) -> None:
    """Write config, preprocessing, weights and card; the weights last, each file atomically.

    ``config.json`` follows the Hub's conventions (``id2label``, ``label2id``, ``problem_type``) beside our own keys.
    """
    save_config(folder, model, calibration=calibration, training_prior=training_prior)
    write_text(folder / PREPROCESSOR, to_json(preprocessing.to_json()) + "\n")
    if card:
        write_text(folder / CARD, card)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with atomic_path(folder / WEIGHTS) as temporary:
        safetensors.torch.save_file(tensors, temporary, metadata={"format": "pt"})


def save_config(
    folder: Path,
    model: EmotionModel,
    *,
    calibration: Calibration | None = None,
    training_prior: Mapping[str, float] | None = None,
) -> None:
    """Write ``config.json`` alone, such as for a calibration that was fitted after the weights were saved.

    ``training_prior`` are the shares of the classes that training taught, which `emotune adjust` starts from.
    """
    space = model.label_space
    config = {
        "schema": SCHEMA,
        "architectures": ["EmotionModel"],
        "model_type": "emotune",
        "id2label": {str(index): name for index, name in enumerate(space.classes)},
        "label2id": {name: index for index, name in enumerate(space.classes)},
        "problem_type": "single_label_classification" if space.classes else "regression",
        **model.settings,
        "calibration": (calibration or Calibration()).to_json(),
        **({"training_prior": dict(training_prior)} if training_prior else {}),
    }
    write_text(folder / CONFIG, to_json(config) + "\n")


def load_model(name: str | Path) -> StoredModel:
    """Load a model folder, a run folder with a ``model`` inside, or a model of the Hub.

    Raises:
        ModelError: on anything that is missing, new, misshapen or not finite.
    """
    folder = find_model_folder(name)
    try:
        config = read_json(folder / CONFIG, "The model's config")
    except TableError as error:
        raise ModelError(f"{error} {_CURE}") from error
    if config.get("schema") != SCHEMA:
        raise ModelError(
            f"{folder / CONFIG}: schema is {config.get('schema')!r}, this version reads {SCHEMA!r}. A pretrained"
            " encoder is not an emotion model yet: name it as model.backbone.checkpoint of a recipe and train."
        )
    try:
        preprocessing = Preprocessing.from_json(read_json(folder / PREPROCESSOR, "The model's preprocessing"))
    except TableError as error:
        raise ModelError(f"{error} {_CURE}") from error
    except ModelError as error:
        raise ModelError(f"{folder}: {error}") from error
    try:
        calibration = Calibration.from_json(config.get("calibration"))
    except ModelError as error:
        raise ModelError(f"{folder / CONFIG}: {error} {_CURE}") from error
    try:
        model = EmotionModel.from_config(config)
    except (EmotuneError, TypeError, ValueError, RuntimeError) as error:  # RuntimeError: torch, for impossible sizes
        raise ModelError(f"{folder / CONFIG} does not describe a model: {error} {_CURE}") from error
    _check_fit(preprocessing, model.backbone, folder / PREPROCESSOR)
    _load_weights(model, folder / WEIGHTS)
    return StoredModel(model.eval(), preprocessing, calibration, config, fingerprint_of(folder))


def find_model_folder(name: str | Path) -> Path:
    """Where a model lies: the folder itself, ``model`` inside a run folder, or a snapshot of the Hub."""
    path = Path(name)
    for folder in (path, path / "model"):
        if (folder / CONFIG).exists():
            return folder
    if path.exists():
        raise ModelError(why_no_model(path))
    try:
        return Path(snapshot_download(str(name), allow_patterns=[CONFIG, PREPROCESSOR, WEIGHTS, CARD]))
    except (HFValidationError, RepositoryNotFoundError, LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise ModelError(f"There is no folder {name}, and no model of that name could be had from the Hub.") from error


def _check_fit(preprocessing: Preprocessing, backbone: Backbone, path: Path) -> None:
    """Clips that the preprocessing lets through must be ones that the encoder takes."""
    rate = preprocessing.sampling_rate_hz
    most = math.inf if backbone.max_samples is None else backbone.max_samples
    too_long = preprocessing.max_duration_s * rate > most + 0.5  # half a sample: seconds are rounded
    if rate != SAMPLING_RATE_HZ or preprocessing.min_samples < backbone.min_samples or too_long:
        raise ModelError(
            f"{path} does not fit the encoder, which needs sampling_rate_hz {SAMPLING_RATE_HZ}, min_samples of at least"
            f" {backbone.min_samples} and max_duration_s of at most {most / SAMPLING_RATE_HZ:g}. {_CURE}"
        )


def _load_weights(model: EmotionModel, path: Path) -> None:
    if not path.exists():
        raise ModelError(f"{path} is missing: the model folder is incomplete; train again or copy it again.")
    try:
        tensors = safetensors.torch.load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path} is not a readable safetensors file ({error}); copy it again.") from error
    expected = model.state_dict()
    faults = [f"missing {name}" for name in expected if name not in tensors]
    faults += [f"unexpected {name}" for name in tensors if name not in expected]
    for name in expected.keys() & tensors.keys():
        if expected[name].shape != tensors[name].shape:
            faults.append(f"{name} has shape {list(tensors[name].shape)}, expected {list(expected[name].shape)}")
        elif not bool(torch.isfinite(tensors[name]).all()):
            faults.append(f"{name} holds NaN or infinite values")
    if faults:
        more = f" and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise ModelError(f"{path} does not fit its config: {'; '.join(sorted(faults)[:5])}{more}. {_CURE}")
    model.load_state_dict(tensors)


def fingerprint_of(folder: Path) -> str:
    """SHA-256 over config, preprocessing and weights; the card may change."""
    digest = hashlib.sha256()
    for name in (CONFIG, PREPROCESSOR, WEIGHTS):
        with (folder / name).open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def model_card(
    *,
    title: str,
    config: Mapping[str, Any],
    information: Mapping[str, Any],
    scores: Mapping[str, Any],
    notice: str | None,
) -> str:
    """The card that lies beside the weights: what it is, of what data under which licence, how good, and its limits.

    Args:
        title: a name for people.
        config: ``EmotionModel.settings``.
        information: corpus, licence, reference, backbone, recipe and so on, printed as a list.
        scores: figures by name, with the split that they were measured on in the name.
        notice: a warning for the top, such as that the corpus is synthetic.
    """
    classes = ", ".join(config["classes"]) or "none"
    dimensions = (
        ", ".join(f"{name} [{low:g}, {high:g}]" for name, (low, high) in config["dimensions"].items()) or "none"
    )
    lines = ["---", "library_name: emotune", "pipeline_tag: audio-classification", "---", f"# {title}", ""]
    lines += [f"> **{notice}**", ""] if notice else []
    lines += [
        "Made by emotune: a speech encoder adapted to speech emotion recognition.",
        "",
        "## What it predicts",
        f"- classes: {classes}",
        f"- dimensions: {dimensions}",
        f"- backbone: {config['backbone']['model_type']}",
        f"- layer mix: {config['layer_mix']}; pooling: {config['pooling']}",
        *_condition_lines(config),
        "",
        "## Data and licences",
        *(f"- {name}: {value if isinstance(value, str) else json.dumps(value)}" for name, value in information.items()),
        "- The weights inherit the conditions of the corpus and of the pretrained encoder: check both before use.",
        "",
        "## Figures",
        *(
            f"- {name}: {value:.3f}" if isinstance(value, float) else f"- {name}: {value}"
            for name, value in scores.items()
        ),
        "",
        "## Intended use and limits",
        "- For research and development on emotion as it is *expressed* in speech, in recordings like those above.",
        "- It does not know what a person feels. Labels are what annotators heard or actors were asked to show.",
        *_gender_limits(config),
        "- Figures hold for the corpus named here; other languages, channels and speakers need their own evaluation.",
        "- Not for decisions about people at work or in education: the EU AI Act forbids emotion recognition there.",
        "",
        "## Use",
        "```python",
        "import emotune",
        'print(emotune.load("this/folder").predict("speech.wav").probabilities)',
        "```",
    ]
    return "\n".join(lines) + "\n"


def _condition_lines(config: Mapping[str, Any]) -> list[str]:
    """What the model is given beside the sound, and which models give it where it is missing."""
    lines = []
    for name, about in (config.get("conditions") or {}).items():
        makers = [about[key] for key in ("predictor", "encoder", "asr") if about.get(key)]
        each = [f"{_public_name(maker['name'])} (revision {maker['revision']})" for maker in makers]
        made = ", ".join(each) or "no model of its own"
        lines.append(
            f"- given beside the sound: {name} ({about.get('source', 'given')}), with {made}; works without it"
        )
    return lines + (["- learnt beside emotion: the speaker's gender"] if config.get("gender_target") else [])


def _public_name(name: str) -> str:
    """Of a folder its last part: a card tells nobody's folders."""
    return Path(name).name if Path(name).is_absolute() else name


def _gender_limits(config: Mapping[str, Any]) -> list[str]:
    """What a card says where a model predicts, learns or is given gender."""
    of_gender = set(config["classes"]) == set(GENDER_CLASSES)
    if not (of_gender or config.get("gender_target") or "gender" in (config.get("conditions") or {})):
        return []
    lines = [
        "- Gender here is a corpus's word for how a voice sounds, female or male; it is nobody's identity, and other"
        " genders are 'unknown' to the model.",
        "- Not for sorting people by gender. Look at the report's figures by gender before use.",
    ]
    if of_gender:
        return [*lines, "- Made as an input for emotion models, not for use by itself."]
    return [*lines, "- A wrong gender can change the emotion that is predicted; it can be withheld (`gender=unknown`)."]
