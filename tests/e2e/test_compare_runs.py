"""`emotune compare` and `emotune evaluate --shared-classes`, as a user types them."""

import dataclasses
import json
import math
import shutil

import numpy as np
import pytest

from builders.manifests import manifest_of, utterances
from builders.predictions import predictions_of, said
from builders.runs import finished_run
from emotune.evaluation import scores
from emotune.evaluation.comparing.shared_classes import on_shared_classes
from emotune.io.tables import write_text
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions
from emotune.schema.run_folder import RunFolder

CLASSES = ("anger", "happiness", "neutral")


def manifest_in(root, classes=CLASSES) -> Manifest:
    rows = utterances(
        96,
        name="u{:02d}",
        speaker=lambda n: f"s{n // 8}",
        split=lambda n: "train" if n < 16 else "test",
        emotion=lambda n: CLASSES[n % 3],
    )
    return manifest_of(*(u for u in rows if u.emotion in classes), classes=classes, root=root)


def run_in(folder, skill: float, seed: int, *, split="test", classes=CLASSES) -> RunFolder:
    """A run folder as training and `emotune evaluate` leave it, without the model."""
    manifest = manifest_in(folder, classes)
    part = manifest if split == "all" else manifest.split(split)
    generator = np.random.default_rng(seed)
    rows = []
    for utterance in part:
        answer = utterance.emotion if generator.random() < skill else classes[generator.integers(len(classes))]
        rows.append(said(utterance.utterance_id, answer, 0.6, classes=classes))
    about = {"model_fingerprint": "model", "manifest_fingerprint": part.fingerprint()}
    return finished_run(folder, manifest, {split: predictions_of(*rows, classes=classes, **about)}, recipe="r")


@pytest.fixture
def runs(tmp_path):
    return [run_in(tmp_path / name, skill, n) for n, (name, skill) in enumerate({"poor": 0.2, "good": 0.9}.items())]


@pytest.mark.drawn
def test_run_folders_are_compared_on_their_test_split(emotune_command, runs, tmp_path):
    named = [f"{run.path.name}={run.path}" for run in runs]
    ended = emotune_command("compare", *named, "-o", tmp_path / "out")
    assert ended.code == 0, ended.err
    assert "80 utterances, 10 speakers" in ended.out
    assert "uar: good scores higher than poor by 0." in ended.out
    found = json.loads((tmp_path / "out" / "compare.json").read_text())
    by_hand = [
        scores(manifest_in(tmp_path).split("test"), Predictions.read(run.results("test") / "predictions.csv"))["uar"]
        for run in runs
    ]
    assert [found["scores"]["uar"][name]["value"] for name in ("poor", "good")] == pytest.approx(by_hand)
    (uar, _) = found["differences"]
    assert uar["estimate"]["value"] == pytest.approx(by_hand[1] - by_hand[0])
    assert uar["p"] * 1024 == pytest.approx(round(uar["p"] * 1024))  # 2^10 ways of swapping, all gone through
    page = (tmp_path / "out" / "compare.html").read_text()
    assert page.count("<svg") == 4
    assert uar["verdict"] in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_tables_and_results_folders_need_a_manifest_and_then_do(emotune_command, runs, tmp_path):
    poor, good = runs
    table, folder = poor.results("test") / "predictions.csv", good.results("test")
    ended = emotune_command("compare", table, folder)
    assert ended.code == 2
    assert "add --manifest M.csv" in ended.err
    ended = emotune_command("compare", table, folder, "--manifest", poor.manifest)
    assert ended.code == 2
    assert "no prediction of 16 of 96 utterances" in ended.err
    ended = emotune_command("compare", table, folder, "--manifest", poor.manifest, "--split", "test")
    assert ended.code == 0, ended.err
    assert f"{folder} scores higher than {table} by 0." in ended.out.replace("\n", "")


def test_pooled_folds_are_taken_where_there_is_no_test(emotune_command, tmp_path):
    named = [f"{name}={run_in(tmp_path / name, 0.5, n, split='all').path}" for n, name in enumerate("ab")]
    ended = emotune_command("compare", *named)
    assert ended.code == 0, ended.err
    assert "96 utterances, 12 speakers" in ended.out


def test_a_name_given_twice_is_one_system_of_two_seeds(emotune_command, runs, tmp_path):
    more = [run_in(tmp_path / f"{name}2", skill, 7) for name, skill in (("poor", 0.2), ("good", 0.9))]
    named = [f"{run.path.name.rstrip('2')}={run.path}" for run in (*runs, *more)]
    ended = emotune_command("compare", *named, "--metric", "uar", "-o", tmp_path)
    assert ended.code == 0, ended.err
    assert json.loads((tmp_path / "compare.json").read_text())["runs"] == {"poor": 2, "good": 2}


def test_runs_on_other_data_are_refused_with_the_cure(emotune_command, runs, tmp_path):
    other = run_in(tmp_path / "other", 0.5, 3)
    changed = Manifest.read(other.manifest)
    changed.replace_utterances([dataclasses.replace(u, emotion="anger") for u in changed]).write(other.manifest)
    ended = emotune_command("compare", runs[0].path, other.path)
    assert ended.code == 2
    assert "are different manifests (other utterances, labels or splits" in ended.err
    assert "--manifest M.csv" in ended.err
    for manifest, warned in ((runs[0].manifest, False), (other.manifest, True)):
        ended = emotune_command("compare", runs[0].path, other.path, "--manifest", manifest, "--split", "test")
        assert ended.code == 0, ended.err
        assert ("was predicted for another manifest, by its fingerprint" in ended.err) is warned


def test_a_run_without_results_says_what_to_type(emotune_command, runs):
    shutil.rmtree(runs[1].results("test"))
    ended = emotune_command("compare", *(run.path for run in runs))
    assert ended.code == 2
    assert f"emotune evaluate {runs[1].path} --split test" in ended.err


def test_runs_on_other_class_sets_meet_on_shared_classes(emotune_command, runs, tmp_path):
    two = run_in(tmp_path / "two", 0.7, 5, classes=("anger", "neutral"))
    ended = emotune_command("compare", f"three={runs[1].path}", f"two={two.path}", "-o", tmp_path / "out")
    assert ended.code == 2
    ended = emotune_command(
        "compare", f"three={runs[1].path}", f"two={two.path}", "--shared-classes", "-o", tmp_path / "out"
    )
    assert ended.code == 0, ended.err
    found = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert found["classes"] == ["anger", "neutral"]
    assert "happiness 27" in found["notes"][0]
    restricted = on_shared_classes(
        Manifest.read(two.manifest).split("test"), Predictions.read(runs[1].results("test") / "predictions.csv")
    )
    assert found["scores"]["uar"]["three"]["value"] == pytest.approx(scores(*restricted[:2])["uar"])


def test_evaluating_on_shared_classes_drops_and_says_so(emotune_command, tones, tiny_model, tmp_path):
    run = RunFolder(tmp_path / "run")
    shutil.copytree(tiny_model, run.model)
    tones.write(run.manifest)
    write_text(run.provenance, json.dumps({"recipe": "r", "finished": "now"}))
    renamed = {"s0": "fear", "s1": "fear"}
    space = LabelSpace(("anger", "fear", "neutral"))
    other = dataclasses.replace(
        tones,
        utterances=tuple(dataclasses.replace(u, emotion=renamed.get(u.speaker or "", u.emotion)) for u in tones),
        label_space=space,
    )
    other.write(tmp_path / "other.csv")
    arguments = ("evaluate", run.path, "--manifest", tmp_path / "other.csv", "--resamples", "50", "--device", "cpu")
    refused = emotune_command(*arguments)
    assert refused.code == 2
    assert "'fear' (8 utterances)" in refused.err
    ended = emotune_command(*arguments, "--shared-classes")
    assert ended.code == 0, ended.err
    report = json.loads((run.results("manifest-other") / "report.json").read_text())
    assert report["scored"] == 16
    (note,) = [note for note in report["notes"] if note.startswith("Scored on the shared classes anger, neutral")]
    assert "8 utterances (fear 8)" in note
    assert report["information"]["shared classes"] == note
    assert not math.isnan(report["overall"]["uar"]["value"])
