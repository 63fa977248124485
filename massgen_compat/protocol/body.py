"""JSON bodies, in and out.

``pydantic_core`` parses and writes them: against ``json`` it bounds the depth by itself (200
levels, so 100 000 brackets cost microseconds), refuses ``NaN``, lone surrogates and broken UTF-8,
and is faster in both directions.
"""

import codecs
import json
from collections.abc import Mapping
from typing import Any, cast

from pydantic_core import PydanticSerializationError, from_json, to_json

from massgen_compat.errors import InvalidRequest
from massgen_compat.protocol.text import encodable, shorten

_UNPARSABLE = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using "
    "your HTTP library correctly. The API expects a JSON payload, but what was sent was not valid "
    "JSON: {reason}.)"
)


def decode(raw: bytes) -> dict[str, Any]:
    """The JSON object in the body of a request; of a repeated key the last value counts.

    Raises ``InvalidRequest`` for anything else: broken JSON, another type, nesting over 200
    levels, ``NaN`` and ``Infinity``, numbers of more than 4300 digits, lone surrogates.
    """
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


def _reason(problem: str) -> str:
    """What is wrong, from the parser's message, which names a place and never the text there."""
    if "recursion limit" in problem:
        return "the body is nested too deeply"
    if "unicode" in problem or "hex escape" in problem or "surrogate" in problem:
        return "a string is not valid Unicode (a lone surrogate or broken UTF-8)"
    return shorten(problem, 100)


def encode(value: Mapping[str, Any]) -> bytes:
    """The value as one line of JSON in UTF-8.

    Line separators that are no line ends in JSON are escaped, because clients that read streams
    with ``str.splitlines`` break at them; lone surrogates, which have no UTF-8, become U+FFFD.
    """
    try:
        line = to_json(value)
    except PydanticSerializationError:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        line = encodable(text).encode()
    if b"\xe2\x80" in line or b"\xc2\x85" in line:
        line = (
            line.replace(b"\xe2\x80\xa8", b"\\u2028")
            .replace(b"\xe2\x80\xa9", b"\\u2029")
            .replace(b"\xc2\x85", b"\\u0085")
        )
    return line
