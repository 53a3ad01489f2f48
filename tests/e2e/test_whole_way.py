"""From recordings to reports and predictions, as a user goes: through the command line and the Python interface."""

import csv
import io
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

import emotune
from builders.command import Ended, run_command
from builders.recipes import write_recipe
from emotune.errors import AudioError
from emotune.io.tables import read_rows
from emotune.models.backbones.eight_bits import has_eight_bits
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions

VOICES, SENTENCES = ("v01", "v02", "v03", "v04", "v05", "v06"), ("s1", "s2")
CLASSES = ("anger", "happiness", "sadness", "neutral")


def well(*arguments: object) -> Ended:
    ended = run_command(*arguments)
    assert ended.code == 0, ended.err
    return ended


@pytest.fixture(scope="module")
def home(tmp_path_factory, demo_corpus) -> Path:
    """Six voices of the demo corpus, read, split and trained on for one epoch: everything a user has afterwards."""
    home = tmp_path_factory.mktemp("home")
    with (demo_corpus / "labels.csv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if Path(row["file"]).stem.startswith(VOICES)]
    rows = [row for row in rows if Path(row["file"]).stem.split("-")[1] in SENTENCES]
    (home / "corpus" / "audio").mkdir(parents=True)
    with (home / "corpus" / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label", "spk", "sex", "take"])
        for number, row in enumerate(rows):
            shutil.copy(demo_corpus / row["file"], home / "corpus" / "audio")
            writer.writerow([row["file"], row["emotion"], row["speaker"], row["gender"], number])
    write_recipe(
        home / "recipe.yaml",
        home / "split.csv",
        name="mini",
        backbone={"train_front_end": True},
        train={"epochs": 2, "batch_seconds": 15, "encoder_lr": 1.0e-3, "head_lr": 1.0e-2},
        probe={"cache": str(home / "cache"), "pooling": "mean"},
    )
    well("corpus", "read", "table", home / "corpus" / "labels.csv", "-o", home / "all.csv", "--licence", "Apache-2.0")
    shares = [option for share in ("train=0.5", "development=0.25", "test=0.25") for option in ("--share", share)]
    well("corpus", "split", home / "all.csv", "-o", home / "split.csv", *shares)
    well("train", home / "recipe.yaml", "train.epochs=1", "-o", home / "run")
    return home


@pytest.fixture
def clips(home) -> list[Path]:
    return sorted((home / "corpus" / "audio").iterdir())


def by_file(path: Path) -> dict[str, dict[str, float]]:
    """File name -> probabilities of a written prediction table."""
    rows = read_rows(path)
    return {Path(row["file"]).name: {name: float(row[f"p.{name}"]) for name in CLASSES} for row in rows}


def test_what_was_read_is_shown_as_json(home):
    counts = json.loads(well("corpus", "show", home / "all.csv", "--json").out)
    assert counts["utterances"] == 48
    assert counts["emotion"] == dict.fromkeys(sorted(CLASSES), 12)
    assert counts["speaker"] == dict.fromkeys(VOICES, 8)
    assert counts["skipped"] == 0
    seconds = sum(soundfile.info(path).duration for path in (home / "corpus" / "audio").iterdir())
    assert counts["hours"] == pytest.approx(seconds / 3600, abs=1e-4)
    shown = well("corpus", "show", home / "all.csv").out
    assert "48 utterances" in shown
    assert "6 speakers" in shown


def test_no_voice_lies_in_two_splits(home):
    manifest = Manifest.read(home / "split.csv")
    voices = Counter((u.speaker, u.split) for u in manifest)
    assert len(voices) == 6
    assert {split for _, split in voices} == {"train", "development", "test"}


def test_a_dry_run_shows_parameters_and_batches(home):
    shown = well("train", home / "recipe.yaml", "--dry-run", "-o", home / "never").out
    assert "parameters train" in shown
    assert "batches an epoch" in shown
    assert not (home / "never").exists()


def test_training_leaves_a_run_folder_with_a_report(home):
    assert (home / "run" / "development" / "report.html").exists()
    assert len(read_rows(home / "run" / "metrics.jsonl")) == 1
    assert "Apache-2.0" in (home / "run" / "model" / "README.md").read_text()
    again = run_command("train", home / "recipe.yaml", "train.epochs=1", "-o", home / "run")
    assert again.code == 2
    assert again.err.startswith("error: ")
    assert "already holds a finished run" in again.err


@pytest.mark.drawn
def test_the_test_split_is_scored_once_it_is_asked_for(home):
    assert not (home / "run" / "test").exists()
    shown = well("evaluate", home / "run", "--resamples", "50").out
    report = json.loads((home / "run" / "test" / "report.json").read_text())
    manifest = Manifest.read(home / "split.csv").split("test")
    predictions = Predictions.read(home / "run" / "test" / "predictions.csv").by_id()
    recalls = [
        np.mean([predictions[u.utterance_id].emotion == name for u in manifest if u.emotion == name])
        for name in CLASSES
    ]
    assert f"test uar {np.mean(recalls):.3f}" in shown
    assert report["overall"]["uar"]["value"] == pytest.approx(np.mean(recalls))
    assert "<html" in (home / "run" / "test" / "report.html").read_text()


@pytest.fixture(scope="module")
def expected(home) -> dict[str, dict[str, float]]:
    """What the model says of every clip, through the Python interface, one clip at a time."""
    predictor = emotune.load(home / "run")
    return {p.name: dict(predictor.predict(p).probabilities) for p in (home / "corpus" / "audio").iterdir()}


def assert_predicted(table: Path, expected: dict[str, dict[str, float]], count: int) -> None:
    found = by_file(table)
    assert len(found) == count
    for name, probabilities in found.items():
        assert probabilities == pytest.approx(expected[name], abs=1e-4), name


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_folder_is_predicted_into_a_table_of_any_format(home, expected, tmp_path, suffix):
    well("predict", home / "run", home / "corpus" / "audio", "-o", tmp_path / f"p{suffix}")
    assert_predicted(tmp_path / f"p{suffix}", expected, 48)


def test_files_a_list_a_manifest_and_a_table_are_predicted_alike(home, expected, clips, tmp_path):
    well("predict", home / "run" / "model", *clips[:3], "-o", tmp_path / "files.csv")
    assert_predicted(tmp_path / "files.csv", expected, 3)
    (home / "corpus" / "list.txt").write_text("".join(f"audio/{clip.name}\n" for clip in clips[:4]))
    well("predict", home / "run", home / "corpus" / "list.txt", "-o", tmp_path / "list.csv")
    assert_predicted(tmp_path / "list.csv", expected, 4)
    well("predict", home / "run", home / "split.csv", "-o", tmp_path / "manifest.csv")
    assert_predicted(tmp_path / "manifest.csv", expected, 48)
    written = Predictions.read(tmp_path / "manifest.csv")
    assert [row.utterance_id for row in written] == [u.utterance_id for u in Manifest.read(home / "split.csv")]
    (home / "corpus" / "mine.csv").write_text(
        "id,path,note,emotion\n"
        + "".join(f'clip-{n},audio/{clip.name},"a, {n}",mine-{n}\n' for n, clip in enumerate(clips[:5]))
    )
    well("predict", home / "run", home / "corpus" / "mine.csv", "-o", tmp_path / "table.jsonl")
    rows = read_rows(tmp_path / "table.jsonl")
    assert [row["utterance_id"] for row in rows] == [f"clip-{n}" for n in range(5)]
    assert [row["note"] for row in rows] == [f"a, {n}" for n in range(5)]
    assert [row["given.emotion"] for row in rows] == [f"mine-{n}" for n in range(5)]
    for row, clip in zip(rows, clips, strict=False):
        assert {name: row[f"p.{name}"] for name in CLASSES} == pytest.approx(expected[clip.name], abs=1e-4)


def test_segments_of_a_table_are_predicted_as_the_cut_pieces(home, clips, tmp_path):
    samples, rate = soundfile.read(clips[0])
    (home / "corpus" / "segments.csv").write_text(f"file,start_s,end_s\naudio/{clips[0].name},0.25,0.75\n")
    well("predict", home / "run", home / "corpus" / "segments.csv", "-o", tmp_path / "p.csv")
    (row,) = read_rows(tmp_path / "p.csv")
    piece = samples[rate // 4 : rate // 4 * 3].astype(np.float32)
    alone = emotune.load(home / "run").predict(piece, rate)
    assert {name: float(row[f"p.{name}"]) for name in CLASSES} == pytest.approx(dict(alone.probabilities), abs=1e-4)


def test_a_bad_recording_is_an_error_row_and_exit_code_one_and_the_rest_is_predicted(home, expected, clips, tmp_path):
    (tmp_path / "broken.wav").write_bytes(b"no sound")
    ended = run_command(
        "predict", home / "run", clips[0], tmp_path / "broken.wav", clips[1], tmp_path / "gone.wav",
        "-o", tmp_path / "p.csv",
    )  # fmt: skip
    assert ended.code == 1
    assert "4 rows, 2 with an error" in ended.out
    rows = read_rows(tmp_path / "p.csv")
    assert [bool(row["error"]) for row in rows] == [False, True, False, True]
    assert "cannot be decoded" in rows[1]["error"]
    assert "does not exist" in rows[3]["error"]
    assert rows[1]["emotion"] is None
    for row, clip in ((rows[0], clips[0]), (rows[2], clips[1])):
        assert {name: float(row[f"p.{name}"]) for name in CLASSES} == pytest.approx(expected[clip.name], abs=1e-4)


def test_one_recording_without_a_table_is_printed(home, expected, clips):
    shown = well("predict", home / "run", clips[0]).out
    best = max(expected[clips[0].name], key=expected[clips[0].name].__getitem__)
    assert f"{clips[0]}: {best} {expected[clips[0].name][best]:.3f}" in shown


def test_a_probe_is_a_model_like_any_other(home, clips, tmp_path):
    shown = well("probe", home / "recipe.yaml", "-o", tmp_path / "probe")
    assert "development uar" in shown.out
    assert "chosen: layer" in shown.err
    well("predict", tmp_path / "probe", clips[0], "-o", tmp_path / "p.csv")
    layers = emotune.load(tmp_path / "probe").engine.model.backbone.num_layers
    chosen = json.loads((tmp_path / "probe" / "provenance.json").read_text())["chosen"]
    assert chosen.startswith(f"layer {layers}, C ")
    assert f"chosen: {chosen}" in shown.err


def test_a_probe_learns_from_augmented_copies_too(home, tmp_path):
    asked = ["probe.copies=2", "augmentation={noise: {snr_db: [10, 30]}}"]
    said = well("probe", home / "recipe.yaml", *asked, "-o", tmp_path / "probe")
    assert "augmented copies of each training utterance: 2" in said.err
    well("probe", home / "recipe.yaml", "-o", tmp_path / "plain")
    heads = [
        emotune.load(tmp_path / name).engine.model.heads["classes"].out.weight.detach().numpy()
        for name in ("probe", "plain")
    ]
    assert heads[0].shape != heads[1].shape or not np.allclose(heads[0], heads[1])


def test_a_probe_that_leaves_speakers_out_predicts_everybody(home, tmp_path):
    well("probe", home / "recipe.yaml", "probe.leave_out=speaker", "-o", tmp_path / "probe")
    assert len(Predictions.read(tmp_path / "probe" / "all" / "predictions.csv")) == 48
    assert not (tmp_path / "probe" / "model").exists()


def test_the_baseline_scores_the_test_split(home, tmp_path):
    shown = well("baseline", home / "recipe.yaml", "-o", tmp_path / "baseline").out
    assert "test uar" in shown
    assert (tmp_path / "baseline" / "test" / "report.html").exists()


def test_every_kind_of_input_gives_the_same_answer_in_python(home, expected, clips):
    predictor = emotune.load(home / "run")
    path = clips[0]
    samples, rate = soundfile.read(path, dtype="float32")
    answers = [
        predictor.predict(path),
        predictor.predict(str(path)),
        predictor.predict(path.read_bytes()),
        predictor.predict(io.BytesIO(path.read_bytes())),
        predictor.predict(samples, rate),
        predictor.predict(samples, sampling_rate_hz=rate),
        predictor.predict((samples, rate)),
        predictor.predict(np.stack([samples, samples], axis=1), rate),
        predictor.predict({"array": samples, "sampling_rate": rate}),
    ]
    with path.open("rb") as stream:
        answers.append(predictor.predict(stream))
    for answer in answers:
        assert dict(answer.probabilities) == pytest.approx(expected[path.name], abs=1e-6)
        assert sum(answer.probabilities.values()) == pytest.approx(1)
        assert answer.emotion == max(answer.probabilities, key=answer.probabilities.__getitem__)


def test_a_list_gives_a_row_for_each_of_its_inputs_in_order(home, expected, clips, tmp_path):
    predictor = emotune.load(home / "run")
    samples, rate = soundfile.read(clips[1], dtype="float32")
    rows = predictor.predict([clips[0], tmp_path / "gone.wav", (samples, rate), clips[0].read_bytes()])
    assert [row.error is None for row in rows] == [True, False, True, True]
    for row, clip in ((rows.rows[0], clips[0]), (rows.rows[2], clips[1]), (rows.rows[3], clips[0])):
        assert dict(row.probabilities) == pytest.approx(expected[clip.name], abs=1e-4)


def test_arrays_of_a_list_share_the_sampling_rate(home, expected, clips):
    loaded = [soundfile.read(clip, dtype="float32") for clip in clips[:2]]
    assert len({rate for _, rate in loaded}) == 1
    rows = emotune.load(home / "run").predict([samples for samples, _ in loaded], loaded[0][1])
    for row, clip in zip(rows, clips, strict=False):
        assert dict(row.probabilities) == pytest.approx(expected[clip.name], abs=1e-4)


def test_the_same_input_twice_gives_two_rows_of_different_ids_that_can_be_written(home, clips, tmp_path):
    rows = emotune.load(home / "run").predict([clips[0], clips[0]])
    rows.write(tmp_path / "p.csv")
    assert [row.utterance_id for row in Predictions.read(tmp_path / "p.csv")] == [str(clips[0]), f"{clips[0]} (2)"]


def test_a_single_bad_recording_raises_and_an_array_needs_its_rate(home, tmp_path):
    predictor = emotune.load(home / "run")
    with pytest.raises(AudioError, match="does not exist"):
        predictor.predict(tmp_path / "gone.wav")
    with pytest.raises(AudioError, match="needs its sampling rate"):
        predictor.predict(np.zeros(16000))


RUN = "from emotune.cli import main\ntry:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code"
WITHOUT_TORCH = """
import sys
{code}
heavy = sorted({{"torch", "transformers", "sklearn", "matplotlib", "scipy"}} & set(sys.modules))
assert not heavy, heavy
"""


@pytest.mark.parametrize(
    "code",
    [
        "import emotune\nemotune.Manifest, emotune.LabelSpace, emotune.Predictions",
        "import emotune.inference",
        f"sys.argv = ['emotune', '--help']\n{RUN}",
        f"sys.argv = ['emotune', 'corpus', 'read', 'table', {{table!r}}, '-o', {{output!r}}]\n{RUN}",
    ],
    ids=["import emotune", "import emotune.inference", "emotune --help", "emotune corpus read"],
)
def test_torch_is_not_imported_where_it_is_not_needed(home, tmp_path, code):
    code = code.format(table=str(home / "corpus" / "labels.csv"), output=str(tmp_path / "m.csv"))
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH.format(code=code)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    if "corpus" in code:
        assert (tmp_path / "m.csv").exists()


def test_every_public_name_can_be_had_from_the_package():
    for name in emotune.__all__:
        assert getattr(emotune, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'loda'"):
        _ = emotune.loda


def test_four_classes_of_emodb_are_read_with_a_warning_of_the_shortfall(shared, tmp_path):
    folder = shared / "data" / "emodb4" / "audio"
    if not folder.is_dir():
        pytest.skip(f"{folder} does not exist")
    ended = well("corpus", "read", "emodb", folder, "-o", tmp_path / "m.csv")
    assert "warning: emodb: 339 utterances read, the complete corpus has 535" in ended.err
    manifest = Manifest.read(tmp_path / "m.csv")
    assert (len(manifest), len({u.speaker for u in manifest})) == (339, 10)
    assert len(manifest.label_space.classes) == 4


@pytest.mark.skipif(not has_eight_bits(), reason="the processor has no VNNI instructions")
def test_scores_in_eight_bits_stand_beside_the_exact_ones(home, tmp_path):
    ended = well("evaluate", home / "run", "--precision", "int8", "--resamples", 20, "-o", tmp_path)
    assert "test-int8 uar in fp32 " in ended.out
    kept = json.loads((tmp_path / "report.json").read_text())["information"]["precision"]
    assert kept["name"] == "int8"
    assert 0 < kept["largest_difference_of_a_probability"] < 0.2
    assert f"uar in fp32 {kept['scores_in_fp32']['uar']:.3f}" in ended.out
