"""Bytes to payloads: the rules of event streams, and no dependence on how the bytes were cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_compat._upstream.reader import Payloads
from massgen_compat.errors import UpstreamMalformed


def payloads(*chunks: bytes, limit: int = 1000) -> list[bytes]:
    reader = Payloads(max_event_bytes=limit)
    found = [payload for chunk in chunks for payload in reader.feed(chunk)]
    return [*found, *reader.close()]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b": ping\n\ndata: a\n: ping\n\n", [b"a"]),
        (b"event: x\nid: 1\nretry: 5\ndata: a\n\n", [b"a"]),
        (b"event: x\n\n", []),
        (b"data:\n\n", []),
        (b"data\n\n", []),
        (b"database: a\n\n", []),
        (b"\n\n\ndata: a\n\n", [b"a"]),
        (b"data: a\n\ndata: cut\n", [b"a"]),
        (b"data: a\n\ndata: cut", [b"a"]),
        (b"", []),
        (b'{"a":\n\n 1}', [b'{"a":\n\n 1}']),
        (b'\xef\xbb\xbf{"a": 1}', [b'{"a": 1}']),
        (b' \r\n{"a": 1}\n', [b' \r\n{"a": 1}\n']),
    ],
)
def test_a_body_is_read_by_the_rules(body: bytes, expected: list[bytes]) -> None:
    assert payloads(body) == expected
    assert payloads(*(bytes([byte]) for byte in body)) == expected


@given(
    st.lists(
        st.sampled_from(
            [b"data: ", b"data", b":", b"\n", b"\r\n", b"\r", b"{", "é".encode(), b"x"]
        ),
        max_size=40,
    ).map(b"".join),
    st.lists(st.integers(0, 120), max_size=8),
)
def test_cuts_make_no_difference(body: bytes, cuts: list[int]) -> None:
    places = sorted({0, *(cut for cut in cuts if cut < len(body)), len(body)})
    pieces = [body[a:b] for a, b in pairwise(places)]
    assert payloads(*pieces) == payloads(body)


@pytest.mark.parametrize(
    "chunks",
    [
        [b"data: " + b"x" * 2000],
        [b"data: " + b"x" * 2000 + b"\n\n"],
        [b"data: ", *[b"x" * 100] * 20],
        [b"data: " + b"x" * 90 + b"\n"] * 20,
        [b": " + b"x" * 2000],
        [b'{"a": "', *[b"x" * 100] * 20],
        [b" " * 600, b" " * 600],
    ],
)
def test_an_event_or_a_body_has_a_limit(chunks: list[bytes]) -> None:
    with pytest.raises(UpstreamMalformed, match="more than 1000 bytes"):
        payloads(*chunks)


def test_a_stream_has_no_limit() -> None:
    assert len(payloads(*[b"data: " + b"x" * 500 + b"\n\n"] * 10)) == 10
