"""A channel or each, and clips in which nothing can be heard, from the recordings to every table and report."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emotune import audio
from emotune.audio.preprocessing import Preprocessing
from emotune.corpora import CORPORA, ReadingOptions, read_corpus
from emotune.data.dataset import EmotionDataset
from emotune.doctor.checkup import check_manifest
from emotune.doctor.overlaps import refuse_overlaps
from emotune.errors import CorpusError
from emotune.evaluation.evaluate import evaluate
from emotune.inference import load
from emotune.inference.jobs.parts import PredictionParts
from emotune.io.tables import read_rows
from emotune.models.heads import truths_of
from emotune.schema.manifest import Manifest
from emotune.training.features import utterance_waveforms
from emotune.training.linear import fit_linear, predict_linear

RATE = 16000
TIME = np.arange(RATE) / RATE
LEFT, RIGHT = (0.4 * np.sin(2 * np.pi * hz * TIME) for hz in (150, 440))
CLIPS = {
    "call": np.stack([LEFT, RIGHT], axis=1),
    "mono": LEFT,
    "cancelled": np.stack([LEFT, -LEFT], axis=1),
    "silent": np.zeros(RATE),
    "constant": np.full(RATE, 0.25),
    "faint": LEFT / 1000,
}
UNHEARD = {"cancelled", "silent", "constant", "faint"}


@pytest.fixture(scope="module")
def calls(tmp_path_factory) -> Path:
    """A folder of clips, and a table of them: emotion and speaker."""
    folder = tmp_path_factory.mktemp("calls")
    for name, samples in CLIPS.items():
        soundfile.write(folder / f"{name}.wav", samples, RATE, subtype="FLOAT")
    rows = [f"{name}.wav,{('anger', 'neutral')[n % 2]},s{n}" for n, name in enumerate(CLIPS)]
    (folder / "table.csv").write_text("\n".join(["file,emotion,speaker", *rows]) + "\n")
    return folder


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_predict_writes_a_warning_for_what_cannot_be_heard_and_the_same_answer(
    calls, tiny_model, tmp_path, emotune_command, suffix
):
    ended = emotune_command("predict", tiny_model, calls / "table.csv", "-o", tmp_path / f"p.{suffix}")
    assert ended.code == 0, ended.err
    assert "warning: silent.wav: silent: every sample is 0" in ended.err
    assert "in 4 of 6 clips nothing can be heard" in ended.err
    rows = {row["utterance_id"]: row for row in read_rows(tmp_path / f"p.{suffix}")}
    found = {name.removesuffix(".wav"): row["warning"] for name, row in rows.items() if row["warning"]}
    assert {name: words.partition(":")[0] for name, words in found.items()} == {name: name for name in UNHEARD}
    engine = load(tiny_model).engine
    clip = engine.preprocessing(np.zeros(RATE, dtype=np.float32))
    expected = engine.run([clip]).probabilities[0][0]
    assert float(rows["silent.wav"]["p.anger"]) == pytest.approx(float(expected), abs=1e-5)


def test_printed_predictions_are_followed_by_their_warnings(calls, tiny_model, emotune_command):
    ended = emotune_command("predict", tiny_model, calls / "silent.wav")
    assert ended.code == 0
    assert "anger" in ended.out and "silent: every sample is 0" in ended.err


def test_python_is_told_the_warning(calls, tiny_model):
    predictor = load(tiny_model)
    assert predictor.predict(calls / "silent.wav").warning == "silent: every sample is 0"
    assert predictor.predict(calls / "call.wav").warning is None
    assert predictor.predict(CLIPS["cancelled"], RATE).warning.startswith("cancelled: its 2 channels cancel each other")
    assert predictor.predict(CLIPS["cancelled"], RATE, channel=0).warning is None


def test_predict_of_each_channel_is_the_prediction_of_files_of_one_channel(
    calls, tiny_model, tmp_path, emotune_command
):
    for name, samples in {"left": LEFT, "right": RIGHT, "mean": (LEFT + RIGHT) / 2}.items():
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE, subtype="FLOAT")
    alone = {name: load(tiny_model).predict(tmp_path / f"{name}.wav") for name in ("left", "right", "mean")}

    def predicted(channel: str) -> dict[str, dict]:
        table = tmp_path / f"{channel}.csv"
        ended = emotune_command("predict", tiny_model, calls / "call.wav", "--channel", channel, "-o", table)
        assert ended.code == 0, ended.err
        return {row["utterance_id"].removeprefix(str(calls / "call.wav")): row for row in read_rows(table)}

    def same(row: dict, name: str) -> bool:
        return float(row["p.anger"]) == pytest.approx(alone[name].probabilities["anger"], abs=1e-5)

    each = predicted("each")
    assert list(each) == ["#ch0", "#ch1"]
    assert [row["channel"] for row in each.values()] == ["0", "1"]
    assert same(each["#ch0"], "left") and same(each["#ch1"], "right")
    assert same(predicted("1")[""], "right") and same(predicted("mix")[""], "mean")


def test_each_channel_of_a_folder_and_what_cannot_be_read_is_an_error_row(calls, tiny_model, tmp_path, emotune_command):
    for name in ("call", "mono", "cancelled"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"{name}.wav").write_bytes((calls / f"{name}.wav").read_bytes())
    (tmp_path / "in" / "text.wav").write_text("no recording at all, but words " * 20)
    command = ("predict", tiny_model, tmp_path / "in", "--channel", "each", "-o")
    ended = emotune_command(*command, tmp_path / "p.csv")
    assert ended.code == 1
    rows = read_rows(tmp_path / "p.csv")
    assert [row["utterance_id"] for row in rows] == [
        "call.wav#ch0", "call.wav#ch1", "cancelled.wav#ch0", "cancelled.wav#ch1", "mono.wav#ch0", "text.wav",
    ]  # fmt: skip
    assert [bool(row["error"]) for row in rows] == [False] * 5 + [True]
    assert not any(row["warning"] for row in rows)
    ended = emotune_command(*command, tmp_path / "parts", "--part-rows", 2, "--part-format", "csv", "--workers", 1)
    parts = [row for n in range(3) for row in read_rows(tmp_path / "parts" / f"part-0000{n}.csv")]
    names = ("utterance_id", "channel", "emotion", "warning", "error")
    assert [[row[name] for name in names] for row in parts] == [[row[name] for name in names] for row in rows]
    other = emotune_command("predict", tiny_model, tmp_path / "in", "-o", tmp_path / "parts", "--part-rows", 2,
                            "--part-format", "csv")  # fmt: skip
    assert other.code == 2 and "was made of other inputs" in other.err


def test_parts_count_their_warnings(calls, tiny_model, tmp_path, emotune_command):
    command = ("predict", tiny_model, calls / "table.csv", "-o", tmp_path / "parts", "--part-rows", 2)
    ended = emotune_command(*command)
    assert ended.code == 0
    assert "in 4 of 6 clips nothing can be heard" in ended.err
    index = json.loads((tmp_path / "parts" / "index.json").read_text())
    assert index["warned"] == 4
    assert [part["warned"] for part in index["parts"].values()] == [0, 2, 2]
    again = emotune_command(*command)
    assert "continuing: 6 of 6" in again.err and "in 4 of 6 clips nothing can be heard" in again.err
    older = {name: {k: v for k, v in part.items() if k != "warned"} for name, part in index["parts"].items()}
    (tmp_path / "parts" / "index.json").write_text(json.dumps({**index, "parts": older}))
    parts = PredictionParts(tmp_path / "parts", part_rows=2, suffix=".parquet",
                            model_fingerprint=index["model_fingerprint"], options={"coverage": None, "conditions": None,
                            "gender_model": None, "asr": None, "text_encoder": None})  # fmt: skip
    assert (parts.rows, parts.warned) == (6, 0)


@pytest.mark.load
def test_ray_writes_channels_and_warnings(calls, tiny_model, tmp_path, emotune_command):
    ray = pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, configure_logging=False)
    try:
        for engine in ("ray", "local"):
            options = ("--part-rows", 4, "--part-format", "csv", "--engine", engine, "--channel", "each")
            ended = emotune_command("predict", tiny_model, calls / "table.csv", "-o", tmp_path / engine, *options)
            assert ended.code == 0, ended.err
    finally:
        ray.shutdown()
    first, second = (
        [row for n in range(2) for row in read_rows(tmp_path / engine / f"part-0000{n}.csv")]
        for engine in ("ray", "local")
    )
    names = ("utterance_id", "channel", "emotion", "warning", "error")
    assert [[row[name] for name in names] for row in first] == [[row[name] for name in names] for row in second]
    assert [row["utterance_id"] for row in first if row["warning"]] == [
        "silent.wav#ch0", "constant.wav#ch0", "faint.wav#ch0",
    ]  # fmt: skip


def test_a_row_says_its_channel_in_a_table_of_ones_own(calls, tiny_model, tmp_path, emotune_command):
    rows = ["0", "1", "mix", "", "2", "A", "-1"]
    lines = "".join(f"call.wav,{channel}\n" for channel in rows)
    (calls / "own.csv").write_text("file,channel\n" + lines)
    ended = emotune_command("predict", tiny_model, calls / "own.csv", "-o", tmp_path / "p.csv")
    assert ended.code == 1
    found = read_rows(tmp_path / "p.csv")
    assert [row["utterance_id"] for row in found[:4]] == [
        "call.wav#ch0", "call.wav#ch1", "call.wav", "call.wav (2)",
    ]  # fmt: skip
    assert found[0]["p.anger"] != found[1]["p.anger"] != found[2]["p.anger"]
    assert found[2]["p.anger"] == found[3]["p.anger"]
    assert [row["error"] is None for row in found] == [True] * 4 + [False] * 3
    assert "has no channel 2: it has the channels 0 to 1" in found[4]["error"]
    assert (
        "own.csv, row 6, channel: expected the number of a channel (the first is 0), mix or nothing, got 'A'"
        in (found[5]["error"])
    )


@pytest.mark.parametrize("word", ["left", "-1", "1.5", ""])
def test_a_channel_that_is_none_is_refused(calls, tiny_model, tmp_path, emotune_command, word):
    for command in (("predict", tiny_model, calls), ("corpus", "read", "table", calls / "table.csv")):
        ended = emotune_command(*command, "--channel", word, "-o", tmp_path / "x.csv")
        assert ended.code == 2
        assert f"--channel {word}: expected mix, a channel's number (the first is 0) or each." in ended.err


def read_as(calls: Path, channel="mix") -> Manifest:
    return read_corpus(CORPORA["table"], calls / "table.csv", ReadingOptions(channel=channel))


def test_corpus_read_warns_of_what_cannot_be_heard(calls, tmp_path, emotune_command):
    ended = emotune_command("corpus", "read", "table", calls / "table.csv", "-o", tmp_path / "m.csv")
    assert ended.code == 0
    for kind in UNHEARD:
        assert f"warning: 1 of 6 utterances are {kind}, such as {kind} (" in ended.err
    information = Manifest.read(tmp_path / "m.csv").information
    assert {name: words.partition(":")[0] for name, words in information["unheard"].items()} == {
        name: name for name in UNHEARD
    }


def test_the_doctor_names_what_cannot_be_heard(calls, tmp_path):
    read_as(calls).write(tmp_path / "m.csv")
    found = {finding.code: finding.to_json()["utterances"] for finding in check_manifest(tmp_path / "m.csv").findings}
    assert {code: found[code] for code in ("silent", "constant", "cancelled")} == {
        "silent": ["faint", "silent"], "constant": ["constant"], "cancelled": ["cancelled"],
    }  # fmt: skip


def test_corpus_read_of_each_channel_is_an_utterance_for_every_channel(calls, tmp_path, emotune_command):
    ended = emotune_command(
        "corpus", "read", "table", calls / "table.csv", "-o", tmp_path / "m.csv", "--channel", "each"
    )
    assert "6 rows became 8, one for each channel" in ended.err
    manifest = Manifest.read(tmp_path / "m.csv")
    by_id = {u.utterance_id: u for u in manifest}
    assert list(by_id) == [
        "call#ch0", "call#ch1", "mono#ch0", "cancelled#ch0", "cancelled#ch1", "silent#ch0", "constant#ch0", "faint#ch0",
    ]  # fmt: skip
    assert [u.channel for u in manifest] == [0, 1, 0, 0, 1, 0, 0, 0]
    assert {u.emotion for u in manifest if u.utterance_id.startswith("call")} == {"anger"}
    mono = audio.decode((LEFT.astype(np.float32), RATE)).content_sha256()
    assert by_id["call#ch0"].content_sha256 == by_id["mono#ch0"].content_sha256 == mono
    assert by_id["mono#ch0"].copy_of == "call#ch0", "the same sound, found although it is a channel of another file"
    assert "cancelled#ch0" not in manifest.information["unheard"]


def test_a_channel_that_a_recording_lacks_is_skipped_and_named(calls):
    manifest = read_as(calls, 1)
    assert [u.utterance_id for u in manifest] == ["call", "cancelled"]
    assert sorted(Path(item.file).stem for item in manifest.skipped) == ["constant", "faint", "mono", "silent"]
    assert "has no channel 1" in manifest.skipped[0].reason
    with pytest.raises(CorpusError, match="no recording is looked at"):
        read_corpus(CORPORA["table"], calls / "table.csv", ReadingOptions(channel="each", labels_only=True))


def test_training_features_and_prediction_hear_the_channel_of_the_manifest(calls, tiny_model):
    manifest = read_as(calls, "each").filter(lambda u: u.file == "call.wav")
    plain = Preprocessing()
    trained = EmotionDataset(manifest, truths_of(manifest.label_space), plain)
    for number, expected in enumerate((LEFT, RIGHT)):
        np.testing.assert_allclose(trained[0, number].waveform, expected, rtol=0, atol=1e-6)
    for (_, waveform), expected in zip(utterance_waveforms(manifest, plain), (LEFT, RIGHT), strict=True):
        np.testing.assert_allclose(waveform, expected, rtol=0, atol=1e-6)
    predictor = load(tiny_model)
    rows = predictor.predict_manifest(manifest).rows
    for row, samples in zip(rows, (LEFT, RIGHT), strict=True):
        assert row.error is None
        alone = predictor.predict(samples.astype(np.float32), RATE)
        assert row.probabilities["anger"] == pytest.approx(alone.probabilities["anger"], abs=1e-5)


def test_predict_of_a_manifest_hears_its_channels_and_writes_them(calls, tiny_model, tmp_path, emotune_command):
    read_as(calls, "each").write(tmp_path / "m.csv")
    ended = emotune_command("predict", tiny_model, tmp_path / "m.csv", "--channel", "0", "-o", tmp_path / "p.csv")
    assert ended.code == 0, ended.err
    rows = {row["utterance_id"]: row for row in read_rows(tmp_path / "p.csv")}
    assert (rows["call#ch0"]["channel"], rows["call#ch1"]["channel"]) == ("0", "1")
    assert rows["call#ch0"]["p.anger"] != rows["call#ch1"]["p.anger"], "the row's own channel comes before the option"


def test_a_manifest_without_channels_has_the_fingerprint_that_it_had(tones, tmp_path):
    tones.write(tmp_path / "m.csv")
    lines = (tmp_path / "m.csv").read_text().splitlines()
    position = lines[0].split(",").index("channel")
    older = [",".join(cell for n, cell in enumerate(line.split(",")) if n != position) for line in lines]
    (tmp_path / "m.csv").write_text("\n".join(older) + "\n")
    read = Manifest.read(tmp_path / "m.csv")
    assert read.fingerprint() == tones.fingerprint()
    chosen = read.replace_utterances([dataclasses.replace(u, channel=0) for u in read])
    assert chosen.fingerprint() != read.fingerprint()


def test_channels_of_one_file_are_apart_and_its_mean_touches_both(calls):
    first, second = read_as(calls, "each").filter(lambda u: u.file == "call.wav")
    agent = dataclasses.replace(first, speaker="agent", split="train")
    customer = dataclasses.replace(second, speaker="customer", split="test")
    manifest = read_as(calls, "each")
    refuse_overlaps(manifest.replace_utterances([agent, customer]))
    mean = dataclasses.replace(customer, channel=None)
    with pytest.raises(CorpusError, match="file in more than one split"):
        refuse_overlaps(manifest.replace_utterances([agent, mean]))


def test_a_model_of_features_takes_the_warnings_that_the_manifest_keeps(calls, tmp_path):
    read_as(calls).write(tmp_path / "m.csv")
    manifest = Manifest.read(tmp_path / "m.csv")
    features = np.random.default_rng(0).standard_normal((len(manifest), 4)).astype(np.float32)
    fitted = fit_linear(features, manifest, manifest.label_space, inverse_regularisation=1.0)
    found = predict_linear(fitted, features, manifest, manifest.label_space)
    assert set(found.warnings) == UNHEARD


def test_the_report_counts_and_names_what_could_not_be_heard(calls, tiny_model):
    manifest = read_as(calls)
    predictions = load(tiny_model).predict_manifest(manifest)
    (note,) = [note for note in evaluate(manifest, predictions, resamples=0).notes if "can be heard" in note]
    assert note.startswith("In 4 of 6 scored clips nothing can be heard (")
    assert all(f"{kind} 1" in note for kind in UNHEARD)
    assert "cancelled, silent, constant, faint." in note
    heard = manifest.filter(lambda u: u.utterance_id not in UNHEARD)
    assert not any("can be heard" in note for note in evaluate(heard, predictions, resamples=0).notes)
