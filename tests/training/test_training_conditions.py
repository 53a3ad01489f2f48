"""Conditions in training: only what is missing is predicted, and the model keeps what would predict it."""

import dataclasses
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch

from emotune.audio.preprocessing import Preprocessing
from emotune.conditions.condition import Condition
from emotune.conditions.gender import GenderCondition, GenderPredictor
from emotune.conditions.known import known_of
from emotune.conditions.text import Text
from emotune.config.conditions import ConditionsSection
from emotune.enrichment import transcribe
from emotune.enrichment.speech_recogniser import Transcript
from emotune.errors import EmotuneError
from emotune.inference.conditioner import conditioner_of
from emotune.inference.loading import load
from emotune.models.backbones import BACKBONES
from emotune.models.emotion_model import EmotionModel
from emotune.models.store import save_model
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.training.conditions import build_conditioner, condition_table, enriched

ASR = {"name": "org/asr", "revision": "1"}


class Recogniser:
    """Hears ``words`` everywhere; ``made`` counts them and ``heard`` the clips."""

    batch_size = 4
    made = 0
    heard = 0

    def __init__(self, name, *, revision=None, language=None):
        type(self).made += 1
        self.identity = {**ASR, "name": name}
        self.language = language

    def transcribe(self, waveforms):
        type(self).heard += len(waveforms)
        return [Transcript("words", "en") for _ in waveforms]


class Encoder:
    """Three numbers a text; ``devices`` it was asked to lie on."""

    dimension = 3
    identity: ClassVar = {"name": "org/encoder", "revision": "1"}
    devices: ClassVar[list] = []

    def __init__(self, name, *, revision=None, device=None):
        self.devices.append(device)

    def encode(self, texts):
        return np.ones((len(texts), 3), dtype=np.float32)


@pytest.fixture(autouse=True)
def tools(monkeypatch, tmp_path):
    monkeypatch.setattr(Recogniser, "made", 0)
    monkeypatch.setattr(Recogniser, "heard", 0)
    monkeypatch.setattr(Encoder, "devices", [])
    monkeypatch.setattr(transcribe, "CACHE", tmp_path / "transcripts")
    monkeypatch.setattr("emotune.enrichment.text_encoder.CACHE", tmp_path / "embeddings")


@pytest.fixture
def gender_model(tmp_path, tiny_wavlm):
    """A model of gender with random weights."""
    torch.manual_seed(0)
    backbone = BACKBONES["wavlm"].from_config(tiny_wavlm)
    preprocessing = Preprocessing(backbone.normalize, max_duration_s=5.0, min_samples=backbone.min_samples)
    save_model(tmp_path / "gender", EmotionModel(backbone, LabelSpace(("female", "male"))), preprocessing)
    return tmp_path / "gender"


def identity_of(gender_model) -> dict[str, str]:
    return GenderPredictor(load(gender_model)).model.identity


def entries(recogniser=Recogniser, encoder=Encoder) -> dict[str, Callable[[], Condition]]:
    """Conditions whose helpers are those above."""

    def find(name, revision):
        return SimpleNamespace(identity=ASR)

    return {"gender": GenderCondition, "text": partial(Text, recogniser=recogniser, find=find, encoder=encoder)}


def given_gender(predictor, source="given") -> ConditionsSection:
    return ConditionsSection.model_validate({"gender": {"source": source, "predictor": str(predictor)}})


def text(source="given", asr: str | None = "org/asr") -> ConditionsSection:
    return ConditionsSection.model_validate({"text": {"source": source, "encoder": "org/encoder", "asr": asr}})


def changed(manifest, positions, information=None, **values):
    rows = [dataclasses.replace(u, **values) if n in positions else u for n, u in enumerate(manifest)]
    new = manifest.replace_utterances(rows)
    return dataclasses.replace(new, information={**manifest.information, **(information or {})})


def test_a_named_predictor_is_kept_though_nothing_is_missing(tones, gender_model, monkeypatch):
    monkeypatch.chdir(gender_model.parent)
    conditions = given_gender("gender")
    manifest = enriched(tones, conditions)
    assert manifest == tones
    about = build_conditioner(conditions, manifest).about
    assert about["gender"]["predictor"] == identity_of(gender_model)
    assert about["gender"]["predictor"]["name"] == str(gender_model)  # found from every folder
    asked = text()
    with_text = enriched(changed(tones, range(24), text="so"), asked, entries=entries())
    assert build_conditioner(asked, with_text, entries=entries()).about["text"]["asr"] == {**ASR, "language": None}
    assert Recogniser.made == 0


def test_only_utterances_without_a_gender_are_predicted(tones, gender_model):
    conditions = given_gender(gender_model, "predicted")
    earlier = {"gender_predictor": {"name": "org/other", "revision": "7"}}
    found = enriched(changed(tones, range(1, 24), earlier, gender_predicted="male"), conditions)
    assert [u.gender_predicted for u in found][1:] == ["male"] * 23
    assert found.utterances[0].gender_predicted in ("female", "male")
    assert found.information["gender_predictor"] == earlier["gender_predictor"]
    all_missing = enriched(tones, conditions)
    assert all(u.gender_predicted in ("female", "male") for u in all_missing)
    assert all_missing.information["gender_predictor"] == identity_of(gender_model)


def test_the_command_fills_a_manifest_and_names_the_predictor(tones, gender_model, tmp_path, emotune_command):
    tones.write(tmp_path / "in.csv")
    ended = emotune_command("gender", tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--model", gender_model)
    assert (ended.code, ended.err) == (0, "")
    assert "24 of 24 utterances predicted" in ended.out
    found = Manifest.read(tmp_path / "out.csv")
    assert {u.gender_predicted for u in found} <= {"female", "male"}
    assert found.information["gender_predictor"] == identity_of(gender_model)


@pytest.mark.parametrize("command", ["gender", "transcribe"])
def test_what_is_read_is_not_replaced(command, tones, tmp_path, emotune_command):
    table = tmp_path / "in.csv"
    tones.write(table)
    before = table.read_bytes()
    ended = emotune_command(command, table, "-o", table, "--model", "x")
    assert ended.code == 2
    assert "is an input and would be overwritten. Give the output another name." in ended.err
    assert table.read_bytes() == before


def test_a_predictor_of_something_else_or_that_is_not_there_is_told_before_training(tones, tiny_model):
    with pytest.raises(EmotuneError, match=r"model\.conditions\.gender\.predictor: .* predicts anger, neutral, not ge"):
        enriched(tones, given_gender(tiny_model))
    with pytest.raises(EmotuneError, match=r"model\.conditions\.gender\.predictor: There is no folder /nowhere"):
        enriched(tones, given_gender("/nowhere"))


def test_transcripts_stay_and_a_clip_without_words_is_not_heard_again(tones):
    earlier = {"speech_recogniser": {"name": "org/other", "revision": "7", "language": "en"}}
    heard = changed(changed(tones, range(24), earlier, text_predicted="before"), [5], text_predicted="")
    assert enriched(heard, text("predicted"), entries=entries()) == heard
    assert Recogniser.made == 0
    found = enriched(changed(heard, [7], text_predicted=None), text("predicted"), entries=entries())
    assert Recogniser.heard == 1
    assert [u.text_predicted for u in found] == ["before"] * 5 + ["", "before", "words"] + ["before"] * 16
    assert found.information == heard.information


def test_where_some_texts_are_given_only_the_others_are_transcribed(tones):
    found = enriched(changed(tones, range(20), text="said"), text(), entries=entries())
    assert [u.text_predicted for u in found] == [None] * 20 + ["words"] * 4
    assert Recogniser.heard == 4


def test_the_language_of_the_corpus_reaches_the_recogniser_in_training_and_afterwards(tones):
    german = changed(tones, range(24), language="de-DE")
    found = enriched(german, text("predicted"), entries=entries())
    assert found.information["speech_recogniser"] == {**ASR, "language": "de"}
    about = build_conditioner(text("predicted"), found, entries=entries()).about
    assert conditioner_of(about, load, entries=entries()).predictors["text"].recogniser.language == "de"
    other = conditioner_of(about, load, helpers={"asr": "org/asr2"}, entries=entries())
    assert other.predictors["text"].recogniser.language == "de"


def test_an_encoder_of_unknown_text_only_tells_its_width(tones):
    conditioner = build_conditioner(text("unknown", asr=None), tones, entries=entries())
    assert conditioner.encoders == {}
    assert Encoder.devices == ["cpu"]
    table = condition_table(conditioner, changed(tones, range(24), text="said"))
    assert table["text"].shape == (24, 3) and np.isnan(table["text"]).all()
    known = build_conditioner(text(asr=None), changed(tones, range(24), text="said"), entries=entries())
    assert np.isfinite(condition_table(known, changed(tones, range(24), text="said"))["text"]).all()


def test_what_is_scored_needs_its_models_and_loads_no_others(tones):
    about = {"text": {"source": "given", "width": 3, "encoder": Encoder.identity, "asr": ASR}}
    said = [known_of(dataclasses.replace(u, text="said", text_predicted="")) for u in tones]

    def absent(*_, **__):
        raise EmotuneError("It is not there.")

    whole, deaf, mute = entries(), entries(recogniser=absent), entries(recogniser=absent, encoder=absent)
    assert "text" not in conditioner_of(about, load, scored=said, entries=whole).predictors
    assert Recogniser.made == 0
    assert "text" in conditioner_of(about, load, scored=[*said, {}], entries=whole).predictors
    assert conditioner_of(about, load, scored=said, entries=deaf).notes == ()
    with pytest.raises(EmotuneError, match=r"recogniser org/asr cannot be had here: .* --condition text=unknown"):
        conditioner_of(about, load, scored=[*said, {}], entries=deaf)
    assert len(conditioner_of(about, load, entries=mute).notes) == 1
    with pytest.raises(EmotuneError, match="text encoder org/encoder cannot be had here"):
        conditioner_of(about, load, scored=said, entries=mute)
    assert conditioner_of(about, load, sources={"text": "unknown"}, scored=said, entries=mute).notes == ()
