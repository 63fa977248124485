"""Several choices, log probabilities, demanded calls, legacy functions and cheaper runs, through
real servers and with the official SDK."""

import json
from collections import defaultdict
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import openai
import pytest

from massgen_compat import Agent, Backend, Limits, MassGen, Team, TeamSettings
from massgen_compat._run.turn import Phase
from massgen_compat.asgi import create_app
from massgen_compat.cli.server import serving
from massgen_compat.testing import ScriptedServer

ANSWER = "Because air scatters blue light most."
QUESTION: Any = {"role": "user", "content": "Why is the sky blue?"}
KINDS = ("openai", "chatcompletion")
STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
FUNCTION: Any = {"name": "look", "description": "Look up.", "parameters": {"type": "object"}}
TOOL: Any = {"type": "function", "function": FUNCTION}
LOOKS = {"calls": [{"name": "look", "arguments": {"at": "sky"}}]}


@contextmanager
def served(
    script: Mapping[str, Any],
    *,
    kind: str = "openai",
    agents: str = "abc",
    settings: TeamSettings | None = None,
) -> Generator[tuple[openai.OpenAI, ScriptedServer]]:
    upstream = ScriptedServer({}, default=script)
    with serving(upstream) as provider:
        backend = Backend(type=kind, base_url=f"{provider}/v1", api_key="scripted")
        members = [Agent(name, model="m", backend=backend) for name in agents]
        team = Team("team", members, settings=settings)
        with (
            serving(create_app(MassGen(team, env={}))) as url,
            openai.OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client,
        ):
            yield client, upstream


def ask(client: openai.OpenAI, **params: Any) -> Any:
    create: Any = client.chat.completions.create
    return create(**{"model": "team", "messages": [QUESTION], **params})


# Several choices


@pytest.mark.parametrize("agents", ["a", "abc"])
def test_several_messages_are_written_of_one_decision(agents: str) -> None:
    with served({"present": ANSWER}, agents=agents) as (client, upstream):
        completion = ask(client, n=3)
        assert [choice.index for choice in completion.choices] == [0, 1, 2]
        assert [choice.message.content for choice in completion.choices] == [ANSWER] * 3
        assert [choice.finish_reason for choice in completion.choices] == ["stop"] * 3
        assert len(upstream.requests) == (3 if agents == "a" else 9)
        spent = completion.massgen["agents"]
        assert sum(agent["calls"] for agent in spent) == len(upstream.requests)
        counted = sum(agent["usage"]["completion_tokens"] for agent in spent)
        assert completion.usage.completion_tokens == counted


def test_streamed_choices_have_each_a_role_pieces_and_one_end() -> None:
    with served({"present": ANSWER}) as (client, _):
        roles: dict[int, int] = defaultdict(int)
        texts: dict[int, str] = defaultdict(str)
        ends: dict[int, list[str]] = defaultdict(list)
        usages: list[Any] = []
        for chunk in ask(client, n=3, stream=True, stream_options={"include_usage": True}):
            if chunk.usage:
                usages.append(chunk.usage)
            for choice in chunk.choices:
                assert not ends[choice.index]
                roles[choice.index] += choice.delta.role == "assistant"
                texts[choice.index] += choice.delta.content or ""
                ends[choice.index] += [choice.finish_reason] if choice.finish_reason else []
    assert dict(roles) == dict.fromkeys(range(3), 1)
    assert dict(texts) == dict.fromkeys(range(3), ANSWER)
    assert dict(ends) == {index: ["stop"] for index in range(3)}
    assert len(usages) == 1


def test_the_sdk_accumulates_interleaved_choices() -> None:
    with (
        served({"present": LOOKS}) as (client, _),
        client.chat.completions.stream(
            model="team", messages=[QUESTION], tools=[TOOL], n=2
        ) as events,
    ):
        final = events.get_final_completion()
    ids = {call.id for choice in final.choices for call in choice.message.tool_calls or ()}
    assert len(ids) == 2, "each choice has calls of its own"


def test_a_limit_of_calls_that_is_too_low_for_all_messages_gives_the_answer() -> None:
    settings = TeamSettings(limits=Limits(max_calls=8))
    with served({"draft": "The draft.", "present": ANSWER}, settings=settings) as (client, up):
        completion = ask(client, n=3)
        assert [choice.message.content for choice in completion.choices] == ["The draft."] * 3
        assert (len(up.requests), completion.massgen["limited_by"]) == (6, "max_calls")


def test_each_choice_is_cut_at_the_stop_sequence() -> None:
    with served({"present": ANSWER}) as (client, _):
        completion = ask(client, n=2, stop="blue")
    assert [c.message.content for c in completion.choices] == ["Because air scatters "] * 2


@pytest.mark.parametrize("n", [0, 9, "2"])
def test_the_number_of_choices_is_bounded(n: object) -> None:
    with served({}) as (client, upstream):
        with pytest.raises(openai.BadRequestError) as caught:
            ask(client, n=n)
        assert caught.value.param == "n"
        assert upstream.requests == ()


# Log probabilities


@pytest.mark.parametrize("kind", KINDS)
@STREAM
@pytest.mark.parametrize("stop", [None, "blue"])
def test_log_probabilities_are_those_of_the_message(kind: str, stream: Any, stop: Any) -> None:
    with served({"present": ANSWER}, kind=kind) as (client, upstream):
        answer = ask(client, logprobs=True, top_logprobs=1, stream=stream, stop=stop)
        chosen = (
            [choice for chunk in answer for choice in chunk.choices] if stream else answer.choices
        )
        told = [token for choice in chosen if choice.logprobs for token in choice.logprobs.content]
        assert "".join(entry.token for entry in told) == (
            "Because air scatters " if stop else ANSWER
        )
        assert all(bytes(entry.bytes).decode() == entry.token for entry in told)
        assert all(len(entry.top_logprobs) == 1 for entry in told)
        for request in upstream.requests:
            asks = request.body.get("logprobs") or "message.output_text.logprobs" in (
                request.body.get("include") or ()
            )
            assert bool(asks) is (request.phase is Phase.PRESENT)


def test_without_them_they_are_null() -> None:
    with served({"present": ANSWER}) as (client, _):
        assert ask(client).choices[0].logprobs is None


# A call that is demanded

DEMANDS: dict[str, Any] = {
    "required": "required",
    "named": {"type": "function", "function": {"name": "look"}},
}


@pytest.mark.parametrize("choice", DEMANDS)
@STREAM
def test_a_presenter_that_does_not_call_is_asked_once_more(choice: str, stream: Any) -> None:
    with served({"present": ["I would look.", LOOKS]}) as (client, upstream):
        answer = ask(client, tools=[TOOL], tool_choice=DEMANDS[choice], stream=stream)
        if stream:
            deltas = [each.delta for chunk in answer for each in chunk.choices]
            assert not any(delta.content for delta in deltas)
            assert any(delta.tool_calls for delta in deltas)
        else:
            (call,) = answer.choices[0].message.tool_calls
            assert json.loads(call.function.arguments) == {"at": "sky"}
            assert answer.choices[0].message.content is None
        assert len(upstream.requests) == 8


def test_a_call_that_never_comes_is_an_error() -> None:
    with served({"present": "I would look."}) as (client, upstream):
        with pytest.raises(openai.APIStatusError, match="calls no tool") as caught:
            ask(client, tools=[TOOL], tool_choice="required")
        assert caught.value.status_code == 502
        assert len(upstream.requests) == 8


# Legacy functions


@STREAM
def test_functions_are_tools_and_their_call_is_a_function_call(stream: Any) -> None:
    script = {"present": [{"calls": [*LOOKS["calls"], *LOOKS["calls"]]}, ANSWER]}
    with served(script) as (client, upstream):
        answer = ask(client, functions=[FUNCTION], function_call="auto", stream=stream)
        if stream:
            deltas = [choice for chunk in answer for choice in chunk.choices]
            pieces = [each.delta.function_call for each in deltas if each.delta.function_call]
            assert [piece.name for piece in pieces if piece.name] == ["look"]
            said = "".join(piece.arguments or "" for piece in pieces)
            assert deltas[-1].finish_reason == "function_call"
        else:
            (choice,) = answer.choices
            assert choice.finish_reason == "function_call"
            assert choice.message.tool_calls is None
            assert choice.message.function_call.name == "look"
            said = choice.message.function_call.arguments
        assert json.loads(said) == {"at": "sky"}
        assert len(upstream.requests) == 7
        assert upstream.requests[-1].body["parallel_tool_calls"] is False

        history = [
            QUESTION,
            {
                "role": "assistant",
                "content": None,
                "function_call": {"name": "look", "arguments": said},
            },
            {"role": "function", "name": "look", "content": "It is blue."},
        ]
        again = ask(client, messages=history, functions=[FUNCTION])
        assert (again.choices[0].message.content, len(upstream.requests)) == (ANSWER, 14)
        assert "It is blue." in json.dumps(upstream.requests[-1].body)


def test_a_named_function_is_called_and_ends_in_stop() -> None:
    with served({"present": LOOKS}) as (client, _):
        completion = ask(client, functions=[FUNCTION], function_call={"name": "look"})
        assert completion.choices[0].message.function_call.name == "look"
        assert completion.choices[0].finish_reason == "stop"


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"functions": []}, "functions"),
    ({"functions": [{}]}, "functions[0].name"),
    ({"functions": [FUNCTION, FUNCTION]}, "functions[1].name"),
    ({"functions": [FUNCTION], "function_call": {"name": "x"}}, "function_call.name"),
    ({"functions": [FUNCTION], "function_call": "required"}, "function_call"),
    ({"function_call": "auto"}, "function_call"),
    ({"functions": [FUNCTION], "tools": [TOOL]}, "functions"),
]


@pytest.mark.parametrize(("params", "param"), FAULTS)
def test_faults_of_functions_name_their_place(params: Any, param: str) -> None:
    with served({}) as (client, upstream):
        with pytest.raises(openai.BadRequestError) as caught:
            ask(client, **params)
        assert caught.value.param == param
        assert upstream.requests == ()


# Cheaper runs


@pytest.mark.parametrize(
    ("options", "calls", "answer"),
    [
        ({}, 7, ANSWER),
        ({"team": {"agents": ["b", "c"]}}, 5, ANSWER),
        ({"team": {"agents": ["c"]}}, 1, ANSWER),
        ({"team": {"final_answer_strategy": "winner_reuse"}}, 6, "The draft."),
        ({"limits": {"max_calls": 3}}, 3, "The draft."),
        ({"limits": {"max_calls": 1000}}, 7, ANSWER),
        ({"team": {"max_new_answers_per_agent": 1}}, 7, ANSWER),
    ],
)
def test_a_request_can_make_its_run_cheaper(options: Any, calls: int, answer: str) -> None:
    with served({"draft": "The draft.", "present": ANSWER}) as (client, upstream):
        completion = ask(client, extra_body={"massgen": options})
        assert completion.choices[0].message.content == answer
        assert len(upstream.requests) == calls


def test_a_request_cannot_make_its_run_dearer() -> None:
    settings = TeamSettings(limits=Limits(max_calls=3), max_new_answers_per_agent=1)
    options = {"limits": {"max_calls": 100}, "team": {"max_new_answers_per_agent": 9}}
    with served({"present": ANSWER}, settings=settings) as (client, upstream):
        ask(client, extra_body={"massgen": options})
        assert len(upstream.requests) == 3


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"team": {"agents": ["nobody"]}}, "massgen.team.agents[0]"),
        ({"team": {"agents": []}}, "massgen.team.agents"),
        ({"team": {"model": "gpt-5.2"}}, "massgen.team.model"),
        ({"limits": {"max_calls": 0}}, "massgen.limits.max_calls"),
        ({"base_url": "http://example.test"}, "massgen.base_url"),
    ],
)
def test_what_a_request_may_not_change_is_a_400(options: Any, param: str) -> None:
    with served({}) as (client, upstream):
        for stream in (False, True):
            with pytest.raises(openai.BadRequestError) as caught:
                ask(client, extra_body={"massgen": options}, stream=stream)
            assert caught.value.param == param
        assert upstream.requests == ()


# Parameters that a wire has no place for


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_wire_to_an_agent_cannot_carry_is_named(kind: str) -> None:
    with served({"present": ANSWER}, kind=kind) as (client, upstream):
        response = client.chat.completions.with_raw_response.create(
            model="team",
            messages=[QUESTION],
            seed=7,
            logit_bias={"5": 1},
            presence_penalty=0.5,
            temperature=1,
            user="u",
        )
        named = response.headers["x-massgen-ignored-params"].split(",")
        lost = ["logit_bias", "presence_penalty", "seed"]
        assert named == (["user", *lost] if kind == "openai" else ["user"])
        carried = [name in upstream.requests[-1].body for name in lost]
        assert carried == [kind != "openai"] * 3
