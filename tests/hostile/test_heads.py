"""Heads and bodies that are too large, too many or too slow, over raw sockets."""

import json
import socket
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import pytest

from massgen_compat.asgi import create_app
from massgen_compat.cli.heads import MAX_HEAD_BYTES, MAX_HEADERS, BoundedHead
from massgen_compat.cli.server import serving
from tests.fakes import Model
from tests.test_server import massgen_of

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
