"""Rules 1.5, errors: the whole table, each row with OpenAI's status, type, parameter and code."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from tests.conformance.exchange import CHAT
from tests.conformance.rules import Source, refusal
from tests.conformance.stage import HELLO, PROVIDER_KEY, Stage, stage, tool

KEY = "sk-client-0123456789abcdef"
LIMIT = 100_000
CALLED = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ASKED = {"role": "assistant", "content": None, "tool_calls": [CALLED]}
GOOD = {"model": "one-text", "messages": HELLO}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A request that is wrong, and the error that names what is wrong with it."""

    source: Source
    status: int = 400
    code: str | None = None
    param: str | None = None
    words: tuple[str, ...] = ()
    kind: str = "invalid_request_error"
    body: object = None
    path: str = CHAT
    method: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    wanted: Mapping[str, str] = field(default_factory=dict[str, str])
    """Headers of the answer."""


def changed(**params: object) -> dict[str, Any]:
    return {**GOOD, **params}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != name}


UNPARSABLE = "We could not parse the JSON body of your request. (HINT: "
NO_CALL = "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
NO_RESULT = (
    "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
    "'tool_call_id'."
)

TABLE: Mapping[str, Case] = {
    "malformed JSON": Case(source="iss", body=b'{"model": ', words=(UNPARSABLE,)),
    "an empty body": Case(source="iss", body=b"", words=(UNPARSABLE,)),
    "JSON that is no object": Case(source="iss", body=b"[1]", words=(UNPARSABLE,)),
    "NaN": Case(source="own", body=b'{"model": "one-text", "temperature": NaN}'),
    "too deep": Case(source="own", body=b'{"a":' * 5000 + b"1" + b"}" * 5000),
    "a lone surrogate": Case(source="own", body=b'{"model": "\\ud800"}', words=("Unicode",)),
    "broken UTF-8": Case(source="own", body=b'{"model": "\xff"}', words=("Unicode",)),
    "missing messages": Case(
        source="iss",
        code="missing_required_parameter",
        param="messages",
        words=("Missing required parameter: 'messages'.",),
        body=without("messages"),
    ),
    "a nested parameter is missing": Case(
        source="iss",
        code="missing_required_parameter",
        param="messages[0].role",
        words=("Missing required parameter: 'messages[0].role'.",),
        body=changed(messages=[{"content": "hi"}]),
    ),
    "empty messages": Case(
        source="rec",
        code="empty_array",
        param="messages",
        words=(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got",
            "an empty array instead.",
        ),
        body=changed(messages=[]),
    ),
    "empty tools": Case(
        source="rec", code="empty_array", param="tools", body=changed(tools=[]), words=("empty",)
    ),
    "missing model": Case(
        source="mem", words=("you must provide a model parameter",), body=without("model")
    ),
    "an empty model": Case(
        source="mem", words=("you must provide a model parameter",), body=changed(model="")
    ),
    "a wrong type": Case(
        source="mem",
        code="invalid_type",
        param="temperature",
        words=("Invalid type for 'temperature': expected a decimal, but got a string instead.",),
        body=changed(temperature="hot"),
    ),
    "below the range": Case(
        source="rec",
        code="decimal_below_min_value",
        param="temperature",
        words=(
            "Invalid 'temperature': decimal below minimum value.",
            "Expected a value >= 0, but got -1 instead.",
        ),
        body=changed(temperature=-1),
    ),
    "above the range": Case(
        source="rec",
        code="decimal_above_max_value",
        param="temperature",
        words=("decimal above maximum value. Expected a value <= 2, but got 3 instead.",),
        body=changed(temperature=3),
    ),
    "an integer below the range": Case(
        source="rec",
        code="integer_below_min_value",
        param="max_tokens",
        words=("integer below minimum value. Expected a value >= 1, but got 0 instead.",),
        body=changed(max_tokens=0),
    ),
    "a bad word": Case(
        source="rec",
        code="invalid_value",
        param="verbosity",
        words=("Invalid value: 'loud'. Supported values are: 'low', 'medium', and 'high'.",),
        body=changed(verbosity="loud"),
    ),
    "a part that is none": Case(
        source="rec",
        code="invalid_value",
        param="messages[0].content[0].type",
        words=("Invalid value: 'smell'.",),
        body=changed(messages=[{"role": "user", "content": [{"type": "smell"}]}]),
    ),
    "an unsupported parameter": Case(
        source="rec",
        code="unsupported_parameter",
        param="audio",
        words=("Unsupported parameter: 'audio'",),
        body=changed(audio={"voice": "alloy", "format": "wav"}),
    ),
    "a tool's message without a call": Case(
        source="iss",
        param="messages.[1].role",
        words=(NO_CALL,),
        body=changed(messages=[*HELLO, {"role": "tool", "content": "x", "tool_call_id": "c"}]),
    ),
    "a missing result": Case(
        source="iss",
        param="messages.[2].role",
        words=(NO_RESULT, "call_1"),
        body=changed(messages=[*HELLO, ASKED, *HELLO]),
    ),
    "a missing result at the end": Case(
        source="iss",
        param="messages.[1].role",
        words=(NO_RESULT, "call_1"),
        body=changed(messages=[*HELLO, ASKED]),
    ),
    "an unknown model": Case(
        source="rec",
        status=404,
        code="model_not_found",
        words=("The model `gpt-5.2-proo` does not exist or you do not have access to it.",),
        body=changed(model="gpt-5.2-proo"),
    ),
    "an unknown model in the list": Case(
        source="rec",
        status=404,
        code="model_not_found",
        words=("The model `nobody` does not exist or you do not have access to it.",),
        path="/v1/models/nobody",
    ),
    "a tool choice that is no tool": Case(
        source="mem",
        code="invalid_value",
        param="tool_choice.function.name",
        words=("'g'",),
        body=changed(
            tools=[tool("f")], tool_choice={"type": "function", "function": {"name": "g"}}
        ),
    ),
    "no key": Case(
        source="mem",
        status=401,
        words=("You didn't provide an API key.",),
        body=GOOD,
        headers={"Authorization": ""},
        wanted={"www-authenticate": "Bearer"},
    ),
    "a scheme that is not Bearer": Case(
        source="own", status=401, body=GOOD, headers={"Authorization": f"Basic {KEY}"}
    ),
    "a wrong key": Case(
        source="iss",
        status=401,
        code="invalid_api_key",
        words=("Incorrect API key provided: sk-***zzzz.",),
        body=GOOD,
        headers={"Authorization": "Bearer sk-wrong-0123456789-zzzz"},
        wanted={"www-authenticate": "Bearer"},
    ),
    "a wrong key and no body": Case(
        source="own",
        status=401,
        code="invalid_api_key",
        path="/v1/nowhere",
        headers={"Authorization": "Bearer short"},
        words=("***",),
    ),
    "an unknown URL": Case(
        source="iss",
        status=404,
        words=("Invalid URL (POST /v1/embeddings)",),
        path="/v1/embeddings",
        body=GOOD,
    ),
    "a slash too many": Case(source="own", status=404, path=f"{CHAT}/", body=GOOD),
    "a wrong method": Case(
        source="mem",
        status=405,
        code="method_not_supported",
        words=("Not allowed to PUT on /v1/chat/completions",),
        method="PUT",
        body=GOOD,
        wanted={"allow": "POST"},
    ),
    "a body that is too large": Case(
        source="own",
        status=413,
        code="request_too_large",
        words=(str(LIMIT),),
        body=changed(user="u" * LIMIT),
    ),
}


@pytest.fixture(scope="module")
def guarded() -> Iterator[Stage]:
    """A server that wants a key and bounds bodies."""
    with stage({"text": {}}, api_keys=[KEY], max_body_bytes=LIMIT) as each:
        yield each


@pytest.mark.parametrize("name", TABLE)
def test_a_wrong_request_gets_openais_error(name: str, guarded: Stage) -> None:
    case = TABLE[name]
    headers = {"Authorization": f"Bearer {KEY}", **case.headers}
    answer = guarded.send(case.body, case.path, method=case.method, headers=headers)
    refusal(answer, case.status, case.code, case.param, *case.words, kind=case.kind)
    assert answer.asked == ()
    for header, value in case.wanted.items():
        assert answer.headers[header] == value


@pytest.mark.parametrize("name", [name for name in TABLE if isinstance(TABLE[name].body, dict)])
def test_asking_for_a_stream_changes_no_error(name: str, guarded: Stage) -> None:
    """Rules 1.5: what comes before the first byte is ordinary JSON."""
    case = TABLE[name]
    headers = {"Authorization": f"Bearer {KEY}", **case.headers}
    given = {**cast("dict[str, Any]", case.body), "stream": True}
    answer = guarded.send(given, case.path, method=case.method, headers=headers)
    refusal(answer, case.status, case.code, case.param, *case.words, kind=case.kind)


# Failures on the other side


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What a script's failure becomes: as a response, and as the event of a stream."""

    script: str
    status: int
    code: str | None
    kind: str
    event: tuple[str, str]
    param: str | None = None
    retry: str | None = None
    after: str | None = None


FAILURES = [
    Failure(
        script="limited",
        status=429,
        code="rate_limit_exceeded",
        kind="rate_limit_error",
        after="7",
        event=("rate_limit_exceeded", "rate_limit_exceeded"),
    ),
    Failure(
        script="keyless",
        status=502,
        code="upstream_authentication",
        kind="server_error",
        retry="false",
        event=("invalid_request_error", "coordination_failed"),
    ),
    Failure(
        script="too-long",
        status=400,
        code="context_length_exceeded",
        param="messages",
        kind="invalid_request_error",
        event=("invalid_request_error", "context_length_exceeded"),
    ),
]


@pytest.mark.parametrize("cast", ["one", "three"])
@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.script)
def test_a_providers_failure_is_told_with_its_cause(
    failure: Failure, cast: str, served: Stage
) -> None:
    answer = served.chat(cast, failure.script)
    refusal(answer, failure.status, failure.code, failure.param, kind=failure.kind)
    assert answer.headers.get("x-should-retry") == failure.retry
    assert answer.headers.get("retry-after") == failure.after
    assert PROVIDER_KEY not in json.dumps(answer.error)
    told = served.chat(cast, failure.script, stream=True).payloads[-1]["error"]
    assert (told["type"], told["code"]) == failure.event
    assert told["param"] == failure.param
    assert PROVIDER_KEY not in json.dumps(told)


@pytest.mark.parametrize("cast", ["one", "three"])
@pytest.mark.parametrize("script", ["stumbling", "severed", "broken"])
def test_a_providers_fault_is_a_5xx_and_no_message(script: str, cast: str, served: Stage) -> None:
    answer = served.chat(cast, script)
    assert answer.status in {502, 504}
    refusal(answer, answer.status, answer.error["code"], None, kind="server_error")
    assert answer.error["code"].startswith("upstream_")
    if script != "broken":  # tokens were paid for, so that a blind retry would pay again
        assert answer.headers["x-should-retry"] == "false"


def test_what_is_echoed_of_a_request_is_short(served: Stage) -> None:
    """Rule 1.5 [src vLLM]: 4 kB of a request became an error of 23 MB there."""
    for params in (
        {"verbosity": "v" * 50_000},
        {"messages": [{"role": "r" * 50_000}] * 50},
        {"tools": [{"type": "t" * 50_000}] * 50},
        {"massgen": {"k" * 50_000: 1}},
        {"model": "m" * 200},
    ):
        answer = served.send({**GOOD, **params})
        assert answer.status in {400, 404}
        assert len(answer.raw) < 2000
        assert answer.error["message"].isprintable()
