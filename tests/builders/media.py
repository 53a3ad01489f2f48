"""Tones in the containers that only PyAV reads, encoded by PyAV."""

from pathlib import Path

import av
import numpy as np


def write_media(
    path: Path,
    *,
    codec: str | None = "aac",
    seconds: float = 1.5,
    rate: int = 16000,
    tones_hz: tuple[float, ...] = (440.0,),
    video: bool = False,
    options: dict[str, str] | None = None,
) -> Path:
    """One tone a channel; with ``video`` a small moving picture too; without ``codec`` no sound."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=options or {}) as out:
        if video:
            picture = out.add_stream("mpeg4", rate=10)
            picture.width = picture.height = 32
            picture.pix_fmt = "yuv420p"
        if codec is not None:
            layout = "mono" if len(tones_hz) == 1 else "stereo"
            sound = out.add_stream(codec, rate=rate)
            sound.layout = layout
            time = np.arange(round(seconds * rate)) / rate
            tones = np.stack([0.5 * np.sin(2 * np.pi * tone * time) for tone in tones_hz]).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(tones, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate, 0
            blocks = av.AudioResampler(format=sound.format.name, layout=layout, rate=rate).resample(frame)
            for block in [*blocks, None]:
                out.mux(sound.encode(block))
        if video:
            for number in range(round(seconds * 10)):
                shade = av.VideoFrame.from_ndarray(np.full((32, 32, 3), number, np.uint8), format="rgb24")
                out.mux(picture.encode(shade))
            out.mux(picture.encode(None))
    return path
