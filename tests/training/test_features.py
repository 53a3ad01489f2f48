"""The feature cache: what is computed once is not computed again, and nothing stale is taken."""

import dataclasses
import os
import shutil

import numpy as np
import pytest
import torch

from emotune import audio
from emotune.audio.preprocessing import Preprocessing
from emotune.batch import pad
from emotune.data.augmentations.gain import Gain
from emotune.data.augmentations.pipeline import Augmentation, generator_of
from emotune.errors import TableError
from emotune.models.backbones import BACKBONES
from emotune.schema.manifest import Manifest
from emotune.training.features import AugmentedCopy, layer_features

PREPROCESSING = Preprocessing(min_samples=800)


class Counted:
    """A frozen encoder that counts the clips it is given."""

    def __init__(self, config: dict, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.backbone = BACKBONES["wavlm"].from_config(config)
        self.clips = 0
        self.backbone.register_forward_hook(self._count)

    def _count(self, module, inputs, output) -> None:
        self.clips += len(inputs[0])

    def features(
        self, manifest: Manifest, cache, *, pooling: str = "mean", preprocessing=PREPROCESSING, copy=None
    ) -> np.ndarray:
        return layer_features(self.backbone, preprocessing, manifest, pooling=pooling, cache=cache, copy=copy)


@pytest.fixture
def encoder(tiny_wavlm) -> Counted:
    return Counted(tiny_wavlm)


@pytest.fixture
def six(tones) -> Manifest:
    return tones.replace_utterances(tones.utterances[:6])


@torch.no_grad()
def test_features_are_the_pooled_states_of_every_clip_alone_in_the_order_of_the_manifest(encoder, six, tmp_path):
    turned = six.replace_utterances(six.utterances[::-1])
    for pooling in ("mean", "mean_std"):
        found = encoder.features(turned, tmp_path, pooling=pooling)
        assert found.shape == (6, 3, 16 if pooling == "mean" else 32)
        for row, utterance in zip(found, turned, strict=True):
            batch = pad([audio.decode(six.path_of(utterance)).mono()])
            for layer, state in zip(row, encoder.backbone(batch.waveforms, batch.mask).states, strict=True):
                frames = state[0].numpy()
                np.testing.assert_allclose(layer[:16], frames.mean(axis=0), rtol=1e-4, atol=1e-5)
                if pooling == "mean_std":
                    deviation = np.sqrt(np.maximum(frames.var(axis=0), 1e-5))
                    np.testing.assert_allclose(layer[16:], deviation, rtol=1e-3, atol=1e-4)


def test_a_second_call_computes_nothing(encoder, six, tmp_path):
    first = encoder.features(six, tmp_path)
    assert encoder.clips == 6
    np.testing.assert_array_equal(encoder.features(six, tmp_path), first)
    assert encoder.clips == 6


def test_another_manifest_over_the_same_recordings_reuses_them(encoder, six, tmp_path):
    first = encoder.features(six, tmp_path / "cache")
    shutil.copytree(six.root, tmp_path / "moved")
    renamed = [dataclasses.replace(u, utterance_id=f"x{n}", split="test") for n, u in enumerate(six.utterances[::2])]
    other = Manifest(tuple(renamed), six.label_space, tmp_path / "moved")
    np.testing.assert_array_equal(encoder.features(other, tmp_path / "cache"), first[::2])
    assert encoder.clips == 6


def test_only_what_is_missing_is_computed(encoder, six, tones, tmp_path):
    encoder.features(six, tmp_path)
    encoder.features(tones.replace_utterances(tones.utterances[:8]), tmp_path)
    assert encoder.clips == 8


def test_changed_weights_pooling_or_preprocessing_compute_anew(encoder, six, tmp_path):
    first = encoder.features(six, tmp_path)
    assert encoder.features(six, tmp_path, pooling="mean_std").shape != first.shape
    assert encoder.clips == 12
    other = dataclasses.replace(PREPROCESSING, normalize="clip")
    assert not np.array_equal(encoder.features(six, tmp_path, preprocessing=other), first)
    assert encoder.clips == 18
    with torch.no_grad():
        encoder.backbone.feature_projection.projection.bias.add_(1e-3)
    assert not np.array_equal(encoder.features(six, tmp_path), first)
    assert encoder.clips == 24


def all_equal_to_seven(shape: tuple[int, ...], dtype: str = "float32") -> np.ndarray:
    return np.full(shape, 7, dtype=dtype)


def with_nan(shape: tuple[int, ...]) -> np.ndarray:
    features = all_equal_to_seven(shape)
    features.flat[-1] = np.nan
    return features


def promise_of_terabytes(path) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": (3, 10**12)}
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        stream.write(bytes(192))


DAMAGES = {
    "a layer less": lambda path: np.save(path, all_equal_to_seven((2, 16))),
    "another width": lambda path: np.save(path, all_equal_to_seven((3, 32))),
    "turned round": lambda path: np.save(path, all_equal_to_seven((16, 3))),
    "one number": lambda path: np.save(path, all_equal_to_seven(())),
    "NaN": lambda path: np.save(path, with_nan((3, 16))),
    "infinite": lambda path: np.save(path, all_equal_to_seven((3, 16)) * np.inf),
    "in double precision": lambda path: np.save(path, all_equal_to_seven((3, 16), "float64")),
    "words": lambda path: np.save(path, np.full((3, 16), "x")),
    "an archive": lambda path: np.savez(path.open("wb"), all_equal_to_seven((3, 16))),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-4]),
    "empty": lambda path: path.write_bytes(b""),
    "no array": lambda path: path.write_bytes(b"version https://git-lfs"),
    "a promise of terabytes": promise_of_terabytes,
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_features_are_computed_again_and_the_others_are_not(encoder, six, tmp_path, damage):
    first = encoder.features(six, tmp_path)
    (path,) = tmp_path.glob(f"*/*/{six.utterances[2].content_sha256}.npy")
    DAMAGES[damage](path)
    np.testing.assert_allclose(encoder.features(six, tmp_path), first, atol=1e-5)
    assert encoder.clips == 7
    assert np.load(path).shape == (3, 16)
    encoder.features(six, tmp_path)
    assert encoder.clips == 7


def test_a_fingerprint_that_is_a_path_leads_nowhere(encoder, six, tmp_path):
    bad = dataclasses.replace(six.utterances[0], content_sha256="../../../escaped")
    with pytest.raises(TableError, match="expected 64 digits"):
        encoder.features(six.replace_utterances([bad]), tmp_path / "a" / "b")
    assert not list(tmp_path.rglob("*escaped*"))


def test_an_equal_encoder_in_another_session_finds_the_cache(encoder, six, tmp_path, tiny_wavlm):
    first = encoder.features(six, tmp_path)
    again = Counted(tiny_wavlm)
    np.testing.assert_array_equal(again.features(six, tmp_path), first)
    assert again.clips == 0


def test_features_of_segments_come_from_one_pass_in_the_order_of_the_manifest(
    encoder, opened, three_segments, tmp_path
):
    opened.clear()
    found = encoder.features(three_segments, tmp_path / "together")
    assert sorted(opened) == ["long.mp3", "short.wav"]
    for number, utterance in enumerate(three_segments):
        alone = three_segments.replace_utterances([utterance])
        np.testing.assert_allclose(
            found[number], encoder.features(alone, tmp_path / f"alone{number}")[0], rtol=1e-4, atol=1e-5
        )


def louder(number: int, *, by_db: float = 6.0) -> AugmentedCopy:
    return AugmentedCopy(Augmentation([(Gain(by_db), None)]), {"gain_db": by_db}, seed=3, number=number)


@torch.no_grad()
def test_features_of_a_copy_are_those_of_the_clip_as_it_was_changed(encoder, six, tmp_path):
    found = encoder.features(six, tmp_path, copy=louder(2))
    for row, utterance in zip(found, six, strict=True):
        level_db = generator_of(3, 2, utterance.content_sha256).uniform(-6.0, 6.0)
        batch = pad([audio.decode(six.path_of(utterance)).mono() * np.float32(10 ** (level_db / 20))])
        for layer, state in zip(row, encoder.backbone(batch.waveforms, batch.mask).states, strict=True):
            np.testing.assert_allclose(layer, state[0].numpy().mean(axis=0), rtol=1e-4, atol=1e-5)


def test_the_cache_keeps_copies_apart_by_number_and_augmentation(encoder, six, tmp_path):
    variants = [None, louder(1), louder(2), louder(1, by_db=3.0)]
    found = [encoder.features(six, tmp_path, copy=copy) for copy in variants]
    assert encoder.clips == 24
    for first in range(4):
        for second in range(first):
            assert not np.allclose(found[first], found[second])
    for features, copy in zip(found, variants, strict=True):
        np.testing.assert_array_equal(encoder.features(six, tmp_path, copy=copy), features)
    assert encoder.clips == 24
