"""Uploads: recordings of a request, in memory up to a bound, else in a file without a name."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO

from emotune.audio import FloatArray
from emotune.audio.decoding import Sound, SoundSource, opened_file
from emotune.errors import AudioError
from emotune.server.cancellation import Cancellation
from emotune.server.problems import Problem

_NAME_LETTERS = 200
_GUESS = 1.25  # by which a length may be guessed too high


@dataclass(frozen=True)
class AudioLimits:
    """Limits of a recording: seconds that are decoded, and channels; ``cure`` says what to do with a longer one."""

    seconds: float
    channels: int
    cure: str = "Cut it into parts."


class Upload(SoundSource):
    """A recording that a client has sent.

    What a decoder meets in it is the client's fault and an ``AudioError``, whatever the library raises.

    Args:
        name: as the client calls it; it is shown, and is never a path.
    """

    def __init__(self, name: str) -> None:
        self.name = shown_name(name)
        self.stream: BinaryIO = io.BytesIO()
        self.size = 0
        self.limits: AudioLimits | None = None
        self.cancellation = Cancellation()
        self.was_too_large = False
        self._refusal: str | None = None

    def to_file(self) -> None:
        """Moves it out of memory, into a file that no folder lists and that ends with the process."""
        if isinstance(self.stream, io.BytesIO):
            file = tempfile.TemporaryFile()  # noqa: SIM115 (it ends with the last who reads it)
            file.write(self.stream.getbuffer())
            self.stream = file

    def write(self, content: bytes) -> None:
        """Adds bytes to its end."""
        self.stream.write(content)
        self.size += len(content)

    def judge(self) -> None:
        """Refuses it by its header, before it is decoded: it cannot be opened again if that is too large.

        Raises:
            AudioError: for one that is too large, and for what is no recording.
        """
        with self.opened() as sound:
            limits = self.limits
            if limits is None:
                return
            if sound.channels > limits.channels:
                self._refuse(f"{self.name} has {sound.channels} channels, the most are {limits.channels}.")
            known = sound.frames is not None
            seconds = (sound.frames if sound.frames is not None else sound.likely_frames) / sound.sampling_rate_hz
            if seconds > limits.seconds * (1 if known else _GUESS):
                self._refuse(self._too_long(f"{'' if known else 'about '}{seconds:.1f} s long"))

    def _refuse(self, words: str) -> None:
        self._refusal, self.was_too_large = words, True
        raise AudioError(words)

    @contextmanager
    def opened(self) -> Iterator[Sound]:
        """Opens it; its blocks end where it is too long, or nobody waits for it any more."""
        if self._refusal is not None:
            raise AudioError(self._refusal)
        if not self.size:
            raise AudioError(f"{self.name} is empty (0 bytes).")
        self.cancellation.check()
        self.stream.seek(0)
        with ExitStack() as stack:
            with self._faults_of_content():
                sound = stack.enter_context(opened_file(self.stream, self.name))
            yield replace(sound, blocks_from=lambda start: self._blocks(sound, start))

    def _blocks(self, sound: Sound, start: int) -> Iterator[FloatArray]:
        most = None if self.limits is None else self.limits.seconds * sound.sampling_rate_hz + 1
        with self._faults_of_content():
            blocks = sound.blocks_from(start)
        at = start
        while True:
            self.cancellation.check()
            with self._faults_of_content():
                block = next(blocks, None)
            if block is None:
                return
            at += len(block)
            if most is not None and at > most:
                assert self.limits is not None
                self._refuse(self._too_long(f"longer than {self.limits.seconds:g} s"))
            yield block

    def _too_long(self, shown: str) -> str:
        assert self.limits is not None
        return f"{self.name} is {shown}, the most are {self.limits.seconds:g} s. {self.limits.cure}"

    @contextmanager
    def _faults_of_content(self) -> Iterator[None]:
        try:
            yield
        except AudioError:
            raise
        except Exception as error:  # decoders raise what they like
            reason = str(error).split("\n")[0][:200] or type(error).__name__
            raise AudioError(f"{self.name} cannot be decoded ({reason.rstrip('.')}).") from error


class Uploads(list[Upload]):
    """Recordings of one request; they share the memory that a request may take.

    Args:
        most_bytes: of all together.
        memory_bytes: of all together that stay in memory.
        most_files: how many there may be.
        of: what sends them: ``a request``, ``a job``.
    """

    def __init__(self, *, most_bytes: int, memory_bytes: int, most_files: int, of: str = "a request") -> None:
        super().__init__()
        self._most_bytes, self._memory_bytes, self._most_files = most_bytes, memory_bytes, most_files
        self._of = of
        self._bytes = self._in_memory = 0

    @property
    def on_disk(self) -> bool:
        """Tells that writing goes to a file."""
        return self._in_memory != self._bytes

    def begin(self, name: str) -> Upload:
        """Adds a recording.

        Raises:
            Problem: when there are too many.
        """
        if len(self) == self._most_files:
            raise Problem("too-large", f"There are more than {self._most_files} files, the most of {self._of}.")
        self.append(Upload(name))
        return self[-1]

    def add(self, content: bytes) -> None:
        """Adds bytes to the last recording.

        Raises:
            Problem: when there are too many.
        """
        self.expect(self._bytes + len(content))
        self._bytes += len(content)
        if self._in_memory + len(content) > self._memory_bytes:
            self._in_memory -= self[-1].size if isinstance(self[-1].stream, io.BytesIO) else 0
            self[-1].to_file()
        elif isinstance(self[-1].stream, io.BytesIO):
            self._in_memory += len(content)
        self[-1].write(content)

    def expect(self, total: int) -> None:
        """Refuses so many bytes, where they are too many.

        Raises:
            Problem: with the most that there may be.
        """
        if total > self._most_bytes:
            raise Problem(
                "too-large", f"The upload is larger than {self._most_bytes / 1e6:g} MB, the most of {self._of}."
            )


def shown_name(name: str) -> str:
    r"""The last part of a client's name for a file, without what a terminal or a log would act on.

    >>> shown_name("C:\\calls\\a\x1b.wav"), shown_name("../../etc/passwd"), shown_name("")
    ('a .wav', 'passwd', 'recording')
    """
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    plain = "".join(letter if letter.isprintable() else " " for letter in last).strip()
    return plain[-_NAME_LETTERS:] or "recording"
