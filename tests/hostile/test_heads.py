"""Heads and bodies that are too large, too many or too slow, over raw sockets."""

import json
import socket
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import pytest

from massgen_compat.asgi import create_app
from massgen_compat.cli.server import MAX_HEAD_BYTES, MAX_HEADERS, BoundedHead, serving
from tests.fakes import Model
from tests.server.test_server import massgen_of

REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
QUESTION = b'{"model": "team", "messages": [{"role": "user", "content": "hi"}]}'


class Hasty(BoundedHead):
    head_seconds = 0.3


def exchange(url: str, *pieces: bytes) -> bytes:
    """What comes back until the server closes the connection, which it has to."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as client:
        return told(client, pieces)


def told(client: socket.socket, pieces: Iterable[bytes]) -> bytes:
    said = b""
    try:
        for piece in pieces:
            client.sendall(piece)
        while data := client.recv(65536):
            said += data
    except ConnectionError:
        pass  # it closed while it was still being written to
    return said


def send_for_ever(client: socket.socket, piece: bytes) -> None:
    while True:
        client.sendall(piece)


def reply_of(said: bytes) -> tuple[int, dict[str, Any]]:
    head, _, body = said.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"]


ENDLESS = {
    "one header without an end": [REQUEST, b"a: ", *[b"x" * 65536] * 3],
    "a header of a megabyte": [REQUEST, b"a: " + b"x" * 1_000_000 + b"\r\n\r\n"],
    "a header just over the limit": [REQUEST, b"a: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n"],
    "a path of a megabyte": [b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\n\r\n"],
    "headers by the thousand": [REQUEST, b"a: b\r\n" * 1000],
    "one header too many": [REQUEST, b"a: b\r\n" * MAX_HEADERS + b"\r\n"],
}


@pytest.mark.parametrize("pieces", ENDLESS.values(), ids=ENDLESS)
def test_a_head_without_bounds_is_refused(pieces: list[bytes]) -> None:
    model = Model()
    with serving(create_app(massgen_of({"a": model}))) as url:
        said = exchange(url, *pieces)
    if said:  # else the connection broke under what it was still sent
        status, error = reply_of(said)
        assert (status, error["code"]) == (431, "request_headers_too_large")
        assert "headers" in error["message"]
    assert not model.requests


def test_a_head_within_the_bounds_is_served() -> None:
    with serving(create_app(massgen_of({"a": Model()}))) as url:
        head = REQUEST + b"a: b\r\n" * (MAX_HEADERS - 5) + b"b: " + b"x" * 60_000 + b"\r\n"
        said = exchange(
            url,
            head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(QUESTION) + QUESTION,
        )
    assert said.startswith(b"HTTP/1.1 200")


def test_requests_after_another_have_a_head_each() -> None:
    """What was counted for one request is not held against the next on the same connection."""
    question = REQUEST + b"b: " + b"x" * 40_000 + b"\r\nContent-Length: %d\r\n" % len(QUESTION)
    with serving(create_app(massgen_of({"a": Model()}))) as url:
        said = exchange(
            url,
            question + b"\r\n" + QUESTION,
            question + b"\r\n" + QUESTION,
            question + b"Connection: close\r\n\r\n" + QUESTION,
        )
    assert said.count(b"HTTP/1.1 200") == 3


@pytest.mark.parametrize("pieces", [[b"GET "], [REQUEST], [REQUEST, b"a: b\r\n"]])
def test_a_head_that_does_not_go_on_is_told_so(pieces: list[bytes]) -> None:
    with serving(create_app(massgen_of({"a": Model()})), http=Hasty) as url:
        status, error = reply_of(exchange(url, *pieces))
    assert (status, error["code"]) == (408, "request_timeout")


def test_a_connection_that_says_nothing_is_closed() -> None:
    with serving(create_app(massgen_of({"a": Model()})), http=Hasty) as url:
        assert exchange(url) == b""


def test_what_is_no_http_gets_an_error_in_openais_shape() -> None:
    with serving(create_app(massgen_of({"a": Model()}))) as url:
        status, error = reply_of(exchange(url, b"\x16\x03\x01\x02\x00\x01\x00 hello\r\n\r\n"))
    assert status == 400
    assert error["type"] == "invalid_request_error"


def test_a_slow_run_is_none_of_the_heads_business() -> None:
    """The time for a head ends with the head: a run may take longer."""
    with serving(create_app(massgen_of({"a": Model()})), http=Hasty) as url:
        parts = urlsplit(url)
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as slow:
            head = REQUEST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(QUESTION)
            slow.sendall(head + QUESTION[:5])
            assert exchange(url) == b""  # another connection outlasts its time meanwhile
            assert told(slow, [QUESTION[5:]]).startswith(b"HTTP/1.1 200")


KEY = "a-key-of-this-server"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
BETWEEN = {
    "a trailer without an end": b"0\r\na: ",
    "trailers without an end": b"0\r\n",
    "an extension of a chunk without an end": b"2;a=",
}


@pytest.mark.parametrize("key", [KEY, ""], ids=["with a key", "without a key"])
@pytest.mark.parametrize("begin", BETWEEN.values(), ids=BETWEEN)
def test_what_is_no_body_does_not_pile_up_behind_it(begin: bytes, key: str) -> None:
    """No app sees it, and httptools keeps it all."""
    model = Model()
    endless = b"a: b\r\n" * 10_000 if begin == b"0\r\n" else b"x" * 65536
    authorization = b"Authorization: Bearer %s\r\n" % key.encode() if key else b""
    with serving(create_app(massgen_of({"a": model}), api_keys=[KEY])) as url:
        said = exchange(url, REQUEST, authorization, CHUNKED, begin, *[endless] * 4)
    assert said[:12] in ({b"", b"HTTP/1.1 401"} if not key else {b""})
    assert not model.requests


def test_trailers_of_a_body_are_passed_over() -> None:
    body = b"%x\r\n%s\r\n0\r\nDigest: abc\r\n\r\n" % (len(QUESTION), QUESTION)
    with serving(create_app(massgen_of({"a": Model()}))) as url:
        said = exchange(url, REQUEST, b"Connection: close\r\n", CHUNKED, body)
    assert said.startswith(b"HTTP/1.1 200")


def test_a_body_in_chunks_without_an_end_is_too_large() -> None:
    app = create_app(massgen_of({"a": Model()}), max_body_bytes=100_000)
    chunk = b"10000\r\n%s\r\n" % (b" " * 65536)
    with serving(app) as url:
        said = exchange(url, REQUEST, b"Connection: close\r\n", CHUNKED, *[chunk] * 8)
    status, error = reply_of(said)
    assert (status, error["type"]) == (413, "invalid_request_error")


def test_a_body_that_goes_on_after_its_answer_has_to_end_soon() -> None:
    """The pieces come before uvicorn's own timeout for idle connections, and go on for ever."""
    app = create_app(massgen_of({"a": Model()}), api_keys=[KEY])
    with serving(app, http=Hasty) as url:
        parts = urlsplit(url)
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as slow:
            slow.sendall(REQUEST + b"Content-Length: 1000000000\r\n\r\n")
            assert slow.recv(65536).startswith(b"HTTP/1.1 401")
            with pytest.raises(ConnectionError):
                send_for_ever(slow, b" " * 1000)


UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"


@pytest.mark.parametrize("path", [b"/v1/chat/completions", b"/v1/models", b"/health", b"/nope"])
def test_a_websocket_is_not_let_in(path: bytes) -> None:
    """It is taken for the plain request that it is otherwise."""
    app = create_app(massgen_of({"a": Model()}), api_keys=[KEY])
    nonce = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    with serving(app) as url:
        parts = urlsplit(url)
        with socket.create_connection(
            (parts.hostname or "", parts.port or 0), timeout=20
        ) as client:
            client.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n%s%s\r\n" % (path, UPGRADE, nonce))
            said = client.recv(65536)
    assert said.startswith(b"HTTP/1.1 200" if path == b"/health" else b"HTTP/1.1 401")


@pytest.mark.anyio
@pytest.mark.parametrize("key", [KEY, ""], ids=["with a key", "without a key"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/health", "/nope"])
async def test_a_server_that_has_websockets_gets_a_refusal_of_them(path: str, key: str) -> None:
    app = create_app(massgen_of({"a": Model()}), api_keys=[KEY])
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", b"Bearer " + key.encode())] if key else []
    scope = {"type": "websocket", "path": path, "headers": headers}
    scope |= {"extensions": {"websocket.http.response": {}}, "query_string": b""}
    await app(scope, receive, send)
    refused = {"websocket.close", "websocket.http.response.start", "websocket.http.response.body"}
    assert sent
    assert {each["type"] for each in sent} <= refused
    assert key or path == "/health" or sent[0]["status"] == 401


def test_a_body_that_does_not_go_on_is_told_so() -> None:
    model = Model()
    app = create_app(massgen_of({"a": model}), body_seconds=0.2)
    with serving(app) as url:
        said = exchange(url, REQUEST + b"Content-Length: 1000\r\n\r\n" + QUESTION)
    status, error = reply_of(said)
    assert (status, error["code"]) == (408, "request_timeout")
    assert "body" in error["message"]
    assert not model.requests


@pytest.mark.parametrize("setting", [{"body_seconds": 0.0}, {"max_body_bytes": 0}])
def test_limits_that_let_nothing_in_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        create_app(massgen_of({"a": Model()}), **setting)
