"""Responses of one piece: JSON objects, and the errors that the app's exception handlers make."""

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from massgen_compat.errors import MassGenError
from massgen_compat.protocol import body, errors
from massgen_compat.protocol.errors import ErrorReply


def json_reply(
    content: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """The content as a JSON body."""
    return Response(
        body.encode(content), status_code=status, headers=headers, media_type="application/json"
    )


def json_error(reply: ErrorReply) -> Response:
    """The response for an error, in OpenAI's shape."""
    return json_reply(reply.body, status=reply.status, headers=reply.headers)


async def massgen_error(_request: Request, error: Exception) -> Response:
    """The response for a ``MassGenError`` that was raised before a run began."""
    if not isinstance(error, MassGenError):
        raise error
    return json_error(errors.render_error(error))


async def http_error(request: Request, error: Exception) -> Response:
    """The response for a path that is not served (404), or not with this method (405)."""
    method, path = request.method, request.scope["path"]
    if isinstance(error, HTTPException) and error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        return json_error(errors.wrong_method(method, path, allowed=allowed))
    return json_error(errors.unknown_url(method, path))


async def nobody_there(_request: Request, _error: Exception) -> Response:
    """The response for a client that left while it sent its request; nobody will read it."""
    return Response(status_code=499)
