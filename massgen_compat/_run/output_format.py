"""Checks whether a message has the format that was asked for, and whether a schema is one. Pure.

Schemas come from clients and texts from models. A check must therefore not take long, and must not
open files or connections: patterns run on an engine with linear time (Rust's, through pydantic),
references stay within the schema, and the work of a check is counted and bounded.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any, Final, cast

from pydantic_core import SchemaError as PatternError
from pydantic_core import SchemaValidator, core_schema

from massgen_compat._run.message import Json, OutputFormat

MAX_SCHEMA_NODES: Final = 10_000
MAX_SCHEMA_DEPTH: Final = 64
MAX_PATTERN: Final = 1000
"""Characters. OpenAI's own bound for a pattern is not known."""

MAX_STEPS: Final = 100_000
"""How many keywords one check may evaluate. Alternatives that refer to each other multiply."""

LONGEST_FAULT: Final = 300

_FENCED: Final = re.compile(r"\s*```[a-zA-Z]*\n(.*)\n\s*```\s*", re.DOTALL)
_REFERENCES: Final = ("$ref", "$dynamicRef")
_REFUSED: Final = {
    "patternProperties": "list the keys under 'properties'",
    "$id": "refer to definitions of the schema with '#/$defs/…'",
    "$anchor": "refer to definitions of the schema with '#/$defs/…'",
    "$dynamicAnchor": "refer to definitions of the schema with '#/$defs/…'",
}
_NAMED: Final = frozenset({"properties", "$defs", "definitions", "dependentSchemas"})
"""Keywords whose value maps names, which are no keywords, to schemas."""
_DATA: Final = frozenset({"const", "enum", "default", "examples"})


class _TooCostlyError(Exception):
    pass


def parameter(wanted: OutputFormat) -> Json:
    """The format as the parameter ``response_format`` of Chat Completions."""
    if wanted.schema is None:
        return {"type": "json_object"}
    named: dict[str, Any] = {"name": wanted.name, "schema": wanted.schema, "strict": wanted.strict}
    if wanted.description is not None:
        named["description"] = wanted.description
    return {"type": "json_schema", "json_schema": named}


def unfenced(text: str) -> str:
    """The text without the Markdown fence that some models put around all of their JSON."""
    found = _FENCED.fullmatch(text)
    return found[1] if found else text


def fault(wanted: OutputFormat, text: str) -> str | None:
    """Why the text does not have the format, in one sentence; ``None`` if it has it."""
    try:
        value: object = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        return _short(f"it is not valid JSON: {error}")
    if wanted.schema is None:
        return None if isinstance(value, dict) else "it is not a JSON object"
    try:
        return _schema_fault(wanted.schema, value)
    except (_TooCostlyError, RecursionError):
        return "it takes too long to check against the schema"


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _schema_fault(schema: Json, value: object) -> str | None:
    from referencing import Registry  # noqa: PLC0415 - as jsonschema

    registry: Registry[Any] = Registry()  # an empty one, so that no reference is ever fetched
    errors = _bounded_validator()(dict(schema), registry=registry).iter_errors(value)
    error = _jsonschema().exceptions.best_match(errors)
    if error is None:
        return None
    place = "".join(f"[{step!r}]" for step in error.absolute_path)
    return _short(f"{place or 'the whole'}: {error.message}")


def _jsonschema() -> Any:
    """The library, imported late: it takes 20 ms, and few requests need it."""
    return import_module("jsonschema")


def _bounded_validator() -> Any:
    """The validator of JSON Schema 2020-12, for one check of at most ``MAX_STEPS`` keywords."""
    library = _jsonschema()
    steps = iter(range(MAX_STEPS))

    def counted(keyword: Callable[..., Any]) -> Callable[..., Any]:
        def checked(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
            if next(steps, None) is None:
                raise _TooCostlyError
            return keyword(validator, value, instance, schema)

        return checked

    base = library.Draft202012Validator
    keywords: Mapping[str, Callable[..., Any]] = base.VALIDATORS
    bounded = {name: counted(keyword) for name, keyword in keywords.items()}
    return library.validators.extend(base, {**bounded, "pattern": counted(_pattern)})


def _pattern(validator: Any, pattern: str, instance: object, _schema: object) -> Iterator[Any]:
    if validator.is_type(instance, "string") and not _regex(pattern).isinstance_python(instance):
        yield _jsonschema().ValidationError(f"{instance!r} does not match {pattern!r}")


@lru_cache(maxsize=256)
def _regex(pattern: str) -> SchemaValidator:
    return SchemaValidator(core_schema.str_schema(pattern=pattern))


# Schemas


def schema_fault(schema: Json, *, strict: bool) -> str | None:
    """What is wrong with the schema of a request; ``None`` for nothing.

    ``strict`` adds the demands of OpenAI's strict mode. The words are those of OpenAI's API, where
    they are known.
    """
    for count, (place, node) in enumerate(_nodes(schema, (), 0)):
        if count > MAX_SCHEMA_NODES or len(place) > MAX_SCHEMA_DEPTH:
            return "the schema is too large or nested too deeply."
        problem = _keyword_fault(node, schema) or (_strict_fault(node) if strict else None)
        if problem:
            return f"In context=({', '.join(map(repr, place))}), {problem}"
    if strict and schema.get("type") != "object":
        given = json.dumps(schema.get("type"))
        return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: {given}'."
    return _invalid(schema)


def _nodes(
    node: object, place: tuple[str, ...], depth: int
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Every subschema, with its place. Data (``enum``, ``const``, …) holds no subschemas."""
    if depth > MAX_SCHEMA_DEPTH:
        yield (*place, *[""] * MAX_SCHEMA_DEPTH), {}
    elif isinstance(node, list):
        for index, each in enumerate(cast("Sequence[object]", node)):
            yield from _nodes(each, (*place, str(index)), depth + 1)
    elif isinstance(node, Mapping):
        schema = cast("Mapping[str, Any]", node)
        yield place, schema
        for key, value in schema.items():
            if key in _NAMED and isinstance(value, Mapping):
                for name, each in cast("Mapping[str, object]", value).items():
                    yield from _nodes(each, (*place, key, str(name)), depth + 1)
            elif key not in _DATA:
                yield from _nodes(value, (*place, key), depth + 1)


def _keyword_fault(node: Mapping[str, Any], root: Json) -> str | None:
    for keyword, instead in _REFUSED.items():
        if keyword in node:
            return f"'{keyword}' is not permitted; {instead}."
    if keyword := next((key for key in ("type", "required") if _is_mixed(node.get(key))), None):
        return f"'{keyword}' is a list of other things than strings."
    if any(map(_is_mixed, _values(node.get("dependentRequired")))):
        return "'dependentRequired' has a list of other things than strings."
    for keyword in _REFERENCES:
        if keyword in node and not _resolves(node[keyword], root):
            return f"reference {_short(repr(node[keyword]))} does not lead to a definition."
    pattern = node.get("pattern")
    if isinstance(pattern, str) and len(pattern) > MAX_PATTERN:
        return f"'pattern' is longer than {MAX_PATTERN} characters."
    if isinstance(pattern, str):
        try:
            _regex(pattern)
        except PatternError:
            return (
                f"pattern {_short(repr(pattern))} is not supported; look-around and "
                "back-references cannot be used."
            )
    return None


def _is_mixed(value: object) -> bool:
    """Whether this is a list with other items than strings.

    jsonschema looks for repeated items in such a list, which takes very long for some values.
    """
    return isinstance(value, list) and not all(
        isinstance(item, str) for item in cast("Sequence[object]", value)
    )


def _values(value: object) -> Iterable[object]:
    return cast("Mapping[str, object]", value).values() if isinstance(value, Mapping) else ()


def _resolves(reference: object, root: Json) -> bool:
    """Whether a reference leads to a place within the schema."""
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        return False
    node: object = root
    for step in reference.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(node, list) and key.isascii() and key.isdigit():
            items = cast("Sequence[object]", node)
            node = items[int(key)] if int(key) < len(items) else None
        else:
            node = (
                cast("Mapping[str, object]", node).get(key) if isinstance(node, Mapping) else None
            )
    return isinstance(node, Mapping | bool)


def _strict_fault(node: Mapping[str, Any]) -> str | None:
    """What an object lacks for ``strict: true``, by OpenAI's guide to structured outputs."""
    kind = node.get("type")
    if kind != "object" and not (isinstance(kind, list) and "object" in kind):
        return None
    if node.get("additionalProperties") is not False:
        return "'additionalProperties' is required to be supplied and to be false."
    properties = node.get("properties")
    named = (
        set(cast("Mapping[str, object]", properties))
        if isinstance(properties, Mapping)
        else set[str]()
    )
    required = node.get("required")
    listed = (
        set(map(str, cast("Sequence[object]", required)))
        if isinstance(required, list)
        else set[str]()
    )
    if missing := sorted(named - listed):
        return (
            "'required' is required to be supplied and to be an array including every key in "
            f"properties. Missing '{_short(missing[0])}'."
        )
    return None


def _invalid(schema: Json) -> str | None:
    library = _jsonschema()
    try:
        library.Draft202012Validator.check_schema(dict(schema))
    except library.SchemaError as error:
        place = "".join(f"[{step!r}]" for step in error.absolute_path)
        return _short(f"{place or 'the schema'}: {error.message}")
    return None


def _short(text: str) -> str:
    """The text on one line, without its middle if it is long.

    The end has to stay: jsonschema's messages begin with the value, and that can be long.
    """
    line = " ".join(text.split())
    if len(line) <= LONGEST_FAULT:
        return line
    return f"{line[: LONGEST_FAULT // 3]} … {line[-LONGEST_FAULT // 2 :]}"
