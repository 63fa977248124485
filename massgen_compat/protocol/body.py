"""JSON bodies, in and out, and text of others made fit to be shown.

``pydantic_core`` parses and writes JSON here, and not ``json``: it bounds the depth by itself (200
levels, so 100 000 brackets cost microseconds), it refuses ``NaN``, lone surrogates and broken
UTF-8, and it is faster in both directions.
"""

import codecs
import json
from collections.abc import Mapping
from typing import Any, Final, cast

from pydantic_core import PydanticSerializationError, from_json, to_json

from massgen_compat.errors import InvalidRequest

MAX_NESTS: Final = 50_000
MAX_VALUES: Final = 500_000
"""Bounds of a body: arrays and objects, and values of any kind. While the parser works, and while
the garbage collector walks what it has made, no other request is served; a body at these bounds
takes about 20 ms."""

_BLOCK: Final = 1 << 18

_UNPARSABLE = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using "
    "your HTTP library correctly. The API expects a JSON payload, but what was sent was not valid "
    "JSON: {reason}.)"
)


def decode(raw: bytes) -> dict[str, Any]:
    """The JSON object in the body of a request. Of a repeated key the last value counts.

    Raises ``InvalidRequest`` for anything else: broken JSON, another type, nesting over 200
    levels, more than ``MAX_NESTS`` arrays and objects or ``MAX_VALUES`` values, ``NaN`` and
    ``Infinity``, numbers of more than 4300 digits, lone surrogates.
    """
    if len(raw) > MAX_NESTS and _has_too_much(raw):
        raise InvalidRequest(
            _UNPARSABLE.format(reason="the body is nested too deeply or has too many values")
        )
    try:
        value = from_json(
            raw.removeprefix(codecs.BOM_UTF8), allow_inf_nan=False, cache_strings="keys"
        )
    except ValueError as error:
        reason = _reason(str(error))
        raise InvalidRequest(_UNPARSABLE.format(reason=reason)) from None
    if not isinstance(value, dict):
        raise InvalidRequest(_UNPARSABLE.format(reason="the body has to be an object"))
    return cast("dict[str, Any]", value)


def _has_too_much(raw: bytes) -> bool:
    """Whether there are more values than allowed. What stands in strings does not count."""
    if _within(raw):
        return False
    # Without escapes, every quote begins or ends a string.
    text = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    outside: list[bytes] = []
    in_string = False
    for start in range(0, len(text), _BLOCK):
        pieces = text[start : start + _BLOCK].split(b'"')
        outside.append(b"".join(pieces[in_string::2]))
        in_string ^= len(pieces) % 2 == 0
    return not _within(b"".join(outside))


def _within(raw: bytes) -> bool:
    return raw.count(b"[") + raw.count(b"{") <= MAX_NESTS and raw.count(b",") < MAX_VALUES


def _reason(problem: str) -> str:
    """What is wrong. The parser's message names a place and never quotes the text there."""
    if "recursion limit" in problem:
        return "the body is nested too deeply"
    if "unicode" in problem or "hex escape" in problem or "surrogate" in problem:
        return "a string is not valid Unicode (a lone surrogate or broken UTF-8)"
    return shorten(problem, 100)


def encode(value: Mapping[str, Any] | str) -> bytes:
    """The value as one line of JSON in UTF-8.

    U+2028, U+2029 and U+0085 are escaped: JSON allows them in strings, but clients that read
    streams with ``str.splitlines`` would break the line there. Lone surrogates, which UTF-8 cannot
    hold, become U+FFFD.
    """
    try:
        line = to_json(value)
    except PydanticSerializationError:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        line = encodable(text).encode()
    if not line.isascii() and (b"\xe2\x80" in line or b"\xc2\x85" in line):
        line = (
            line.replace(b"\xe2\x80\xa8", b"\\u2028")
            .replace(b"\xe2\x80\xa9", b"\\u2029")
            .replace(b"\xc2\x85", b"\\u0085")
        )
    return line


def encodable(text: str) -> str:
    """The text with lone surrogates replaced by U+FFFD, so that it always encodes as UTF-8."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def shorten(text: str, limit: int) -> str:
    """The text on one line, cut to ``limit`` characters, without unprintable ones.

    Only the beginning of a long text is looked at, so that its length costs nothing.
    """
    line = " ".join(encodable(text[: 4 * limit]).split())
    shown = "".join(character if character.isprintable() else "�" for character in line)
    if len(shown) <= limit and len(text) <= 4 * limit:
        return shown
    return shown[: limit - 1].rstrip() + "…"
