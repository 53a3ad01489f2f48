"""Learning curves of a study without training: steps at every value, their seeds, and who is compared with whom."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from emotune.cli.study import print_plan, print_study
from emotune.config.reading import dump_recipe
from emotune.errors import ConfigError
from emotune.io.tables import to_json, write_text
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Prediction, Predictions
from emotune.schema.run_folder import RunFolder
from emotune.schema.utterance import Utterance
from emotune.studies.load import load_study
from emotune.studies.outlook import in_words, outlook
from emotune.studies.run import run as run_study
from emotune.studies.study import Study, dump_study

CLASSES = ("anger", "neutral")
CURVE = {"key": "data.budget", "values": [0.1, 1.0], "seeds": {0.1: [0, 1]}}
STEPS = [
    {"name": "heard", "recipe": "pretraining.yaml", "scored": False},
    {"name": "scratch", "recipe": "recipe.yaml"},
    {
        "name": "pretrained",
        "recipe": "recipe.yaml",
        "set": {"model.start": "{run:heard}", "model.backbone": {"train": "none"}},
    },
    {"name": "probe", "recipe": "recipe.yaml", "kind": "probe", "against": "scratch"},
]
SKILL = {"scratch-0.1": 0.6, "pretrained-0.1": 0.9, "scratch-1": 0.85, "pretrained-1": 0.9, "probe-1": 0.8}


def corpus(root: Path) -> Manifest:
    splits = ("train", "development", "test", "test")
    rows = [
        Utterance(
            f"u{n:03d}",
            f"{n}.wav",
            speaker=f"s{n // 10:02d}",
            split=splits[n // 10 % 4],
            emotion=CLASSES[n % 2],
        )
        for n in range(240)
    ]
    return Manifest(tuple(rows), LabelSpace(CLASSES), root)


def untrained(run, *_):
    """Leaves what training would, with answers of a known skill."""
    own, manifest = RunFolder(run.folder), corpus(run.folder)
    manifest.write(own.manifest)
    write_text(own.recipe, dump_recipe(run.recipe))
    write_text(own.provenance, to_json({"recipe": run.recipe.name, "finished": "now", "seconds": 60.0, "kind": "x"}))
    if run.recipe.task is not None:
        backbone = {"model_type": "wavlm", "final_norm": False}
        config = {"schema": "s", "backbone": backbone, "heads": [], "layer_mix": "last", "pooling": "std"}
        write_text(own.model / "config.json", json.dumps(config))
        write_text(own.model / "preprocessor_config.json", "{}")
        write_text(own.model / "model.safetensors", "")
        return "heard"
    generator = np.random.default_rng(run.seed)
    for split in ("development", "test"):
        rows = []
        for u in manifest.split(split):
            right = generator.random() < SKILL.get(run.step, 0.7)
            shares = {name: 0.8 if (name == u.emotion) == right else 0.2 for name in CLASSES}
            rows.append(Prediction(u.utterance_id, shares))
        Predictions(tuple(rows), manifest.label_space).write(own.results(split) / "predictions.csv")
        write_text(own.results(split) / "report.html", "")
    return "done"


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("curve")
    corpus(folder).write(folder / "manifest.csv")
    recipe = {
        "name": "tiny",
        "data": {"manifest": str(folder / "manifest.csv")},
        "model": {"backbone": {"name": "wavlm", "config": {}}, "layer_mix": "last", "pooling": "std"},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    (folder / "pretraining.yaml").write_text(yaml.safe_dump({**recipe, "task": {"name": "views"}}))
    study = {"seeds": [0], "curve": CURVE, "steps": STEPS}
    (folder / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    return folder / "study.yaml"


def test_every_scored_step_is_there_at_each_value_and_compared_at_the_same(source):
    plan = load_study(source)
    assert plan.study.scored_steps == [
        *("scratch-0.1", "pretrained-0.1", "probe-0.1"),
        *("scratch-1", "pretrained-1", "probe-1"),
    ]
    assert {step.name: step.against for step in plan.study.steps} == {
        **{"heard": None, "scratch-0.1": None, "scratch-1": None},
        **{f"{name}-{value}": f"scratch-{value}" for name in ("pretrained", "probe") for value in ("0.1", "1")},
    }
    assert (plan.seeds("heard"), plan.seeds("probe-0.1"), plan.seeds("probe-1")) == ([0], [0, 1], [0])
    assert (plan.kind("probe-1"), plan.kind("scratch-1")) == ("probe", "train")
    assert plan.recipe("scratch-0.1", 0, {}).data.budget == 0.1
    again = Study.model_validate(yaml.safe_load(dump_study(plan.study)))
    assert again == plan.study, "what is written into the folder of the study reads back to the same"


def test_seeds_of_a_step_go_before_those_of_the_curve(source):
    study = yaml.safe_load(source.read_text(encoding="utf-8"))
    study["steps"][-1]["seeds"] = [7]
    own = source.with_name("own_seeds.yaml")
    write_text(own, yaml.safe_dump(study))
    plan = load_study(own)
    assert {plan.seeds(name)[0] for name in ("probe-0.1", "probe-1")} == {7}
    assert plan.seeds("pretrained-0.1") == [0, 1]


def test_one_pre_training_serves_all_seeds_and_an_override_of_the_encoder_reaches_it(source):
    plan = load_study(source, ["model.backbone.layers=3"])
    before = plan.recipe("pretrained-0.1", 1, {}, source.parent / "none")
    assert before.model.start is None, "it stands for the recipe until there is something to start from"
    assert (before.model.backbone.train, before.model.backbone.layers) == ("none", 3)
    out = source.parent / "one"
    untrained(_Run(plan, out))
    later = plan.recipe("pretrained-0.1", 1, {}, out)
    assert later.model.start == str(out / "runs" / "heard" / "seed_0")
    assert (later.model.layer_mix, later.model.pooling) == ("last", "std")


class _Run:
    def __init__(self, plan, out: Path) -> None:
        self.step, self.seed, self.folder = "heard", 0, out / "runs" / "heard" / "seed_0"
        self.recipe = plan.recipe("heard", 0, {})


@pytest.mark.load
def test_the_curve_is_a_table_and_a_picture_with_differences_at_each_value(source, tmp_path, capsys):
    result = run_study(source, tmp_path / "out", resamples=300, run_one=untrained)
    assert not result.missing
    (test,) = result.tests
    assert test.comparison.runs == {
        step: 2 if step.endswith("0.1") else 1 for step in load_study(source).study.scored_steps
    }
    found = test.difference("pretrained-0.1", "uar")
    scores = test.comparison.scores["uar"]
    assert found is not None
    assert found.baseline == "scratch-0.1"
    gain = scores["pretrained-0.1"].value - scores["scratch-0.1"].value
    assert found.estimate.value == pytest.approx(gain)
    assert gain > 0.15
    page, markdown = ((tmp_path / "out" / f"study.{kind}").read_text() for kind in ("html", "md"))
    assert "UAR over share of labels" in page and "trained with 1 to 2 seeds each" in page
    row = next(line for line in markdown.splitlines() if line.startswith("| pretrained |"))
    assert f"{scores['pretrained-0.1'].value:.3f} [" in row
    assert f"{gain:+.3f} (p " in row
    written = json.loads((tmp_path / "out" / "study.json").read_text())
    assert written["curve"]["lines"]["scratch"] == {"0.1": "scratch-0.1", "1.0": "scratch-1"}
    print_study(result)
    assert "over share of labels" in capsys.readouterr().out


@pytest.mark.load
def test_the_outlook_counts_runs_and_reckons_with_those_that_are_done(source, tmp_path, capsys):
    plan = load_study(source)
    assert in_words(outlook(plan, tmp_path)).startswith("10 runs are left, 10 trainings; not known of 7 steps")
    run_study(load_study(source, ["curve.values=[0.1, 1.0]"]), tmp_path, resamples=300, run_one=untrained)
    (tmp_path / "runs" / "scratch-1" / "seed_0" / "provenance.json").unlink()
    assert in_words(outlook(plan, tmp_path)).startswith("1 runs are left, 1 trainings; about 1 min by the runs")
    print_plan(plan, tmp_path)
    assert "10 runs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"curve": {**CURVE, "values": [0.1, 0.1]}}, "given twice: 0.1"),
        ({"curve": {**CURVE, "seeds": {0.3: [0]}}}, "seeds: 0.3 is none of the values"),
        ({"fuse": {"systems": ["scratch", "probe"]}}, "fuse goes seed by seed"),
        ({"steps": [{**STEPS[0], "scored": True}, *STEPS[1:]]}, r"data\.budget does nothing for task views"),
    ],
)
def test_what_cannot_be_drawn_is_said_before_anything_runs(source, tmp_path, change, said):
    study = {**yaml.safe_load(source.read_text()), **change}
    for name in ("recipe.yaml", "pretraining.yaml"):
        (tmp_path / name).write_text((source.parent / name).read_text())
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    with pytest.raises(ConfigError, match=said):
        load_study(tmp_path / "study.yaml")
