"""``emotune evaluate --robustness``, as a user types it, on a model that runs in milliseconds."""

import json
import shutil
from pathlib import Path

import pytest

from builders.runs import finished_run
from emotune.evaluation.earlier_training import EARLIER, EarlierTraining
from emotune.evaluation.robustness.degradations import BABBLE, DEGRADATIONS
from emotune.schema.predictions import Predictions
from emotune.schema.run_folder import RunFolder


@pytest.fixture
def run(tmp_path, tiny_model, tones) -> RunFolder:
    run = finished_run(tmp_path / "run", tones)
    shutil.copytree(tiny_model, run.model)
    return run


def of_babble() -> set[str]:
    return {name for name, degradation in DEGRADATIONS.items() if degradation.family == BABBLE}


@pytest.mark.drawn
def test_another_manifest_under_every_degradation(run, tones, emotune_command):
    ended = emotune_command(
        "evaluate", run.path, "--manifest", tones.root / "manifest.csv", "--robustness", "--resamples", 50
    )
    assert ended.code == 0, ended.err
    folder = run.results("manifest-manifest")
    assert {path.stem for path in (folder / "robustness").glob("*.csv")} == set(DEGRADATIONS)
    assert all(f"{name} uar " in ended.out for name in DEGRADATIONS)
    assert f"robustness: {folder / 'robustness.html'}" in ended.out
    data = json.loads((folder / "robustness.json").read_text(encoding="utf-8"))
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert data["clean"]["uar"] == report["overall"]["uar"]
    assert data["skipped"] == {}
    assert report["fairness"]["comparisons"][0]["by"] == "gender"
    clean, noisy = (Predictions.read(folder / name) for name in ("predictions.csv", "robustness/white_0db.csv"))
    changed = sum(a.emotion != b.emotion for a, b in zip(clean, noisy, strict=True)) / len(clean)
    assert data["conditions"]["white_0db"]["changed"]["value"] == pytest.approx(changed)


def test_a_split_with_too_few_speakers_does_without_babble_and_says_so(run, emotune_command):
    ended = emotune_command("evaluate", run.path, "--split", "development", "--robustness", "--resamples", 20)
    assert ended.code == 0, ended.err
    done = {path.stem for path in (run.results("development") / "robustness").glob("*.csv")}
    assert done == set(DEGRADATIONS) - of_babble()
    assert "babble_0db left out: babble needs at least 2 speakers" in ended.err
    pages = (run.results("development") / "robustness.html").read_text(encoding="utf-8")
    assert "Conditions left out" in pages
    assert "chose layer, epoch or settings by" in pages


def test_what_the_model_before_heard_stands_on_this_page_as_on_the_report(run, tones, emotune_command):
    heard = EarlierTraining("before", frozenset((u.corpus, "S4") for u in tones), complete=True)
    run.provenance.write_text(json.dumps({**run.information(), EARLIER: [heard.to_json()]}))
    ended = emotune_command("evaluate", run.path, "--split", "development", "--robustness", "--resamples", 0)
    assert ended.code == 0, ended.err
    folder = run.results("development")
    plain, robust = (json.loads((folder / name).read_text())["notices"] for name in ("report.json", "robustness.json"))
    assert robust == plain
    assert any(words.startswith("Speaker-dependent: before, from which this model goes on, was") for words in robust)


def test_a_recording_that_is_missing_fails_under_every_degradation_and_ends_with_1(run, tones, emotune_command):
    manifest = tones.root / "manifest.csv"
    copied = run.path.parent / "corpus"
    shutil.copytree(manifest.parent, copied)
    (copied / tones.utterances[0].file).unlink()
    ended = emotune_command("evaluate", run.path, "--manifest", copied / "manifest.csv", "--robustness", "-o", copied)
    assert ended.code == 1
    data = json.loads((Path(copied) / "robustness.json").read_text(encoding="utf-8"))
    assert {item["failed"] for item in data["conditions"].values()} == {1}
    assert {item["clips"] for item in data["conditions"].values()} == {23}
