"""emotune.pipeline takes and gives what transformers' audio-classification pipeline does."""

from typing import ClassVar

import numpy as np
import pytest

import emotune
from builders.recordings import encoded, noise
from emotune.audio.preprocessing import Preprocessing
from emotune.errors import AudioError, ConfigError, ModelError
from emotune.inference import Predictor
from emotune.inference.engine import EngineOutput
from emotune.inference.pipeline import Pipeline
from emotune.schema.calibration import Calibration
from emotune.schema.labels import LabelSpace, Scale

CLASSES = ("anger", "happiness", "sadness", "neutral", "fear", "disgust", "surprise")


class Published:
    """Engine over a model of transformers, which hears one clip at a time."""

    label_space = LabelSpace(CLASSES)
    preprocessing = Preprocessing("clip")
    calibration = Calibration()
    fingerprint = None
    concurrency = 1
    conditions: ClassVar[dict] = {}

    def __init__(self, model) -> None:
        self.model = model

    def run(self, waveforms, conditions=()) -> EngineOutput:
        import torch

        with torch.inference_mode():
            logits = [self.model(torch.from_numpy(waveform)[None]).logits[0] for waveform in waveforms]
        return EngineOutput(torch.stack(logits).softmax(-1).numpy(), np.zeros((len(waveforms), 0)))


@pytest.fixture(scope="module")
def pair():
    """Pipelines over one model: transformers' and ours."""
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    transformers.set_seed(0)
    config = transformers.Wav2Vec2Config(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=[8, 8, 8],
        conv_kernel=[40, 8, 4],
        conv_stride=[20, 8, 4],
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=4,
        classifier_proj_size=8,
        id2label=dict(enumerate(CLASSES)),
        label2id={name: number for number, name in enumerate(CLASSES)},
    )
    model = transformers.Wav2Vec2ForSequenceClassification(config).eval()
    extractor = transformers.Wav2Vec2FeatureExtractor()
    theirs = transformers.pipeline(emotune.inference.pipeline.TASK, model=model, feature_extractor=extractor)
    return theirs, emotune.pipeline(emotune.inference.pipeline.TASK, model=Predictor(Published(model)))


def assert_same(ours, theirs):
    """Equal but for the last digits of the scores."""
    assert [own.keys() for own in ours] == [other.keys() for other in theirs]
    assert [own["label"] for own in ours] == [other["label"] for other in theirs]
    assert [own["score"] for own in ours] == pytest.approx([other["score"] for other in theirs], abs=1e-6)
    assert all(type(own["score"]) is float for own in ours)


def clip(seed: int = 0) -> np.ndarray:
    return noise(12000 + 1000 * seed, seed=seed)


@pytest.mark.parametrize(
    "source",
    [
        clip(),
        clip().astype(np.float64),
        {"raw": clip(), "sampling_rate": 16000},
        {"array": clip(), "sampling_rate": 16000},
        {"array": clip(), "sampling_rate": 16000, "path": "no such file"},
    ],
    ids=["array", "double", "raw", "dict", "datasets"],
)
def test_one_recording_is_answered_as_transformers_does(pair, source):
    theirs, ours = pair
    assert_same(ours(source), theirs(source))
    assert len(ours(source)) == len(CLASSES)


@pytest.mark.parametrize("count", [1, 3, 7, 100])
def test_top_k_is_that_of_transformers(pair, count):
    theirs, ours = pair
    assert_same(ours(clip(), top_k=count), theirs(clip(), top_k=count))


def test_lists_and_generators_are_answered_in_their_order(pair):
    theirs, ours = pair
    clips = [clip(seed) for seed in (3, 0, 2, 1)]
    expected = theirs(clips)
    found = ours(clips, batch_size=2)
    assert type(found) is list
    for own, other in zip(found, expected, strict=True):
        assert_same(own, other)
    streamed = ours(source for source in clips)
    assert not isinstance(streamed, list)
    assert list(streamed) == found
    assert ours([]) == []


def test_what_transformers_needs_ffmpeg_or_torchaudio_for_is_answered_too(pair, tmp_path):
    _, ours = pair
    content = encoded(clip(), subtype="FLOAT")
    (tmp_path / "clip.wav").write_bytes(content)
    expected = ours(clip())
    assert ours(str(tmp_path / "clip.wav")) == ours(content) == expected
    slower = {"raw": np.repeat(clip(), 2), "sampling_rate": 32000}
    assert len(ours(slower)) == len(CLASSES)


@pytest.mark.parametrize("source", [{"raw": clip()}, "no_such_file.wav", 3])
def test_what_is_no_recording_is_an_error_alone_and_in_a_list(pair, source):
    theirs, ours = pair
    for inputs in (source, [clip(), source]):
        with pytest.raises(AudioError):
            ours(inputs)
        with pytest.raises((ValueError, TypeError, OSError)):
            theirs(inputs)


def test_a_pipelines_own_top_k_counts_until_a_call_names_another(pair):
    ours = Pipeline(pair[1].predictor, top_k=2)
    assert [len(ours(clip())), len(ours(clip(), top_k=3))] == [2, 3]
    with pytest.raises(ConfigError, match="top_k must be at least 1, got 0"):
        ours(clip(), top_k=0)


def test_a_folder_is_loaded_and_devices_are_numbered_as_in_transformers(tiny_model, pair):
    ours = emotune.pipeline(model=tiny_model, device=-1)
    assert {answer["label"] for answer in ours((clip(), 16000))} == {"anger", "neutral"}
    with pytest.raises(ConfigError, match="'cuda:99' cannot be used here"):
        emotune.pipeline(model=tiny_model, device=99)


def test_another_task_no_model_and_a_model_without_classes_are_refused(pair):
    with pytest.raises(ConfigError, match="The task is 'audio-classification', got 'mini'"):
        emotune.pipeline("mini")
    with pytest.raises(ConfigError, match="A pipeline needs a model"):
        emotune.pipeline()
    engine = Published(None)
    engine.label_space = LabelSpace((), {"arousal": Scale(1, 7)})
    with pytest.raises(ModelError, match="this model has none, but arousal"):
        emotune.pipeline(model=Predictor(engine))
