"""What every corpus of the table keeps to; a new entry needs a miniature of itself here."""

import dataclasses

import numpy as np
import pytest
import soundfile

from emotune.corpora import CORPORA, read_corpus
from emotune.errors import CorpusError
from emotune.manifest import Manifest, Skipped, Utterance
from trees import audformat, audiofolder, emobox, kaldi, meld

FILES = {
    "audformat": audformat.FILES,
    "audiofolder": audiofolder.FILES,
    "emobox": emobox.FILES,
    "emodb": ["wav/03a01Wa.wav", "wav/08a02Na.wav", "wav/16b10Fb.wav"],
    "esd": ["0001/Angry/train/0001_000351.wav", "0011/Sad/0011_001051.wav"],
    "kaldi": kaldi.FILES,
    "meld": meld.FILES,
    "ravdess": ["Actor_01/03-01-01-01-01-01-01.wav", "Actor_02/03-01-05-02-01-01-02.wav"],
    "savee": ["AudioData/DC/a01.wav", "AudioData/JE/su15.wav"],
    "table": ["a.wav", "deeper/b.wav"],
    "tess": ["OAF_angry/OAF_back_angry.wav", "YAF_sad/YAF_back_sad.wav"],
}
LABELS = {part.__name__.rpartition(".")[2]: part.write_labels for part in (audformat, audiofolder, emobox, kaldi, meld)}
"""Corpora whose labels lie in files: what writes those, (folder, recordings) -> what the reader is given."""

over_all = pytest.mark.parametrize("name", CORPORA)


def test_every_corpus_of_the_table_has_a_miniature_here():
    assert set(CORPORA) == set(FILES)


@pytest.fixture
def miniature(name, tmp_path):
    """The folder (or table) that a reader is given."""
    for number, file in enumerate(FILES[name]):
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * np.random.default_rng(number).standard_normal(8000), 16000)
    if name in LABELS:
        return LABELS[name](tmp_path, FILES[name])
    if name != "table":
        return tmp_path
    table = tmp_path / "labels.csv"
    table.write_text("file,emotion,speaker\n" + "".join(f"{f},angry,s{n}\n" for n, f in enumerate(FILES[name])))
    return table


@over_all
def test_a_reader_yields_utterances_with_labels_and_relative_files(name, miniature, tmp_path):
    found = list(CORPORA[name].read(miniature))
    assert len(found) == len(FILES[name])
    for item in found:
        assert isinstance(item, Utterance)
        assert (tmp_path / item.file).is_file()
        assert item.utterance_id
        assert item.speaker
        assert item.emotion


@over_all
def test_reading_twice_gives_the_same(name, miniature):
    assert list(CORPORA[name].read(miniature)) == list(CORPORA[name].read(miniature))


@over_all
def test_a_corpus_names_its_licence_reference_and_language(name):
    corpus = CORPORA[name]
    assert corpus.name == name
    assert all((corpus.licence, corpus.reference, corpus.language))
    assert set(corpus.expected) <= {"utterances", "speakers"}


@over_all
def test_a_corpus_becomes_a_manifest_that_comes_back_from_disk(name, miniature, tmp_path):
    manifest = read_corpus(CORPORA[name], miniature)
    manifest.write(tmp_path / "m.csv")
    read = Manifest.read(tmp_path / "m.csv")
    assert read.utterances == tuple(dataclasses.replace(u, extra=dict(u.extra)) for u in manifest)
    assert read.fingerprint() == manifest.fingerprint()
    assert {u.corpus for u in read} == {name}
    assert {u.duration_s for u in read} == {0.5}


@over_all
def test_a_broken_recording_is_skipped_and_named_and_the_rest_is_read(name, miniature, tmp_path):
    (tmp_path / FILES[name][0]).write_bytes(b"this is no sound")
    manifest = read_corpus(CORPORA[name], miniature)
    assert len(manifest) == len(FILES[name]) - 1
    (skipped,) = manifest.skipped
    assert isinstance(skipped, Skipped)
    assert skipped.file == FILES[name][0]
    assert "cannot be decoded" in skipped.reason


@over_all
def test_a_corpus_of_broken_recordings_only_is_an_error(name, miniature, tmp_path):
    for file in FILES[name]:
        (tmp_path / file).write_bytes(b"this is no sound")
    with pytest.raises(CorpusError, match="no utterance of corpus"):
        read_corpus(CORPORA[name], miniature)
