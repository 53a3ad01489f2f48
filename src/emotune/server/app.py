"""App of the service: its routes, and errors that become problems."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import cache

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from emotune.errors import EmotuneError
from emotune.server.metrics import Metrics
from emotune.server.middleware import Wrapped
from emotune.server.openapi import described
from emotune.server.problems import Problem, check_given_once, option_problem, problem_of
from emotune.server.routes import health, jobs, models, page, predict, stream, timeline
from emotune.server.served_models import load_models
from emotune.server.service import ClientGone, Service
from emotune.server.settings import Settings

_KINDS = {404: "not-found", 405: "method-not-allowed"}


def create_app(names: Sequence[str] = (), settings: Settings | None = None) -> FastAPI:
    """Loads models and makes the app that answers with them.

    Args:
        names: models as ``emotune.load`` has them, or ``NAME=MODEL``; none = ``mini``.
        settings: limits, keys and so on.

    Raises:
        ConfigError: for names that cannot be.
        ModelError: for a model that cannot be loaded.
    """
    settings = settings or Settings()
    metrics = Metrics()
    service = Service(load_models(names, settings, metrics.ran), settings, metrics)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.open()
        yield
        await service.close()

    app = FastAPI(
        title="emotune",
        summary="Emotions in speech: of whole recordings, from moment to moment, and of sound while it is spoken.",
        version="1",
        docs_url=None,  # their scripts come from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service = service
    app.openapi = cache(lambda: described(FastAPI.openapi(app)))
    for routes in (predict, timeline, jobs):
        app.include_router(routes.router, dependencies=[Depends(_given_once)])
    for routes in (stream, models, health, page):
        app.include_router(routes.router)
    app.add_exception_handler(Problem, _of_problem)
    app.add_exception_handler(EmotuneError, _of_error)
    app.add_exception_handler(RequestValidationError, _of_options)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(ClientDisconnect, _of_nobody)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
            expose_headers=["X-Request-ID", "Retry-After", "Location"],
        )
    app.add_middleware(Wrapped, service=service)
    return app


async def _given_once(request: Request) -> None:
    check_given_once(request.query_params.multi_items())


def _answer(request: Request, problem: Problem) -> Response:
    return problem.response(request.scope["state"]["request_id"])


async def _of_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return _answer(request, error)


async def _of_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, EmotuneError)
    return _answer(request, problem_of(error))


async def _of_options(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    paths, route = request.app.openapi()["paths"], getattr(request.scope.get("route"), "path", "")
    parameters = paths.get(route, {}).get(request.method.lower(), {}).get("parameters", ())
    known = [one["name"] for one in parameters if one["in"] == "query"]
    return _answer(request, option_problem(error.errors(), known=known))


async def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind, headers = _KINDS.get(error.status_code, "not-found"), dict(error.headers or {})
    route = getattr(request.scope.get("route"), "path", "")
    told = f"{error.detail}."
    if error.status_code == 404:
        asked, listens = request.url.path[:100], stream.router.url_path_for("stream")
        there = ", ".join(sorted([*request.app.openapi()["paths"], f"{listens} (WebSocket)"]))
        told = f"{asked} is a WebSocket." if asked == listens else f"There is no route {asked}. There are {there}."
    if error.status_code == 405 and route in request.app.openapi()["paths"]:  # Starlette names those of one route alone
        headers["Allow"] = _allowed(map(str.upper, request.app.openapi()["paths"][route]))
    elif error.status_code == 405:
        headers["Allow"] = _allowed(headers.get("allow", headers.get("Allow", "")).split(", "))
    if error.status_code == 405:
        told = f"{request.method} is not answered here; allowed: {headers['Allow'] or 'nothing'}."
    return _answer(request, Problem(kind, told, headers=headers))


def _allowed(methods: Iterable[str]) -> str:
    """Methods of a header: HEAD is answered where GET is."""
    named = set(methods)
    return ", ".join(sorted(named | {"HEAD"} if "GET" in named else named))


async def _of_nobody(request: Request, error: Exception) -> Response:
    raise ClientGone from error
