"""Studies without training: predictions of a chosen skill stand for those of trained models."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from emotune.cli.study import print_study
from emotune.config.reading import dump_recipe
from emotune.errors import ConfigError
from emotune.evaluation import scores
from emotune.evaluation.comparing.by_group import gains_by_group
from emotune.evaluation.comparing.compare import compare
from emotune.evaluation.comparing.line_up import System
from emotune.fusion import runs as fused_runs
from emotune.io.tables import to_json, write_text
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Prediction, Predictions
from emotune.schema.run_folder import RunFolder
from emotune.schema.utterance import Utterance
from emotune.studies import fusion as study_fusion
from emotune.studies.carry_out import carry_out
from emotune.studies.load import load_study
from emotune.studies.outlook import outlook
from emotune.studies.page import write_study
from emotune.studies.plan import as_override
from emotune.studies.run import run as run_study
from emotune.studies.study import Fuse, Study, StudyStep
from emotune.studies.words import below_chance, verdicts

CLASSES = ("anger", "neutral")
SPACE = LabelSpace(CLASSES)
SPLITS = ("development", "test", "test")
SKILL = {"mean": (0.9, 0.5), "std": (0.6, 0.95), "best": (0.7, 0.7), "other": (0.7, 0.7)}
"""Of each step on development and on test, which point at different steps."""


def corpus(root) -> Manifest:
    rows = [
        Utterance(
            f"u{n:03d}",
            f"{n}.wav",
            speaker=f"s{n // 20:02d}",
            gender=("female", "male")[n // 20 % 2],
            split=SPLITS[n // 20 % 3],
            emotion=CLASSES[n % 2],
        )
        for n in range(360)
    ]
    return Manifest(tuple(rows), SPACE, root)


def answers(manifest: Manifest, skill: float, seed: int) -> Predictions:
    """Right with the probability ``skill``, else the other class."""
    generator = np.random.default_rng(seed)
    rows = []
    for utterance in manifest:
        right = generator.random() < skill
        said = utterance.emotion if right else next(name for name in CLASSES if name != utterance.emotion)
        rows.append(Prediction(utterance.utterance_id, {name: 0.8 if name == said else 0.2 for name in CLASSES}))
    return Predictions(tuple(rows), SPACE)


def untrained(run, *_):
    """Leave what training would, without training."""
    own, manifest = RunFolder(run.folder), corpus(run.folder)
    manifest.write(own.manifest)
    write_text(own.recipe, dump_recipe(run.recipe))
    finished = {"recipe": run.recipe.name, "finished": "now", "seconds": 10.0, "parameters": 7, "trainable": 3}
    write_text(own.provenance, to_json(finished))
    for split, skill in zip(("development", "test"), SKILL.get(run.step, (0.5, 0.5)), strict=True):
        part = manifest.split(split)
        answers(part, skill, run.seed).write(own.results(split) / "predictions.csv")
        write_text(own.results(split) / "report.html", "")
    return "done"


def failing(is_broken, error, whole=untrained):
    """Carries runs out, but for some that fail."""

    def run_one(run, *rest):
        if is_broken(run):
            raise error
        return whole(run, *rest)

    return run_one


def written(tmp_path, steps, **more):
    corpus(tmp_path).write(tmp_path / "manifest.csv")
    recipe = {
        "name": "tiny",
        "data": {"manifest": str(tmp_path / "manifest.csv")},
        "model": {"backbone": {"name": "wavlm", "config": {}}},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({"seeds": [0, 1], "steps": steps, **more}, sort_keys=False))
    return tmp_path / "study.yaml"


def ran(path, folder, run_one=untrained):
    return run_study(path, folder, resamples=500, run_one=run_one)


STEPS = [
    {"name": "mean", "recipe": "recipe.yaml", "set": {"model.pooling": "mean"}},
    {"name": "std", "recipe": "recipe.yaml", "set": {"model.pooling": "std"}},
    {"name": "best", "from": ["mean", "std"], "set": {"model.dropout": 0.5}},
]


def test_the_best_is_chosen_on_development_whatever_the_test_says(tmp_path):
    result = ran(written(tmp_path, STEPS), tmp_path / "out")
    mean, std, best = result.steps
    assert mean.development > std.development
    scores = result.tests[0].comparison.scores["uar"]
    assert scores["mean"].value < scores["std"].value
    assert (best.choice.step, best.choice.seeds, best.against) == ("mean", (0, 1), "mean")
    assert best.changes == ("model.dropout: 0.3 → 0.5",)


def test_the_folds_of_a_protocol_are_counted_before_anything_is_trained(tmp_path):
    path = written(tmp_path, STEPS, set={"protocol": "folds", "data.corpus": None})
    rows = [
        dataclasses.replace(utterance, split=f"fold_{number % 5}")
        for number, utterance in enumerate(Manifest.read(tmp_path / "manifest.csv"))
    ]
    Manifest(tuple(rows), SPACE, tmp_path).write(tmp_path / "manifest.csv")
    plan = load_study(path)
    assert [step.folds for step in outlook(plan, tmp_path / "out")] == [5, 5, 5]


def test_what_is_taken_out_in_every_step_is_told_as_it_was_written(tmp_path):
    result = ran(written(tmp_path, STEPS, set={"data.corpus": None}), tmp_path / "out")
    assert result.common == ("data.corpus = null",)


def test_what_an_override_replaces_in_every_step_is_not_told_beside_it(tmp_path):
    path = written(tmp_path, STEPS, set={"model.dropout": 0.1, "data.corpus": None})
    plan = load_study(path, ["model.dropout=0.2"])
    result = run_study(plan, tmp_path / "out", resamples=500, run_one=untrained)
    assert result.common == ("data.corpus = null", "model.dropout = 0.2")


def test_a_step_is_compared_with_the_step_that_it_names(tmp_path):
    steps = [*STEPS[:2], {"name": "other", "recipe": "recipe.yaml", "against": "mean"}]
    result = ran(written(tmp_path, steps), tmp_path / "out")
    pairs = [(d.baseline, d.system) for d in result.tests[0].comparison.differences]
    assert pairs == [("mean", "std"), ("mean", "other")]


def test_a_step_that_is_not_scored_serves_others_by_its_run_folder(tmp_path):
    steps = [
        {"name": "helper", "recipe": "recipe.yaml", "set": {"data.target": "gender"}, "scored": False},
        STEPS[0],
        {
            "name": "other",
            "recipe": "recipe.yaml",
            "set": {"model.pooling": "mean", "model.conditions": {"gender": {"predictor": "{run:helper}"}}},
        },
    ]
    result = ran(written(tmp_path, steps), tmp_path / "out")
    for seed in (0, 1):
        recipe = yaml.safe_load((tmp_path / "out" / "runs" / "other" / f"seed_{seed}" / "recipe.yaml").read_text())
        helper = tmp_path / "out" / "runs" / "helper" / f"seed_{seed}"
        assert recipe["model"]["conditions"]["gender"]["predictor"] == str(helper)
    assert list(result.tests[0].comparison.scores["uar"]) == ["mean", "other"]
    assert result.steps[1].against is None
    write_study(tmp_path / "out", result)
    page = (tmp_path / "out" / "study.html").read_text()
    assert "Trained for other steps alone: helper." in page
    assert str(tmp_path) not in page
    assert "helper/seed_0" in page


def test_steps_can_only_name_earlier_ones_that_are_scored(tmp_path):
    steps = [
        {"name": "helper", "recipe": "recipe.yaml", "scored": False},
        {"name": "mean", "recipe": "recipe.yaml", "set": {"model.backbone.checkpoint": "{run:late}"}},
        {"name": "late", "from": "helper"},
        {"name": "rest", "recipe": "recipe.yaml", "against": "helper"},
    ]
    path = written(tmp_path, steps, fuse={"systems": ["mean", "helper"]}, set={"seed": 3})
    with pytest.raises(ConfigError) as error:
        load_study(path)
    for fault in (
        "step mean, set: late does not come before it",
        "step late, from: helper is not scored",
        "step rest, against: helper is not scored",
        "fuse.systems: Unknown step 'helper'",
        "set.seed: the study's seeds say that",
    ):
        assert fault in str(error.value)


def test_fused_runs_are_compared_with_the_best_step_on_development(tmp_path):
    result = ran(written(tmp_path, STEPS[:2], fuse={"name": "both"}), tmp_path / "out")
    comparison = result.tests[0].comparison
    assert comparison.runs["both"] == 2
    assert [(d.baseline, d.system) for d in comparison.differences] == [("mean", "std"), ("mean", "both")]
    fused = [tmp_path / "out" / "fused" / f"seed_{n}" / "test" for n in (0, 1)]
    truth = corpus(tmp_path).split("test")
    by_hand = [scores(truth, Predictions.read(folder / "predictions.csv"))["uar"] for folder in fused]
    assert result.tests[0].of_runs["both"] == dict(enumerate(by_hand))
    weights = [json.loads((folder / "fusion.json").read_text())["folds"][""]["weights"] for folder in fused]
    assert all(sum(own.values()) == pytest.approx(1) for own in weights)
    write_study(tmp_path / "out", result)
    assert "weights, on average mean " in (tmp_path / "out" / "study.md").read_text()


def test_with_several_tasks_the_fused_one_is_compared(tmp_path):
    def with_arousal(run, *rest):
        untrained(run, *rest)
        space = LabelSpace(CLASSES, {"arousal": Scale(1, 7)})
        own = RunFolder(run.folder)
        manifest = Manifest.read(own.manifest)
        rows = [dataclasses.replace(u, dimensions={"arousal": 1.0 + n % 6}) for n, u in enumerate(manifest)]
        dataclasses.replace(manifest, label_space=space, utterances=tuple(rows)).write(own.manifest)
        for split in ("development", "test"):
            table = Predictions.read(own.results(split) / "predictions.csv")
            told = [dataclasses.replace(row, dimensions={"arousal": 1.0 + n % 5}) for n, row in enumerate(table)]
            Predictions(tuple(told), space).write(own.results(split) / "predictions.csv")

    both = {"metrics": ["uar", "ccc"], "set": {"data.dimensions": ["arousal"]}}
    result = ran(written(tmp_path, STEPS[:2], fuse={}, **both), tmp_path / "out", with_arousal)
    assert list(result.tests[0].comparison.scores) == ["uar"]
    assert list(result.tests[0].comparison.scores["uar"]) == ["mean", "std", "fused"]
    alone = ran(written(tmp_path, STEPS[:2], **both), tmp_path / "out", with_arousal)
    assert list(alone.tests[0].comparison.scores) == ["uar", "ccc"]


def test_what_cannot_be_fused_is_noted_and_the_rest_is_there(tmp_path, monkeypatch):
    def fit_runs(*_, **__):
        raise ConfigError("no way to fuse these")

    monkeypatch.setattr(study_fusion, "fit_runs", fit_runs)
    result = ran(written(tmp_path, STEPS[:2], fuse={}), tmp_path / "out")
    assert result.notes == ("Not fused: no way to fuse these",)
    assert list(result.tests[0].comparison.scores["uar"]) == ["mean", "std"]
    with pytest.raises(ConfigError, match="did you mean 'stacking'"):
        load_study(written(tmp_path, STEPS[:2], fuse={"method": "staking"}))


def test_when_a_seed_is_missing_all_steps_are_compared_on_the_others(tmp_path):
    on_fire = failing(lambda run: run.title == "std, seed 0", RuntimeError("the disk is on fire"))
    path = written(tmp_path, STEPS[:2])
    result = ran(path, tmp_path / "out", on_fire)
    assert result.missing == ["std, seed 0: RuntimeError: the disk is on fire"]
    assert result.compared_seeds == (1,)
    assert set(result.tests[0].of_runs["mean"]) == {1}
    assert any("of seed 1 of 0, 1" in note for note in result.notes)
    again = ran(path, tmp_path / "out")
    assert again.missing == []
    assert again.compared_seeds == (0, 1)
    assert not list((tmp_path / "out").rglob("*.error.txt"))


def test_a_study_whose_runs_all_fail_still_writes_its_page(tmp_path):
    broken = failing(lambda _: True, ConfigError("nothing works"), carry_out)
    result = ran(written(tmp_path, STEPS), tmp_path / "out", broken)
    write_study(tmp_path / "out", result)
    assert len(result.missing) == 5
    for name in ("study.html", "study.md"):
        assert "nothing works" in (tmp_path / "out" / name).read_text()
    assert json.loads((tmp_path / "out" / "study.json").read_text())["tests"] == {}


def test_what_is_there_is_fused_when_a_step_fails_and_the_page_says_what_is_missing(tmp_path):
    broken = failing(lambda run: run.step == "broken", ConfigError("cannot be trained"))
    steps = [*STEPS[:2], {"name": "broken", "recipe": "recipe.yaml"}, {"name": "other", "recipe": "recipe.yaml"}]
    result = ran(written(tmp_path, steps, fuse={}), tmp_path / "out", broken)
    assert list(result.tests[0].comparison.scores["uar"]) == ["mean", "std", "other", "fused"]
    assert "fused is without broken, of which no run is finished." in result.notes
    assert any(note.startswith("other is not compared: broken, which") for note in result.notes)
    write_study(tmp_path / "out", result)
    assert "| broken (no results) |" in (tmp_path / "out" / "study.md").read_text()
    assert "no results of broken" in (tmp_path / "out" / "study.html").read_text()


def test_a_fusion_is_fitted_once_a_seed_whatever_the_number_of_tests(tmp_path, monkeypatch):
    fuse, fitted = fused_runs.fuse_tables, []

    def with_more(run, *rest):
        untrained(run, *rest)
        own = RunFolder(run.folder)
        Predictions.read(own.predictions("test")).write(own.predictions("test3"))

    def counted(*arguments, **more):
        fitted.append(arguments)
        return fuse(*arguments, **more)

    monkeypatch.setattr(fused_runs, "fuse_tables", counted)
    path = written(tmp_path, STEPS[:2], fuse={}, tests=["test", "test3"])
    manifest = corpus(tmp_path)
    row = dataclasses.replace(manifest.utterances[0], utterance_id="x", split="test3", emotion=None)
    manifest.replace_utterances([*manifest, row]).write(tmp_path / "manifest.csv")
    ran(path, tmp_path / "out", with_more)
    assert len(fitted) == 2
    assert (tmp_path / "out" / "fused" / "seed_1" / "test3" / "predictions.csv").exists()


@pytest.mark.parametrize("larger", ["mean", "std"])
def test_a_step_that_learns_from_more_utterances_is_compared_and_fused(tmp_path, larger):
    def with_more(run, *rest):
        untrained(run, *rest)
        if run.step != larger:
            return
        own = RunFolder(run.folder)
        manifest = Manifest.read(own.manifest)
        more = [dataclasses.replace(u, utterance_id=f"more {u.utterance_id}", emotion=None) for u in manifest]
        manifest.replace_utterances([*more, *manifest]).write(own.manifest)
        for split in ("development", "test"):
            table = Predictions.read(own.predictions(split))
            told = [dataclasses.replace(row, utterance_id=f"more {row.utterance_id}") for row in table]
            Predictions((*told, *table), SPACE).write(own.predictions(split))

    result = ran(written(tmp_path, STEPS[:2], fuse={}), tmp_path / "out", with_more)
    assert list(result.tests[0].comparison.scores["uar"]) == ["mean", "std", "fused"]
    assert result.tests[0].comparison.compared == len(corpus(tmp_path).split("test"))
    assert not any("ignored" in note for note in result.tests[0].comparison.notes)


def test_a_study_from_before_choices_were_written_down_is_read(tmp_path):
    path = written(tmp_path, STEPS)
    first = ran(path, tmp_path / "out")
    (tmp_path / "out" / "choices.json").unlink()
    again = ran(path, tmp_path / "out")
    assert again.missing == []
    assert again.to_json() == first.to_json()


def test_a_choice_that_runs_began_with_stays_when_seeds_are_added(tmp_path, monkeypatch):
    path = written(tmp_path, [*STEPS, {"name": "last", "from": "best"}], seeds=[0])
    first = ran(path, tmp_path / "out")
    assert first.steps[2].choice.step == "mean"
    monkeypatch.setitem(SKILL, "mean", (0.2, 0.5))
    monkeypatch.setitem(SKILL, "std", (1.0, 0.95))
    path = written(tmp_path, [*STEPS, {"name": "last", "from": "best"}], seeds=[0, 1])
    result = ran(path, tmp_path / "out")
    mean, std, best, last = result.steps
    assert std.development > mean.development
    assert result.missing == []
    assert (best.choice.step, best.choice.seeds) == ("mean", (0,))
    assert best.choice.candidates["mean"] > best.choice.candidates["std"]
    assert len(last.runs) == 2
    write_study(tmp_path / "out", result)
    for name in ("study.md", "study.html"):
        said = (tmp_path / "out" / name).read_text()
        assert f"chosen with seed 0 and kept since; over all finished seeds: mean {mean.development:.3f}" in said
    step = json.loads((tmp_path / "out" / "study.json").read_text())["steps"][2]
    assert (step["starts_from"], step["chosen_with_seeds"]) == ("mean", [0])
    for name in ("best", "last"):
        shutil.rmtree(tmp_path / "out" / "runs" / name)
    assert ran(path, tmp_path / "out").steps[2].choice.step == "std"


def test_a_step_whose_runs_started_from_another_one_is_its_own_fault_alone(tmp_path, monkeypatch):
    steps = [*STEPS, {"name": "other", "from": "mean"}]
    ran(written(tmp_path, steps, seeds=[0]), tmp_path / "out")
    (tmp_path / "out" / "choices.json").unlink()
    monkeypatch.setitem(SKILL, "mean", (0.2, 0.5))
    monkeypatch.setitem(SKILL, "std", (1.0, 0.95))
    result = ran(written(tmp_path, steps, seeds=[0, 1]), tmp_path / "out")
    assert len(result.missing) == 1
    assert "holds a run of another recipe (model.pooling: mean → std)" in result.missing[0]
    assert list(result.tests[0].comparison.scores["uar"]) == ["mean", "std", "other"]


def test_a_new_description_is_no_new_recipe(tmp_path):
    path = written(tmp_path, STEPS, seeds=[0])
    ran(path, tmp_path / "out")
    recipe = yaml.safe_load((tmp_path / "recipe.yaml").read_text())
    words = {"description": "Said better.", "notice": "Mind the step."}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe | words))
    result = ran(path, tmp_path / "out")
    assert result.missing == []
    assert result.notices == ("Mind the step.",)
    own = RunFolder(tmp_path / "out" / "runs" / "std" / "seed_0")
    before = own.recipe.read_text()
    write_text(own.provenance, to_json({"finished": None}))
    begun = []
    ran(path, tmp_path / "out", lambda run, *_: begun.append(dump_recipe(run.recipe)))
    assert begun == [before]  # a run that goes on is of the very recipe that it began with


FOLD_SKILL = {"mean": (0.9, 0.6, 0.9), "std": (0.6, 0.95, 0.6), "other": (0.55, 0.55, 0.55)}
"""Of each step on the development of each fold."""


def untrained_folds(run, *_):
    """Leave what three folds would, without training: fold k chooses by the speakers that fold k + 1 tests."""
    own = RunFolder(run.folder)
    manifest = corpus(run.folder)
    group = {u.utterance_id: int(str(u.speaker)[1:]) % 3 for u in manifest}
    tested = []
    for fold in range(3):
        inner = RunFolder(run.folder / f"fold_{fold + 1}")
        names = {fold: "test", (fold + 1) % 3: "development", (fold + 2) % 3: "train"}
        rows = [dataclasses.replace(u, split=names[group[u.utterance_id]]) for u in manifest]
        part = manifest.replace_utterances(rows)
        part.write(inner.manifest)
        write_text(inner.provenance, to_json({"finished": "now"}))
        skills = (FOLD_SKILL[run.step][fold], 0.7)
        for split, skill in zip(("development", "test"), skills, strict=True):
            table = answers(part.split(split), skill, 10 * run.seed + fold)
            table.write(inner.predictions(split))
        tested += table
    manifest.write(own.manifest)
    Predictions(tuple(tested), SPACE).write(own.predictions("all"))
    write_text(own.results("all") / "report.html", "")
    write_text(own.recipe, dump_recipe(run.recipe))
    write_text(own.provenance, to_json({"finished": "now", "seconds": 1.0}))


def test_under_folds_the_fused_system_meets_the_best_step_of_each_fold(tmp_path):
    groups = {"folds": [[f"s{n:02d}" for n in range(fold, 18, 3)] for fold in range(3)]}
    (tmp_path / "protocol.yaml").write_text(yaml.safe_dump({"corpus": "made up", "groups": groups}))
    steps = [*STEPS[:2], {"name": "other", "from": ["mean", "std"], "set": {"model.dropout": 0.5}}]
    path = written(tmp_path, steps, set={"protocol": str(tmp_path / "protocol.yaml")}, fuse={})
    result = ran(path, tmp_path / "out", untrained_folds)
    composed = [step for step in result.steps if step.is_composed]
    assert [(step.name, step.against) for step in composed] == [("best single", None), ("fused", "best single")]
    assert "fold_1 mean; fold_2 std; fold_3 mean" in composed[0].changes[0]
    truth = corpus(tmp_path)
    for seed in (0, 1):
        rows = []
        for fold, step in zip((1, 2, 3), ("mean", "std", "mean"), strict=True):
            folder = tmp_path / "out" / "runs" / step / f"seed_{seed}" / f"fold_{fold}"
            rows += Predictions.read(folder / "test" / "predictions.csv")
        by_hand = scores(truth, Predictions(tuple(rows), SPACE))["uar"]
        assert result.tests[0].of_runs["best single"][seed] == pytest.approx(by_hand)
    pairs = [(d.baseline, d.system) for d in result.tests[0].comparison.differences]
    assert pairs == [("mean", "std"), ("mean", "other"), ("best single", "fused")]
    write_study(tmp_path / "out", result)
    for name in ("study.md", "study.html", "study.json"):
        said = (tmp_path / "out" / name).read_text()
        assert "the development speakers of one fold are tested in another" in said
        assert "Never on a test split" not in said
        assert "best single" in said


def test_without_folds_nothing_is_said_of_them(tmp_path):
    result = ran(written(tmp_path, STEPS, fuse={}), tmp_path / "out")
    write_study(tmp_path / "out", result)
    said = (tmp_path / "out" / "study.html").read_text()
    assert "Never on a test split" in said
    assert "best single" not in said
    assert not any("fold" in note for note in result.notes)


def test_labels_that_differ_between_steps_are_refused(tmp_path):
    path = written(tmp_path, STEPS[:2])
    ran(path, tmp_path / "out")
    manifest = corpus(tmp_path)
    other = [u if u.utterance_id != "u021" else type(u)(**{**vars(u), "emotion": "anger"}) for u in manifest]
    assert manifest.utterances[21].emotion == "neutral"
    manifest.replace_utterances(other).write(tmp_path / "out" / "runs" / "std" / "seed_0" / "manifest.csv")
    with pytest.raises(ConfigError, match="labels in test: 1 have another label or speaker, such as u021"):
        ran(path, tmp_path / "out")


def test_given_pairs_are_corrected_as_one_family(tmp_path):
    manifest = corpus(tmp_path).split("test")
    systems = [
        System(name, (answers(manifest, skill, n),))
        for n, (name, skill) in enumerate({"a": 0.5, "b": 0.6, "c": 0.9, "d": 0.9}.items())
    ]
    pairs = [("a", "b"), ("b", "c"), ("c", "d")]
    found = compare(manifest, systems, pairs=pairs, metrics=["uar"], resamples=1000).differences
    assert [(d.baseline, d.system) for d in found] == pairs
    ordered = sorted(found, key=lambda d: d.p)
    largest = 0.0
    for rank, item in enumerate(ordered):  # Holm (1979): the k-th smallest p times how many are left, never falling
        largest = max(largest, min(1.0, item.p * (3 - rank)))
        assert item.corrected_p == pytest.approx(largest)
    every = compare(manifest, systems, all_pairs=True, metrics=["uar"], resamples=1000).differences
    assert {(d.baseline, d.system): d.p for d in every}["b", "c"] == found[1].p
    with pytest.raises(ConfigError, match="Unknown system 'e'"):
        compare(manifest, systems, pairs=[("a", "e")])


def test_what_helped_one_gender_and_one_class_alone_shows_there(tmp_path):
    manifest = corpus(tmp_path).split("test")
    first = answers(manifest, 0.5, 0)
    better = [
        Prediction(u.utterance_id, {"anger": 1.0, "neutral": 0.0})
        if u.gender == "male" and u.emotion == "anger"
        else row
        for u, row in zip(manifest, first, strict=True)
    ]
    systems = [System("a", (first, first)), System("b", (Predictions(tuple(better), SPACE),) * 2)]
    found = {item.name: item for item in gains_by_group(manifest, systems, [("a", "b")], resamples=500)}
    assert found["neutral"].estimate.value == found["female"].estimate.value == 0.0
    wrong = sum(
        u.gender == "male" and u.emotion == "anger" and row.emotion != "anger"
        for u, row in zip(manifest, first, strict=True)
    )
    angry = sum(u.emotion == "anger" for u in manifest)
    angry_men = sum(u.emotion == "anger" and u.gender == "male" for u in manifest)
    assert found["anger"].estimate.value == pytest.approx(wrong / angry)
    assert found["male"].estimate.value == pytest.approx(wrong / angry_men / 2)
    assert found["male"].is_sure
    assert not found["female"].is_sure
    assert (found["anger"].utterances, found["male"].utterances) == (angry, 2 * angry_men)


@pytest.mark.parametrize("value", ["std", 1e-5, None, True, ["01", 1], {"a": {"b": [1.5]}}, "a: b", "x\ny", "=", ""])
def test_a_value_survives_as_an_override(value):
    key, _, text = as_override("some.key", value).partition("=")
    assert key == "some.key"
    assert yaml.safe_load(text) == value


def test_an_override_of_one_step_changes_that_step_and_what_starts_from_it(tmp_path):
    path = written(tmp_path, STEPS)
    plan = load_study(path, ["steps.mean.model.dropout=0.1", "steps.mean.train.epochs=3", "seeds=[2]"])
    assert plan.study.seeds == [2]
    assert [plan.recipe(name, 2, {}).train.epochs == 3 for name in ("mean", "std")] == [True, False]
    best = plan.recipe("best", 2, {"best": "mean"})
    assert (best.train.epochs, best.model.dropout) == (3, 0.5)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("steps.maen.model.dropout=0.1", "did you mean 'mean'"),
        ("steps.mean=3", "'steps.mean=3': Expected steps.STEP.KEY=VALUE"),
        ("steps.mean.model.poolin=std", "did you mean 'pooling'"),
        ("steps.mean.seed=3", "set.seed: the study's seeds say that"),
    ],
)
def test_an_override_of_a_step_that_cannot_be_is_refused(tmp_path, override, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        load_study(written(tmp_path, STEPS), [override])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("metrics=[blah]", "Unknown metric 'blah'"),
        ("metrics=[ccc]", "Unknown metric 'ccc'"),
        ("train.epoch=3", "steps mean, std, best: train.epoch: Unknown key 'epoch'"),
        ("kind=probe", "step mean: a probe does not look at model.pooling"),
        ("model.conditions.text.encoder=e", "would give text to every step, and only some have it"),
        ("steps.mean.model.pooling='{run:best}'", "best does not come before it"),
    ],
)
def test_what_cannot_be_is_said_before_anything_runs(tmp_path, change, said):
    steps = [*STEPS, {"name": "text", "recipe": "recipe.yaml", "set": {"model.conditions.text.source": "given"}}]
    path = written(tmp_path, STEPS if change.startswith("train.epoch") else steps)
    with pytest.raises(ConfigError, match=re.escape(said)):
        load_study(path, [change])


def test_a_probe_of_a_recipe_with_a_task_is_refused_before_anything_runs(tmp_path):
    steps = [*STEPS, {"name": "own", "recipe": "own.yaml", "kind": "probe"}]
    path = written(tmp_path, steps)
    own = {"base": "recipe.yaml", "name": "own", "task": {"name": "semi_supervised"}}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(own))
    with pytest.raises(ConfigError, match="step own: A probe learns from labels alone: leave task: semi_supervised"):
        load_study(path)


def test_differences_that_were_not_found_are_told_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(SKILL, "near", (0.5, 0.51))
    monkeypatch.setitem(SKILL, "close", (0.5, 0.49))
    steps = [*STEPS[:2], *({"name": name, "recipe": "recipe.yaml", "against": "mean"} for name in ("near", "close"))]
    result = ran(written(tmp_path, steps), tmp_path / "out")
    found, *_ = result.tests[0].comparison.differences
    told, others = verdicts(result.tests[0], "uar")
    assert told == found.verdict and told.startswith("std scores higher than mean")
    assert others.startswith("Cannot be told apart") and "near and mean (" in others and "close and mean (" in others


def test_a_study_in_which_nothing_beats_chance_says_so_first(tmp_path, monkeypatch, capsys):
    for step in ("mean", "std"):
        monkeypatch.setitem(SKILL, step, (0.5, 0.5))
    result = ran(written(tmp_path, STEPS[:2], metrics=["macro_f1"]), tmp_path / "out")
    write_study(tmp_path / "out", result)
    (sentence,) = below_chance(result)
    assert sentence.startswith("No system is shown to beat chance: UAR 0.500 is what guessing gives")
    for name in ("study.html", "study.md"):
        content = (tmp_path / "out" / name).read_text(encoding="utf-8")
        assert 0 < content.index(sentence) < content.index("2 steps, trained with")
    print_study(result)
    assert capsys.readouterr().out.startswith(sentence)


def test_a_study_with_a_step_better_than_chance_has_no_such_word(tmp_path):
    result = ran(written(tmp_path, STEPS[:2]), tmp_path / "out")
    assert below_chance(result) == []


def test_the_study_in_the_documentation_has_every_key_and_reads(tmp_path):
    docs = (Path(__file__).parents[2] / "docs" / "how-to" / "study.md").read_text(encoding="utf-8")
    block = re.search(r"```yaml\n(.*?)```", docs, re.DOTALL)
    assert block is not None
    shown = yaml.safe_load(block.group(1))
    written(tmp_path, STEPS)
    (tmp_path / "my").mkdir()
    (tmp_path / "recipe.yaml").rename(tmp_path / "my" / "recipe.yaml")
    (tmp_path / "shown.yaml").write_text(block.group(1), encoding="utf-8")
    study = load_study(tmp_path / "shown.yaml", ["data.manifest=m.csv"]).study
    assert study.fused_steps == ["mean", "std", "gender"]
    assert set(shown) == {field.alias or name for name, field in Study.model_fields.items()}
    assert {key for step in shown["steps"] for key in step} == {
        field.alias or name for name, field in StudyStep.model_fields.items()
    }
    assert set(shown["fuse"]) == set(Fuse.model_fields)
