#!/usr/bin/env bash
# soundfile 0.14.0 (libsndfile 1.2.2), PyAV 18.1.0, numpy 2.4.6, Python 3.11, Linux x86-64.
#
# A Creative VOC file may hold its sound in several blocks, each with a head of four bytes: a type and a length.
# FFmpeg writes a block for each packet. libsndfile takes the head of every block but the first for sound, without an
# error: each is two samples too many, a click. PyAV gives back what was written; so do both for a single block.
#
# Ends with 0 while this is so. Output seen:
#   24000 samples in blocks of 2048: soundfile 24022, 22 of them heads of blocks; PyAV 24000, equal
#   24000 samples in blocks of 4000: soundfile 24010, 10 of them heads of blocks; PyAV 24000, equal
#   24000 samples in blocks of 24000: soundfile 24000, 0 of them heads of blocks; PyAV 24000, equal
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check soundfile==0.14.0 av==18.1.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import av
import numpy as np
import soundfile

RATE = 16000
tone = (9000 * np.sin(2 * np.pi * 220 * np.arange(24000) / RATE)).astype(np.int16)

for size in (2048, 4000, 24000):
    with av.open("tone.voc", "w") as container:
        voc = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for start in range(0, len(tone), size):
            frame = av.AudioFrame.from_ndarray(tone[None, start : start + size], format="s16", layout="mono")
            frame.sample_rate, frame.pts = RATE, start
            for packet in voc.encode(frame):
                container.mux(packet)
        for packet in voc.encode(None):
            container.mux(packet)
    with av.open("tone.voc") as container:
        by_av = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    by_soundfile, _ = soundfile.read("tone.voc", dtype="int16")

    heads, expected = 0, list(tone[:size])
    for start in range(size, len(tone), size):
        block = tone[start : start + size]
        head = bytes([2]) + (2 * len(block)).to_bytes(3, "little")  # type 2, sound that goes on; its length in bytes
        heads += 2
        expected += [*np.frombuffer(head, "<i2"), *block]
    assert np.array_equal(by_soundfile, expected), "soundfile no longer takes the heads of blocks for sound"
    assert np.array_equal(by_av, tone), "PyAV no longer gives back what was written"
    print(
        f"{len(tone)} samples in blocks of {size}: soundfile {len(by_soundfile)}, {heads} of them heads of blocks;"
        f" PyAV {len(by_av)}, equal"
    )
PYTHON
