"""MELD's reader on trees as the corpus is published and unpacked, with its known faults."""

import pytest

from builders.corpora.meld import FILES, HEADER, row, write_labels, write_table
from builders.manifests import reasons
from builders.media import write_media
from builders.recordings import write_recording, write_recordings
from emotune.corpora import CORPORA, ReadingOptions, read_corpus
from emotune.corpora.tables.text_files import unmangled
from emotune.errors import CorpusError

MELD = CORPORA["meld"]


@pytest.mark.parametrize("parents", [("train/", "dev/", "test/"), ("", "", "")])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_ids_that_repeat_across_splits_are_told_apart_with_and_without_parent_folders(tmp_path, parents, suffix):
    files = [parent + "/".join(file.split("/")[1:]) for parent, file in zip(parents, FILES, strict=True)]
    write_recordings(tmp_path, *(file.replace(".wav", suffix) for file in files))
    write_labels(tmp_path, FILES)
    manifest = read_corpus(MELD, tmp_path)
    assert [(u.utterance_id, u.split) for u in manifest] == [
        ("train_dia0_utt0", "train"),
        ("dev_dia0_utt0", "development"),
        ("test_dia0_utt0", "test"),
    ]
    assert [u.file for u in manifest] == [file.replace(".wav", suffix) for file in files]
    assert {u.extra["dialogue"] for u in manifest} == {"train_dia0", "dev_dia0", "test_dia0"}
    assert {(u.emotion, u.emotion_original) for u in manifest} == {("happiness", "joy")}
    assert not manifest.skipped


def test_a_row_becomes_an_utterance_with_all_it_says(tmp_path):
    write_recording(tmp_path / "train_splits" / "dia3_utt12.wav")
    write_table(tmp_path / "train_sent_emo.csv", row(3, 12, "anger", "Monica", "No!"))
    (utterance,) = read_corpus(MELD, tmp_path)
    assert (utterance.speaker, utterance.gender, utterance.text) == ("Monica", "female", "No!")
    assert utterance.session == "season 8, episode 21"
    assert utterance.language == "en"
    assert utterance.extra["sentiment"] == "neutral"
    assert utterance.extra["episode_start"] == "00:16:16,059"


def test_videos_are_read_and_a_damaged_or_missing_one_is_skipped_with_its_reason(tmp_path):
    folder = tmp_path / "train" / "train_splits"
    folder.mkdir(parents=True)
    write_media(folder / "dia0_utt0.mp4", video=True, rate=48000, tones_hz=(300.0, 500.0))
    (folder / "dia125_utt3.mp4").write_bytes((folder / "dia0_utt0.mp4").read_bytes()[:3000])
    rows = [row(0, 0, "neutral"), row(125, 3, "joy"), row(110, 7, "fear")]
    write_table(tmp_path / "train" / "train_sent_emo.csv", *rows)
    manifest = read_corpus(MELD, tmp_path)
    (utterance,) = manifest
    assert utterance.duration_s == pytest.approx(1.5, abs=0.1)
    assert reasons(manifest)["train dia110_utt7"] == "in the table, but there is no recording of it"
    assert "cannot be decoded" in reasons(manifest)["train/train_splits/dia125_utt3.mp4"]


def test_sound_is_taken_before_the_video_it_was_extracted_from(tmp_path):
    write_recording(tmp_path / "dev_splits_complete" / "dia0_utt0.wav")
    (tmp_path / "dev_splits_complete" / "dia0_utt0.mp4").write_bytes(b"not looked at")
    write_table(tmp_path / "dev_sent_emo.csv", row(0, 0, "joy"))
    manifest = read_corpus(MELD, tmp_path)
    assert [u.file for u in manifest] == ["dev_splits_complete/dia0_utt0.wav"]
    assert "a second time" in reasons(manifest)["dev_splits_complete/dia0_utt0.mp4"]


def test_final_videos_macos_twins_and_recordings_without_a_row_are_no_utterances(tmp_path):
    folder = "output_repeated_splits_test"
    write_recordings(
        tmp_path, f"{folder}/dia0_utt0.wav", f"{folder}/final_videos_testdia0_utt0.wav", f"{folder}/dia9_utt9.wav",
        "test/final_videos_test/dia0_utt0.wav", "train_splits/dia0_utt0.wav",
    )  # fmt: skip
    (tmp_path / folder / "._dia0_utt0.mp4").write_bytes(b"macOS")
    write_table(tmp_path / "test_sent_emo.csv", row(0, 0, "sadness"))
    manifest = read_corpus(MELD, tmp_path)
    assert [u.file for u in manifest] == [f"{folder}/dia0_utt0.wav"]
    found = reasons(manifest)
    assert found.pop(f"{folder}/dia9_utt9.wav") == "no row in test_sent_emo.csv"
    assert found.pop("train_splits/dia0_utt0.wav") == "there is no train_sent_emo.csv"
    assert set(found) == {f"{folder}/final_videos_testdia0_utt0.wav", "test/final_videos_test/dia0_utt0.wav"}
    assert all(reason.startswith("not a clip dia{D}_utt{U} in a folder") for reason in found.values())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_tables_of_every_encoding_give_the_same_text(tmp_path, encoding):
    write_recording(tmp_path / "train_splits" / "dia0_utt0.wav")
    write_table(tmp_path / "train_sent_emo.csv", row(0, 0, "joy", "Ross", "It’s a café – “here”"), encoding=encoding)
    (utterance,) = read_corpus(MELD, tmp_path)
    assert utterance.text == "It’s a café – “here”"


def test_quotes_that_were_once_decoded_wrongly_come_back():
    assert unmangled("I\x92m \x93fine\x94") == "I’m “fine”"
    assert unmangled("It’s".encode().decode("cp1252")) == "It’s"
    assert unmangled("Zoë’s") == "Zoë’s"


def test_bad_rows_are_skipped_with_their_reason_and_the_rest_is_read(tmp_path):
    write_recordings(tmp_path, "train_splits/dia0_utt0.wav", "train_splits/dia0_utt1.wav")
    short = row(0, 5, "joy")[:-1]
    write_table(tmp_path / "train_sent_emo.csv", row(0, 0, "joy"), row("x", 1, "joy"), row(0, 1, "hunger"), short)
    manifest = read_corpus(MELD, tmp_path)
    assert [u.utterance_id for u in manifest] == ["train_dia0_utt0"]
    assert reasons(manifest) == {
        "train_sent_emo.csv, row 2": "Dialogue_ID 'x' and Utterance_ID '1' should be whole numbers",
        "train_splits/dia0_utt1.wav": "train_sent_emo.csv, row 3: Emotion 'hunger', expected one of anger, disgust,"
        " fear, joy, neutral, sadness, surprise",
        "train_sent_emo.csv, row 4": "10 fields, but the header has 11",
    }


def test_a_second_table_of_a_split_is_skipped(tmp_path):
    write_recording(tmp_path / "train_splits" / "dia0_utt0.wav")
    for folder in (tmp_path, tmp_path / "copy"):
        write_table(folder / "train_sent_emo.csv", row(0, 0, "joy"))
    manifest = read_corpus(MELD, tmp_path)
    assert len(manifest) == 1
    assert reasons(manifest) == {"copy/train_sent_emo.csv": "a second table of the split train"}


def test_missing_and_broken_tables_are_errors_that_say_what_was_expected(tmp_path):
    write_recording(tmp_path / "train_splits" / "dia0_utt0.wav")
    with pytest.raises(CorpusError, match="holds none of train_sent_emo"):
        read_corpus(MELD, tmp_path)
    table = tmp_path / "train_sent_emo.csv"
    table.write_text("Utterance,Speaker\nHi,Ross\n")
    with pytest.raises(CorpusError, match=r"train_sent_emo\.csv has no column Emotion, Dialogue_ID, Utterance_ID"):
        read_corpus(MELD, tmp_path)
    table.write_text("")
    with pytest.raises(CorpusError, match=r"train_sent_emo\.csv is no table with commas"):
        read_corpus(MELD, tmp_path)
    table.write_text(",".join(HEADER) + '\n"' + "x" * 200_000)
    with pytest.raises(CorpusError, match=r"train_sent_emo\.csv is no table with commas: field larger than"):
        read_corpus(MELD, tmp_path)


def test_that_characters_return_in_every_split_and_a_shortfall_are_warnings(tmp_path):
    write_recordings(tmp_path, *FILES)
    write_labels(tmp_path, FILES)
    assert read_corpus(MELD, tmp_path).information["warnings"] == [
        "meld: the same characters speak in every split, so its splits are speaker-dependent",
        "meld: 3 utterances read, the complete corpus has 13706",
    ]


def test_the_tables_alone_give_the_labels_when_no_recording_is_looked_at(tmp_path):
    write_table(tmp_path / "train_sent_emo.csv", row(3, 12, "anger", "Monica", "No!"), row(4, 0, "hunger"))
    write_table(tmp_path / "test_sent_emo.csv", row(3, 12, "joy"))
    manifest = read_corpus(MELD, tmp_path, ReadingOptions(labels_only=True))
    assert [(u.utterance_id, u.file, u.emotion, u.split) for u in manifest] == [
        ("train_dia3_utt12", "train/train_splits/dia3_utt12.mp4", "anger", "train"),
        ("test_dia3_utt12", "test/output_repeated_splits_test/dia3_utt12.mp4", "happiness", "test"),
    ]
    assert list(reasons(manifest)) == ["train/train_splits/dia4_utt0.mp4"]
    with pytest.raises(CorpusError, match=r"dia3_utt12\.mp4 does not exist"):
        read_corpus(MELD, tmp_path)


def test_no_folder_is_an_error(tmp_path):
    with pytest.raises(CorpusError, match="is not a folder"):
        read_corpus(MELD, tmp_path / "nowhere")
