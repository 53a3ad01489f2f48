"""Robustness: clean stays clean, differences are paired, nothing is predicted twice, every failure is a row."""

import dataclasses
import json
import math

import numpy as np
import pytest
import sklearn.metrics

from builders.manifests import manifest_of, utterance
from builders.predictions import failing, predictions_of, said
from emotune.evaluation.robustness.degradations import DEGRADATIONS, Degradation
from emotune.evaluation.robustness.effects import effect_of
from emotune.evaluation.robustness.run import Voices, predict_under, run_robustness
from emotune.evaluation.statistics.bootstrap import Estimate, draws, expanded_tail
from emotune.inference import Predictor, load
from emotune.report.robustness_page import page, write_robustness
from emotune.report.robustness_words import GAIN, LOSS, NONE, SMALL, UNKNOWN, conclusions, verdict_of
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions

IDENTITY = Degradation("identity", "as they are")
CLASSES = ("anger", "neutral", "sadness")


@pytest.fixture(scope="module")
def predictor(tiny_model) -> Predictor:
    return load(tiny_model, device="cpu")


class Counting:
    """An engine that counts the clips that it is given, and may have another fingerprint."""

    def __init__(self, engine, fingerprint: str | None = None) -> None:
        self.engine, self.clips = engine, 0
        self.fingerprint = fingerprint or engine.fingerprint

    def __getattr__(self, name: str):
        return getattr(self.engine, name)

    def run(self, waveforms, conditions=()):
        self.clips += len(waveforms)
        return self.engine.run(waveforms, conditions)


def constructed(seed: int = 0) -> tuple[Manifest, Predictions, Predictions]:
    """Twelve speakers; clean answers are mostly right, degraded ones less often, one of each failed."""
    generator = np.random.default_rng(seed)
    rows, clean, degraded = [], [], []
    for number in range(12 * 15):
        emotion = CLASSES[number % 3]
        rows.append(utterance(f"u{number}", emotion, speaker=f"s{number % 12}"))
        for table, right in ((clean, 0.9), (degraded, 0.5)):
            answer = emotion if generator.random() < right else CLASSES[int(generator.integers(3))]
            table.append(said(f"u{number}", answer, 0.8, classes=CLASSES))
    tables = (predictions_of(*table, classes=CLASSES) for table in (clean, degraded))
    return manifest_of(*rows, classes=CLASSES), *map(failing, tables, ("u3", "u7"))


def test_the_identity_gives_the_clean_predictions_exactly(tones, predictor):
    clean = predictor.predict_manifest(tones)
    same = predict_under(predictor, Voices(tones), "identity", IDENTITY)
    assert [row.probabilities for row in same] == [row.probabilities for row in clean]
    assert [row.dimensions for row in same] == [row.dimensions for row in clean]
    assert same.manifest_fingerprint == clean.manifest_fingerprint
    assert same.model_fingerprint == clean.model_fingerprint


def test_the_identity_loses_nothing(tones, predictor):
    clean = predictor.predict_manifest(tones)
    found = effect_of("identity", IDENTITY, tones, clean, clean, resamples=50)
    assert all(item == Estimate(0.0, 0.0, 0.0) for item in found.differences.values())
    assert found.changed == Estimate(0.0, 0.0, 0.0)
    assert found.confidence == found.clean_confidence


def test_differences_are_paired_and_drawn_by_speaker_as_a_slow_computation_has_it():
    manifest, clean, degraded = constructed()
    found = effect_of("worse", IDENTITY, manifest, clean, degraded, resamples=300, seed=4)
    kept = [n for n in range(len(manifest)) if n not in (3, 7)]
    speakers = sorted({u.speaker for u in manifest if u.speaker})
    truth = np.array([manifest.utterances[n].emotion for n in kept])
    sides = [np.array([table.rows[n].emotion for n in kept]) for table in (clean, degraded)]
    code = np.array([speakers.index(manifest.utterances[n].speaker or "") for n in kept])

    def difference(weights: np.ndarray) -> float:
        old, new = (sklearn.metrics.recall_score(truth, said, average="macro", sample_weight=weights) for said in sides)
        return float(new - old)

    (counts,) = draws(len(speakers), resamples=300, seed=4)
    resampled = [difference(row[code].astype(float)) for row in counts]
    assert found.differences["uar"].value == pytest.approx(difference(np.ones(len(kept))))
    assert found.differences["uar"].low == pytest.approx(np.quantile(resampled, expanded_tail(12)))
    assert found.differences["uar"].high == pytest.approx(np.quantile(resampled, 1 - expanded_tail(12)))
    assert found.scores["uar"].value == pytest.approx(sklearn.metrics.balanced_accuracy_score(truth, sides[1]))
    assert found.changed.value == pytest.approx(np.mean(sides[0] != sides[1]))
    assert found.confidence == pytest.approx(0.8)
    assert (found.clips, found.failed, found.speakers) == (178, 1, 12)
    recalls = sklearn.metrics.recall_score(truth, sides[1], average=None, labels=CLASSES)
    np.testing.assert_allclose(list(found.recalls.values()), recalls)


def test_dimensions_are_held_against_each_other_too(tones, predictor):
    from emotune.metrics.dimensions import ccc
    from emotune.schema.labels import Scale

    rows = [dataclasses.replace(u, emotion=None, dimensions={"arousal": 1 + n / 4}) for n, u in enumerate(tones)]
    space = LabelSpace((), {"arousal": Scale(1, 7)})
    manifest = dataclasses.replace(tones.replace_utterances(rows), label_space=space)
    clean = predictor.predict_manifest(manifest)
    noisy = predict_under(predictor, Voices(manifest), "white_0db", DEGRADATIONS["white_0db"])
    found = effect_of("white_0db", DEGRADATIONS["white_0db"], manifest, clean, noisy, resamples=20)
    truth = [u.dimensions["arousal"] for u in manifest]
    before, after = (ccc(truth, [row.dimensions["arousal"] for row in table]) for table in (clean, noisy))
    assert found.scores["ccc"].value == pytest.approx(after)
    assert found.differences["ccc"].value == pytest.approx(after - before)
    assert math.isnan(found.changed.value)


@pytest.mark.parametrize(
    ("difference", "verdict"),
    [
        (Estimate(-0.2, -0.3, -0.01), LOSS),
        (Estimate(-0.04, -0.06, -0.02), SMALL),
        (Estimate(-0.2, -0.5, 0.1), NONE),
        (Estimate(0.1, 0.05, 0.2), GAIN),
        (Estimate(-0.3), UNKNOWN),
    ],
)
def test_a_verdict_needs_an_interval_without_zero(difference, verdict):
    assert verdict_of(difference) == verdict


def test_an_interrupted_run_goes_on_where_it_was(tones, predictor, tmp_path):
    clean = predictor.predict_manifest(tones)
    wanted = {name: DEGRADATIONS[name] for name in ("white_0db", "quiet", "first_1s")}

    def interrupted(samples, generator):
        raise KeyboardInterrupt

    broken = wanted | {"quiet": dataclasses.replace(wanted["quiet"], change=interrupted)}
    with pytest.raises(KeyboardInterrupt):
        run_robustness(predictor, tones, clean, tmp_path, degradations=broken, resamples=10)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["white_0db.csv", "white_0db.csv.meta.json"]
    counting = Predictor(Counting(predictor.engine))  # pyright: ignore[reportArgumentType]
    resumed = run_robustness(counting, tones, clean, tmp_path, degradations=wanted, resamples=10)
    assert counting.engine.clips == 2 * len(tones)  # pyright: ignore[reportAttributeAccessIssue]
    whole = run_robustness(predictor, tones, clean, tmp_path / "whole", degradations=wanted, resamples=10)
    assert [item.scores for item in resumed.effects] == [item.scores for item in whole.effects]
    again = run_robustness(counting, tones, clean, tmp_path, degradations=wanted, resamples=10)
    assert counting.engine.clips == 2 * len(tones)  # pyright: ignore[reportAttributeAccessIssue]
    assert [item.differences for item in again.effects] == [item.differences for item in whole.effects]
    table = Predictions.read(tmp_path / "quiet.csv")
    failed = dataclasses.replace(table.rows[3], probabilities={}, dimensions={}, error="a.wav may not be read.")
    table.with_rows_of(dataclasses.replace(table, rows=(failed,))).write(tmp_path / "quiet.csv")
    retried = run_robustness(counting, tones, clean, tmp_path, degradations=wanted, resamples=10)
    assert counting.engine.clips == 2 * len(tones) + 1  # pyright: ignore[reportAttributeAccessIssue]
    assert retried.failed == 0 and not Predictions.read(tmp_path / "quiet.csv").failed


def test_another_model_manifest_or_degradation_is_predicted_anew(tones, predictor, tmp_path):
    clean = predictor.predict_manifest(tones)
    wanted = {"quiet": DEGRADATIONS["quiet"]}
    run_robustness(predictor, tones, clean, tmp_path, degradations=wanted, resamples=10)
    fewer = tones.filter(lambda u: u.speaker != "s5")
    other = {"quiet": dataclasses.replace(DEGRADATIONS["quiet"], words="other words")}
    for manifest, degradations, name in ((tones, wanted, "other"), (fewer, wanted, None), (fewer, other, None)):
        engine = Counting(predictor.engine, name)
        run_robustness(
            Predictor(engine),  # pyright: ignore[reportArgumentType]
            manifest,
            clean,
            tmp_path,
            degradations=degradations,
            resamples=10,
        )
        assert engine.clips == len(manifest)


def test_a_clip_that_fails_is_an_error_row_and_is_counted(tones, predictor, tmp_path):
    rows = [dataclasses.replace(tones.utterances[0], file="missing.wav"), *tones.utterances[1:]]
    manifest = tones.replace_utterances(rows)
    found = run_robustness(
        predictor,
        manifest,
        predictor.predict_manifest(manifest),
        tmp_path,
        degradations={"quiet": DEGRADATIONS["quiet"]},
        resamples=10,
    )
    table = Predictions.read(tmp_path / "quiet.csv")
    assert len(table) == 24
    assert "missing.wav does not exist" in (table.rows[0].error or "")
    assert (found.failed, found.effects[0].clips) == (1, 23)
    assert "left out of its figures: 1." in page(found, "title")


def test_babble_that_cannot_be_made_is_left_out_with_its_reason(tones, predictor, tmp_path):
    two = tones.split("development")
    found = run_robustness(
        predictor,
        two,
        predictor.predict_manifest(two),
        tmp_path,
        degradations={name: DEGRADATIONS[name] for name in ("babble_0db", "quiet")},
        resamples=10,
    )
    assert [item.name for item in found.effects] == ["quiet"]
    assert "have 2 in all" in found.skipped["babble_0db"]
    assert "Conditions left out" in page(found, "title")


def test_the_page_and_the_json_hold_every_degradation_and_let_no_text_become_markup(tones, predictor, tmp_path):
    clean = predictor.predict_manifest(tones)
    wanted = {name: DEGRADATIONS[name] for name in ("white_0db", "babble_0db", "first_1s")}
    found = run_robustness(predictor, tones, clean, tmp_path, degradations=wanted, resamples=50)
    write_robustness(tmp_path, found, title="<script>", notices=["a < b"])
    source = (tmp_path / "robustness.html").read_text(encoding="utf-8")
    assert "<script" not in source
    assert "a &lt; b" in source
    data = json.loads((tmp_path / "robustness.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert list(data["conditions"]) == list(wanted)
    for name, degradation in wanted.items():
        assert degradation.words in source
        assert data["conditions"][name]["scores"]["uar"]["value"] == pytest.approx(
            next(item for item in found.effects if item.name == name).scores["uar"].value
        )
    assert sum(map(len, data["conclusions"].values())) == 3
    assert data["clean"]["uar"] == found.clean["uar"].to_json()


def test_a_loss_is_a_reason_not_to_use_the_model_and_over_confidence_is_said():
    manifest, clean, degraded = constructed()
    item = effect_of("worse", DEGRADATIONS["white_0db"], manifest, clean, degraded)
    whole = run_of(item, manifest, clean)
    (sentence,) = conclusions(whole)[LOSS]
    assert "White noise as loud as the speech" in sentence
    assert f"{item.differences['uar'].value:+.3f}" in sentence
    assert "80 % confident" in sentence


def run_of(item, manifest, clean):
    from emotune.evaluation.robustness.run import _summed_up

    return _summed_up(manifest, clean, [item], {}, resamples=50, seed=0)
