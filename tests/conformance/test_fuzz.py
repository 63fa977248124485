"""Requests that nobody wrote: generated from our own OpenAPI document, sent over a socket.

Whatever comes, there is no 5xx, an error has OpenAI's shape, and the response is one of those that
the document has.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from massgen_compat._server.openapi import document
from tests.conformance.exchange import Exchange
from tests.conformance.stage import SCRIPTS, Stage, stage
from tests.conformance.test_document import DOCUMENT, hold, hold_answer
from tests.conformance.test_requests import MESSAGES

SCHEMATHESIS: Any = import_module("schemathesis")  # its types are full of unknowns
CHECKS: Any = import_module("schemathesis.specs.openapi.checks")
Case: TypeAlias = Any
MODES: list[Any] = list(SCHEMATHESIS.GenerationMode)

MODELS = ["one-text", "three-text", "three-calls", "one-json", "nobody"]
SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
NEEDY = ("tool_choice", "function_call", "top_logprobs", "response_format", "massgen")
"""Parameters that nearly always contradict the rest of a request when they are made up."""

NOT_OURS = [CHECKS.positive_data_acceptance, CHECKS.unsupported_method]
"""A request can fit its schema and still contradict itself; and 405 has tests of its own."""
STREAMS = [CHECKS.response_schema_conformance]
"""It holds the frames to the schema, and not the JSON in them, as OpenAI's document and ours do."""


def with_models_that_exist() -> Any:
    described = document(version="1")
    schemas = described["components"]["schemas"]
    chat = schemas["ChatPayload"]
    known = {**chat, "properties": {**chat["properties"], "model": {"enum": MODELS}}}
    described["components"] = {
        **described["components"],
        "schemas": schemas | {"ChatPayload": known},
    }
    return SCHEMATHESIS.openapi.from_dict(described)


SCHEMA = with_models_that_exist()
ASK = SCHEMA["/v1/chat/completions"]["POST"]
OTHERS = [path for path, item in DOCUMENT["paths"].items() if "get" in item]


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[Stage]:
    scripts = {name: SCRIPTS[name] for name in ("text", "calls", "json")}
    with stage(scripts) as each:
        yield each


def bounded(examples: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return settings(max_examples=examples, deadline=None, suppress_health_check=SLOW)


def answer_to(case: Case, served: Stage) -> Exchange:
    """Send the case; what the document says of any response is checked here."""
    response = case.call(base_url=served.url)
    headers = {name.lower(): values[0] for name, values in response.headers.items()}
    streamed = headers["content-type"].startswith("text/event-stream")
    case.validate_response(response, excluded_checks=[*NOT_OURS, *(STREAMS if streamed else ())])
    assert headers["x-request-id"].startswith("req_")
    answer = Exchange(case.body, response.status_code, headers, response.content)
    assert answer.status < 500, answer.raw[:500]
    return answer


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_any_chat_request_gets_an_answer_of_the_document(mode: Any, fuzzed: Stage) -> None:
    seen = Counter[int]()

    @given(case=ASK.as_strategy(generation_mode=mode))
    @bounded(40)
    def check(case: Case) -> None:
        answer = answer_to(case, fuzzed)
        hold_answer(answer)
        seen[answer.status] += 1

    check()
    assert seen[400] > 0


def test_any_parameters_of_a_good_conversation_get_one_too(fuzzed: Stage) -> None:
    seen = Counter[int]()

    @given(
        case=ASK.as_strategy(generation_mode=SCHEMATHESIS.GenerationMode.POSITIVE),
        messages=st.sampled_from(list(MESSAGES.values())),
    )
    @bounded(40)
    def check(case: Case, messages: Any) -> None:
        kept = {key: whole(value) for key, value in case.body.items() if key not in NEEDY}
        case.body = {**kept, "messages": messages}
        answer = answer_to(case, fuzzed)
        hold_answer(answer)
        seen[answer.status] += 1

    check()
    assert seen[200] > 0


def whole(value: Any) -> Any:
    """1.0 is an integer for a JSON schema, and for nobody else."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


@pytest.mark.parametrize("path", OTHERS)
def test_any_other_request_gets_one_too(path: str, fuzzed: Stage) -> None:
    @given(case=SCHEMA[path]["GET"].as_strategy())
    @bounded(10)
    def check(case: Case) -> None:
        answer = answer_to(case, fuzzed)
        if answer.status != 200:
            hold("Error", answer.body)

    check()
