"""emotune timeline and predict --window, as a user types them."""

import numpy as np
import pytest
import soundfile

from builders.recordings import noise
from emotune.io.tables import read_rows
from emotune.schema.predictions import Predictions


@pytest.fixture
def recordings(tmp_path):
    """Two recordings of noise between silences, in a folder with a file that is none."""
    folder = tmp_path / "calls"
    folder.mkdir()
    for number, name in enumerate(("a", "b")):
        part = np.zeros((16000 * 7, 2), dtype="f4")
        part[32000:80000] = 2 * noise(48000, 2, seed=number)
        soundfile.write(folder / f"{name}.wav", part, 16000)
    (folder / "broken.wav").write_bytes(b"RIFF")
    return folder


def test_one_bad_file_is_an_error_row_and_the_rest_is_done(emotune_command, tiny_model, recordings, tmp_path):
    ended = emotune_command(
        *("timeline", tiny_model, recordings, "--vad", "energy", "--window", "1", "--hop", "0.5"),
        *("-o", tmp_path / "all.csv", "-o", tmp_path / "{name}.TextGrid", "--summary", tmp_path / "s.csv"),
    )
    assert ended.code == 1
    assert ended.err.count("error: ") == 1
    assert "broken.wav" in ended.err and "Traceback" not in ended.err
    rows = read_rows(tmp_path / "all.csv")
    assert [row["recording"] for row in rows if row["error"]] == ["broken.wav"]
    spoken = [row for row in rows if row["emotion"] not in (None, "no speech")]
    assert {row["recording"] for row in spoken} == {"a.wav", "b.wav"}
    assert all(float(row["start_s"]) > 1.7 and float(row["end_s"]) < 5.7 for row in spoken)
    assert sorted(path.name for path in tmp_path.glob("*.TextGrid")) == ["a.TextGrid", "b.TextGrid"]
    assert [row["recording"] for row in read_rows(tmp_path / "s.csv")] == ["a.wav", "b.wav", "broken.wav"]


@pytest.mark.drawn
def test_a_picture_and_a_page_show_each_voice(emotune_command, tiny_model, recordings, tmp_path):
    ended = emotune_command(
        *("timeline", tiny_model, recordings / "a.wav", "--vad", "energy", "--channel", "each"),
        *("--plot", tmp_path / "a.svg", "--page", tmp_path / "a.html"),
    )
    assert ended.code == 0, ended.err
    picture, page = ((tmp_path / name).read_text(encoding="utf-8") for name in ("a.svg", "a.html"))
    assert "<svg" in picture
    for words in ("channel 0", "channel 1", "no speech", "The model's fingerprint begins with"):
        assert words in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_one_voice_is_said_where_nothing_parts_speakers(emotune_command, tiny_model, recordings):
    asked = ("timeline", tiny_model, recordings / "a.wav", "--vad", "energy")
    words = "all speech of a recording is taken for one voice"
    assert words in emotune_command(*asked).err
    assert words not in emotune_command(*asked, "--channel", "each").err
    assert words not in emotune_command(*asked, "--quiet").err


def test_speakers_come_from_a_diarisation(emotune_command, tiny_model, recordings, tmp_path):
    (tmp_path / "d.rttm").write_text("SPEAKER a 1 2 3 <NA> <NA> Zoë <NA> <NA>\n", encoding="utf-8")
    ended = emotune_command(
        "timeline", tiny_model, recordings / "a.wav", "--speakers", tmp_path / "d.rttm", "-o", tmp_path / "o.jsonl"
    )
    assert ended.code == 0, ended.err
    assert {row["speaker"] for row in read_rows(tmp_path / "o.jsonl")} == {None, "Zoë"}
    refused = emotune_command(
        *("timeline", tiny_model, recordings / "a.wav", "--speakers", tmp_path / "d.rttm", "--channel", "each")
    )
    assert refused.code == 2
    assert "leave out --speakers" in refused.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--window", "9"], "The window is 9 s long; the model takes"),
        (["-o", "x.doc"], "must end in .json"),
        (["-o", "x.eaf"], "can hold one recording, and 3 are given"),
        (["--plot", "x.svg"], "can hold one recording, and 3 are given"),
        (["--plot", "x.gif"], "must end in .svg, .png, .pdf"),
        (["--hop", "0"], "The hop is 0 s, expected"),
        (["--speakers", "no.rttm"], "no.rttm cannot be read: No such file"),
    ],
)
def test_what_cannot_be_done_is_refused_before_any_work(emotune_command, tiny_model, recordings, options, words):
    ended = emotune_command("timeline", tiny_model, recordings, *options)
    assert ended.code == 2
    assert words in ended.err


def test_predict_gives_a_row_for_each_window(emotune_command, tiny_model, recordings, tmp_path):
    ended = emotune_command(
        *("predict", tiny_model, recordings, "--window", "2", "--hop", "1", "--channel", "1", "-o", tmp_path / "w.csv")
    )
    assert ended.code == 1
    rows = Predictions.read(tmp_path / "w.csv").rows
    assert [row.utterance_id for row in rows[:6]] == [f"a.wav#{at}-{at + 2}" for at in range(6)]
    assert rows[1].extra["start_s"] == "1.0" and rows[1].extra["end_s"] == "3.0"
    assert [row.utterance_id for row in rows if row.error] == ["broken.wav"]


def test_predict_says_in_which_recordings_nobody_speaks(emotune_command, tiny_model, tmp_path):
    soundfile.write(tmp_path / "quiet.wav", np.zeros(32000), 16000)
    ended = emotune_command("predict", tiny_model, tmp_path / "quiet.wav", "--vad", "energy", "-o", tmp_path / "w.csv")
    assert ended.code == 0
    assert "nobody speaks in 1 of 1: " in ended.err
    refused = emotune_command(
        "predict", tiny_model, tmp_path / "quiet.wav", "--vad", "energy", "--part-rows", "5", "-o", tmp_path / "p"
    )
    assert "leave out --part-rows" in refused.err
