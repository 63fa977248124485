"""What every request passes first: its id, the guard against unforeseen faults, and the key check.

``Envelope`` is around the whole app, ``Keys`` inside it. Both are ASGI middleware.
"""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Sequence
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from massgen_compat._server.replies import json_error
from massgen_compat.protocol import errors
from massgen_compat.protocol.errors import ErrorReply

logger = logging.getLogger("massgen_compat")

REQUEST_ID: Final = "massgen_compat.request_id"
"""The key of a request's id in its ASGI scope."""

OPEN_PATHS: Final = frozenset({"/health", "/ready"})
"""The paths that are served without a key."""


class Envelope:
    """Gives every response its ``x-request-id``, and makes an unforeseen fault a 500 of OpenAI's.

    A fault is logged with its traceback. If the response has begun, it is raised again, so that the
    server breaks the connection off.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add two headers to its response."""
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
                await json_error(errors.internal_error())(scope, receive, stamped)
            else:
                raise


class Keys:
    """Refuses requests without one of the keys (401), before their body or path is looked at.

    ``keys``: the keys that clients may use; without any, every request passes.
    """

    def __init__(self, app: ASGIApp, keys: Sequence[str]) -> None:
        self._app = app
        self._digests = tuple(_digest(key.encode()) for key in keys)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with 401."""
        refusal = self._refusal(scope) if scope["type"] in {"http", "websocket"} else None
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await json_error(refusal)(scope, receive, send)

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
        # All keys are compared, so that the time does not depend on which of them fits.
        matches = [hmac.compare_digest(digest, each) for each in self._digests]
        return None if any(matches) else errors.wrong_key(key.strip().decode("latin-1"))


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
