"""``create_app``: teams behind HTTP, as an ASGI app that mounts anywhere.

The only module that imports starlette. It knows routes, bytes and disconnects; what a payload
means stands in ``protocol``, what a run does in the engine. A task group is opened here, against
the rule that only the engine starts tasks, because somebody has to watch for the client's
disconnect while the run goes on.
"""

import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
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
from massgen_compat.client import ChunkStream, MassGen
from massgen_compat.errors import MassGenError
from massgen_compat.protocol import body, errors, models, sse
from massgen_compat.protocol.chat import ChatRequest
from massgen_compat.protocol.deadline import before_client_leaves
from massgen_compat.protocol.errors import ErrorReply
from massgen_compat.protocol.openapi import PREFIXES, document

logger = logging.getLogger("massgen_compat")

MAX_BODY_BYTES = 20 * 1024 * 1024
"""Images as ``data:`` URLs need some; nobody's conversation needs more."""

DISCARDED_BODIES = 4
"""How many times the limit is read, and thrown away, so that a client gets to see its 413: most
report a broken connection instead when the answer comes while they still send."""

HEARTBEAT_SECONDS = 10.0
"""Some clients give up after a minute of silence and start the run again."""

OPEN_PATHS = frozenset({"/health", "/ready"})
"""What is served without a key."""


def create_app(
    massgen: MassGen,
    *,
    api_keys: Sequence[str] = (),
    max_body_bytes: int = MAX_BODY_BYTES,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
    cors_origins: Sequence[str] = (),
) -> Starlette:
    """An ASGI app that serves the teams of ``massgen``.

    ``api_keys``: the keys that clients may use; without any, everybody may. ``max_body_bytes``
    bounds a request's body. ``heartbeat_seconds``: after so long a silence a stream gets an empty
    chunk. ``cors_origins``: origins of browser apps, ``"*"`` for all; off by default.
    Setting ``app.state.draining`` refuses new runs while open ones go on.

    As an app of its own it closes the connections of ``massgen`` when it shuts down; mounted into
    another app it leaves that to whoever made ``massgen``, since only outer apps have a lifespan.
    """
    service = _Service(massgen, max_body_bytes, heartbeat_seconds, secured=bool(api_keys))
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
    app.state.draining = False
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


class _Service:
    """The endpoints."""

    def __init__(
        self, massgen: MassGen, max_body_bytes: int, heartbeat_seconds: float, *, secured: bool
    ) -> None:
        self._massgen = massgen
        self._secured = secured
        self._max_body_bytes = max_body_bytes
        self._heartbeat_seconds = heartbeat_seconds
        self._told: _Told = {
            "created": int(time.time()),
            "inputs": team_inputs,
            "policy": lambda agent: massgen.policy_of(agent).name,
        }

    async def chat(self, request: Request) -> Response:
        started = time.perf_counter()
        if request.app.state.draining:
            return _json_error(errors.overloaded())
        raw = await self._read(request)
        if raw is None:
            return _json_error(errors.too_large(self._max_body_bytes))
        parsed = before_client_leaves(self._massgen.parse(body.decode(raw)), request.headers)
        chat = self._massgen.admit(parsed)
        headers = {"openai-version": "2020-10-01"}
        if chat.background:
            headers["x-massgen-background"] = chat.background
        if chat.ignored:
            headers["x-massgen-ignored-params"] = ",".join(chat.ignored)
        if chat.stream:
            headers["openai-processing-ms"] = _milliseconds_since(started)
            return _StreamedRun(self._massgen, chat, headers, self._heartbeat_seconds)
        return _WholeRun(self._massgen, chat, headers)

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

    async def ready(self, request: Request) -> Response:
        draining = request.app.state.draining
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


# Runs as responses: opened and closed by one task, so that a disconnect ends them at once


class _WholeRun(Response):
    """A run answered with one completion."""

    def __init__(self, massgen: MassGen, chat: ChatRequest, headers: Mapping[str, str]) -> None:
        super().__init__(headers=headers)
        self._massgen = massgen
        self._chat = chat
        self._extra = dict(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response: Response | None = None
        started = time.perf_counter()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_leave_with_client, receive, tasks.cancel_scope)
            try:
                completion = await self._massgen.complete(self._chat)
                headers = {**self._extra, "openai-processing-ms": _milliseconds_since(started)}
                response = _json(completion, headers=headers)
            except MassGenError as error:
                response = _json_error(errors.render_error(error))
            tasks.cancel_scope.cancel()
        if response is not None:
            await response(scope, receive, send)


class _StreamedRun(Response):
    """A run answered with server-sent events, from the moment at which it is admitted."""

    media_type = "text/event-stream"

    def __init__(
        self,
        massgen: MassGen,
        chat: ChatRequest,
        headers: Mapping[str, str],
        heartbeat_seconds: float,
    ) -> None:
        super().__init__(
            headers={**headers, "cache-control": "no-cache", "x-accel-buffering": "no"}
        )
        del self.headers["content-length"]
        self._massgen = massgen
        self._chat = chat
        self._heartbeat_seconds = heartbeat_seconds
        self._lock = anyio.Lock()
        self._last = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: Message = {
            "type": "http.response.start",
            "status": 200,
            "headers": self.raw_headers,
        }
        started = False
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_leave_with_client, receive, tasks.cancel_scope)
            try:
                async with self._massgen.chunks(self._chat) as chunks:
                    started = True
                    await send(start)
                    await self._write(send, sse.encode(await anext(chunks)))
                    tasks.start_soon(self._beat, chunks, send)
                    async for chunk in chunks:
                        await self._write(send, sse.encode(chunk))
                last = sse.DONE
            except MassGenError as error:
                if not started:
                    await _json_error(errors.render_error(error))(scope, receive, send)
                    tasks.cancel_scope.cancel()
                    return
                last = sse.encode_error(error) + sse.DONE
            except Exception:  # the outermost boundary: a stream must not just break off
                if not started:
                    raise
                logger.exception("a run of %s failed", self._chat.model)
                fault = MassGenError("The server had an error while processing your request.")
                fault.spent = True  # as far as anybody knows: a retry could pay for it again
                last = sse.encode_error(fault) + sse.DONE
            await self._write(send, last, more=False)
            tasks.cancel_scope.cancel()

    async def _beat(self, chunks: ChunkStream, send: Send) -> None:
        while True:
            idle = anyio.current_time() - self._last
            if idle < self._heartbeat_seconds:
                await anyio.sleep(self._heartbeat_seconds - idle)
            else:
                await self._write(send, sse.encode(chunks.heartbeat()))

    async def _write(self, send: Send, data: bytes, *, more: bool = True) -> None:
        async with self._lock:
            self._last = anyio.current_time()
            await send({"type": "http.response.body", "body": data, "more_body": more})


def _milliseconds_since(started: float) -> str:
    return str(int((time.perf_counter() - started) * 1000))


async def _leave_with_client(receive: Receive, scope: anyio.CancelScope) -> None:
    """End the run when its client is gone: nobody will read what the agents are paid for."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


# Around every request


class _Envelope:
    """Gives every response its request id, and turns an unforeseen fault into OpenAI's 500."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = f"req_{secrets.token_hex(16)}"
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
