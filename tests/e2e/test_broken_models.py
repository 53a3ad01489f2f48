"""Broken model folders and outputs that cannot be written: one clear error, and nothing half-written."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import emotune
from builders.recordings import write_recording
from emotune.errors import ConfigError, ModelError
from emotune.models.backbones import BACKBONES

CURE = "copy it again, or train again"


def edit_json(name: str, **changes):
    """Change keys of a JSON file of the model; None takes the key out."""

    def edit(folder: Path) -> None:
        data = json.loads((folder / name).read_text())
        for path, value in changes.items():
            *sections, key = path.split("__")
            place = data
            for section in sections:
                place = place[section]
            if value is None:
                del place[key]
            else:
                place[key] = value
        (folder / name).write_text(json.dumps(data))

    return edit


def write(name: str, content: bytes):
    return lambda folder: (folder / name).write_bytes(content)


def remove(name: str):
    return lambda folder: (folder / name).unlink()


def edit_tensors(change):
    def edit(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors")

    return edit


def cut_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def weights_folder(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").mkdir()


def set_to_nan(tensors) -> None:
    tensors["heads.classes.out.bias"][0] = float("nan")


def write_header(header: dict):
    """Weights that are a header and nothing behind it."""
    text = json.dumps(header).encode()
    return lambda folder: (folder / WEIGHTS).write_bytes(len(text).to_bytes(8, "little") + text)


NAN, INFINITE = float("nan"), float("inf")
PREPROCESSOR, CONFIG, WEIGHTS = "preprocessor_config.json", "config.json", "model.safetensors"
HEAD = "heads.classes.out.weight"
FAULTS = {
    "config missing": (remove(CONFIG), ["a folder without config.json", "expected a model folder"]),
    "config not JSON": (write(CONFIG, b"{"), [CONFIG, "cannot be read as JSON", CURE]),
    "config not UTF-8": (write(CONFIG, b"\xff\xfe"), [CONFIG, "cannot be read as JSON", CURE]),
    "config a list": (write(CONFIG, b"[]"), [CONFIG, "must hold a JSON object, not a list"]),
    "config of another schema": (edit_json(CONFIG, schema="emotune-model/9"), ["'emotune-model/9'", "emotune-model/1"]),
    "unknown pooling": (edit_json(CONFIG, pooling="mean_sdt"), [CONFIG, "did you mean 'mean_std'?"]),
    "pooling not a word": (edit_json(CONFIG, pooling=["mean"]), [CONFIG, "does not describe a model"]),
    "no pooling": (edit_json(CONFIG, pooling=None), [CONFIG, "lacks pooling", CURE]),
    "no classes": (edit_json(CONFIG, classes=None), [CONFIG, "lacks classes", CURE]),
    "no backbone": (edit_json(CONFIG, backbone=None), [CONFIG, "lacks backbone", CURE]),
    "backbone a word": (edit_json(CONFIG, backbone="wavlm"), [CONFIG, "Unknown backbone"]),
    "unknown backbone": (edit_json(CONFIG, backbone__model_type="wavml"), [CONFIG, "did you mean 'wavlm'?"]),
    "backbone without a key": (edit_json(CONFIG, backbone__max_bucket_distance=None), ["lacks max_bucket_distance"]),
    "backbone with a word for a number": (edit_json(CONFIG, backbone__hidden_size="x"), ["hidden_size is 'x'"]),
    "hidden size below 0": (edit_json(CONFIG, hidden_size=-1), [CONFIG, "does not describe a model", CURE]),
    "hidden size a word": (edit_json(CONFIG, hidden_size="big"), [CONFIG, "does not describe a model", CURE]),
    "dropout of 5": (edit_json(CONFIG, dropout=5), [CONFIG, "dropout probability", CURE]),
    "dropout of NaN": (edit_json(CONFIG, dropout=NAN), [CONFIG, "dropout is nan, expected a finite number", CURE]),
    "dropout of null and more": (edit_json(CONFIG, dropout=[0.1]), [CONFIG, "does not describe a model", CURE]),
    "adapter without a name": (edit_json(CONFIG, adapter={"rank": 4}), [CONFIG, "adapter lacks name", CURE]),
    "adapter a word": (edit_json(CONFIG, adapter="lora"), [CONFIG, "does not describe a model", CURE]),
    "adapter with an unknown option": (
        edit_json(CONFIG, adapter={"name": "lora", "rnak": 4}),
        [CONFIG, "'rnak'", CURE],
    ),
    "adapter in more layers than there are": (
        edit_json(CONFIG, adapter={"name": "bitfit", "layers": 9}),
        [CONFIG, "9 top layers was asked, the backbone has 2", CURE],
    ),
    "adapter's scale infinite": (
        edit_json(CONFIG, adapter={"name": "lora", "alpha": INFINITE}),
        [CONFIG, "alpha is inf, expected a finite number", CURE],
    ),
    "adapter that the weights do not have": (edit_json(CONFIG, adapter={"name": "lora"}), [WEIGHTS, "missing", CURE]),
    "condition with a dropout of NaN": (
        edit_json(CONFIG, conditions={"gender": {"size": 2, "dropout": NAN}}),
        [CONFIG, "gender.dropout is nan", CURE],
    ),
    "conditions a list": (edit_json(CONFIG, conditions=["gender"]), [CONFIG, "does not describe a model", CURE]),
    "unknown condition": (edit_json(CONFIG, conditions={"gendre": {}}), [CONFIG, "did you mean 'gender'?"]),
    "weight of a prior NaN": (edit_json(CONFIG, layer_mix="varan", varan={"beta": NAN}), [CONFIG, "varan.beta is nan"]),
    "unknown join": (
        edit_json(CONFIG, join="sum", conditions={"gender": {"size": 2}}),
        [CONFIG, "Unknown join 'sum'"],
    ),
    "nothing to predict": (edit_json(CONFIG, classes=[], dimensions={}), [CONFIG, "needs classes or dimensions"]),
    "config 100,000 deep": (
        write(CONFIG, b'{"schema": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        [CONFIG, "nested deeper than 100 levels", CURE],
    ),
    "config 150 deep": (
        write(CONFIG, b'{"schema": ' + b"[" * 150 + b"]" * 150 + b"}"),
        [CONFIG, "nested deeper than 100 levels", CURE],
    ),
    "preprocessor 100,000 deep": (
        write(PREPROCESSOR, b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
        [PREPROCESSOR, "nested deeper than 100 levels", CURE],
    ),
    "hidden size of 40000": (
        edit_json(CONFIG, backbone__hidden_size=40_000),
        [WEIGHTS, "does not fit its config", "expected [40000", CURE],
    ),
    "hidden size of a sextillion": (
        edit_json(CONFIG, backbone__hidden_size=10**21),
        [CONFIG, "does not describe a model", CURE],
    ),
    "a billion layers": (
        edit_json(CONFIG, backbone__num_hidden_layers=10**9),
        [CONFIG, "num_hidden_layers is 1000000000, expected at most 1000", CURE],
    ),
    "a billion buckets": (
        edit_json(CONFIG, backbone__num_buckets=4 * 10**9, backbone__max_bucket_distance=4 * 10**9),
        [WEIGHTS, "expected [4000000000, 2]", CURE],
    ),
    "one layer more than the weights have": (
        edit_json(CONFIG, backbone__num_hidden_layers=3),
        [WEIGHTS, "missing backbone.encoder.layers.2.", CURE],
    ),
    "one layer less than the weights have": (
        edit_json(CONFIG, backbone__num_hidden_layers=1),
        [WEIGHTS, "unexpected backbone.encoder.layers.1.", CURE],
    ),
    "another activation": (edit_json(CONFIG, backbone__hidden_act="relu"), ["hidden_act is 'relu', only 'gelu'"]),
    "temperature NaN": (edit_json(CONFIG, calibration__temperature=NAN), [CONFIG, "a temperature above 0", CURE]),
    "temperature below 0": (edit_json(CONFIG, calibration__temperature=-1), [CONFIG, "a temperature above 0", CURE]),
    "thresholds of NaN": (
        edit_json(CONFIG, calibration__thresholds=[NAN] * 100),
        [CONFIG, "100 thresholds in [0, 1] or none", CURE],
    ),
    "calibration a word": (edit_json(CONFIG, calibration="good"), [CONFIG, "calibration must hold", CURE]),
    "class named twice": (edit_json(CONFIG, classes=["anger", "anger"]), [CONFIG, "different names, got 'anger'"]),
    "class that is no name": (edit_json(CONFIG, classes=["anger", 5]), [CONFIG, "different names, got 5"]),
    "scale upside down": (edit_json(CONFIG, dimensions={"arousal": [7, 1]}), [CONFIG, "low < high, got 7.0 and 1.0"]),
    "scale of truth values": (edit_json(CONFIG, dimensions={"arousal": [False, True]}), ["must be [low, high]"]),
    "preprocessor missing": (remove(PREPROCESSOR), [PREPROCESSOR, "does not exist", CURE]),
    "preprocessor lacks a key": (edit_json(PREPROCESSOR, min_samples=None), ["model: ", "lacks min_samples"]),
    "preprocessor with a word": (edit_json(PREPROCESSOR, min_samples="400"), ["min_samples", "above 0, got '400'"]),
    "preprocessor with true": (edit_json(PREPROCESSOR, max_duration_s=True), ["max_duration_s", "above 0, got True"]),
    "preprocessor with infinite samples": (
        edit_json(PREPROCESSOR, min_samples=INFINITE),
        ["min_samples", "above 0, got inf"],
    ),
    "unknown normalisation": (edit_json(PREPROCESSOR, normalize="clipp"), ["one of none, clip, fixed, got 'clipp'"]),
    "trimming below 0": (edit_json(PREPROCESSOR, trim_silence_db=-5), ["trim_silence_db", "above 0, got -5"]),
    "rate the encoder does not know": (edit_json(PREPROCESSOR, sampling_rate_hz=8000), ["sampling_rate_hz 16000"]),
    "clips shorter than a frame": (edit_json(PREPROCESSOR, min_samples=1), ["does not fit the encoder", CURE]),
    "weights missing": (remove(WEIGHTS), [WEIGHTS, "is missing", "incomplete"]),
    "weights cut": (cut_weights, [WEIGHTS, "not a readable safetensors file", "copy it again"]),
    "weights empty": (write(WEIGHTS, b""), [WEIGHTS, "not a readable safetensors file"]),
    "weights a git-LFS pointer": (write(WEIGHTS, b"version https://git-lfs"), ["not a readable safetensors file"]),
    "weights a folder": (weights_folder, [WEIGHTS, "not a readable safetensors file"]),
    "tensor missing": (edit_tensors(lambda t: t.pop(HEAD)), [WEIGHTS, f"missing {HEAD}", CURE]),
    "tensor too many": (edit_tensors(lambda t: t.update(extra=torch.ones(1))), [WEIGHTS, "unexpected extra", CURE]),
    "tensor of another shape": (edit_tensors(lambda t: t.update({HEAD: torch.ones(3, 32)})), ["[3, 32], expected [2"]),
    "tensor of whole numbers": (
        edit_tensors(lambda t: t.update({HEAD: t[HEAD].to(torch.int8)})),
        [WEIGHTS, f"{HEAD} holds torch.int8, expected torch.float32", CURE],
    ),
    "tensor of complex numbers": (
        edit_tensors(lambda t: t.update({HEAD: t[HEAD].to(torch.complex64)})),
        [WEIGHTS, "numbers of type C64"],
    ),
    "tensor infinite": (
        edit_tensors(lambda t: t["standardize.std"].fill_(INFINITE)),
        [WEIGHTS, "standardize.std holds NaN or infinite values", CURE],
    ),
    "header that promises more than there is": (
        write_header({"a": {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 4 * 10**9]}}),
        [WEIGHTS, "not a readable safetensors file", "copy it again"],
    ),
    "header 100,000 deep": (
        write(WEIGHTS, (200_000).to_bytes(8, "little") + b"[" * 100_000 + b"]" * 100_000),
        [WEIGHTS, "not a readable safetensors file", "copy it again"],
    ),
    "tensor with NaN": (edit_tensors(set_to_nan), ["heads.classes.out.bias holds NaN", CURE]),
}


@pytest.fixture
def model(tmp_path, tiny_model) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


@pytest.mark.parametrize("case", FAULTS)
def test_a_broken_model_folder_is_a_model_error_that_says_what_and_where(model, case):
    change, words = FAULTS[case]
    change(model)
    with pytest.raises(ModelError) as caught:
        emotune.load(model, device="cpu")
    for word in words:
        assert word in str(caught.value)
    assert str(model) in str(caught.value)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory of a program alone is read from /proc")
def test_sizes_that_the_weights_do_not_have_are_refused_without_memory_for_them(model):
    edit_json(CONFIG, backbone__hidden_size=40_000, backbone__intermediate_size=40_000)(model)
    code = (
        "import re, sys, emotune, torch, emotune.models.store\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) / 1024\n"
        "before = peak()\n"
        "try:\n    emotune.load(sys.argv[1], device='cpu')\n"
        "except emotune.EmotuneError as error:\n    print(peak() - before, error)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, model], capture_output=True, text=True, check=True)
    grown_mb, _, said = ended.stdout.partition(" ")
    assert "does not fit its config" in said
    assert float(grown_mb) < 100  # the weights of such a model would take 50 GB


def test_a_pretrained_encoder_is_no_model(tmp_path, tiny_wavlm):
    encoder = BACKBONES["wavlm"].from_config(tiny_wavlm)
    (tmp_path / "config.json").write_text(json.dumps(encoder.config))
    save_file(encoder.state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"name it as model\.backbone\.checkpoint of a recipe and train"):
        emotune.load(tmp_path)


def test_a_run_folder_without_a_model_says_what_was_expected(tmp_path, emotune_command):
    (tmp_path / "provenance.json").write_text("{}")
    ended = emotune_command("predict", tmp_path, "x.wav")
    assert ended.code == 2
    assert "a run folder with a finished model inside" in ended.err


@pytest.mark.parametrize("name", ["no/such/model", "gone", "new\nline"])
def test_a_missing_folder_is_a_model_error(name):
    with pytest.raises(ModelError, match=f"There is no folder {name}"):
        emotune.load(name)


def test_a_file_is_no_model_folder(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match=r"model\.bin is a file; expected a model folder"):
        emotune.load(tmp_path / "model.bin")


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "meta:x", ""])
def test_a_device_that_is_not_there_is_a_config_error(model, device):
    if not device:
        emotune.load(model, device=device)  # an empty option is no choice
        return
    with pytest.raises(ConfigError, match=f"Device '{device}' cannot be used here"):
        emotune.load(model, device=device)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_batch_without_length_is_a_config_error(model, seconds):
    with pytest.raises(ConfigError, match="batch_seconds must be above 0"):
        emotune.load(model, device="cpu", batch_seconds=seconds)


@pytest.fixture
def clip(tmp_path) -> Path:
    return write_recording(tmp_path / "clip.wav")


def a_folder(path: Path) -> None:
    path.mkdir()


def metadata_a_folder(path: Path) -> None:
    path.with_name(path.name + ".meta.json").mkdir()


def below_a_file(path: Path) -> None:
    path.parent.rmdir()
    path.parent.write_text("a file")


OUTPUTS = {
    "unknown suffix": ("out.xlsx", lambda path: None, ".csv, .jsonl, .parquet, not '.xlsx'"),
    "no suffix": ("out", lambda path: None, ".csv, .jsonl, .parquet, not ''"),
    "a folder": ("out.csv", a_folder, "out.csv: it is a folder"),
    "metadata a folder": ("out.csv", metadata_a_folder, "out.csv.meta.json: it is a folder"),
    "below a file": ("out.csv", below_a_file, "is not a folder. Choose a folder that you may write to"),
}


@pytest.mark.parametrize("case", OUTPUTS)
def test_an_output_that_cannot_be_written_is_refused_before_any_work(tmp_path, clip, emotune_command, case):
    """Before it is found that there is no such model and no such table."""
    name, prepare, words = OUTPUTS[case]
    (tmp_path / "results").mkdir()
    prepare(tmp_path / "results" / name)
    before = sorted(tmp_path.rglob("*"))
    for command in (
        ["predict", "no-model", clip],
        ["corpus", "split", "none.csv"],
        ["corpus", "read", "table", "x.csv"],
    ):
        ended = emotune_command(*command, "-o", tmp_path / "results" / name)
        assert ended.code == 2
        assert words in ended.err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_read_only_output_folder_is_refused_before_any_work(tmp_path, clip, emotune_command, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: not mode & os.W_OK)  # root may write everywhere
    ended = emotune_command("predict", "no-model", clip, "-o", tmp_path / "new" / "out.csv")
    assert ended.code == 2
    assert f"{tmp_path} may not be written to. Choose a folder" in ended.err


def test_a_disk_that_fills_up_leaves_nothing_half_written(tmp_path, clip, tiny_model, emotune_command, monkeypatch):
    output = tmp_path / "out.csv"
    output.write_text("the table of yesterday")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    ended = emotune_command("predict", tiny_model, clip, "-o", output, "--device", "cpu")
    assert ended.code == 2
    assert f"{output}.meta.json: No space left on device" in ended.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.wav", "out.csv"]
    assert output.read_text() == "the table of yesterday"


PROCESSES = {
    "no model": (["predict", "no/such/model", "x.wav"], 2, "There is no folder no/such/model"),
    "no recording": (["predict", "MODEL", "gone.wav", "--device", "cpu"], 1, "error: gone.wav does not exist"),
    "unknown suffix": (["predict", "MODEL", "x.wav", "-o", "out.txt"], 2, "not '.txt'"),
    "unknown recipe": (["train", "demo/tiny_wavml"], 2, "did you mean 'demo/tiny_wavlm'?"),
}


@pytest.mark.parametrize("case", PROCESSES)
def test_a_real_process_ends_with_one_error_and_its_code(tmp_path, tiny_model, case):
    arguments, code, words = PROCESSES[case]
    command = [sys.executable, "-c", "from emotune.cli import main; main()"]
    command += [str(tiny_model) if word == "MODEL" else word for word in arguments]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False)
    assert ended.returncode == code
    assert words in ended.stderr
    assert ended.stderr.startswith("error: ")
    assert "Traceback" not in ended.stdout + ended.stderr
    assert not list(tmp_path.iterdir())
