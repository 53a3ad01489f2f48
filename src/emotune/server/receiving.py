"""Receiving of uploads: a multipart form with files, or a body that is a recording itself, piece by piece."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from emotune.server.problems import Problem, no_room
from emotune.server.uploads import Uploads

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FIELD = "file"
_PLAIN = ("application/octet-stream", "application/ogg")
_CURE = (
    "Send multipart/form-data with one or more files as 'file', such as curl -F file=@call.wav, or the recording alone"
    " as the body with its own type, such as audio/wav."
)


async def receive(request: Request, uploads: Uploads, *, longest_s: float) -> None:
    """Reads the recordings of a request.

    Raises:
        Problem: for what is too large, too slow, malformed, or no upload.
        ClientDisconnect: when the client goes away.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem("media-type", f"The body has a Content-Encoding. {_CURE}")
    stated = request.headers.get("content-length", "")
    if stated.isascii() and stated.isdigit():
        uploads.expect(int(stated) - _slack(stated))
    kind, parameters = parse_options_header(request.headers.get("content-type"))
    media_type = kind.decode("latin-1").lower()
    try:
        async with asyncio.timeout(longest_s):
            if media_type == "multipart/form-data":
                await _receive_form(request, uploads, parameters.get(b"boundary", b""))
            elif media_type in ("", *_PLAIN) or media_type.startswith(("audio/", "video/")):
                await _receive_plain(request, uploads)
            else:
                raise Problem("media-type", f"The body is {media_type[:100]}. {_CURE}")
    except TimeoutError as error:
        raise Problem("upload-too-slow", f"The upload had not come after {longest_s:g} s.") from error
    except OSError as error:
        raise no_room(error) from error
    if not uploads:
        raise Problem("malformed-body", f"The form holds no file. {_CURE}")


def _slack(stated: str) -> int:
    """Bytes of a form that are not of its files."""
    return min(int(stated), 65536)


async def _receive_plain(request: Request, uploads: Uploads) -> None:
    _, options = parse_options_header(request.headers.get("content-disposition"))
    uploads.begin(options.get(b"filename", b"").decode(errors="replace"))
    async for chunk in request.stream():
        if uploads.on_disk:
            await asyncio.to_thread(uploads.add, chunk)
        else:
            uploads.add(chunk)


async def _receive_form(request: Request, uploads: Uploads, boundary: bytes) -> None:
    if not boundary:
        raise Problem("malformed-body", f"The multipart body names no boundary. {_CURE}")
    form = _Form(uploads)
    try:
        parser = MultipartParser(boundary, form.callbacks())
        async for chunk in request.stream():
            if uploads.on_disk:
                await asyncio.to_thread(parser.write, chunk)
            else:
                parser.write(chunk)
        parser.finalize()
    except FormParserError as error:
        raise Problem("malformed-body", f"The body is no multipart form: {error}. {_CURE}") from error
    if not form.is_complete:
        raise Problem("malformed-body", "The multipart body ends before its last boundary. Send it again.")


class _Form:
    """Takes the files out of a form while it is parsed."""

    def __init__(self, uploads: Uploads) -> None:
        self.is_complete = False
        self._uploads = uploads
        self._headers: dict[bytes, bytes] = {}
        self._field = self._value = b""

    def callbacks(self) -> MultipartCallbacks:
        """For the parser."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._open,
            "on_part_data": self._data,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._headers = {}

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _open(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        field = options.get(b"name", b"").decode(errors="replace")
        if field != FIELD:
            raise Problem(
                "malformed-body",
                f"The form has a field '{field[:50]}', expected '{FIELD}' alone. Options go into the query, such as"
                " ?channel=each.",
            )
        self._uploads.begin(options.get(b"filename", b"").decode(errors="replace"))

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._uploads.add(data[start:end])

    def _end(self) -> None:
        self.is_complete = True
