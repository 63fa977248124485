"""Every response and every chunk against OpenAI's published schemas, with nothing unknown in it."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance import (
    test_choices,
    test_completion,
    test_formats,
    test_requests,
    test_stream,
)
from tests.conformance.exchange import Exchange
from tests.conformance.rules import Row, rows
from tests.conformance.stage import Stage

Conforms = Callable[[str, object], None]
SCHEMA_KNOWS_FUNCTIONS_ONLY = "a custom tool is called with text"
"""In chunks: the schema of a completion has custom calls."""

ROWS = [
    row
    for rules in (
        test_completion.RULES,
        test_stream.RULES,
        test_requests.EFFECTS,
        test_choices.RULES,
        test_formats.RULES,
    )
    for row in rows(rules)
    if not (row.mode == "stream" and row.rule.says == SCHEMA_KNOWS_FUNCTIONS_ONLY)
]


def judge(answer: Exchange, conforms: Conforms) -> None:
    if not answer.streamed:
        name = "CreateChatCompletionResponse" if answer.status == 200 else "ErrorResponse"
        conforms(name, answer.body)
        return
    for payload in answer.payloads:
        name = "ErrorResponse" if "error" in payload else "CreateChatCompletionStreamResponse"
        conforms(name, payload)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_response_has_nothing_that_the_schema_has_not(
    row: Row, served: Stage, conforms: Conforms
) -> None:
    judge(row.ask(served), conforms)


@pytest.mark.parametrize("cast", ["one", "three"])
@pytest.mark.parametrize("stream", [False, True])
def test_logprobs_have_nothing_that_the_schema_has_not(
    cast: str, stream: object, served: Stage, conforms: Conforms
) -> None:
    for params, _, _ in test_choices.LOGPROBS:
        judge(served.chat(cast, stream=stream, **params), conforms)


@pytest.mark.parametrize("cast", ["one", "three"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_failed_run_has_nothing_that_the_schema_has_not(
    cast: str, stream: object, served: Stage, conforms: Conforms
) -> None:
    for script in ("limited", "keyless", "broken", "too-long", "stumbling", "severed"):
        judge(served.chat(cast, script, stream=stream), conforms)


def test_a_refused_request_has_nothing_that_the_schema_has_not(
    served: Stage, conforms: Conforms
) -> None:
    more = [*test_choices.FAULTS.values(), *test_formats.FAULTS.values()]
    for params, _, _ in [*test_requests.FAULTS, *more]:
        judge(served.chat("three", **{"stream": False, **params}), conforms)


def test_models_have_nothing_but_our_own_object_that_the_schema_has_not(
    served: Stage, conforms: Conforms
) -> None:
    for path in ("/v1/models", "/models"):
        listed: dict[str, Any] = served.send(None, path).body
        for model in listed["data"]:
            assert model.pop("massgen")["agents"]
        conforms("ListModelsResponse", listed)
    one: dict[str, Any] = served.send(None, "/v1/models/three-text").body
    assert len(one.pop("massgen")["agents"]) == 3
    conforms("Model", one)
