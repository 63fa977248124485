"""What a provider's error means: a table of statuses, and one of codes. Pure.

The message of an error has the provider's own text in it. That text is bounded, on one line, and
what looks like a key is masked. The message also says what to do.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from massgen_compat._upstream.tolerant import count, mapping, sequence, string
from massgen_compat.errors import (
    ContextLengthExceeded,
    MassGenError,
    UpstreamAuthentication,
    UpstreamError,
    UpstreamMalformed,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnreachable,
)

SHOWN: Final = 300
"""Characters of a provider's message that are passed on."""


@dataclass(frozen=True, slots=True)
class _Meaning:
    error: type[UpstreamError]
    summary: str


_AUTHENTICATION: Final = _Meaning(
    UpstreamAuthentication, "the provider refused the key; check the key of this agent's backend"
)
_RATE_LIMITED: Final = _Meaning(UpstreamRateLimited, "the provider's rate limit is reached")
_TIMEOUT: Final = _Meaning(UpstreamTimeout, "the provider took too long")
_REJECTED: Final = _Meaning(UpstreamRejected, "the provider refused the request")
_FAILED: Final = _Meaning(UpstreamUnreachable, "the provider failed; try again later")
_FINAL: Final = _Meaning(
    UpstreamRejected, "the provider failed, and says that a retry does not help"
)
_UNKNOWN: Final = _Meaning(UpstreamMalformed, "the provider reported an error")

_STATUSES: Final[Mapping[int, _Meaning]] = {
    401: _AUTHENTICATION,
    403: _AUTHENTICATION,
    408: _TIMEOUT,
    429: _RATE_LIMITED,
    504: _TIMEOUT,
}

_CODES: Final[Mapping[str, _Meaning]] = {
    # These are OpenAI's codes, from ResponseErrorCode in its published schemas, and the types and
    # codes that Anthropic, Groq, OpenRouter and vLLM send in their place.
    "authentication_error": _AUTHENTICATION,
    "invalid_api_key": _AUTHENTICATION,
    "permission_error": _AUTHENTICATION,
    "insufficient_quota": _RATE_LIMITED,
    "rate_limit_error": _RATE_LIMITED,
    "rate_limit_exceeded": _RATE_LIMITED,
    "too_many_requests": _RATE_LIMITED,
    "request_timeout": _TIMEOUT,
    "timeout": _TIMEOUT,
    "vector_store_timeout": _TIMEOUT,
    "api_error": _FAILED,
    "bad_gateway": _FAILED,
    "internal_error": _FAILED,
    "internal_server_error": _FAILED,
    "overloaded_error": _FAILED,
    "server_error": _FAILED,
    "server_overloaded": _FAILED,
    "service_unavailable": _FAILED,
    "bio_policy": _REJECTED,
    "content_policy_violation": _REJECTED,
    "data_residency_mismatch": _REJECTED,
    "empty_image_file": _REJECTED,
    "failed_to_download_image": _REJECTED,
    "image_content_policy_violation": _REJECTED,
    "image_file_not_found": _REJECTED,
    "image_file_too_large": _REJECTED,
    "image_parse_error": _REJECTED,
    "image_too_large": _REJECTED,
    "image_too_small": _REJECTED,
    "invalid_base64_image": _REJECTED,
    "invalid_image": _REJECTED,
    "invalid_image_format": _REJECTED,
    "invalid_image_mode": _REJECTED,
    "invalid_image_url": _REJECTED,
    "invalid_prompt": _REJECTED,
    "invalid_request_error": _REJECTED,
    "model_not_found": _REJECTED,
    "unsupported_image_media_type": _REJECTED,
}

_TOO_LONG: Final = re.compile(
    r"maximum context length|context window|context length|prompt is too long"
    r"|maximum number of tokens",
    re.IGNORECASE,
)
_KEYS: Final = re.compile(
    r"(?i:bearer\s+)\S+"
    r"|\b(?:sk|pk|rk|gsk|csk|xai|nvapi|fw|hf|tgp|pplx|dapi|key)[-_](?=[^\s]*[\d*])[\w*.\-]{6,}"
    r"|\bAIza[\w\-]{10,}"
    r"|\b(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{28,}\b"
)


def failure(
    error: object,
    *,
    status: int | None = None,
    retry_after: float | None = None,
    may_retry: bool = True,
    secret: str = "",
) -> MassGenError:
    """The error of this library for a provider's error object, or for its text.

    ``status`` is that of HTTP, and decides where there is one. An error inside a stream has only a
    code; OpenRouter's codes are statuses. ``retry_after`` is in seconds. ``may_retry`` is what the
    header ``x-should-retry`` says: another server of this library sends ``false`` where its run was
    paid for. ``secret`` is our own key, which some servers repeat in their messages.
    """
    fields = _fields(error)
    message = string(fields.get("message")) or string(fields.get("detail")) or string(error)
    shown = presentable(message, secret=secret)
    code = fields.get("code")
    if code == "context_length_exceeded" or (status in {None, 400, 413} and _too_long(message)):
        return ContextLengthExceeded(
            f"the conversation does not fit the context window of an agent's model: {shown}"
            if shown
            else "the conversation does not fit the context window of an agent's model"
        )
    number = status or count(code)
    meaning = _by_status(number) or _by_code(code) or _by_code(fields.get("type")) or _UNKNOWN
    if meaning is _FAILED and not may_retry:
        meaning = _FINAL
    summary = f"{meaning.summary} (HTTP {status})" if status else meaning.summary
    text = f"{summary}: {shown}" if shown else summary
    return meaning.error(text, status=status, retry_after=retry_after)


def presentable(text: str, *, secret: str = "") -> str:
    """A provider's text on one line, bounded, without keys; empty for a page of HTML."""
    if text.lstrip().startswith("<"):
        return ""
    line = " ".join(text[: 8 * SHOWN].split())
    if len(secret) >= 8:
        line = line.replace(secret, "***")
    line = _KEYS.sub("***", line)
    shown = "".join(character if character.isprintable() else "�" for character in line)
    return shown if len(shown) <= SHOWN else shown[: SHOWN - 1].rstrip() + "…"


def retry_after(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """The seconds to wait, from ``retry-after-ms`` or ``retry-after`` (a number or an HTTP date).

    ``None`` if neither header says it.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is not None and (seconds := _seconds(value, unit, now)) is not None:
            return seconds
    return None


def _seconds(value: str, unit: float, now: datetime) -> float | None:
    try:
        seconds = float(value) * unit
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _fields(error: object) -> dict[str, Any]:
    """The error object in OpenAI's shape. Gemini puts it into an array, and one level down."""
    if listed := sequence(error):
        return mapping(mapping(listed[0]).get("error"))
    return mapping(error)


def _too_long(message: str) -> bool:
    return _TOO_LONG.search(message[: 8 * SHOWN]) is not None


def _by_status(status: int | None) -> _Meaning | None:
    if status is None or not 300 <= status < 600:
        return None
    return _STATUSES.get(status) or (_FAILED if status >= 500 else _REJECTED)


def _by_code(code: object) -> _Meaning | None:
    return _CODES.get(code) if isinstance(code, str) else None
