"""``create_app``: teams behind HTTP, as an ASGI app that can be mounted anywhere.

The app ties the endpoints to their paths, and puts the middleware that every request passes around
them. Needs the extra ``[server]``.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from massgen_compat._client.massgen import MassGen
from massgen_compat._server.access import Envelope, Keys
from massgen_compat._server.endpoints import Endpoints
from massgen_compat._server.openapi import PREFIXES
from massgen_compat._server.replies import http_error, massgen_error, nobody_there
from massgen_compat._server.requests import BodyLimits
from massgen_compat._server.response import ClientTimeouts
from massgen_compat._server.runs import Runs
from massgen_compat._server.settings import (
    FAILURE_MEMORY_SECONDS,
    MAX_QUEUE,
    MAX_RUNS,
    QUEUE_SECONDS,
    WRITE_SECONDS,
    RunSettings,
)
from massgen_compat.errors import MassGenError

MAX_BODY_BYTES = 20 * 1024 * 1024
"""Enough for conversations with images as ``data:`` URLs."""

BODY_SECONDS = 60.0
"""How long a body may take; a second is added for each 16 KiB of it."""

HEARTBEAT_SECONDS = 10.0
"""Some clients give up after a minute of silence and start the run again."""


def create_app(  # noqa: PLR0913 - settings, each with a default
    massgen: MassGen,
    *,
    api_keys: Sequence[str] = (),
    max_body_bytes: int = MAX_BODY_BYTES,
    body_seconds: float = BODY_SECONDS,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
    cors_origins: Sequence[str] = (),
    write_seconds: float = WRITE_SECONDS,
    max_runs: int = MAX_RUNS,
    max_queue: int = MAX_QUEUE,
    queue_seconds: float = QUEUE_SECONDS,
    join_retries: bool = True,
    retry_grace_seconds: float = 0.0,
    failure_memory_seconds: float = FAILURE_MEMORY_SECONDS,
) -> Starlette:
    """An ASGI app that serves the teams of ``massgen``. All times are in seconds.

    ``api_keys``: the keys that clients may use; without any, no key is needed. ``max_body_bytes``
    bounds the body of a request (413). A body may take ``body_seconds``, and a second more for each
    16 KiB of it (408). ``heartbeat_seconds``: a stream that is silent for so long gets an empty
    chunk. ``cors_origins``: origins of browser apps, ``"*"`` for all; none by default.
    ``write_seconds``: a client that reads nothing for so long counts as gone.

    ``max_runs`` runs go on at once, and ``max_queue`` requests wait for a place, in order of
    arrival and for at most ``queue_seconds``. All others get 503 with ``Retry-After``, before a
    stream begins.

    ``join_retries``: a client that sends its request again while the run goes on (with
    ``x-stainless-retry-count``, or with the same ``Idempotency-Key``) gets the answer of that run
    from its beginning, and no new run. A run ends when its last client has left, or
    ``retry_grace_seconds`` later, so that a client which comes back finds it. For
    ``failure_memory_seconds`` a request that has failed gets the same error again, without a run;
    with 0 it gets a new run.

    ``app.state.runs.drain()`` refuses new runs while open ones go on, and ``app.state.runs.end()``
    ends those. Both have to be called on the thread of the event loop. Raises ``ValueError`` for a
    setting that makes no sense.

    An app that is served by itself closes the connections of ``massgen`` when it shuts down.
    Mounted into another app it does not, since only the outer app has a lifespan; then the caller
    closes ``massgen``.
    """
    runs = Runs(
        massgen,
        RunSettings(
            max_runs=max_runs,
            max_queue=max_queue,
            queue_seconds=queue_seconds,
            join_retries=join_retries,
            retry_grace_seconds=retry_grace_seconds,
            failure_memory_seconds=failure_memory_seconds,
        ),
    )
    limits = BodyLimits(max_body_bytes=max_body_bytes, body_seconds=body_seconds)
    timeouts = ClientTimeouts(heartbeat_seconds, write_seconds)
    endpoints = Endpoints(massgen, runs, limits, timeouts, secured=bool(api_keys))
    routes = [
        route
        for prefix in PREFIXES
        for route in (
            Route(f"{prefix}/chat/completions", endpoints.chat, methods=["POST"]),
            Route(f"{prefix}/models", endpoints.list_models, methods=["GET"]),
            Route(f"{prefix}/models/{{model:path}}", endpoints.show_model, methods=["GET"]),
            Route(f"{prefix}/openapi.json", endpoints.openapi, methods=["GET"]),
        )
    ]
    routes += [
        Route("/health", endpoints.health, methods=["GET"]),
        Route("/ready", endpoints.ready, methods=["GET"]),
    ]
    middleware = [Middleware(Envelope)]
    if cors_origins:
        middleware.append(_cors(cors_origins))
    middleware.append(Middleware(Keys, keys=tuple(api_keys)))

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        async with massgen:
            yield

    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=middleware,
        exception_handlers={
            MassGenError: massgen_error,
            HTTPException: http_error,
            ClientDisconnect: nobody_there,
        },
    )
    app.router.redirect_slashes = False
    app.state.runs = runs
    return app


def _cors(origins: Sequence[str]) -> Middleware:
    return Middleware(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_methods=["GET", "POST"],
        allow_headers=["*"],
        expose_headers=["x-request-id", "x-massgen-ignored-params", "x-massgen-background"],
    )
