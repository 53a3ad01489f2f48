"""Clips are what whole recordings give, in bounded memory; segments come from one pass; rare formats are read."""

import io
import os
import socket
import struct
import threading
import tracemalloc
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.media import write_media
from builders.recordings import encoded, noise
from emotune import audio
from emotune.audio import Clip, Segment
from emotune.errors import AudioError

_TIME = np.arange(24000) / 8000
SPEECH = (0.4 * np.sin(2 * np.pi * (200 + 300 * _TIME) * _TIME)).astype(np.float32)


@given(
    rate=st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000]),
    wanted=st.sampled_from([8000, 16000]),
    channels=st.integers(1, 5),
    frames=st.integers(1, 200_000),
)
@settings(max_examples=30, deadline=None)
def test_a_clip_is_to_the_bit_what_the_whole_recording_gives(rate, wanted, channels, frames):
    source = (noise(max(frames, channels), channels), rate)
    whole, clip = audio.decode(source), audio.clip(source, sampling_rate_hz=wanted, with_content=True)
    np.testing.assert_array_equal(clip.samples, whole.mono(wanted))
    assert clip.content_sha256 == whole.content_sha256()
    assert (clip.duration_s, clip.peak, clip.channels) == (whole.duration_s, whole.peak, channels)
    assert clip.stored_rate_hz == rate


def test_a_clip_knows_how_much_of_it_is_at_full_scale():
    samples = np.zeros((1000, 2), np.float32)
    samples[:30, 1] = -1.0
    assert audio.clip((samples, 16000)).clipped_share == pytest.approx(0.015)


PARTS = [
    Segment(1.0, 2.5),
    Segment(0.0, 1.0),
    Segment(2.0, None),
    Segment(None, None, 1),
    Segment(1.5, 2.0, 0),
    Segment(1.0, 2.5),
]


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3", ".mp4"])
def test_segments_of_one_pass_are_those_decoded_alone(tmp_path, suffix, opened):
    path = tmp_path / f"clip{suffix}"
    if suffix == ".mp4":
        write_media(path, seconds=4.0, rate=16000, tones_hz=(300.0, 500.0))
    else:
        soundfile.write(path, noise(64000, 2), 16000)
    alone = [audio.clip(path, start_s=s.start_s, end_s=s.end_s, channel=s.channel, with_content=True) for s in PARTS]
    opened.clear()
    together = dict(audio.clips(path, PARTS, with_content=True))
    assert opened == [path.name]
    assert sorted(together) == list(range(len(PARTS)))
    for position, expected in enumerate(alone):
        found = together[position]
        assert isinstance(found, Clip)
        np.testing.assert_array_equal(found.samples, expected.samples)
        assert found.content_sha256 == expected.content_sha256


def test_one_pass_decodes_an_mp3_once_and_no_further_than_needed(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "clip.mp3", noise(16000 * 90), 16000)
    frames: list[int] = []
    original = soundfile.SoundFile.read

    def counted(self, *arguments, **options):
        block = original(self, *arguments, **options)
        frames.append(len(block))
        return block

    monkeypatch.setattr(soundfile.SoundFile, "read", counted)
    found = dict(audio.clips(tmp_path / "clip.mp3", [Segment(n, n + 1) for n in (30, 2, 16, 9)]))
    assert all(isinstance(clip, Clip) for clip in found.values())
    assert 31 * 16000 <= sum(frames) < 60 * 16000


def test_a_bad_segment_does_not_cost_the_others(tmp_path):
    soundfile.write(tmp_path / "clip.mp3", noise(32000), 16000)
    parts = [Segment(0, 1), Segment(5, 6), Segment(1, 0), Segment(1, 2, 3), Segment(0.5, 9), Segment(1, 2)]
    found = dict(audio.clips(tmp_path / "clip.mp3", parts))
    words = [None, "start_s 5 lies behind", "expected 0 <= start_s", "has no channel 3", "end_s 9 lies behind", None]
    for position, word in enumerate(words):
        if word is None:
            assert isinstance(found[position], Clip)
        else:
            assert word in str(found[position])


def test_a_recording_that_cannot_be_opened_is_the_error_of_every_segment(tmp_path):
    found = dict(audio.clips(tmp_path / "gone.wav", [Segment(0, 1), Segment(1, 2)]))
    assert [str(found[n]) for n in (0, 1)] == [f"{tmp_path / 'gone.wav'} does not exist."] * 2


def test_a_clip_that_is_too_long_by_its_header_is_not_decoded(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "clip.flac", noise(16000 * 3), 16000)
    monkeypatch.setattr(soundfile.SoundFile, "read", None)  # nothing may be read
    with pytest.raises(AudioError, match=r"the clip is 3\.0 s long; the model takes at most 2 s"):
        audio.clip(tmp_path / "clip.flac", max_duration_s=2.0)


def test_a_clip_of_unknown_length_is_refused_as_soon_as_it_is_too_long(tmp_path):
    soundfile.write(tmp_path / "clip.mp3", noise(16000 * 20), 16000)
    with pytest.raises(AudioError, match="the clip is longer than 2 s; the model takes at most 2 s"):
        audio.clip(tmp_path / "clip.mp3", max_duration_s=2.0)
    assert len(audio.clip(tmp_path / "clip.mp3", start_s=3.0, end_s=5.0, max_duration_s=2.0).samples) == 32000


def peak_bytes(work) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def wide_silence(path: Path, seconds: int) -> Path:
    """Eight channels at 192 kHz: 6 MB of floats a second, and hardly anything on disk."""
    with soundfile.SoundFile(path, "w", 192000, 8, subtype="PCM_16") as file:
        for _ in range(seconds):
            file.write(np.zeros((192000, 8), np.int16))
    return path


def test_a_used_file_takes_little_more_memory_than_its_samples_at_the_models_rate(tmp_path):
    path = wide_silence(tmp_path / "wide.flac", 30)  # 184 MB as it is stored
    mono_bytes = 30 * 16000 * 4
    assert peak_bytes(lambda: audio.clip(path, with_content=True)) < 2 * mono_bytes + 8e6


def test_a_refused_file_takes_hardly_any_memory(tmp_path):
    path = wide_silence(tmp_path / "wide.flac", 31)
    content = io.BytesIO(encoded(noise(8000 * 150), 8000, container="MP3"))

    def refuse() -> None:
        for source in (path, content.getvalue()):
            with pytest.raises(AudioError, match="takes at most 30 s"):
                audio.clip(source, max_duration_s=30.0)

    assert peak_bytes(refuse) < 16e6


def hidden_sizes(content: bytes, size: int) -> bytes:
    """A WAV as it leaves a pipe: nobody came back to say how large it is."""
    place = content.index(b"data") + 4
    return content[:4] + struct.pack("<I", size) + content[8:place] + struct.pack("<I", size) + content[place + 4 :]


SUBTYPES = ["GSM610", "G721_32", "NMS_ADPCM_16", "NMS_ADPCM_24", "NMS_ADPCM_32"]


@pytest.mark.parametrize("subtype", [*SUBTYPES, "G723_24", "G723_40"])
def test_telephone_codecs_that_cannot_seek_are_read_whole_and_in_segments(subtype):
    container = "AU" if subtype.startswith("G723") else "WAV"  # libsndfile writes G.723 into no WAV
    content = encoded(SPEECH, 8000, container=container, subtype=subtype)
    whole = audio.decode(content).samples[:, 0]
    assert 24000 <= len(whole) <= 24000 + 640  # they fill up their last block
    assert np.corrcoef(whole[:24000], SPEECH)[0, 1] > 0.95
    segment = audio.decode(content, start_s=1.0, end_s=2.0).samples[:, 0]
    np.testing.assert_array_equal(segment, whole[8000:16000])


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "ULAW", "IMA_ADPCM", "GSM610"])
@pytest.mark.parametrize("size", [0x7FFFF000, 0x7FFFEFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0])
def test_a_wav_out_of_a_pipe_holds_what_follows_its_header(subtype, size):
    content = encoded(SPEECH, 8000, subtype=subtype)
    np.testing.assert_array_equal(audio.decode(hidden_sizes(content, size)).samples, audio.decode(content).samples)


def test_a_wav_whose_sound_alone_has_size_0_is_read_to_the_end():
    content = encoded(SPEECH, 8000)
    np.testing.assert_array_equal(
        audio.decode(content[:40] + bytes(4) + content[44:]).samples, audio.decode(content).samples
    )


def test_a_wav_without_sound_is_empty_though_other_chunks_follow():
    head = encoded(np.zeros(0, np.float32), 8000)[:44]
    with pytest.raises(AudioError, match="holds no samples"):
        audio.decode(head + b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"Lavf59.27.100\0")


def test_a_flac_that_states_no_length_keeps_its_last_block(tmp_path):
    content = bytearray(encoded(SPEECH, 8000, container="FLAC", subtype="PCM_16"))
    expected = audio.decode(bytes(content)).samples
    content[21] &= 0xF0
    content[22:42] = bytes(20)  # neither a length nor a checksum, as out of a pipe
    np.testing.assert_array_equal(audio.decode(bytes(content)).samples, expected)


def through_pyav(path: Path, codec: str, *, rate: int = 8000, container: str | None = None, **options: str) -> Path:
    """The speech encoded by FFmpeg's own encoder, where this build has it."""
    try:
        av.codec.Codec(codec, "w")
    except (av.error.FFmpegError, ValueError):
        pytest.skip(f"this PyAV cannot write {codec}")
    samples = np.repeat(SPEECH, rate // 8000)
    with av.open(str(path), "w", format=container, options=options) as out:
        track = out.add_stream(codec, rate=rate)
        track.layout = "mono"
        if codec == "g726":
            track.bit_rate = 32000
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        size = {"g722": 320, "g726": 320, "pcm_s16le": 2048}.get(codec)
        resampler = av.AudioResampler(format=track.format.name, layout="mono", rate=rate, frame_size=size)
        for block in [*resampler.resample(frame), *resampler.resample(None), None]:
            out.mux(track.encode(block))
    return path


@pytest.mark.parametrize(("codec", "rate"), [("g722", 16000), ("g726", 8000), ("adpcm_yamaha", 8000)])
def test_codecs_in_a_wav_that_only_pyav_knows_are_read(tmp_path, codec, rate):
    recording = audio.decode(through_pyav(tmp_path / "clip.wav", codec, rate=rate))
    assert recording.sampling_rate_hz == rate
    assert recording.duration_s == pytest.approx(3.0, abs=0.1)
    mono = recording.mono(8000)[:23000]
    assert max(np.corrcoef(mono[lag : lag + 20000], SPEECH[:20000])[0, 1] for lag in range(24)) > 0.95


@pytest.mark.parametrize(("name", "codec"), [("clip.wv", "wavpack"), ("clip.tta", "tta")])
def test_lossless_containers_that_only_pyav_knows_are_read(tmp_path, name, codec):
    recording = audio.decode(through_pyav(tmp_path / name, codec))
    np.testing.assert_allclose(recording.samples[:, 0], SPEECH, rtol=0, atol=2.0**-7)  # FFmpeg takes 8 bits


def test_a_voc_of_several_blocks_holds_no_block_heads_among_its_sound(tmp_path):
    """libsndfile takes four bytes of every block for two samples."""
    path = through_pyav(tmp_path / "clip.voc", "pcm_s16le", container="voc")
    assert len(soundfile.read(path)[0]) > 24000
    recording = audio.decode(path)
    np.testing.assert_allclose(recording.samples[:, 0], SPEECH, rtol=0, atol=2.0**-15)


def without_index(content: bytes) -> bytes:
    """An MP3 without its first frame, which names the number of the others."""
    start = 0
    if content[:3] == b"ID3":
        start = 10 + sum((byte & 0x7F) << 7 * (3 - n) for n, byte in enumerate(content[6:10]))
    following = content.index(content[start : start + 2], start + 4)
    assert any(word in content[start:following] for word in (b"Xing", b"Info"))
    return content[following:]


@pytest.mark.parametrize("mode", ["VARIABLE", "CONSTANT"])
def test_an_mp3_without_an_index_is_read_to_its_end(mode):
    """Its length would be guessed from the bit rate of its first frame, and the rest lost without a word."""
    quiet, loud = 1e-4 * noise(16000 * 20), noise(16000 * 20)
    stream = io.BytesIO()
    soundfile.write(stream, np.concatenate([loud, quiet, loud]), 16000, format="MP3", bitrate_mode=mode)
    assert audio.decode(without_index(stream.getvalue())).duration_s == pytest.approx(60.0, abs=0.3)


@pytest.mark.parametrize("rate", [16000, 24000])
def test_an_mp3_of_a_low_bit_rate_is_in_blocks_what_it_is_as_a_whole(tmp_path, monkeypatch, rate):
    """soundfile seeks after every block, and the next one then begins wrongly, without an error."""
    path = through_pyav(tmp_path / "clip.mp3", "libmp3lame", rate=rate)
    whole, _ = soundfile.read(path, dtype="float32")
    monkeypatch.setattr("emotune.audio.decoding.sound.BLOCK_SAMPLES", 4096)
    np.testing.assert_allclose(audio.decode(path).samples[:, 0], whole, rtol=0, atol=1e-5)


def in_time(work) -> AudioError:
    """What a call raises, which must not wait for anybody."""
    raised: list[AudioError] = []

    def run() -> None:
        try:
            work()
        except AudioError as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    return raised[0]


def test_a_pipe_a_socket_and_a_device_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    link = tmp_path / "link.wav"
    link.symlink_to(tmp_path / "pipe.wav")
    with socket.socket(socket.AF_UNIX) as listening:
        place = Path(os.path.relpath(tmp_path)) / "socket.wav"  # a socket's name may not be long
        listening.bind(str(place))
        for path, kind in [
            (tmp_path / "pipe.wav", "a named pipe"),
            (link, "a named pipe"),
            (tmp_path / "socket.wav", "a socket"),
            (Path("/dev/zero"), "a device"),
        ]:
            for call in (audio.decode, audio.clip, audio.channel_count):
                assert f"{path} is {kind}, expected a regular file" in str(in_time(lambda p=path, c=call: c(p)))
