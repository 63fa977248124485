"""A request is admitted once: for the team that really answers it, in the terms of its body."""

from typing import Any

import pytest

from massgen_compat import Agent, Backend, MassGen, Price, Team, TeamSettings
from massgen_compat._run.turn import Phase
from massgen_compat.asgi import create_app
from massgen_compat.cli.server import serving
from massgen_compat.errors import ContextLengthExceeded, InvalidRequest, UnsupportedParameter
from tests.admission.test_background import TITLE
from tests.fakes import Model, agreeable, failing
from tests.server.test_server import ask

HELLO: list[Any] = [{"role": "user", "content": "Why is the sky blue?"}]
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
CHAT = Agent("a", model="m", backend=Backend(type="chatcompletion", base_url="http://a.test/v1"))
RESPONSES = Agent("b", model="other", backend=Backend(type="openai"))


def header(agents: list[Agent], body: dict[str, Any]) -> str | None:
    """The parameters that the reply of a real server says it has ignored."""
    massgen = MassGen(Team("pair", agents), connect=lambda _: Model())
    with serving(create_app(massgen)) as url:
        reply = ask(url, body={"model": "pair", **body})
    assert reply.status == 200
    return reply.headers.get("x-massgen-ignored-params")


@pytest.mark.parametrize(
    ("agents", "messages", "ignored"),
    [
        ([CHAT, RESPONSES], TITLE, None),  # `a` answers alone, and its API has a seed
        ([RESPONSES, CHAT], TITLE, "seed"),
        ([CHAT, RESPONSES], HELLO, "seed"),  # the whole team answers
    ],
    ids=["background, honoured", "background, not honoured", "team"],
)
def test_ignored_is_what_the_agents_that_answer_have_no_place_for(
    agents: list[Agent], messages: list[Any], ignored: str | None
) -> None:
    assert header(agents, {"messages": messages, "seed": 7}) == ignored


def test_what_the_other_agents_cannot_do_is_no_fault_of_a_background_request() -> None:
    custom: dict[str, Any] = {"logprobs": True, "top_logprobs": 2}
    assert header([CHAT, RESPONSES], {"messages": TITLE, **custom}) is None


def refusal(body: dict[str, Any], model: Model | None = None) -> InvalidRequest:
    """What a server says to the body."""
    massgen = MassGen(
        Team("team", [Agent("a", model="gpt-3.5-turbo")]), connect=lambda _: model or Model()
    )
    with serving(create_app(massgen)) as url:
        reply = ask(url, body={"model": "team", **body})
    assert reply.status == 400
    error = reply.body["error"]
    return InvalidRequest(error["message"], param=error["param"], code=error["code"])


def test_admissions_errors_name_the_place_in_the_body_that_was_sent() -> None:
    thought: dict[str, Any] = {"type": "reasoning", "id": "rs_1", "summary": []}
    message = {"role": "user", "content": [{"type": "input_text", "text": "What?"}, IMAGE]}
    error = refusal({"input": [thought, message]})
    assert (error.param, error.code) == ("input[1]", "invalid_value")
    assert "'input[1].content[1]' is an image" in error.message
    assert "messages" not in error.message


def test_a_chat_bodys_errors_name_its_messages() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    error = refusal({"messages": [*HELLO, {"role": "user", "content": [image]}]})
    assert error.param == "messages[1]"
    assert "'messages[1].content[0]'" in error.message


@pytest.mark.parametrize(
    ("body", "param"), [({"messages": HELLO}, "messages"), ({"input": "Why?"}, "input")]
)
def test_a_runs_errors_name_the_place_in_the_body_too(body: dict[str, Any], param: str) -> None:
    too_long = failing(Phase.PRESENT, ContextLengthExceeded("The conversation is too long."))
    assert refusal(body, Model(too_long)).param == param


FLAT = {"type": "function", "name": "read", "parameters": {"type": "object"}}
CALL = {"type": "function_call", "call_id": "c1", "name": "read", "arguments": "{}"}
LONG_NAME = "x" * 65


TRANSLATED: list[tuple[dict[str, Any], str]] = [
    ({"input": "Hi", "max_output_tokens": 0}, "max_output_tokens"),
    ({"input": "Hi", "reasoning": {"effort": "much"}}, "reasoning.effort"),
    ({"input": "Hi", "text": {"verbosity": "loud"}}, "text.verbosity"),
    ({"input": "Hi", "text": {"format": {"type": "xml"}}}, "text.format.type"),
    (
        {"input": "Hi", "text": {"format": {"type": "json_schema", "schema": {}}}},
        "text.format.name",
    ),
    ({"input": 5}, "input"),
    ({"input": [], "instructions": {"a": 1}}, "instructions"),
    ({"input": [HELLO[0]], "instructions": "Be.", "n": 0}, "n"),
    ({"input": [HELLO[0], {"role": "user", "content": 5}]}, "input[1].content"),
    (
        {"instructions": "Be.", "input": [HELLO[0], {"role": "clerk", "content": "x"}]},
        "input[1].role",
    ),
    ({"input": [HELLO[0], {**CALL, "name": 5}]}, "input[1].name"),
    ({"input": [HELLO[0], {**CALL, "call_id": 5}]}, "input[1].call_id"),
    (
        {
            "input": [
                *HELLO,
                CALL,
                {**CALL, "call_id": "c2", "arguments": {}},
            ]
        },
        "input[2].arguments",
    ),
    (
        {"input": [*HELLO, CALL, {"type": "function_call_output", "call_id": "c1"}, CALL]},
        "input[3]",
    ),
    ({"input": "Hi", "tools": [{**FLAT, "name": "a b"}]}, "tools[0].name"),
    (
        {"input": "Hi", "tools": [{"type": "web_search"}, {**FLAT, "name": LONG_NAME}]},
        "tools[1].name",
    ),
    ({"messages": HELLO, "tools": [{**FLAT, "parameters": "none"}]}, "tools[0].parameters"),
    (
        {"messages": HELLO, "tools": [{"name": "read", "input_schema": "none"}]},
        "tools[0].input_schema",
    ),
    (
        {
            "messages": [
                *HELLO,
                {
                    "role": "assistant",
                    "content": [
                        {"type": "tool_use", "id": "c1", "name": "read", "input": {}},
                        {"type": "tool_use", "id": "c2", "name": "read", "input": {}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "c1", "content": "x"},
                        {"type": "tool_result", "tool_use_id": "c2", "content": "x"},
                    ],
                },
                {"role": "user", "content": 5},
            ]
        },
        "messages[3].content",
    ),
    ({"messages": [{"role": "user", "content": 5}], "system": "Be."}, "messages[0].content"),
    ({"messages": HELLO, "stop_sequences": [5]}, "stop_sequences[0]"),
]


@pytest.mark.parametrize(("body", "param"), TRANSLATED)
def test_errors_of_a_translated_body_name_what_was_sent(body: dict[str, Any], param: str) -> None:
    error = refusal(body)
    assert error.param == param
    assert "messages[" not in error.message or param.startswith("messages["), error.message


def test_only_the_place_is_rewritten_and_not_what_the_client_wrote() -> None:
    error = refusal({"input": [{"role": "messages[0]", "content": "x"}]})
    assert error.param == "input[0].role"
    assert "'messages[0]'" in error.message


@pytest.mark.anyio
async def test_the_limit_of_cost_is_that_of_who_answers() -> None:
    price = Price(input_per_million=1.0, output_per_million=1.0)
    team = Team("team", [CHAT, RESPONSES], settings=TeamSettings(prices={"m": price}))
    massgen = MassGen(team, connect=lambda _: Model(agreeable))
    limited = {"model": "team", "massgen": {"limits": {"max_cost": 1.0}}}
    await massgen.chat({**limited, "messages": TITLE})
    with pytest.raises(UnsupportedParameter, match="b costs"):
        await massgen.chat({**limited, "messages": HELLO})
