"""Embeddings equal the states of the model, alone and in a batch, and come back out of every kind of file."""

import json

import numpy as np
import pytest
import soundfile
import torch

from builders.exported import save_exported
from builders.models import save_tiny_model
from builders.recordings import noise
from emotune.batch import pad
from emotune.errors import ConfigError, ModelError, TableError
from emotune.inference.embeddings.embed import embed
from emotune.inference.embeddings.embedder import embedder_of
from emotune.inference.embeddings.vector_files import check_vector_output, write_vectors
from emotune.inference.torch_engine import TorchEngine
from emotune.schema.labels import LabelSpace

SPACE = LabelSpace(("anger", "neutral"))
CLIPS = [noise(6000 + 3000 * n, seed=n) for n in range(3)]
GIVEN = [(clip, 16000) for clip in CLIPS]


def states_alone(folder, clip):
    """States of one clip and the model, by the model itself."""
    engine = TorchEngine.load(folder)
    batch = pad([engine.preprocessing(clip)])
    with torch.no_grad():
        return engine.model, engine.model.backbone(batch.waveforms, batch.mask)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(save_tiny_model(tmp_path_factory.mktemp("tiny"), SPACE))


@pytest.mark.parametrize("layer", [0, 2, "mix"])
def test_frames_in_a_batch_are_the_states_of_the_model_alone(folder, layer):
    found = embed(folder, GIVEN, level="frame", layer=layer)
    for clip, own in zip(CLIPS, found, strict=True):
        model, states = states_alone(folder, clip)
        expected = model.layer_mix(states) if layer == "mix" else states.states[layer]
        assert own.vectors.shape == expected[0].shape
        np.testing.assert_allclose(own.vectors, expected[0].detach().numpy(), atol=1e-6)
        (alone,) = embed(folder, clip, 16000, level="frame", layer=layer)
        np.testing.assert_allclose(alone.vectors, own.vectors, atol=1e-6)


def test_vectors_of_clips_are_pooled_features_or_means_of_a_layer(folder):
    engine = TorchEngine.load(folder)
    pooled = engine.run([engine.preprocessing(clip) for clip in CLIPS]).embeddings
    np.testing.assert_allclose(np.concatenate([own.vectors for own in embed(folder, GIVEN)]), pooled, atol=1e-6)
    frames = embed(folder, GIVEN, level="frame", layer=1)
    for own, of_frames in zip(embed(folder, GIVEN, layer=1), frames, strict=True):
        np.testing.assert_allclose(own.vectors, of_frames.vectors.mean(axis=0, keepdims=True), atol=1e-6)


def test_conditions_and_varan_change_nothing_of_what_is_pooled(tmp_path):
    conditioned = save_tiny_model(tmp_path / "c", SPACE, conditions={"gender": {}})
    engine = TorchEngine.load(conditioned)
    given = {"gender": np.array([1, 0], dtype=np.float32)}
    known = engine.run([engine.preprocessing(CLIPS[0])], [given]).embeddings
    np.testing.assert_allclose(embed(str(conditioned), *GIVEN[0])[0].vectors, known, atol=1e-6)
    by_layer = save_tiny_model(tmp_path / "v", SPACE, layer_mix="varan", varan={"parameter": 5.0})
    assert embed(str(by_layer), *GIVEN[0])[0].vectors.shape == (1, 2 * 32)
    with pytest.raises(ConfigError, match="no mix of layers: choose a layer from 0 to 2"):
        embedder_of(str(by_layer), level="frame", layer="mix")


def test_an_exported_model_gives_its_pooled_features_alone(tmp_path):
    exported = str(save_exported(tmp_path, SPACE))
    vectors = [own.vectors.item() for own in embed(exported, GIVEN)]
    np.testing.assert_allclose(vectors, [np.sqrt(np.mean(clip**2)) for clip in CLIPS], rtol=1e-5)
    for options in ({"level": "frame"}, {"layer": 1}):
        with pytest.raises(ModelError, match="its pooled features alone"):
            embedder_of(exported, **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"layer": 3}, "layer 3 was asked of .*, which has the states 0"),
        ({"layer": "last"}, "layer is 'last', expected the number of a layer, mix or pooled"),
        ({"level": "word"}, "level is 'word', expected one of clip, frame"),
        ({"level": "frame", "layer": "pooled"}, "'pooled' is one vector a clip"),
    ],
)
def test_what_is_no_layer_or_level_is_refused(folder, options, said):
    with pytest.raises(ConfigError, match=said):
        embedder_of(folder, **options)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sounds")
    for number, clip in enumerate(CLIPS):
        soundfile.write(folder / f"{number}.wav", clip, 16000)
    (folder / "3.wav").write_bytes(b"no sound")
    return folder


def columns_of_npy(path):
    return np.load(path, mmap_mode="r")


def columns_of_parquet(path):
    pandas = pytest.importorskip("pandas")
    table = pandas.read_parquet(path)
    assert table["utterance_id"].unique().tolist() == ["0.wav", "1.wav", "2.wav"]
    np.testing.assert_allclose(table["time_s"], table["row"] / 25)
    return np.stack(table["embedding"])


def columns_of_hdf5(path):
    with pytest.importorskip("h5py").File(path) as file:
        assert file["utterance_id"].asstr()[:].tolist() == ["0.wav", "1.wav", "2.wav"]
        assert file["first"][:].tolist() == [0, *np.cumsum(file["rows"][:])[:-1]]
        assert (file.attrs["layer"], file.attrs["frame_rate_hz"]) == (1, 25.0)
        return file["embeddings"][:]


@pytest.mark.parametrize(
    ("suffix", "read"), [(".npy", columns_of_npy), (".parquet", columns_of_parquet), (".h5", columns_of_hdf5)]
)
def test_every_kind_of_file_gives_the_vectors_back(folder, sounds, tmp_path, emotune_command, suffix, read):
    path = tmp_path / f"frames{suffix}"
    ended = emotune_command("embed", folder, sounds, "-o", path, "--level", "frame", "--layer", "1")
    assert ended.code == 1 and "3 recordings" in ended.out and "3.wav" in ended.err
    about = json.loads((tmp_path / f"frames{suffix}.meta.json").read_text())
    assert (about["level"], about["layer"], about["frame_rate_hz"], about["features"]) == ("frame", 1, 25.0, 16)
    vectors = read(path)
    files = [str(sounds / f"{number}.wav") for number in range(3)]
    for entry, own in zip(about["index"], embed(folder, files, level="frame", layer=1), strict=True):
        kept = vectors[entry["first"] : entry["first"] + entry["rows"]]
        np.testing.assert_allclose(kept, own.vectors, atol=1e-6)
    assert not list(tmp_path.glob(".*"))


def test_a_file_that_cannot_be_written_is_told_before_the_work_and_none_is_left_half(tmp_path):
    with pytest.raises(TableError, match=r"must end in \.npy"):
        check_vector_output(tmp_path / "a.npz")
    rows = iter([("a", np.zeros((1, 2), np.float32)), ("b", np.zeros((1, 3), np.float32))])
    with pytest.raises(TableError, match="b has 3 features, those before it 2"):
        write_vectors(tmp_path / "a.npy", rows, {})
    assert not list(tmp_path.iterdir())


def test_a_bare_encoder_gives_its_last_layer(shared):
    folder = shared / "models" / "whisper-tiny.en-encoder"
    embedder = embedder_of(str(folder), level="frame")
    assert (embedder.about["layer"], embedder.about["frame_rate_hz"]) == (4, 50.0)
    assert embed(embedder, GIVEN)[2].vectors.shape == (38, 384)
    with pytest.raises(ConfigError, match="without heads, and so pools nothing"):
        embedder_of(str(folder), layer="pooled")


def test_a_table_that_is_read_is_not_overwritten_and_no_device_is_no_crash(tmp_path, emotune_command, shared):
    table = tmp_path / "in.parquet"
    table.write_bytes(b"mine")
    ended = emotune_command("embed", "mini", table, "-o", table)
    assert ended.code != 0 and "is an input and would be overwritten" in ended.err and table.read_bytes() == b"mine"
    with pytest.raises(ConfigError, match="Device 'nonsense' cannot be used here"):
        embedder_of(str(shared / "models" / "whisper-tiny.en-encoder"), device="nonsense")
