"""Original files of unilm, fairseq, S3PRL and SpeechBrain become folders; what would run code is refused by name.

The files are written here with the names and the pickled classes that these libraries use; their forward is
transformers' own, whose weights are given the other names.
"""

import argparse
import json
import os
import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from layer_states import raw_states

from builders.command import run_command
from builders.originals import LARGE, SMALL, model_of, their_settings, their_weights
from builders.recordings import write_recording
from emotune.errors import ConfigError, ModelError
from emotune.models.backbones.checkpoint import load_pretrained
from emotune.models.originals.import_encoder import import_encoder
from emotune.models.originals.names import convolutions

pytest.importorskip("transformers")


class Pickled:
    """A module that is there while a file is written, and gone when it is read: fairseq and omegaconf are absent."""

    def __init__(self, monkeypatch) -> None:
        self.monkeypatch = monkeypatch
        self.made: dict[str, type] = {}

    def cls(self, name: str) -> type:
        module, _, own = name.rpartition(".")
        parts = module.split(".")
        for parent in (".".join(parts[: count + 1]) for count in range(len(parts))):
            if parent not in sys.modules:
                self.monkeypatch.setitem(sys.modules, parent, types.ModuleType(parent))
        if name not in self.made:
            self.made[name] = type(own, (), {"__module__": module})
            setattr(sys.modules[module], own, self.made[name])
        return self.made[name]

    def with_state(self, name: str, **state: Any) -> Any:
        value = self.cls(name)()
        value.__dict__.update(state)
        return value

    def omegaconf(self, value: Any) -> Any:
        metadata = self.with_state("omegaconf.base.ContainerMetadata", ref_type=Any, object_type=dict, key=None)
        if isinstance(value, dict):
            content = {key: self.omegaconf(inner) for key, inner in value.items()}
            return self.with_state("omegaconf.dictconfig.DictConfig", _metadata=metadata, _content=content)
        return self.with_state("omegaconf.nodes.AnyNode", _metadata=metadata, _val=value)


@pytest.fixture
def pickled(monkeypatch) -> Pickled:
    return Pickled(monkeypatch)


def unilm(model, shape, pickled) -> tuple[dict, str]:
    return {"cfg": their_settings(shape, normalize=True), "model": their_weights(model)}, "unilm {cfg, model}"


def fairseq(model, shape, pickled) -> tuple[dict, str]:
    settings = pickled.omegaconf({"task": {"normalize": True}, "model": their_settings(shape, _name="hubert")})
    symbols = pickled.with_state("fairseq.data.dictionary.Dictionary", symbols=["<s>"])
    extra = {"final_proj.weight": torch.zeros(3, 64), "label_embs_concat": torch.zeros(4, 3)}
    content = {"cfg": settings, "args": None, "model": their_weights(model) | extra, "task_state": {"dicts": [symbols]}}
    return content, "fairseq {cfg, model}"


def old_fairseq(model, shape, pickled) -> tuple[dict, str]:
    extra = {"quantizer.vars": torch.zeros(1, 8, 4), "project_q.bias": torch.zeros(3)}
    settings = argparse.Namespace(**their_settings(shape, arch="wav2vec2", normalize=True))
    return {"args": settings, "model": their_weights(model) | extra}, "fairseq {args, model}"


def fine_tuned(model, shape, pickled) -> tuple[dict, str]:
    inner = {"model": their_settings(shape), "task": {"normalize": True}}
    settings = pickled.omegaconf({"task": {"normalize": True}, "model": {"_name": "wav2vec_ctc", "w2v_args": inner}})
    weights = their_weights(model, "w2v_encoder.w2v_model.") | {"w2v_encoder.proj.weight": torch.zeros(9, 64)}
    return {"cfg": settings, "model": weights}, "fairseq {cfg, model}"


def s3prl(model, shape, pickled) -> tuple[dict, str]:
    content = {
        "task_cfg": {"normalize": True},
        "model_cfg": their_settings(shape),
        "model_weight": their_weights(model),
    }
    return content, "S3PRL {model_weight, model_cfg, task_cfg}"


FILES = {
    "unilm base": ("wavlm", SMALL, unilm),
    "unilm large": ("wavlm", LARGE, unilm),
    "fairseq hubert": ("hubert", SMALL, fairseq),
    "fairseq hubert large": ("hubert", LARGE, fairseq),
    "old fairseq": ("wav2vec2", SMALL, old_fairseq),
    "fine-tuned": ("wav2vec2", LARGE, fine_tuned),
    "s3prl": ("wav2vec2", SMALL, s3prl),
}


def assert_same_states(folder: Path, kind: str, model) -> None:
    loaded = load_pretrained(kind, folder).eval()
    waveforms = torch.randn(1, 4000, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        states = loaded(waveforms, torch.ones_like(waveforms, dtype=torch.bool)).states
        for state, truth in zip(states, raw_states(model, waveforms), strict=True):
            torch.testing.assert_close(state, truth, rtol=0, atol=1e-4)


@pytest.mark.parametrize("case", FILES)
def test_an_original_file_becomes_a_folder_with_the_same_states(tmp_path, pickled, monkeypatch, case) -> None:
    kind, shape, write = FILES[case]
    model = model_of(kind, shape)
    content, layout = write(model, shape, pickled)
    torch.save(content, tmp_path / "original.pt")
    monkeypatch.undo()
    made = import_encoder(tmp_path / "original.pt", tmp_path / "encoder")
    assert (made.layout, made.model_type, made.normalize) == (layout, kind, True)
    extra = [name for name in content.get("model", {}) if name.endswith(("proj.weight", "_concat", ".vars", "q.bias"))]
    assert set(made.left_out) == {name for name in extra if "post_extract" not in name and "attn" not in name}
    assert load_pretrained(kind, tmp_path / "encoder").normalize == "clip"
    assert_same_states(tmp_path / "encoder", kind, model)


def test_weights_of_speechbrain_become_a_folder_that_leaves_the_normalisation_open(tmp_path, caplog) -> None:
    model = model_of("wav2vec2", {**SMALL, "num_attention_heads": 1})
    state = {"model." + name: tensor for name, tensor in model.state_dict().items()}
    torch.save(state, tmp_path / "wav2vec2.ckpt")
    made = import_encoder(tmp_path / "wav2vec2.ckpt", tmp_path / "encoder")
    assert (made.model_type, made.normalize, made.left_out) == ("wav2vec2", None, ())
    assert_same_states(tmp_path / "encoder", "wav2vec2", model)
    assert "does not say whether clips are normalised" in caplog.text


def test_the_command_says_what_it_made(tmp_path) -> None:
    content, _ = unilm(model_of("wavlm", SMALL), SMALL, None)
    torch.save(content, tmp_path / "WavLM.pt")
    ended = run_command("import", "encoder", tmp_path / "WavLM.pt", "-o", tmp_path / "encoder")
    assert "wavlm, " in ended.out and "from unilm {cfg, model}" in ended.out
    assert "clips: normalised" in ended.out
    config = json.loads((tmp_path / "encoder" / "config.json").read_text())
    assert config["conv_stride"] == [5, 2, 2, 2, 2, 2, 2]


class Harmful:
    def __reduce__(self) -> tuple:
        return (os.mkdir, ("harmed",))


@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "old"])
@pytest.mark.parametrize("where", ["cfg", "model"])
def test_a_file_that_would_run_code_is_refused_by_name_and_runs_none(tmp_path, monkeypatch, where, new_format) -> None:
    monkeypatch.chdir(tmp_path)
    content, _ = unilm(model_of("wavlm", SMALL), SMALL, None)
    content[where]["extra"] = Harmful()
    torch.save(content, "evil.pt", _use_new_zipfile_serialization=new_format)
    with pytest.raises(ModelError, match=r"evil\.pt holds objects of (posix|nt)\.mkdir"):
        import_encoder(Path("evil.pt"), Path("encoder"))
    assert not Path("harmed").exists() and not Path("encoder").exists()


def test_a_class_that_is_not_in_the_table_is_refused_by_name(tmp_path, pickled, monkeypatch) -> None:
    content, _ = unilm(model_of("wavlm", SMALL), SMALL, pickled)
    content["cfg"]["mode"] = pickled.with_state("fairseq.tasks.mystery.Task", value=1)
    torch.save(content, tmp_path / "x.pt")
    monkeypatch.undo()
    with pytest.raises(ModelError, match=r"objects of fairseq\.tasks\.mystery\.Task"):
        import_encoder(tmp_path / "x.pt", tmp_path / "encoder")


def without_a_weight(content: dict) -> None:
    del content["model"]["encoder.layers.1.fc2.bias"]


def with_a_stranger(content: dict) -> None:
    content["model"]["decoder.weight"] = torch.zeros(2)


def with_other_layers(content: dict) -> None:
    content["cfg"]["encoder_layers"] = 3


def with_code_for_convolutions(content: dict) -> None:
    content["cfg"]["conv_feature_layers"] = "__import__('os').system('x')"


def without_weights(content: dict) -> None:
    content["model"] = 3


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_a_weight, r"1 missing: encoder\.layers\.1\.feed_forward\.output_dense\.bias"),
        (with_a_stranger, r"weights that no known encoder has: decoder\.weight"),
        (with_other_layers, r"missing: encoder\.layers\.2\."),
        (with_code_for_convolutions, "conv_feature_layers is"),
        (without_weights, "of no known layout"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(tmp_path, spoil, message) -> None:
    content, _ = unilm(model_of("wavlm", SMALL), SMALL, None)
    spoil(content)
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(ModelError, match=message):
        import_encoder(tmp_path / "x.pt", tmp_path / "encoder")
    assert [path.name for path in tmp_path.iterdir()] == ["x.pt"]


@pytest.mark.parametrize(
    ("name", "spoilt", "message"),
    [
        ("encoder.pos_conv.0.weight_v", None, r"weight encoder\.pos_conv_embed\.conv\.weight_v is missing"),
        ("post_extract_proj.weight", (), r"feature_projection\.projection\.weight has the shape \(\), expected 2 axes"),
        (
            "feature_extractor.conv_layers.0.0.weight",
            (16,),
            r"conv_layers\.0\.conv\.weight has the shape \(16,\), expected",
        ),
        ("feature_extractor.conv_layers.6.0.weight", None, r"6 convolutions .*, expected 7"),
        ("encoder.pos_conv.0.weight_v", (64, 0, 16), r"weight_v has the shape \(64, 0, 16\)"),
        (
            "encoder.layers.0.self_attn.relative_attention_bias.weight",
            (4,),
            r"rel_attn_embed\.weight has the shape \(4,\)",
        ),
        ("encoder.layers.0.fc1.weight", None, r"0\.feed_forward\.intermediate_dense\.weight is missing"),
    ],
)
def test_a_weight_that_tells_no_shape_is_named(tmp_path, name, spoilt, message) -> None:
    content, _ = unilm(model_of("wavlm", SMALL), SMALL, None)
    del content["model"][name]
    if spoilt is not None:
        content["model"][name] = torch.zeros(spoilt)
    torch.save(content, tmp_path / "x.pt")
    ended = run_command("import", "encoder", tmp_path / "x.pt", "-o", tmp_path / "encoder")
    assert ended.code == 2 and re.search(message, ended.err)
    assert ended.err.count("x.pt") == 1


def test_a_recording_is_no_pytorch_file(tmp_path) -> None:
    for path in (write_recording(tmp_path / "a.flac"), write_recording(tmp_path / "a.wav"), tmp_path / "empty.pt"):
        path.touch()
        with pytest.raises(ModelError, match="is no PyTorch file"):
            import_encoder(path, tmp_path / "encoder")


def test_a_wrong_call_is_refused(tmp_path) -> None:
    (tmp_path / "x.pt").write_bytes(b"no checkpoint")
    with pytest.raises(ModelError, match="is no PyTorch file"):
        import_encoder(tmp_path / "x.pt", tmp_path / "encoder")
    with pytest.raises(ModelError, match="is no file"):
        import_encoder(tmp_path, tmp_path / "encoder")
    with pytest.raises(ConfigError, match="is there already"):
        import_encoder(tmp_path / "x.pt", tmp_path)
    with pytest.raises(ConfigError, match="Unknown type of encoder 'bert'"):
        import_encoder(tmp_path / "x.pt", tmp_path / "encoder", model_type="bert")


@pytest.mark.parametrize("text", ["", "[(1,2)]", "[(1,2,3)] * x", "[(1,2,3)] ** 9", "1 + [(1,2,3)]"])
def test_convolutions_are_read_and_not_evaluated(text) -> None:
    with pytest.raises(ModelError, match="conv_feature_layers is"):
        convolutions(text)
