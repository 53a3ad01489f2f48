"""Microphones, through PortAudio."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from emotune.audio.decoding import FloatArray
from emotune.audio.live.inbox import Inbox
from emotune.audio.live.played import BLOCK_S
from emotune.errors import ConfigError
from emotune.runtime.extras import needs


class Microphone:
    """Source of a microphone's sound, at the rate that the device has of itself.

    Args:
        device: number or part of the name; None = the system's own choice.

    Raises:
        ConfigError: where sounddevice or PortAudio is not installed, or there is no such microphone.
    """

    def __init__(self, device: str | None = None) -> None:
        self._portaudio = _portaudio()
        number = int(device) if device is not None and device.isdigit() else device
        try:
            self.about: dict[str, Any] = self._portaudio.query_devices(number, "input")
        except (ValueError, self._portaudio.PortAudioError) as error:
            known = [one["name"] for one in self._portaudio.query_devices() if one["max_input_channels"]]
            raise ConfigError(
                f"No microphone {'' if device is None else repr(device) + ' '}can be used:"
                f" {str(error).splitlines()[0]}. There are: {', '.join(known) or 'none'}."
            ) from error

    @contextmanager
    def into(self, inbox: Inbox) -> Iterator[None]:
        """See ``Source``."""
        rate = int(self.about["default_samplerate"])

        def heard(samples: FloatArray, frames: int, times: object, status: object) -> None:
            inbox.put(samples[:, 0].copy(), rate)

        try:
            stream = self._portaudio.InputStream(
                samplerate=rate,
                blocksize=round(rate * BLOCK_S),
                device=self.about["index"],
                channels=1,
                dtype="float32",
                callback=heard,
                finished_callback=inbox.close,
            )
        except self._portaudio.PortAudioError as error:
            raise ConfigError(f"The microphone {self.about['name']} cannot be opened: {error}.") from error
        with stream:
            yield


def _portaudio() -> Any:
    try:
        with needs("live", "Listening to a microphone"):
            import sounddevice  # noqa: PLC0415 (of an extra)
    except OSError as error:
        raise ConfigError(
            "Listening to a microphone needs PortAudio, which is not installed: on Debian and Ubuntu"
            " `sudo apt install libportaudio2`, on Fedora `sudo dnf install portaudio`, with Homebrew"
            " `brew install portaudio`."
        ) from error
    return sounddevice
