"""JSON bodies: hostile ones are refused with one clear message, ours never fail to encode."""

import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_compat.errors import InvalidRequest
from massgen_compat.protocol import body, sse
from massgen_compat.protocol.answer import WireEvent
from massgen_compat.protocol.chat.answer import DONE

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@dataclass(frozen=True)
class Hostile:
    name: str
    raw: bytes
    reason: str


HOSTILE = [
    Hostile("nothing", b"", "EOF while parsing"),
    Hostile("no JSON", b"model=x", "expected value at line 1 column 1"),
    Hostile("a missing comma", b'{"a": 1 "b": 2}', "expected `,` or `}`"),
    Hostile("an array", b"[]", "has to be an object"),
    Hostile("a string", b'"x"', "has to be an object"),
    Hostile("null", b"null", "has to be an object"),
    Hostile("NaN", b'{"temperature": NaN}', "expected value"),
    Hostile("Infinity", b'{"temperature": Infinity}', "expected value"),
    Hostile("-Infinity", b'{"temperature": -Infinity}', "invalid number"),
    Hostile("100 000 arrays", b'{"a":' + b"[" * 100_000, "nested too deeply"),
    Hostile("100 000 objects", b'{"a":' * 100_000, "nested too deeply"),
    Hostile("many objects", b'{"a":[' + b"{}," * 50_000 + b"{}]}", "too many values"),
    Hostile("many numbers", b'{"a":[' + b"1," * 500_000 + b"1]}", "too many values"),
    Hostile("a huge integer", b'{"seed": ' + b"9" * 5000 + b"}", "out of range"),
    Hostile("an escaped lone surrogate", b'{"model": "\\ud800"}', "not valid Unicode"),
    Hostile("a reversed pair", b'{"model": "\\udc00\\ud800"}', "not valid Unicode"),
    Hostile("an encoded surrogate", b'{"model": "\xed\xa0\x80"}', "not valid Unicode"),
    Hostile("broken UTF-8", b'{"model": "\xff"}', "not valid Unicode"),
    Hostile("UTF-16", '{"model": "x"}'.encode("utf-16"), "expected value"),
    Hostile("a raw control character", b'{"model": "\x00"}', "control character"),
    Hostile("something after it", b"{} {}", "trailing characters"),
]


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case.name)
def test_a_body_that_is_no_json_object_is_refused_with_a_reason(case: Hostile) -> None:
    with pytest.raises(InvalidRequest, match=case.reason) as caught:
        body.decode(case.raw)
    assert caught.value.message.startswith("We could not parse the JSON body of your request.")
    assert (caught.value.param, caught.value.code) == (None, None)
    assert len(caught.value.message) < 500


def test_the_refusal_of_a_body_echoes_nothing_of_it() -> None:
    with pytest.raises(InvalidRequest) as caught:
        body.decode(b'{"api_key": "sk-secret", broken}')
    assert "sk-secret" not in caught.value.message


def test_a_byte_order_mark_and_a_repeated_key_are_tolerated() -> None:
    assert body.decode(b'\xef\xbb\xbf{"a": 1, "a": 2}') == {"a": 2}


def test_an_escaped_nul_is_a_character_like_any_other() -> None:
    assert body.decode(b'{"a": "\\u0000"}') == {"a": "\x00"}


@pytest.mark.parametrize("text", ["[" * 200_000, ",{" * 300_000, '"[\\' * 100_000, "x" * (1 << 18)])
def test_what_stands_in_a_string_is_no_value(text: str) -> None:
    value = {"a": [text, 1, text], "b": '[{,"'}
    assert body.decode(json.dumps(value).encode()) == value


@given(st.binary())
def test_bytes_are_decoded_or_refused(raw: bytes) -> None:
    try:
        body.decode(raw)
    except InvalidRequest:
        return


@given(st.dictionaries(st.text(), JSON))
def test_what_is_encoded_decodes_to_the_same_value(value: dict[str, object]) -> None:
    assert json.loads(body.encode(value)) == value


@given(st.text(st.characters(categories=["L", "Zl", "Zp", "Zs", "Cc", "Cs"])))
def test_an_event_is_one_line_of_utf8_for_every_way_to_split_lines(text: str) -> None:
    event = sse.frame(WireEvent("", body.encode({"text": text}))).decode("utf-8")
    assert event.startswith("data: {")
    assert event.endswith("}\n\n")
    assert len(event.splitlines()) == 2


def test_a_lone_surrogate_becomes_a_replacement_character_and_a_pair_its_character() -> None:
    encoded = body.encode({"lone": "a\ud800b", "pair": "\ud83d\ude00", "umlaut": "ü"})
    assert json.loads(encoded) == {"lone": "a\ufffdb", "pair": "😀", "umlaut": "ü"}


def test_the_last_event_of_a_chat_stream_is_done() -> None:
    assert sse.frames(DONE) == b"data: [DONE]\n\n"


def test_a_named_event_has_its_name_before_its_data() -> None:
    named = [WireEvent("response.created", b"{}"), WireEvent("", b"{}")]
    assert sse.frames(named) == b"event: response.created\ndata: {}\n\ndata: {}\n\n"
