"""Route of the web page, under a policy that lets it load and call nothing but this server."""

from __future__ import annotations

import mimetypes
import secrets
from collections.abc import Mapping
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import Response

from emotune.server.problems import Problem

router = APIRouter(include_in_schema=False)

STATIC = Path(__file__).parents[1] / "static"
INDEX = "index.html"
NONCE = "__CSP_NONCE__"
"""Placeholder in the page for what allows its styles; another one for each answer."""

_YEAR = "public, max-age=31536000, immutable"


def policy(nonce: str) -> str:
    """Content-Security-Policy of the page."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            f"style-src 'self' 'nonce-{nonce}'",
            "img-src 'self' data: blob:",
            "media-src 'self' blob:",
            "font-src 'self'",
            "connect-src 'self' blob:",
            "worker-src 'self'",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def _headers(nonce: str) -> Mapping[str, str]:
    return {
        "Content-Security-Policy": policy(nonce),
        "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
        "Cross-Origin-Opener-Policy": "same-origin",
    }


@router.get("/")
async def page() -> Response:
    """The page."""
    if not (STATIC / INDEX).is_file():
        raise Problem("not-found", "This server has no page: its files are not installed. The routes under /v1 answer.")
    nonce = secrets.token_urlsafe(16)
    text = (STATIC / INDEX).read_text(encoding="utf-8").replace(NONCE, nonce)
    return Response(text, media_type="text/html", headers={**_headers(nonce), "Cache-Control": "no-cache"})


@router.get("/static/{name:path}")
async def static(name: str) -> Response:
    """A file of the page; those under ``assets`` carry a hash in their names, and never change."""
    path = (STATIC / name).resolve()
    if not path.is_relative_to(STATIC.resolve()) or not path.is_file() or path.name == INDEX:
        raise Problem("not-found", "The page has no such file.")
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    forever = path.parent.name == "assets"
    return Response(
        path.read_bytes(), media_type=media_type, headers={"Cache-Control": _YEAR if forever else "no-cache"}
    )
