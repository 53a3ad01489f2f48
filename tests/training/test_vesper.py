"""Vesper: which layers are copied, which frames are hidden, what the losses are, and what the whole encoder keeps."""

import copy
import dataclasses
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from builders.models import TINY, tiny_backbone
from builders.recordings import noise
from emotune.audio.preprocessing import Preprocessing
from emotune.batch import Batch, pad
from emotune.errors import ConfigError, ModelError
from emotune.models.backbones import BACKBONES
from emotune.models.backbones.family import LARGE_SHAPE
from emotune.models.backbones.whisper import Whisper
from emotune.models.weights import without_memory
from emotune.training.loop.whole_step import summed
from emotune.training.vesper.data import LARGE_STARTS, SMALL_STARTS, HiddenSpans
from emotune.training.vesper.spans import LARGE, SMALL, large_spans, loudness, small_spans
from emotune.training.vesper.student import VesperStudent, with_copied_layers
from emotune.training.vesper.task import WEIGHTS, VesperTask

FOUR = {name: {**config, BACKBONES[name.split(",")[0]].layers_key: 4} for name, config in TINY.items()}


def whole_of(name: str, *, seed: int = 0):
    return tiny_backbone(FOUR[name], name.split(",", maxsplit=1)[0], seed=seed).eval()


def batch_of(seconds: list[float], small: list[list[float]], large: list[list[float]]) -> Batch:
    """Noise with spans that begin at these frames."""
    plain = pad([noise(round(16000 * length), seed=number) for number, length in enumerate(seconds)])
    return dataclasses.replace(plain, targets={SMALL_STARTS: torch.tensor(small), LARGE_STARTS: torch.tensor(large)})


@pytest.fixture(scope="module")
def taught():
    """A student over two of four layers of a tiny WavLM, its task, and a batch of two clips with hidden frames."""
    whole = whole_of("wavlm")
    student = VesperStudent(with_copied_layers(whole, 2)).eval()
    nan = float("nan")
    return student, VesperTask(whole, kept_gb=0.0), batch_of([1.2, 0.5], [[2, 30], [5, nan]], [[4, nan], [9, nan]])


# --- copied layers


@pytest.mark.parametrize("name", TINY)
def test_layers_are_copied_evenly_and_all_below_them_stays(name):
    whole = whole_of(name)
    copied = with_copied_layers(whole, 2)
    assert (copied.num_layers, copied.final_norm, copied.normalize) == (2, None, whole.normalize)
    for own, theirs in zip(copied.layer_modules(), whole.layer_modules()[::2], strict=True):
        torch.testing.assert_close(dict(own.state_dict()), dict(theirs.state_dict()), rtol=0, atol=0)
    waveforms = torch.from_numpy(noise(2, 8000))
    mask = torch.ones_like(waveforms, dtype=torch.bool)
    with torch.no_grad():
        states = [encoder.eval()(waveforms, mask).states for encoder in (copied, whole)]
    for layer in (0, 1):
        torch.testing.assert_close(states[0][layer], states[1][layer], rtol=0, atol=0)


@pytest.mark.parametrize(("layers", "parameters"), [(4, 63_515_872), (12, 164_289_952)])
def test_vespers_have_the_published_numbers_of_parameters(layers, parameters):
    """The vector of hidden frames counts among them, as it does in the 315,453,120 of WavLM Large with its norm."""
    whole = without_memory(partial(BACKBONES["wavlm"].from_config, {**LARGE_SHAPE, "final_norm": True}))
    student = without_memory(lambda: VesperStudent(with_copied_layers(whole, layers)))

    def count(*parts) -> int:
        return sum(parameter.numel() for part in parts for parameter in part)

    assert count(whole.parameters(), [student.hidden_frame]) == 315_453_120
    assert count(student.backbone.parameters(), [student.hidden_frame]) == parameters


@pytest.mark.parametrize("layers", [3, 4, 8])
def test_a_number_of_layers_that_cannot_be_copied_evenly_is_refused_with_those_that_can(layers):
    with pytest.raises(ConfigError, match=f"task.layers is {layers}, .* 4 layers: 2\\."):
        with_copied_layers(whole_of("wavlm"), layers)


# --- hidden spans


def levels_of(frames: int, seed: int) -> np.ndarray:
    """Levels of which a third each is loud, quiet, and between or below these."""
    generator = np.random.default_rng(seed)
    of_kind = generator.uniform([0.5, 0.2, 0.0], [1.0, 0.49, 0.19], (frames, 3))
    levels = of_kind[np.arange(frames), generator.integers(3, size=frames)]
    levels[0] = 1.0
    return 0.03 * levels


def test_half_of_the_small_spans_begin_loud_and_half_quiet():
    levels, generator = np.tile(levels_of(100, 0), 4), np.random.default_rng(0)
    times = np.zeros(400)
    for _ in range(500):
        starts = small_spans(levels, generator)
        shares = levels[starts] / levels.max()
        assert len(set(starts.tolist())) == len(starts) == 20
        assert ((shares >= 0.5).sum(), ((shares >= 0.2) & (shares <= 0.49)).sum()) == (10, 10)
        assert np.diff(np.sort(starts)).min() > SMALL
        assert starts.max() + SMALL <= 400
        times[starts] += 1
    quarters = times.reshape(4, 100).sum(axis=1) / times.sum()
    assert np.abs(quarters - 0.25).max() < 0.03  # nowhere in the clip more often than elsewhere


@pytest.mark.parametrize(
    ("frames", "small", "large"), [(40, 3, 1), (100, 8, 1), (160, 12, 2), (250, 20, 4), (900, 20, 4)]
)
def test_spans_cover_at_most_64_percent_and_are_at_most_twenty_and_four(frames, small, large):
    levels, generator = levels_of(frames, 1), np.random.default_rng(1)
    starts = small_spans(levels, generator)
    wide = large_spans(frames, starts, generator)
    assert len(starts) <= small
    assert len(wide) <= large
    assert len(starts) * SMALL <= 0.64 * frames
    assert frames < LARGE / 0.64 or len(wide) * LARGE <= 0.64 * frames
    assert frames < 200 or (len(starts), len(wide)) == (small, large)


def test_large_spans_grow_from_small_ones_as_long_as_these_lie_apart():
    generator = np.random.default_rng(2)
    small = np.array([10, 60, 70, 130, 190, 260, 310])
    for _ in range(50):
        starts = large_spans(400, small, generator)
        assert len(starts) == 4
        assert np.diff(np.sort(starts)).min() > LARGE
        assert sum(start in small for start in starts) >= 3


def test_a_clip_of_one_level_has_spans_all_the_same():
    generator = np.random.default_rng(3)
    assert len(small_spans(np.full(300, 0.1), generator)) == 20
    assert len(small_spans(np.zeros(300), generator)) == 20
    assert small_spans(np.array([0.2]), generator).tolist() == [0]
    assert large_spans(9, np.array([3]), generator).tolist() == [3]


def test_loudness_is_the_root_mean_square_of_400_samples_every_320_without_padding():
    samples = noise(4000)
    windows = [samples[start : start + 400] for start in range(0, 4000 - 399, 320)]
    expected = [np.sqrt(np.mean(np.square(window.astype(np.float64)))) for window in windows]
    np.testing.assert_allclose(loudness(samples, hop=320), expected, rtol=1e-12)
    assert len(loudness(noise(200), hop=320)) == 1


def test_thresholds_are_those_of_the_clip_itself_and_spans_change_from_epoch_to_epoch(tones):
    """Where they compound over a batch, a loud clip changes the spans of the clips behind it."""
    dataset = HiddenSpans(tones, Preprocessing(min_samples=400), hop=320, seed=7)
    alone = dataset[0, 5].truth
    for index in range(5):
        _ = dataset[0, index]
    np.testing.assert_equal(dataset[0, 5].truth, alone)
    assert str(dataset[1, 5].truth) != str(alone)
    levels = loudness(dataset[0, 5].waveform, hop=320)
    expected = small_spans(levels, np.random.default_rng(0))
    np.testing.assert_equal(small_spans(1000 * levels, np.random.default_rng(0)), expected)


# --- what the student hears


def positions_of(student: VesperStudent) -> torch.Tensor | float:
    """What a hidden frame keeps beside the vector: its position, where that is added to the frames."""
    kept = student._positions.of_batch
    if isinstance(student.backbone, Whisper):
        assert torch.equal(kept, student.backbone.embed_positions.weight[: len(kept)])
    assert (kept is None) == (student.backbone.position_layer() is None)
    return 0.0 if kept is None else kept


ADDED_POSITIONS = {"wav2vec2", "hubert", "data2vec-audio", "unispeech-sat", "whisper"}


@pytest.mark.parametrize("name", [name for name in TINY if name.split(",")[0] in ADDED_POSITIONS])
def test_hidden_frames_differ_where_positions_are_added_to_frames(name):
    encoder = with_copied_layers(whole_of(name), 2).eval()
    student = VesperStudent(encoder)
    inputs: list[torch.Tensor] = []
    for layer in encoder.layer_modules():
        layer.register_forward_pre_hook(lambda _, given: inputs.append(given[0][0]))
    student(batch_of([1.2], [[2.0, 30.0]], [[8.0]]))
    for given, start, span in zip(inputs, (30, 8), (SMALL, LARGE), strict=True):
        frames = given[start : start + span]
        assert torch.pdist(frames).min() > 1e-6


@pytest.mark.parametrize("name", TINY)
def test_an_encoder_either_adds_positions_or_knows_them_in_its_attention(name):
    assert (whole_of(name).position_layer() is not None) == (name.split(",")[0] in ADDED_POSITIONS)


def test_no_layer_of_the_student_is_dropped():
    copied = with_copied_layers(whole_of("wavlm"), 2)
    copied.layerdrop = 0.5
    assert VesperStudent(copied).backbone.layerdrop == 0.0


def test_a_checkpoint_knows_the_teacher_by_a_digest_and_refuses_another():
    state = VesperTask(whole_of("wavlm"), kept_gb=0.0).state_dict()
    assert sum(tensor.nbytes for tensor in state.values()) == 32
    VesperTask(whole_of("wavlm"), kept_gb=0.0).load_state_dict(state)
    with pytest.raises(ModelError, match="taught by another encoder"):
        VesperTask(whole_of("wavlm", seed=3), kept_gb=0.0).load_state_dict(state)


@pytest.mark.parametrize("name", TINY)
def test_hidden_frames_are_one_vector_and_their_added_position_at_the_first_layer_and_above_the_middle(name):
    encoder = with_copied_layers(whole_of(name), 2).eval()
    student = VesperStudent(encoder)
    inputs: list[torch.Tensor] = []
    for layer in encoder.layer_modules():
        layer.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    batch = batch_of([1.2, 0.9], [[2.0, 30.0], [5.0, float("nan")]], [[8.0], [1.0]])
    output = student(batch)
    real = [round(16000 * seconds) for seconds in (1.2, 0.9)]
    counts = encoder.frame_count(torch.tensor(real)).tolist()
    hidden = [[[2, 30], [5]], [[8], [1]]]
    for given, starts, span in zip(inputs, hidden, (SMALL, LARGE), strict=True):
        extra = given.shape[1] - max(counts)
        vector = student.hidden_frame + positions_of(student)
        for row, count in enumerate(counts):
            expected = {frame for start in starts[row] for frame in range(start, min(start + span, count))}
            same = (given[row] == vector.expand_as(given)[row]).all(dim=1)
            assert {int(frame) - extra for frame in same.nonzero()} == expected
    assert [len(part) for part in (output.middle, output.whole)] == [24, sum(counts)]
    assert output.last.shape == (min(counts[0] - 8, LARGE) + min(counts[1] - 1, LARGE), encoder.hidden_size)


def test_nothing_is_hidden_where_the_encoder_is_scored_or_taken(taught):
    student, _, batch = taught
    student(batch)
    states = whole_of("wavlm")(batch.waveforms, batch.mask).states
    heard = student.heard(batch)
    again = student.backbone(batch.waveforms, batch.mask)
    torch.testing.assert_close(again.states[1][again.mask], states[1][again.mask], rtol=0, atol=1e-5)
    torch.testing.assert_close(heard, student.heads["whole"](again.states[-1][again.mask]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["wavlm", "hubert", "whisper"])
def test_a_copy_such_as_a_moving_average_hides_nothing_of_its_own(taught, name):
    batch = taught[2]
    student = VesperStudent(with_copied_layers(whole_of(name), 2)).eval()
    student(batch)
    averaged = copy.deepcopy(student)
    heard = averaged.heard(batch)
    student(batch)
    torch.testing.assert_close(averaged.heard(batch), heard, rtol=0, atol=0)
    torch.testing.assert_close(student.heard(batch), heard, rtol=0, atol=0)


def test_convolutions_are_frozen_and_all_else_of_the_student_trains(taught):
    student, _, _ = taught
    frozen = {name for name, parameter in student.named_parameters() if not parameter.requires_grad}
    assert frozen
    assert all(name.startswith("backbone.feature_extractor.") for name in frozen)


# --- losses


def losses_of(student, task, batches: list[Batch]) -> list[dict[str, torch.Tensor]]:
    normalisers = summed([task.normalisers(batch) for batch in batches])
    heard = [task.heard(student, batch) for batch in batches]
    return [dict(task.mean_losses(student(batch), batch, normalisers)) for batch in heard]


def test_losses_are_mean_squared_errors_to_the_middle_and_the_last_layer(taught):
    student, task, batch = taught
    (losses,) = losses_of(student, task, [batch])
    with torch.no_grad():
        states = whole_of("wavlm")(batch.waveforms, batch.mask)
    output = student(batch)
    small, large = torch.zeros_like(states.mask), torch.zeros_like(states.mask)
    small[0, 2:10], small[0, 30:38], small[1, 5:13], large[0, 4:44], large[1, 9:49] = True, True, True, True, True
    middle, last = states.states[2], states.states[4]
    expected = {
        "middle": F.mse_loss(output.middle, middle[small & states.mask]),
        "last": 0.1 * F.mse_loss(output.last, last[large & states.mask]),
        "whole": F.mse_loss(output.whole, middle[states.mask]),
    }
    assert WEIGHTS == {"middle": 1.0, "last": 0.1, "whole": 1.0}
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value)


def test_losses_do_not_depend_on_how_a_step_is_cut(taught):
    student, task, batch = taught
    whole = losses_of(student, task, [batch])[0]
    parts = losses_of(student, task, [batch.rows(slice(None, 1)), batch.rows(slice(1, None))])
    for name, value in whole.items():
        torch.testing.assert_close(parts[0][name] + parts[1][name], value, rtol=1e-6, atol=1e-6)


def test_kept_states_are_those_of_each_clip_alone_to_the_bit():
    whole = whole_of("wavlm")
    task, batch = VesperTask(whole, kept_gb=1.0), batch_of([0.6, 0.4], [[0.0], [0.0]], [[0.0], [0.0]])
    first, alone = task.taught(batch), task.taught(batch.rows(slice(1, None)))
    with torch.no_grad():
        states = whole(batch.rows(slice(1, None)).waveforms, batch.rows(slice(1, None)).mask).states
    for kept, again, expected in zip(first, alone, (states[2], states[4]), strict=True):
        assert torch.equal(kept[1, : expected.shape[1]], expected[0])
        assert torch.equal(again, expected)


def test_the_whole_encoder_stays_frozen_in_evaluation_mode_whatever_trains():
    whole = whole_of("wavlm", seed=3)
    task = VesperTask(whole.train(), kept_gb=0.0)
    task.train()
    assert not whole.training
    assert not any(parameter.requires_grad for parameter in task.parameters())
