"""A run of pre-training: what it opens and reads, what it leaves behind, and how it goes on after an interruption."""

import dataclasses
import json
import re
from pathlib import Path

import pytest
import torch

from builders.models import WAVLM
from builders.processes import launched, run_together
from builders.recipes import sections_over
from builders.recordings import write_recording
from emotune.audio import recordings
from emotune.config.recipe import Recipe
from emotune.errors import ConfigError, CorpusError
from emotune.models.backbones.checkpoint import load_pretrained
from emotune.models.weights import WeightsFile
from emotune.protocols.run import run as run_protocol
from emotune.runtime.listener import Listener
from emotune.schema.manifest import Manifest
from emotune.training.build import build_backbone
from emotune.training.loop import processes
from emotune.training.manifest import build_manifest
from emotune.training.pretraining.run import build_pretraining, describe_pretraining, pretrain_run

FOUR_LAYERS = {**WAVLM, "num_hidden_layers": 4}
TASK = {"name": "vesper", "layers": 2}


def recipe_of(manifest: Path | None, *, data: dict | None = None, **train) -> Recipe:
    sections = sections_over(
        Path("none"),
        config=FOUR_LAYERS,
        task=TASK,
        train={"epochs": 2, "batch_seconds": 4.0, "encoder_lr": 1e-3, **train},
    )
    sections["data"] = {"manifest": manifest, **(data or {})}
    return Recipe.model_validate(sections)


def weights_in(folder: Path) -> dict[str, bytes]:
    file = WeightsFile.open(folder / "encoder" / "model.safetensors")
    places = {name: torch.empty(tensor.shape) for name, tensor in file.header.items()}
    file.read_into(places)
    return {name: value.numpy().tobytes() for name, value in places.items()}


@pytest.fixture(scope="module")
def run(tones, tmp_path_factory) -> tuple[Path, list[str]]:
    """A finished run, and the names of the recordings that it opened."""
    folder, names = tmp_path_factory.mktemp("pretrained") / "run", list[str]()
    original = recordings.opened_file
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            recordings,
            "opened_file",
            lambda stream, name: names.append(Path(name).name) or original(stream, name),
        )
        pretrain_run(recipe_of(tones.root / "manifest.csv"), folder)
    return folder, names


def test_no_recording_of_another_split_than_training_is_opened(run, tones):
    of_training = {Path(utterance.file).name for utterance in tones if utterance.split == "train"}
    assert set(run[1]) == of_training


@pytest.mark.load
def test_no_label_is_read(run, tones, tmp_path):
    mute = dataclasses.replace(tones, root=tones.root.resolve())
    mute = mute.replace_utterances([dataclasses.replace(u, emotion=None) for u in mute])
    mute.write(tmp_path / "mute.csv")
    pretrain_run(recipe_of(tmp_path / "mute.csv"), tmp_path / "run")
    assert weights_in(tmp_path / "run") == weights_in(run[0])
    header = (run[0] / "manifest.csv").read_text().splitlines()
    assert "anger" not in "".join(header)


def test_a_run_leaves_an_encoder_that_recipes_and_commands_take(run, tmp_path, emotune_command, tones):
    folder = run[0]
    assert {path.name for path in folder.iterdir()} >= {"encoder", "recipe.yaml", "provenance.json", "metrics.jsonl"}
    assert not (folder / "checkpoints").exists()
    encoder = load_pretrained("wavlm", folder / "encoder")
    assert encoder.num_layers == 2
    assert load_pretrained("wavlm", folder / "encoder_before").num_layers == 2
    card = (folder / "encoder" / "README.md").read_text()
    assert "2 of 4, copied from 0, 2" in card
    assert "16 recordings" in card
    vectors = tmp_path / "embedded.npy"
    ended = emotune_command("embed", folder / "encoder", tones.root / "manifest.csv", "-o", vectors)
    assert ended.code == 0, ended.err
    recording = tones.path_of(tones.utterances[0])
    for command in (("predict", folder, recording), ("evaluate", folder, "--split", "test")):
        said = emotune_command(*command).err
        assert f"{folder} is a run of pre-training, and predicts nothing yet." in said
        probe = "emotune probe general/frozen_encoder data.manifest=FILE model.backbone.name=wavlm"
        assert f"{probe} model.backbone.checkpoint={folder / 'encoder'}" in said


def test_training_changes_the_copied_layers_and_not_the_convolutions_nor_the_whole_encoder(run, tones):
    recipe = recipe_of(tones.root / "manifest.csv")
    parts, _ = build_pretraining(recipe)
    learnt = load_pretrained("wavlm", run[0] / "encoder").state_dict()
    before = parts.encoder(parts.model).state_dict()
    moved = {name for name, value in before.items() if not torch.equal(value, learnt[name])}
    assert any(name.startswith("encoder.layers.1.") for name in moved)
    assert not any(name.startswith("feature_extractor.") for name in moved)


@pytest.mark.load
def test_the_whole_encoder_is_the_same_to_the_bit_after_a_run(tones, tmp_path, monkeypatch):
    kept = []
    from emotune.training.pretraining import run as module

    monkeypatch.setattr(module, "build_backbone", lambda recipe: kept.append(build_backbone(recipe)) or kept[-1])
    recipe = recipe_of(tones.root / "manifest.csv", epochs=1)
    pretrain_run(recipe, tmp_path / "run")
    before = build_backbone(recipe).state_dict()
    after = kept[0].state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_score_comes_from_recordings_that_are_not_learnt_from(tones):
    parts, data = build_pretraining(recipe_of(tones.root / "manifest.csv"))
    ids = [{utterance.utterance_id for utterance in part} for part in (data.learnt, data.held_out)]
    assert (len(ids[0]), len(ids[1]), ids[0] & ids[1]) == (15, 1, set())
    assert parts.score(parts.model)["explained"] < 0.9


class Interrupts(Listener):
    def step(self, done: int, total: int, figures: object) -> None:
        if done in (2, 5):
            raise KeyboardInterrupt


@pytest.mark.load
@pytest.mark.parametrize("states_gb", [0.0, 1.0])
def test_an_interrupted_run_goes_on_to_the_same_bits(tones, tmp_path, states_gb):
    recipe = recipe_of(
        tones.root / "manifest.csv",
        **{"epochs": 3, "batch_seconds": 3.0, "checkpoint_minutes": 0.0, "states_gb": states_gb, "average": 0.9},
    )
    pretrain_run(recipe, tmp_path / "whole")
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            pretrain_run(recipe, tmp_path / "cut", listener=Interrupts())
    pretrain_run(recipe, tmp_path / "cut")
    assert weights_in(tmp_path / "whole") == weights_in(tmp_path / "cut")
    rows = [
        [{**json.loads(line), "seconds": 0} for line in (tmp_path / name / "metrics.jsonl").open()]
        for name in ("whole", "cut")
    ]
    assert rows[0] == rows[1]


def _one_of(count: int, number: int, port: str, manifest: str, folder: str, accumulate: int) -> None:
    """A process of a run, as a launcher starts it."""
    launched(count, number, port)
    pretrain_run(recipe_of(Path(manifest), accumulate=accumulate, batch_seconds=2.0), Path(folder))
    assert processes.count() == 1


@pytest.mark.load
def test_two_processes_pretrain_as_one_that_accumulates(tones, tmp_path):
    for count, accumulate in ((1, 2), (2, 1)):
        manifest, folder = str(tones.root / "manifest.csv"), str(tmp_path / str(count))
        run_together(_one_of, count, manifest, folder, accumulate)
    one, two = (load_pretrained("wavlm", tmp_path / name / "encoder").state_dict() for name in ("1", "2"))
    torch.testing.assert_close(two, one, rtol=0, atol=2e-4)


# --- data.unlabelled


def test_unlabelled_recordings_come_beside_the_training_split(tones, pool, opened):
    parts, data = build_pretraining(recipe_of(tones.root / "manifest.csv", data={"unlabelled": [pool]}))
    heard = [*data.learnt, *data.held_out]
    names = {utterance.file.rpartition("pool/")[2] for utterance in heard if utterance.corpus == "pool"}
    assert names == {"new.wav", "anger/other.wav"}
    assert len(heard) == 18
    assert {utterance.emotion for utterance in heard} == {None}
    assert {utterance.split for utterance in heard} == {"train"}
    assert "held.wav" not in opened
    assert sum(data.learnt.information["left_out"].values()) == 2
    assert len(parts.dataset) == len(data.learnt)


def test_unlabelled_recordings_are_enough(pool):
    described = describe_pretraining(recipe_of(None, data={"unlabelled": [pool]}))
    assert described["utterances"] == {"train": 3, "held_out": 1}
    assert described["memory_gb"]["total"] > 0


def test_memory_counts_the_whole_encoder_once_and_a_budget_without_room_is_refused(tones):
    recipe = recipe_of(tones.root / "manifest.csv")
    described = describe_pretraining(recipe)
    of_whole = sum(parameter.numel() for parameter in build_backbone(recipe).parameters())
    assert described["memory_gb"]["weights"] == pytest.approx(4 * (described["parameters"] + of_whole) / 1e9, abs=6e-4)
    with pytest.raises(ConfigError, match=r"train\.memory_gb is 1\.1, but a step with one clip"):
        describe_pretraining(recipe_of(tones.root / "manifest.csv", memory_gb=1.1))


# --- refusals


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": {"name": "vesper", "layers": 3}}, "task.layers is 3, expected an even number"),
        ({"task": {"name": "vespa"}}, "Unknown task 'vespa', did you mean 'vesper'?"),
        ({"task": {"name": "vesper", "layer": 2}}, "task.layer"),
        ({"train": {"metric": "ccc"}}, "train.metric does nothing for task vesper"),
        ({"loss": {"cross_entropy": {"weight": 2}}}, "loss does nothing for task vesper"),
        ({"augmentation": {"mix_states": {}}}, "augmentation.mix_states does nothing for task vesper"),
        ({"task": {"name": "views"}, "augmentation": {"mix": {}}}, "augmentation.mix does nothing for task views"),
        ({"data": {"budget": 0.1}}, "data.budget does nothing for task vesper"),
        ({"model": {"start": "mini"}}, "model.start: task vesper takes a bare encoder"),
        ({"task": None, "data": {"unlabelled": ["somewhere"]}}, "data.unlabelled: nothing is learnt of recordings"),
    ],
)
def test_a_recipe_that_cannot_be_pretrained_is_refused_in_a_users_words(tones, change, said):
    sections = sections_over(tones.root / "manifest.csv", config=FOUR_LAYERS, task=TASK)
    for name, own in change.items():
        sections[name] = {**sections.get(name, {}), **own} if isinstance(own, dict) and name != "task" else own
    with pytest.raises((ValueError, ConfigError), match=re.escape(said)):
        build_pretraining(Recipe.model_validate(sections))


def test_a_pretraining_recipe_goes_with_no_other_work(tones, tmp_path):
    with pytest.raises(ConfigError, match="Task vesper is pre-training, which goes with `emotune train`"):
        build_manifest(recipe_of(tones.root / "manifest.csv"))
    folds = recipe_of(tones.root / "manifest.csv").model_copy(update={"protocol": "ravdess/6_folds"})
    with pytest.raises(ConfigError, match="A probe learns from labels alone: leave task: vesper out"):
        run_protocol(folds, tmp_path / "folds", kind="probe")
    assert not (tmp_path / "folds").exists()


def test_a_pool_of_nothing_new_is_refused(tones, tmp_path):
    with pytest.raises(CorpusError, match=r"data\.unlabelled: .* holds no recording that can be heard"):
        (tmp_path / "pool" / "test").mkdir(parents=True)
        write_recording(tmp_path / "pool" / "test" / "a.wav")
        build_pretraining(recipe_of(None, data={"unlabelled": [tmp_path / "pool"]}))


def test_manifests_stand_for_folders(tones, tmp_path):
    _, data = build_pretraining(recipe_of(None, data={"unlabelled": [tones.root / "manifest.csv"]}))
    assert len(data.learnt) + len(data.held_out) == 16
    assert isinstance(data.learnt, Manifest)
    assert {utterance.emotion for utterance in data.learnt} == {None}
