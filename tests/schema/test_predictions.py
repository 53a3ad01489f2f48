"""The prediction table: what stands in it, and how it meets the truth."""

import numpy as np
import pytest

from emotune.errors import TableError
from emotune.io.tables import read_rows
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.predictions import Prediction, Predictions, align

CLASSES = ("anger", "happiness", "neutral")
SPACE = LabelSpace(CLASSES, {"arousal": Scale(1, 7)})


def said(name: str, shares: tuple[float, ...], arousal: float = 4.0, **others) -> Prediction:
    return Prediction(name, dict(zip(CLASSES, shares, strict=True)), {"arousal": arousal}, **others)


def test_the_emotion_is_the_most_probable_class():
    shares = np.random.default_rng(0).dirichlet(np.ones(3), size=50)
    for row in shares:
        assert said("a", tuple(row)).emotion == CLASSES[int(np.argmax(row))]
    assert Prediction("a", error="broken").emotion is None


def test_a_written_table_holds_ids_own_columns_emotion_probabilities_and_values_in_this_order(tmp_path):
    table = Predictions((said("a", (0.2, 0.5, 0.3), extra={"note": "x"}), Prediction("b", error="broken")), SPACE)
    table.write(tmp_path / "p.csv")
    first, second = read_rows(tmp_path / "p.csv")
    assert list(first) == [
        "utterance_id", "note", "emotion", "p.anger", "p.happiness", "p.neutral", "confidence", "arousal",
        "conditions_used", "warning", "error",
    ]  # fmt: skip
    assert (first["emotion"], first["confidence"], second["confidence"]) == ("happiness", "0.5", None)
    assert [second[name] for name in ("emotion", "p.anger", "arousal", "error")] == [None, None, None, "broken"]
    assert [row.utterance_id for row in table.failed] == ["b"]


def test_a_users_column_that_is_named_like_a_prediction_is_kept_beside_it(tmp_path):
    extra = {"emotion": "neutral", "arousal": "7", "utterance_id": "mine", "error": "none", "note": "x"}
    Predictions((said("a", (0.2, 0.5, 0.3), extra=extra),), SPACE).write(tmp_path / "p.csv")
    (row,) = read_rows(tmp_path / "p.csv")
    assert {name: row[f"given.{name}"] for name in extra if name != "note"} | {"note": row["note"]} == extra
    assert (row["utterance_id"], row["emotion"], row["arousal"], row["error"]) == ("a", "happiness", "4.0", None)
    (read,) = Predictions.read(tmp_path / "p.csv")
    assert read.dimensions == {"arousal": 4.0}


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_warning_is_written_and_read_and_changes_no_number(tmp_path, suffix):
    rows = (said("a", (0.2, 0.5, 0.3), warning="silent: every sample is 0"), said("b", (0.2, 0.5, 0.3)))
    Predictions(rows, SPACE).write(tmp_path / f"p.{suffix}")
    read = Predictions.read(tmp_path / f"p.{suffix}")
    assert read.rows == rows
    assert read.warnings == {"a": "silent: every sample is 0"}


def test_a_table_from_before_there_were_warnings_is_read(tmp_path):
    Predictions((said("a", (0.2, 0.5, 0.3)),), SPACE).write(tmp_path / "p.csv")
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert lines[0].endswith("conditions_used,warning,error")
    older = [lines[0].replace(",warning", ""), lines[1].removesuffix(",")]
    (tmp_path / "p.csv").write_text("\n".join(older))
    (row,) = Predictions.read(tmp_path / "p.csv")
    assert row == said("a", (0.2, 0.5, 0.3))


def test_a_users_column_that_is_called_given_already_keeps_its_value(tmp_path):
    row = Prediction("u1", {"anger": 1.0}, extra={"error": "mine", "given.error": "older"})
    table = Predictions((row,), LabelSpace(("anger",)))
    table.write(tmp_path / "p.csv")
    (read,) = Predictions.read(tmp_path / "p.csv")
    assert read.error is None
    assert read.extra == {"given.given.error": "mine", "given.error": "older"}


def test_predictions_are_brought_into_the_order_of_the_truth():
    table = Predictions(tuple(said(name, (1, 0, 0)) for name in "abc"), SPACE)
    assert [row.utterance_id for row in align(table, ["c", "a"])] == ["c", "a"]
    with pytest.raises(TableError, match="1 of 2 utterances have no prediction, such as 'z'"):
        align(table, ["a", "z"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"p.anger": "0.9"}, r"row 1: the probabilities sum to 1\.7000, expected 1"),
        ({"p.anger": ""}, r"row 1, p\.anger: a value is missing"),
        ({"arousal": "high"}, "row 1, arousal: expected a number"),
        ({"utterance_id": ""}, "row 1: utterance_id is missing"),
    ],
)
def test_a_row_that_is_no_prediction_is_named(tmp_path, change, message):
    path = tmp_path / "p.csv"
    Predictions((said("a", (0.2, 0.5, 0.3)),), SPACE).write(path)
    (row,) = read_rows(path)
    row = {name: value or "" for name, value in row.items()} | change
    path.write_text(",".join(row) + "\n" + ",".join(row.values()) + "\n")
    with pytest.raises(TableError, match=message):
        Predictions.read(path)


def test_two_predictions_of_one_utterance_are_an_error(tmp_path):
    Predictions((said("a", (1, 0, 0)), said("a", (0, 1, 0))), SPACE).write(tmp_path / "p.csv")
    with pytest.raises(TableError, match="'a' appears more than once"):
        Predictions.read(tmp_path / "p.csv")


def test_a_table_of_something_else_is_refused(tmp_path):
    (tmp_path / "p.csv").write_text("utterance_id\na\n")
    with pytest.raises(TableError, match=r"p\.csv\.meta\.json does not exist: .* write \{\"schema\""):
        Predictions.read(tmp_path / "p.csv")
    (tmp_path / "p.csv.meta.json").write_text('{"schema": "emotune-manifest/1"}')
    with pytest.raises(TableError, match="this version reads 'emotune-predictions/1'"):
        Predictions.read(tmp_path / "p.csv")


def test_an_own_column_emotion_beside_dimensions_alone_is_no_answer_of_the_model(tmp_path):
    space = LabelSpace((), {"arousal": Scale(1, 7)})
    row = Prediction("a", {}, {"arousal": 3.0}, extra={"emotion": "uncertain"})
    Predictions((row,), space).write(tmp_path / "p.csv")
    (again,) = Predictions.read(tmp_path / "p.csv")
    assert again.extra == {"emotion": "uncertain"} and not again.uncertain
