"""Corpora joined by the command line: small made-up ones, and the real three where they are."""

import hashlib
from collections import Counter

import pytest

from builders.command import run_command
from builders.manifests import manifest_of, utterances
from emotune.schema.labels import Scale
from emotune.schema.manifest import Manifest


@pytest.fixture(scope="module")
def real(shared, tmp_path_factory):
    """RAVDESS, the four classes of EmoDB and a part of nEMO, joined; its manifest and the command's words."""
    folder, data = tmp_path_factory.mktemp("real"), shared / "data"
    if not all((data / name).is_dir() for name in ("ravdess", "emodb4", "nemo")):
        pytest.skip(f"{data} lacks ravdess, emodb4 or nemo")
    reads = [
        ("ravdess", data / "ravdess" / "audio", "ravdess.csv"),
        ("emodb", data / "emodb4" / "audio", "emodb.jsonl"),
        ("table", data / "nemo" / "labels.csv", "nemo.parquet", "--licence", "CC BY-NC-SA 4.0"),
    ]
    for name, root, output, *more in reads:
        assert run_command("corpus", "read", name, root, "-o", folder / output, *more).code == 0
    sources = [folder / output for _, _, output, *_ in reads]
    return folder, run_command("corpus", "join", *sources, "-o", folder / "joined.csv")


@pytest.mark.load
def test_the_real_three_corpora_become_one_of_four_classes(real):
    folder, ended = real
    assert ended.code == 0, ended.err
    manifest = Manifest.read(folder / "joined.csv")
    # of RAVDESS 192 each of anger, happiness, sadness and 96 neutral; of nEMO 9 speakers with 12 each
    assert Counter(u.corpus for u in manifest) == {"ravdess": 3 * 192 + 96, "emodb": 339, "nemo": 9 * 12 * 4}
    assert manifest.label_space.classes == ("anger", "happiness", "sadness", "neutral")
    assert len({u.speaker for u in manifest}) == 24 + 10 + 9
    assert {u.language for u in manifest} == {"en", "de", "pl"}
    assert all(manifest.path_of(u).is_file() for u in manifest)
    assert "licences together: non-commercial (ravdess, nemo), share alike (ravdess, nemo)" in ended.out
    row = next(line for line in ended.out.splitlines() if line.startswith("calm"))
    assert [cell.strip() for cell in row.split("│")] == ["calm", "(left out)", "192", "-", "-"]
    again = run_command("corpus", "show", folder / "joined.csv")
    assert "43 speakers" in again.out


def small(path, corpus, classes, scale=None):
    """A manifest of twelve utterances of four speakers."""
    rows = utterances(
        12,
        emotion=lambda n: classes[n % len(classes)],
        speaker=lambda n: f"{n // 3}",
        corpus=corpus,
        content_sha256=lambda n: hashlib.sha256(f"{path.name} {n}".encode()).hexdigest(),
        dimensions=lambda n: {"arousal": 3.0} if scale else {},
    )
    dimensions = {"arousal": scale} if scale else {}
    manifest_of(*rows, classes=classes, dimensions=dimensions, root=path.parent).write(path)
    return path


def test_a_join_prints_its_classes_corpora_licences_and_conversions(tmp_path):
    one = small(tmp_path / "one.csv", "table", ("anger", "neutral", "calm"), Scale(1, 5))
    two = small(tmp_path / "two.jsonl", "table", ("anger", "neutral", "fear"), Scale(1, 7))
    ended = run_command("corpus", "join", one, f"calls={two}", "-o", tmp_path / "m.parquet", "--map", "fear=calm")
    assert ended.code == 0, ended.err
    rows = {line.split("│")[0].strip(): [c.strip() for c in line.split("│")[1:]] for line in ended.out.splitlines()}
    assert rows["fear"] == ["calm", "-", "4"]
    assert rows["one"][:2] == ["12", "4"]
    assert "licences together: unknown (one, calls)" in ended.out
    assert "values converted: calls: arousal [1, 7] -> [1, 5]" in ended.err
    assert len(Manifest.read(tmp_path / "m.parquet")) == 24


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["one.csv", "one.csv"], "is the same file as"),
        (["one.csv"], "at least two corpora"),
        (["one.csv", "none.csv"], "none.csv does not exist"),
        (["one.csv", "two.csv", "--classes", "anger,joy"], "Unknown class 'joy'"),
        (["one.csv", "two.csv", "--map", "joy"], "--map joy: expected CLASS=CLASS"),
        (["one.csv", "two.csv", "--scale", "arousal=1"], "--scale arousal=1: expected arousal=LOW:HIGH"),
        (["one.csv", "two.csv", "--classes", ""], "Nothing would be left of one, two"),
        (["one.csv", "one=two.csv"], "there is a corpus 'one' already"),
    ],
)
def test_a_join_that_cannot_be_is_one_error_and_writes_nothing(tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    small(tmp_path / "one.csv", "table", ("anger", "neutral"))
    small(tmp_path / "two.csv", "other", ("anger", "neutral"))
    ended = run_command("corpus", "join", *arguments, "-o", "m.csv")
    assert ended.code == 2
    assert words in ended.err
    assert "Traceback" not in ended.err
    assert not (tmp_path / "m.csv").exists()
    refused = run_command("corpus", "join", "one.csv", "two.csv", "-o", "two.csv")
    assert "is an input and would be overwritten" in refused.err
