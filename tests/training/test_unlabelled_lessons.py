"""Folders without labels beside a labelled manifest, for the tasks that fine-tune: what is heard, and what never is."""

import dataclasses
import json
from pathlib import Path

import pytest

from builders.lessons import prepared_experiment
from builders.models import DEPTHWISE
from builders.processes import launched, run_together
from builders.recipes import sections_over
from builders.recordings import recorded, write_recording
from emotune.audio import recordings
from emotune.config.recipe import Recipe
from emotune.corpora.beside import with_others
from emotune.errors import CorpusError
from emotune.evaluation.speaker_dependence import speaker_dependence
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import Utterance
from emotune.training.build import build_experiment
from emotune.training.fine_tune import describe, train_run
from emotune.training.manifest import build_manifest


@pytest.fixture(params=["distillation", "semi_supervised"])
def task(request, tiny_model, tmp_path) -> dict:
    if request.param == "semi_supervised":
        return {"name": "semi_supervised", "threshold": 0.5}
    return {"name": "distillation", "teacher": str(tiny_model), "cache": str(tmp_path / "answers")}


@pytest.fixture
def recipe(tones, task):
    """Builds a recipe that hears folders beside the tones."""

    def build(*folders: Path, manifest: Path | None = None, **data) -> Recipe:
        backbone = {"name": "depthwise", "config": DEPTHWISE, "train_front_end": True}
        data = {"unlabelled": [str(folder) for folder in folders], **data}
        sections = {"backbone": backbone, "data": data, "task": task, "augmentation": {"gain_db": 6}}
        return Recipe.model_validate(sections_over(manifest or tones.root / "manifest.csv", **sections))

    return build


def test_folders_without_labels_are_heard_beside_the_training_split(recipe, pool, tones, opened):
    found = prepared_experiment(recipe(pool))
    new = [utterance for utterance in found.train if utterance.corpus == "pool"]
    assert {utterance.utterance_id for utterance in new} == {"pool/new", "pool/anger/other"}
    assert {(utterance.emotion, utterance.speaker) for utterance in new} == {(None, None)}
    assert len(found.dataset) == len(tones.split("train")) + 2
    assert found.manifest.information["left_out"] == {"of pool that were read before, such as from the manifest": 2}
    of_others = {Path(u.file).name for u in tones if u.split != "train"}
    assert not of_others & set(opened)
    assert "held.wav" not in opened


def test_the_rows_of_the_manifest_stay_as_they_are(recipe, pool, tones):
    found = build_manifest(recipe(pool))
    own = {u.utterance_id: dataclasses.replace(u, file="") for u in found if u.corpus != "pool"}
    assert own == {u.utterance_id: dataclasses.replace(u, file="") for u in tones}
    assert found.label_space == tones.label_space
    assert all(found.path_of(utterance).is_file() for utterance in found)
    assert "pool: unknown" in found.information["licence"]


def test_a_held_out_recording_of_the_manifest_is_left_unopened_where_a_folder_holds_it(recipe, tones, opened, tmp_path):
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "elsewhere.wav").symlink_to(tones.path_of(tones.split("development").utterances[0]))
    write_recording(linked / "new.wav")
    found = build_manifest(recipe(tones.root, linked))
    assert {u.utterance_id for u in found if u.corpus not in (None, tones.utterances[0].corpus)} == {"linked/new"}
    of_development = {Path(u.file).name for u in tones.split("development")}
    assert not of_development & set(opened)
    assert "elsewhere.wav" not in opened
    (_, of_linked) = [item for item in found.information["left_out"].items() if "that the manifest has" in item[0]]
    assert of_linked == ("of linked that the manifest has in other splits than training", 1)


def test_a_folder_with_nothing_but_held_out_recordings_is_refused_with_the_reason(recipe, tones, tmp_path):
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "a.wav").symlink_to(tones.path_of(tones.split("development").utterances[0]))
    with pytest.raises(CorpusError, match=r"holds no recording.*a\.wav: the manifest has it in another split"):
        build_manifest(recipe(tmp_path / "held"))


def test_a_manifest_without_labels_is_heard_likewise_and_its_rows_of_held_out_recordings_are_not(
    recipe, tones, tmp_path, pool
):
    longer = dataclasses.replace(tones.split("development").utterances[0], utterance_id="x", end_s=0.2)
    moved = dataclasses.replace(longer, content_sha256="0" * 64, split=None)
    alone = dataclasses.replace(tones, root=tones.root.resolve()).replace_utterances([moved])
    alone.write(tmp_path / "part.csv")
    assert len(build_manifest(recipe(tmp_path / "part.csv"))) == len(tones)
    unmeasured = alone.replace_utterances([dataclasses.replace(moved, file="s0/00.wav", speaker=None, duration_s=None)])
    unmeasured.write(tmp_path / "part.csv")
    with pytest.raises(CorpusError, match=r"data\.unlabelled: x of .*part\.csv has no duration_s or no content"):
        build_manifest(recipe(tmp_path / "part.csv"))


def test_other_recordings_of_a_held_out_speaker_are_not_heard(recipe, tones, tmp_path):
    whole = dataclasses.replace(tones, root=tones.root.resolve())
    whole.replace_utterances([dataclasses.replace(u, corpus="tones") for u in whole]).write(tmp_path / "own.csv")
    said = {"a": ("tones", "S4"), "b": ("tones", "s0"), "c": ("others", "s4"), "d": ("tones", None)}
    for name in said:
        write_recording(tmp_path / "more" / f"{name}.wav")
    rows = [recorded(tmp_path / "more", f"{n}.wav", corpus=corpus, speaker=own) for n, (corpus, own) in said.items()]
    Manifest(tuple(rows), LabelSpace(()), tmp_path / "more").write(tmp_path / "more.csv")
    found = build_manifest(recipe(tmp_path / "more.csv", manifest=tmp_path / "own.csv"))
    added = {u.utterance_id: (u.corpus, u.speaker) for u in found if u.utterance_id.startswith("more/")}
    assert added == {"more/b": ("tones", "s0"), "more/c": ("others", "s4"), "more/d": ("tones", None)}
    (left_out,) = found.information["left_out"].items()
    assert left_out == ("of more by speakers whom the manifest has in other splits than training", 1)


def test_of_a_recording_with_a_held_out_stretch_others_are_heard_that_lie_apart_and_name_their_speakers(
    recipe, tones, tmp_path
):
    write_recording(tmp_path / "talk.wav", seconds=4.0)
    held = recorded(tmp_path, "talk.wav", "held", split="test", emotion="anger", speaker="eve")
    held = dataclasses.replace(held, start_s=1.0, end_s=2.0)
    whole = dataclasses.replace(tones, root=tones.root.resolve())
    joined = with_others(whole, {"talks": Manifest((held,), LabelSpace(()), tmp_path)})
    joined.write(tmp_path / "own.csv")
    said = {
        "before": (0.0, 1.0, "ann"),
        "over": (1.5, 3.0, "ann"),
        "until": (None, 1.5, "ann"),
        "onwards": (2.0, None, "bob"),
        "nobody": (3.0, 4.0, None),
        "herself": (3.0, 4.0, "eve"),
        "all": (None, None, "ann"),
    }
    rows = [
        dataclasses.replace(
            held, utterance_id=name, split=None, emotion=None, start_s=start, end_s=end, speaker=speaker
        )
        for name, (start, end, speaker) in said.items()
    ]
    rows = [dataclasses.replace(row, content_sha256=f"{number:064}") for number, row in enumerate(rows)]
    Manifest(tuple(rows), LabelSpace(()), tmp_path).write(tmp_path / "more.csv")
    found = build_manifest(recipe(tmp_path / "more.csv", manifest=tmp_path / "own.csv"))
    assert {u.utterance_id for u in found if u.utterance_id.startswith("more/")} == {"more/before", "more/onwards"}
    assert found.information["left_out"] == {
        "of more that the manifest has in other splits than training": 4,
        "of more by speakers whom the manifest has in other splits than training": 1,
    }


def test_a_held_out_speaker_whom_a_folder_names_is_not_heard_either(recipe, tones, tmp_path, opened):
    whole = dataclasses.replace(tones, root=tones.root.resolve())
    whole.replace_utterances([dataclasses.replace(u, corpus="tones") for u in whole]).write(tmp_path / "own.csv")
    for name in ("a", "b"):
        write_recording(tmp_path / "more" / f"{name}.wav")
    (tmp_path / "more" / "metadata.csv").write_text("file_name,speaker\na.wav,S4\nb.wav,new\n")
    found = build_manifest(recipe(tmp_path / "more", manifest=tmp_path / "own.csv"))
    assert [u.speaker for u in found if u.utterance_id.startswith("more/")] == ["more/new"]
    assert "a.wav" not in opened


def test_a_later_run_knows_speakers_of_folders_that_name_no_corpus(recipe, tmp_path):
    for folder in ("one", "two"):
        write_recording(tmp_path / folder / "a.wav")
        (tmp_path / folder / "metadata.csv").write_text("file_name,speaker\na.wav,Ana 1\n")
    found = build_manifest(recipe(tmp_path / "one", tmp_path / "two"))
    assert {u.speaker for u in found if "/" in u.utterance_id} == {"one/Ana 1", "two/Ana 1"}, "they may be two people"
    found.write(tmp_path / "run" / "manifest.csv")
    heard = Manifest.read(tmp_path / "run" / "manifest.csv").split("train")
    scored = [Utterance("x", "x.wav", corpus="calls", speaker="ana_1"), Utterance("y", "y.wav", corpus="two")]
    named = Manifest(tuple(scored), LabelSpace(()), tmp_path)
    assert speaker_dependence(heard, named).shared == 1


def test_classes_that_occur_in_votes_alone_and_scales_stay(recipe, tones, tmp_path, pool):
    rows = [
        dataclasses.replace(u, votes={"fear": 1.0, str(u.emotion): 2.0}, dimensions={"valence": 2.0}) for u in tones
    ]
    space = LabelSpace((*tones.label_space.classes, "fear"), {"valence": Scale(1, 5)})
    whole = dataclasses.replace(tones, root=tones.root.resolve(), label_space=space)
    whole.replace_utterances(rows).write(tmp_path / "voted.csv")
    found = build_manifest(recipe(pool, manifest=tmp_path / "voted.csv", drop=[]))
    assert found.label_space == space
    assert all(len(u.votes) == 2 and u.dimensions for u in found if u.corpus != "pool")


@pytest.mark.load
def test_a_run_hears_them_and_says_that_its_speakers_are_not_all_known(recipe, pool, tmp_path):
    train_run(recipe(pool), tmp_path / "run")
    assert sum(u.corpus == "pool" for u in Manifest.read(tmp_path / "run" / "manifest.csv")) == 2
    report = json.loads((tmp_path / "run" / "development" / "report.json").read_text(encoding="utf-8"))
    assert report["information"]["speaker_dependent"] == "unknown"


def _described(count: int, number: int, port: str, recipe: dict, folder: str) -> None:
    """A process of a dry run, as a launcher starts it, which notes what it opened and described."""
    launched(count, number, port)
    opened, original = list[str](), recordings.opened_file
    recordings.opened_file = lambda stream, name: opened.append(Path(name).name) or original(stream, name)
    found = describe(Recipe.model_validate(recipe))
    (Path(folder) / f"{number}.json").write_text(json.dumps([found["utterances"], opened]))


@pytest.mark.load
def test_of_several_processes_one_reads_them_for_all(recipe, pool, tmp_path):
    run_together(_described, 2, recipe(pool).model_dump(mode="json"), str(tmp_path))
    first, second = (json.loads((tmp_path / f"{number}.json").read_text()) for number in (0, 1))
    assert first[0] == second[0] and first[0]["train"] == 18
    assert "new.wav" in first[1] and second[1] == []


def test_without_a_labelled_manifest_nothing_could_choose_the_epoch(recipe, pool):
    content = recipe(pool).model_dump(mode="json")
    content["data"]["manifest"] = None
    with pytest.raises(ValueError, match=r"development needs labels, to choose the epoch: give data\.manifest"):
        Recipe.model_validate(content)
    with pytest.raises(ValueError, match=r"data\.unlabelled: nothing is learnt of recordings without labels but by"):
        Recipe.model_validate({**recipe(pool).model_dump(mode="json"), "task": None})


def test_folders_make_a_fully_labelled_manifest_enough_for_a_model_that_labels_for_itself(recipe, pool, task):
    if task["name"] == "semi_supervised":
        for work in (describe, lambda own: build_experiment(own, build_manifest(own))):
            with pytest.raises(CorpusError, match=r"all have one\. Set data\.budget, .*data\.unlabelled"):
                work(recipe())
    assert describe(recipe(pool))["utterances"]["train"] == 18
