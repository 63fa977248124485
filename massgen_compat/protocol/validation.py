"""Turns a pydantic ``ValidationError`` into one ``InvalidRequest`` in the real API's words.

Only the first fault is reported, with a path like ``messages[0].content[1].type``. The sentences
are OpenAI's, as far as recordings and public reports have them. Values of a request are shortened
before they are put into a message.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from massgen_compat.errors import InvalidRequest
from massgen_compat.protocol.body import shorten
from massgen_compat.protocol.options import nearest_option

ECHO_LIMIT: Final = 100
"""How many characters of a request's value an error shows."""

_Location: TypeAlias = tuple[int | str, ...]

_EXPECTED: Final[Mapping[str, str]] = {
    "string_type": "a string",
    "int_type": "an integer",
    "float_type": "a decimal",
    "bool_type": "a boolean",
    "dict_type": "an object",
    "model_type": "an object",
    "list_type": "an array of objects",
    "finite_number": "a finite decimal",
}
_EXPECTED_AT: Final[Mapping[str, str]] = {
    "metadata": "a metadata object",
    "functions": "an array of function definitions",
    "modalities": "an array of strings",
}
_BOUNDS: Final[Mapping[str, tuple[str, str, str]]] = {
    "greater_than_equal": ("ge", "below minimum", ">="),
    "less_than_equal": ("le", "above maximum", "<="),
}


def first_fault(error: ValidationError) -> InvalidRequest:
    """The first fault that pydantic found, as an error for the caller to raise."""
    fault = error.errors(include_url=False)[0]
    return _size_fault(fault) or _kind_fault(fault) or _type_fault(fault)


def _size_fault(fault: ErrorDetails) -> InvalidRequest | None:
    """A value that is too small, too large, too short or too long."""
    param, value, context = path(fault["loc"]), fault["input"], fault.get("ctx", {})
    match fault["type"]:
        case "greater_than_equal" | "less_than_equal" as kind:
            return _out_of_range(param, kind, value, context)
        case "too_short":
            return _empty(param, "array")
        case "string_too_short":
            return _empty(param, "string")
        case "too_long":
            return _too_long(param, "array", context["max_length"], context["actual_length"])
        case "string_too_long":
            return _string_too_long(fault["loc"], context["max_length"], value)
        case "too_many_properties":
            return _too_many(param, context["limit"], len(value))
        case _:
            return None


def _kind_fault(fault: ErrorDetails) -> InvalidRequest | None:
    """A value that is missing, unknown, or none of the variants that its place allows."""
    param, value, message = path(fault["loc"]), fault["input"], fault["msg"]
    match fault["type"]:
        case "missing":
            return missing(param)
        case "no_variant":
            return _no_variant(param, value, *message.split(" "))
        case "no_type":
            return _wrong_type(param, message, value)
        case "literal_error":
            supported = re.findall(r"'([^']*)'", fault.get("ctx", {})["expected"])
            return _not_supported(param, value, supported)
        case "extra_forbidden":
            hint = nearest_option(param) or "."
            return _error(f"Unknown parameter: '{param}'{hint}", param, "unknown_parameter")
        case "unusable":
            return _error(f"Invalid value for '{param}': expected {message}.", param)
        case "string_pattern_mismatch":
            pattern = fault.get("ctx", {})["pattern"]
            return _error(
                f"Invalid '{param}': string does not match pattern. Expected a string that "
                f"matches the pattern '{pattern}'.",
                param,
            )
        case "string_unicode":
            return _error(f"Invalid '{param}': the string has a lone surrogate.", param)
        case _:
            return None


def _type_fault(fault: ErrorDetails) -> InvalidRequest:
    param = path(fault["loc"])
    expected = _EXPECTED_AT.get(param) or _EXPECTED.get(fault["type"], "another value")
    return _wrong_type(param, expected, fault["input"])


def path(location: Sequence[int | str]) -> str:
    """A location as the real API writes it: ``messages[0].content[1].text``."""
    written = ""
    for step in location:
        if isinstance(step, int):
            written += f"[{step}]"
        elif not step.startswith("~") and step != "[key]":
            written += f".{shorten(step, ECHO_LIMIT)}" if written else shorten(step, ECHO_LIMIT)
    return written


def missing(param: str) -> InvalidRequest:
    """The error for a required parameter that is absent."""
    return InvalidRequest(
        f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
    )


def too_long(param: str, limit: int, length: int) -> InvalidRequest:
    """The error for an array of more items than it may have."""
    return _too_long(param, "array", limit, length)


def _error(message: str, param: str, code: str = "invalid_value") -> InvalidRequest:
    return InvalidRequest(message, param=param, code=code)


def _no_variant(param: str, value: object, key: str, *supported: str) -> InvalidRequest:
    """An object of which the value of ``key`` is absent, or names none of the variants."""
    if not isinstance(value, Mapping):
        return _wrong_type(param, "an object", value)
    known = cast("Mapping[str, Any]", value)
    if key not in known:
        return missing(f"{param}.{key}")
    return _not_supported(f"{param}.{key}", known[key], supported)


def _not_supported(param: str, value: object, supported: Sequence[str]) -> InvalidRequest:
    names = [f"'{name}'" for name in supported]
    if not isinstance(value, str):
        return _wrong_type(param, _listed("one of ", names, "or"), value)
    listed = _listed("", names, "and")
    return _error(f"Invalid value: {_shown(value)}. Supported values are: {listed}.", param)


def _listed(prefix: str, names: Sequence[str], word: str) -> str:
    """``'a'``, ``'a' or 'b'``, ``'a', 'b', or 'c'``."""
    if len(names) == 1:
        return names[0]
    comma = "," if len(names) > 2 else ""
    return f"{prefix}{', '.join(names[:-1])}{comma} {word} {names[-1]}"


def _wrong_type(param: str, expected: str, value: object) -> InvalidRequest:
    message = (
        f"Invalid type for '{param}': expected {expected}, but got {type_name(value)} instead."
    )
    return InvalidRequest(message, param=param, code="invalid_type")


def type_name(value: object) -> str:
    """The JSON type of a value with its article, in the real API's words."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float():
            return "a decimal number"
        case str():
            return "a string"
        case list() | tuple():
            return "an array"
        case _:
            return "an object"


def _out_of_range(
    param: str, kind: str, value: object, context: Mapping[str, Any]
) -> InvalidRequest:
    key, side, sign = _BOUNDS[kind]
    bound: int | float = context[key]
    number = "decimal" if isinstance(bound, float) else "integer"
    limit = f"{bound:g}" if isinstance(bound, float) else str(bound)
    return InvalidRequest(
        f"Invalid '{param}': {number} {side} value. "
        f"Expected a value {sign} {limit}, but got {_shown(value)} instead.",
        param=param,
        code=f"{number}_{side.replace(' minimum', '_min').replace(' maximum', '_max')}_value",
    )


def _empty(param: str, noun: str) -> InvalidRequest:
    article = "an" if noun == "array" else "a"
    return InvalidRequest(
        f"Invalid '{param}': empty {noun}. Expected {article} {noun} with minimum length 1, but "
        f"got an empty {noun} instead.",
        param=param,
        code=f"empty_{noun}",
    )


def _too_long(param: str, noun: str, limit: int, length: int) -> InvalidRequest:
    article = "an" if noun == "array" else "a"
    return InvalidRequest(
        f"Invalid '{param}': {noun} too long. Expected {article} {noun} with maximum length "
        f"{limit}, but got {article} {noun} with length {length} instead.",
        param=param,
        code=f"{noun}_above_max_length",
    )


def _string_too_long(location: _Location, limit: int, value: str) -> InvalidRequest:
    if location[-1] != "[key]":
        return _too_long(path(location), "string", limit, len(value))
    return InvalidRequest(
        f"Invalid property name in '{path(location[:-2])}': '{value[:3]}...{value[-3:]}' is too "
        f"long. Expected a string with maximum length {limit}, but got a string with length "
        f"{len(value)} instead.",
        param=path(location),
        code="property_name_above_max_length",
    )


def _too_many(param: str, limit: int, size: int) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid '{param}': too many properties. Expected an object with at most {limit} "
        f"properties, but got an object with {size} properties instead.",
        param=param,
        code="object_above_max_properties",
    )


def _shown(value: object) -> str:
    match value:
        case str():
            return f"'{shorten(value, ECHO_LIMIT)}'"
        case int() if value.bit_length() > 256:
            return "a number of more than 256 bits"
        case _:
            return shorten(repr(value), ECHO_LIMIT)
