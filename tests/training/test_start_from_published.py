"""Models of others, written as emotune's own, go on training as they were: head, normalisation, silence at the end."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import emotune
from builders.command import run_command
from builders.recipes import sections_over
from builders.transformers_shapes import WAV2VEC2_SHAPE, WHISPER_SHAPE
from emotune.config.recipe import Recipe
from emotune.errors import ConfigError
from emotune.models.published.import_model import import_model
from emotune.models.store import load_model
from emotune.schema.labels import LabelSpace
from emotune.training.build import build_experiment
from emotune.training.fine_tune import train_run
from emotune.training.manifest import build_manifest

transformers = pytest.importorskip("transformers")

LABELS = {"id2label": {0: "neu", 1: "ang"}, "label2id": {"neu": 0, "ang": 1}}
WAVLM = {
    **LABELS,
    **WAV2VEC2_SHAPE,
}
WHISPER = {
    **LABELS,
    **WHISPER_SHAPE,
    "max_source_positions": 100,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}
TWO_SECONDS = 32_000


def wavlm(folder: Path) -> None:
    model = transformers.WavLMForSequenceClassification(transformers.WavLMConfig(**WAVLM))
    save(folder, model, transformers.Wav2Vec2FeatureExtractor(do_normalize=True))


def whisper(folder: Path) -> None:
    model = transformers.WhisperForAudioClassification(transformers.WhisperConfig(**WHISPER))
    save(folder, model, transformers.WhisperFeatureExtractor(chunk_length=2))


def save(folder: Path, model, extractor) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)


@pytest.fixture
def recipe_from(tones, tmp_path):
    def build(start: Path, classes: tuple[str, ...] = ("neutral", "anger")) -> Recipe:
        manifest = dataclasses.replace(tones, label_space=LabelSpace(classes))
        manifest.write(tmp_path / "m.csv")
        content = sections_over(tmp_path / "m.csv")
        content["model"] = {"start": str(start)}
        return Recipe.model_validate(content)

    return build


@pytest.mark.parametrize("write", [wavlm, whisper])
def test_an_imported_model_answers_as_the_published_one_and_trains_on(tmp_path, recipe_from, write) -> None:
    write(tmp_path / "published")
    imported = tmp_path / "imported"
    ended = run_command("import", "model", tmp_path / "published", "-o", imported)
    assert ended.code == 0
    assert "answers neutral, anger" in ended.out
    clip = (0.1 * np.random.default_rng(0).standard_normal(7000)).astype(np.float32)
    published, own = (emotune.load(folder).predict(clip, 16000) for folder in (tmp_path / "published", imported))
    assert own.probabilities == published.probabilities
    train_run(recipe_from(imported), tmp_path / "run")
    theirs, ours = load_model(imported), load_model(tmp_path / "run")
    heard = (theirs.preprocessing, ours.preprocessing)
    assert len({(one.normalize, one.min_samples, one.too_short) for one in heard}) == 1
    before, after = (one.model.heads["classes"].out.weight for one in (theirs, ours))
    assert not torch.equal(before, after)


def test_training_starts_with_the_published_head_and_hears_what_it_heard(tmp_path, recipe_from) -> None:
    for write in (wavlm, whisper):
        folder = tmp_path / write.__name__
        write(folder)
        import_model(folder, tmp_path / "imported" / write.__name__)
    for name, normalize, samples in (("wavlm", "clip", 400), ("whisper", "none", TWO_SECONDS)):
        start = tmp_path / "imported" / name
        recipe = recipe_from(start)
        experiment = build_experiment(recipe, build_manifest(recipe))
        kept = load_model(start).model.heads["classes"].out.weight
        assert torch.equal(experiment.model.heads["classes"].out.weight, kept)
        assert (experiment.preprocessing.normalize, experiment.preprocessing.min_samples) == (normalize, samples)
        assert len(experiment.dataset[0, 0].waveform) >= samples


def test_classes_in_another_order_keep_their_own_rows(tmp_path, recipe_from) -> None:
    wavlm(tmp_path / "published")
    import_model(tmp_path / "published", tmp_path / "imported")
    recipe = recipe_from(tmp_path / "imported", classes=("anger", "neutral"))
    head = build_experiment(recipe, build_manifest(recipe)).model.heads["classes"].out
    theirs = load_model(tmp_path / "imported").model.heads["classes"].out
    assert torch.equal(head.weight, theirs.weight.flip(0)) and torch.equal(head.bias, theirs.bias.flip(0))


def test_a_published_folder_is_not_gone_on_from_before_it_is_imported(tmp_path, recipe_from) -> None:
    wavlm(tmp_path / "published")
    with pytest.raises(ValueError, match=r"emotune import model .*published -o FOLDER"):
        recipe_from(tmp_path / "published")


def test_what_is_emotunes_own_is_not_imported(tmp_path, tiny_model) -> None:
    with pytest.raises(ConfigError, match="a model of emotune already"):
        import_model(tiny_model, tmp_path / "x")
    with pytest.raises(ConfigError, match="is there already"):
        import_model(tiny_model, tiny_model)


def test_an_import_that_fails_leaves_nothing(tmp_path, monkeypatch) -> None:
    wavlm(tmp_path / "published")

    def fails(folder, *given, **named):
        (folder / "half").touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("emotune.models.published.import_model.save_model", fails)
    with pytest.raises(OSError, match="No space"):
        import_model(tmp_path / "published", tmp_path / "there" / "imported")
    assert list((tmp_path / "there").iterdir()) == []


def test_the_card_of_an_imported_model_keeps_the_licence(tmp_path) -> None:
    wavlm(tmp_path / "published")
    (tmp_path / "published" / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    made = import_model(tmp_path / "published", tmp_path / "imported")
    assert made.licence == "apache-2.0"
    assert "- licence: apache-2.0" in (tmp_path / "imported" / "README.md").read_text()
    assert json.loads((tmp_path / "imported" / "config.json").read_text())["classes"] == ["neutral", "anger"]
