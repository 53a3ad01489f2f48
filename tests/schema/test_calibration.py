"""Temperature, thresholds, and what abstaining gains."""

import dataclasses
import json
import math
import shutil

import numpy as np
import pytest
import scipy.optimize
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

import emotune
from builders.manifests import manifest_of, utterances
from builders.predictions import softmax, table_of
from builders.recipes import write_recipe
from emotune.errors import ConfigError, ModelError
from emotune.evaluation import evaluate
from emotune.evaluation.comparing.shared_classes import on_shared_classes
from emotune.evaluation.statistics.bootstrap import draws
from emotune.schema.calibration import Calibration, thresholds_of, with_temperature
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions
from emotune.training.calibrate import FEWEST, calibrated, fit_temperature, with_calibration

CLASSES = ("anger", "happiness", "neutral")


def drawn(size: int, *, seed: int = 0, spread: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and classes drawn by their softmax: perfectly calibrated."""
    generator = np.random.default_rng(seed)
    logits = spread * generator.standard_normal((size, len(CLASSES)))
    truth = np.array([generator.choice(len(CLASSES), p=row) for row in softmax(logits)])
    return truth, logits


def table(truth: np.ndarray, probabilities: np.ndarray, *, speakers: int = 10) -> tuple[Manifest, Predictions]:
    emotions = [CLASSES[index] for index in truth]
    rows = utterances(
        len(truth), name="u{:05d}", duration_s=1.0, speaker=lambda n: f"s{n % speakers}", emotion=emotions
    )
    return manifest_of(*rows, classes=CLASSES), table_of(probabilities, CLASSES, names=[u.utterance_id for u in rows])


@pytest.mark.parametrize("planted", [0.4, 1.0, 2.5])
def test_a_planted_temperature_is_found(planted):
    truth, logits = drawn(20000)
    assert fit_temperature(truth, softmax(planted * logits)) == pytest.approx(planted, rel=0.05)


@pytest.mark.parametrize("planted", [12.0, 30.0])
def test_a_temperature_above_ten_is_found_too(planted):
    truth, logits = drawn(20000, spread=0.2)
    assert fit_temperature(truth, softmax(planted * logits)) == pytest.approx(planted, rel=0.2)


def test_where_confidence_goes_with_mistakes_nothing_is_left_of_it():
    generator = np.random.default_rng(0)
    said = generator.integers(3, size=300)
    truth = np.where(generator.random(300) < 0.2, said, (said + 1) % 3)  # right more rarely than by chance
    confident = softmax(4.0 * np.eye(3)[said])
    temperature = fit_temperature(truth, confident)
    assert temperature > 100
    np.testing.assert_allclose(with_temperature(confident, temperature), 1 / 3, atol=0.02)


def test_on_some_classes_alone_the_threshold_is_tried_on_the_confidence_over_all():
    generator = np.random.default_rng(2)
    probabilities = generator.dirichlet(np.ones(3), size=300)
    manifest, predictions = table(generator.integers(2, size=300), probabilities)
    manifest = dataclasses.replace(manifest, label_space=LabelSpace(CLASSES[:2]))
    calibration = Calibration(1.5, thresholds_of(probabilities.max(axis=1)), {})
    truth, some, _ = on_shared_classes(manifest, predictions)
    found = evaluate(truth, some, resamples=0, calibration=calibration, unrestricted=predictions)
    assert found.abstention is not None and found.abstention.promised is not None
    promised = found.abstention.promised
    answered = probabilities.max(axis=1) >= calibration.threshold(0.8)
    assert promised.coverage.value == pytest.approx(np.mean(answered)) == pytest.approx(0.8)
    right = probabilities[:, :2].argmax(axis=1) == [CLASSES.index(str(u.emotion)) for u in manifest]
    assert promised.accuracy.value == pytest.approx(np.mean(right[answered]))
    rescaled = evaluate(truth, some, resamples=0, calibration=calibration).abstention
    assert rescaled is not None and rescaled.promised is not None
    assert rescaled.promised.coverage.value > 0.9  # what the rescaled probabilities would have promised


def test_the_temperature_is_that_of_another_optimiser():
    truth, logits = drawn(300, seed=3)
    overconfident = 1.7 * logits

    def loss(values: np.ndarray) -> float:
        return float(sklearn.metrics.log_loss(truth, softmax(overconfident / values[0]), labels=range(3)))

    found = scipy.optimize.minimize(loss, [1.0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12})
    assert fit_temperature(truth, softmax(overconfident)) == pytest.approx(found.x[0], rel=1e-4)


def test_without_a_mistake_nothing_is_learnt_of_confidence():
    truth = np.arange(60) % 3
    assert fit_temperature(truth, softmax(2.0 * np.eye(3)[truth])) == 1.0


@given(st.integers(0, 50), st.floats(0.2, 5.0))
def test_a_temperature_keeps_the_order_and_can_be_undone(seed, temperature):
    probabilities = softmax(np.random.default_rng(seed).standard_normal((20, 4)))
    softened = with_temperature(probabilities, temperature)
    np.testing.assert_allclose(softened.sum(axis=1), 1)
    np.testing.assert_array_equal(softened.argsort(axis=1), probabilities.argsort(axis=1))
    np.testing.assert_allclose(with_temperature(softened, 1 / temperature), probabilities, rtol=1e-9)


@given(st.lists(st.floats(0.2, 1.0), min_size=1, max_size=300), st.integers(1, 99))
def test_a_threshold_answers_the_share_that_was_asked_for_and_hardly_more(confidence, percent):
    calibration = Calibration(1.0, thresholds_of(confidence))
    threshold = calibration.threshold(percent / 100)
    values = np.array(confidence)
    assert (values >= threshold).mean() >= percent / 100 - 1e-12
    assert (values > threshold).sum() < math.ceil(len(values) * percent / 100)


def test_a_coverage_that_is_none_and_a_model_that_does_not_know_are_errors():
    for coverage in (0.0, -1.0, 1.01, math.nan):
        with pytest.raises(ConfigError, match="above 0 and at most 1"):
            Calibration(1.0, (0.5,) * 100).threshold(coverage)
    with pytest.raises(ModelError, match="does not say which confidence"):
        Calibration().threshold(0.8)
    assert Calibration().threshold(1.0) == 0.0


def test_too_few_utterances_leave_the_model_as_it_is_and_say_so():
    truth, logits = drawn(FEWEST - 1)
    found = calibrated(*table(truth, softmax(3 * logits)))
    assert (found.temperature, found.thresholds) == (1.0, ())
    assert str(FEWEST) in found.fitted_on["reason"]


def test_calibration_never_loses_on_what_it_was_fitted_to_and_comes_back_from_json():
    truth, logits = drawn(200, seed=5)
    manifest, predictions = table(truth, softmax(3 * logits))
    found = calibrated(manifest, predictions)
    assert found.fitted_on["log_loss_after"] < found.fitted_on["log_loss_before"]
    assert found.fitted_on["log_loss_before"] == pytest.approx(sklearn.metrics.log_loss(truth, softmax(3 * logits)))
    assert Calibration.from_json(json.loads(json.dumps(found.to_json()))) == found
    after = with_calibration(predictions, found, "f")
    assert [row.emotion for row in after] == [row.emotion for row in predictions]
    assert after.model_fingerprint == "f"


@pytest.mark.parametrize("broken", [{}, {"temperature": 0, "thresholds": [], "fitted_on": {}}, {"temperature": "x"}])
def test_a_broken_calibration_is_an_error_of_the_model(broken):
    with pytest.raises(ModelError, match="calibration must hold"):
        Calibration.from_json(broken)


def test_risk_and_coverage_are_those_of_a_slow_computation():
    truth, logits = drawn(180, seed=7)
    probabilities = softmax(logits)
    manifest, predictions = table(truth, probabilities, speakers=12)
    found = evaluate(manifest, predictions, resamples=200, seed=1).abstention
    assert found is not None
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    for coverage, risk in zip(found.coverage, found.risk, strict=True):
        chosen = np.argsort(-confidence)[: round(coverage * 180)]
        assert risk == pytest.approx(1 - right[chosen].mean())
    for item, share in zip(found.levels, (1.0, 0.9, 0.8, 0.7, 0.5), strict=True):
        chosen = confidence >= item.threshold
        assert item.coverage.value == pytest.approx(chosen.mean()) == pytest.approx(share, abs=0.01)
        assert item.accuracy.value == pytest.approx(right[chosen].mean())
        said = probabilities.argmax(axis=1)[chosen]
        assert item.uar.value == pytest.approx(sklearn.metrics.balanced_accuracy_score(truth[chosen], said))
    assert found.promised is None
    assert np.all(found.best_risk <= found.risk + 1e-12)
    assert found.best_risk[-1] == pytest.approx(found.risk[-1])
    assert found.area.value < found.risk[-1]
    (counts,) = draws(12, resamples=200, seed=1)
    thresholds = np.sort(confidence)[::-1][[math.ceil(180 * n / 100) - 1 for n in range(1, 101)]]
    areas = []
    for row in counts:
        order = sorted(range(12), key=lambda n: f"s{n}")  # clusters are numbered by their speakers' names
        weights = row[np.argsort(order)][np.array([int(u.speaker[1:]) for u in manifest])].astype(float)
        answered = np.array([weights[confidence >= t].sum() for t in thresholds])
        wrong = np.array([weights[(confidence >= t) & ~right].sum() for t in thresholds])
        steps = np.diff(answered / weights.sum(), prepend=0.0)
        areas.append(np.sum(np.divide(wrong, answered, out=np.zeros(100), where=answered > 0) * steps))
    assert found.area.low == pytest.approx(np.quantile(areas, _tail(12)))
    assert found.area.high == pytest.approx(np.quantile(areas, 1 - _tail(12)))


def _tail(clusters: int) -> float:
    from emotune.evaluation.statistics.bootstrap import expanded_tail

    return expanded_tail(clusters)


def test_the_threshold_of_development_is_tried_on_another_split():
    truth, logits = drawn(2000, seed=8)
    calibration = calibrated(*table(truth[:1000], softmax(2 * logits[:1000])))
    manifest, predictions = table(truth[1000:], softmax(2 * logits[1000:]))
    evaluation = evaluate(manifest, with_calibration(predictions, calibration, "f"), calibration=calibration)
    assert evaluation.abstention is not None
    promised = evaluation.abstention.promised
    assert promised is not None
    assert promised.coverage.value == pytest.approx(0.8, abs=0.04)
    assert promised.accuracy.value > evaluation.overall["accuracy"].value
    assert any("temperature of the probabilities" in note for note in evaluation.notes)


@pytest.fixture
def calibrated_model(tiny_model, tmp_path):
    """The tiny model with a temperature of 2, and thresholds between two confidences that it has."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    config = json.loads((folder / "config.json").read_text())
    plain = emotune.load(tiny_model).predict([_tone(n) for n in range(8)], 16000)
    middle = float(np.median([max(with_temperature([list(r.probabilities.values())], 2.0)[0]) for r in plain]))
    config["calibration"] = Calibration(2.0, (middle,) * 100, {"utterances": 8}).to_json()
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def _tone(number: int) -> np.ndarray:
    return (0.3 * np.sin(np.arange(9000 + 400 * number) * (0.03 + 0.02 * number))).astype(np.float32)


def test_a_loaded_model_softens_in_process_and_in_workers_alike(tiny_model, calibrated_model):
    clips = [_tone(n) for n in range(8)]
    plain = emotune.load(tiny_model).predict(clips, 16000)
    soft = emotune.load(calibrated_model).predict(clips, 16000)
    from emotune.inference import load

    workers = load(calibrated_model, workers=1, coverage=0.5)
    there = workers.predict(clips, 16000)
    workers.engine.close()  # pyright: ignore[reportAttributeAccessIssue]
    for before, after, other in zip(plain, soft, there, strict=True):
        expected = with_temperature([list(before.probabilities.values())], 2.0)[0]
        assert list(after.probabilities.values()) == pytest.approx(list(expected), abs=1e-6)
        assert other.probabilities == pytest.approx(after.probabilities, abs=1e-5)
        assert before.dimensions == pytest.approx(after.dimensions)
    assert 0 < sum(row.uncertain for row in there) < 8
    assert not any(row.uncertain for row in soft)


def test_uncertain_answers_are_in_the_table_and_come_back(calibrated_model, tmp_path):
    clips = [_tone(n) for n in range(8)]
    rows = emotune.load(calibrated_model, coverage=0.5).predict(clips, 16000)
    rows.write(tmp_path / "p.csv")
    back = Predictions.read(tmp_path / "p.csv")
    assert [row.uncertain for row in back] == [row.uncertain for row in rows]
    assert {row.emotion for row in back if row.uncertain} == {"uncertain"}
    assert all(row.probabilities for row in back)


def test_the_command_line_abstains_and_refuses_what_it_cannot(
    calibrated_model, tiny_model, tmp_path, tones, emotune_command
):
    manifest = tones.root / "manifest.csv"
    ended = emotune_command("predict", calibrated_model, manifest, "-o", tmp_path / "p.csv", "--coverage", "0.5")
    assert ended.code == 0, ended.err
    refused = emotune_command("predict", tiny_model, manifest, "-o", tmp_path / "q.csv", "--coverage", "0.5")
    assert refused.code == 2
    assert "does not say which confidence" in refused.err
    odd = emotune_command("predict", calibrated_model, manifest, "-o", tmp_path / "q.csv", "--coverage", "1.5")
    assert odd.code == 2
    assert "above 0 and at most 1" in odd.err
    parts = emotune_command(
        "predict", calibrated_model, manifest, "-o", tmp_path / "parts", "--part-rows", "10", "--part-format", "csv",
        "--coverage", "0.5",
    )  # fmt: skip
    assert parts.code == 0, parts.err
    in_parts = [row for part in sorted((tmp_path / "parts").glob("part-*.csv")) for row in Predictions.read(part)]
    whole = Predictions.read(tmp_path / "p.csv").by_id()
    assert {row.utterance_id: row.uncertain for row in in_parts} == {n: row.uncertain for n, row in whole.items()}


def test_a_model_folder_of_before_has_no_temperature(tiny_model, tmp_path):
    folder = tmp_path / "old"
    shutil.copytree(tiny_model, folder)
    config = json.loads((folder / "config.json").read_text())
    del config["calibration"]
    (folder / "config.json").write_text(json.dumps(config))
    old, new = (emotune.load(path).predict([_tone(1)], 16000).rows[0] for path in (folder, tiny_model))
    assert old.probabilities == new.probabilities


def test_a_run_saves_what_development_says(tmp_path, tones, emotune_command):
    more = [
        dataclasses.replace(
            u, utterance_id=f"{u.utterance_id}-{n}", start_s=0.02 * n, content_sha256=f"{u.utterance_id}{n}"
        )
        for n in range(1, 4)
        for u in tones
        if u.split == "development"
    ]
    assert len(more) + 8 >= FEWEST
    from emotune import audio

    heard = [
        dataclasses.replace(
            u,
            content_sha256=(r := audio.decode(tones.path_of(u), start_s=u.start_s)).content_sha256(),
            duration_s=r.duration_s,
        )
        for u in more
    ]
    tones.replace_utterances([*tones, *heard]).write(tmp_path / "m.csv")
    write_recipe(tmp_path / "r.yaml", tmp_path / "m.csv", train={"batch_seconds": 8})
    ended = emotune_command("train", tmp_path / "r.yaml", "-o", tmp_path / "run")
    assert ended.code == 0, ended.err
    saved = json.loads((tmp_path / "run" / "model" / "config.json").read_text())["calibration"]
    assert len(saved["thresholds"]) == 100
    assert saved["fitted_on"]["utterances"] == len(more) + 8
    report = json.loads((tmp_path / "run" / "development" / "report.json").read_text())
    assert report["abstention"]["promised"]["coverage"]["value"] >= 0.8
    assert 'id="abstention"' in (tmp_path / "run" / "development" / "report.html").read_text()
    ended = emotune_command("evaluate", tmp_path / "run", "--split", "development", "--coverage", "0.6")
    assert ended.code == 0, ended.err
    assert "answered" in ended.out
    off = emotune_command("train", tmp_path / "r.yaml", "train.calibrate=false", "-o", tmp_path / "off")
    assert off.code == 0, off.err
    plain = json.loads((tmp_path / "off" / "model" / "config.json").read_text())["calibration"]
    assert (plain["temperature"], plain["thresholds"]) == (1.0, [])
