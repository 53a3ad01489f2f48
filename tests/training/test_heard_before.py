"""Models that a recipe learns from: one rule on whom they heard, for starts, encoders and teachers alike."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from builders.models import save_tiny_model
from builders.recipes import sections_over
from emotune.config.recipe import Recipe
from emotune.errors import CorpusError
from emotune.evaluation.earlier_training import (
    EARLIER,
    EarlierTraining,
    as_one,
    earlier_in,
    earlier_notices,
    stamp_with_earlier,
)
from emotune.models.encoder_folder import save_encoder
from emotune.models.store import load_model
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.speakers import UNNAMED_CORPORA
from emotune.training.build import build_experiment
from emotune.training.fine_tune import train_run
from emotune.training.heard_before import earlier_models, refuse_heard, warnings_of_earlier
from emotune.training.manifest import build_manifest
from emotune.training.pretraining.run import build_pretraining
from emotune.training.probe import probe_run

KEYS = {"start": "model.start", "encoder": "model.backbone.checkpoint", "teacher": "task.teacher"}


@pytest.fixture
def made(tones, tmp_path):
    """A folder like that of a run: a model and an encoder that heard one split of the tones as ``train``."""

    def make(name: str, *, heard: str, renamed: bool = False, corpus: str | None = None, **about: object) -> Path:
        run = tmp_path / name
        save_tiny_model(run / "model", LabelSpace(("anger", "neutral")), pooling="mean")
        for own in ("encoder", "encoder_before"):
            (run / own).mkdir()
            save_encoder(run / own, load_model(run / "model").model.backbone)
        rows = [dataclasses.replace(u, split="train", corpus=corpus or u.corpus) for u in tones.split(heard)]
        rows = [dataclasses.replace(u, speaker=f"x{u.speaker}") for u in rows] if renamed else rows
        dataclasses.replace(tones, root=tones.root.resolve(), utterances=tuple(rows)).write(run / "manifest.csv")
        (run / "provenance.json").write_text(json.dumps(about))
        return run

    return make


@pytest.fixture
def recipe(tones, tmp_path):
    """Builds a recipe that learns from a run in one of the three ways."""

    def build(way: str, run: Path, *, inside: str = "encoder", **data) -> Recipe:
        backbone = {"config": None, "checkpoint": str(run / inside)} if way == "encoder" else {}
        sections = {"backbone": backbone, "data": data, "probe": {"cache": str(tmp_path / "features")}}
        if way == "teacher":
            task = {"name": "distillation", "teacher": str(run), "cache": str(tmp_path / "answers")}
            sections["task"] = task
        content = sections_over(tones.root / "manifest.csv", **sections)
        if way == "start":
            content["model"] = {"start": str(run)}
        return Recipe.model_validate(content)

    return build


@pytest.mark.parametrize("way", KEYS)
def test_a_model_that_heard_held_out_speakers_is_refused_in_the_same_words(way, recipe, made, tones):
    chosen = recipe(way, made("other", heard="development"))
    said = (
        rf"{KEYS[way]}: .*other.* has heard 2 speakers \(s4, s5\) of development: .*data\.allow=\[speaker_overlap, rec"
    )
    with pytest.raises(CorpusError, match=said):
        build_experiment(chosen, build_manifest(chosen))
    renamed = recipe(way, made("renamed", heard="development", renamed=True))
    with pytest.raises(CorpusError, match=r"has heard 8 recordings \(.* and 5 more\) of development"):
        build_experiment(renamed, build_manifest(renamed))
    one = recipe(way, made("one", heard="development"), allow=["speaker_overlap"])
    with pytest.raises(CorpusError, match="has heard 8 recordings"):
        build_experiment(one, build_manifest(one))
    allowed = recipe(way, made("allowed", heard="development"), allow=["speaker_overlap", "recording_overlap"])
    (model,) = earlier_models(allowed)
    build_experiment(allowed, build_manifest(allowed))
    (sentence,) = warnings_of_earlier([model.training], tones)
    assert sentence.startswith("Speaker-dependent: allowed, ") and "trained on 2 of 2 speakers of the split" in sentence


@pytest.mark.parametrize("way", KEYS)
def test_a_model_of_the_same_training_speakers_passes_without_a_word(way, recipe, made, tones):
    chosen = recipe(way, made("own", heard="train"))
    build_experiment(chosen, build_manifest(chosen))
    (model,) = earlier_models(chosen)
    assert model.training.complete and warnings_of_earlier([model.training], tones) == []


@pytest.mark.parametrize("way", KEYS)
def test_it_answers_for_all_that_the_models_heard_that_it_learnt_from_itself(way, recipe, made):
    before = EarlierTraining("first", frozenset({("tones", "S4")}), complete=False)
    corpora = {(u.corpus) for u in build_manifest(recipe(way, made("any", heard="train")))}
    before = dataclasses.replace(before, speakers=frozenset((corpus, "S4") for corpus in corpora))
    chosen = recipe(way, made("second", heard="train", **{EARLIER: [before.to_json()]}))
    with pytest.raises(CorpusError, match=r"second.* has heard 1 speaker \(s4\) of development"):
        refuse_heard(earlier_models(chosen), build_manifest(chosen).split("development"))
    assert not earlier_models(chosen)[0].training.complete


def test_recordings_are_known_along_a_chain_of_starts(recipe, made, tmp_path):
    run = made("first", heard="development", renamed=True)
    for name in ("second", "third"):
        chosen = recipe("start", run, allow=["recording_overlap"])
        probe_run(chosen, tmp_path / name)
        run = tmp_path / name
    with pytest.raises(CorpusError, match=r"third has heard 8 recordings \(.* and 5 more\) of development"):
        probe_run(recipe("start", run), tmp_path / "refused")


def test_whom_a_start_heard_is_read_once_in_a_run(recipe, made, tmp_path, monkeypatch):
    run, read, original = made("own", heard="train"), list[Path](), Manifest.read
    monkeypatch.setattr(Manifest, "read", lambda path: read.append(Path(path)) or original(path))
    probe_run(recipe("start", run), tmp_path / "probe")
    assert read.count(run / "manifest.csv") == 1


def test_copied_layers_have_heard_nothing_of_the_run_that_taught_the_others(recipe, made):
    chosen = recipe("encoder", made("other", heard="development"), inside="encoder_before")
    build_experiment(chosen, build_manifest(chosen))
    (model,) = earlier_models(chosen)
    assert model.training.complete and not model.training.speakers


def test_an_encoder_behind_a_link_is_that_of_its_run(recipe, made, tmp_path):
    (tmp_path / "link").symlink_to(made("other", heard="development") / "encoder", target_is_directory=True)
    chosen = recipe("encoder", tmp_path, inside="link")
    with pytest.raises(CorpusError, match="has heard"):
        build_experiment(chosen, build_manifest(chosen))


def test_a_speaker_without_a_corpus_may_be_one_of_any(tones):
    voices = sorted({u.speaker for u in tones.split("development")})
    named = tones.replace_utterances([dataclasses.replace(u, corpus="tones") for u in tones])
    heard = EarlierTraining("mine", frozenset({(None, voices[0])}), complete=True)
    assert stamp_with_earlier(False, [heard], named.split("development")) is True


@pytest.mark.parametrize("way", KEYS)
def test_a_speaker_of_a_folder_that_the_model_heard_may_be_one_of_any_corpus(way, recipe, made, tones, tmp_path):
    folder = made("folder", heard="development", corpus="calls")
    chosen = recipe(way, folder)
    scored = [dataclasses.replace(u, corpus="tones", content_sha256=None) for u in tones.split("development")]
    refuse_heard(earlier_models(chosen), scored)
    found = Manifest.read(folder / "manifest.csv")
    dataclasses.replace(found, information={UNNAMED_CORPORA: ["calls"]}).write(folder / "manifest.csv")
    with pytest.raises(CorpusError, match=r"has heard 2 speakers \(s4, s5\) of development"):
        refuse_heard(earlier_models(chosen), scored)


def test_a_bare_encoder_is_no_model_and_one_without_its_run_may_have_heard_anybody(recipe, made, tmp_path):
    run = made("own", heard="train")
    for name in ("encoder", "model"):
        shutil.copytree(run / name, tmp_path / "alone" / name)
    assert earlier_models(recipe("encoder", tmp_path / "alone")) == []
    for way in ("start", "teacher"):
        (model,) = earlier_models(recipe(way, tmp_path / "alone"))
        assert not model.training.complete and not model.training.speakers


def test_a_probe_and_pre_training_refuse_likewise(recipe, made, tmp_path):
    chosen = recipe("encoder", made("other", heard="development"))
    with pytest.raises(CorpusError, match=r"model\.backbone\.checkpoint: .* has heard 2 speakers"):
        probe_run(chosen, tmp_path / "probe")
    nested = chosen.model_copy(update={"probe": chosen.probe.model_copy(update={"leave_out": "speaker"})})
    with pytest.raises(CorpusError, match=r"model\.backbone\.checkpoint: .* has heard 2 speakers"):
        probe_run(nested, tmp_path / "nested")
    content = chosen.model_dump(mode="json", exclude={"probe"}) | {"task": {"name": "vesper", "layers": 2}}
    with pytest.raises(CorpusError, match=r"model\.backbone\.checkpoint: .* has heard 2 speakers"):
        build_pretraining(Recipe.model_validate(content))


@pytest.mark.load
def test_card_and_report_tell_of_a_teacher_that_may_have_heard_anybody(recipe, made, tmp_path):
    run = made("own", heard="train")
    shutil.copytree(run / "model", tmp_path / "alone")
    train_run(recipe("teacher", tmp_path / "alone"), tmp_path / "student")
    about = json.loads((tmp_path / "student" / "provenance.json").read_text(encoding="utf-8"))
    (teacher,) = earlier_in(about)
    assert teacher.is_teacher and teacher.unknown.startswith("This model was taught by alone, and which speakers")
    assert teacher.unknown in (tmp_path / "student" / "model" / "README.md").read_text(encoding="utf-8")
    report = json.loads((tmp_path / "student" / "development" / "report.json").read_text(encoding="utf-8"))
    assert teacher.unknown in report["notes"]
    assert report["information"]["speaker_dependent"] == "unknown"
    (of_student,) = earlier_models(recipe("start", tmp_path / "student"))
    assert not of_student.training.complete


def test_the_models_before_several_folds_are_told_of_in_one_sentence(tones):
    parts = [tones.filter(lambda u, own=own: u.speaker in own) for own in (("s0", "s1"), ("s2", "s3"))]
    of_all = [EarlierTraining(f"fold_{n}", frozenset({(None, "S1"), (None, "S2")}), complete=True) for n in (1, 2)]
    taught = EarlierTraining("teacher", frozenset({(None, "s0")}), complete=False, is_teacher=True)
    each = [*zip(of_all, parts, strict=True), (taught, parts[1])]
    tested = tones.filter(lambda u: u.speaker in ("s0", "s1", "s2", "s3"))
    said = earlier_notices(as_one(each), tested)
    assert said == [
        "Speaker-dependent: fold_1, fold_2, from which this model goes on, was trained on 2 of 4 speakers of this"
        " split, by corpus and name; figures say nothing about new speakers.",
        taught.unknown,
    ]
    apart = [EarlierTraining("own", frozenset({(None, "s2")}), complete=True)]
    assert earlier_notices(as_one([(apart[0], parts[0])]), tested) == [], "it heard nobody of the fold that it began"


def test_speakers_that_were_heard_before_are_told_from_new_ones(tones):
    voices = sorted({u.speaker for u in tones.split("development")})
    heard, new = {("others", "x"), (tones.utterances[0].corpus, voices[0].upper())}, {("others", voices[0])}
    (sentence,) = warnings_of_earlier([EarlierTraining("mine", frozenset(heard), complete=True)], tones)
    assert sentence == (
        f"Speaker-dependent: mine, from which this model goes on, was trained on 1 of {len(voices)} speakers of the"
        " split development, by corpus and name; figures say nothing about new speakers."
    )
    unheard = EarlierTraining("mine", frozenset(new), complete=True)
    assert warnings_of_earlier([unheard], tones) == []
    assert stamp_with_earlier(False, [unheard], tones) is False
    unknown = EarlierTraining("mine", frozenset(new), complete=False)
    assert earlier_notices([unheard, unknown], tones) == [unknown.unknown]
    assert stamp_with_earlier(False, [unheard, unknown], tones) == "unknown"
    assert earlier_in({EARLIER: json.loads(json.dumps([unknown.to_json()]))}) == [unknown]
    assert stamp_with_earlier("unknown", [EarlierTraining("mine", frozenset(heard), complete=False)], tones) is True
