"""Clips beyond what the model takes: refused, left out, cut or padded in every split, before anything is trained."""

import dataclasses
import shutil

import numpy as np
import pytest
import soundfile

from builders.recipes import sections_over
from builders.recordings import recorded, write_recording
from emotune.audio.preprocessing import Preprocessing
from emotune.config.recipe import Recipe
from emotune.errors import AudioError, CorpusError, ModelError
from emotune.inference import load
from emotune.io.tables import read_json
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions
from emotune.schema.run_folder import RunFolder
from emotune.schema.utterance import Utterance
from emotune.training.clip_lengths import training_duration_s, with_lengths_settled
from emotune.training.fine_tune import describe, train_run
from emotune.training.probe import probe_run

MOST_S = 1.5  # all tones are shorter


@pytest.fixture
def odd(tones, tmp_path) -> Manifest:
    """The tones, with a clip of 2 s and one of 20 ms in each of train, development and test."""
    root = tmp_path / "recordings"
    shutil.copytree(tones.root, root)
    rows = list(tones)
    where = [(split, emotion) for split in ("train", "development", "test") for emotion in ("anger", "neutral")]
    for number, (split, emotion) in enumerate(where):
        for name, seconds in (("long", 2.0), ("short", 0.02)):
            path = root / f"{name}-{number}.wav"
            write_recording(path, seconds=seconds)
            known = {"speaker": f"{split}-{number}", "split": split, "emotion": emotion}
            rows.append(recorded(root, path.name, **known))
    manifest = Manifest(tuple(rows), tones.label_space, root)
    manifest.write(tmp_path / "odd.csv")
    return manifest


@pytest.fixture
def recipe(odd, tmp_path):
    def build(**data) -> Recipe:
        about = {"max_duration_s": MOST_S} | data
        probe = {"cache": str(tmp_path / "features")}
        return Recipe.model_validate(sections_over(tmp_path / "odd.csv", name="odd", data=about, probe=probe))

    return build


FAULTS = (
    r"4 utterances are longer than 1\.5 s \(train 2, development 2\), such as long-0 \(2 s\)\. .*: drop or cut\."
    r"\n4 utterances are shorter than 0\.04125 s \(train 2, development 2\), such as short-0 \(0\.02 s\)\. .*"
    r"too_short: drop or pad\."
)


@pytest.mark.parametrize("begin", [train_run, probe_run, lambda recipe, folder: describe(recipe)])
def test_both_limits_are_an_error_before_training_and_in_a_dry_run(recipe, tmp_path, begin):
    with pytest.raises(CorpusError, match=FAULTS):
        begin(recipe(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("begin", [train_run, probe_run])
def test_what_is_dropped_is_dropped_from_every_split_and_counted(recipe, odd, tmp_path, begin):
    begin(recipe(too_long="drop", too_short="drop"), tmp_path / "run")
    kept = Manifest.read(tmp_path / "run" / "manifest.csv")
    assert {u.utterance_id for u in odd} - {u.utterance_id for u in kept} == {
        f"{name}-{number}" for name in ("long", "short") for number in range(6)
    }
    assert read_json(tmp_path / "run" / "provenance.json", "Provenance")["left_out"] == {
        "longer than 1.5 s: train 2, development 2, test 2": 6,
        "shorter than 0.04125 s: train 2, development 2, test 2": 6,
    }


def test_what_is_cut_or_padded_is_trained_scored_and_predicted_so_ever_after(recipe, odd, tmp_path):
    train_run(recipe(too_long="cut", too_short="pad"), tmp_path / "run")
    assert read_json(tmp_path / "run" / "provenance.json", "Provenance")["lengths"] == {
        "longer than 1.5 s, cut to that: train 2, development 2, test 2": 6,
        "shorter than 0.04125 s, padded with silence: train 2, development 2, test 2": 6,
    }
    config = read_json(tmp_path / "run" / "model" / "config.json", "Config")
    assert config["training_duration_s"] == MOST_S  # the two of 2 s were cut
    development = Predictions.read(RunFolder(tmp_path / "run").predictions("development"))
    assert not development.failed and len(development) == 12
    predictor = load(tmp_path / "run")
    test = odd.split("test")
    predicted = predictor.predict_manifest(test).by_id()
    clip, _ = soundfile.read(test.path_of(test.utterances[0]), dtype="float32")
    by_hand = predictor.predict(clip[:24000], 16000)
    assert predicted["long-4"].probabilities == pytest.approx(by_hand.probabilities, abs=1e-6)
    short, _ = soundfile.read(test.path_of(test.utterances[1]), dtype="float32")
    by_hand = predictor.predict(np.concatenate([short, np.zeros(660 - 320, dtype=np.float32)]), 16000)
    assert predicted["short-4"].probabilities == pytest.approx(by_hand.probabilities, abs=1e-6)


def test_test_clips_beyond_the_limits_are_said_and_fail_when_they_are_predicted(tones, recipe, odd, tmp_path):
    learnable = [u for u in odd if u.split == "test" or u.utterance_id.startswith("u")]
    odd.replace_utterances(learnable).write(tmp_path / "odd.csv")
    train_run(recipe(), tmp_path / "run")
    assert read_json(tmp_path / "run" / "provenance.json", "Provenance")["lengths"] == {
        "longer than 1.5 s, rows with an error when they are predicted: test 2": 2,
        "shorter than 0.04125 s, rows with an error when they are predicted: test 2": 2,
    }
    predicted = load(tmp_path / "run").predict_manifest(odd.split("test"))
    assert len(predicted.failed) == 4


def test_where_silence_is_trimmed_a_clip_is_as_long_as_what_is_left(tmp_path, tones):
    """Two seconds, of which the middle half second is loud: not too long once it is trimmed; too short for 0.6 s."""
    clip = np.zeros(32000, dtype=np.float32)
    clip[12000:20000] = 0.5
    soundfile.write(tmp_path / "a.wav", clip, 16000)
    manifest = Manifest((Utterance("a", "a.wav", duration_s=2.0, split="train"),), tones.label_space, tmp_path)
    rules = {"too_long": "error", "too_short": "error"}
    fits = Preprocessing(trim_silence_db=40.0, max_duration_s=1.0)
    assert with_lengths_settled(manifest, fits, **rules).utterances == manifest.utterances
    with pytest.raises(CorpusError, match=r"longer than 1 s \(train 1\), such as a \(2 s\)"):
        with_lengths_settled(manifest, dataclasses.replace(fits, trim_silence_db=None), **rules)
    with pytest.raises(CorpusError, match=r"shorter than 0\.6 s \(train 1\), such as a \(0\.5"):
        with_lengths_settled(manifest, dataclasses.replace(fits, min_samples=9600), **rules)


@pytest.mark.parametrize(("samples", "fits"), [(16000, True), (16001, False)])
def test_a_clip_at_the_limit_is_judged_by_its_samples(tmp_path, tones, samples, fits):
    soundfile.write(tmp_path / "a.wav", np.ones(samples, dtype=np.float32) * 0.1, 16000)
    utterance = Utterance("a", "a.wav", duration_s=1.0, split="train")
    manifest = Manifest((utterance,), tones.label_space, tmp_path)
    kept = with_lengths_settled(manifest, Preprocessing(max_duration_s=1.0), too_long="drop", too_short="error")
    assert len(kept) == fits


def test_preprocessing_cuts_and_pads_only_when_told():
    told = Preprocessing(max_duration_s=1.0, min_samples=400, too_long="cut", too_short="pad")
    long, short = np.arange(1.0, 20001.0, dtype=np.float32), np.ones(3, dtype=np.float32)
    assert np.array_equal(told.trim(long), long[:16000])
    assert np.array_equal(told.trim(short), np.concatenate([short, np.zeros(397, dtype=np.float32)]))
    for clip in (long, short):
        with pytest.raises(AudioError, match="the clip is"):
            dataclasses.replace(told, too_long="error", too_short="error").trim(clip)
    assert Preprocessing.from_json(told.to_json()) == told
    with pytest.raises(ModelError, match="too_long must be error or cut, got 'pad'"):
        dataclasses.replace(told, too_long="pad")


def test_nearly_all_training_clips_keep_to_the_duration_that_a_model_says(tones):
    """Of 101 clips of 1, 2, ... 101 s the 99th percentile is the hundredth, whatever one outlier lasts."""
    rows = [Utterance(str(n), f"{n}.wav", duration_s=float(n)) for n in range(1, 101)]
    rows += [Utterance("outlier", "outlier.wav", duration_s=1000.0), Utterance("unknown", "unknown.wav")]
    train = Manifest(tuple(rows), tones.label_space, tones.root)
    assert training_duration_s(train, Preprocessing(max_duration_s=200.0)) == 100.0
    assert training_duration_s(train, Preprocessing(max_duration_s=30.0)) == 30.0
    assert training_duration_s(train.replace_utterances(rows[-1:]), Preprocessing()) is None
