"""Rules 1.4.36, ``response_format``: what is asked for is what arrives, or an error does."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import jsonschema
import pytest

from massgen_compat._run.turn import Phase
from tests.conformance.exchange import Exchange
from tests.conformance.providers import corrigible
from tests.conformance.rules import Row, Rule, refusal, table
from tests.conformance.stage import ANSWER, HELLO, SCRIPTS, TOOLS, Stage, stage

AS_JSON = [{"role": "user", "content": "Why is the sky blue? Answer in JSON."}]
OBJECT = {"type": "json_object"}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"answer": {"type": "string"}, "sure": {"type": "boolean"}},
    "required": ["answer", "sure"],
    "additionalProperties": False,
}
RIGHT = {"answer": "It scatters.", "sure": True}


def schema(*, strict: object = True, **changes: object) -> dict[str, Any]:
    given = {key: value for key, value in {**SCHEMA, **changes}.items() if value is not None}
    return {"type": "json_schema", "json_schema": {"name": "a", "strict": strict, "schema": given}}


def is_json(value: object) -> Callable[[Exchange], None]:
    def check(answer: Exchange) -> None:
        assert answer.finish_reason == "stop"
        assert json.loads(answer.message["content"]) == value

    return check


def fits(answer: Exchange) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(answer.message["content"]))  # pyright: ignore[reportUnknownMemberType]
    assert answer.finish_reason == "stop"


def presented(answer: Exchange) -> int:
    """How often the final message was asked for."""
    return sum(asked.phase is Phase.PRESENT for asked in answer.asked)


def calls(answer: Exchange) -> None:
    assert answer.finish_reason == "tool_calls"


def is_refused(answer: Exchange) -> None:
    assert answer.message["refusal"] == "I cannot do that."
    assert answer.message["content"] is None


def asked_of_the_presenter_alone(answer: Exchange) -> None:
    for asked in answer.asked:
        wanted = asked.phase is Phase.PRESENT
        field = "response_format" if asked.api == "chat" else "text"
        assert (field in asked.body) == wanted
        if wanted and asked.api == "chat":
            assert asked.body[field]["json_schema"]["schema"] == SCHEMA


TEXT = Rule(
    section="1.4.36",
    source="spec",
    says="text asks for nothing",
    check=lambda answer: answer.message["content"] == ANSWER,
    params={"response_format": {"type": "text"}},
)
RULES = [
    Rule(
        section="1.4.36",
        source="spec",
        says="json_object is a JSON object",
        check=is_json(RIGHT),
        script="json",
        params={"response_format": OBJECT, "messages": AS_JSON},
    ),
    Rule(
        section="1.4.36",
        source="spec",
        says="the word json may stand in any message",
        check=is_json(RIGHT),
        script="json",
        params={
            "response_format": OBJECT,
            "messages": [
                {"role": "system", "content": [{"type": "text", "text": "Be jSoN"}]},
                *HELLO,
            ],
        },
    ),
    Rule(
        section="1.4.36",
        source="spec",
        says="a strict schema is kept",
        check=fits,
        script="json",
        params={"response_format": schema()},
    ),
    Rule(
        section="1.4.36",
        source="spec",
        says="a schema that is not strict is kept, too",
        check=fits,
        script="json",
        params={"response_format": schema(strict=None)},
    ),
    Rule(
        section="1.4.36",
        source="own",
        says="the format is asked of the presenter alone",
        check=asked_of_the_presenter_alone,
        script="json",
        params={"response_format": schema()},
    ),
    Rule(
        section="1.4.36",
        source="spec",
        says="a refusal has no format",
        check=is_refused,
        script="refusal",
        params={"response_format": schema()},
    ),
    Rule(
        section="1.4.36",
        source="rec",
        says="a call has no format",
        check=calls,
        script="call",
        params={"response_format": OBJECT, "messages": AS_JSON, "tools": TOOLS},
    ),
]


@table(RULES)
def test_a_format(row: Row, served: Stage) -> None:
    row.rule.check(row.ask(served))


@table([TEXT])
def test_a_format_that_is_none(row: Row, served: Stage) -> None:
    assert row.rule.check(row.ask(served))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("cast", ["one", "three"])
@pytest.mark.parametrize(
    ("first", "params"),
    [
        ("It scatters.", {"response_format": schema()}),
        ('{"sky": 1}', {"response_format": schema()}),
        ('{"sky": 1}', {"response_format": schema(strict=None)}),
        ('["sky"]', {"response_format": OBJECT, "messages": AS_JSON}),
    ],
    ids=["text", "other JSON", "other JSON, not strict", "no object"],
)
def test_what_does_not_fit_is_written_again_unseen(
    first: str, params: Mapping[str, Any], cast: str, stream: object
) -> None:
    """One turn more for the presenter, and nothing of the first try is seen."""
    scripts = {"late-json": {"present": first}, "json": SCRIPTS["json"]}
    with stage(scripts, provider=corrigible) as each:
        answer = each.chat(cast, "late-json", stream=stream, **params)
        fits(answer)
        assert presented(answer) == 2


@pytest.mark.parametrize("cast", ["one", "three"])
@pytest.mark.parametrize("wanted", [OBJECT, schema(), schema(strict=None)], ids=json.dumps)
def test_a_model_that_never_writes_json_is_asked_twice_and_then_an_error(
    wanted: Mapping[str, Any], cast: str, served: Stage
) -> None:
    params = {"response_format": wanted, "messages": AS_JSON}
    answer = served.chat(cast, "never-json", **params)
    refusal(answer, 502, "upstream_malformed", None, kind="server_error")
    assert answer.headers["x-should-retry"] == "false"
    assert presented(answer) == 2
    streamed = served.chat(cast, "never-json", stream=True, **params)
    *chunks, last = streamed.payloads
    assert set(last["error"]) == {"message", "type", "param", "code"}
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert not any(delta.get("content") for delta in deltas)


FAULTS: Mapping[str, tuple[Mapping[str, Any], str | None, str | None]] = {
    "json_object without the word": ({"response_format": OBJECT}, None, "messages"),
    "no type": ({"response_format": {}}, "missing_required_parameter", "response_format.type"),
    "an unknown type": (
        {"response_format": {"type": "xml"}},
        "invalid_value",
        "response_format.type",
    ),
    "no json_schema": (
        {"response_format": {"type": "json_schema"}},
        "missing_required_parameter",
        "response_format.json_schema",
    ),
    "no name": (
        {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}},
        "missing_required_parameter",
        "response_format.json_schema.name",
    ),
    "a bad name": (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a b"}}},
        "invalid_value",
        "response_format.json_schema.name",
    ),
    "no JSON schema": (
        {"response_format": schema(type="nonsense")},
        None,
        "response_format",
    ),
    "a strict array": ({"response_format": schema(type="array")}, None, "response_format"),
    "strict with more properties": (
        {"response_format": schema(additionalProperties=None)},
        None,
        "response_format",
    ),
    "strict with additionalProperties: true": (
        {"response_format": schema(additionalProperties=True)},
        None,
        "response_format",
    ),
    "strict with an optional property": (
        {"response_format": schema(required=["answer"])},
        None,
        "response_format",
    ),
    "strict with an open object below": (
        {
            "response_format": schema(
                properties={"answer": {"type": "object", "properties": {}}}, required=["answer"]
            )
        },
        None,
        "response_format",
    ),
    "a reference to elsewhere": (
        {"response_format": schema(properties={"answer": {"$ref": "http://127.0.0.1:1/x"}})},
        None,
        "response_format",
    ),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", FAULTS)
def test_a_format_that_cannot_be_is_refused_before_anything_is_spent(
    name: str, stream: object, served: Stage
) -> None:
    params, code, param = FAULTS[name]
    answer = served.chat("three", stream=stream, **params)
    refusal(answer, 400, code, param)
    assert answer.asked == ()


def test_the_words_are_openais(served: Stage) -> None:
    """[iss] as quoted in many reports of both."""
    wordless = served.chat("one", response_format=OBJECT)
    assert wordless.error["message"] == (
        "'messages' must contain the word 'json' in some form, to use 'response_format' of type "
        "'json_object'."
    )
    optional = served.chat("one", response_format=schema(additionalProperties=None))
    assert optional.error["message"].startswith(
        "Invalid schema for response_format 'a': In context=(), 'additionalProperties' is required "
        "to be supplied and to be false"
    )
