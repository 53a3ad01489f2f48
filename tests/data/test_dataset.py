"""Training examples: waveforms, targets, and the padded batch that they make."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from emotune import audio
from emotune.audio.preprocessing import Preprocessing
from emotune.batch import one_hot_shares
from emotune.data.audio_cache import AudioCache
from emotune.data.augmentations.noise import Noise
from emotune.data.augmentations.pipeline import Augmentation, Mix
from emotune.data.augmentations.speed import Speed
from emotune.data.dataset import EmotionDataset, collate
from emotune.errors import AudioError
from emotune.models.heads import truths_of
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.manifest import Manifest

SPACE = LabelSpace(("neutral", "anger"), {"valence": Scale(-1, 1), "arousal": Scale(1, 7)})
TRUTHS = truths_of(SPACE)


@pytest.fixture
def labelled(tones) -> Manifest:
    """Three tones: one with everything known, one without a class, one without a value."""
    first, second, third = tones.utterances[:3]
    rows = [
        dataclasses.replace(first, emotion="anger", dimensions={"arousal": 4.0, "valence": -1.0}),
        dataclasses.replace(second, emotion=None, dimensions={"arousal": 7.0}),
        dataclasses.replace(third, emotion="neutral"),
    ]
    return tones.replace_utterances(rows)


def test_an_example_is_the_prepared_clip_with_its_truth_in_the_order_of_the_model(labelled):
    preprocessing = Preprocessing("clip", min_samples=800)
    dataset = EmotionDataset(labelled, TRUTHS, preprocessing)
    examples = [dataset[0, index] for index in range(len(dataset))]
    for example, utterance in zip(examples, labelled, strict=True):
        np.testing.assert_array_equal(example.waveform, preprocessing(audio.decode(labelled.path_of(utterance)).mono()))
    assert examples[0].truth["classes"] == (0.0, 1.0) and examples[2].truth["classes"] == (1.0, 0.0)
    assert all(map(math.isnan, examples[1].truth["classes"]))
    np.testing.assert_allclose(examples[0].truth["dimensions"], (0.0, 0.5))
    np.testing.assert_allclose(examples[1].truth["dimensions"], (math.nan, 1.0))
    np.testing.assert_allclose(examples[2].truth["dimensions"], (math.nan, math.nan))


def test_a_predicted_gender_is_nothing_to_learn(labelled):
    genders = [("female", "male"), (None, "male"), ("other", "male")]
    rows = [
        dataclasses.replace(u, gender=own, gender_predicted=predicted)
        for u, (own, predicted) in zip(labelled, genders, strict=True)
    ]
    dataset = EmotionDataset(
        labelled.replace_utterances(rows), truths_of(SPACE, ["gender"]), Preprocessing(min_samples=800)
    )
    np.testing.assert_array_equal(
        [dataset[0, n].truth["gender"] for n in range(3)], [(1, 0), (np.nan,) * 2, (np.nan,) * 2]
    )


def test_a_batch_is_padded_with_zeros_and_masked(labelled):
    dataset = EmotionDataset(labelled, TRUTHS, Preprocessing(min_samples=800))
    examples = [dataset[0, index] for index in range(3)]
    batch = collate(examples)
    lengths = [len(example.waveform) for example in examples]
    assert len(set(lengths)) == 3
    assert batch.mask.sum(dim=1).tolist() == lengths
    assert not batch.waveforms[~batch.mask].any()
    for row, example in enumerate(examples):
        np.testing.assert_array_equal(batch.waveforms[row, : lengths[row]], example.waveform)
    torch.testing.assert_close(batch.targets["classes"], one_hot_shares(torch.tensor([1, -1, 0]), 2), equal_nan=True)
    assert torch.isnan(batch.targets["dimensions"]).tolist() == [[False, False], [True, False], [True, True]]


def test_the_epoch_changes_the_augmentation_and_nothing_else_does(labelled):
    augmentation = Augmentation([(Noise((10, 10)), None)])
    dataset = EmotionDataset(labelled, TRUTHS, Preprocessing(), augmentation=augmentation)
    first = dataset[0, 0].waveform
    dataset[1, 2], dataset[0, 1]
    np.testing.assert_array_equal(dataset[0, 0].waveform, first)
    assert not np.array_equal(dataset[1, 0].waveform, first)
    other = EmotionDataset(labelled, TRUTHS, Preprocessing(), augmentation=augmentation, seed=1)
    assert not np.array_equal(other[0, 0].waveform, first)


def test_a_clip_is_mixed_with_one_of_which_the_same_is_known(tones):
    """A third of them has no class: mixed with one of these, a clip would lose its own."""
    rows = [dataclasses.replace(u, emotion=None if n % 3 == 0 else u.emotion) for n, u in enumerate(tones)]
    manifest = tones.replace_utterances(rows)
    augmentation = Augmentation(mix=Mix(alpha=1.0, probability=1.0))
    dataset = EmotionDataset(manifest, truths_of(tones.label_space), Preprocessing(), augmentation=augmentation)
    examples = [dataset[epoch, index] for epoch in range(3) for index in range(len(manifest))]
    for example, utterance in zip(examples, [*manifest] * 3, strict=True):
        assert math.isnan(sum(example.truth["classes"])) == (utterance.emotion is None)
    mixed = [example for example in examples if 0.01 < example.truth["classes"][0] < 0.99]
    assert len(mixed) > 5
    for example in mixed:
        assert sum(example.truth["classes"]) == pytest.approx(1.0)


@pytest.mark.parametrize("limit", ["min_samples", "max_duration_s"])
def test_augmentation_never_makes_a_clip_too_short_or_too_long_for_the_model(labelled, limit):
    samples = len(audio.decode(labelled.path_of(labelled.utterances[0])).samples)
    exact = {"min_samples": samples} if limit == "min_samples" else {"max_duration_s": samples / 16000}
    preprocessing = Preprocessing(**exact)
    dataset = EmotionDataset(labelled, TRUTHS, preprocessing, augmentation=Augmentation([(Speed(0.3), None)]))
    lengths = [len(dataset[epoch, 0].waveform) for epoch in range(20)]
    assert len(set(lengths)) > 3
    assert min(lengths) == samples if limit == "min_samples" else max(lengths) == samples


def test_a_clip_that_cannot_be_trained_on_is_named(labelled):
    dataset = EmotionDataset(labelled, TRUTHS, Preprocessing(max_duration_s=0.1))
    with pytest.raises(AudioError, match=r"u00: .*00\.wav: the clip is .* Leave it out of the manifest to train"):
        dataset[0, 0]


def test_with_a_cache_a_recording_of_several_utterances_is_decoded_once(opened, three_segments, tmp_path):
    truths = truths_of(LabelSpace(("neutral",)))
    plain = EmotionDataset(three_segments, truths, Preprocessing())
    expected = [plain[0, index].waveform for index in range(4)]
    cache = AudioCache(tmp_path / "cache", most_gb=1)
    opened.clear()
    for _ in range(2):
        dataset = EmotionDataset(three_segments, truths, Preprocessing(), cache=cache)
        for index in (3, 0, 1, 2):
            np.testing.assert_array_equal(dataset[0, index].waveform, expected[index])
    assert sorted(opened) == ["long.mp3", "short.wav"]


def test_a_cache_that_cannot_keep_a_recordings_utterances_does_not_have_all_decoded_for_each(
    three_segments, tmp_path, monkeypatch
):
    wanted: list[int] = []
    original = audio.clips

    def counted(source, segments, **options):
        wanted.append(len(segments))
        return original(source, segments, **options)

    monkeypatch.setattr(audio, "clips", counted)
    cache = AudioCache(tmp_path / "cache", most_gb=1e-9)
    dataset = EmotionDataset(three_segments, truths_of(LabelSpace(("neutral",))), Preprocessing(), cache=cache)
    for epoch in range(3):
        for index in range(4):
            assert len(dataset[epoch, index].waveform)
    assert sum(wanted) == 3 * 4 + 2  # the two others of the long recording once more, in its first pass
