"""Audits: bounds hold in the files, nothing is attacked twice, what cannot be attacked is said, pages hold it all."""

import copy
import dataclasses
import itertools
import json
import math
from collections import Counter

import numpy as np
import pytest
import soundfile
import torch

from builders.exported import save_exported
from builders.manifests import manifest_of, utterance
from emotune.attacks import attacking
from emotune.attacks.plan import plan_of
from emotune.errors import ConfigError
from emotune.evaluation.adversarial.audit import ATTACKED, ORIGINAL, Audit, chosen_clips, run_audit
from emotune.inference import Predictor, load
from emotune.report.adversarial_page import page, write_audit
from emotune.report.adversarial_words import conclusions
from emotune.report.evaluate_run import evaluate_run
from emotune.report.robustness_words import LOSS, verdict_of
from emotune.report.score_attacks import Attacks
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions

PLAN = plan_of(["fgsm:epsilon=0", "fgsm:epsilon=0.002", "pgd:snr_db=25,steps=3", "deepfool:steps=3"])


@pytest.fixture(scope="module")
def predictor(tiny_model) -> Predictor:
    """The tiny model with its classes moved so that it answers both, half of the clips each, by small leads."""
    found = load(tiny_model, device="cpu")
    found.engine.fingerprint = "moved"
    return found


@pytest.fixture(scope="module")
def clean(predictor, tones) -> Predictions:
    engine = predictor.engine
    said = predictor.predict_manifest(tones)
    middle = np.median([math.log(row.probabilities["anger"] / row.probabilities["neutral"]) for row in said])
    last = [module for module in engine.model.heads["classes"].modules() if isinstance(module, torch.nn.Linear)][-1]
    with torch.no_grad():
        last.bias -= torch.tensor([middle, 0.0])
    return predictor.predict_manifest(tones)


@pytest.fixture(scope="module")
def audit(predictor, clean, tones, tmp_path_factory) -> tuple[Audit, object]:
    folder = tmp_path_factory.mktemp("audit")
    return run_audit(predictor, tones, clean, folder, PLAN, named=True, resamples=50), folder


@pytest.fixture
def attacked(monkeypatch) -> list[str]:
    """The keys of the clips that are attacked."""
    keys: list[str] = []
    original = attacking.attack_clip

    def counted(*arguments, key: str, **options):
        keys.append(key)
        return original(*arguments, key=key, **options)

    monkeypatch.setattr(attacking, "attack_clip", counted)
    return keys


def test_a_bound_of_zero_gives_the_clean_predictions(audit, clean):
    found, folder = audit
    same = Predictions.read(folder / "fgsm-epsilon=0.csv")
    for row, before in zip(same, clean, strict=True):
        assert row.probabilities == pytest.approx(before.probabilities, abs=1e-6)
        assert float(row.extra["largest"]) == 0.0
    zero = found.effects[0]
    assert zero.effect.differences["uar"].value == zero.effect.changed.value == 0.0
    assert zero.size.snr_db == math.inf


def test_bounds_hold_in_what_is_written_and_attacks_cost_what_they_should(audit):
    found, folder = audit
    for row in Predictions.read(folder / "fgsm-epsilon=0.002.csv"):
        assert 0.0019 < float(row.extra["largest"]) <= 0.002 + 1e-7
        assert float(row.extra["queries"]) == 1
    for row in Predictions.read(folder / "pgd-snr_db=25-steps=3.csv"):
        assert float(row.extra["snr_db"]) >= 24.99
    effects = {item.attack.slug: item.effect for item in found.effects}
    assert effects["pgd-snr_db=25-steps=3"].differences["accuracy"].value < -0.3
    assert effects["deepfool-steps=3"].scores["accuracy"].value < 0.3


def test_scores_are_those_of_the_written_predictions_by_gender_too(audit, tones):
    found, folder = audit
    truth = {u.utterance_id: u for u in tones}
    for item in found.effects:
        rows = Predictions.read(folder / f"{item.attack.slug}.csv")
        for gender in ("female", "male"):
            recalls = []
            for emotion in ("anger", "neutral"):
                of_class = [
                    row.emotion == emotion
                    for row in rows
                    if (truth[row.utterance_id].gender, truth[row.utterance_id].emotion) == (gender, emotion)
                ]
                recalls.append(np.mean(of_class))
            assert item.by_gender[gender].scores["uar"].value == pytest.approx(np.mean(recalls))
        assert item.size.largest == pytest.approx(np.mean([float(row.extra["largest"]) for row in rows]))


def test_the_example_is_the_clip_and_what_was_done_to_it(audit, predictor, tones):
    found, folder = audit
    original, rate = soundfile.read(folder / ORIGINAL, dtype="float32")
    changed, _ = soundfile.read(folder / ATTACKED, dtype="float32")
    own = next(u for u in tones if u.utterance_id == found.example.utterance_id)
    np.testing.assert_array_equal(original, tones.clip_of(own).samples)
    assert predictor.predict(folder / ORIGINAL).emotion == found.example.before == own.emotion
    assert predictor.predict(folder / ATTACKED).emotion == found.example.after != own.emotion
    snr_db = 10 * np.log10(np.mean(original**2) / np.mean((changed - original) ** 2))
    assert (rate, found.example.snr_db) == (16000, pytest.approx(snr_db, abs=0.01))


def test_an_interrupted_audit_goes_on_and_another_seed_or_model_begins_anew(
    predictor, clean, tones, tmp_path, attacked
):
    plan = plan_of(["pgd:snr_db=25,steps=2"])

    def interrupting(items, *, total, title):
        for number, item in enumerate(items):
            if number == 20:
                raise KeyboardInterrupt
            yield item

    with pytest.raises(KeyboardInterrupt):
        run_audit(predictor, tones, clean, tmp_path, plan, resamples=10, progress=interrupting)
    begun = Predictions.read(tmp_path / "pgd-snr_db=25-steps=2.csv")
    assert len(begun) == 20
    failed = dataclasses.replace(begun.rows[3], probabilities={}, dimensions={}, error="a.wav may not be read.")
    begun.with_rows_of(dataclasses.replace(begun, rows=(failed,))).write(tmp_path / "pgd-snr_db=25-steps=2.csv")
    attacked.clear()
    resumed = run_audit(predictor, tones, clean, tmp_path, plan, resamples=10)
    assert len(attacked) == 5 + (resumed.example is not None)  # and that one once more
    whole = run_audit(predictor, tones, clean, tmp_path / "whole", plan, resamples=10)
    rows = [Predictions.read(folder / "pgd-snr_db=25-steps=2.csv").rows for folder in (tmp_path, tmp_path / "whole")]
    assert [row.probabilities for row in rows[0]] == [row.probabilities for row in rows[1]]
    assert resumed.effects[0].effect.scores == whole.effects[0].effect.scores
    attacked.clear()
    run_audit(predictor, tones, clean, tmp_path, plan, resamples=10, seed=1)
    assert len(attacked) >= 24
    other = copy.copy(predictor)
    other.engine = copy.copy(predictor.engine)
    other.engine.fingerprint = "another"
    attacked.clear()
    run_audit(other, tones, clean, tmp_path, plan, resamples=10, seed=1)
    assert len(attacked) >= 24


def test_clips_are_chosen_evenly_over_classes_and_speakers_and_stay_the_same(tones):
    found = chosen_clips(tones, 12, 0)
    assert sorted((u.speaker, u.emotion) for u in found) == sorted({(u.speaker, u.emotion) for u in tones})
    assert chosen_clips(tones, 12, 0) == found != chosen_clips(tones, 12, 1)
    assert chosen_clips(tones, 100, 0) == tones


def test_fewer_clips_than_speakers_and_classes_still_hold_every_class_and_are_among_more():
    classes = [f"class{number}" for number in range(8)]
    rows = [
        utterance(f"{emotion}-{speaker}-{take}", emotion=emotion, speaker=f"s{speaker}")
        for emotion in classes
        for speaker in range(5)
        for take in range(3)
    ]
    whole = manifest_of(*rows)
    by_count = {count: chosen_clips(whole, count, 0) for count in (8, 16, 40, 120)}
    for found, more in itertools.pairwise(by_count.values()):
        assert {u.utterance_id for u in found} < {u.utterance_id for u in more}
    for count, found in by_count.items():
        assert Counter(u.emotion for u in found) == dict.fromkeys(classes, count // 8)
        assert len({(u.emotion, u.speaker) for u in found}) == min(count, 40)


def test_the_direction_counts_only_where_an_attack_of_that_size_costs_something(predictor, clean, tones, tmp_path):
    said = {}
    for strong in (25, 60):
        plan = plan_of(["random_sign:snr_db=60", f"pgd:snr_db={strong},steps=3"])
        found = run_audit(predictor, tones, clean, tmp_path / str(strong), plan, named=True, resamples=50)
        lost = verdict_of(found.effects[1].effect.differences["uar"]) == LOSS
        said[strong] = lost, any("It is the direction that counts" in words for words in conclusions(found))
    assert said[25] == (True, False)
    assert said[60][0] == said[60][1]


def test_a_clip_that_cannot_be_heard_is_a_row_with_its_error(predictor, tones, tmp_path):
    rows = [dataclasses.replace(tones.utterances[0], file="missing.wav"), *tones.utterances[1:]]
    manifest = tones.replace_utterances(rows)
    clean = predictor.predict_manifest(manifest)
    found = run_audit(predictor, manifest, clean, tmp_path, plan_of(["random_sign:snr_db=30"]), resamples=10)
    assert (found.failed, found.effects[0].effect.clips) == (1, 23)
    assert "left out of its figures: 1." in page(found, "title")


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Predictor:
    return load(save_exported(tmp_path_factory.mktemp("exported") / "model", LabelSpace(("anger", "neutral"))))


def test_an_exported_model_is_attacked_by_its_answers_and_the_rest_is_refused_with_the_cure(exported, tones, tmp_path):
    clean = exported.predict_manifest(tones)
    asked = plan_of(
        ["random_sign:snr_db=20", "hop_skip_jump:iterations=1,queries=4", "pgd:snr_db=30", "jsma:domain=log_mel"]
    )
    found = run_audit(exported, tones, clean, tmp_path, asked, clips=4, resamples=10)
    assert [item.attack.name for item in found.effects] == ["random_sign", "hop_skip_jump"]
    assert "pgd needs gradients, and an exported model answers only" in found.skipped["pgd-snr_db=30"]
    assert "Give the run folder" in found.skipped["jsma-log_mel"]
    assert "Attacks left out" in page(found, "title")
    with pytest.raises(ConfigError, match=r"--attack pgd:.*answers only\. Give the run folder .*sparse, hop_skip_jump"):
        run_audit(exported, tones, clean, tmp_path, asked[2:], named=True)


def test_options_of_attacks_go_with_attacks():
    assert Attacks.asked(False, []) is None
    asked = Attacks.asked(True, ["deepfool"], 7)
    assert asked == Attacks(plan_of(["deepfool"]), 7)
    assert Attacks.asked(True, []) == Attacks()
    for options in (["deepfool"], None), ([], 7):
        with pytest.raises(ConfigError, match="goes with --adversarial"):
            Attacks.asked(False, *options)


@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_rounded_models_are_not_attacked(tiny_model, tmp_path, precision):
    with pytest.raises(ConfigError, match="leave out --precision"):
        evaluate_run(tiny_model, output=tmp_path, attacks=Attacks(), precision=precision)


def test_a_model_without_classes_is_refused(tmp_path):
    space = LabelSpace((), {"arousal": Scale(1, 7)})
    model = load(save_exported(tmp_path / "model", space))
    with pytest.raises(ConfigError, match="this model has dimensions only"):
        run_audit(model, manifest_of(utterance("a")), Predictions((), space), tmp_path, PLAN)


def test_the_page_and_the_json_hold_every_attack_and_let_no_text_become_markup(audit, tmp_path):
    found, _ = audit
    write_audit(tmp_path, found, title="<script>", notices=["a < b"])
    source = (tmp_path / "adversarial.html").read_text(encoding="utf-8")
    assert "<script" not in source
    assert "a &lt; b" in source
    assert f'src="adversarial/{ATTACKED}"' in source
    data = json.loads((tmp_path / "adversarial.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert list(data["attacks"]) == [attack.slug for attack in PLAN]
    for item in found.effects:
        assert item.attack.words in source
        told = data["attacks"][item.attack.slug]
        assert told["scores"]["uar"] == item.effect.scores["uar"].to_json()
        assert told["by_gender"]["male"]["clips"] == 12
    assert any(sentence.startswith("Pgd, 25 dB under the speech") for sentence in data["conclusions"])


def test_attacked_clips_enter_no_manifest(audit, tones):
    _, folder = audit
    written = {path.name for path in folder.rglob("*.wav")}
    assert written == {ORIGINAL, ATTACKED}
    assert not written & {u.file.rpartition("/")[2] for u in Manifest.read(tones.root / "manifest.csv")}
    assert folder not in tones.root.parents
