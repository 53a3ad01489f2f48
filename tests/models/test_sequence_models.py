"""One encoder-decoder and the adapters of its tasks: what they change, and what they leave alone."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from builders.models import WAVLM, WHISPER, tiny_backbone
from builders.sequences import (
    DECODER,
    EMOTION,
    LAYERS,
    PHONEMES,
    SLOTS,
    WORDS,
    clips,
    shaken,
    tiny_base,
    tiny_sequences,
)
from emotune.errors import ConfigError, ModelError
from emotune.models.sequences.adapter_file import add_adapters, save_adapter
from emotune.models.sequences.base import build_base, load_base, save_base
from emotune.models.sequences.decoder import Decoder
from emotune.models.sequences.decoding import answers, label_probabilities, transcripts, written
from emotune.models.sequences.sequence_model import SequenceModel
from emotune.models.sequences.spoken_task import SpokenTask
from emotune.models.sequences.store import load_sequences, save_sequences
from emotune.models.sequences.task_adapters import Attentive, Bottleneck, fused, stacked

STACKED = SpokenTask("stacked", "label", "emotion", ("anger", "neutral"), size=4, joins="stacked", uses=("emotion",))
FUSED = SpokenTask("fused", "label", "emotion", ("anger", "neutral"), size=4, joins="fused", uses=("emotion", "slots"))
ALL = (EMOTION, SLOTS, PHONEMES, WORDS, STACKED, FUSED)


@torch.no_grad()
def hidden_of(model: SequenceModel, name: str | None, token: torch.Tensor | None = None) -> torch.Tensor:
    waveforms, mask = clips()
    with model.doing(name) as own:
        heard = model.base.hear(waveforms, mask)
        embedded = model.base.prompted(own if token is None else token, len(waveforms))
        return model.base.decoder(embedded, heard.attended, heard.mask)[0]


@pytest.mark.parametrize("task", [EMOTION, STACKED, FUSED], ids=lambda task: task.joins)
def test_a_new_adapter_changes_no_bit(task):
    model = tiny_sequences(*ALL)
    base = hidden_of(model, None)
    assert torch.equal(hidden_of(model, task.name), base)
    shaken(model, task.name, *task.uses)
    assert not torch.allclose(hidden_of(model, task.name, model.base.decoder.embed_tokens.weight[-2]), base)
    assert torch.equal(hidden_of(model, None), base), "without a task the base is as it was"


def test_an_adapter_has_as_many_parameters_as_the_paper_says_and_nothing_else_trains():
    model = tiny_sequences(*ALL)
    counts, d, r = model.parameter_counts(), DECODER["d_model"], EMOTION.size
    assert counts["emotion adapter"] == counts["stacked adapter"] == LAYERS * (2 * d * r + r + d)
    assert counts["fused adapter"] == LAYERS * 2 * d * r
    assert {counts[f"{task.name} token"] for task in ALL} == {d}
    assert counts["emotion ctc"] == 0 and counts["phonemes ctc"] == (d + 1) * (1 + len(PHONEMES.items))
    trains = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert trains == sum(counts.values()) - counts["base"]
    assert counts["base"] == sum(parameter.numel() for parameter in tiny_base().parameters())


def test_stacked_and_fused_adapters_follow_their_formulas():
    generator = torch.Generator().manual_seed(0)
    source, own, third = (Bottleneck(6, 3) for _ in range(3))
    attentive = Attentive(6, 3)
    for module in (source, own, third, attentive):
        for parameter in module.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator)
    h = torch.randn(2, 5, 6, generator=generator)

    def adapter(net: Bottleneck, x: torch.Tensor) -> torch.Tensor:
        return x + torch.relu(x @ net.down.weight.T + net.down.bias) @ net.up.weight.T + net.up.bias

    assert torch.allclose(stacked(source, own)(h), adapter(own, adapter(source, h)), atol=1e-5)
    outputs = torch.stack([adapter(net, h) for net in (source, own, third)])
    keys = (outputs - h) @ attentive.key.weight.T
    weights = ((h @ attentive.query.weight.T) * keys).sum(-1).div(3**0.5).softmax(0)
    assert torch.allclose(attentive.weights(h, outputs - h).sum(0), torch.ones(2, 5))
    assert torch.allclose(fused([source, own, third], attentive)(h), (weights[..., None] * outputs).sum(0), atol=1e-4)


@pytest.mark.parametrize("name", ["type", "items", "train"])
def test_a_task_may_be_called_as_parts_of_pytorch_are(name, tmp_path):
    task = dataclasses.replace(EMOTION, name=name)
    model = shaken(tiny_sequences(task), name)
    save_adapter(tmp_path / "own.safetensors", model, name, base="b")
    other = tiny_sequences()
    add_adapters(other, [tmp_path / "own.safetensors"], base="b")
    found = other.parts_of(name).state_dict()
    assert all(torch.equal(found[key], value) for key, value in model.parts_of(name).state_dict().items())


def test_a_new_decoder_takes_known_keys_alone():
    with pytest.raises(ConfigError, match="did you mean 'decoder_layers'"):
        build_base(tiny_backbone(WAVLM), {"decoder_layer": 2})
    with pytest.raises(ConfigError, match="vocab_size"):
        build_base(tiny_backbone(WAVLM), {"vocab_size": 2})


def test_doing_one_task_leaves_the_base_and_all_other_tasks_untouched():
    model = shaken(tiny_sequences(*ALL), "emotion", "slots", "phonemes")
    waveforms, mask = clips()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    alone = {task.name: answers(model, task.name, waveforms, mask).texts for task in ALL}
    for name in reversed(list(model.tasks)):
        assert answers(model, name, waveforms, mask).texts == alone[name]
    with pytest.raises(RuntimeError), model.doing("emotion"):
        raise RuntimeError
    assert all(place.change is None for place in model.places)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_clip_gets_the_same_answers_alone_and_in_a_batch():
    model = shaken(tiny_sequences(*ALL), *(task.name for task in ALL))
    waveforms, mask = clips(2)
    for task in ALL:
        together = answers(model, task.name, waveforms, mask)
        for clip in range(2):
            own = waveforms[clip : clip + 1, mask[clip]]
            alone = answers(model, task.name, own, torch.ones_like(own, dtype=torch.bool))
            assert alone.texts == together.texts[clip : clip + 1]
            if alone.probabilities is not None:
                assert torch.allclose(alone.probabilities, together.probabilities[clip : clip + 1], atol=1e-5)


def test_the_probability_of_a_label_is_the_product_along_its_tokens_and_all_sum_to_one():
    model = shaken(tiny_sequences(EMOTION), "emotion")
    waveforms, mask = clips()
    found = label_probabilities(model, "emotion", waveforms, mask)
    assert torch.allclose(found.sum(dim=1), torch.ones(2))
    spelt, embed = model.tasks["emotion"], model.base.decoder.embed_tokens.weight
    with torch.no_grad(), model.doing("emotion") as token:
        heard = model.base.hear(waveforms, mask)
        for place, label in enumerate(EMOTION.items):
            tokens, logs = [*spelt.tokens(label), model.base.end], torch.zeros(2)
            for position, following in enumerate(tokens):
                written = embed[torch.tensor(tokens[:position], dtype=torch.long)].expand(2, -1, -1)
                embedded = torch.cat([model.base.prompted(token, 2), written], dim=1)
                last = model.base.decoder(embedded, heard.attended, heard.mask)[0][:, -1]
                state = spelt.grammar.start
                for earlier in tokens[:position]:
                    state = spelt.grammar.after(state, earlier)
                legal = spelt.grammar.legal(state, EMOTION.most_tokens - position)
                logs += (last @ embed[legal].T).log_softmax(dim=1)[:, legal.index(following)]
            assert torch.allclose(found[:, place], logs.exp(), atol=1e-5)


def test_answers_written_token_by_token_are_those_of_the_whole_at_once():
    model = shaken(tiny_sequences(WORDS), "words")
    waveforms, mask = clips()
    spelt = model.tasks["words"]
    first, _ = written(model, "words", spelt.grammar, WORDS.most_tokens, waveforms, mask)
    tokens = torch.tensor([first])
    with torch.no_grad(), model.doing("words") as token:
        heard = model.base.hear(waveforms[:1], mask[:1])
        output = model.output("words", token, heard, tokens, tokens)
    chosen = [spelt.grammar.alphabet[place] for place in output.scores.argmax(dim=-1)[0].tolist()]
    assert chosen[: tokens.shape[1]] == tokens[0].tolist()


def test_the_decoder_equals_transformers():
    transformers = pytest.importorskip("transformers")
    config = transformers.WhisperConfig(
        **{**WHISPER, **DECODER, "vocab_size": 40, "max_target_positions": 12, "max_source_positions": 30},
        **{"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1},
    )
    torch.manual_seed(0)
    theirs = transformers.WhisperForConditionalGeneration(config).eval()
    ours = Decoder(config.to_dict(), memory_size=16).eval()
    state = {name.removeprefix("model.decoder."): t for name, t in theirs.state_dict().items() if "decoder." in name}
    ours.load_state_dict(state)
    memory, tokens = torch.randn(2, 30, 16), torch.randint(40, (2, 9))
    with torch.no_grad():
        expected = theirs(encoder_outputs=(memory,), decoder_input_ids=tokens).logits
        hidden, _ = ours(ours.embed_tokens(tokens), ours.heard(memory), None)
        assert torch.allclose(ours.scores(hidden, slice(None)), expected, atol=1e-5)
        written, pieces = None, []
        for place in range(9):
            piece, written = ours(ours.embed_tokens(tokens[:, place : place + 1]), ours.heard(memory), None, written)
            pieces.append(piece)
        assert torch.allclose(torch.cat(pieces, dim=1), hidden, atol=1e-5)


def test_one_file_holds_an_adapter_and_brings_it_back_to_the_bit(tmp_path):
    model = shaken(tiny_sequences(*ALL), *(task.name for task in ALL))
    files = [tmp_path / f"{name}.safetensors" for name in model.tasks]
    for path in files:
        save_adapter(path, model, path.stem, base="base")
    again = tiny_sequences()
    add_adapters(again, reversed(files), base="base")
    assert {name: spelt.task for name, spelt in again.tasks.items()} == {task.name: task for task in ALL}
    for name in model.tasks:
        state = again.parts_of(name).state_dict()
        assert all(torch.equal(tensor, state[key]) for key, tensor in model.parts_of(name).state_dict().items())


def test_adapters_that_do_not_fit_are_refused(tmp_path):
    model, (emotion, fused_file) = tiny_sequences(*ALL), (tmp_path / "emotion.safetensors", tmp_path / "f.safetensors")
    save_adapter(emotion, model, "emotion", base="base")
    save_adapter(fused_file, model, "fused", base="base")
    with pytest.raises(ModelError, match="trained on another base"):
        add_adapters(tiny_sequences(), [emotion], base="another")
    with pytest.raises(ModelError, match="uses the adapter 'emotion': name its file too"):
        add_adapters(tiny_sequences(), [fused_file], base="base")
    with pytest.raises(ModelError, match="Two files hold an adapter 'emotion'"):
        (tmp_path / "copy.safetensors").write_bytes(emotion.read_bytes())
        add_adapters(tiny_sequences(), [emotion, tmp_path / "copy.safetensors"], base="base")
    wider = SequenceModel(build_base(tiny_backbone(WAVLM), {**DECODER, "d_model": 32}))
    with pytest.raises(ModelError, match="does not fit"):
        add_adapters(wider, [emotion], base="base")
    emotion.write_bytes(emotion.read_bytes()[:-4])
    with pytest.raises(ModelError, match="not a readable safetensors file"):
        add_adapters(tiny_sequences(), [emotion], base="base")
    with pytest.raises(ModelError, match="There is no file"):
        add_adapters(tiny_sequences(), [tmp_path / "none"], base="base")


def test_a_base_and_a_model_come_back_from_their_folders(tmp_path):
    base = tiny_base()
    save_base(tmp_path / "base", base)
    read = load_base(tmp_path / "base")
    assert all(torch.equal(tensor, read.model.state_dict()[name]) for name, tensor in base.state_dict().items())
    model = SequenceModel(read.model)
    for task in ALL:
        model.add(task)
    shaken(model, "emotion", "slots")
    save_sequences(tmp_path / "model", model, read)
    again = load_sequences(tmp_path / "model")
    waveforms, mask = clips()
    for task in ALL:
        assert (
            answers(again.model, task.name, waveforms, mask).texts == answers(model, task.name, waveforms, mask).texts
        )
    one = load_sequences(tmp_path / "base", adapters=[tmp_path / "model" / "adapters" / "emotion.safetensors"])
    assert list(one.model.tasks) == ["emotion"]
    weights = tmp_path / "base" / "model.safetensors"
    weights.write_bytes(bytes([*weights.read_bytes()[:-1], 0]))
    with pytest.raises(ModelError, match="files have changed since"):
        load_sequences(tmp_path / "model")
    (tmp_path / "base").rename(tmp_path / "moved")
    with pytest.raises(ModelError, match="which is not there"):
        load_sequences(tmp_path / "model")


def test_everything_that_trains_is_kept_with_the_model(tmp_path):
    model = SequenceModel(tiny_base(), trains="all")
    model.add(dataclasses.replace(EMOTION, size=0))
    front_end = {id(p) for module in model.base.backbone.front_end() for p in module.parameters()}
    assert all(p.requires_grad != (id(p) in front_end) for p in model.base.parameters())
    shaken(model, "emotion")
    save_base(tmp_path / "untrained", tiny_base())
    save_sequences(tmp_path / "model", model.eval(), load_base(tmp_path / "untrained"))
    waveforms, mask = clips()
    again = load_sequences(tmp_path / "model").model
    assert torch.equal(
        label_probabilities(again, "emotion", waveforms, mask), label_probabilities(model, "emotion", waveforms, mask)
    )


def test_tasks_that_do_not_go_together_are_refused():
    model = tiny_sequences(EMOTION, SLOTS, STACKED)
    for task, said in (
        (EMOTION, "has a task 'emotion' already"),
        (dataclasses.replace(STACKED, name="other", uses=("emotions",)), "did you mean 'emotion'"),
        (dataclasses.replace(STACKED, name="other", uses=("stacked",)), "no adapter by itself"),
        (dataclasses.replace(EMOTION, name="other", most_tokens=447), "places"),
    ):
        with pytest.raises(ConfigError, match=said):
            model.add(task)
    with pytest.raises(ConfigError, match="Unknown task 'slot', did you mean 'slots'"):
        answers(model, "slot", *clips())


def test_what_ctc_hears_does_not_depend_on_padding():
    model = shaken(tiny_sequences(PHONEMES), "phonemes")
    waveforms, mask = clips(2)
    with torch.no_grad():
        heard = model.base.hear(waveforms, mask)
        alone = model.base.hear(waveforms[1:, mask[1]], mask[1:, mask[1]])
        both = [model.symbols("phonemes", of) for of in (heard, alone)]
    frames = both[1].shape[0]
    assert int(heard.frames[1]) == frames == int(alone.frames[0])
    assert torch.allclose(both[0][:frames, 1], both[1][:, 0], atol=1e-5)
    assert torch.allclose(both[1].exp().sum(-1), torch.ones(frames, 1))


def test_a_base_writes_by_itself_without_any_task():
    (first, second) = transcripts(tiny_sequences(), *clips())
    assert isinstance(first, str) and len(first) <= 100 and len(second) <= 100


def test_cross_entropy_of_illegal_tokens_is_never_asked_for():
    model = shaken(tiny_sequences(EMOTION), "emotion")
    spelt, (waveforms, mask) = model.tasks["emotion"], clips(3)
    rows = [spelt.tokens(label) for label in EMOTION.items]
    tokens = torch.full((3, max(map(len, rows))), -1)
    for row, own in enumerate(rows):
        tokens[row, : len(own)] = torch.tensor(own)
    with torch.no_grad(), model.doing("emotion") as token:
        output = model.output("emotion", token, model.base.hear(waveforms, mask), tokens, tokens)
    losses = F.cross_entropy(output.scores.transpose(1, 2), output.truth, ignore_index=-1, reduction="none")
    assert bool(losses.isfinite().all())
    own = label_probabilities(model, "emotion", waveforms, mask)[range(3), range(3)]
    assert np.allclose(losses.sum(dim=1), -own.log(), atol=1e-4)
