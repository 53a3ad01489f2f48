"""Route of the web page, under a policy that lets it load and call nothing but this server."""

from __future__ import annotations

import hashlib
import mimetypes
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response

from emotune.server.problems import Problem

router = APIRouter(include_in_schema=False)

STATIC = Path(__file__).parents[1] / "static"
INDEX = "index.html"

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "font-src 'none'",
        "worker-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",  # asked for again each time, and sent again where it has changed
}


@router.get("/")
async def page(request: Request) -> Response:
    """The page."""
    if not (STATIC / INDEX).is_file():
        raise Problem("not-found", "This server has no page: its files are not installed. The routes under /v1 answer.")
    return _file(request, STATIC / INDEX)


@router.get("/static/{name:path}")
async def static(request: Request, name: str) -> Response:
    """A file of the page."""
    files = {path.relative_to(STATIC).as_posix(): path for path in STATIC.rglob("*") if path.is_file()}
    path = files.get(name)  # a client's words never reach the file system
    if path is None or name == INDEX:
        raise Problem("not-found", "The page has no such file.")
    return _file(request, path)


def _file(request: Request, path: Path) -> Response:
    content = path.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {**_HEADERS, "ETag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=mimetypes.guess_type(path.name)[0], headers=headers)
