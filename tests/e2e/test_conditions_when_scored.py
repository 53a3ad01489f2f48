"""A model whose gender predictor is gone: it still predicts, and is not scored as if nothing were amiss."""

import dataclasses
import json

import pytest

from builders.models import save_tiny_model
from builders.runs import finished_run
from emotune.config.reading import load_recipe
from emotune.errors import ModelError
from emotune.protocols import run as protocol_run
from emotune.protocols.protocol import Fold
from emotune.runtime.progress import silent
from emotune.schema.run_folder import RunFolder
from emotune.studies.carry_out import score_tests
from emotune.studies.study_run import StudyRun


@pytest.fixture
def run(tones, tmp_path) -> RunFolder:
    """A finished run of a model that wants predicted gender, of which one test utterance has none."""
    about = {
        "gender": {"size": 2, "source": "predicted", "predictor": {"name": "/nowhere/gender", "revision": "0" * 12}}
    }
    rows = [dataclasses.replace(u, gender_predicted=u.gender) for u in tones]
    rows[-1] = dataclasses.replace(rows[-1], gender_predicted=None)
    rows[-8:] = [dataclasses.replace(u, split="test") for u in rows[-8:]]
    own = finished_run(tmp_path / "run", tones.replace_utterances(rows))
    save_tiny_model(own.model, tones.label_space, conditions=about)
    return own


def without_gap(run: RunFolder, tones) -> None:
    rows = [dataclasses.replace(u, gender_predicted=u.gender, split="test") for u in tones]
    tones.replace_utterances(rows).write(run.manifest)


def test_evaluate_refuses_unless_unknown_is_asked_for_and_predict_says_so(run, tones, tmp_path, emotune_command):
    refused = emotune_command("evaluate", run.path)
    assert refused.code == 2
    assert "/nowhere/gender cannot be had here" in refused.err and "--condition gender=unknown" in refused.err
    asked = emotune_command("evaluate", run.path, "--condition", "gender=unknown", "--resamples", "0")
    assert asked.code == 0, asked.err
    predicted = emotune_command("predict", run.path, tones.path_of(tones.utterances[0]), "-o", tmp_path / "p.csv")
    assert predicted.code == 0, predicted.err
    assert "/nowhere/gender cannot be had here" in predicted.err
    without_gap(run, tones)
    nothing_missing = emotune_command("evaluate", run.path, "--resamples", "0")
    assert nothing_missing.code == 0, nothing_missing.err


def test_a_wrong_gender_that_is_not_there_is_counted(run, tones, tmp_path, emotune_command):
    rows = [dataclasses.replace(u, gender=None) if n < 2 else u for n, u in enumerate(tones)]
    tones.replace_utterances(rows).write(tmp_path / "m.csv")
    warning = f"no gender is given for 2 of {len(tones)} recordings, so the model was told that it is unknown"
    command = ("predict", run.path, tmp_path / "m.csv", "--condition", "gender=wrong")
    for where in (("-o", tmp_path / "p.csv"), ("-o", tmp_path / "parts", "--part-rows", "4")):
        ended = emotune_command(*command, *where)
        assert ended.code == 0, ended.err
        assert ended.err.count("warning") == ended.err.count(warning) == 1
    assert emotune_command(*command, *where).code == 0
    for other in (("--condition", "gender=unknown"), ()):
        ended = emotune_command(*command[:3], *other, *where)
        assert (ended.code, "belongs to another job: conditions is {'gender': 'wrong'}" in ended.err) == (2, True)


def test_a_report_says_that_genders_were_falsified(run, tmp_path, emotune_command):
    asked = ("--condition", "gender=wrong", "--resamples", "0", "-o", tmp_path / "wrong", "--robustness")
    ended = emotune_command("evaluate", run.path, *asked)
    assert ended.code == 0, ended.err
    said = "Scored with --condition gender=wrong (the other gender than the given one"
    report = json.loads((tmp_path / "wrong" / "report.json").read_text())
    assert any(said in note and "wrong for 8 of 8 utterances" in note for note in report["notes"])
    assert report["information"]["conditions_asked_for"] == {"gender": "wrong"}
    assert report["information"]["conditions_used"] == {"gender": {"wrong": 8}}
    for page in ("report.html", "robustness.html"):
        assert said in (tmp_path / "wrong" / page).read_text()
    assert said in ended.err


def test_a_study_and_a_fold_refuse(run, tones):
    recipe = load_recipe("demo/tiny_wavlm", [f"data.manifest={run.manifest}"])
    study_run = StudyRun("step", 0, run.path, recipe, "train", ("test",))
    fold = Fold(run.path.name, {}, ("test",))
    with pytest.raises(ModelError, match="/nowhere/gender cannot be had here"):
        score_tests(study_run, run, silent)
    with pytest.raises(ModelError, match="/nowhere/gender cannot be had here"):
        protocol_run._run_one(recipe, run.path, fold, "train")
    assert not run.results("test").exists()
    without_gap(run, tones)
    score_tests(study_run, run, silent)
    assert (run.results("test") / "report.html").exists()
