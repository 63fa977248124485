"""Around every request: its id, and the outermost boundary for faults."""

import logging
import secrets
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from massgen_compat.http.replies import json_error
from massgen_compat.protocol import errors

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
