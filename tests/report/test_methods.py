"""The paragraph on methods says what was run, and changes with it."""

from pathlib import Path

import numpy as np
import pytest

from emotune.evaluation import Evaluation, evaluate
from emotune.evaluation.comparing.compare import compare
from emotune.evaluation.comparing.line_up import System
from emotune.report.methods import methods_of_comparison, methods_of_evaluation
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Prediction, Predictions
from emotune.schema.utterance import Utterance

SPACE = LabelSpace(("anger", "neutral"))
RUN = {"recipe": "mine", "kind": "probe", "encoder": "whisper-tiny", "seed": 3, "emotune": "0.1.0"}


def truth(speakers: int) -> Manifest:
    rows = [
        Utterance(f"u{n}", "a.wav", duration_s=1, speaker=f"s{n % speakers}", emotion=SPACE.classes[n // speakers % 2])
        for n in range(speakers * 4)
    ]
    return Manifest(tuple(rows), SPACE, Path())


def answers(manifest: Manifest, *, seed: int) -> Predictions:
    generator = np.random.default_rng(seed)
    rows = []
    for utterance in manifest:
        right = SPACE.classes.index(utterance.emotion or "")
        chances = generator.dirichlet(1 + 2 * (np.arange(2) == right))
        rows.append(Prediction(utterance.utterance_id, dict(zip(SPACE.classes, chances.tolist(), strict=True)), {}))
    return Predictions(tuple(rows), SPACE)


def evaluation(speakers: int = 5, resamples: int = 120) -> Evaluation:
    manifest = truth(speakers)
    return evaluate(manifest, answers(manifest, seed=0), resamples=resamples, seed=7)


@pytest.mark.parametrize(("speakers", "resamples"), [(5, 120), (8, 150)])
def test_counts_figures_and_resamples_are_those_of_the_evaluation(speakers, resamples):
    found = evaluation(speakers, resamples)
    said = methods_of_evaluation(found, {})
    uar = found.overall["uar"]
    assert f"{speakers * 4} utterances by {speakers} speakers were scored." in said
    assert f"UAR, the mean of the classes' recalls: {uar.value:.3f} [{uar.low:.3f}, {uar.high:.3f}]" in said
    assert f"over speakers, {resamples} resamples, seed 7." in said
    assert "Classes: anger, neutral." in said


def test_protocol_folds_and_model_are_those_of_the_run():
    folds = {f"fold_{number}": "abc" for number in range(1, 4)}
    about = {**RUN, "split": "all", "protocol": "folds", "model fingerprint": folds, "speaker_dependent": False}
    said = methods_of_evaluation(evaluation(), about)
    assert "Protocol folds: 3 folds, each answered by a model that did not train on it." in said
    assert "Model: mine (probe, encoder whisper-tiny, seed 3, emotune 0.1.0)." in said
    assert "Nobody who was scored was heard in training." in said
    alone = methods_of_evaluation(evaluation(), {"split": "test", "speaker_dependent": "unknown"})
    assert "Split: test." in alone and "is not known" in alone and "folds" not in alone


def test_a_baseline_is_not_said_to_have_an_encoder():
    for kind in ("pitch and energy baseline", "baseline, protocol folds"):
        said = methods_of_evaluation(evaluation(), {**RUN, "kind": kind})
        assert kind in said and "whisper" not in said
        assert "Model: pitch and energy, logistic regression" in said


def test_seed_zero_is_a_seed_and_a_table_has_no_name():
    assert "seed 0" in methods_of_evaluation(evaluation(), {**RUN, "seed": 0})
    assert "20 utterances by 5 speakers" in methods_of_evaluation(evaluation(), {"corpus": "table"})
    assert "20 utterances of RAVDESS by 5 speakers" in methods_of_evaluation(evaluation(), {"corpus": "RAVDESS"})


def test_a_comparison_names_systems_test_and_correction():
    manifest = truth(5)
    systems = [System(name, (answers(manifest, seed=n),)) for n, name in enumerate(("one", "two", "three"))]
    two = methods_of_comparison(compare(manifest, systems[:2], metrics=["uar"], resamples=300))
    assert "20 utterances by 5 speakers were answered by every system: one (1 run), two (1 run)." in two
    assert "over all swaps of the systems by speakers." in two
    three = methods_of_comparison(compare(manifest, systems, metrics=["uar"], resamples=20))
    assert "over 20 swaps of the systems by speakers, corrected by Holm's method" in three
