"""Errors as replies and as stream events, from one table."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import massgen_compat
from massgen_compat import errors
from massgen_compat.errors import (
    ConfigError,
    ContextLengthExceeded,
    InvalidRequest,
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
from massgen_compat.protocol import errors as protocol_errors
from massgen_compat.protocol import sse
from massgen_compat.protocol.chat.answer import ChatStream
from massgen_compat.protocol.chat.request import parse
from massgen_compat.protocol.errors import (
    ERRORS,
    MESSAGE_LIMIT,
    ErrorReply,
    internal_error,
    masked,
    missing_key,
    render_error,
    stream_error,
    too_large,
    unknown_url,
    wrong_key,
    wrong_method,
)
from tests.protocol.rendering import renderer_of

Conforms = Callable[[str, object], None]


def classes(root: type[MassGenError] = MassGenError) -> Iterator[type[MassGenError]]:
    yield root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from classes(child)


def spent(error: MassGenError) -> MassGenError:
    error.spent = True
    return error


def test_every_error_class_has_a_row() -> None:
    assert set(ERRORS) == set(classes())


@dataclass(frozen=True)
class Case:
    error: MassGenError
    status: int
    type: str
    param: str | None
    code: str | None
    retried: bool
    """Whether clients may retry the same error when it ends a stream."""


INVALID = "invalid_request_error"
CASES = [
    Case(InvalidRequest("x"), 400, INVALID, None, None, retried=False),
    Case(
        InvalidRequest("x", param="n", code="invalid_type"),
        400,
        INVALID,
        "n",
        "invalid_type",
        retried=False,
    ),
    Case(ModelNotFound("gpt-x"), 404, INVALID, None, "model_not_found", retried=False),
    Case(
        UnsupportedParameter("x", param="n"),
        400,
        INVALID,
        "n",
        "unsupported_parameter",
        retried=False,
    ),
    Case(
        ContextLengthExceeded("x"),
        400,
        INVALID,
        "messages",
        "context_length_exceeded",
        retried=False,
    ),
    Case(MassGenError("x"), 500, "server_error", None, "coordination_failed", retried=False),
    Case(ConfigError("x"), 500, "server_error", None, "configuration_error", retried=False),
    Case(
        errors.EngineUnavailable("x"),
        500,
        "server_error",
        None,
        "configuration_error",
        retried=False,
    ),
    Case(Overloaded("x"), 503, "server_error", None, "server_overloaded", retried=True),
    Case(UpstreamError("x"), 502, "server_error", None, "upstream_error", retried=False),
    Case(
        UpstreamAuthentication("x"),
        502,
        "server_error",
        None,
        "upstream_authentication",
        retried=False,
    ),
    Case(
        UpstreamRateLimited("x"), 429, "rate_limit_error", None, "rate_limit_exceeded", retried=True
    ),
    Case(UpstreamTimeout("x"), 504, "server_error", None, "upstream_timeout", retried=True),
    Case(UpstreamUnreachable("x"), 502, "server_error", None, "upstream_unreachable", retried=True),
    Case(UpstreamRejected("x"), 502, "server_error", None, "upstream_rejected", retried=False),
    Case(UpstreamMalformed("x"), 502, "server_error", None, "upstream_malformed", retried=True),
]


def name(case: Case) -> str:
    return type(case.error).__name__


@pytest.mark.parametrize("case", CASES, ids=name)
def test_an_error_is_answered_in_openais_shape(case: Case, conforms: Conforms) -> None:
    reply = render_error(case.error)
    error = reply.body["error"]
    assert (reply.status, error["type"]) == (case.status, case.type)
    assert (error["param"], error["code"]) == (case.param, case.code)
    conforms("ErrorResponse", reply.body)


@pytest.mark.parametrize("case", CASES, ids=name)
def test_a_server_error_says_whether_a_retry_can_help(case: Case) -> None:
    hopeless = case.status >= 500 and not case.retried
    assert (render_error(case.error).headers.get("x-should-retry") == "false") == hopeless


def test_after_work_was_paid_for_a_client_is_told_not_to_retry() -> None:
    for error in (UpstreamTimeout("x"), UpstreamRateLimited("x"), MassGenError("x")):
        assert render_error(spent(error)).headers["x-should-retry"] == "false"


@pytest.mark.parametrize("case", CASES, ids=name)
def test_an_error_that_ends_a_stream_is_retried_only_where_that_can_help(
    case: Case, conforms: Conforms
) -> None:
    event = stream_error(case.error)
    assert (event["error"]["type"] in {"server_error", "rate_limit_exceeded"}) == case.retried
    conforms("ErrorResponse", event)


@pytest.mark.parametrize(
    "error", [MassGenError("x"), UpstreamTimeout("x"), UpstreamRateLimited("x")]
)
def test_a_stream_that_cost_something_ends_with_the_error_that_nobody_retries(
    error: MassGenError,
) -> None:
    event = stream_error(spent(error))["error"]
    assert (event["type"], event["code"]) == (INVALID, "coordination_failed")


def test_a_stream_can_end_with_the_fault_of_the_request() -> None:
    event = stream_error(spent(ContextLengthExceeded("too long")))["error"]
    assert (event["type"], event["code"]) == (INVALID, "context_length_exceeded")


def test_a_rate_limit_in_a_stream_has_the_type_that_clients_look_for() -> None:
    event = stream_error(UpstreamRateLimited("x"))["error"]
    assert (event["type"], event["code"]) == ("rate_limit_exceeded", "rate_limit_exceeded")


def test_an_error_event_is_one_data_line() -> None:
    answer = ChatStream(
        renderer_of(parse({"model": "t", "messages": [{"role": "user", "content": "x"}]}))
    )
    encoded = sse.frames(answer.failed(UpstreamTimeout("no answer")))
    assert encoded.startswith(b'data: {"error":{')
    assert json.loads(encoded.removeprefix(b"data: "))["error"]["message"] == "no answer"


@pytest.mark.parametrize(
    ("seconds", "header"),
    [
        (None, "1"),
        (0.0, "1"),
        (-3.0, "1"),
        (0.2, "1"),
        (7.1, "8"),
        (1e9, "3600"),
        (float("nan"), "1"),
    ],
)
def test_retry_after_is_whole_seconds_and_at_least_one(seconds: float | None, header: str) -> None:
    error = UpstreamRateLimited("x", retry_after=seconds)
    assert render_error(error).headers["Retry-After"] == header


def test_a_configuration_error_tells_a_client_no_details() -> None:
    reply = render_error(ConfigError("bad key sk-1", where="/etc/team.yaml:3"))
    assert "sk-1" not in json.dumps(reply.body)
    assert "/etc" not in json.dumps(reply.body)


def test_an_upstream_error_names_its_agent_once() -> None:
    named = render_error(UpstreamTimeout("no answer in 60 s", agent="critic"))
    assert named.body["error"]["message"] == "Agent 'critic': no answer in 60 s"
    already = render_error(UpstreamTimeout("agent 'critic' was silent", agent="critic"))
    assert already.body["error"]["message"] == "agent 'critic' was silent"


def test_messages_are_bounded_and_printable() -> None:
    for error in (
        UpstreamError("a\n\ud800" + "x" * 100_000),
        InvalidRequest("x", param="p" * 9999),
    ):
        body = render_error(error).body["error"]
        assert len(body["message"]) <= MESSAGE_LIMIT
        assert body["message"].isprintable()
        assert len(body["param"] or "") <= 200


def test_an_error_class_of_tomorrow_is_answered_like_its_parent() -> None:
    class Novel(UpstreamTimeout):
        pass

    assert render_error(Novel("x")).status == 504


# Replies without an error


REPLIES: dict[str, tuple[ErrorReply, int, str | None]] = {
    "missing key": (missing_key(), 401, None),
    "wrong key": (wrong_key("sk-1234567890abcdefghij"), 401, "invalid_api_key"),
    "unknown URL": (unknown_url("POST", "/v1/x"), 404, None),
    "wrong method": (wrong_method("PUT", "/v1/models", allowed="GET"), 405, "method_not_supported"),
    "too large": (too_large(1024), 413, "request_too_large"),
    "internal error": (internal_error(), 500, None),
}


@pytest.mark.parametrize("reply", REPLIES)
def test_other_replies_have_openais_shape(reply: str, conforms: Conforms) -> None:
    made, status, code = REPLIES[reply]
    assert (made.status, made.body["error"]["code"]) == (status, code)
    kind = "server_error" if status >= 500 else INVALID
    assert made.body["error"]["type"] == kind
    conforms("ErrorResponse", made.body)


def test_replies_carry_the_headers_of_http() -> None:
    assert missing_key().headers == {"WWW-Authenticate": "Bearer"}
    assert wrong_key("x").headers == {"WWW-Authenticate": "Bearer"}
    assert wrong_method("PUT", "/", allowed="GET, HEAD").headers == {"Allow": "GET, HEAD"}
    assert render_error(Overloaded("full", retry_after=2.5)).headers == {"Retry-After": "3"}
    assert internal_error().headers == {"x-should-retry": "false"}


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("sk-1234567890abcdefghij", "sk-***ghij"),
        ("short", "***"),
        ("", "***"),
        ("sk-\r\nSet-Cookie: a=bbbbbbbbbbbbbbbbbb", "***"),
        ("ключ" * 10, "***"),
    ],
)
def test_a_wrong_key_is_masked(key: str, shown: str) -> None:
    assert masked(key) == shown
    assert wrong_key(key).body["error"]["message"] == f"Incorrect API key provided: {shown}."


def test_an_unknown_url_is_named_and_cut() -> None:
    message: Any = unknown_url("POST", "/v1/x\n" + "y" * 9999).body["error"]["message"]
    assert message.startswith("Invalid URL (POST /v1/x y")
    assert len(message) < 250


def test_an_agent_whose_name_is_part_of_a_word_is_named_all_the_same() -> None:
    error = UpstreamUnreachable("the provider could not be reached", agent="a")
    message = render_error(error).body["error"]["message"]
    assert message == "Agent 'a': the provider could not be reached"


MAKES_4XX = re.compile(
    r"InvalidRequest|UnsupportedParameter|LimitExceeded|UpstreamRateLimited|WireModel"
    r"|(?:too_slow|too_large|missing_key|unknown_url|not_http)\("
)


def test_the_table_of_4xx_names_modules_that_make_them() -> None:
    package = Path(massgen_compat.__file__).parent
    table = (protocol_errors.__doc__ or "").partition("::\n")[2]
    rows = [line[67:] for line in table.splitlines() if line.strip()]
    modules = re.findall(r"[a-z_]+(?:\.[a-z_]+)?", re.sub(r"\(.*\)", "", " ".join(rows)))
    assert len(modules) > 20
    for module in modules:
        path = module.replace(".", "/") + ".py"
        [source] = (each for each in (package / path, package / "protocol" / path) if each.exists())
        assert MAKES_4XX.search(source.read_text(encoding="utf-8")), module
