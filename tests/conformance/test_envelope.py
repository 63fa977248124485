"""Rules 1.1, the envelope: status, headers, and what is tolerated of a client's."""

import json
import re
from collections.abc import Callable, Mapping

import pytest

from tests.conformance.exchange import CHAT, Exchange
from tests.conformance.rules import STREAM, WHOLE, Row, Rule, table
from tests.conformance.stage import HELLO, QUIET, Stage, stage


def header(name: str, pattern: str) -> Callable[[Exchange], None]:
    def check(answer: Exchange) -> None:
        assert re.fullmatch(pattern, answer.headers[name]), answer.headers

    return check


def no_rate_headers(answer: Exchange) -> None:
    assert not [name for name in answer.headers if name.startswith("x-ratelimit")]


def no_length(answer: Exchange) -> None:
    assert "content-length" not in answer.headers


def exact_length(answer: Exchange) -> None:
    assert int(answer.headers["content-length"]) == len(answer.raw)


RULES = [
    Rule(
        section="1.1.1",
        source="rec",
        says="a completion is application/json",
        check=header("content-type", "application/json"),
        modes=WHOLE,
    ),
    Rule(
        section="1.1.1",
        source="rec",
        says="a completion has its exact length",
        check=exact_length,
        modes=WHOLE,
    ),
    Rule(
        section="1.1.1",
        source="rec",
        says="openai-version is 2020-10-01",
        check=header("openai-version", "2020-10-01"),
    ),
    Rule(
        section="1.1.1",
        source="rec",
        says="openai-processing-ms is a whole number",
        check=header("openai-processing-ms", r"\d{1,6}"),
    ),
    Rule(
        section="1.1.1",
        source="rec",
        says="no type is sniffed",
        check=header("x-content-type-options", "nosniff"),
    ),
    Rule(
        section="1.1.2",
        source="sdk",
        says="x-request-id is req_ and 32 hex digits",
        check=header("x-request-id", "req_[0-9a-f]{32}"),
    ),
    Rule(
        section="1.1.3",
        source="rec",
        says="no rate headers without a limiter",
        check=no_rate_headers,
    ),
    Rule(
        section="1.3.15",
        source="rec",
        says="a stream is text/event-stream; charset=utf-8",
        check=header("content-type", "text/event-stream; charset=utf-8"),
        modes=STREAM,
    ),
    Rule(
        section="1.3.15", source="rec", says="a stream has no length", check=no_length, modes=STREAM
    ),
    Rule(
        section="1.3.15",
        source="mem",
        says="a stream is not cached",
        check=header("cache-control", "no-cache"),
        modes=STREAM,
    ),
    Rule(
        section="1.3.15",
        source="mem",
        says="a stream is not buffered by nginx",
        check=header("x-accel-buffering", "no"),
        modes=STREAM,
    ),
]


@table(RULES)
def test_the_envelope(row: Row, served: Stage) -> None:
    row.rule.check(row.ask(served))


REPLIES: Mapping[str, tuple[object, str, str]] = {
    "a completion": ({"model": "one-text", "messages": HELLO}, CHAT, "POST"),
    "a stream": ({"model": "one-text", "messages": HELLO, "stream": True}, CHAT, "POST"),
    "a fault of the request": ({"model": "one-text"}, CHAT, "POST"),
    "a body that is no JSON": (b"{", CHAT, "POST"),
    "an unknown model": ({"model": "x", "messages": HELLO}, CHAT, "POST"),
    "an unknown path": (None, "/v1/x", "GET"),
    "a wrong method": (None, CHAT, "GET"),
    "the models": (None, "/v1/models", "GET"),
    "a model": (None, "/v1/models/one-text", "GET"),
    "health": (None, "/health", "GET"),
    "readiness": (None, "/ready", "GET"),
}


@pytest.mark.parametrize("name", REPLIES)
def test_every_response_has_a_request_id_of_its_own(name: str, served: Stage) -> None:
    body, path, method = REPLIES[name]
    hostile = {"X-Request-Id": "req_mine", "X-Client-Request-Id": "x" * 600}
    answers = [served.send(body, path, method=method, headers=hostile) for _ in range(2)]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert all(re.fullmatch("req_[0-9a-f]{32}", each) for each in ids)
    assert len(set(ids)) == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": "application/json"},
        {"Accept": "text/event-stream"},
        {"Accept": "image/png"},
        {"OpenAI-Beta": "x", "OpenAI-Organization": "org", "OpenAI-Project": "p"},
        {"Content-Type": "text/plain"},
        {"Accept-Encoding": "gzip, br"},
        {"X-Stainless-Retry-Count": "2", "X-Stainless-Read-Timeout": "600", "X-Unknown": "1"},
        {"Idempotency-Key": "stainless-node-retry-1"},
    ],
    ids=str,
)
@pytest.mark.parametrize("stream", [False, True])
def test_headers_of_clients_change_nothing(
    headers: Mapping[str, str], stream: object, served: Stage
) -> None:
    body = {"model": "one-text", "messages": HELLO, **QUIET, "stream": stream}
    plain, other = served.post(body), served.send(body, headers=headers)
    assert other.headers["content-type"] == plain.headers["content-type"]
    assert other.choice() == plain.choice()
    assert "content-encoding" not in other.headers


def test_a_body_in_chunks_of_any_size_is_read_whole(served: Stage) -> None:
    raw = json.dumps({"model": "one-text", "messages": HELLO, **QUIET}).encode()
    pieces = (raw[index : index + 7] for index in range(0, len(raw), 7))
    chunked = {"Transfer-Encoding": "chunked"}
    answer = served.send(
        b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n",
        headers=chunked,
    )
    assert answer.finish_reason == "stop"


def test_a_byte_order_mark_is_tolerated(served: Stage) -> None:
    raw = b"\xef\xbb\xbf" + json.dumps({"model": "one-text", "messages": HELLO}).encode()
    assert served.send(raw).status == 200


PREFLIGHT = {
    "Origin": "https://app.example",
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,x-stainless-lang,openai-beta",
}


def test_a_preflight_needs_no_key_and_allows_the_headers_of_the_browser_sdk() -> None:
    with stage({"text": {}}, api_keys=["a key of this server"], cors_origins=["*"]) as each:
        answer = each.send(None, method="OPTIONS", headers=PREFLIGHT)
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == "*"
        allowed = answer.headers["access-control-allow-headers"].lower()
        wanted = PREFLIGHT["Access-Control-Request-Headers"].split(",")
        assert all(name in allowed for name in wanted)
        key = {"Authorization": "Bearer a key of this server", "Origin": "https://app.example"}
        real = each.send({"model": "one-text", "messages": HELLO}, headers=key)
        assert "x-request-id" in real.headers["access-control-expose-headers"].lower()


def test_browsers_are_let_in_only_where_that_was_configured(served: Stage) -> None:
    assert (
        "access-control-allow-origin"
        not in served.send(None, "/v1/models", headers={"Origin": "https://app.example"}).headers
    )
