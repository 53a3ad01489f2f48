"""What tables write for paths leads to the recordings; only what is written can lead outside, never a link."""

import json
from pathlib import Path

import pytest

from builders.corpora.kaldi import write_lines
from builders.recordings import write_recording, write_recordings
from emotune.corpora import CORPORA, ReadingOptions, read_corpus
from emotune.corpora.tables.paths import recording_at
from emotune.errors import CorpusError, TableError
from emotune.inference.inputs import items_of
from emotune.io.folders import files_below
from emotune.schema.manifest import Manifest


def read_table(folder: Path, *files: str, **options) -> Manifest:
    (folder / "own.csv").write_text("\n".join(["file,emotion", *(f'"{file}",sad' for file in files)]) + "\n")
    return read_corpus(CORPORA["table"], folder / "own.csv", ReadingOptions(**options))


@pytest.fixture
def linked(tmp_path) -> Path:
    """A corpus whose speakers' folders, and one recording, are links to another disk."""
    write_recordings(tmp_path / "disk", "s1/a.wav", "s2/deep/b.wav", "c.wav")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name in ("s1", "s2", "c.wav"):
        (corpus / name).symlink_to(tmp_path / "disk" / name)
    return corpus


LINKED = ["c.wav", "s1/a.wav", "s2/deep/b.wav"]


def test_a_corpus_behind_links_is_read_and_its_manifest_leads_to_the_recordings(tmp_path, linked):
    manifest = read_table(linked, *LINKED, str(linked / "s1" / "a.wav"))
    assert [u.file for u in manifest] == LINKED
    assert [item.reason for item in manifest.skipped] == ["utterance_id 's1/a' is already s1/a.wav"]  # the absolute one
    (tmp_path / "elsewhere").mkdir()
    manifest.write(tmp_path / "elsewhere" / "m.csv")
    read = Manifest.read(tmp_path / "elsewhere" / "m.csv")
    assert all(read.path_of(u).is_file() for u in read)
    assert [item.source for item in items_of([tmp_path / "elsewhere" / "m.csv"])] == [read.path_of(u) for u in read]


def test_a_folder_that_is_a_link_itself_holds_paths_of_either_name(tmp_path, linked):
    (tmp_path / "link").symlink_to(linked)
    (tmp_path / "own.csv").write_text(
        f"file,emotion\n{tmp_path}/link/s1/a.wav,sad\n{linked}/c.wav,sad\ns2/deep/b.wav,sad\n"
    )
    manifest = read_corpus(CORPORA["table"], tmp_path / "own.csv", ReadingOptions(audio_root=tmp_path / "link"))
    assert [u.file for u in manifest] == ["s1/a.wav", "c.wav", "s2/deep/b.wav"]


def test_kaldis_paths_may_lead_over_links(tmp_path, linked):
    data = write_lines(tmp_path / "data", wav_scp=f"a {linked}/s1/a.wav\nb s2/deep/b.wav", utt2emo="a sad\nb sad")
    assert [u.file for u in read_corpus(CORPORA["kaldi"], data, ReadingOptions(audio_root=linked))] == [
        "s1/a.wav",
        "s2/deep/b.wav",
    ]


def test_what_is_written_to_lead_outside_is_refused_in_one_sentence_for_all_rows(tmp_path, linked):
    write_recordings(tmp_path, "x.wav", "y.wav")
    files = ["../x.wav", str(tmp_path / "y.wav"), "s1/../../x.wav", "..\\x.wav", "C:\\data\\x.wav", "C:/data/x.wav"]
    manifest = read_table(linked, "c.wav", *files)
    assert [u.file for u in manifest] == ["c.wav"]
    assert [item.file for item in manifest.skipped] == files
    (reason,) = {item.reason for item in manifest.skipped}
    assert reason.startswith(f"lies outside the folder of the recordings ({linked}) by '..' or an absolute path.")
    assert "--audio-root" in reason


def test_paths_that_are_all_absolute_may_lie_anywhere_as_for_predict(tmp_path):
    write_recordings(tmp_path / "disk", "one/a.wav", "two/b.wav")
    (tmp_path / "tables").mkdir()
    manifest = read_table(tmp_path / "tables", *(str(tmp_path / "disk" / name) for name in ("one/a.wav", "two/b.wav")))
    assert [u.file for u in manifest] == ["one/a.wav", "two/b.wav"]
    assert manifest.root == tmp_path / "disk"
    assert [item.source for item in items_of([tmp_path / "tables" / "own.csv"])] == [
        manifest.path_of(u) for u in manifest
    ]


def test_two_dots_that_stay_inside_are_no_reason_to_refuse(tmp_path):
    write_recordings(tmp_path, "a/x.wav", "b/y.wav")
    assert [u.file for u in read_table(tmp_path, "a/../b/y.wav")] == ["b/y.wav"]


def test_a_loop_of_links_and_a_name_that_is_too_long_are_errors_of_their_rows(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    write_recording(tmp_path / "a.wav")
    manifest = read_table(tmp_path, "a.wav", "loop/x.wav", "loop/../y.wav", "z" * 300, f"{'z' * 300}/../y.wav")
    assert len(manifest) == 1
    reasons = {item.file: item.reason for item in manifest.skipped}
    for file, words in {
        "loop/x.wav": "Too many levels of symbolic links",
        "y.wav": "y.wav does not exist",
        "z" * 300: "File name too long",
        f"{'z' * 300}/../y.wav": "is no usable path: [Errno 36] File name too long",
    }.items():
        assert words in reasons[file]


@pytest.mark.parametrize("corpus", ["ravdess", "emodb", "audiofolder"])
def test_recordings_behind_a_linked_folder_are_not_passed_over(tmp_path, corpus):
    name = {"ravdess": "03-01-05-01-01-01-01.wav", "emodb": "03a01Wa.wav", "audiofolder": "anger/a.wav"}[corpus]
    write_recording(tmp_path / "disk" / name)
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "part").symlink_to(tmp_path / "disk")
    (utterance,) = read_corpus(CORPORA[corpus], tmp_path / "corpus")
    assert utterance.file == f"part/{name}"
    (item,) = items_of([tmp_path / "corpus"])
    assert item.utterance_id == f"part/{name}"


def test_audiofolders_table_behind_a_link_is_found(tmp_path):
    write_recording(tmp_path / "disk" / "a.wav")
    (tmp_path / "disk" / "metadata.csv").write_text("file_name,label\na.wav,sad\n")
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "train").symlink_to(tmp_path / "disk")
    (utterance,) = read_corpus(CORPORA["audiofolder"], tmp_path / "corpus")
    assert (utterance.file, utterance.emotion, utterance.split) == ("train/a.wav", "sadness", "train")


def test_links_in_a_circle_are_gone_through_once(tmp_path):
    write_recordings(tmp_path, "a/x.wav", "b/y.wav")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a" / "self")
    names = [path.relative_to(tmp_path).as_posix() for path in files_below(tmp_path)]
    assert names == ["a/self", "a/x.wav", "b/y.wav"]
    assert list(files_below(tmp_path / "gone")) == []


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("s1\\a.wav", "s1/a.wav"),
        (".\\s1\\a.wav", "s1/a.wav"),
        ("s1/a", "s1/a.wav"),
        ("s1\\a", "s1/a.flac"),
        ("s1/a", "s1/a.MP3"),
        ("Ses01F_impro01.F000", "Ses01F_impro01.F000.wav"),
        ("s1/a.wav", "s1/a.flac"),
        ("s1\\a.wav", "s1\\a.wav"),  # a name with a backslash in it
        ("/data/upload/3/0d1e2f3a-my_clip.wav", "my_clip.wav"),
        ("/data/upload/3/0d1e2f3a-my_clip.wav", "0d1e2f3a-my_clip.wav"),
        ("/data/upload/3/0d1e2f3a-my_clip.wav", "3/0d1e2f3a-my_clip.wav"),
        ("/data/upload/0d1e2f3a-my_clip.wav", "upload/0d1e2f3a-my_clip.wav"),
        ("/data/upload/3/0d1e2f3a-my_clip.wav", "media/upload/3/0d1e2f3a-my_clip.wav"),
        ("https://labels.example/data/upload/3/0d1e2f3a-my%20clip.wav", "my clip.wav"),
        ("/data/local-files/?d=s1/my%20clip.wav", "s1/my clip.wav"),
    ],
)
def test_paths_are_found_as_tables_write_them(tmp_path, written, stored):
    write_recording(tmp_path / "disk.wav")
    (tmp_path / stored).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "disk.wav").rename(tmp_path / stored)
    (utterance,) = read_table(tmp_path, written)
    assert utterance.file == stored
    if Path(stored).suffix == Path(written).suffix or not Path(written).suffix:  # predict takes no FLAC for a WAV
        (item,) = items_of([tmp_path / "own.csv"])
        assert item.source == tmp_path / stored
        (tmp_path / "own.txt").write_text(f"{written}\n")
        (item,) = items_of([tmp_path / "own.txt"])
        assert (item.utterance_id, item.source) == (written, tmp_path / stored)


def test_a_folder_does_not_hide_the_recording_of_its_name(tmp_path):
    write_recordings(tmp_path, "Ses01F_impro01/x.wav", "Ses01F_impro01.wav")
    assert [u.file for u in read_table(tmp_path, "Ses01F_impro01")] == ["Ses01F_impro01.wav"]


def test_takes_with_a_dot_in_their_names_stay_apart(tmp_path):
    """A dot and a number are no suffix: 'clip.1' is not 'clip.wav'."""
    write_recordings(tmp_path, "clip.wav", "clip.1.wav")
    manifest = read_table(tmp_path, "clip.1", "clip.2")
    assert [u.file for u in manifest] == ["clip.1.wav"]
    assert [item.file for item in manifest.skipped] == ["clip.2"]


def test_an_upload_of_label_studio_cannot_lead_outside(tmp_path):
    folder = tmp_path / "corpus"
    write_recordings(tmp_path, "x.wav", "corpus/a.wav")
    manifest = read_table(folder, "a.wav", "/data/local-files/?d=../x.wav", "/data/upload/1/0d1e2f3a-../../x.wav")
    assert [u.file for u in manifest] == ["a.wav"]
    assert len(manifest.skipped) == 2


def test_an_ordinary_path_costs_no_look_at_the_disk(tmp_path, monkeypatch):
    """Where millions of rows are predicted, each look would be one more over the network."""

    def refuse(self: Path, **_: object):
        raise AssertionError(f"looked for {self}")

    monkeypatch.setattr(Path, "exists", refuse)
    monkeypatch.setattr(Path, "stat", refuse)
    assert recording_at("s1/a.wav", tmp_path) == tmp_path / "s1" / "a.wav"


def test_columns_with_spaces_in_their_names_are_known(tmp_path):
    write_recording(tmp_path / "a.wav")
    (tmp_path / "own.csv").write_text("File Name, Speaker ID ,Emotion\na.wav,x,sad\n")
    (utterance,) = read_corpus(CORPORA["table"], tmp_path / "own.csv")
    assert (utterance.file, utterance.speaker, utterance.emotion) == ("a.wav", "x", "sadness")


def test_a_tsv_is_a_table_of_ones_own_and_is_predicted(tmp_path):
    write_recording(tmp_path / "a.mp3")
    (tmp_path / "own.tsv").write_text('path\tsentence\temotion\na.mp3\t"Oh," he said\tsad\n')
    (utterance,) = read_corpus(CORPORA["table"], tmp_path / "own.tsv")
    assert (utterance.file, utterance.text, utterance.emotion) == ("a.mp3", '"Oh," he said', "sadness")
    (item,) = items_of([tmp_path / "own.tsv"])
    assert item.source == tmp_path / "a.mp3"


def test_no_recording_at_all_says_the_reason_once(tmp_path):
    write_recording(tmp_path / "x.wav")
    (tmp_path / "corpus").mkdir()
    with pytest.raises(CorpusError, match=r"Skipped: 3x lies outside the folder of the recordings") as caught:
        read_table(tmp_path / "corpus", "../x.wav", "../y.wav", "../z.wav")
    assert str(caught.value).count("lies outside") == 1


def test_a_deep_line_of_json_is_an_error_that_names_it(tmp_path):
    deep = "[" * 100_000 + "]" * 100_000
    (tmp_path / "own.jsonl").write_text(json.dumps({"file": "a.wav"}) + f'\n{{"file": "b.wav", "note": {deep}}}\n')
    with pytest.raises(TableError, match=r"own\.jsonl, line 2: not valid JSON \(it is nested deeper than 100 levels\)"):
        read_corpus(CORPORA["table"], tmp_path / "own.jsonl")
