"""Errors as HTTP replies and as stream events, in OpenAI's shape.

The table ``ERRORS`` gives each class of errors its status, type and code; nothing else does. An
upstream's 401 is a 502 here, because a 401 would tell the client that its own key is wrong. The
header ``x-should-retry: false`` keeps OpenAI's SDKs from sending a request again; it is sent where
model calls were paid for and where a retry cannot help.

Where each 4xx is made (modules without a package stand in ``protocol``)::

    400  not a JSON object, nested too deeply, too many values     body
    400  no model; parameters that exclude each other              chat.request
    400  type, value or absence of a parameter                     chat.request, chat.messages,
                                                                   chat.tools, options,
                                                                   validation (the sentences)
    400  order of messages, results without calls, no content      chat.history
    400  tools, tool_choice, functions, function_call              chat.tools
    400  response_format and its schema                            chat.response_format
    400  a parameter that is not supported, or unknown             parameters
    400  items of a Responses body, what is stored at OpenAI       foreign.responses
    400  what the team that answers cannot do                      _admission.admit
    404  unknown model                                             _admission.catalogue
    400  too many teams on the way (hops)                          _server.requests
    400  idempotency key too long, or used for another request     _server.retries
    413  body too large; 408: body too slow                        _server.requests
    401  no key, or a wrong one                                    _server.access
    404  unknown path; 405: wrong method                           _server.replies
    400  not HTTP; 408, 431: its head too slow, too large          cli.server
    400  context window of an agent's model too small              _upstream.failures
    400  limit of tokens or cost reached before any answer         _spending.ledger,
                                                                   _massgen.exchange
    429  the providers refuse for now                              _upstream.failures
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from massgen_compat.errors import (
    ConfigError,
    ContextLengthExceeded,
    EngineUnavailable,
    InvalidRequest,
    LimitExceeded,
    MassGenError,
    ModelNotFound,
    Overloaded,
    UnsupportedParameter,
    UpstreamAuthentication,
    UpstreamError,
    UpstreamMalformed,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from massgen_compat.protocol.body import shorten

MESSAGE_LIMIT: Final = 500
"""Characters of an error message."""

MAX_RETRY_AFTER: Final = 3600
"""Seconds. OpenAI's SDKs do not wait for more than 120; they give up, and so they should."""


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """How a class of errors is answered: the HTTP ``status``, and OpenAI's ``type`` and ``code``.

    An error's own ``code`` takes precedence. ``retry``: the same request can succeed a moment
    later.
    """

    status: int
    type: str
    code: str | None = None
    retry: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReply:
    """An error as HTTP: the status, extra headers, and the JSON body."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


_INVALID: Final = "invalid_request_error"
_SERVER: Final = "server_error"

ERRORS: Final[Mapping[type[MassGenError], ErrorRow]] = {
    MassGenError: ErrorRow(500, _SERVER, "coordination_failed"),
    InvalidRequest: ErrorRow(400, _INVALID),
    ModelNotFound: ErrorRow(404, _INVALID, "model_not_found"),
    UnsupportedParameter: ErrorRow(400, _INVALID, "unsupported_parameter"),
    ContextLengthExceeded: ErrorRow(400, _INVALID, "context_length_exceeded"),
    LimitExceeded: ErrorRow(400, _INVALID, "limit_exceeded"),
    ConfigError: ErrorRow(500, _SERVER, "configuration_error"),
    EngineUnavailable: ErrorRow(500, _SERVER, "configuration_error"),
    Overloaded: ErrorRow(503, _SERVER, "server_overloaded", retry=True),
    UpstreamError: ErrorRow(502, _SERVER, "upstream_error"),
    UpstreamAuthentication: ErrorRow(502, _SERVER, "upstream_authentication"),
    UpstreamRateLimited: ErrorRow(429, "rate_limit_error", "rate_limit_exceeded", retry=True),
    UpstreamTimeout: ErrorRow(504, _SERVER, "upstream_timeout", retry=True),
    UpstreamUnreachable: ErrorRow(502, _SERVER, "upstream_unreachable", retry=True),
    UpstreamRejected: ErrorRow(502, _SERVER, "upstream_rejected"),
    UpstreamMalformed: ErrorRow(502, _SERVER, "upstream_malformed", retry=True),
}


def row_of(error: MassGenError) -> ErrorRow:
    """The row of the error's class, or of the nearest class above it."""
    return next(ERRORS[kind] for kind in type(error).__mro__ if kind in ERRORS)


def render_error(error: MassGenError) -> ErrorReply:
    """The HTTP reply for an error that was raised before the first byte of a response."""
    row = row_of(error)
    headers: dict[str, str] = {}
    if isinstance(error, UpstreamRateLimited | Overloaded):
        headers["Retry-After"] = retry_after(error.retry_after)
    if error.spent or (row.status >= 500 and not row.retry):
        headers["x-should-retry"] = "false"
    if isinstance(error, InvalidRequest):
        param, code = error.param, error.code or row.code
    else:
        param, code = None, row.code
    body = _body(_message(error), row.type, param=param, code=code)
    return ErrorReply(status=row.status, headers=headers, body=body)


def stream_error(error: MassGenError) -> dict[str, Any]:
    """The JSON object of an error that was raised after the first chunk.

    Only an error that cost nothing and may pass has a type that clients retry. A fault of the
    request keeps its code. Every other error is ``invalid_request_error`` with the code
    ``coordination_failed``, the pair that stops the retries of nearly every client.
    """
    row = row_of(error)
    if isinstance(error, InvalidRequest):
        return _body(_message(error), _INVALID, param=error.param, code=error.code or row.code)
    if error.spent or not row.retry:
        return _body(_message(error), _INVALID, code="coordination_failed")
    if isinstance(error, UpstreamRateLimited):
        return _body(_message(error), "rate_limit_exceeded", code="rate_limit_exceeded")
    return _body(_message(error), _SERVER, code=row.code)


def retry_after(seconds: float | None) -> str:
    """The value of ``Retry-After``: whole seconds from 1 to ``MAX_RETRY_AFTER``; 1 if unknown."""
    if seconds is None or not math.isfinite(seconds):
        return "1"
    return str(min(max(1, math.ceil(seconds)), MAX_RETRY_AFTER))


# Replies that no MassGenError stands for

_CLOSE: Final = {"Connection": "close"}
"""For a request that was not read to its end: the rest would be taken for the next request."""


def missing_key() -> ErrorReply:
    """401 for a request without a key."""
    message = (
        "You didn't provide an API key. You need to provide your API key in an Authorization "
        "header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
    )
    return _reply(401, message, _INVALID, headers={"WWW-Authenticate": "Bearer"})


def wrong_key(key: str) -> ErrorReply:
    """401 for a key that is none of ours; the message shows next to nothing of it."""
    message = f"Incorrect API key provided: {masked(key)}."
    headers = {"WWW-Authenticate": "Bearer"}
    return _reply(401, message, _INVALID, code="invalid_api_key", headers=headers)


def masked(key: str) -> str:
    """The key with all but its ends hidden; of a short or strange key nothing is left."""
    if len(key) < 20 or not (key.isascii() and key.isprintable()):
        return "***"
    return f"{key[:3]}***{key[-4:]}"


def unknown_url(method: str, path: str) -> ErrorReply:
    """404 for a path that is not served."""
    message = f"Invalid URL ({shorten(method, 20)} {shorten(path, 200)})"
    return _reply(404, message, _INVALID)


def wrong_method(method: str, path: str, *, allowed: str) -> ErrorReply:
    """405 for a path that is served with other methods: ``allowed``, as in ``GET, HEAD``."""
    message = (
        f"Not allowed to {shorten(method, 20)} on {shorten(path, 200)} "
        f"(HINT: Perhaps you meant to make a {allowed} request?)"
    )
    headers = {"Allow": allowed}
    return _reply(405, message, _INVALID, code="method_not_supported", headers=headers)


def too_large(limit: int) -> ErrorReply:
    """413 for a body of more than ``limit`` bytes."""
    message = f"The body of your request is too large. The limit is {limit} bytes."
    return _reply(413, message, _INVALID, code="request_too_large", headers=_CLOSE)


def too_slow(part: str) -> ErrorReply:
    """408 for a request whose ``part``, its head or its body, does not arrive in time."""
    message = f"The {part} of your request did not arrive in time. Please send it again."
    return _reply(408, message, _INVALID, code="request_timeout", headers=_CLOSE)


def head_too_large(limit: int, headers: int) -> ErrorReply:
    """431 for a request line and headers of more than ``limit`` bytes, or more headers."""
    message = (
        "The headers of your request are too large. The limits are "
        f"{limit} bytes and {headers} headers."
    )
    return _reply(431, message, _INVALID, code="request_headers_too_large", headers=_CLOSE)


def not_http() -> ErrorReply:
    """400 for bytes that are no HTTP/1.1 request."""
    message = "We could not read your request: it is not HTTP/1.1."
    return _reply(400, message, _INVALID, headers=_CLOSE)


def internal_error() -> ErrorReply:
    """500 for a fault of this server, without any details."""
    message = "The server had an error while processing your request."
    return _reply(500, message, _SERVER, headers={"x-should-retry": "false"})


def _message(error: MassGenError) -> str:
    if isinstance(error, ConfigError):  # it names files and lines of this server
        return "The server's configuration has an error. Its operator finds details in the log."
    message = error.message
    if isinstance(error, UpstreamError) and error.agent and f"'{error.agent}'" not in message:
        message = f"Agent '{error.agent}': {message}"
    return message


def _reply(
    status: int,
    message: str,
    kind: str,
    *,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> ErrorReply:
    return ErrorReply(status=status, headers=headers or {}, body=_body(message, kind, code=code))


def _body(
    message: str, kind: str, *, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    return {
        "error": {
            "message": shorten(message, MESSAGE_LIMIT),
            "type": kind,
            "param": None if param is None else shorten(param, 200),
            "code": code,
        }
    }
