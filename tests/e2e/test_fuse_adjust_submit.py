"""emotune fuse, adjust and submit, from run folders to the challenge's file."""

import csv
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from builders import predictions
from builders.manifests import utterances
from builders.predictions import softmax
from builders.runs import finished_run
from emotune.errors import ConfigError
from emotune.fusion.fuse import METHODS
from emotune.fusion.runs import fit_runs
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Prediction, Predictions

SPACE = LabelSpace(("anger", "sadness", "neutral"), {name: Scale(1, 7) for name in ("arousal", "valence", "dominance")})
SKILLS = {"one": 1.2, "two": 1.0, "three": 0.1}


def manifest_in(folder: Path, *, seed: int = 0, prefix: str = "u", test: str = "test") -> Manifest:
    """160 development and 80 test utterances of 8 and 4 speakers."""
    generator = np.random.default_rng(seed)
    rows = utterances(
        240,
        name=prefix + "{}",
        speaker=lambda n: f"{prefix}s{n % 8 if n < 160 else 8 + n % 4}",
        split=lambda n: "development" if n < 160 else test,
        emotion=lambda _: SPACE.classes[int(generator.integers(3))],
        dimensions=lambda _: {name: float(generator.uniform(1, 7)) for name in SPACE.dimensions},
    )
    return Manifest(rows, SPACE, folder, {"corpus": "made up"})


def run_in(folder: Path, manifest: Manifest, *, skill: float, seed: int, test: str = "test", keep_test=True) -> Path:
    """A finished run with predictions as good as its skill, without a model."""
    generator, tables = np.random.default_rng(seed), {}
    for split in ("development", test):
        rows = []
        for utterance in manifest.split(split):
            logits = generator.normal(size=3) + skill * np.eye(3)[SPACE.classes.index(str(utterance.emotion))] * 1.5
            dimensions = {
                n: float(np.clip(v + generator.normal() / skill, 1, 7)) for n, v in utterance.dimensions.items()
            }
            probabilities = dict(zip(SPACE.classes, softmax(logits).tolist(), strict=True))
            rows.append(Prediction(utterance.utterance_id, probabilities, dimensions))
        tables[split] = Predictions(tuple(rows), SPACE)
    kept = manifest if keep_test else manifest.filter(lambda u: u.split != test)
    return finished_run(folder, kept, tables, recipe=folder.name, finished="today", kind="probe").path


@pytest.fixture
def runs(tmp_path) -> list[str]:
    """Three systems as arguments of the command line."""
    manifest = manifest_in(tmp_path)
    return [
        f"{name}={run_in(tmp_path / name, manifest, skill=skill, seed=seed)}"
        for seed, (name, skill) in enumerate(SKILLS.items())
    ]


@pytest.mark.parametrize(
    "method", [pytest.param("weights", marks=pytest.mark.drawn), *sorted(METHODS.keys() - {"weights"})]
)
def test_three_runs_become_one_table_with_a_page(runs, tmp_path, emotune_command: Callable, method):
    out = tmp_path / "fused"
    ended = emotune_command("fuse", *runs, "--method", method, "-o", out)
    assert ended.code == 0, ended.err
    fused = Predictions.read(out / "predictions.csv")
    assert len(fused) == 80
    assert fused.label_space == LabelSpace(SPACE.classes)
    assert all(sum(row.probabilities.values()) == pytest.approx(1) for row in fused)
    told = json.loads((out / "fusion.json").read_text())
    fitted = told["folds"][""]
    assert fitted["fitted_on"]["utterances"] + fitted["reported_on"]["utterances"] == 160
    if method == "weights":
        assert min(fitted["weights"].values()) >= 0
        assert sum(fitted["weights"].values()) == pytest.approx(1)
        assert fitted["weights"]["three"] < 0.3
        assert fitted["fitted_on"]["fused"] >= max(fitted["fitted_on"]["singles"].values())
    assert told["scores"]["fused"] > told["scores"]["three"]
    page = (out / "fusion.html").read_text()
    assert page.count("<svg") == (3 if method == "weights" else 2)
    assert "http" not in page.replace("http://www.w3.org", "")
    assert "best single" in ended.out
    compared = emotune_command("compare", f"two={tmp_path / 'two'}", f"fused={out}", "--manifest", out / "manifest.csv")
    assert compared.code == 0, compared.err


def failing(table: Path, ids: set[str]) -> None:
    """Make rows of a table errors."""
    predictions.failing(Predictions.read(table), *ids).write(table)


def test_a_vote_without_a_system_that_failed_is_scored_and_said(runs, tmp_path, emotune_command):
    test = [f"u{n}" for n in range(160, 240)]
    arguments = ("fuse", *runs, "--method", "majority", "-o", tmp_path / "fused")
    failing(tmp_path / "three" / "test" / "predictions.csv", set(test))
    ended = emotune_command(*arguments)
    assert ended.code == 0, ended.err
    note = "three failed on 80 of 80 test utterances; the others voted."
    assert note in ended.err
    assert note in (tmp_path / "fused" / "fusion.html").read_text()
    scores = json.loads((tmp_path / "fused" / "fusion.json").read_text())["scores"]
    assert f"test: macro_f1 {scores['fused']:.3f}, best single {scores['best single']:.3f}" in ended.out
    assert scores["three"] is None
    failing(tmp_path / "two" / "test" / "predictions.csv", set(test[:20]))
    ended = emotune_command(*arguments)
    assert "two failed on 20 of 80" in ended.err
    assert "Figures of test leave out the 20 utterances that two failed on." in ended.err
    failing(tmp_path / "one" / "test" / "predictions.csv", set(test[20:]))
    ended = emotune_command(*arguments)
    assert ended.code == 0, ended.err
    assert "No test utterance was answered by every system, so that only the fusion has a figure." in ended.err
    assert "the best single system has no figure" in ended.out
    assert "nan" not in (tmp_path / "fused" / "fusion.html").read_text()


def test_a_vote_is_never_called_a_fit(runs, tmp_path, emotune_command):
    for method in ("majority", "weights"):
        ended = emotune_command("fuse", *runs, "--method", method, "-o", tmp_path / method)
        assert ended.code == 0, ended.err
        for told in (ended.out + ended.err, (tmp_path / method / "fusion.html").read_text()):
            said = told.replace("nothing is fitted", "").replace("which fits nothing", "").lower()
            assert ("fitted" in said) == (method == "weights")


def test_figures_of_development_come_with_a_caveat(runs, tmp_path, emotune_command):
    ended = emotune_command("fuse", *runs, "--split", "development", "-o", tmp_path / "fused")
    assert "all of development, half of which was fitted on, so that this is optimistic: macro_f1" in ended.out


def test_dimensions_fuse_and_become_a_submission(runs, tmp_path, emotune_command):
    assert emotune_command("fuse", *runs, "--metric", "ccc", "-o", tmp_path / "fused").code == 0
    names = [f"u{n}.wav" for n in range(160, 240)]
    (tmp_path / "expected.txt").write_text("\n".join(names))
    ended = emotune_command(
        "submit", tmp_path / "fused", "--expected", tmp_path / "expected.txt", "-o", tmp_path / "submission.csv"
    )
    assert ended.code == 0, ended.err
    with (tmp_path / "submission.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["FileName"] for row in rows] == names
    assert all(1 <= float(row[name]) <= 7 for row in rows for name in ("EmoAct", "EmoVal", "EmoDom"))


def test_a_test_set_without_labels_is_fused_from_its_tables(tmp_path, emotune_command):
    manifest = manifest_in(tmp_path, test="test3")
    runs = [
        f"{name}={run_in(tmp_path / name, manifest, skill=skill, seed=seed, test='test3', keep_test=False)}"
        for seed, (name, skill) in enumerate(SKILLS.items())
    ]
    ended = emotune_command("fuse", *runs, "--split", "test3", "-o", tmp_path / "fused")
    assert ended.code == 0, ended.err
    assert json.loads((tmp_path / "fused" / "fusion.json").read_text())["scores"] == {}
    manifest.split("test3").write(tmp_path / "test3.csv")
    ended = emotune_command(
        "submit", tmp_path / "fused", "--expected", tmp_path / "test3.csv", "-o", tmp_path / "submission.csv"
    )
    assert ended.code == 0, ended.err
    letters = [line.split(",")[1] for line in (tmp_path / "submission.csv").read_text().splitlines()[1:]]
    assert len(letters) == 80
    assert set(letters) <= set("ASN")
    (tmp_path / "short.txt").write_text("u160.wav\n")
    ended = emotune_command(
        "submit", tmp_path / "fused", "--expected", tmp_path / "short.txt", "-o", tmp_path / "none.csv"
    )
    assert ended.code == 2
    assert "79 unexpected" in ended.err
    assert not (tmp_path / "none.csv").exists()


def test_a_system_that_learns_from_more_is_fused_on_what_all_have_labels_for(tmp_path):
    manifest = manifest_in(tmp_path)
    more = [
        dataclasses.replace(u, utterance_id=f"more-{u.utterance_id}", file=f"more-{u.file}")
        for u in (*manifest.utterances[:20], *manifest.utterances[200:210])
    ]
    larger = manifest.replace_utterances([*more, *manifest])
    run_in(tmp_path / "small", manifest, skill=1.0, seed=1)
    run_in(tmp_path / "large", larger, skill=1.0, seed=2)
    unlabelled = [dataclasses.replace(u, emotion=None) for u in more]
    manifest.replace_utterances([*unlabelled, *manifest]).write(tmp_path / "large" / "manifest.csv")
    for names in (("small", "large"), ("large", "small")):
        fused = fit_runs([(name, tmp_path / name) for name in names]).apply("test")
        assert {row.utterance_id for row in fused.predictions} == {u.utterance_id for u in manifest.split("test")}
        assert len(fused.truth) == 80
        assert fused.scores()["fused"] > 0
        fitted = fused.folds[""]
        assert fitted.fitted_on.utterances + fitted.reported_on.utterances == 160
        assert fused.notes[-1] == "Left out: 10 utterances of test without a label, which not all systems have."
    with pytest.raises(ConfigError, match="different utterances or labels in development: 20 are labelled in one"):
        larger.write(tmp_path / "large" / "manifest.csv")
        fit_runs([(name, tmp_path / name) for name in ("small", "large")])


def test_a_split_without_labels_in_the_manifests_is_fused_whole(tmp_path):
    manifest = manifest_in(tmp_path, test="test3")
    hidden = [dataclasses.replace(u, emotion=None) if u.split == "test3" else u for u in manifest]
    for seed, name in enumerate(("one", "two")):
        run_in(tmp_path / name, manifest, skill=1.0, seed=seed, test="test3")
        manifest.replace_utterances(hidden).write(tmp_path / name / "manifest.csv")
    fused = fit_runs([(name, tmp_path / name) for name in ("one", "two")]).apply("test3")
    assert len(fused.predictions) == 80
    assert not any("Left out" in note for note in fused.notes)


def test_a_submission_is_of_one_split_of_a_manifest(runs, tmp_path, emotune_command):
    assert emotune_command("fuse", *runs, "-o", tmp_path / "fused").code == 0
    whole = tmp_path / "one" / "manifest.csv"
    arguments = ("submit", tmp_path / "fused", "--expected", whole, "-o", tmp_path / "submission.csv")
    ended = emotune_command(*arguments)
    assert (ended.code, "160 missing" in ended.err, "--split" in ended.err) == (2, True, True)
    ended = emotune_command(*arguments, "--split", "test")
    assert ended.code == 0, ended.err
    ended = emotune_command("submit", tmp_path / "one", *arguments[2:])
    assert (ended.code, "Folders in it that hold one: development, test" in ended.err) == (2, True)
    ended = emotune_command("submit", tmp_path / "nope", *arguments[2:])
    assert (ended.code, "nope does not exist" in ended.err) == (2, True)
    assert len((tmp_path / "submission.csv").read_text().splitlines()) == 81


def test_each_fold_of_a_protocol_is_fitted_on_its_own_development(tmp_path):
    systems = []
    for seed, (name, skill) in enumerate(SKILLS.items()):
        folder = tmp_path / name
        for fold in (1, 2, 10):
            run_in(
                folder / f"fold_{fold}", manifest_in(tmp_path, seed=fold, prefix=f"f{fold}-"), skill=skill, seed=seed
            )
        (folder / "provenance.json").write_text(json.dumps({"finished": "today"}))
        systems.append((name, folder))
    fused = fit_runs(systems).apply("test")
    assert list(fused.folds) == ["fold_1", "fold_2", "fold_10"]
    assert fused.split == "all"
    assert len(fused.predictions) == len(fused.truth) == len(fused.best_single) == 240
    assert [row.utterance_id for row in fused.predictions] == [u.utterance_id for u in fused.truth]
    assert fused.predictions.manifest_fingerprint == fused.truth.fingerprint()
    scores = fused.scores()
    assert scores["fused"] > scores["three"]
    one = fit_runs([(name, folder / "fold_2") for name, folder in systems]).apply("test")
    assert one.folds[""].to_json() == fused.folds["fold_2"].to_json()


def test_runs_that_do_not_belong_together_are_refused(runs, tmp_path, emotune_command):
    other = manifest_in(tmp_path, seed=9)
    run_in(tmp_path / "other", other, skill=1.0, seed=5)
    ended = emotune_command("fuse", runs[0], f"other={tmp_path / 'other'}", "-o", tmp_path / "fused")
    assert ended.code == 2
    assert "different utterances or labels in development" in ended.err
    ended = emotune_command("fuse", runs[0], "-o", tmp_path / "fused")
    assert (ended.code, "two systems at least" in ended.err) == (2, True)
    ended = emotune_command("fuse", *runs, "--split", "test2", "-o", tmp_path / "fused")
    assert ended.code == 2
    assert "it has predictions of: development, test" in ended.err
    ended = emotune_command("fuse", runs[0], f"x={tmp_path / 'nothing'}", "-o", tmp_path / "fused")
    assert (ended.code, "nothing does not exist. Give a run folder" in ended.err) == (2, True)
    more = ("--manifest", tmp_path / "one" / "manifest.csv", "-o", tmp_path / "fused")
    ended = emotune_command("fuse", runs[0], f"x={tmp_path / 'nothing'}", *more)
    assert (ended.code, "nothing does not exist. Give a run folder" in ended.err) == (2, True)
    assert not (tmp_path / "fused").exists()


def test_folders_of_tables_are_fused_with_a_manifest(runs, tmp_path, emotune_command):
    for name in SKILLS:
        (tmp_path / name / "provenance.json").unlink()
    ended = emotune_command(
        "fuse", *runs, "--manifest", tmp_path / "one" / "manifest.csv", "-o", tmp_path / "fused", "--seed", 4
    )
    assert ended.code == 0, ended.err


def test_adjust_for_another_prior(runs, tmp_path, emotune_command):
    table, out = tmp_path / "one" / "test" / "predictions.csv", tmp_path / "out.csv"
    ended = emotune_command("adjust", table, "--prior", "uniform", "-o", out)
    assert ended.code == 2
    assert "--trained-prior" in ended.err
    ended = emotune_command(
        "adjust", table, "--prior", "uniform", "--trained-prior", "anger=1,sadness=1,neutral=6", "-o", out
    )
    assert ended.code == 0, ended.err
    before, after = Predictions.read(table), Predictions.read(out)
    first, second = before.rows[0].probabilities, after.rows[0].probabilities
    odds = second["anger"] / second["neutral"] / (first["anger"] / first["neutral"])
    assert odds == pytest.approx(6)
    assert after.rows[0].dimensions == before.rows[0].dimensions
    ended = emotune_command("adjust", table, "--prior", "anger=2,calm=1", "--trained-prior", "uniform", "-o", out)
    assert "each of the table's classes once: anger, sadness, neutral" in ended.err
    assert emotune_command("fuse", *runs, "-o", tmp_path / "fused").code == 0
    prior = ("--prior", "uniform", "--trained-prior", "anger=1,sadness=1,neutral=6")
    ended = emotune_command("adjust", tmp_path / "fused", *prior, "-o", out)
    assert (ended.code, len(Predictions.read(out))) == (0, 80)
    ended = emotune_command("adjust", tmp_path / "nope", *prior, "-o", out)
    assert (ended.code, "nope does not exist" in ended.err) == (2, True)
    model = tmp_path / "one" / "model"
    model.mkdir()
    (model / "config.json").write_text(json.dumps({"training_prior": dict.fromkeys(SPACE.classes, 1 / 3)}))
    ended = emotune_command("adjust", tmp_path / "one", "--prior", "uniform", "-o", out)
    assert (ended.code, "nothing changes" in ended.err) == (0, True)
    assert "0 of 80 answers changed" in ended.out


def test_adjust_by_thresholds_reports_both_parts(runs, tmp_path, emotune_command):
    ended = emotune_command("adjust", tmp_path / "two", "--thresholds", "-o", tmp_path / "out.csv")
    assert ended.code == 0, ended.err
    assert "optimistic" in ended.out
    told = json.loads((tmp_path / "out.csv.offsets.json").read_text())
    assert told["offsets"]["anger"] == 0
    assert told["fitted_on"]["after"] >= told["fitted_on"]["before"]
    development = tmp_path / "two" / "development" / "predictions.csv"
    by_table = emotune_command(
        "adjust",
        tmp_path / "two" / "test" / "predictions.csv",
        "--thresholds",
        "--development",
        development,
        "--manifest",
        tmp_path / "two" / "manifest.csv",
        "-o",
        tmp_path / "same.csv",
    )
    assert by_table.code == 0, by_table.err
    assert (tmp_path / "same.csv").read_text() == (tmp_path / "out.csv").read_text()
    ended = emotune_command("adjust", development, "--thresholds", "-o", tmp_path / "out.csv")
    assert (ended.code, "--development TABLE and --manifest" in ended.err) == (2, True)
    ended = emotune_command("adjust", development, "-o", tmp_path / "out.csv")
    assert (ended.code, "exactly one of --prior and --thresholds" in ended.err) == (2, True)
