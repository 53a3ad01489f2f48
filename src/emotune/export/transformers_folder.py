"""Export of a model as a folder that transformers' AutoModelForAudioClassification loads, checked by both sides.

transformers' classes have the mean over time, two linear layers and nothing else: standardised features go into the
first, our head and its temperature into the second. What a model has beyond that is named, and nothing is written.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from emotune.audio.preprocessing import Preprocessing
from emotune.errors import ConfigError, ModelError
from emotune.export.source import source_of
from emotune.inference.torch_engine import TorchEngine
from emotune.io.hub import CARD
from emotune.io.new_folders import new_folder
from emotune.io.tables import to_json, write_text
from emotune.models.aggregations.layer_mix import WeightedSum
from emotune.models.backbones.log_mel import HOP, WINDOW
from emotune.models.emotion_model import EmotionModel
from emotune.models.folder import CONFIG, PREPROCESSOR, WEIGHTS
from emotune.models.heads.network import HeadNetwork
from emotune.models.published.read import read_published
from emotune.models.published.state_conventions import has_final_norm
from emotune.models.store import StoredModel, load_model

CLASSES = {
    "data2vec-audio": ("Data2VecAudioForSequenceClassification", "data2vec_audio."),
    "hubert": ("HubertForSequenceClassification", "hubert."),
    "unispeech-sat": ("UniSpeechSatForSequenceClassification", "unispeech_sat."),
    "wav2vec2": ("Wav2Vec2ForSequenceClassification", "wav2vec2."),
    "wav2vec2-bert": ("Wav2Vec2BertForSequenceClassification", "wav2vec2_bert."),
    "wavlm": ("WavLMForSequenceClassification", "wavlm."),
    "whisper": ("WhisperForAudioClassification", "encoder."),
}
"""Type of an encoder -> its class in transformers, and the prefix of the encoder's weights there."""
LARGEST_DIFFERENCE = 1e-4
VERSION = "5.23.0"
"""of transformers: its convention of states is written, and stated in the config"""
_CLIPS_S = (0.5, 1.3, 3.0)


@dataclass(frozen=True)
class TransformersExport:
    """Outcome of an export.

    Args:
        folder: that was written.
        architecture: the class of transformers.
        ours: largest difference of a probability, read back by emotune.
        theirs: the same by transformers; None where that is not installed.
    """

    folder: Path
    architecture: str
    ours: float
    theirs: float | None


def export_for_transformers(model: str | Path, output: Path) -> TransformersExport:
    """Writes a model as transformers' classification of clips, and compares probabilities on generated clips.

    Raises:
        ConfigError: for an output that is there, or a model with what transformers' classes do not have, all of it
            named.
        ModelError: when the model cannot be loaded, or the export answers differently.
    """
    found = source_of(model, output)
    stored = load_model(found.folder)
    stored.model.merge_adapter()
    reasons = list(obstacles(stored.model, stored.preprocessing))
    if reasons:
        listed = "\n".join(f"  {reason}" for reason in reasons)
        raise ConfigError(f"{found.name} cannot be a model of transformers' own classes:\n{listed}")
    card = found.folder / CARD
    with new_folder(output) as made:
        _write(made, stored)
        if card.is_file():
            write_text(made / CARD, card.read_text(encoding="utf-8"))
        ours, theirs = _compare(stored, made)
    return TransformersExport(output, CLASSES[stored.model.backbone.model_type][0], ours, theirs)


def obstacles(model: EmotionModel, preprocessing: Preprocessing) -> Iterator[str]:
    """Parts of a model that transformers' classes do not have, each with what could be done."""
    options, backbone, space = model.options, model.backbone, model.label_space
    if model.second is not None:
        yield f"it has a second encoder, {model.second.backbone.model_type}, and theirs has one"
    if not space.classes or space.dimensions or list(model.learns) != ["classes"]:
        yield f"it has the heads {', '.join(model.learns)}, and theirs has one of classes"
    networks = [model.network_options(name) for name in model.learns]
    if any(network["hidden_size"] is not None or network.get("sigmoid") for network in networks):
        yield "its head has a hidden layer, and theirs is linear: train with model.hidden_size: null"
    if options["pooling"] != "mean":
        yield f"its pooling is {_name_of(options['pooling'])}, and theirs is the mean: train with model.pooling: mean"
    if options["layer_mix"] not in ("last", "weighted_sum"):
        yield f"its layer mix is {_name_of(options['layer_mix'])}, and theirs are last and weighted_sum"
    if options["conditions"]:
        yield f"it is given {', '.join(options['conditions'])} beside the sound, and theirs hears alone"
    if options["adapter"]:
        yield f"its adapter {options['adapter']['name']} cannot be merged into the encoder"
    config = backbone.config
    if options["layer_mix"] == "last" and has_final_norm(config) and backbone.final_norm is None:
        yield "its last state is the raw one, and theirs has passed the final norm: train with final_norm: true"
    yield from _unheard(preprocessing, whisper=config["model_type"] == "whisper", longest=backbone.window_samples)


def _unheard(preprocessing: Preprocessing, *, whisper: bool, longest: int | None) -> Iterator[str]:
    plain = Preprocessing()
    if preprocessing.normalize == "fixed" or preprocessing.variance_floor != plain.variance_floor:
        yield "its clips are normalised otherwise than clip by clip as transformers does"
    if preprocessing.trim_silence_db is not None:
        yield "it cuts silence at both ends, and transformers does not: train with data.trim_silence_db: null"
    if whisper and preprocessing.min_samples != longest:
        yield (
            "it hears clips as long as they are, and transformers' Whisper within 30 s of silence: only a model that"
            " went on from transformers' own classifier (model.start) hears so"
        )


def _name_of(part: Any) -> str:
    return part["name"] if isinstance(part, Mapping) else str(part)


def _write(folder: Path, stored: StoredModel) -> None:
    model = stored.model
    kind = model.backbone.model_type
    architecture, prefix = CLASSES[kind]
    classes = model.label_space.classes
    config = {key: value for key, value in model.backbone.config.items() if key != "final_norm"}
    weighted = model.options["layer_mix"] == "weighted_sum"
    config |= {
        "architectures": [architecture],
        "classifier_proj_size": model.backbone.hidden_size,
        "use_weighted_layer_sum": weighted,
        "id2label": {str(index): name for index, name in enumerate(classes)},
        "label2id": {name: index for index, name in enumerate(classes)},
        "mask_time_prob": 0.0,
        "mask_feature_prob": 0.0,
        "dtype": "float32",
        "transformers_version": VERSION,
    }
    if weighted and has_final_norm(config):
        config["tie_last_hidden_states"] = model.backbone.final_norm is not None
    write_text(folder / CONFIG, to_json(config) + "\n")
    write_text(folder / PREPROCESSOR, to_json(extractor_of(stored)) + "\n")
    tensors = _encoder(model, prefix) | classifier_of(stored)
    values = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    safetensors.torch.save_file(values, folder / WEIGHTS, metadata={"format": "pt"})


def _encoder(model: EmotionModel, prefix: str) -> dict[str, Tensor]:
    """The encoder's weights; a final norm that no answer passes is written as one that changes nothing."""
    backbone = model.backbone
    weights = {prefix + name: tensor for name, tensor in backbone.state_dict().items()}
    norm = prefix + ("layer_norm" if backbone.model_type == "whisper" else "encoder.layer_norm")
    if has_final_norm(backbone.config) and backbone.final_norm is None:
        weights |= {
            f"{norm}.weight": torch.ones(backbone.hidden_size),
            f"{norm}.bias": torch.zeros(backbone.hidden_size),
        }
    if backbone.model_type == "unispeech-sat":  # of masked training; the other classes have it only then
        weights[f"{prefix}masked_spec_embed"] = torch.zeros(backbone.hidden_size)
    return weights


def classifier_of(stored: StoredModel) -> dict[str, Tensor]:
    """Weights of transformers' two linear layers, and of its weighted sum, that say what the head says."""
    model, temperature = stored.model, stored.calibration.temperature
    network, standard = model.heads["classes"], model.standardize
    assert isinstance(network, HeadNetwork)
    out = network.out
    head = {
        "projector.weight": torch.diag(1 / standard.std),
        "projector.bias": -standard.mean / standard.std,
        "classifier.weight": out.weight / temperature,
        "classifier.bias": out.bias / temperature,
    }
    if isinstance(model.layer_mix, WeightedSum):
        head["layer_weights"] = model.layer_mix.logits
    return head


def extractor_of(stored: StoredModel) -> dict[str, Any]:
    """Settings of transformers' feature extractor that hears as the model does."""
    common = {"sampling_rate": stored.preprocessing.sampling_rate_hz, "padding_side": "right", "padding_value": 0.0}
    if stored.model.backbone.model_type == "wav2vec2-bert":
        bins = stored.model.backbone.config["feature_projection_input_dim"] // 2
        return common | {
            "feature_extractor_type": "SeamlessM4TFeatureExtractor",
            "feature_size": bins,
            "num_mel_bins": bins,
            "stride": 2,
        }
    if stored.model.backbone.model_type != "whisper":
        return common | {
            "feature_extractor_type": "Wav2Vec2FeatureExtractor",
            "feature_size": 1,
            "do_normalize": stored.preprocessing.normalize == "clip",
            "return_attention_mask": True,
        }
    samples = stored.preprocessing.min_samples
    return common | {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "feature_size": stored.model.backbone.config["num_mel_bins"],
        "n_fft": WINDOW,
        "hop_length": HOP,
        "chunk_length": samples // stored.preprocessing.sampling_rate_hz,
        "n_samples": samples,
        "nb_max_frames": samples // HOP,
        "return_attention_mask": False,
    }


def _compare(stored: StoredModel, made: Path) -> tuple[float, float | None]:
    """Largest differences of a probability on generated clips: read back by emotune, and by transformers."""
    generator = np.random.default_rng(0)
    rate = stored.preprocessing.sampling_rate_hz
    clips = [(0.1 * generator.standard_normal(round(s * rate))).astype(np.float32) for s in _CLIPS_S]
    engine = TorchEngine(stored.model, stored.preprocessing, calibration=stored.calibration)
    expected = [engine.run([engine.preprocessing(clip)]).probabilities[0] for clip in clips]
    published = read_published(made)
    back = TorchEngine(published.model, published.preprocessing)
    found = [back.run([back.preprocessing(clip)]).probabilities[0] for clip in clips]
    ours = _largest(expected, found, "emotune")
    if importlib.util.find_spec("transformers") is None:
        return ours, None
    return ours, _largest(expected, _by_transformers(made, clips, rate), "transformers")


def _largest(expected: list[Any], found: list[Any], reader: str) -> float:
    largest = max(float(np.abs(one - other).max()) for one, other in zip(expected, found, strict=True))
    if not largest <= LARGEST_DIFFERENCE:  # NaN too
        raise ModelError(
            f"The exported folder, read by {reader}, answers otherwise: probabilities by {largest:.2g}, at most"
            f" {LARGEST_DIFFERENCE:g} is right. Nothing was written."
        )
    return largest


@torch.inference_mode()
def _by_transformers(folder: Path, clips: list[Any], rate: int) -> list[Any]:
    import transformers  # noqa: PLC0415 (no part of any extra that exports)

    model, loading = transformers.AutoModelForAudioClassification.from_pretrained(folder, output_loading_info=True)
    strange = {key: sorted(names)[:3] for key, names in loading.items() if names}
    if strange:
        raise ModelError(f"transformers does not take all weights of the export: {strange}. Nothing was written.")
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    said = [model.eval()(**extractor(clip, sampling_rate=rate, return_tensors="pt")).logits for clip in clips]
    return [torch.softmax(logits.double(), dim=1)[0].numpy() for logits in said]
