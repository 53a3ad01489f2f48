#!/usr/bin/env bash
# soundfile 0.14.0 (libsndfile 1.2.2), PyAV 18.1.0, numpy 2.4.6, Python 3.11, Linux x86-64.
#
# An MP3 of a low bit rate that is read in blocks, by `soundfile.blocks` or by `read(n)` again and again, has other
# samples than the same file read whole, by as much as the sound is loud, and without an error. After every block
# soundfile seeks to where it stands already; the decoder then lacks bits that a frame borrows from the frames before
# it (the bit reservoir; mpg123 writes "part2_3_length (768) too large" to stderr), and the next block begins wrongly.
# Where `seekable` answers False, soundfile does not seek, and all is right; so it is without a reservoir and at higher
# bit rates. 16 kHz at 24 kbit/s, which is what PyAV writes unless told, is struck.
#
# Ends with 0 while this is so. Output seen (largest difference from the file read whole):
#   16000 Hz, default           blocks(4096) 0.412, read(16000) 0.207, without seeking 0.000
#   16000 Hz, 24k               blocks(4096) 0.412, read(16000) 0.207, without seeking 0.000
#   16000 Hz, 24k, no reservoir blocks(4096) 0.000, read(16000) 0.000, without seeking 0.000
#   16000 Hz, 32k               blocks(4096) 0.000, read(16000) 0.000, without seeking 0.000
#   24000 Hz, 32k               blocks(4096) 0.328, read(16000) 0.333, without seeking 0.000
#   24000 Hz, 64k               blocks(4096) 0.000, read(16000) 0.000, without seeking 0.000
#   44100 Hz, 32k               blocks(4096) 0.660, read(16000) 0.660, without seeking 0.000
#   44100 Hz, 64k               blocks(4096) 0.000, read(16000) 0.000, without seeking 0.000
#   294 lines of mpg123 on stderr
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check soundfile==0.14.0 av==18.1.0 numpy==2.4.6
cd "$folder"
venv/bin/python - 2>stderr.txt <<'PYTHON' || { cat stderr.txt >&2; exit 1; }
import av
import numpy as np
import soundfile


class Forward(soundfile.SoundFile):
    """A file that soundfile takes for one in which it cannot seek."""

    def seekable(self):
        return False


def write_mp3(name, samples, rate, codec_options):
    with av.open(name, "w") as container:
        mp3 = container.add_stream("libmp3lame", rate=rate, layout="mono", options=codec_options)
        frame = av.AudioFrame.from_ndarray((samples * 32767).astype(np.int16)[None], format="s16p", layout="mono")
        frame.sample_rate = rate
        for packet in [*mp3.encode(frame), *mp3.encode(None)]:
            container.mux(packet)


def by_reads(kind, name, size):
    blocks = []
    with kind(name) as file:
        while len(block := file.read(size, dtype="float32")):
            blocks.append(block)
    return np.concatenate(blocks)


CASES = [
    (16000, {}, True),
    (16000, {"b": "24k"}, True),
    (16000, {"b": "24k", "reservoir": "0"}, False),
    (16000, {"b": "32k"}, False),
    (24000, {"b": "32k"}, True),
    (24000, {"b": "64k"}, False),
    (44100, {"b": "32k"}, True),
    (44100, {"b": "64k"}, False),
]
for rate, options, struck in CASES:
    time = np.arange(20 * rate) / rate
    sweep = 0.5 * np.sin(2 * np.pi * (200 * time + 5 * time**2))
    write_mp3("sweep.mp3", sweep + 0.05 * np.random.default_rng(0).standard_normal(time.size), rate, options)
    whole, _ = soundfile.read("sweep.mp3", dtype="float32")
    blocks = np.concatenate(list(soundfile.blocks("sweep.mp3", blocksize=4096, dtype="float32")))
    reads = by_reads(soundfile.SoundFile, "sweep.mp3", 16000)
    forward = by_reads(Forward, "sweep.mp3", 16000)
    by_blocks, by_reading, unsought = (float(np.abs(way - whole).max()) for way in (blocks, reads, forward))
    name = f"{rate} Hz, {options.get('b', 'default')}{', no reservoir' if 'reservoir' in options else ''}"
    print(f"{name:27} blocks(4096) {by_blocks:.3f}, read(16000) {by_reading:.3f}, without seeking {unsought:.3f}")
    for difference in (by_blocks, by_reading):
        assert difference > 0.1 if struck else difference < 1e-5, f"soundfile reads other blocks wrongly: {name}"
    assert unsought < 1e-5, f"soundfile reads wrongly without seeking: {name}"
PYTHON
echo "$(grep -c part2_3_length stderr.txt) lines of mpg123 on stderr"
