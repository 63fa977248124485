"""Before every request: whether its client may ask at all."""

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

OPEN_PATHS: Final = frozenset({"/health", "/ready"})
"""What is served without a key."""


class Keys:
    """Asks for a key before anything else is looked at: before the body, before a 404 or 405."""

    def __init__(self, app: ASGIApp, keys: Sequence[str]) -> None:
        self._app = app
        self._digests = tuple(_digest(key.encode()) for key in keys)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
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
        # Every key is compared, so that the time tells nothing about which one was near.
        matches = [hmac.compare_digest(digest, each) for each in self._digests]
        return None if any(matches) else errors.wrong_key(key.strip().decode("latin-1"))


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


logger = logging.getLogger("massgen_compat")

REQUEST_ID: Final = "massgen_compat.request_id"
"""Where a request's id stands in its scope."""


class Envelope:
    """Gives every response its request id, and turns an unforeseen fault into OpenAI's 500."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and its response with two headers more."""
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
