"""Language models behind an endpoint that speaks OpenAI's chat protocol: OpenAI, llama.cpp, vLLM, Ollama and others."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import soundfile

from emotune.annotation.engines.engine import AnnotationEngine, Answer, EngineOptions, Question
from emotune.audio import SAMPLING_RATE_HZ
from emotune.errors import ConfigError, ServerError
from emotune.runtime.extras import needs

AGAIN = (408, 409, 425, 429, 500, 502, 503, 504, 529)
"""Statuses of an endpoint that is busy or stumbles: asking again may help."""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 60.0
_SHOWN = 200


class ChatEngine(AnnotationEngine):
    """Asks an endpoint; waits and asks again where it is busy, stalls, breaks off, or gives what is no answer.

    ``Retry-After`` is obeyed. The key goes into the header alone.

    Raises:
        ConfigError: without an address, or for what is none.
    """

    together: ClassVar[int] = 4
    example: ClassVar[str] = "gpt-5-mini"

    def __init__(self, model: str, options: EngineOptions, *, transport: Any = None) -> None:
        super().__init__(model, options)
        with needs("client", "An endpoint"):
            import httpx2  # noqa: PLC0415 (the other engines need none)
        if not (options.url or "").startswith(("http://", "https://")):
            raise ConfigError(
                f"--url is {options.url!r}, expected the address of an endpoint, such as http://127.0.0.1:8080/v1 or"
                " https://api.openai.com/v1."
            )
        key = (options.key or "").strip()
        if not (key.isascii() and key.isprintable()):
            raise ConfigError("The key of the endpoint holds a line break or a sign that is not ASCII.")
        self._errors: Any = httpx2
        self._http = httpx2.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {}, timeout=options.timeout_s, transport=transport
        )
        self._address = f"{(options.url or '').rstrip('/')}/chat/completions"
        self._sleep = options.sleep or time.sleep

    @property
    def identity(self) -> Mapping[str, str]:
        """Address, model, and how answers are drawn."""
        return {
            "engine": "openai",
            "url": (self.options.url or "").rstrip("/").rpartition("://")[2].replace("/", "_"),
            "name": self.model.replace("/", "_"),
            "temperature": f"{self.options.temperature}",
        }

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def messages(self, question: Question) -> Sequence[Mapping[str, Any]]:
        """Messages as they are sent."""
        return list(question.messages)

    def answer(self, question: Question) -> Answer:
        """Asks until an answer comes, or patience ends.

        Raises:
            ServerError: when none comes, or the endpoint refuses the question.
        """
        body = {
            "model": self.model,
            "messages": self.messages(question),
            "max_tokens": self.options.most_tokens,
            "temperature": self.options.temperature,
            "seed": question.seed,
        }
        left_s, following_s = self.options.patience_s, _FIRST_WAIT_S
        while True:
            began = time.monotonic()
            found, reason, stated_s = self._asked(body)
            if found is not None:
                return found
            wait_s = min(following_s if stated_s is None else stated_s, _LONGEST_WAIT_S)
            left_s -= wait_s + time.monotonic() - began
            if left_s < 0:
                raise ServerError(f"{self._address} gives no answer after {self.options.patience_s:g} s: {reason}.")
            self._sleep(wait_s)
            following_s *= 2

    def _asked(self, body: Mapping[str, Any]) -> tuple[Answer | None, str, float | None]:
        """Asks once: an answer, or None and a reason, and the seconds that the endpoint asks to wait."""
        try:
            came = self._http.post(self._address, json=body)
        except (self._errors.LocalProtocolError, self._errors.UnsupportedProtocol) as error:
            raise ServerError(f"{self._address} cannot be asked: {error}.") from error
        except self._errors.HTTPError as error:
            return None, str(error) or type(error).__name__, None
        if came.status_code in AGAIN:
            return None, f"status {came.status_code}", _seconds(came.headers.get("retry-after"))
        if not came.is_success:
            raise ServerError(
                f"{self._address} refuses with status {came.status_code}: {' '.join(came.text.split())[:_SHOWN]}"
            )
        try:
            return _read(came.json()), "", None
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            return None, f"what is no chat completion: {' '.join(came.text.split())[:_SHOWN]}", None


class AudioChatEngine(ChatEngine):
    """Sends the recording itself, as 16 kHz WAV in base64; the prompt tells nothing of it but the task."""

    hears: ClassVar[bool] = True
    example: ClassVar[str] = "gpt-audio-mini"

    @property
    def identity(self) -> Mapping[str, str]:
        """As of text, kept apart."""
        return {**super().identity, "engine": "openai-audio"}

    def messages(self, question: Question) -> Sequence[Mapping[str, Any]]:
        """Messages with the sound in place of what is told of it."""
        assert question.sound is not None
        stream = io.BytesIO()
        soundfile.write(stream, question.sound(), SAMPLING_RATE_HZ, format="WAV", subtype="PCM_16")
        heard = {"data": base64.b64encode(stream.getvalue()).decode(), "format": "wav"}
        content = [{"type": "input_audio", "input_audio": heard}, {"type": "text", "text": "Emotion:"}]
        return [question.messages[0], {"role": "user", "content": content}]


def _seconds(text: str | None) -> float | None:
    """Retry-After in seconds; None where it is missing or a date."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _read(body: Any) -> Answer:
    """Answer in a chat completion."""
    text = body["choices"][0]["message"]["content"]
    if not isinstance(text, str):
        raise TypeError("content is no text")
    usage = body.get("usage")
    if not isinstance(usage, Mapping):
        return Answer(text)  # an endpoint that counts nothing
    return Answer(text, _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")))


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
