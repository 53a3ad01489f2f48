"""A run folder says where things lie, and what it is where it holds no model."""

from pathlib import Path

import pytest

from emotune.io.tables import to_json, write_text
from emotune.schema.run_folder import why_no_model


def provenance(folder: Path, **content: object) -> None:
    write_text(folder / "provenance.json", to_json(content))


def models(folder: Path, *names: str) -> None:
    for name in names:
        write_text(folder / name / "model" / "config.json", "{}")


def test_a_protocols_folder_names_its_folds_in_their_order(tmp_path):
    models(tmp_path, "fold_10", "fold_2", "fold_1")
    said = why_no_model(tmp_path)
    assert "holds one model a fold: fold_1, fold_2, fold_10." in said
    assert f"such as {tmp_path / 'fold_1'}" in said


def test_a_studys_folder_names_some_of_its_runs(tmp_path):
    models(tmp_path, *(f"runs/{step}/seed_{seed}" for step in ("mean", "std") for seed in range(4)))
    said = why_no_model(tmp_path)
    assert "holds one model a run of a study: runs/std/seed_0, " in said
    assert "and 2 more" in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"finished": "now", "kind": "probe, leave one speaker out"}, "keeps no model (probe, leave one speaker out)"),
        ({"finished": "now", "kind": "pitch and energy baseline"}, "keeps no model (pitch and energy baseline)"),
        ({"finished": None, "kind": "fine-tuning"}, "has not finished: its model comes at the end"),
        ({"finished": "now", "kind": "fine-tuning"}, "a folder without config.json"),
    ],
)
def test_a_run_without_a_model_says_why(tmp_path, content, said):
    provenance(tmp_path, **content)
    assert said in why_no_model(tmp_path)
