"""`emotune train ... protocol=`: folds run, pooled, continued, one after another or at a time."""

import dataclasses
import json
import shutil

import pytest
import yaml

from builders.recipes import THREE_FOLDS, write_recipe
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions
from emotune.training import fine_tune

LEAVE_ONE_SPEAKER_OUT = {
    "corpus": "tones",
    "description": "Six speakers, each tested once.",
    "leave_out": "speaker",
    "utterances": 24,
}


@pytest.fixture
def written(tmp_path, tones):
    """A recipe and a protocol of three folds in files."""
    (tmp_path / "protocol.yaml").write_text(yaml.safe_dump(THREE_FOLDS))
    protocol = str(tmp_path / "protocol.yaml")
    return write_recipe(tmp_path / "recipe.yaml", tones.root / "manifest.csv", protocol=protocol)


def test_every_utterance_is_tested_once_and_the_pool_is_scored_once(written, tmp_path, tones, emotune_command):
    (tmp_path / "protocol.yaml").write_text(yaml.safe_dump(LEAVE_ONE_SPEAKER_OUT))
    ended = emotune_command("train", written, "-o", tmp_path / "run")
    assert ended.code == 0, ended.err
    pooled = Predictions.read(tmp_path / "run" / "all" / "predictions.csv")
    assert sorted(row.utterance_id for row in pooled) == [u.utterance_id for u in tones]
    report = json.loads((tmp_path / "run" / "all" / "report.json").read_text())
    assert report["scored"] == 24
    assert report["speakers"] == 6
    assert report["notices"] == []
    for number in range(1, 7):
        fold = tmp_path / "run" / f"fold_{number}"
        manifest = Manifest.read(fold / "manifest.csv")
        (tested,) = {u.speaker for u in manifest.split("test")}
        assert tested == f"s{number - 1}"
        assert tested not in {u.speaker for u in manifest if u.split != "test"}
        own = Predictions.read(fold / "test" / "predictions.csv").by_id()
        assert {name: pooled.by_id()[name].probabilities for name in own} == {
            name: row.probabilities for name, row in own.items()
        }
    folds = [f"fold_{number}" for number in range(1, 7)]
    kept = report["information"]["model fingerprint"]
    assert list(kept) == folds
    assert set(kept.values()) == {
        Predictions.read(tmp_path / "run" / fold / "test" / "predictions.csv").model_fingerprint for fold in folds
    }
    assert "not saved as a model" not in (tmp_path / "run" / "all" / "report.html").read_text()
    assert "## Figures on test" in (tmp_path / "run" / "fold_1" / "model" / "README.md").read_text(encoding="utf-8")
    again = emotune_command("train", written, "-o", tmp_path / "run")
    assert again.code == 2
    assert "already holds a finished run" in again.err
    audio = tones.path_of(tones.utterances[0])
    for command in (("predict", tmp_path / "run", audio), ("evaluate", tmp_path / "run", "--split", "test")):
        refused = emotune_command(*command)
        assert refused.code == 2
        assert f"holds one model a fold: {', '.join(folds)}. Name one of them, such as {tmp_path}" in refused.err


def test_corpora_are_left_out_in_turn_and_the_report_has_each_and_their_mean(tmp_path, tones, emotune_command):
    corpus_of = {"s0": "one", "s1": "one", "s2": "one", "s3": "two", "s4": "two", "s5": "two"}
    rows = [dataclasses.replace(u, corpus=corpus_of[u.speaker or ""], split=None) for u in tones]
    tones.replace_utterances(rows).write(tmp_path / "m.csv")
    recipe = write_recipe(tmp_path / "recipe.yaml", tmp_path / "m.csv", protocol="leave_one_corpus_out")
    ended = emotune_command("probe", recipe, "-o", tmp_path / "run", f"probe.cache={tmp_path / 'cache'}")
    assert ended.code == 0, ended.err
    assert len(Predictions.read(tmp_path / "run" / "all" / "predictions.csv")) == 24
    report = json.loads((tmp_path / "run" / "all" / "report.json").read_text())
    each = [group["scores"]["uar"]["value"] for group in report["groups"] if group["by"] == "corpus"]
    assert report["corpora_mean"]["uar"]["value"] == pytest.approx(sum(each) / 2)
    assert report["notices"] == []
    for tested in ("one", "two"):
        alone = json.loads((tmp_path / "run" / f"without_{tested}" / "test" / "report.json").read_text())
        assert alone["scored"] == 12
        assert f"all uar of {tested} {alone['overall']['uar']['value']:.3f}" in ended.out
    assert f"all uar, mean of 2 corpora {sum(each) / 2:.3f}" in ended.out
    assert "mean of the corpora" in (tmp_path / "run" / "all" / "report.html").read_text()


@pytest.mark.parametrize("spelling", ["absolute", "from elsewhere with a slash", "through a link"])
def test_folds_go_on_however_their_folder_is_spelled(written, tmp_path, monkeypatch, emotune_command, spelling):
    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(fine_tune, "finish_run", killed)
        assert emotune_command("train", written, "-o", "run").code == 130
    (tmp_path / "link").symlink_to(tmp_path / "run")
    (tmp_path / "elsewhere").mkdir()
    if spelling == "from elsewhere with a slash":
        monkeypatch.chdir(tmp_path / "elsewhere")
    folder = {"absolute": tmp_path / "run", "from elsewhere with a slash": "../run/"}.get(spelling, "link")
    ended = emotune_command("train", written, "-o", folder)
    assert ended.code == 0, ended.err
    assert "continuing from step-" in ended.err


@pytest.mark.load
def test_interrupted_folds_go_on_and_finished_ones_are_kept(written, tmp_path, monkeypatch, emotune_command):
    from emotune.protocols import run

    real = run._run_one
    started = []

    def stopped(recipe, folder, fold, *rest):
        started.append(fold.name)
        if fold.name == "fold_3":
            raise KeyboardInterrupt
        return real(recipe, folder, fold, *rest)

    monkeypatch.setattr(run, "_run_one", stopped)
    assert emotune_command("train", written, "-o", tmp_path / "run").code == 130
    assert started == ["fold_1", "fold_2", "fold_3"]
    monkeypatch.setattr(run, "_run_one", real)
    kept = (tmp_path / "run" / "fold_1" / "model" / "model.safetensors").stat().st_mtime_ns
    ended = emotune_command("train", written, "-o", tmp_path / "run")
    assert ended.code == 0, ended.err
    assert "fold_1: done before" in ended.err
    assert (tmp_path / "run" / "fold_1" / "model" / "model.safetensors").stat().st_mtime_ns == kept
    assert len(Predictions.read(tmp_path / "run" / "all" / "predictions.csv")) == 24


@pytest.mark.load
def test_folds_at_a_time_give_what_folds_in_turn_give(written, tmp_path, emotune_command):
    assert emotune_command("train", written, "-o", tmp_path / "turn").code == 0
    ended = emotune_command("train", written, "-o", tmp_path / "together", "--folds-at-a-time", "2")
    assert ended.code == 0, ended.err
    first, second = (Predictions.read(tmp_path / name / "all" / "predictions.csv") for name in ("turn", "together"))
    for one, other in zip(first, second, strict=True):
        assert one.utterance_id == other.utterance_id
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)


def test_a_manifest_of_another_corpus_or_size_is_said_in_the_report(written, tmp_path, emotune_command):
    (tmp_path / "protocol.yaml").write_text(yaml.safe_dump(THREE_FOLDS | {"utterances": 30, "corpus": "ravdess"}))
    ended = emotune_command("probe", written, "-o", tmp_path / "run", f"probe.cache={tmp_path / 'cache'}")
    assert ended.code == 0, ended.err
    notices = json.loads((tmp_path / "run" / "all" / "report.json").read_text())["notices"]
    assert any("30 labelled utterances, this manifest 24" in notice for notice in notices)
    assert any("made for corpus 'ravdess'" in notice for notice in notices)


def test_official_splits_are_one_fold_scored_under_the_name_of_each_test(written, tmp_path, tones, emotune_command):
    split_of = {"s3": "test2", "s4": "development", "s5": "test1"}
    manifest = tones.replace_utterances(
        [dataclasses.replace(u, split=split_of.get(u.speaker or "", "train")) for u in tones]
    )
    manifest.write(tmp_path / "manifest.csv")
    official = {"test": ["test1", "test2"]}
    (tmp_path / "protocol.yaml").write_text(yaml.safe_dump({"corpus": "tones", "official": official}))
    ended = emotune_command("train", written, f"data.manifest={tmp_path / 'manifest.csv'}", "-o", tmp_path / "run")
    assert ended.code == 0, ended.err
    for name, speaker in (("test1", "s5"), ("test2", "s3")):
        report = json.loads((tmp_path / "run" / name / "report.json").read_text())
        assert report["scored"] == 4
        assert [group["name"] for group in report["groups"] if group["by"] == "speaker"] == [speaker]
        assert f"{name} uar" in ended.out


def test_official_splits_that_share_speakers_run_and_every_report_says_so(written, tmp_path, tones, emotune_command):
    names = ("train", "train", "development", "test")
    manifest = tones.replace_utterances([dataclasses.replace(u, split=names[n % 4]) for n, u in enumerate(tones)])
    dataclasses.replace(manifest, information={"corpus": "meld"}).write(tmp_path / "manifest.csv")
    data = f"data.manifest={tmp_path / 'manifest.csv'}"
    refused = emotune_command("train", written, data, "protocol=null", "-o", tmp_path / "refused")
    assert refused.code == 2
    assert "speaker_overlap" in refused.err
    ended = emotune_command("train", written, data, "protocol=meld/official", "-o", tmp_path / "run")
    assert ended.code == 0, ended.err
    for folder in (tmp_path / "run" / "test", tmp_path / "run" / "official" / "development"):
        report = json.loads((folder / "report.json").read_text())
        assert report["information"]["speaker_dependent"] is True
        assert any(notice.startswith("Speaker-dependent: 6 of 6") for notice in report["notices"])
        assert "Speaker-dependent" in (folder / "report.html").read_text()


def test_a_start_that_heard_tested_speakers_is_told_of_once(written, tmp_path, tones, tiny_model, emotune_command):
    shutil.copytree(tiny_model, tmp_path / "start" / "model")
    rows = [dataclasses.replace(u, split="train") for u in tones if u.speaker in ("s0", "s1", "s2")]
    dataclasses.replace(tones, root=tones.root.resolve(), utterances=tuple(rows)).write(
        tmp_path / "start" / "manifest.csv"
    )
    (tmp_path / "start" / "provenance.json").write_text("{}")
    content = yaml.safe_load(written.read_text())
    content |= {"model": {"start": str(tmp_path / "start")}, "probe": {"cache": str(tmp_path / "cache")}}
    content["data"]["allow"] = ["speaker_overlap", "recording_overlap"]
    written.write_text(yaml.safe_dump(content))
    ended = emotune_command("probe", written, "-o", tmp_path / "run")
    assert ended.code == 0, ended.err
    report = json.loads((tmp_path / "run" / "all" / "report.json").read_text())
    assert [notice for notice in report["notices"] if "Speaker-dependent" in notice] == [
        "Speaker-dependent: start, from which this model goes on, was trained on 3 of 6 speakers of this split, by"
        " corpus and name; figures say nothing about new speakers."
    ]
    assert report["information"]["speaker_dependent"] is True


def test_official_splits_must_be_different(written, tmp_path, emotune_command):
    official = {"development": "test", "test": ["test"]}
    (tmp_path / "protocol.yaml").write_text(yaml.safe_dump({"corpus": "tones", "official": official}))
    ended = emotune_command("train", written, "-o", tmp_path / "refused")
    assert ended.code == 2
    assert "must be different splits" in ended.err


def test_a_dry_run_describes_the_first_fold(written, tmp_path, emotune_command):
    (tmp_path / "protocol.yaml").write_text(yaml.safe_dump(LEAVE_ONE_SPEAKER_OUT))
    ended = emotune_command("train", written, "--dry-run")
    assert ended.code == 0, ended.err
    assert '"train": 16' in ended.out
    assert "fold_1" in ended.err


def test_the_protocol_takes_the_place_of_the_recipes_splits(written, tmp_path, emotune_command):
    ended = emotune_command("probe", written, "data.splits={train: {speaker: [s0]}}", "-o", tmp_path / "run")
    assert ended.code == 0, ended.err
    assert "data.splits of the recipe is set aside" in ended.err
    assert len(Predictions.read(tmp_path / "run" / "all" / "predictions.csv")) == 24


def test_utterances_without_a_label_stay_for_their_votes(written, tmp_path, tones, emotune_command):
    rows = [
        dataclasses.replace(
            u, votes={"anger": 2.0, "neutral": 2.0}, emotion=None if n % 4 == 3 and n < 16 else u.emotion
        )
        for n, u in enumerate(tones)
    ]
    tones.replace_utterances(rows).write(tmp_path / "manifest.csv")
    ended = emotune_command(
        "train", written, f"data.manifest={tmp_path / 'manifest.csv'}", "data.votes.no_agreement=votes",
        "loss.kl.weight=1", "-o", tmp_path / "run",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    pooled = json.loads((tmp_path / "run" / "all" / "report.json").read_text())
    assert pooled["utterances"] == 24
    assert pooled["scored"] == 20
    assert pooled["votes"]["utterances"] == 24


def test_a_development_split_without_labels_is_refused_before_training(written, tmp_path, tones, emotune_command):
    rows = [
        dataclasses.replace(u, votes={"anger": 1.0}, emotion=None if u.split == "development" else u.emotion)
        for u in tones
    ]
    tones.replace_utterances(rows).write(tmp_path / "manifest.csv")
    ended = emotune_command(
        "train", written, "protocol=null", f"data.manifest={tmp_path / 'manifest.csv'}",
        "data.votes.no_agreement=votes", "loss.kl.weight=1", "-o", tmp_path / "run",
    )  # fmt: skip
    assert ended.code == 2
    assert "No development utterance has a label" in ended.err


def test_a_launcher_of_many_processes_is_refused(written, tmp_path, monkeypatch, emotune_command):
    monkeypatch.setenv("WORLD_SIZE", "2")
    ended = emotune_command("train", written, "-o", tmp_path / "run")
    assert ended.code == 2
    assert "--folds-at-a-time" in ended.err


def test_protocols_are_listed(emotune_command):
    listed = emotune_command("protocols").out.split()
    assert "iemocap/5_sessions" in listed
    assert "msp_podcast/official" in listed


def test_a_budget_is_reported_and_kept_to(written, tmp_path, tones, emotune_command):
    ended = emotune_command("train", written, "protocol=null", "data.budget=0.5", "-o", tmp_path / "run")
    assert ended.code == 0, ended.err
    assert "left out: 8 utterances beyond data.budget" in ended.err
    assert len(Manifest.read(tmp_path / "run" / "manifest.csv").split("train")) == 8


def test_a_baseline_under_a_protocol_is_compared_with_a_probe_of_the_same_folds(
    written, tmp_path, tones, emotune_command
):
    for kind in ("probe", "baseline"):
        ended = emotune_command(kind, written, "-o", tmp_path / kind, f"probe.cache={tmp_path / 'cache'}")
        assert ended.code == 0, ended.err
        assert "all uar" in ended.out
    pooled = Predictions.read(tmp_path / "baseline" / "all" / "predictions.csv").by_id()
    folds = [Predictions.read(path) for path in sorted((tmp_path / "baseline").glob("fold_*/test/predictions.csv"))]
    assert len(folds) == 3 and sorted(pooled) == sorted(u.utterance_id for u in tones)
    assert all(pooled[row.utterance_id].probabilities == row.probabilities for fold in folds for row in fold)
    compared = emotune_command(
        "compare",
        f"a={tmp_path / 'probe'}",
        f"b={tmp_path / 'baseline'}",
        "-o",
        tmp_path / "both",
        "--resamples",
        "200",
    )
    assert compared.code == 0, compared.err


@pytest.mark.parametrize(
    ("given", "words"),
    [("probe.leave_out=speaker", "protocol=folds"), ("data.splits.development.speaker=[s9]", "development")],
)
def test_a_baseline_that_cannot_be_leaves_no_run_behind(given, words, tmp_path, tones, emotune_command):
    recipe = write_recipe(tmp_path / "recipe.yaml", tones.root / "manifest.csv")
    ended = emotune_command("baseline", recipe, given, "-o", tmp_path / "run")
    assert ended.code == 2 and words in ended.err
    assert not (tmp_path / "run" / "manifest.csv").exists()
