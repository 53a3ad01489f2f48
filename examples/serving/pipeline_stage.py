"""Stage of a voice pipeline that hears the speech going through it and says what it sounds like.

Frameworks for voice agents, such as Pipecat and LiveKit Agents, hand frames from stage to stage: a stage gets each
frame, and passes on what it likes with a function of its host. This one passes on everything, at once, and adds an
``EmotionFrame`` for each estimate of the server. Sound never waits for the model: where the server lags, frames of
sound are not heard, and counted.

    stage = EmotionStage("http://127.0.0.1:8000", push=host.push_frame)
    await stage.start()
    await stage.process_frame(frame)   # again and again; audio frames have .audio (16-bit) and .sample_rate
    await stage.stop()

In Pipecat, call these from ``process_frame`` of a ``FrameProcessor``, with ``push=self.push_frame``; in LiveKit, from
the loop over ``rtc.AudioStream``, whose frames have ``.data`` and ``.sample_rate``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from emotune.audio.live import Mono
from emotune.client import AsyncClient
from emotune.errors import EmotuneError

RATE_HZ = 16000
_HOLDS = 250  # frames of sound that may wait: five seconds of the usual 20 ms


@dataclass(frozen=True)
class EmotionFrame:
    """What the last seconds of speech sound like; ``error`` says why there is no answer."""

    emotion: str | None
    probabilities: dict[str, float]
    is_speaking: bool
    lag_s: float
    error: str | None = None


class EmotionStage:
    """Hears the frames that pass.

    Args:
        url: of the server.
        push: hands a frame to the next stage.
        patience_s: longest time in all to ask again of a server that is busy, or not there yet.
        options: of ``AsyncClient.listen``, such as ``hop_s``.
    """

    def __init__(
        self, url: str, *, push: Callable[[Any], Awaitable[None]], patience_s: float = 60.0, **options: Any
    ) -> None:
        self.dropped = 0
        self._client, self._push, self._options = AsyncClient(url, patience_s=patience_s), push, options
        self._waiting: asyncio.Queue[tuple[bytes, int] | None] = asyncio.Queue(_HOLDS)
        self._listening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Opens the stream to the server."""
        self._listening = asyncio.ensure_future(self._listen())

    async def process_frame(self, frame: Any) -> None:
        """Passes a frame on, and hears it if it is one of sound."""
        sound = getattr(frame, "audio", None) or getattr(frame, "data", None)
        if isinstance(sound, bytes | bytearray | memoryview):
            try:
                self._waiting.put_nowait((bytes(sound), frame.sample_rate))
            except asyncio.QueueFull:
                self.dropped += 1
        await self._push(frame)

    async def stop(self) -> None:
        """Ends the stream, and waits for the last estimate."""
        await self._waiting.put(None)
        if self._listening is not None:
            await self._listening
        await self._client.close()

    async def _listen(self) -> None:
        try:
            async for estimate in self._client.listen(self._sound(), RATE_HZ, **self._options):
                row = estimate.prediction
                shares, error = ({}, None) if row is None else (dict(row.probabilities), row.error)
                await self._push(EmotionFrame(estimate.emotion, shares, estimate.is_speaking, estimate.lag_s, error))
        except EmotuneError as error:  # the conversation goes on without it
            await self._push(EmotionFrame(None, {}, False, 0.0, str(error)))
            while await self._waiting.get() is not None:
                pass

    async def _sound(self) -> AsyncIterator[Any]:
        """Samples at the rate of the stream, from frames of any."""
        mono = Mono()
        while (content := await self._waiting.get()) is not None:
            yield mono(np.frombuffer(content[0], dtype="<i2"), content[1])
        yield mono.finish()
