"""The sound of videos and of formats that libsndfile does not know, against the tones that went in."""

import importlib
import io

import numpy as np
import pytest
import soundfile

from builders.media import write_media
from emotune import audio
from emotune.errors import AudioError
from emotune.schema.predictions import Predictions

CASES = {
    "mp4": ("clip.mp4", {}),
    "mp4 with a picture": ("clip.mp4", {"video": True}),
    "mp4 to be streamed": ("clip.mp4", {"video": True, "options": {"movflags": "faststart"}}),
    "m4a of two channels": ("clip.m4a", {"rate": 44100, "tones_hz": (440.0, 1000.0)}),
    "mov": ("clip.mov", {"rate": 48000, "video": True}),
    "mkv": ("clip.mkv", {"video": True}),
    "webm": ("clip.webm", {"codec": "libopus", "rate": 48000}),
    "aac": ("clip.aac", {}),
    "16-bit integers in a mov": ("clip.mov", {"codec": "pcm_s16le"}),
}


def pitch_hz(samples: np.ndarray, rate: int) -> float:
    """Where the spectrum of the clip's middle has its peak."""
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    return float(
        np.fft.rfftfreq(1 << 18, 1 / rate)[np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 1 << 18)).argmax()]
    )


@pytest.mark.parametrize("case", CASES)
def test_the_tone_and_its_length_survive(tmp_path, case):
    name, options = CASES[case]
    recording = audio.decode(write_media(tmp_path / name, **options))
    tones = options.get("tones_hz", (440.0,))
    assert recording.sampling_rate_hz == options.get("rate", 16000)
    assert recording.samples.dtype == np.float32
    assert recording.samples.shape[1] == len(tones)
    assert 1.5 <= recording.duration_s <= 1.5 + 0.13  # codecs fill up their first and last frame
    for channel, tone in enumerate(tones):
        samples = recording.samples[:, channel]
        assert pitch_hz(samples, recording.sampling_rate_hz) == pytest.approx(tone, abs=1)
        middle = samples[len(samples) // 4 : -len(samples) // 4]
        assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.03)


@pytest.mark.parametrize("case", [case for case in CASES if case != "aac"])  # which alone does not state its delay
def test_the_sound_lies_where_it_was_in_time_so_that_segments_fit(tmp_path, case):
    """An encoder's delay of 1024 samples would turn each of these tones by a sixth of its period or more."""
    name, options = CASES[case]
    recording = audio.decode(write_media(tmp_path / name, **options))
    rate, middle = recording.sampling_rate_hz, slice(len(recording.samples) // 4, -len(recording.samples) // 4)
    tone = np.sin(2 * np.pi * 440.0 * np.arange(len(recording.samples)) / rate)
    assert np.corrcoef(recording.samples[middle, 0], tone[middle])[0, 1] > 0.99


def test_samples_stored_as_they_are_come_back_as_libsndfile_gives_them(tmp_path):
    recording = audio.decode(write_media(tmp_path / "clip.mov", codec="pcm_s16le"))
    soundfile.write(tmp_path / "clip.wav", recording.samples, 16000, subtype="PCM_16")
    np.testing.assert_array_equal(audio.decode(tmp_path / "clip.wav").samples, recording.samples)
    assert len(recording.samples) == 24000


def test_path_bytes_and_stream_of_a_video_give_the_same_recording(tmp_path, capfd):
    path = write_media(tmp_path / "clip.mp4", video=True)
    expected = audio.decode(path).content_sha256()
    with path.open("rb") as stream:
        for source in (str(path), path.read_bytes(), stream, io.BytesIO(path.read_bytes())):
            assert audio.decode(source).content_sha256() == expected
    assert capfd.readouterr().err == ""


def test_the_content_counts_not_the_name(tmp_path):
    path = write_media(tmp_path / "clip.mp4").rename(tmp_path / "clip.wav")
    assert audio.decode(path).duration_s == pytest.approx(1.5, abs=0.13)


def test_a_segment_of_a_video_is_the_slice_of_its_sound(tmp_path):
    path = write_media(tmp_path / "clip.mp4", video=True)
    whole = audio.decode(path).samples
    for start, end in [(0.0, 0.5), (0.25, 1.0), (1.2, None), (None, 0.75)]:
        segment = audio.decode(path, start_s=start, end_s=end).samples
        stop = None if end is None else round(end * 16000)
        np.testing.assert_array_equal(segment, whole[round((start or 0) * 16000) : stop])


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        (3.0, None, "start_s 3.0 lies behind the end"),
        (0.5, 3.0, "end_s 3.0 lies behind the end"),
        (1.0, 0.5, "expected 0 <= start_s < end_s"),
        (float("nan"), None, "expected 0 <= start_s < end_s"),
    ],
)
def test_a_segment_outside_a_video_is_an_audio_error(tmp_path, start, end, words):
    path = write_media(tmp_path / "clip.mp4", video=True)
    with pytest.raises(AudioError) as caught:
        audio.decode(path, start_s=start, end_s=end)
    assert words in str(caught.value)


BROKEN = {
    "mp4 cut in the middle": ("clip.mp4", {}, 0.5, "cannot be decoded (Invalid data found"),
    "mp4 to be streamed, cut": (
        "clip.mp4",
        {"options": {"movflags": "faststart"}},
        0.6,
        "cannot be decoded (Invalid data found",
    ),
    "mkv cut in the middle": ("clip.mkv", {}, 0.5, "is damaged: it ends after"),
    "webm cut": ("clip.webm", {"codec": "libopus", "rate": 48000}, 0.8, "is damaged: it ends after"),
    "mp4 without sound": ("clip.mp4", {"codec": None, "video": True}, 1.0, "cannot be decoded (it has no sound track)"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_damaged_or_silent_video_is_an_audio_error_that_names_it(tmp_path, case):
    name, options, share, words = BROKEN[case]
    path = write_media(tmp_path / name, **options)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(AudioError) as caught:
        audio.decode(path)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)


def test_bytes_of_zeros_inside_an_mp4_are_an_audio_error(tmp_path):
    path = write_media(tmp_path / "clip.mp4")
    content = bytearray(path.read_bytes())
    content[400:4000] = bytes(3600)
    with pytest.raises(AudioError):
        audio.decode(bytes(content))


def test_a_playlist_opens_no_other_file(tmp_path, monkeypatch):
    """FFmpeg would follow it; whoever sends a recording must not choose which files are read."""
    soundfile.write(tmp_path / "secret.wav", np.zeros(16000), 16000)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AudioError, match="cannot be decoded"):
        audio.decode(b"ffconcat version 1.0\nfile secret.wav\n")


def test_without_pyav_the_message_names_the_extra(tmp_path, monkeypatch):
    path = write_media(tmp_path / "clip.mp4")
    imported = importlib.import_module

    def refuse(name: str, *rest: object):
        if name == "av":
            raise ModuleNotFoundError("No module named 'av'", name="av")
        return imported(name, *rest)

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(
        AudioError, match=r"clip\.mp4 is no recording that libsndfile can read\..*pip install 'emotune\[media\]'"
    ):
        audio.decode(path)


def test_videos_of_a_folder_are_predicted_and_a_damaged_one_is_an_error_row(tmp_path, tiny_model, emotune_command):
    write_media(tmp_path / "clips" / "good.mp4", video=True)
    write_media(tmp_path / "clips" / "mute.mp4", video=True, codec=None)
    ended = emotune_command("predict", tiny_model, tmp_path / "clips", "-o", tmp_path / "out.csv", "--device", "cpu")
    assert ended.code == 1
    good, mute = Predictions.read(tmp_path / "out.csv")
    assert good.error is None and good.emotion
    assert "it has no sound track" in mute.error
