"""A run folder says where things lie, and what it is where it holds no model."""

from pathlib import Path

import pytest

from emotune.io.tables import to_json, write_text
from emotune.schema.run_folder import PRE_TRAINED, why_no_model


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


def test_a_run_of_pre_training_names_the_command_that_goes_on_from_it(tmp_path):
    write_text(tmp_path / "views" / "model" / "config.json", "{}")
    provenance(tmp_path / "views", kind=PRE_TRAINED, finished="now")
    said = why_no_model(tmp_path / "views")
    assert "is a run of pre-training, and predicts nothing yet" in said
    start = f'model.start={tmp_path / "views"} "model.backbone={{train: none}}"'
    assert said.endswith(f"emotune train pretraining/few_labels data.manifest=FILE {start}")
    provenance(tmp_path / "views", kind=PRE_TRAINED, finished=None)
    assert "has not finished" in why_no_model(tmp_path / "views")


def test_the_folds_of_pre_training_are_gone_on_from_together(tmp_path):
    for fold in ("fold_1", "fold_2"):
        write_text(tmp_path / fold / "encoder" / "config.json", to_json({"model_type": "whisper"}))
        provenance(tmp_path / fold, kind=PRE_TRAINED, finished="now")
    provenance(tmp_path, kind="train, protocol ravdess/6_folds", finished="now")
    write_text(tmp_path / "recipe.yaml", "protocol: ravdess/6_folds\n")
    said = why_no_model(tmp_path)
    assert "holds a run of pre-training a fold" in said
    assert "protocol=ravdess/6_folds data.manifest=FILE model.backbone.name=whisper" in said
    assert said.endswith(f"model.backbone.checkpoint={tmp_path}/{{fold}}/encoder")
