"""``create_app``: teams behind HTTP, as an ASGI app that mounts anywhere.

The only module that imports starlette. It knows routes, bytes and disconnects; what a payload
means stands in ``protocol``, what a run does in the engine, how many there are and who joins them
in ``serving``. A task group is opened here because somebody has to watch for the client's
disconnect while the run goes on.
"""

import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, TypedDict

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from massgen_compat.capabilities import team_inputs
from massgen_compat.client import MassGen
from massgen_compat.errors import MassGenError
from massgen_compat.intake import Intake
from massgen_compat.protocol import body, errors, models, sse
from massgen_compat.protocol.chat import ChatRequest
from massgen_compat.protocol.errors import ErrorReply
from massgen_compat.protocol.openapi import PREFIXES, document
from massgen_compat.serving.failures import Failure
from massgen_compat.serving.matching import Identity
from massgen_compat.serving.pipe import Pipe
from massgen_compat.serving.runs import Runs, Seat
from massgen_compat.serving.settings import (
    FAILURE_MEMORY_SECONDS,
    MAX_QUEUE,
    MAX_RUNS,
    QUEUE_SECONDS,
    WRITE_SECONDS,
    RunSettings,
)

logger = logging.getLogger("massgen_compat")

MAX_BODY_BYTES = 20 * 1024 * 1024
"""Images as ``data:`` URLs need some; nobody's conversation needs more."""

DISCARDED_BODIES = 4
"""How many times the limit is read, and thrown away, so that a client gets to see its 413: most
report a broken connection instead when the answer comes while they still send."""

HEARTBEAT_SECONDS = 10.0
"""Some clients give up after a minute of silence and start the run again."""

REQUEST_ID = "massgen_compat.request_id"
"""Where a request's id stands in its scope."""

OPEN_PATHS = frozenset({"/health", "/ready"})
"""What is served without a key."""


def create_app(  # noqa: PLR0913 - settings, each with a default
    massgen: MassGen,
    *,
    api_keys: Sequence[str] = (),
    max_body_bytes: int = MAX_BODY_BYTES,
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
    """An ASGI app that serves the teams of ``massgen``.

    ``api_keys``: the keys that clients may use; without any, everybody may. ``max_body_bytes``
    bounds a request's body. ``heartbeat_seconds``: after so long a silence a stream gets an empty
    chunk. ``cors_origins``: origins of browser apps, ``"*"`` for all; off by default.
    ``write_seconds``: a client that reads nothing for so long counts as gone.

    ``max_runs`` go on at once, and ``max_queue`` requests wait for a place, in their order and for
    ``queue_seconds``; the others get 503 with ``Retry-After``, before anything of a stream.

    ``join_retries``: a request that is sent again (``x-stainless-retry-count``, or the same
    ``Idempotency-Key``) by the same client while its run goes on gets all that this run says,
    instead of a run of its own. A run ends with its last client, or ``retry_grace_seconds`` later,
    so that a client which comes back finds it. For ``failure_memory_seconds`` a request that failed
    gets the same error again, without a run; 0: it never does.

    ``app.state.runs.drain()`` refuses new runs while open ones go on, and ``app.state.runs.end()``
    ends those; both belong on the event loop's thread. Raises ``ValueError`` for a setting that
    makes no sense.

    As an app of its own it closes the connections of ``massgen`` when it shuts down; mounted into
    another app it leaves that to whoever made ``massgen``, since only outer apps have a lifespan.
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
    patience = _Patience(heartbeat_seconds, write_seconds)
    service = _Service(massgen, runs, max_body_bytes, patience, secured=bool(api_keys))
    routes = [
        route
        for prefix in PREFIXES
        for route in (
            Route(f"{prefix}/chat/completions", service.chat, methods=["POST"]),
            Route(f"{prefix}/models", service.list_models, methods=["GET"]),
            Route(f"{prefix}/models/{{model:path}}", service.show_model, methods=["GET"]),
            Route(f"{prefix}/openapi.json", service.openapi, methods=["GET"]),
        )
    ]
    routes += [
        Route("/health", service.health, methods=["GET"]),
        Route("/ready", service.ready, methods=["GET"]),
    ]
    middleware = [Middleware(_Envelope)]
    if cors_origins:
        middleware.append(_cors(cors_origins))
    middleware.append(Middleware(_Keys, keys=tuple(api_keys)))

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        async with massgen:
            yield

    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=middleware,
        exception_handlers={
            MassGenError: _massgen_error,
            HTTPException: _http_error,
            ClientDisconnect: _nobody_there,
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


class _Told(TypedDict):
    """What the list of models is made of beside the teams."""

    created: int
    inputs: models.Inputs
    policy: models.PolicyName


@dataclass(frozen=True, slots=True)
class _Patience:
    """How long a client hears nothing, and how long it may read nothing."""

    heartbeat_seconds: float
    write_seconds: float


class _Service:
    """The endpoints."""

    def __init__(
        self,
        massgen: MassGen,
        runs: Runs,
        max_body_bytes: int,
        patience: _Patience,
        *,
        secured: bool,
    ) -> None:
        self._massgen = massgen
        self._runs = runs
        self._intake = Intake(massgen)
        self._secured = secured
        self._max_body_bytes = max_body_bytes
        self._patience = patience
        self._told: _Told = {
            "created": int(time.time()),
            "inputs": team_inputs,
            "policy": lambda agent: massgen.policy_of(agent).name,
        }

    async def chat(self, request: Request) -> Response:
        raw = await self._read(request)
        if raw is None:
            return _json_error(errors.too_large(self._max_body_bytes))
        chat, identity = await self._intake.read(raw, request.headers, self._client(request))
        headers = {"openai-version": "2020-10-01"}
        if chat.background:
            headers["x-massgen-background"] = chat.background
        if chat.ignored:
            headers["x-massgen-ignored-params"] = ",".join(chat.ignored)
        return _RunResponse(self._runs, chat, identity, headers, self._patience)

    def _client(self, request: Request) -> bytes:
        """Who asks: the key, or where none is needed also the address."""
        key = request.headers.get("authorization", "").encode("latin-1")
        if self._secured or request.client is None:
            return key
        return key + b"\n" + request.client.host.encode()

    async def list_models(self, _request: Request) -> Response:
        teams = self._massgen.teams.values()
        return _json(models.render_models(teams, **self._told))

    async def show_model(self, request: Request) -> Response:
        team = self._massgen.team(request.path_params["model"])
        return _json(models.render_model(team, **self._told))

    async def openapi(self, request: Request) -> Response:
        server: str = request.scope.get("root_path", "")
        return _json(
            document(version=version("massgen-compat"), server=server, secured=self._secured)
        )

    async def health(self, _request: Request) -> Response:
        return _json({"status": "ok"})

    async def ready(self, _request: Request) -> Response:
        draining = self._runs.draining
        return _json({"status": "draining" if draining else "ok"}, status=503 if draining else 200)

    async def _read(self, request: Request) -> bytes | None:
        """The body, or ``None`` if it is too large: counted as it comes, whatever a header says."""
        pieces: list[bytes] = []
        size = 0
        async for piece in request.stream():
            size += len(piece)
            if size > self._max_body_bytes * DISCARDED_BODIES:
                break
            if size <= self._max_body_bytes:
                pieces.append(piece)
            else:
                pieces.clear()
        return b"".join(pieces) if size <= self._max_body_bytes else None


# A run as a response


class _RunResponse(Response):
    """What a run says: the events of a stream from the moment at which it is admitted, or a
    completion. Whoever reads no more leaves the run, which then ends if nobody else reads it."""

    def __init__(
        self,
        runs: Runs,
        chat: ChatRequest,
        identity: Identity,
        headers: Mapping[str, str],
        patience: _Patience,
    ) -> None:
        super().__init__()
        self._runs = runs
        self._chat = chat
        self._identity = identity
        self._extra = dict(headers)
        self._patience = patience
        self._began = time.perf_counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        pipe = Pipe(receive, send, self._patience.write_seconds)
        failure = self._runs.recall(self._identity)
        if failure is not None:
            await self._refuse(pipe, failure)
            return
        request_id: str = scope[REQUEST_ID]
        try:
            async with self._runs.seat(self._chat, self._identity, request_id) as seat:
                await pipe.while_connected(self._answer, pipe, seat)
        except MassGenError as error:
            await _json_error(errors.render_error(error))(scope, receive, send)

    async def _refuse(self, pipe: Pipe, failure: Failure) -> None:
        """The same error as a moment ago, in the form in which it came."""
        if not self._chat.stream:
            await _send(pipe, _json_error(failure.reply))
            return
        await self._start(pipe)
        await pipe.write(failure.event + sse.DONE, more=False)

    async def _answer(self, pipe: Pipe, seat: Seat) -> None:
        first = await seat.reader.next()
        failure = seat.run.failure
        if first is None:
            if failure is not None:
                failure = failure.final() if self._identity.retry else failure
                await _send(pipe, _json_error(failure.reply))
        elif not self._chat.stream:
            headers = {**self._extra, "openai-processing-ms": _milliseconds_since(self._began)}
            await _send(pipe, Response(first, headers=headers, media_type="application/json"))
        else:
            await self._start(pipe)
            await pipe.write(first)
            await self._follow(pipe, seat)

    async def _start(self, pipe: Pipe) -> None:
        """The headers of a stream, the moment that its first event is there."""
        stream = Response(
            headers={
                **self._extra,
                "openai-processing-ms": _milliseconds_since(self._began),
                "cache-control": "no-cache",
                "x-accel-buffering": "no",
            },
            media_type="text/event-stream",
        )
        del stream.headers["content-length"]
        await pipe.start(stream.status_code, stream.raw_headers)

    async def _follow(self, pipe: Pipe, seat: Seat) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._beat, pipe, seat)
            while (piece := await seat.reader.next()) is not None:
                await pipe.write(piece)
            tasks.cancel_scope.cancel()
        failure = seat.run.failure
        await pipe.write((failure.event if failure else b"") + sse.DONE, more=False)

    async def _beat(self, pipe: Pipe, seat: Seat) -> None:
        seconds = self._patience.heartbeat_seconds
        while True:
            idle = anyio.current_time() - pipe.last
            if idle < seconds:
                await anyio.sleep(seconds - idle)
            else:
                await pipe.write(seat.run.heartbeat)


async def _send(pipe: Pipe, response: Response) -> None:
    await pipe.start(response.status_code, response.raw_headers)
    await pipe.write(bytes(response.body), more=False)


def _milliseconds_since(started: float) -> str:
    return str(int((time.perf_counter() - started) * 1000))


# Around every request


class _Envelope:
    """Gives every response its request id, and turns an unforeseen fault into OpenAI's 500."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope[REQUEST_ID] = f"req_{secrets.token_hex(16)}"
        extra = [
            (b"x-request-id", request_id.encode()),
            (b"x-content-type-options", b"nosniff"),
        ]
        started = False

        async def stamped(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        try:
            await self._app(scope, receive, stamped)
        except Exception:  # the outermost boundary: nothing of a fault may reach a client
            logger.exception("request %s failed", request_id)
            if not started:
                await _json_error(errors.internal_error())(scope, receive, stamped)
            else:
                raise


class _Keys:
    """Asks for a key before anything else is looked at: before the body, before a 404 or 405."""

    def __init__(self, app: ASGIApp, keys: Sequence[str]) -> None:
        self._app = app
        self._digests = tuple(_digest(key.encode()) for key in keys)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] in {"http", "websocket"} else None
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await _json_error(refusal)(scope, receive, send)

    def _refusal(self, scope: Scope) -> ErrorReply | None:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if not self._digests or path in OPEN_PATHS:
            return None
        headers: Sequence[tuple[bytes, bytes]] = scope["headers"]
        given = next((value for name, value in headers if name == b"authorization"), b"")
        scheme, _, key = given.partition(b" ")
        if scheme.lower() != b"bearer" or not key.strip():
            return errors.missing_key()
        digest = _digest(key.strip())
        # Every key is compared, so that the time tells nothing about which one was near.
        matches = [hmac.compare_digest(digest, each) for each in self._digests]
        return None if any(matches) else errors.wrong_key(key.strip().decode("latin-1"))


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


async def _massgen_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, MassGenError):
        raise error
    return _json_error(errors.render_error(error))


async def _http_error(request: Request, error: Exception) -> Response:
    method, path = request.method, request.scope["path"]
    if isinstance(error, HTTPException) and error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        return _json_error(errors.wrong_method(method, path, allowed=allowed))
    return _json_error(errors.unknown_url(method, path))


async def _nobody_there(_request: Request, _error: Exception) -> Response:
    """The client left while it sent its request; the answer goes nowhere."""
    return Response(status_code=499)


def _json(
    content: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(
        body.encode(content), status_code=status, headers=headers, media_type="application/json"
    )


def _json_error(reply: ErrorReply) -> Response:
    return _json(reply.body, status=reply.status, headers=reply.headers)
