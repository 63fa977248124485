"""JSON bodies, in and out.

``pydantic_core`` parses and writes them: against ``json`` it bounds the depth by itself (200
levels, so 100 000 brackets cost microseconds), refuses ``NaN``, lone surrogates and broken UTF-8,
and is faster in both directions.
"""

import codecs
import json
from collections.abc import Mapping
from typing import Any, Final, cast

from pydantic_core import PydanticSerializationError, from_json, to_json

from massgen_compat.errors import InvalidRequest
from massgen_compat.protocol.text import encodable, shorten

MAX_NESTS: Final = 50_000
MAX_VALUES: Final = 500_000
"""Arrays and objects, and values in all. The parser holds the interpreter's lock while it works,
and the garbage collector walks what it makes: so many cost it some 20 ms."""

_BLOCK: Final = 1 << 18

_UNPARSABLE = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using "
    "your HTTP library correctly. The API expects a JSON payload, but what was sent was not valid "
    "JSON: {reason}.)"
)


def decode(raw: bytes) -> dict[str, Any]:
    """The JSON object in the body of a request; of a repeated key the last value counts.

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
    """Whether there are more values than allowed; what stands in strings does not count."""
    if _within(raw):
        return False
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
    """What is wrong, from the parser's message, which names a place and never the text there."""
    if "recursion limit" in problem:
        return "the body is nested too deeply"
    if "unicode" in problem or "hex escape" in problem or "surrogate" in problem:
        return "a string is not valid Unicode (a lone surrogate or broken UTF-8)"
    return shorten(problem, 100)


def encode(value: Mapping[str, Any] | str) -> bytes:
    """The value as one line of JSON in UTF-8.

    Line separators that are no line ends in JSON are escaped, because clients that read streams
    with ``str.splitlines`` break at them; lone surrogates, which have no UTF-8, become U+FFFD.
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
