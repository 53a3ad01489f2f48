"""`emotune study`: steps x seeds, continued after an interruption, chosen on development, compared, one page."""

import csv
import dataclasses
import json
import shutil
from functools import partial
from pathlib import Path

import pytest
import yaml

from emotune.metrics.dimensions import ccc
from emotune.schema.predictions import Predictions
from emotune.studies.carry_out import carry_out
from emotune.studies.run import run as run_study

SPLIT_OF = {"s0": "train", "s1": "train", "s2": "development", "s3": "test", "s4": "test", "s5": "test3"}


@pytest.fixture(scope="module")
def source(tmp_path_factory, tones, tiny_wavlm) -> Path:
    """A study of three steps and two seeds in a file; its test3 has no labels."""
    tmp_path = tmp_path_factory.mktemp("study")
    rows = [dataclasses.replace(u, split=SPLIT_OF[u.speaker or ""]) for u in tones]
    rows = [dataclasses.replace(u, emotion=None, speaker=None) if u.split == "test3" else u for u in rows]
    tones.replace_utterances(rows).write(tmp_path / "manifest.csv")
    recipe = {
        "name": "tiny",
        "data": {"manifest": str(tmp_path / "manifest.csv")},
        "model": {"backbone": {"name": "wavlm", "config": tiny_wavlm}, "pooling": "mean"},
        "train": {"epochs": 1, "batch_seconds": 4},
    }
    write(tmp_path / "recipe.yaml", recipe)
    study = {
        "description": "Three ways to pool.",
        "seeds": [0, 1],
        "tests": ["test", "test3"],
        "metrics": ["uar", "macro_f1"],
        "steps": [
            {"name": "mean", "recipe": "recipe.yaml"},
            {"name": "std", "recipe": "recipe.yaml", "set": {"model.pooling": "std"}},
            {"name": "best", "from": ["mean", "std"], "set": {"train.head_lr": 1e-2}},
        ],
    }
    write(tmp_path / "pooling.yaml", study)
    return tmp_path / "pooling.yaml"


@pytest.fixture(scope="module")
def finished(source) -> Path:
    """The folder of the study after it has run: to be looked at, or copied."""
    from emotune.cli import app

    arguments = ["study", str(source), "-o", str(source.parent / "out"), "--resamples", "200"]
    app(arguments, standalone_mode=False)
    return source.parent / "out"


@pytest.fixture
def written(source, tmp_path) -> Path:
    """The same study in a folder of this test's own, to be changed."""
    shutil.copy(source, tmp_path)
    shutil.copy(source.with_name("recipe.yaml"), tmp_path)
    return tmp_path / source.name


def write(path, content):
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def change(path, **changes):
    write(path, yaml.safe_load(path.read_text()) | changes)


def test_three_steps_and_two_seeds_become_one_table_and_one_page(finished):
    out = finished
    found = json.loads((out / "study.json").read_text())
    steps = {step["name"]: step for step in found["steps"]}
    assert steps["std"]["changes"] == ["model.pooling: mean → std"]
    assert steps["std"]["against"] == "mean"
    assert steps["mean"]["against"] is None

    # what `from` chose: the higher mean development score, and its recipe with the step's own changes on top
    candidates = steps["best"]["candidates"]
    assert candidates == {name: steps[name]["development"] for name in ("mean", "std")}
    chosen = max(candidates, key=lambda name: candidates[name])
    assert steps["best"]["starts_from"] == steps["best"]["against"] == chosen
    recipe = yaml.safe_load((out / "runs" / "best" / "seed_1" / "recipe.yaml").read_text())
    assert (recipe["model"]["pooling"], recipe["train"]["head_lr"], recipe["seed"]) == (chosen, 0.01, 1)

    # scores of a step are means over its seeds, and its differences are against its predecessor
    test = found["tests"]["test"]
    assert set(found["tests"]) == {"test"}
    for name, of_runs in test["of_runs"].items():
        reports = [json.loads((out / "runs" / name / f"seed_{n}" / "test" / "report.json").read_text()) for n in (0, 1)]
        assert [of_runs["0"], of_runs["1"]] == pytest.approx([r["overall"]["uar"]["value"] for r in reports])
        assert test["comparison"]["scores"]["uar"][name]["value"] == pytest.approx((of_runs["0"] + of_runs["1"]) / 2)
    named = [(d["metric"], d["baseline"], d["system"]) for d in test["comparison"]["differences"]]
    assert named == [(m, a, b) for m in ("uar", "macro_f1") for a, b in (("mean", "std"), (chosen, "best"))]

    # whom it helped: recall of each class and UAR of each gender, whose mean over classes is the whole difference
    std = [item for item in test["helped"] if item["system"] == "std"]
    assert [(i["by"], i["name"]) for i in std] == [
        ("class", "anger"), ("class", "neutral"), ("gender", "female"), ("gender", "male")
    ]  # fmt: skip
    recalls = [item["estimate"]["value"] for item in std if item["by"] == "class"]
    assert sum(recalls) / 2 == pytest.approx(test["comparison"]["differences"][0]["estimate"]["value"])

    # the split without labels is predicted, not scored
    assert found["predicted_only"] == ["test3"]
    for step in steps:
        assert len(Predictions.read(out / "runs" / step / "seed_0" / "test3" / "predictions.csv")) == 4
        assert not (out / "runs" / step / "seed_0" / "test3" / "report.html").exists()
    page = (out / "study.html").read_text()
    assert page.count("<svg") == 5  # two forests for each metric, and who was helped
    assert "http" not in page.replace("http://www.w3.org", "")
    assert str(out.parent) not in page + (out / "study.md").read_text() + (out / "study.json").read_text()


def test_csv_markdown_json_and_terminal_say_the_same(source, finished, tmp_path, emotune_command):
    shutil.copytree(finished, tmp_path / "out")
    ended = emotune_command("study", source, "-o", tmp_path / "out", "--resamples", "200")
    assert ended.code == 0, ended.err
    assert ended.err.count("done before") == 6
    found = json.loads((tmp_path / "out" / "study.json").read_text())
    assert found == json.loads((finished / "study.json").read_text())
    comparison = found["tests"]["test"]["comparison"]
    with (tmp_path / "out" / "study.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    markdown = (tmp_path / "out" / "study.md").read_text()
    page = (tmp_path / "out" / "study.html").read_text()
    assert [(row["metric"], row["step"]) for row in rows] == [
        (metric, step) for metric in ("uar", "macro_f1") for step in ("mean", "std", "best")
    ]
    for row in rows:
        score = comparison["scores"][row["metric"]][row["step"]]
        assert float(row["score"]) == score["value"]
        for text in (markdown, page, ended.out):
            assert f"{score['value']:.3f}" in text
        difference = [
            d for d in comparison["differences"] if (d["metric"], d["system"]) == (row["metric"], row["step"])
        ]
        assert len(difference) == (row["step"] != "mean")
        for item in difference:
            assert float(row["difference"]) == item["estimate"]["value"]
            assert float(row["corrected_p"]) == item["corrected_p"]
            assert row["verdict"] == item["verdict"]
            told = (item["verdict"], f"{item['system']} and {item['baseline']}")
            assert all(any(words in text for words in told) for text in (markdown, ended.out))
            assert f"{item['estimate']['value']:+.3f}" in page
            assert f"{item['estimate']['value']:+.3f}" in markdown


@pytest.mark.load
def test_an_interrupted_study_goes_on_and_keeps_what_is_finished(
    source, finished, tmp_path, monkeypatch, emotune_command
):

    shutil.copytree(finished, tmp_path / "out")
    for gone in ("mean/seed_1", "std/seed_0", "best"):
        shutil.rmtree(tmp_path / "out" / "runs" / gone)
    started = []

    def stopped(run, *rest):
        started.append(run.title)
        if run.title == "std, seed 0":
            raise KeyboardInterrupt
        return carry_out(run, *rest)

    with monkeypatch.context() as patched:
        patched.setattr("emotune.studies.run.run", partial(run_study, run_one=stopped))
        ended = emotune_command("study", source, "-o", tmp_path / "out")
    assert ended.code == 130
    assert "the same command continues" in ended.err
    assert started == ["mean, seed 1", "std, seed 0"]
    weights = tmp_path / "out" / "runs" / "mean" / "seed_0" / "model" / "model.safetensors"
    kept = weights.stat().st_mtime_ns
    ended = emotune_command("study", source, "-o", tmp_path / "out", "--resamples", "200")
    assert ended.code == 0, ended.err
    assert "mean, seed 1: done before" in ended.err
    assert weights.stat().st_mtime_ns == kept
    again, whole = (json.loads((folder / "study.json").read_text()) for folder in (tmp_path / "out", finished))
    assert again["tests"] == whole["tests"]


@pytest.mark.load
def test_a_run_killed_in_the_middle_of_training_continues_from_its_checkpoint(
    written, tmp_path, monkeypatch, emotune_command
):
    from emotune.training.loop import trainer

    change(written, steps=[{"name": "mean", "recipe": "recipe.yaml"}], seeds=[0])
    arguments = ("study", written, "train.epochs=3", "--resamples", "200", "-o")
    assert emotune_command(*arguments, tmp_path / "whole").code == 0
    real, epochs = trainer.Trainer._run_epoch, []

    def killed(self, epoch, *rest):
        epochs.append(epoch)
        if len(epochs) == 2:
            raise KeyboardInterrupt
        return real(self, epoch, *rest)

    monkeypatch.setattr(trainer.Trainer, "_run_epoch", killed)
    assert emotune_command(*arguments, tmp_path / "cut").code == 130
    assert emotune_command(*arguments, tmp_path / "cut").code == 0
    assert epochs == [0, 1, 1, 2]  # as the epoch that was cut begins again
    whole, cut = (
        Predictions.read(tmp_path / name / "runs" / "mean" / "seed_0" / "test" / "predictions.csv")
        for name in ("whole", "cut")
    )
    assert [row.probabilities for row in whole] == [row.probabilities for row in cut]


def test_a_run_that_fails_is_named_and_the_others_go_on(written, tmp_path, emotune_command):
    steps = yaml.safe_load(written.read_text())["steps"]
    steps[2] = {"name": "broken", "recipe": "recipe.yaml", "set": {"data.dimensions": ["valence"]}}
    steps.append({"name": "after", "from": ["mean", "broken"]})
    change(written, steps=steps, seeds=[0])
    ended = emotune_command("study", written, "-o", tmp_path / "out", "--resamples", "200")
    assert ended.code == 1
    assert "Traceback" not in ended.err
    assert "missing: broken, seed 0: data.dimensions: valence not in the manifest" in ended.err
    assert "missing: after: it needs the runs of steps that are not all finished: broken" in ended.err
    found = json.loads((tmp_path / "out" / "study.json").read_text())
    assert list(found["tests"]["test"]["comparison"]["scores"]["uar"]) == ["mean", "std"]
    for name in ("study.html", "study.md"):
        assert "valence not in the manifest" in (tmp_path / "out" / name).read_text()


@pytest.mark.load
def test_runs_at_a_time_give_what_runs_in_turn_give(source, finished, tmp_path, emotune_command):
    shutil.copytree(finished, tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "runs" / "std" / "seed_0")
    shutil.rmtree(tmp_path / "out" / "runs" / "best")
    ended = emotune_command("study", source, "-o", tmp_path / "out", "--runs-at-a-time", "2", "--resamples", "200")
    assert ended.code == 0, ended.err
    assert "std, seed 0: test uar" in ended.err
    for run in ("std/seed_0", "best/seed_0", "best/seed_1"):
        first, second = (
            Predictions.read(folder / "runs" / run / "test" / "predictions.csv")
            for folder in (tmp_path / "out", finished)
        )
        assert [row.probabilities for row in first] == [pytest.approx(row.probabilities, abs=1e-5) for row in second]


def test_a_changed_recipe_is_refused_before_anything_runs(source, finished, emotune_command):
    ended = emotune_command("study", source, "train.head_lr=0.5", "-o", finished)
    assert ended.code == 2
    assert "holds a run of another recipe (train.head_lr: 0.001 → 0.5)" in ended.err


def test_finished_runs_of_other_data_are_not_taken_for_those_of_this_study(
    source, finished, tones, tmp_path, emotune_command
):
    other = tmp_path / "other.csv"
    tones.write(other)
    ended = emotune_command("study", source, f"data.manifest={other}", "-o", finished)
    assert ended.code == 2
    assert "holds a run of another recipe (data.manifest: manifest.csv → other.csv)" in ended.err


def test_finished_runs_are_known_by_another_spelling_of_their_data(source, finished, monkeypatch, emotune_command):
    monkeypatch.chdir(source.parent)
    ended = emotune_command("study", source, "data.manifest=manifest.csv", "-o", finished, "--resamples", "200")
    assert ended.code == 0, ended.err
    assert "std, seed 0: done before" in ended.err


def test_all_faults_of_a_study_are_told_at_once(written, tmp_path, emotune_command):
    steps = [
        {"name": "mean", "recipe": "recipe.yaml", "set": {"model.poling": "mean"}},
        {"name": "std", "recipe": "nowhere/at_all"},
        {"name": "best", "from": ["mean"], "set": {"train.epochs": 0}},
    ]
    change(written, steps=steps)
    ended = emotune_command("study", written, "-o", tmp_path / "out")
    assert ended.code == 2
    assert "steps mean, best: model.poling: Unknown key 'poling', did you mean 'pooling'" in ended.err
    assert ended.err.count("did you mean 'pooling'") == 1
    assert "step std: There is no file nowhere/at_all" in ended.err
    assert "step best: train.epochs" in ended.err
    assert not (tmp_path / "out").exists()


def test_a_study_that_does_not_fit_together_is_refused(written, tmp_path, emotune_command):
    steps = [
        {"name": "mean", "recipe": "recipe.yaml", "from": ["mean"]},
        {"name": "mean", "from": ["late"]},
        {"name": "late", "recipe": "recipe.yaml", "aganst": "mean"},
    ]
    change(written, steps=steps, sedes=[1])
    ended = emotune_command("study", written, "-o", tmp_path / "out")
    assert ended.code == 2
    for fault in ("did you mean 'seeds'", "did you mean 'against'", "steps.0: give either recipe, or from"):
        assert fault in ended.err
    change(written, steps=[{"name": "a", "recipe": "recipe.yaml"}, {"name": "a", "from": ["late"]}])
    document = yaml.safe_load(written.read_text())
    del document["sedes"]
    write(written, document)
    ended = emotune_command("study", written, "-o", tmp_path / "out")
    assert "steps: given twice: a" in ended.err
    assert "step a, from: Unknown step 'late'. Known: a." in ended.err


def test_a_test_split_that_the_data_lack_is_said_before_training(written, tmp_path, emotune_command):
    ended = emotune_command("study", written, "tests=[test, test4]", "-o", tmp_path / "out")
    assert ended.code == 2
    assert "no utterance in split 'test4'" in ended.err
    assert not list((tmp_path / "out").glob("runs/*"))


@pytest.mark.drawn
def test_a_study_of_dimensions_compares_ccc(written, tmp_path, tones, emotune_command):
    from emotune.schema.labels import LabelSpace, Scale

    rows = [
        dataclasses.replace(u, split=SPLIT_OF[u.speaker or ""], emotion=None, dimensions={"arousal": 1.0 + n % 5})
        for n, u in enumerate(tones)
    ]
    manifest = dataclasses.replace(tones, label_space=LabelSpace((), {"arousal": Scale(1, 7)}))
    manifest.replace_utterances(rows).write(tmp_path / "own.csv")
    common = {"data.classes": False, "data.dimensions": ["arousal"], "train.metric": "ccc"}
    common["data.manifest"] = str(tmp_path / "own.csv")
    steps = yaml.safe_load(written.read_text())["steps"][:2]
    change(written, metrics=[], tests=["test"], seeds=[0], set=common, steps=steps)
    ended = emotune_command("study", written, "-o", tmp_path / "out", "--resamples", "200")
    assert ended.code == 0, ended.err
    test = json.loads((tmp_path / "out" / "study.json").read_text())["tests"]["test"]
    assert list(test["comparison"]["scores"]) == ["ccc"]
    assert {(item["by"], item["name"]) for item in test["helped"]} == {
        ("dimension", "arousal"), ("gender", "female"), ("gender", "male")
    }  # fmt: skip
    predictions = Predictions.read(tmp_path / "out" / "runs" / "mean" / "seed_0" / "test" / "predictions.csv").by_id()
    truth = manifest.replace_utterances(rows).split("test")
    values = [(u.dimensions["arousal"], predictions[u.utterance_id].dimensions["arousal"]) for u in truth]
    by_hand = ccc(*zip(*values, strict=True))
    assert test["comparison"]["scores"]["ccc"]["mean"]["value"] == pytest.approx(by_hand)


def test_a_study_of_probes_under_a_protocol_compares_what_the_folds_tested(written, tmp_path, tones, emotune_command):
    labelled = tones.replace_utterances([dataclasses.replace(u, split=None) for u in tones])
    labelled.write(tmp_path / "own.csv")
    groups = {"folds": [["s0", "s1"], ["s2", "s3"], ["s4", "s5"]]}
    write(tmp_path / "protocol.yaml", {"corpus": "tones", "groups": groups})
    common = {"protocol": str(tmp_path / "protocol.yaml"), "probe.cache": str(tmp_path / "cache")}
    common["data.manifest"] = str(tmp_path / "own.csv")
    steps = [
        {"name": "mean", "recipe": "recipe.yaml", "set": {"probe.pooling": "mean"}},
        {"name": "both", "recipe": "recipe.yaml", "set": {"probe.pooling": "mean_std"}},
        {"name": "pitch", "recipe": "recipe.yaml", "kind": "baseline"},
    ]
    change(written, kind="probe", seeds=[0], set=common, steps=steps)
    ended = emotune_command("study", written, "-o", tmp_path / "out", "--resamples", "200")
    assert ended.code == 0, ended.err
    found = json.loads((tmp_path / "out" / "study.json").read_text())
    assert list(found["tests"]) == ["all"]
    assert found["tests"]["all"]["comparison"]["compared"] == 24
    assert set(found["tests"]["all"]["comparison"]["scores"]["uar"]) == {"mean", "both", "pitch"}
    folds = [
        json.loads(path.read_text())["overall"]["uar"]["value"]
        for path in (tmp_path / "out" / "runs" / "mean" / "seed_0").glob("fold_*/development/report.json")
    ]
    assert len(folds) == 3
    assert found["steps"][0]["development"] == pytest.approx(sum(folds) / 3)


def test_a_gender_predictor_is_a_step_that_another_one_uses(written, tmp_path, emotune_command):
    predicted = {"source": "predicted", "predictor": "{run:gender_model}"}
    steps = [
        {"name": "gender_model", "recipe": "recipe.yaml", "set": {"data.target": "gender"}, "scored": False},
        {"name": "mean", "recipe": "recipe.yaml"},
        {"name": "gender", "from": "mean", "set": {"model.conditions.gender": predicted}},
    ]
    change(written, steps=steps, seeds=[0])
    ended = emotune_command("study", written, "-o", tmp_path / "out", "--resamples", "200")
    assert ended.code == 0, ended.err
    folder = tmp_path / "out" / "runs" / "gender" / "seed_0"
    for split in ("test", "test3"):
        rows = Predictions.read(folder / split / "predictions.csv")
        assert {row.conditions_used for row in rows} == {"gender=predicted"}
    found = json.loads((tmp_path / "out" / "study.json").read_text())
    assert [(d["baseline"], d["system"]) for d in found["tests"]["test"]["comparison"]["differences"]] == [
        ("mean", "gender")
    ] * 2


def test_bundled_studies_are_listed_apart_from_recipes_and_can_be_read(tmp_path, emotune_command):
    from emotune.studies.load import load_study
    from emotune.studies.study import dump_study

    names = [line.partition(":")[0] for line in emotune_command("studies").out.splitlines()]
    assert "demo/poolings" in names
    assert not any(line.startswith("studies/") for line in emotune_command("recipes").out.splitlines())
    for name in names:
        place = ["data.manifest=m.csv", "data.corpus=null", "data.root=null"]
        plan = load_study(name, place)
        assert plan.study.name == name
        (tmp_path / "again.yaml").write_text(dump_study(plan.study))
        assert load_study(tmp_path / "again.yaml", place).study == plan.study
