"""Sound while it is made: raw samples in pieces, blocks of changing rates, an inbox that never grows."""

import os
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from builders.recordings import noise, tone
from emotune import audio
from emotune.audio.live import Inbox, Microphone, Mono, Played, RawSound, raw_blocks, recorded_blocks, webm_blocks
from emotune.errors import AudioError, ConfigError


def g711_mulaw(code: int) -> float:
    """ITU-T G.711, table 2a: the value of a code, as a share of full scale of 16 bits."""
    code = ~code & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84
    return (-magnitude if code & 0x80 else magnitude) / 32768


def test_mulaw_is_that_of_g711():
    codes = bytes(range(256))
    assert RawSound("mulaw", 8000).decode(codes).tolist() == [g711_mulaw(code) for code in codes]


@pytest.mark.parametrize("encoding", ["pcm16", "float32", "mulaw", "alaw"])
@pytest.mark.parametrize("channels", [1, 2])
def test_pieces_of_any_size_decode_to_the_same_samples(tmp_path, encoding, channels):
    subtype = {"pcm16": "PCM_16", "float32": "FLOAT", "mulaw": "ULAW", "alaw": "ALAW"}[encoding]
    sound = noise(500, channels).squeeze()
    soundfile.write(tmp_path / "x.raw", sound, 8000, format="RAW", subtype=subtype, endian="LITTLE")
    content = (tmp_path / "x.raw").read_bytes()
    whole = RawSound(encoding, 8000, channels).decode(content)
    assert whole.shape == sound.shape
    assert np.abs(whole - sound).max() < 0.02
    decoder, sizes = RawSound(encoding, 8000, channels), np.random.default_rng(0).integers(1, 8, len(content))
    pieces = [decoder.decode(content[end - size : end]) for size, end in zip(sizes, sizes.cumsum(), strict=True)]
    assert np.array_equal(np.concatenate(pieces), whole)


@pytest.mark.parametrize(("rate", "channels", "match"), [(10, 1, "of 10 Hz, expected 1000"), (8000, 0, "0 channels")])
def test_raw_sound_that_cannot_be_is_refused(rate, channels, match):
    with pytest.raises(ConfigError, match=match):
        RawSound("pcm16", rate, channels)


def test_webm_is_decoded_while_it_arrives(tmp_path):
    pytest.importorskip("av", reason="needs the extra media")
    from builders.media import write_media

    path = write_media(tmp_path / "a.webm", codec="libopus", rate=48000, seconds=4.0, tones_hz=(440.0, 300.0))
    content, given = path.read_bytes(), 0

    def read(most: int) -> bytes:
        nonlocal given
        piece = content[given : given + min(most, 100)]
        given += len(piece)
        return piece

    heard, arrived = 0, []
    for samples, rate in webm_blocks(read):
        assert samples.shape[1] == 2 and rate == 48000
        heard += len(samples)
        arrived.append((given / len(content), heard / rate / 4.0))
    assert heard / 48000 == pytest.approx(4.0, abs=0.02)
    assert max(abs(bytes_share - sound_share) for bytes_share, sound_share in arrived[20:]) < 0.25


def test_what_is_no_webm_is_refused():
    pytest.importorskip("av", reason="needs the extra media")
    for content in (b"", b"RIFF" + bytes(5000), b"\x1aE\xdf\xa3" + bytes(100)):
        pieces = iter([content])
        with pytest.raises(AudioError, match="Expected WebM"):
            list(webm_blocks(lambda most, pieces=pieces: next(pieces, b"")[:most]))


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_blocks_are_heard_as_the_whole_recording_is(rate):
    sound = np.stack([tone(sampling_rate_hz=rate), noise(rate)], axis=1).astype(np.float32)
    mono, expected = Mono(), audio.clip((sound, rate)).samples
    ends = np.sort(np.random.default_rng(1).integers(0, rate, 40))
    blocks = [mono(block, rate) for block in np.split(sound, ends)]
    heard = np.concatenate([*blocks, mono.finish()])
    assert len(heard) == len(expected)
    assert np.abs(heard - expected).max() < 1e-5
    assert mono.given_s == pytest.approx(1.0)


def test_a_change_of_rate_loses_no_sound():
    mono = Mono()
    parts = [mono(tone(sampling_rate_hz=rate).astype(np.float32), rate) for rate in (8000, 16000, 48000, 8000)]
    heard = np.concatenate([*parts, mono.finish()])
    assert len(heard) == pytest.approx(4 * 16000, abs=4)
    level = np.sqrt(np.square(heard).reshape(40, -1).mean(axis=1))
    assert level.min() > 0.8 * np.median(level)


@pytest.mark.parametrize(
    ("block", "match"),
    [
        (np.zeros((2, 2, 2)), "the shape"),
        (np.array(["a"]), "the shape"),
        (np.array([0.1, np.nan]), "NaN"),
        (np.full(9, 20000.0), "expected floats in"),
    ],
)
def test_what_is_no_sound_is_refused(block, match):
    with pytest.raises(AudioError, match=match):
        Mono()(block, 16000)
    with pytest.raises(AudioError, match="sampling rate of 7 Hz"):
        Mono()(np.zeros(9, dtype=np.float32), 7)


def test_whole_numbers_are_heard_as_floats():
    assert Mono()(np.array([16384, -16384], dtype=np.int16), 16000).tolist() == [0.5, -0.5]
    assert len(Mono()(np.zeros(0, dtype=np.int16), 16000)) == 0


def test_an_inbox_holds_some_seconds_and_gives_silence_for_what_it_lost():
    inbox = Inbox(holds_s=1.0, clock=lambda: 5.0)
    for number in range(1, 31):
        inbox.put(np.full(1600, number, dtype=np.float32), 16000)
    blocks = inbox.take(0)
    assert blocks is not None
    assert [block.samples[0] for block in blocks] == [0.0] * 20 + list(range(21, 31))
    assert sum(block.duration_s for block in blocks) == pytest.approx(3.0)
    assert inbox.lost_s == pytest.approx(2.0)
    assert {block.arrived for block in blocks} == {5.0}
    assert inbox.take(0) == []
    inbox.close()
    assert inbox.take(0) is None


def test_an_error_of_the_source_reaches_the_one_who_listens_after_the_sound_before_it():
    inbox = Inbox()
    inbox.put(np.zeros(9, dtype=np.float32), 8000)
    inbox.close(AudioError("the line is dead"))
    assert len(inbox.take(0) or []) == 1
    with pytest.raises(AudioError, match="the line is dead"):
        inbox.take(0)


def all_of(source) -> tuple[list, float]:
    """The blocks of a source, and the seconds that it took."""
    inbox, blocks, begun = Inbox(holds_s=1e9), [], time.monotonic()
    with source.into(inbox):
        while (taken := inbox.take(5.0)) is not None:
            blocks += taken
    return blocks, time.monotonic() - begun


def test_a_recording_is_played_no_faster_than_it_sounds(tmp_path):
    soundfile.write(tmp_path / "a.flac", noise(8000), 16000)
    blocks, seconds = all_of(Played(recorded_blocks(tmp_path / "a.flac")))
    assert seconds >= 0.5
    assert [len(block.samples) for block in blocks] == [1600] * 5
    with pytest.raises(AudioError, match="does not exist"):
        all_of(Played(recorded_blocks(tmp_path / "none.flac")))


def test_sound_that_was_held_up_is_heard_at_once():
    def stalls():
        for number in range(6):
            if number == 1:
                time.sleep(0.5)
            yield np.zeros(800, dtype=np.float32), 8000

    _, seconds = all_of(Played(stalls()))
    assert seconds < 0.5 + 0.35  # 0.6 s of sound; after the pause four blocks are late, the others wait


def test_a_pipe_gives_its_samples_as_they_come_and_ends_where_it_is_closed():
    reads, writes = os.pipe()

    def write():
        for _ in range(3):
            os.write(writes, bytes(401))
            time.sleep(0.01)
        os.close(writes)

    thread = threading.Thread(target=write)
    thread.start()
    blocks = list(raw_blocks(reads, RawSound("pcm16", 8000)))
    thread.join()
    os.close(reads)
    assert sum(len(samples) for samples, _ in blocks) == 3 * 401 // 2
    assert {rate for _, rate in blocks} == {8000}


def test_a_file_of_raw_samples_that_is_not_there_is_named(tmp_path):
    with pytest.raises(AudioError, match=r"none\.raw cannot be read: No such file"):
        list(raw_blocks(tmp_path / "none.raw", RawSound("pcm16", 8000)))


class PortAudio:
    """The part of sounddevice that is used, with one microphone that hears a ramp."""

    PortAudioError = type("PortAudioError", (Exception,), {})

    def __init__(self) -> None:
        self.about = {"name": "Desk", "index": 3, "default_samplerate": 44100.0, "max_input_channels": 2}

    def query_devices(self, device=None, kind=None):
        if kind is None:
            return [self.about, {"name": "Speaker", "max_input_channels": 0}]
        if device not in (None, 3, "Desk"):
            raise ValueError(f"No input device matching {device!r}")
        return self.about

    def InputStream(self, **options):  # noqa: N802
        self.options = options
        frames = options["blocksize"]

        class Context:
            def __enter__(self):
                for number in range(3):
                    ramp = np.arange(frames, dtype=np.float32)[:, None] + number
                    options["callback"](ramp, frames, SimpleNamespace(), None)

            def __exit__(self, *_):
                options["finished_callback"]()

        return Context()


def test_a_microphone_is_heard_at_its_own_rate(monkeypatch):
    portaudio = PortAudio()
    monkeypatch.setitem(sys.modules, "sounddevice", portaudio)
    inbox = Inbox()
    with Microphone("3").into(inbox):
        blocks = inbox.take(0)
    assert blocks is not None
    assert [block.samples.shape for block in blocks] == [(4410,)] * 3
    assert [block.samples[0] for block in blocks] == [0, 1, 2]
    assert {block.sampling_rate_hz for block in blocks} == {44100}
    assert portaudio.options["device"] == 3
    assert inbox.take(0) is None  # it ends with the device


def test_an_unknown_microphone_is_an_error_that_lists_those_that_there_are(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", PortAudio())
    with pytest.raises(ConfigError, match=r"No microphone 'Attic' can be used: .*There are: Desk\."):
        Microphone("Attic")


def test_without_sounddevice_the_extra_is_named_and_without_portaudio_the_package(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ConfigError, match=r"'sounddevice', which is not installed: pip install 'emotune\[live\]'"):
        Microphone()
    monkeypatch.delitem(sys.modules, "sounddevice")
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match="sudo apt install libportaudio2"):
        Microphone()
