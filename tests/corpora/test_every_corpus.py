"""What every corpus of the table keeps to; a new entry needs a miniature of itself here."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from builders.corpora import audformat, audiofolder, crema_d, emobox, iemocap, kaldi, meld, msp_podcast
from builders.recordings import write_recording
from emotune.corpora import CORPORA, ReadingOptions, read_corpus
from emotune.errors import CorpusError
from emotune.schema.manifest import Manifest, Skipped
from emotune.schema.utterance import Utterance


@dataclass(frozen=True)
class Miniature:
    """A small corpus on disk: what its reader is given, and its recordings relative to their root."""

    given: Path
    files: list[str]


def named(*files: str) -> Callable[[Path], Miniature]:
    """A corpus whose file names say everything."""

    def write(root: Path) -> Miniature:
        for file in files:
            write_recording(root / file)
        return Miniature(root, list(files))

    return write


def labelled(part: ModuleType) -> Callable[[Path], Miniature]:
    """A corpus whose labels lie in files, which its module of builders writes."""

    def write(root: Path) -> Miniature:
        files = named(*part.FILES)(root).files
        return Miniature(part.write_labels(root, files), files)

    return write


def table(root: Path) -> Miniature:
    files = named("a.wav", "deeper/b.wav")(root).files
    path = root / "labels.csv"
    path.write_text("file,emotion,speaker\n" + "".join(f"{file},angry,s{n}\n" for n, file in enumerate(files)))
    return Miniature(path, files)


MINIATURES: dict[str, Callable[[Path], Miniature]] = {
    "audformat": labelled(audformat),
    "audiofolder": labelled(audiofolder),
    "crema_d": lambda root: Miniature(root, crema_d.write_tree(root)),
    "emobox": labelled(emobox),
    "emodb": named("wav/03a01Wa.wav", "wav/08a02Na.wav", "wav/16b10Fb.wav"),
    "esd": named("0001/Angry/train/0001_000351.wav", "0011/Sad/0011_001051.wav"),
    "iemocap": lambda root: Miniature(root, iemocap.write_tree(root)),
    "kaldi": labelled(kaldi),
    "meld": labelled(meld),
    "msp_podcast": lambda root: Miniature(root, msp_podcast.write_tree(root)),
    "ravdess": named("Actor_01/03-01-01-01-01-01-01.wav", "Actor_02/03-01-05-02-01-01-02.wav"),
    "savee": named("AudioData/DC/a01.wav", "AudioData/JE/su15.wav"),
    "table": table,
    "tess": named("OAF_angry/OAF_back_angry.wav", "YAF_sad/YAF_back_sad.wav"),
}
LABELS = {part.__name__.rpartition(".")[2]: part.write_labels for part in (audformat, audiofolder, emobox, kaldi, meld)}
"""Corpora whose labels lie in files: what writes those, (folder, recordings) -> what the reader is given."""

over_all = pytest.mark.parametrize("name", CORPORA)
over_all_sources = pytest.mark.parametrize(
    ("name", "source"), [(name, source) for name in CORPORA for source in CORPORA[name].label_sources]
)


def test_every_corpus_of_the_table_has_a_miniature_here():
    assert set(CORPORA) == set(MINIATURES)


@pytest.fixture
def miniature(name, tmp_path) -> Miniature:
    return MINIATURES[name](tmp_path)


@over_all
def test_a_reader_yields_utterances_with_labels_and_relative_files(name, miniature, tmp_path):
    found = list(CORPORA[name].read(miniature.given))
    assert len(found) == len(miniature.files)
    for item in found:
        assert isinstance(item, Utterance)
        assert (tmp_path / item.file).is_file()
        assert item.utterance_id
        assert item.speaker
        assert item.emotion


@over_all
def test_reading_twice_gives_the_same(name, miniature):
    assert list(CORPORA[name].read(miniature.given)) == list(CORPORA[name].read(miniature.given))


@over_all
def test_a_corpus_names_its_licence_reference_and_language(name):
    corpus = CORPORA[name]
    assert corpus.name == name
    assert all((corpus.licence, corpus.reference, corpus.language))
    assert set(corpus.expected) <= {"utterances", "speakers"}


@over_all
def test_a_corpus_becomes_a_manifest_that_comes_back_from_disk(name, miniature, tmp_path):
    manifest = read_corpus(CORPORA[name], miniature.given)
    manifest.write(tmp_path / "m.csv")
    read = Manifest.read(tmp_path / "m.csv")
    assert read.utterances == tuple(dataclasses.replace(u, extra=dict(u.extra)) for u in manifest)
    assert read.fingerprint() == manifest.fingerprint()
    assert {u.corpus for u in read} == {name}
    assert {u.duration_s for u in read} == {0.5}


@over_all
def test_a_broken_recording_is_skipped_and_named_and_the_rest_is_read(name, miniature, tmp_path):
    (tmp_path / miniature.files[0]).write_bytes(b"this is no sound")
    manifest = read_corpus(CORPORA[name], miniature.given)
    assert len(manifest) == len(miniature.files) - 1
    (skipped,) = manifest.skipped
    assert isinstance(skipped, Skipped)
    assert skipped.file == miniature.files[0]
    assert "cannot be decoded" in skipped.reason


@over_all
def test_a_corpus_of_broken_recordings_only_is_an_error(name, miniature, tmp_path):
    for file in miniature.files:
        (tmp_path / file).write_bytes(b"this is no sound")
    with pytest.raises(CorpusError, match="no utterance of corpus"):
        read_corpus(CORPORA[name], miniature.given)


@over_all_sources
def test_every_source_of_labels_can_be_read_and_is_named_in_the_manifest(name, source, miniature):
    manifest = read_corpus(CORPORA[name], miniature.given, ReadingOptions(labels=source))
    assert len(manifest) == len(miniature.files)
    assert manifest.information["labels"] == source
    assert any(utterance.emotion for utterance in manifest)


@over_all_sources
def test_labels_can_be_read_without_the_recordings(name, source, miniature, tmp_path):
    with_recordings = list(CORPORA[name].read(miniature.given, labels=source))
    for file in miniature.files:
        (tmp_path / file).unlink()
    manifest = read_corpus(CORPORA[name], miniature.given, ReadingOptions(labels=source, labels_only=True))
    found = {u.utterance_id: (u.file, u.emotion, u.votes) for u in manifest}
    assert found == {u.utterance_id: (u.file, u.emotion, u.votes) for u in with_recordings}
