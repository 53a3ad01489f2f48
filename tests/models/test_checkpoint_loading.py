"""Published checkpoints load whole or not at all, and the error says why."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from emotune.errors import ConfigError, ModelError
from emotune.models.backbones.checkpoint import load_pretrained
from emotune.models.backbones.wavlm import WavLM

CONFIG = {
    "model_type": "wavlm",
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": [8, 8],
    "conv_kernel": [10, 4],
    "conv_stride": [5, 4],
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "do_stable_layer_norm": True,
}
POSITIONS = "encoder.pos_conv_embed.conv."
OLD_SPELLING = {
    POSITIONS + "parametrizations.weight.original0": POSITIONS + "weight_g",
    POSITIONS + "parametrizations.weight.original1": POSITIONS + "weight_v",
}


def weights() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {name: tensor.clone() for name, tensor in WavLM.from_config(CONFIG).state_dict().items()}


def published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """With what published files hold beside the weights we keep."""
    final_norm = {"encoder.layer_norm.weight": torch.ones(16), "encoder.layer_norm.bias": torch.zeros(16)}
    return state | final_norm | {"masked_spec_embed": torch.zeros(16)}


def folder_with(tmp_path: Path, state: dict[str, Tensor], config: dict | None = None) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(config or CONFIG))
    save_file(state, tmp_path / "model.safetensors")
    return tmp_path


def assert_loads(folder: Path, expected: dict[str, Tensor]) -> None:
    found = load_pretrained("wavlm", folder).state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize("prefix", ["", "wavlm.", "model.wavlm."])
@pytest.mark.parametrize("old_spelling", [True, False])
def test_published_weights_load_under_any_prefix_and_weight_norm_spelling(
    tmp_path: Path, prefix: str, old_spelling: bool
) -> None:
    state = published(weights())
    renamed = {prefix + (OLD_SPELLING.get(name, name) if old_spelling else name): t for name, t in state.items()}
    assert_loads(folder_with(tmp_path, renamed), weights())


@pytest.mark.parametrize(("told", "expected"), [(True, "clip"), (False, "none")])
def test_the_published_preprocessor_says_whether_clips_are_normalised(tmp_path, caplog, told, expected: str) -> None:
    folder = folder_with(tmp_path, published(weights()))
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": told}))
    assert load_pretrained("wavlm", folder).normalize == expected
    assert not caplog.records


@pytest.mark.parametrize("told", [None, "{}"], ids=["no file", "not said"])
def test_without_a_word_clips_are_normalised_as_transformers_does_and_a_warning_says_so(tmp_path, caplog, told) -> None:
    folder = folder_with(tmp_path, published(weights()))
    if told is not None:
        (folder / "preprocessor_config.json").write_text(told)
    assert load_pretrained("wavlm", folder).normalize == "clip"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert '{"do_normalize": false}' in caplog.text


def test_a_preprocessor_that_says_something_else_is_refused(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, published(weights()))
    (folder / "preprocessor_config.json").write_text('{"do_normalize": "often"}')
    with pytest.raises(ModelError, match="do_normalize is 'often', expected true or false"):
        load_pretrained("wavlm", folder)


def test_the_final_norm_is_loaded_where_it_is_asked_for(tmp_path: Path) -> None:
    norm = torch.linspace(0.5, 2, 16)
    folder = folder_with(tmp_path, published(weights()) | {"encoder.layer_norm.weight": norm})
    found = load_pretrained("wavlm", folder, final_norm=True)
    assert torch.equal(found.state_dict()["encoder.layer_norm.weight"], norm)
    again = WavLM.from_config(found.config)
    again.load_state_dict(found.state_dict())
    with pytest.raises(ConfigError, match="belongs behind layer"):
        load_pretrained("wavlm", folder, layers=1, final_norm=True)


def test_a_final_norm_that_is_not_there_is_refused(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, weights())
    with pytest.raises(ModelError, match=r"2 missing: encoder\.layer_norm"):
        load_pretrained("wavlm", folder, final_norm=True)
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, "do_stable_layer_norm": False}))
    with pytest.raises(ConfigError, match="every layer ends with its norm"):
        load_pretrained("wavlm", folder, final_norm=True)


def test_half_precision_weights_become_float32(tmp_path: Path) -> None:
    half = {name: tensor.half() for name, tensor in weights().items()}
    assert_loads(folder_with(tmp_path, half), {name: tensor.float() for name, tensor in half.items()})
    assert {tensor.dtype for tensor in load_pretrained("wavlm", tmp_path).state_dict().values()} == {torch.float32}


def test_sharded_weights_load(tmp_path: Path) -> None:
    state = published(weights())
    shards = {name: f"model-0000{1 + index % 2}-of-00002.safetensors" for index, name in enumerate(state)}
    for shard in set(shards.values()):
        save_file({name: state[name] for name in state if shards[name] == shard}, tmp_path / shard)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    assert_loads(tmp_path, weights())
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ModelError, match="model-00002-of-00002"):
        load_pretrained("wavlm", tmp_path)


def test_an_index_that_points_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / ".", weights())
    (folder / "model.safetensors").rename(folder / "x.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../x.safetensors"}}))
    with pytest.raises(ModelError, match="weight_map"):
        load_pretrained("wavlm", folder)


@pytest.mark.parametrize("new_format", [True, False])
def test_torch_weights_load(tmp_path: Path, new_format: bool) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    torch.save(weights(), tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=new_format)
    assert_loads(tmp_path, weights())


def test_a_torch_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    torch.save({"weights": Path("/")}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match="plain weights"):
        load_pretrained("wavlm", tmp_path)


def test_only_the_asked_layers_are_kept(tmp_path: Path) -> None:
    model = load_pretrained("wavlm", folder_with(tmp_path, published(weights())), layers=1)
    assert model.num_layers == 1
    assert not any("layers.1." in name for name in model.state_dict() if name.startswith("encoder."))
    with pytest.raises(ConfigError, match=r"3 layers were asked .* has 2"):
        load_pretrained("wavlm", tmp_path, layers=3)


def test_a_layer_that_the_config_does_not_know_is_unexpected(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, published(weights()), CONFIG | {"num_hidden_layers": 1})
    with pytest.raises(ModelError, match=r"unexpected: encoder\.layers\.1"):
        load_pretrained("wavlm", folder)


def missing(state: dict[str, Tensor]) -> None:
    del state["encoder.layers.0.attention.q_proj.weight"]


def unexpected(state: dict[str, Tensor]) -> None:
    state["classifier.weight"] = torch.zeros(2)


def wrong_shape(state: dict[str, Tensor]) -> None:
    state["encoder.layers.0.attention.q_proj.weight"] = torch.zeros(16, 8)


def not_a_number(state: dict[str, Tensor]) -> None:
    state["encoder.layers.0.attention.q_proj.weight"][0, 0] = torch.nan


def infinite(state: dict[str, Tensor]) -> None:
    state["encoder.layers.0.attention.q_proj.weight"][0, 0] = torch.inf


def whole_numbers(state: dict[str, Tensor]) -> None:
    state["encoder.layers.0.attention.q_proj.weight"] = torch.zeros(16, 16, dtype=torch.int8)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (missing, r"1 missing: encoder\.layers\.0\.attention\.q_proj\.weight"),
        (unexpected, r"1 unexpected: classifier\.weight"),
        (wrong_shape, r"1 of the wrong shape: .*q_proj\.weight \(16, 8\) instead of \(16, 16\)"),
        (not_a_number, r"1 not finite: .*q_proj\.weight"),
        (infinite, r"1 not finite: .*q_proj\.weight"),
        (whole_numbers, r"1 of whole numbers: .*q_proj\.weight"),
    ],
)
def test_a_wrong_weight_is_named(tmp_path: Path, spoil, message: str) -> None:
    state = weights()
    spoil(state)
    with pytest.raises(ModelError, match=rf"(?s){message}.*model\.backbone\.checkpoint="):
        load_pretrained("wavlm", folder_with(tmp_path, state))


def test_all_faults_are_counted_and_the_first_named(tmp_path: Path) -> None:
    state = {name: tensor for name, tensor in weights().items() if "encoder.layers.1" not in name}
    with pytest.raises(ModelError, match=r"19 missing: encoder\.layers\.1\.attention.*, and 14 more"):
        load_pretrained("wavlm", folder_with(tmp_path, state))


def test_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, weights(), CONFIG | {"model_type": "whisper"})
    with pytest.raises(ModelError, match=r"type 'whisper', but the backbone 'wavlm' .* Choose the backbone 'whisper'"):
        load_pretrained("wavlm", folder)
    (folder / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="type None"):
        load_pretrained("wavlm", folder)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b""])
def test_a_broken_config_file_is_refused(tmp_path: Path, content: bytes) -> None:
    folder = folder_with(tmp_path, weights())
    (folder / "config.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"config\.json"):
        load_pretrained("wavlm", folder)


def test_a_config_with_wrong_values_is_a_fault_of_the_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"(?s)hidden_size is None.*conv_dim is 'x'"):
        load_pretrained("wavlm", folder_with(tmp_path, weights(), CONFIG | {"hidden_size": None, "conv_dim": "x"}))


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("content", [b"", b"no weights at all", b"\x80\x02]q\x00."])
def test_a_broken_weight_file_is_refused(tmp_path: Path, file: str, content: bytes) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / file).write_bytes(content)
    with pytest.raises(ModelError, match=file):
        load_pretrained("wavlm", tmp_path)


def test_a_folder_without_config_or_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json cannot be read"):
        load_pretrained("wavlm", tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    with pytest.raises(ModelError, match="holds no weights"):
        load_pretrained("wavlm", tmp_path)
    with pytest.raises(ModelError, match="is a file"):
        load_pretrained("wavlm", tmp_path / "config.json")


def test_a_missing_folder_is_refused_without_asking_the_hub(tmp_path: Path) -> None:
    def ask(*_: object, **__: object) -> str:
        pytest.fail("asked the hub")

    for name in (tmp_path / "nowhere", "./nowhere", "../nowhere", "~/no/where", "a/b/c", "someone/some-model"):
        with pytest.raises(ModelError, match=r"There is no folder .*model\.backbone\.checkpoint=/path/to/folder"):
            load_pretrained("wavlm", name, download=ask)


def test_a_hub_that_cannot_be_reached_is_said_so() -> None:
    def unreachable(*_: object, **__: object) -> str:
        raise ConnectionError

    with pytest.raises(ModelError, match=r"Hub could not be reached or has no checkpoint microsoft/wavlm-large"):
        load_pretrained("wavlm", "microsoft/wavlm-large", download=unreachable)


def test_a_hub_name_is_downloaded_with_its_revision(tmp_path: Path) -> None:
    asked: list[tuple] = []

    def download(name: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((name, revision))
        folder = tmp_path / "0a1b"  # named by the commit
        folder.mkdir(exist_ok=True)
        if "pytorch_model.bin" in allow_patterns:
            torch.save(weights(), folder / "pytorch_model.bin")
        (folder / "config.json").write_text(json.dumps(CONFIG))
        return str(folder)

    load_pretrained("wavlm", "hf:someone/some-model", revision="abc", download=download)
    assert asked == [("someone/some-model", "abc"), ("someone/some-model", "0a1b")]
