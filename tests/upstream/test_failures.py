"""What a provider's error means, and what of it may be shown."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from massgen_compat._upstream.failures import SHOWN, failure, presentable, retry_after
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

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Case:
    error: object
    kind: type[MassGenError]
    status: int | None = None


CASES = (
    Case({"code": "rate_limit_exceeded", "message": "m"}, UpstreamRateLimited),
    Case({"code": None, "type": "rate_limit_error"}, UpstreamRateLimited),
    Case({"code": "insufficient_quota"}, UpstreamRateLimited),
    Case({"code": "server_error"}, UpstreamUnreachable),
    Case({"type": "overloaded_error"}, UpstreamUnreachable),
    Case({"code": "invalid_api_key"}, UpstreamAuthentication),
    Case({"code": "vector_store_timeout"}, UpstreamTimeout),
    Case({"code": "invalid_prompt"}, UpstreamRejected),
    Case({"code": "brand_new"}, UpstreamMalformed),
    Case({"code": "brand_new", "type": "server_error"}, UpstreamUnreachable),
    Case({"code": 429}, UpstreamRateLimited),
    Case({"code": 502}, UpstreamUnreachable),
    Case({"code": 7}, UpstreamMalformed),
    Case("some text", UpstreamMalformed),
    Case(None, UpstreamMalformed),
    Case([], UpstreamMalformed),
    Case({"code": "server_error"}, UpstreamRateLimited, 429),
    Case({"code": "rate_limit_exceeded"}, UpstreamUnreachable, 500),
    Case({}, UpstreamRejected, 418),
    Case({}, UpstreamRejected, 307),
    Case([{"error": {"code": 400, "message": "m"}}], UpstreamRejected, 400),
    Case({"code": "context_length_exceeded"}, ContextLengthExceeded),
    Case({"code": "context_length_exceeded"}, ContextLengthExceeded, 400),
    Case({"message": "Your input exceeds the context window"}, ContextLengthExceeded),
    Case({"message": "prompt is too long: 300 tokens"}, ContextLengthExceeded, 413),
    Case({"message": "the context window service is down"}, UpstreamUnreachable, 503),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_error_has_one_meaning(case: Case) -> None:
    error = failure(case.error, status=case.status, retry_after=3.0)
    assert type(error) is case.kind
    assert error.message
    if isinstance(error, UpstreamError):
        assert (error.status, error.retry_after) == (case.status, 3.0)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (500, UpstreamRejected),
        (502, UpstreamRejected),
        (504, UpstreamTimeout),
        (429, UpstreamRateLimited),
    ],
)
def test_a_failure_that_must_not_be_retried_is_final(status: int, kind: type[MassGenError]) -> None:
    """As another of these servers says of a run that was paid for."""
    assert type(failure({"message": "m"}, status=status, may_retry=False)) is kind


def test_the_providers_words_are_kept() -> None:
    error = failure({"message": "Unsupported value:\n 'x'"}, status=400)
    assert error.message == ("the provider refused the request (HTTP 400): Unsupported value: 'x'")
    assert "no such route" in failure({"detail": "no such route"}, status=404).message


@pytest.mark.parametrize(
    "key",
    [
        "sk-proj-abcdefghijklmnop1234567890",
        "sk-proj-********************wxyz",
        "gsk_abcdefgh1234567890",
        "xai-abcdefgh1234567890",
        "AIzaSyA1234567890abcdefg",
        "nvapi-abc-123-def",
        "0123456789abcdef0123456789abcdef",
        "our own odd key",
    ],
)
def test_nothing_that_looks_like_a_key_is_shown(key: str) -> None:
    shown = presentable(f"Incorrect API key provided: {key}. See docs.", secret="our own odd key")
    assert key not in shown
    assert "***" in shown
    assert shown.endswith("See docs.")


def test_a_bearer_token_is_not_shown() -> None:
    assert presentable("Authorization: Bearer abc") == "Authorization: ***"


@pytest.mark.parametrize(
    "text",
    [
        "The model `gpt-4o-search-preview-2025-03-11` does not exist.",
        "The model `databricks-meta-llama-3-1-405b-instruct` is busy",
        "Unsupported parameter: 'max_completion_tokens' (key-value pairs only)",
        "Item 'rs_68c4' was provided without its required following item.",
    ],
)
def test_names_are_no_keys(text: str) -> None:
    assert presentable(text) == text


def test_a_long_message_is_bounded() -> None:
    shown = presentable("word " * 10_000)
    assert len(shown) <= SHOWN
    assert shown.endswith("…")
    assert presentable("a\x00b") == "a�b"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "20"}, 20.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "20"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "20"}, 20.0),
        ({"retry-after": "Tue, 24 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Tue, 24 Nov 2026 12:00:30 -0000"}, 30.0),
        ({"retry-after": "Tue, 24 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
    ],
)
def test_the_time_to_wait_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, now=NOW) == seconds
