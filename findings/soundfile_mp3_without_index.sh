#!/usr/bin/env bash
# soundfile 0.14.0 (libsndfile 1.2.2), PyAV 18.1.0, numpy 2.4.6, Python 3.11, Linux x86-64.
#
# An MP3 of varying bit rate without a Xing, LAME or VBRI header, as FFmpeg writes it into a pipe, names no length.
# libsndfile guesses one, the file's bits over the bit rate of its first frame, and reads no further: of 60 s of a
# tone 6 s are left, without an error or a warning. Behind a pause the guess is too long instead: all is read, but
# `soundfile.info` says 223 s. With a header, or at a constant bit rate, all is right; PyAV decodes all of each.
#
# Ends with 0 while this is so. Output seen:
#   varying, a tone                      soundfile.info   6.1 s   soundfile.read   6.1 s   PyAV  60.1 s   guess   6.1 s
#   varying, a pause before the noise    soundfile.info 223.2 s   soundfile.read  60.1 s   PyAV  60.1 s   guess 223.2 s
#   varying, a tone, with a header       soundfile.info  60.0 s   soundfile.read  60.0 s   PyAV  60.0 s
#   constant, a tone, without a header   soundfile.info  60.1 s   soundfile.read  60.1 s   PyAV  60.1 s
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check soundfile==0.14.0 av==18.1.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import io

import av
import numpy as np
import soundfile

RATE, SECONDS = 16000, 60
KBITS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)  # MPEG 2, layer 3
VARYING = {"flags": "+qscale", "global_quality": str(4 * 118)}  # LAME's -V 4; 118 is FFmpeg's unit


class Pipe:
    """A stream that cannot be rewound, so that no header can be written once the length is known."""

    def __init__(self):
        self.written = bytearray()

    def write(self, data):
        self.written += data
        return len(data)


def encoded(stream, samples, codec_options):
    with av.open(stream, "w", format="mp3") as container:
        mp3 = container.add_stream("libmp3lame", rate=RATE, layout="mono", options=codec_options)
        frame = av.AudioFrame.from_ndarray((samples * 32767).astype(np.int16)[None], format="s16p", layout="mono")
        frame.sample_rate = RATE
        for packet in [*mp3.encode(frame), *mp3.encode(None)]:
            container.mux(packet)


def piped(samples, codec_options):
    pipe = Pipe()
    encoded(pipe, samples, codec_options)
    return bytes(pipe.written)


def with_header(samples, codec_options):
    stream = io.BytesIO()
    encoded(stream, samples, codec_options)
    return stream.getvalue()


def seconds(data):
    with av.open(io.BytesIO(data)) as container:
        by_av = sum(frame.samples for frame in container.decode(audio=0)) / RATE
    return soundfile.info(io.BytesIO(data)).duration, len(soundfile.read(io.BytesIO(data))[0]) / RATE, by_av


def guess(data):
    first = data.index(b"\xff\xf3")
    return (len(data) - first) * 8 / (1000 * KBITS[data[first + 2] >> 4])


def row(name, measured, end=""):
    print(f"{name:36} soundfile.info {measured[0]:5.1f} s   soundfile.read {measured[1]:5.1f} s   PyAV {measured[2]:5.1f} s{end}")


time = np.arange(SECONDS * RATE) / RATE
tone = 0.3 * np.sin(2 * np.pi * 220 * time)
noise = np.where(time < 1, 0, 0.1 * np.random.default_rng(0).standard_normal(time.size))
assert abs(noise).max() < 1

short, long = piped(tone, VARYING), piped(noise, VARYING)
for data in (short, long):
    assert not any(index in data for index in (b"Xing", b"Info", b"VBRI"))
row("varying, a tone", tone_read := seconds(short), f"   guess {guess(short):5.1f} s")
row("varying, a pause before the noise", noise_read := seconds(long), f"   guess {guess(long):5.1f} s")
row("varying, a tone, with a header", header_read := seconds(with_header(tone, VARYING)))
row("constant, a tone, without a header", constant_read := seconds(piped(tone, {"b": "32k"})))

assert tone_read[0] == tone_read[1] < 7, "soundfile no longer loses the end"
assert abs(tone_read[0] - guess(short)) < 0.1 and abs(noise_read[0] - guess(long)) < 0.1, "the length is another guess"
assert noise_read[0] > 200, "soundfile.info no longer says a length that is too long"
assert all(abs(whole - SECONDS) < 0.1 for whole in (tone_read[2], *noise_read[1:], *header_read, *constant_read))
PYTHON
