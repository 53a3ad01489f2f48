"""Adapters that we write: PEFT itself reads them and answers as we do, and what PEFT writes then comes back."""

from pathlib import Path

import pytest
import torch

import emotune
from builders.command import run_command
from builders.transformers_shapes import WAV2VEC2_SHAPE
from emotune.audio.preprocessing import Preprocessing
from emotune.errors import ConfigError
from emotune.export import peft_folder
from emotune.export.peft_folder import export_for_peft
from emotune.models.backbones import checkpoint
from emotune.models.backbones.checkpoint import load_pretrained
from emotune.models.emotion_model import EmotionModel
from emotune.models.peft.settings import read_settings
from emotune.models.store import save_model
from emotune.schema.labels import LabelSpace

transformers = pytest.importorskip("transformers")
peft = pytest.importorskip("peft")

CLASSES = ("anger", "neutral", "sadness")
CLIP = torch.randn(9000, generator=torch.Generator().manual_seed(1))


def trained(folder: Path, *, kind: str = "Wav2Vec2", targets: tuple[str, ...] = ("q_proj", "output_dense"), **options):
    """A base as transformers saves it, and a model of ours whose LoRA went on from it."""
    torch.manual_seed(0)
    shape = WAV2VEC2_SHAPE
    getattr(transformers, f"{kind}Model")(getattr(transformers, f"{kind}Config")(**shape)).save_pretrained(
        folder / "base"
    )
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder / "base")
    backbone = load_pretrained(kind.lower(), folder / "base")
    lora = {"name": "lora", "rank": 2, "targets": list(targets)}
    options = {"layer_mix": "last", "pooling": "mean", "adapter": lora} | options
    model = EmotionModel(backbone, LabelSpace(CLASSES), **options)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in model.adapter_parameters or name.startswith("heads."):
                parameter.add_(0.3 * torch.randn(parameter.shape))
        size = model.standardize.mean.shape
        model.standardize.set(0.1 * torch.randn(size), 0.5 + torch.rand(size))
    model.merge_adapter()
    save_model(folder / "ours", model, Preprocessing(backbone.normalize, min_samples=backbone.min_samples))
    return folder / "ours"


def by_peft(folder: Path, base: Path) -> torch.Tensor:
    config = transformers.AutoConfig.from_pretrained(base)
    config.update({"num_labels": 3, "classifier_proj_size": WAV2VEC2_SHAPE["hidden_size"]})
    model = transformers.AutoModelForAudioClassification.from_pretrained(base, config=config)
    adapted = peft.PeftModel.from_pretrained(model, folder).eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    with torch.no_grad():
        logits = adapted(**extractor(CLIP.numpy(), sampling_rate=16000, return_tensors="pt")).logits
    adapted.save_pretrained(folder.parent / "again")
    return logits.softmax(1)[0]


def answers(folder: Path) -> torch.Tensor:
    return torch.tensor(list(emotune.load(folder, device="cpu").predict(CLIP.numpy(), 16000).probabilities.values()))


def test_there_and_back_the_answers_stay(tmp_path: Path) -> None:
    expected = answers(trained(tmp_path))
    made = export_for_peft(tmp_path / "ours", tmp_path / "made", base=str(tmp_path / "base"))
    assert (made.rank, made.layers, made.with_head) == (2, 4, True)
    torch.testing.assert_close(by_peft(tmp_path / "made", tmp_path / "base"), expected, rtol=0, atol=2e-5)
    torch.testing.assert_close(answers(tmp_path / "made"), expected, rtol=0, atol=2e-5)
    again = tmp_path / "again"  # as PEFT writes it, which knows no names of classes
    (again / "config.json").write_text((tmp_path / "made" / "config.json").read_text())
    torch.testing.assert_close(answers(again), expected, rtol=0, atol=2e-5)


def test_a_head_that_transformers_lacks_stays_and_is_said(tmp_path: Path) -> None:
    trained(tmp_path, pooling="mean_std")
    ended = run_command(
        "export", tmp_path / "ours", "-o", tmp_path / "made", "--format", "peft", "--base", tmp_path / "base"
    )
    said = ended.out
    assert "LoRA of rank 2 on 4 layers" in said
    assert "without the head" in said
    assert "its pooling is mean_std" in said
    model = transformers.AutoModel.from_pretrained(tmp_path / "base")
    adapted = peft.PeftModel.from_pretrained(model, tmp_path / "made").eval()
    waveforms = CLIP[None]
    ours = load_pretrained("wav2vec2", tmp_path / "made").eval()
    with torch.no_grad():
        state = ours(waveforms, torch.ones_like(waveforms, dtype=torch.bool)).states[-1]
        torch.testing.assert_close(state, adapted(input_values=waveforms).last_hidden_state, rtol=0, atol=1e-4)


def test_a_base_of_a_revision_is_named_as_peft_takes_it(tmp_path: Path, monkeypatch) -> None:
    trained(tmp_path)
    made = tmp_path / "made"

    def loaded(name, base, **options):
        return load_pretrained(name, tmp_path / "base" if base == "hf:owner/name@v1" else base, **options)

    def fetched(folder, **_):
        settings = read_settings(folder)
        assert (settings.base, settings.revision) == ("owner/name", "v1")
        return tmp_path / "base"

    monkeypatch.setattr(peft_folder, "load_pretrained", loaded)
    monkeypatch.setattr(checkpoint, "base_of", fetched)
    export_for_peft(tmp_path / "ours", made, base="hf:owner/name@v1")
    found = peft.PeftConfig.from_pretrained(made)
    assert (found.base_model_name_or_path, found.revision) == ("owner/name", "v1")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "WavLM"}, "q_proj was trained, and transformers never calls that layer"),
        ({"adapter": {"name": "bitfit"}}, "which LoRA does not"),
        ({"adapter": {"name": "lora", "rank": 20, "targets": ["v_proj"]}}, "has rank 20 of 32, more than LoRA makes"),
        ({"adapter": None}, "there is no adapter to write"),
    ],
)
def test_what_would_not_be_the_same_there_is_refused(tmp_path: Path, options: dict, message: str) -> None:
    trained(tmp_path, **options)
    with pytest.raises(ConfigError, match=message):
        export_for_peft(tmp_path / "ours", tmp_path / "made", base=str(tmp_path / "base"))
    assert not (tmp_path / "made").exists()
