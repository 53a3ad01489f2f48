"""Adapting a probe of German to Polish speakers, without labels, by the commands."""

import json
from pathlib import Path

import numpy as np
import pytest

from builders.command import run_command
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions
from emotune.schema.utterance import Utterance

CLASSES = ("anger", "happiness", "sadness", "neutral")


def read(corpus: Path, path: Path) -> list[Utterance]:
    """The clips of a corpus of the four classes."""
    if not corpus.is_dir():
        pytest.skip(f"{corpus} does not exist")
    ended = run_command("corpus", "read", "table", corpus / "labels.csv", "-o", path)
    assert ended.code == 0, ended.err
    return [utterance for utterance in Manifest.read(path) if utterance.emotion in CLASSES]


def recall(table: Path, truth: dict[str, str | None]) -> float:
    """Mean recall of the classes that there are."""
    answers = [(truth[row.utterance_id], row.most_probable) for row in Predictions.read(table)]
    return float(
        np.mean([np.mean([said == c for own, said in answers if own == c]) for c in {own for own, _ in answers}])
    )


@pytest.mark.load
def test_speakers_of_all_emotions_gain_and_speakers_of_one_do_not_lose(shared, tmp_path):
    german = read(shared / "data" / "emodb4", tmp_path / "emodb.csv")
    polish = read(shared / "data" / "nemo", tmp_path / "nemo.csv")
    speakers = sorted({u.speaker for u in german})
    splits = {"development": speakers[:2], "test": speakers[2:3], "train": speakers[3:]}
    Manifest.read(tmp_path / "emodb.csv").replace_utterances(german).write(tmp_path / "de.csv")
    speakers = sorted({u.speaker for u in polish})
    mood = {speaker: CLASSES[n % len(CLASSES)] for n, speaker in enumerate(speakers)}
    head = Manifest.read(tmp_path / "nemo.csv")
    head.replace_utterances(polish).write(tmp_path / "all.csv")
    head.replace_utterances([u for u in polish if u.emotion == mood[u.speaker]]).write(tmp_path / "one.csv")
    checkpoint = shared / "models" / "whisper-tiny.en-encoder"
    overrides = ["data.corpus=null", "data.root=null", f"data.manifest={tmp_path / 'de.csv'}"]
    overrides += [f"data.splits={json.dumps({name: {'speaker': own} for name, own in splits.items()})}"]
    overrides += [f"model.backbone.checkpoint={checkpoint}"]
    ended = run_command("probe", "ravdess/whisper_tiny", *overrides, "-o", tmp_path / "probe")
    assert ended.code == 0, ended.err
    truth = {u.utterance_id: u.emotion for u in polish}
    gains = {}
    for name in ("all", "one"):
        plain, moved = tmp_path / f"{name}_plain.csv", tmp_path / f"{name}_moved.csv"
        assert run_command("predict", tmp_path / "probe", tmp_path / f"{name}.csv", "-o", plain).code == 0
        ended = run_command("predict", tmp_path / "probe", tmp_path / f"{name}.csv", "--adapt", "speaker", "-o", moved)
        assert ended.code == 0, ended.err
        gains[name] = recall(moved, truth) - recall(plain, truth)
    assert gains["all"] > 0, gains
    assert gains["one"] >= -0.01, gains
