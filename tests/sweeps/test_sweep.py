"""Sweeps without training: a score computed from what is tried stands for that of a trained model."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("optuna", reason="optuna is not installed: pip install 'emotune[sweep]'")

from emotune.config.reading import dump_recipe
from emotune.errors import ConfigError, CorpusError, EmotuneError
from emotune.io.tables import to_json, write_text
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Prediction, Predictions
from emotune.schema.run_folder import RunFolder
from emotune.schema.utterance import Utterance
from emotune.sweeps.plan import load_sweep
from emotune.sweeps.run import run
from emotune.sweeps.store import TrialStore, distributions, parameters

SPACE = LabelSpace(("anger", "neutral"))


def corpus(root: Path) -> Manifest:
    rows = [
        Utterance(f"u{n}", f"{n}.wav", speaker=f"s{n % 12}", split=("train", "development", "test")[n % 3],
                  emotion=SPACE.classes[n // 3 % 2])
        for n in range(120)
    ]  # fmt: skip
    return Manifest(tuple(rows), SPACE, root)


def written(tmp_path: Path, **more) -> Path:
    corpus(tmp_path).write(tmp_path / "manifest.csv")
    recipe = {
        "name": "tiny",
        "data": {"manifest": str(tmp_path / "manifest.csv")},
        "model": {"backbone": {"name": "wavlm", "config": {}}},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    sweep = {
        "recipe": "recipe.yaml",
        "space": {"train.head_lr": {"low": 1e-4, "high": 1e-1, "log": True}},
        "trials": 4,
        "seeds": 0,
        **more,
    }
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep, sort_keys=False))
    return tmp_path / "sweep.yaml"


def untrained(kind, recipe, folder, listener, progress):
    """Leaves what training would: as many right answers as the rate is close to .01."""
    own, manifest = RunFolder(folder), corpus(folder)
    manifest.write(own.manifest)
    write_text(own.recipe, dump_recipe(recipe))
    right = 1 - min(1.0, abs(np.log10(recipe.train.head_lr) + 2) / 4)
    listener.epoch([{"epoch": 1, f"development_{recipe.train.metric}": right}])
    write_text(own.provenance, to_json({"recipe": recipe.name, "finished": "now"}))
    part = manifest.split("development")
    rows = []
    for place, item in enumerate(part):
        said = (item.emotion == "anger") == (place < right * len(part))
        rows.append(Prediction(item.utterance_id, {"anger": 0.9 if said else 0.1, "neutral": 0.1 if said else 0.9}))
    Predictions(tuple(rows), SPACE).write(own.predictions("development"))


def test_every_arm_gets_as_many_trials_and_its_best_is_the_highest_score(tmp_path):
    path = written(
        tmp_path, arms={"mean": {"set": {"model.pooling": "mean"}}, "std": {"set": {"model.pooling": "std"}}}
    )
    result = run(path, tmp_path / "out", run_one=untrained)
    assert [len(arm.trials) for arm in result.arms] == [4, 4]
    for arm in result.arms:
        whole = [trial for trial in arm.trials if trial.state == "complete"]
        assert arm.best is not None
        assert arm.best.score == max(trial.score for trial in whole)
    told = json.loads((tmp_path / "out" / "sweep.json").read_text())
    assert [arm["best"]["score"] for arm in told["arms"]] == [arm.best.score for arm in result.arms if arm.best]
    assert "the test split was not looked at" in (tmp_path / "out" / "sweep.html").read_text()


def test_the_same_search_in_another_folder_tries_the_same(tmp_path):
    path = written(tmp_path)
    both = [run(path, tmp_path / name, run_one=untrained).arms[0].trials for name in ("a", "b")]
    assert both[0] == both[1]


def test_a_trial_that_was_interrupted_goes_on_and_none_is_lost_or_doubled(tmp_path):
    path, begun = written(tmp_path), []

    def killed(kind, recipe, folder, listener, progress):
        begun.append(folder.name)
        if len(begun) in (2, 3, 5):
            raise KeyboardInterrupt
        untrained(kind, recipe, folder, listener, progress)

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            run(path, tmp_path / "out", run_one=killed)
    result = run(path, tmp_path / "out", run_one=killed)
    assert begun == ["0000", "0001", "0001", "0001", "0002", "0002", "0003"]
    assert [trial.state for trial in result.arms[0].trials] == ["complete"] * 4
    undisturbed = run(path, tmp_path / "other", run_one=untrained)
    assert result.arms[0].trials == undisturbed.arms[0].trials


def test_a_trial_that_a_living_process_holds_is_not_taken_again(tmp_path):
    plan = load_sweep(written(tmp_path))
    (tmp_path / "out").mkdir()
    first, second = (TrialStore(tmp_path / "out", plan.sweep) for _ in range(2))
    with first.take("only") as one, second.take("only") as other:
        assert one is not None
        assert other is not None
        assert (one.number, other.number) == (0, 1)
    with second.take("only") as again:
        assert again is not None
        assert (again.number, again.parameters) == (0, one.parameters)


@pytest.mark.filterwarnings("ignore:The reported value is ignored")
def test_a_trial_whose_start_is_kept_counts_by_it(tmp_path):
    path = written(tmp_path, trials=3, prune_from=1, sampler="random")
    ends = []

    def by_start(kind, recipe, folder, listener, progress):
        listener.started({"epoch": 0, "development_uar": 0.5 if folder.name == "0000" else 0.9})
        listener.epoch([{"epoch": 1, "development_uar": 0.1}])
        ends.append(folder.name)
        untrained(kind, recipe, folder, listener, progress)

    run(path, tmp_path / "out", run_one=by_start)
    assert ends[:3] == ["0000", "0001", "0002"]


@pytest.mark.filterwarnings("ignore:The reported value is ignored")
def test_a_hopeless_trial_ends_early_and_counts(tmp_path):
    path = written(tmp_path, trials=6, prune_from=1, sampler="random")
    ends = []

    def by_number(kind, recipe, folder, listener, progress):
        score = 0.9 if folder.name == "0000" else 0.1
        listener.epoch([{"epoch": 1, "development_uar": score}])
        ends.append(folder.name)
        untrained(kind, recipe, folder, listener, progress)

    result = run(path, tmp_path / "out", run_one=by_number)
    assert ends == ["0000"]
    assert [trial.state for trial in result.arms[0].trials] == ["complete", *["pruned"] * 5]
    assert result.arms[0].trials[3].score == pytest.approx(0.1)


def test_a_trial_that_fails_is_told_and_the_others_go_on(tmp_path):
    path = written(tmp_path)

    def failing(kind, recipe, folder, listener, progress):
        if folder.name == "0001":
            raise CorpusError("a clip is missing.")
        untrained(kind, recipe, folder, listener, progress)

    trials = run(path, tmp_path / "out", run_one=failing).arms[0].trials
    assert [trial.state for trial in trials] == ["complete", "failed", "complete", "complete"]
    assert trials[1].fault == "a clip is missing."


def test_choices_keep_their_types_and_sections_are_choices_too(tmp_path):
    mix = {"alpha": 0.4, "probability": 0.5}
    space = {"augmentation.mix": [None, mix], "train.epochs": {"low": 1, "high": 4}}
    sweep = load_sweep(written(tmp_path, space=space)).sweep
    assert set(distributions(sweep, "only")) == {"augmentation.mix", "train.epochs"}
    stored = {"augmentation.mix": distributions(sweep, "only")["augmentation.mix"].choices[1], "train.epochs": 2}
    assert parameters(sweep, "only", stored) == {"augmentation.mix": mix, "train.epochs": 2}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"space": {}}, "nothing is searched"),
        ({"space": {"train.head_lr": {"low": 1, "high": 0.1}}}, "expected low < high"),
        ({"space": {"train.head_lr": {"low": 0, "high": 0.1, "log": True}}}, "log needs low above 0"),
        ({"space": {"train.head_lrr": [0.1, 0.2]}}, "head_lr"),
        ({"space": {"train.head_lr": [0.1, -0.2]}}, "train.head_lr"),
        ({"space": {"seed": [1, 2]}}, "seed is the sweep's"),
        ({"arms": {"a": {"set": {"train.head_lr": 0.1}}}}, "searched and set"),
        ({"arms": {"a/b": {}}}, "a/b"),
        ({"recipe": "missing.yaml"}, "missing.yaml"),
        ({"set": {"protocol": "ravdess/six_folds"}}, "one development split"),
        ({"set": {"task": {"name": "vesper", "layers": 2}}}, "arm only: a sweep chooses by what models predict"),
        ({"set": {"task": {"name": "semi_supervised"}}, "kind": "probe"}, "arm only: .* leave task: semi_supervised"),
    ],
)
def test_a_sweep_with_a_fault_is_one_clear_error_before_anything_runs(tmp_path, changed, said):
    with pytest.raises(ConfigError, match=said):
        load_sweep(written(tmp_path, **changed))


def test_a_searched_key_cannot_be_overridden(tmp_path):
    with pytest.raises(ConfigError, match=r"train\.head_lr is searched in arm only"):
        load_sweep(written(tmp_path), ["train.head_lr=0.1"])


def test_a_folder_of_another_sweep_is_refused_and_more_trials_are_not(tmp_path):
    path = written(tmp_path)
    run(path, tmp_path / "out", run_one=untrained)
    with pytest.raises(ConfigError, match="holds another sweep"):
        run(path, tmp_path / "out", overrides=["train.epochs=2"], run_one=untrained)
    assert len(run(path, tmp_path / "out", overrides=["trials=6"], run_one=untrained).arms[0].trials) == 6


def test_a_manifest_that_is_not_there_costs_no_trial(tmp_path):
    file = written(tmp_path)
    (tmp_path / "manifest.csv").unlink()
    with pytest.raises(EmotuneError, match=r"manifest\.csv does not exist"):
        run(file, tmp_path / "sweep", run_one=untrained)
    assert not (tmp_path / "sweep").exists()
