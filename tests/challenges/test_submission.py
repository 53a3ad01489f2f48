"""The challenge's files: what is written, and that nothing is written where anything is wrong."""

import csv
import dataclasses
import re
from pathlib import Path

import pytest

from builders.predictions import predictions_of, said
from emotune.challenges.submission import LETTERS, expected_names, task_of, write_submission
from emotune.errors import ConfigError, CorpusError, TableError
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Prediction, Predictions
from emotune.schema.utterance import Utterance

IDS = ["MSP-PODCAST_test3_0001", "MSP-PODCAST_test3_0002", "MSP-PODCAST_test3_0003"]
NAMES = [f"{key}.wav" for key in IDS]


def categories() -> Predictions:
    classes = tuple(LETTERS)
    chosen = zip(reversed(IDS), ("surprise", "neutral", "contempt"), strict=True)
    return predictions_of(*(said(key, name, 0.79, classes=classes) for key, name in chosen), classes=classes)


def attributes(low: float = 1, high: float = 7) -> Predictions:
    scale = Scale(low, high)
    names = ("arousal", "valence", "dominance")
    values = [(1.0, 4.0, 7.0), (2.5, 7.2, 0.9), (3.0, 3.0, 3.0)]
    rows = tuple(
        Prediction(key, dimensions={n: scale.from_unit((v - 1) / 6) for n, v in zip(names, row, strict=True)})
        for key, row in zip(IDS, values, strict=True)
    )
    return predictions_of(*rows, dimensions=dict.fromkeys(names, scale))


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream))


def test_categories_are_letters_in_the_expected_order(tmp_path):
    assert write_submission(tmp_path / "out.csv", categories(), NAMES, task="categories") == ()
    assert rows_of(tmp_path / "out.csv") == [
        ["FileName", "EmoClass"],
        [NAMES[0], "C"],
        [NAMES[1], "N"],
        [NAMES[2], "U"],
    ]
    assert "".join(LETTERS.values()) == "ASHUFDCN"


@pytest.mark.parametrize("scale", [(1, 7), (0, 1), (-1, 1)])
def test_attributes_are_on_the_scale_of_the_challenge(tmp_path, scale):
    notes = write_submission(tmp_path / "out.csv", attributes(*scale), NAMES, task="attributes")
    head, *rows = rows_of(tmp_path / "out.csv")
    assert head == ["FileName", "EmoAct", "EmoVal", "EmoDom"]
    assert [[float(value) for value in row[1:]] for row in rows] == [[1, 4, 7], [2.5, 7, 1], [3, 3, 3]]
    assert len(notes) == (0 if scale == (1, 7) else 3)


def test_all_faults_are_said_at_once_and_nothing_is_written(tmp_path):
    table = categories()
    rows = (*table.rows[1:], Prediction("stranger", table.rows[0].probabilities))
    rows = (dataclasses.replace(rows[0], error="broken", probabilities={}), *rows[1:])
    with pytest.raises(TableError) as raised:
        write_submission(
            tmp_path / "out.csv", dataclasses.replace(table, rows=rows), [*NAMES, NAMES[0]], task="categories"
        )
    message = str(raised.value)
    for part in (
        "Nothing is written",
        f"1 expected twice: {NAMES[0]}",
        f"1 missing: {NAMES[2]}",
        "1 unexpected: stranger.wav",
        f"1 failed: {NAMES[1]}",
    ):
        assert part in message
    assert list(tmp_path.iterdir()) == []


def test_only_some_of_many_are_listed(tmp_path):
    with pytest.raises(TableError, match=r"20 missing: x0\.wav, x1\.wav, x2\.wav, x3\.wav, x4\.wav \.\.\.\."):
        write_submission(
            tmp_path / "out.csv", categories(), [*NAMES, *(f"x{n}.wav" for n in range(20))], task="categories"
        )


def test_an_id_and_its_file_name_are_one_recording(tmp_path):
    table = categories()
    twice = dataclasses.replace(
        table, rows=(*table.rows, dataclasses.replace(table.rows[0], utterance_id=f"{table.rows[0].utterance_id}.wav"))
    )
    with pytest.raises(TableError, match="1 there twice"):
        write_submission(tmp_path / "out.csv", twice, NAMES, task="categories")


def test_classes_and_dimensions_that_do_not_fit_are_refused(tmp_path):
    strange = Predictions(
        tuple(Prediction(key, {"anger": 0.4, "calm": 0.6}) for key in IDS), LabelSpace(("anger", "calm"))
    )
    with pytest.raises(TableError, match="no letter for calm"):
        write_submission(tmp_path / "out.csv", strange, NAMES, task="categories")
    unsaid = dataclasses.replace(
        strange, rows=tuple(dataclasses.replace(row, probabilities={"anger": 1.0, "calm": 0.0}) for row in strange)
    )
    write_submission(tmp_path / "unsaid.csv", unsaid, NAMES, task="categories")
    with pytest.raises(TableError, match="lacks arousal, valence, dominance"):
        write_submission(tmp_path / "out.csv", strange, NAMES, task="attributes")
    with pytest.raises(TableError, match="has no classes"):
        write_submission(tmp_path / "out.csv", attributes(), NAMES, task="categories")
    with pytest.raises(TableError, match=r"must end in \.csv"):
        write_submission(tmp_path / "out.txt", categories(), NAMES, task="categories")
    both = Predictions((), LabelSpace(("anger",), attributes().label_space.dimensions))
    with pytest.raises(ConfigError, match="--task categories or --task attributes"):
        task_of(both, None)
    with pytest.raises(ConfigError, match="did you mean 'categories'"):
        task_of(both, "category")
    assert (task_of(categories(), None), task_of(attributes(), None)) == ("categories", "attributes")


def test_what_is_expected_comes_from_a_manifest_a_csv_a_list_or_a_folder(tmp_path):
    manifest = Manifest(tuple(Utterance(key, f"Audios/{key}.wav") for key in IDS), LabelSpace(), tmp_path)
    manifest.write(tmp_path / "m.csv")
    (tmp_path / "t.csv").write_text("FileName,x\n" + "".join(f"{name},1\n" for name in NAMES))
    (tmp_path / "t.txt").write_text("\n".join(NAMES) + "\n\n")
    (tmp_path / "audio").mkdir()
    for name in NAMES:
        (tmp_path / "audio" / name).touch()
    (tmp_path / "ids.txt").write_text("\n".join(f"Audios/{key}" for key in IDS))
    (tmp_path / "ids.csv").write_text("FileName\n" + "\n".join(IDS))
    for source in ("m.csv", "t.csv", "t.txt", "audio", "ids.txt", "ids.csv"):
        assert expected_names(tmp_path / source) == NAMES, source


def test_of_a_manifest_one_split_is_expected(tmp_path):
    rows = tuple(Utterance(key, f"{key}.wav", split=split) for key, split in zip(IDS, "aba", strict=True))
    Manifest(rows, LabelSpace(), tmp_path).write(tmp_path / "m.csv")
    assert expected_names(tmp_path / "m.csv", "a") == [NAMES[0], NAMES[2]]
    with pytest.raises(CorpusError, match="no utterance in split 'c'"):
        expected_names(tmp_path / "m.csv", "c")
    (tmp_path / "t.txt").write_text("x")
    with pytest.raises(ConfigError, match="is no manifest, so it has no splits"):
        expected_names(tmp_path / "t.txt", "a")


def test_an_expected_list_that_names_nothing_is_refused(tmp_path):
    (tmp_path / "other.csv").write_text("file\na.wav\n")
    with pytest.raises(TableError, match="no column FileName; it has file"):
        expected_names(tmp_path / "other.csv")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(TableError, match="names no recordings"):
        expected_names(tmp_path / "empty.txt")
    (tmp_path / "latin.txt").write_bytes("ä".encode("latin-1"))
    with pytest.raises(TableError, match="cannot be read as a list"):
        expected_names(tmp_path / "latin.txt")
    for absent in ("absent.txt", "absent.csv", "absent"):
        with pytest.raises(TableError, match=f"{absent} does not exist"):
            expected_names(tmp_path / absent)


def test_an_expected_list_that_names_a_recording_twice_is_to_be_mended(tmp_path):
    (tmp_path / "twice.txt").write_text("\n".join([*NAMES, f"other/{NAMES[0]}"]))
    message = f"twice.txt names 1 more than once: {NAMES[0]}. Mend it"
    with pytest.raises(TableError, match=re.escape(message)):
        expected_names(tmp_path / "twice.txt")
