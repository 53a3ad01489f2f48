"""Training of sequence models with a tiny encoder-decoder: losses, what trains, and what a run keeps and continues."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch.nn import functional as F

from builders.sequences import EMOTION, WORDS, clips, shaken, spoken_tones, tiny_base, tiny_sequences
from emotune.batch import Batch
from emotune.config.sequences import SequenceRecipe, load_sequence_recipe
from emotune.errors import ConfigError, CorpusError
from emotune.inference.sequences.task_data import read_task
from emotune.inference.sequences.writer import load
from emotune.io.tables import read_rows
from emotune.models.sequences.base import save_base
from emotune.models.sequences.decoding import label_probabilities
from emotune.models.sequences.sequence_model import CTC, TASK, TOKENS
from emotune.runtime.listener import Listener
from emotune.schema.predictions import Predictions
from emotune.training.sequences.evaluate import evaluate_sequences, score_sequences
from emotune.training.sequences.sequence_task import SequenceTask, Shares, ctc_losses, decoder_losses
from emotune.training.sequences.train_sequences import train_sequences

pytest.importorskip("jiwer")
pytest.importorskip("seqeval")
TASKS = {
    "emotion": {"writes": "label", "column": "emotion", "adapter": {"size": 4}},
    "words": {"writes": "text", "column": "text", "adapter": {"size": 4}, "ctc": 0.3, "most_tokens": 12},
    "sounds": {"writes": "symbols", "column": "sounds", "adapter": {"size": 4}, "most_tokens": 16},
    "slots": {"writes": "slots", "column": "slots", "adapter": {"size": 4}, "most_tokens": 30},
}
TRAIN = {"epochs": 1, "batch_seconds": 8.0, "adapter_lr": 1e-2, "warmup_share": 0.0}


@pytest.fixture(scope="module")
def spoken(tones, tmp_path_factory) -> Path:
    """The folder of a base and of the tones with words."""
    folder = tmp_path_factory.mktemp("spoken")
    save_base(folder / "base", tiny_base())
    spoken_tones(tones, folder / "tones.csv")
    return folder


def recipe_of(
    spoken: Path, *names: str, train: dict | None = None, model: dict | None = None, **tasks
) -> SequenceRecipe:
    chosen = {name: TASKS[name] for name in names} | tasks
    return SequenceRecipe.model_validate(
        {
            "name": "spoken",
            "manifest": spoken / "tones.csv",
            "model": {"base": str(spoken / "base")} if model is None else model,
            "tasks": chosen,
            "train": TRAIN | (train or {}),
        }
    )


def batch_of(model, rows: list[tuple[str, str]]) -> Batch:
    """Noise with a task and an answer for each clip."""
    waveforms, mask = clips(len(rows))
    columns: dict[str, list[list[int]]] = {TASK: [], TOKENS: [], CTC: []}
    for name, answer in rows:
        spelt = model.tasks[name]
        columns[TASK].append([list(model.tasks).index(name)])
        columns[TOKENS].append(spelt.tokens(answer))
        columns[CTC].append(spelt.ctc_targets(answer))

    def filled(own: list[list[int]]) -> torch.Tensor:
        longest = max(map(len, own))
        return torch.tensor([[*map(float, row), *[torch.nan] * (longest - len(row))] for row in own])

    return Batch(waveforms, mask, {name: filled(own) for name, own in columns.items()})


def test_the_loss_of_a_label_is_its_negative_log_probability_a_token():
    model = shaken(tiny_sequences(EMOTION, WORDS), "emotion", "words")
    batch = batch_of(model, [("emotion", "anger"), ("words", "no"), ("emotion", "neutrality")])
    with torch.no_grad():
        found = model(batch)
    own = torch.tensor([0, 2])
    probabilities = label_probabilities(model, "emotion", batch.waveforms[own], batch.mask[own])
    expected = [-probabilities[0, 0].log() / len(" anger."), -probabilities[1, 2].log() / len(" neutrality.")]
    assert torch.allclose(decoder_losses(found["emotion"]), torch.stack(expected), atol=1e-5)


def test_the_loss_of_a_step_does_not_depend_on_how_it_is_cut_and_mixes_ctc_by_its_share():
    model = shaken(tiny_sequences(EMOTION, WORDS), "emotion", "words")
    task = SequenceTask({"emotion": Shares(), "words": Shares(weight=2.0, ctc=0.25)})
    batch = batch_of(model, [("emotion", "anger"), ("words", "no"), ("words", "on")])

    def loss_of(*parts: Batch) -> float:
        sums = {name: sum(task.normalisers(part)[name] for part in parts) for name in task.normalisers(batch)}
        return sum(float(sum(task.mean_losses(model(part), part, sums).values())) for part in parts)

    with torch.no_grad():
        whole = loss_of(batch)
        assert loss_of(batch.rows(slice(0, 1)), batch.rows(slice(1, None))) == pytest.approx(whole, abs=1e-5)
        found = model(batch)
        words, emotion = found["words"], decoder_losses(found["emotion"])
        expected = (
            float(emotion.sum()) + 2 * float((0.75 * decoder_losses(words) + 0.25 * ctc_losses(words)).sum())
        ) / 3
    assert whole == pytest.approx(expected, abs=1e-5)


def test_ctc_sums_over_every_way_to_say_the_symbols():
    model = shaken(tiny_sequences(WORDS), "words")
    with torch.no_grad():
        found = model(batch_of(model, [("words", "a")]))
    assert found.keys() == {"words"}
    output = dataclasses.replace(found["words"], frames=torch.tensor([3]))
    logs, symbol = output.symbols[:3, 0].exp(), int(output.targets[0, 0])
    ways = [(0, 0, symbol), (0, symbol, 0), (symbol, 0, 0), (0, symbol, symbol), (symbol, symbol, 0), (symbol,) * 3]
    total = sum(float(torch.stack([logs[frame, way[frame]] for frame in range(3)]).prod()) for way in ways)
    assert float(ctc_losses(output)) == pytest.approx(-np.log(total), abs=1e-4)


class Rows(Listener):
    def __init__(self) -> None:
        self.rows: list[dict] = []

    def epoch(self, rows) -> None:
        self.rows = list(rows)


@pytest.fixture(scope="module")
def run(spoken) -> Path:
    """A run of all tasks together."""
    folder = spoken / "run"
    train_sequences(recipe_of(spoken, *TASKS), folder)
    return folder


def test_a_run_trains_adapters_alone_and_keeps_one_file_a_task(run, spoken):
    told = json.loads((run / "provenance.json").read_text())
    assert told["finished"] and told["trainable"] == sum(
        count for name, count in told["parameters_by_part"].items() if name != "base"
    )
    assert {path.stem for path in (run / "model" / "adapters").iterdir()} == set(TASKS)
    about = json.loads((run / "model" / "sequences.json").read_text())
    assert about["base"] == str((spoken / "base").absolute()) and not (run / "model" / "base").exists()
    report = json.loads((run / "development" / "report.json").read_text())
    assert list(report["tasks"]) == list(TASKS)
    assert all(set(found) >= {"clips", "speakers"} for found in report["tasks"].values())
    origin = report["information"]
    assert origin["command"] == f"emotune evaluate {run} --split development" and origin["packages"]["torch"]
    assert (origin["seed"], origin["split"], origin["manifests"]) == (told["seed"], "development", told["manifests"])
    row = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    score = np.mean([row[f"development_{name}"] for name in TASKS])
    assert row["development_score"] == pytest.approx(score)
    assert row["development_words"] == pytest.approx(1 - row["development_words_wer"])


def test_what_a_run_wrote_is_what_its_model_writes(run, tones):
    predictions = Predictions.read(run / "development" / "emotion.csv")
    development = tones.split("development")
    writer = load(run)
    again = writer.write_manifest(development)
    rows = read_rows(run / "development" / "words.csv")
    assert [row["answer"] or "" for row in rows] == [one.answers["words"] for one in again]
    assert {row["truth"] for row in rows} == {"high tone", "low tone"}
    for row, one in zip(predictions, again, strict=True):
        assert row.emotion == one.answers["emotion"]
        assert row.probabilities == pytest.approx(one.probabilities["emotion"], abs=1e-5)


def test_the_commands_evaluate_and_predict_sequences(run, tones, tmp_path, emotune_command):
    ended = emotune_command("evaluate", run, "--split", "development", "-o", tmp_path / "scores")
    assert ended.code == 0, ended.err
    assert "development slots f1 " in ended.out and (tmp_path / "scores" / "report.json").is_file()
    recording = tones.path_of(tones.utterances[0])
    (tmp_path / "broken.wav").write_bytes(b"no sound")
    ended = emotune_command(
        "predict", run, recording, tmp_path / "broken.wav", *("--task", "words") * 2, "-o", tmp_path / "a.csv"
    )
    assert ended.code == 1, ended.err
    first, broken = read_rows(tmp_path / "a.csv")
    assert list(first)[:3] == ["utterance_id", "words", "error"] and first["error"] is None
    assert broken["words"] is None and "broken" in str(broken["error"])
    adapter = run / "model" / "adapters" / "emotion.safetensors"
    base = json.loads((run / "model" / "sequences.json").read_text())["base"]
    ended = emotune_command("predict", base, recording, "--adapter", adapter)
    assert ended.code == 0 and ": emotion: " in ended.out, ended.err
    for options, said in (
        (("predict", run, recording, "--task", "emotions"), "did you mean 'emotion'"),
        (("evaluate", run, "--split", "tset"), "tasks.emotion: "),
        (("evaluate", run, "--split", "tset"), "under tasks.emotion.splits"),
        (("predict", run, recording, "--window", "2"), "--window: this is a sequence model"),
        (("evaluate", run, "--robustness"), "--robustness: this is a sequence model"),
        (("timeline", run, recording), "holds a sequence model"),
    ):
        ended = emotune_command(*options)
        assert ended.code == 2 and said in ended.err, (options, ended.err)


def test_a_run_is_not_scored_on_a_manifest_that_has_changed_since(spoken, tones, tmp_path):
    manifest = spoken_tones(tones, tmp_path / "changing.csv")
    run = tmp_path / "run"
    train_sequences(recipe_of(spoken, emotion={**TASKS["emotion"], "manifest": manifest}), run)
    assert evaluate_sequences(run, "development", tmp_path / "scores", resamples=0)[0].clips
    spoken_tones(tones.replace_utterances(tones.utterances[1:]), manifest)
    with pytest.raises(CorpusError, match=r"tasks\.emotion: its manifest has changed since"):
        evaluate_sequences(run, "development", tmp_path / "again")


def test_labels_of_clips_that_cannot_be_heard_are_rows_with_their_errors(run, tones, tmp_path):
    missing = [dataclasses.replace(u, file="missing.wav") for u in tones.split("development")]
    data = read_task("emotion", recipe_of(run.parent, "emotion").tasks["emotion"])
    data = dataclasses.replace(data, manifest=tones.replace_utterances(missing))
    (scored,) = score_sequences(load(run), {"emotion": data}, tmp_path, about={})
    assert (scored.clips, scored.failed, scored.figures) == (0, len(missing), {})
    assert all(row.error for row in Predictions.read(tmp_path / "emotion.csv"))


def test_a_clip_that_is_too_short_is_refused_with_what_the_model_takes(spoken, tones, tmp_path):
    rows = [dataclasses.replace(u, duration_s=0.001) for u in tones]
    manifest = tmp_path / "short.csv"
    tones.replace_utterances(rows).write(manifest)
    with pytest.raises(CorpusError, match=r"lasts 0\.001 s, and this model takes 0\.\d+ to 30 s"):
        train_sequences(recipe_of(spoken, emotion={**TASKS["emotion"], "manifest": manifest}), tmp_path / "run")


def test_adapters_of_a_run_serve_others_that_stack_on_them_or_attend_to_them(run, spoken, tmp_path):
    files = [str(run / "model" / "adapters" / f"{name}.safetensors") for name in ("words", "sounds")]
    model = {"base": str(spoken / "base"), "adapters": files}
    stacked = {**TASKS["emotion"], "adapter": {"size": 4, "joins": "stacked", "uses": ["words"]}}
    fused = {**TASKS["emotion"], "adapter": {"size": 4, "joins": "fused", "uses": ["words", "sounds"]}}
    recipe = recipe_of(spoken, model=model, stacked=stacked, fused=fused)
    train_sequences(recipe, tmp_path / "run")
    before, after = load(run).model, load(tmp_path / "run").model
    assert list(after.tasks) == ["words", "sounds", "stacked", "fused"]
    for name in ("words", "sounds"):
        state = after.parts_of(name).state_dict()
        assert all(torch.equal(tensor, state[key]) for key, tensor in before.parts_of(name).state_dict().items())
    for name in ("stacked", "fused"):
        assert any(bool(layer.any()) for layer in after.parts_of(name).layers.parameters())


@pytest.mark.load
def test_an_encoder_gets_a_new_decoder_where_everything_trains(spoken, tiny_wavlm, tmp_path):
    decoder = {"d_model": 16, "decoder_layers": 6, "decoder_attention_heads": 2, "decoder_ffn_dim": 32}
    model = {"backbone": {"name": "wavlm", "config": tiny_wavlm}, "decoder": decoder, "trains": "all"}
    emotion = {**TASKS["emotion"], "adapter": {"size": 0}}
    train_sequences(recipe_of(spoken, model=model, emotion=emotion), tmp_path / "run")
    writer = load(tmp_path / "run")
    assert len(writer.model.base.decoder.layers) == 6
    on_it = {"base": str(tmp_path / "run" / "model" / "base")}
    again = train_sequences(recipe_of(spoken, "emotion", model=on_it), tmp_path / "adapted")
    assert again[0].name == "emotion"


@pytest.mark.load
def test_an_interrupted_run_goes_on_to_the_same_bits(spoken, tmp_path):
    recipe = recipe_of(spoken, "emotion", "words", train={"epochs": 3, "batch_seconds": 3.0, "checkpoint_minutes": 0.0})
    train_sequences(recipe, tmp_path / "whole")

    class Interrupts(Listener):
        def step(self, done, total, figures) -> None:
            if done in (3, 8):
                raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train_sequences(recipe, tmp_path / "cut", listener=Interrupts())
    train_sequences(recipe, tmp_path / "cut")
    for name in ("emotion", "words"):
        files = [(tmp_path / of / "model" / "adapters" / f"{name}.safetensors").read_bytes() for of in ("whole", "cut")]
        assert files[0] == files[1]
    rows = [
        [
            {k: v for k, v in json.loads(line).items() if k != "seconds"}
            for line in (tmp_path / of / "metrics.jsonl").open()
        ]
        for of in ("whole", "cut")
    ]
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tasks": {"emotion": {"writes": "label", "column": "emotoin"}}}, "did you mean 'emotion'"),
        ({"tasks": {"emotion": {"writes": "labels", "column": "emotion"}}}, "tasks.emotion.writes"),
        ({"tasks": {"emotion": {**TASKS["emotion"], "ctc": 0.3}}}, "ctc goes with writes: text or symbols"),
        ({"tasks": {"emotion": {**TASKS["emotion"], "metric": "wer"}}}, "metric: of label there is uar, accuracy"),
        ({"tasks": {}}, "tasks"),
        ({"manifest": None}, "tasks.emotion.manifest is missing"),
        ({"model": {}}, "give either base"),
        ({"model": {"base": "b", "decoder": {"d_model": 8}}}, "decoder goes with backbone"),
        ({"train": {"fsdp": True}}, "train.fsdp does nothing for sequences"),
        ({"train": {"adversarial": {}}}, "train.adversarial does nothing for sequences"),
        ({"train": {"sampling": "balanced"}}, "train.sampling does nothing for sequences"),
        ({"train": {"layer_decay": 0.9}}, "train.layer_decay does nothing for sequences"),
        ({"tasks": {"error": TASKS["emotion"]}}, "a task cannot be called so"),
        ({"tasks": {"score": TASKS["emotion"]}}, "a task cannot be called so"),
        (
            {"tasks": {"emotion": {**TASKS["emotion"], "adapter": {"size": 0, "joins": "stacked", "uses": ["words"]}}}},
            "a token without an adapter",
        ),
        ({"train": {"metric": "emotoin"}}, "did you mean 'emotion'"),
        ({"tasks": {"emotion": {**TASKS["emotion"], "adapter": {"joins": "fused"}}}}, "joins is 'fused' with 0"),
        (
            {"tasks": {**TASKS, "other": {**TASKS["emotion"], "adapter": {"joins": "stacked", "uses": ["words"]}}}},
            "words learns here too: train it first",
        ),
    ],
)
def test_a_recipe_that_cannot_be_trained_is_refused_in_a_users_words(spoken, tmp_path, change, said):
    content = {
        "name": "spoken",
        "manifest": str(spoken / "tones.csv"),
        "model": {"base": str(spoken / "base")},
        "tasks": {"emotion": TASKS["emotion"]},
        **change,
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises((ConfigError, CorpusError), match=said):
        train_sequences(load_sequence_recipe(path), tmp_path / "run")


def test_frozen_norms_and_dropout_stay_in_evaluation_mode():
    model = tiny_sequences(EMOTION).train()
    assert not model.base.training and model.parts_of("emotion").training
    assert F.dropout(torch.ones(3), training=model.base.training).sum() == 3
