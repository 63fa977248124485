"""Formats of the final message: what fits, what is refused, and that no check runs away."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_compat._run.message import OutputFormat
from massgen_compat._run.output_format import (
    MAX_SCHEMA_DEPTH,
    fault,
    parameter,
    schema_fault,
    unfenced,
)

PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": "^[A-Z]"},
        "friends": {"type": "array", "items": {"$ref": "#/$defs/friend"}},
    },
    "required": ["name", "friends"],
    "additionalProperties": False,
    "$defs": {"friend": {"type": "integer"}},
}
ANY = OutputFormat()
WANTED = OutputFormat(name="person", schema=PERSON, strict=True)


@pytest.mark.parametrize(
    ("wanted", "text", "says"),
    [
        (ANY, "{}", None),
        (ANY, ' {"a": [1, null]}\n', None),
        (ANY, "[1]", "not a JSON object"),
        (ANY, "hello", "not valid JSON"),
        (ANY, '{"a": NaN}', "not valid JSON"),
        (ANY, "[" * 100_000, "not valid JSON"),
        (WANTED, '{"name": "Ada", "friends": [1]}', None),
        (WANTED, '{"name": "ada", "friends": []}', "does not match"),
        (WANTED, '{"name": "Ada"}', "'friends' is a required property"),
        (WANTED, '{"name": "Ada", "friends": ["x"]}', "['friends'][0]"),
        (WANTED, '{"name": "Ada", "friends": [], "x": 1}', "Additional properties"),
    ],
)
def test_a_text_has_the_format_or_one_sentence_says_why_not(
    wanted: OutputFormat, text: str, says: str | None
) -> None:
    found = fault(wanted, text)
    if says is None:
        assert found is None
    else:
        assert found
        assert says in found
        assert len(found) <= 330


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("```json\n{}\n```", "{}"),
        ("  ```\n[1,\n2]\n```\n", "[1,\n2]"),
        ("{}", "{}"),
        ("Here: ```json\n{}\n```", "Here: ```json\n{}\n```"),
    ],
)
def test_a_fence_around_everything_is_taken_off(text: str, inside: str) -> None:
    assert unfenced(text) == inside


def bomb(depth: int) -> dict[str, Any]:
    levels = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n - 1}"}] * 2} for n in range(1, depth + 1)}
    return {"$defs": {"a0": {"type": "object"}, **levels}, "$ref": f"#/$defs/a{depth}"}


@pytest.mark.parametrize("schema", [bomb(40), {"$ref": "#"}], ids=["doubling", "circular"])
def test_a_check_that_would_never_end_is_a_fault(schema: dict[str, Any]) -> None:
    assert (
        fault(OutputFormat(schema=schema), "{}") == "it takes too long to check against the schema"
    )


def test_a_pattern_runs_in_linear_time() -> None:
    evil = OutputFormat(schema={"type": "string", "pattern": "^(a+)+$"})
    assert "does not match" in str(fault(evil, json.dumps("a" * 5000 + "!")))


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {"items": schema}
    return schema


SCHEMAS: list[tuple[dict[str, Any], str | None]] = [
    (PERSON, None),
    ({"type": "objekt"}, "'objekt' is not valid"),
    ({"$ref": "http://example.test/schema"}, "does not lead to a definition"),
    ({"$ref": "file:///etc/passwd"}, "does not lead to a definition"),
    ({"$ref": "#/$defs/nobody"}, "does not lead to a definition"),
    ({"$id": "http://example.test/"}, "'$id' is not permitted"),
    ({"properties": {"a": {"pattern": "(?=x)"}}}, "is not supported"),
    ({"pattern": "a" * 1001}, "longer than 1000 characters"),
    ({"type": [{"a": n} for n in range(9000)]}, "other things than strings"),
    ({"dependentRequired": {"a": [[], "b"]}}, "other things than strings"),
    ({"patternProperties": {}}, "'patternProperties' is not permitted"),
    ({"properties": {"patternProperties": {"type": "string"}}}, None),
    ({"enum": [{"$ref": "just data"}]}, None),
    (nested(MAX_SCHEMA_DEPTH + 1), "nested too deeply"),
    ({"enum": []}, None),
    ({"properties": dict.fromkeys(map(str, range(30_000)), True)}, None),
    ({"items": {"allOf": [{"type": "string"}] * 30_000}}, "too large"),
]


@pytest.mark.parametrize(
    ("schema", "says"),
    SCHEMAS,
    ids=lambda value: str(value)[:40],
)
def test_a_schema_can_be_used_or_one_sentence_says_why_not(
    schema: dict[str, Any], says: str | None
) -> None:
    found = schema_fault(schema, strict=False)
    assert (found is None) if says is None else (says in str(found))


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (PERSON, None),
        ({"type": "array"}, """schema must be a JSON Schema of 'type: "object"'"""),
        ({"type": "object"}, "In context=(), 'additionalProperties' is required"),
        (
            {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
            "Missing 'a'.",
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "object"}},
                "required": ["a"],
                "additionalProperties": False,
            },
            "In context=('properties', 'a'), 'additionalProperties' is required",
        ),
    ],
)
def test_strict_asks_what_openai_asks(schema: dict[str, Any], says: str | None) -> None:
    found = schema_fault(schema, strict=True)
    assert (found is None) if says is None else (says in str(found))


def test_a_format_is_a_parameter_of_chat_completions() -> None:
    assert parameter(ANY) == {"type": "json_object"}
    assert parameter(WANTED) == {
        "type": "json_schema",
        "json_schema": {"name": "person", "schema": PERSON, "strict": True},
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)
KEYWORDS = st.sampled_from(
    ["type", "properties", "items", "$ref", "allOf", "pattern", "required", "enum", "minimum"]
)


@given(st.dictionaries(KEYWORDS, JSON), st.booleans(), JSON)
def test_any_schema_is_judged_and_any_text_checked(
    schema: dict[str, Any],
    strict: Any,
    value: object,
) -> None:
    if schema_fault(schema, strict=strict) is None:
        fault(OutputFormat(schema=schema), json.dumps(value))
