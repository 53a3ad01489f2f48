"""Decoding, mono, resampling, fingerprints and segments, against NumPy and SciPy."""

import io
import shutil

import numpy as np
import pytest
import scipy.signal
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from emotune import audio
from emotune.audio import Recording, decode, trim_silence
from emotune.errors import AudioError

RATES = [8000, 11025, 16000, 22050, 44100, 48000, 96000]


def chirp(seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    """A sweep from 100 to 1500 Hz, each channel at its own level, shape (frames, channels)."""
    time = np.arange(round(seconds * rate)) / rate
    sweep = scipy.signal.chirp(time, 100, seconds, 1500)
    return np.stack([sweep * 0.5 / (channel + 1) for channel in range(channels)], axis=1)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_every_subtype_and_channel_count_is_decoded_to_its_rounding(tmp_path, subtype, channels):
    clip = chirp(0.3, 16000, channels)
    soundfile.write(tmp_path / "clip.wav", clip, 16000, subtype=subtype)
    recording = decode(tmp_path / "clip.wav")
    bits = {"PCM_U8": 8, "PCM_16": 16}.get(subtype, 24)
    assert recording.samples.dtype == np.float32
    np.testing.assert_allclose(recording.samples, clip, rtol=0, atol=2.0 ** (1 - bits))
    np.testing.assert_allclose(recording.mono(), recording.samples.mean(axis=1), rtol=0, atol=1e-7)


@pytest.mark.parametrize("rate", RATES)
def test_every_rate_is_resampled_as_scipy_does_it(rate):
    clip = chirp(1.0, rate)[:, 0]
    mono = decode((clip, rate)).mono()
    divisor = np.gcd(rate, 16000)
    expected = scipy.signal.resample_poly(clip, 16000 // divisor, rate // divisor)
    assert abs(len(mono) - 16000) <= 1
    inside = slice(800, 15200)  # filters differ at the ends
    error = mono[inside] - expected[inside]
    assert np.sqrt(np.mean(error**2) / np.mean(expected[inside] ** 2)) < 1e-2


@given(rate=st.integers(4000, 96000), channels=st.integers(1, 4), seconds=st.floats(0.05, 0.5))
@settings(max_examples=25, deadline=None)
def test_the_duration_survives_any_rate_and_channel_count(rate, channels, seconds):
    recording = decode((chirp(seconds, rate, channels), rate))
    assert abs(len(recording.mono()) - recording.duration_s * 16000) <= 2


@pytest.mark.parametrize("dtype", ["int16", "int32", "uint8", "float32", "float64"])
def test_arrays_of_every_kind_mean_the_same(dtype):
    clip = chirp(0.1, 16000)[:, 0]
    if dtype.startswith("float"):
        given_array = clip.astype(dtype)
    elif dtype == "uint8":
        given_array = np.round(clip * 128 + 128).clip(0, 255).astype(dtype)
    else:
        given_array = np.round(clip * (np.iinfo(dtype).max + 1)).astype(dtype)
    rounding = 2.0 ** -(7 if dtype == "uint8" else 15 if dtype == "int16" else 22)
    np.testing.assert_allclose(decode((given_array, 16000)).samples[:, 0], clip, rtol=0, atol=rounding)


def test_path_bytes_stream_array_and_mapping_give_the_same_recording(tmp_path):
    path = tmp_path / "clip.flac"
    soundfile.write(path, chirp(0.2, 22050, 2), 22050, subtype="PCM_16")
    expected = decode(path)
    samples, rate = soundfile.read(path, dtype="int16")
    with path.open("rb") as stream:
        others = [
            str(path), path.read_bytes(), bytearray(path.read_bytes()), stream, io.BytesIO(path.read_bytes()),
            (samples, rate), {"array": samples, "sampling_rate": rate},
        ]  # fmt: skip
        for source in others:
            other = decode(source)
            assert other.sampling_rate_hz == rate == 22050
            np.testing.assert_array_equal(other.samples, expected.samples)


def written(path, samples: np.ndarray, **options):
    soundfile.write(path, samples, 16000, **options)
    return path


def test_lossless_and_renamed_copies_have_one_fingerprint(tmp_path):
    clip = np.round(chirp(0.3, 16000, 2) * 32767).astype(np.int16)
    wav = written(tmp_path / "a.wav", clip, subtype="PCM_16")
    flac = written(tmp_path / "b.flac", clip, subtype="PCM_16")
    wide = written(tmp_path / "c.wav", clip, subtype="PCM_24")
    renamed = tmp_path / "renamed.wav"
    shutil.copy(wav, renamed)
    assert len({decode(path).content_sha256() for path in (wav, flac, wide, renamed)}) == 1


def test_one_changed_sample_the_rate_and_the_channels_change_the_fingerprint():
    samples = np.round(chirp(0.3, 16000, 2) * 32767).astype(np.int16)
    changed = samples.copy()
    changed[1234, 1] += 1
    prints = {
        decode((samples, 16000)).content_sha256(),
        decode((changed, 16000)).content_sha256(),
        decode((samples, 8000)).content_sha256(),
        decode((samples.reshape(-1), 16000)).content_sha256(),
        decode((samples[:-1], 16000)).content_sha256(),
    }
    assert len(prints) == 5


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
def test_a_segment_is_the_slice_of_the_whole(tmp_path, suffix):
    noise = 0.1 * np.random.default_rng(0).standard_normal(32000)  # libsndfile seeks inexactly in an MP3 of a pure tone
    path = written(tmp_path / f"clip{suffix}", noise)
    whole = decode(path).samples
    for start, end in [(0.0, 0.5), (0.25, 1.0), (1.5, None), (None, 0.75)]:
        segment = decode(path, start_s=start, end_s=end).samples
        expected = whole[round((start or 0) * 16000) : None if end is None else round(end * 16000)]
        np.testing.assert_allclose(segment, expected, rtol=0, atol=1e-6 if suffix == ".mp3" else 0)
    np.testing.assert_array_equal(decode((whole, 16000), start_s=0.25, end_s=1.0).samples, whole[4000:16000])


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (3.0, None, "lies behind the end of the recording"),
        (0.0, 3.0, "end_s 3.0 lies behind the end"),
        (1.0, 0.5, "expected 0 <= start_s < end_s"),
        (-1.0, None, "expected 0 <= start_s < end_s"),
        (float("nan"), None, "expected 0 <= start_s < end_s"),
    ],
)
def test_a_segment_outside_the_recording_is_an_error(tmp_path, start, end, message):
    path = written(tmp_path / "clip.wav", chirp(1.0, 16000))
    with pytest.raises(AudioError, match=message):
        decode(path, start_s=start, end_s=end)


def test_a_segment_of_an_array_ends_with_the_array_at_the_latest():
    with pytest.raises(AudioError, match=r"end_s 3\.0 lies behind the end"):
        decode((chirp(1.0, 16000), 16000), start_s=0.0, end_s=3.0)


def burst(before: int, speech: int, after: int, *, quiet: float = 0.0) -> np.ndarray:
    generator = np.random.default_rng(0)
    parts = [quiet * generator.standard_normal(before), generator.standard_normal(speech)]
    return np.concatenate([*parts, quiet * generator.standard_normal(after)]).astype(np.float32)


@pytest.mark.parametrize(("before", "after"), [(8000, 4800), (0, 8000), (8000, 0), (0, 0)])
def test_silence_is_cut_at_both_ends_to_within_a_frame(before, after):
    clip = burst(before, 16000, after, quiet=1e-4)
    trimmed = trim_silence(clip, threshold_db=40)
    (start,) = [n for n in range(0, before + 1) if np.array_equal(clip[n : n + len(trimmed)], trimmed)][:1]
    assert before - 400 <= start <= before
    assert before + 16000 <= start + len(trimmed) <= before + 16000 + 400


def test_the_threshold_decides_what_is_silent():
    clip = burst(8000, 16000, 8000, quiet=0.01)  # 40 dB under the burst
    assert len(trim_silence(clip, threshold_db=60)) == len(clip)
    assert len(trim_silence(clip, threshold_db=20)) < 17000


def test_silence_in_the_middle_stays():
    clip = np.concatenate([burst(0, 8000, 8000), burst(0, 8000, 0)])
    np.testing.assert_array_equal(trim_silence(clip, threshold_db=40), clip)


def test_zeros_and_clips_shorter_than_a_frame_stay_as_they_are():
    for clip in (np.zeros(16000, np.float32), np.ones(300, np.float32)):
        np.testing.assert_array_equal(trim_silence(clip, threshold_db=40), clip)


@given(length=st.integers(401, 3000), threshold=st.floats(1, 100), seed=st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_the_level_does_not_change_what_is_trimmed(length, threshold, seed):
    clip = np.random.default_rng(seed).standard_normal(length) * np.hanning(length)
    trimmed = trim_silence(clip.astype(np.float32), threshold_db=threshold)
    louder = trim_silence((4 * clip).astype(np.float32), threshold_db=threshold)
    assert 400 <= len(trimmed) <= length
    np.testing.assert_array_equal(4 * trimmed, louder)


def test_a_recording_knows_its_duration():
    assert Recording(np.zeros((12000, 2), np.float32), 8000).duration_s == 1.5
    assert audio.SAMPLING_RATE_HZ == 16000


CHANNELS = np.round(chirp(0.2, 22050, 3) * 32767).astype(np.int16)


def test_a_channel_is_what_a_mono_file_of_it_holds_and_has_its_fingerprint(tmp_path):
    soundfile.write(tmp_path / "clip.flac", CHANNELS, 22050)
    for number in range(3):
        alone = decode(tmp_path / "clip.flac", channel=number)
        mono = decode((CHANNELS[:, number], 22050))
        np.testing.assert_array_equal(alone.samples, mono.samples)
        assert alone.content_sha256() == mono.content_sha256()
    mixed = decode(tmp_path / "clip.flac", channel="mix")
    np.testing.assert_array_equal(mixed.samples, decode(tmp_path / "clip.flac").samples)


@pytest.mark.parametrize("channel", [3, -1, True, 1.0, "left", None])
def test_a_channel_that_is_not_there_is_an_error_with_their_number(channel):
    with pytest.raises(AudioError, match=r"has no channel .*: it has the channels 0 to 2, or 'mix'"):
        decode((CHANNELS, 22050), channel=channel)
    with pytest.raises(AudioError, match="it has channel 0 alone"):
        decode((CHANNELS[:, 0], 22050), channel=1)


def test_channels_are_counted_in_a_file_and_in_memory(tmp_path):
    for count in (1, 2, 3):
        path = tmp_path / f"clip{count}.wav"
        soundfile.write(path, CHANNELS[:, :count], 22050)
        sources = [path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), (CHANNELS[:, :count], 22050)]
        assert [audio.channel_count(source) for source in sources] == [count] * len(sources)
    with pytest.raises(AudioError, match="does not exist"):
        audio.channel_count(tmp_path / "gone.wav")


def test_the_peak_is_that_of_the_loudest_channel():
    cancelling = np.stack([CHANNELS[:, 0], -CHANNELS[:, 0]], axis=1)
    recording = decode((cancelling, 22050))
    assert recording.peak == np.abs(CHANNELS[:, 0] / 32768).max()
    assert not recording.mono().any()
