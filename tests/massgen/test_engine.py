"""What the engine on MassGen adds to the contract: streaming, tools, history, policies, errors."""

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

import anyio
import pytest
import trio

from massgen_compat import MassGen
from massgen_compat._run.message import Image, Message, Text, Tool, ToolCall, text_message
from massgen_compat._run.request import RunRequest
from massgen_compat._run.team import Agent, Team, TeamSettings
from massgen_compat._run.turn import Phase
from massgen_compat.errors import ConfigError, EngineUnavailable, UnsupportedParameter
from massgen_compat.events import (
    Answered,
    MessageText,
    MessageToolCall,
    ParametersDropped,
    SubmissionRejected,
    VoteCast,
)
from massgen_compat.testing import ServedRequest
from tests.fakes import Model
from tests.massgen.stage import (
    QUESTION,
    massgen_at,
    needs_massgen,
    only,
    result_of,
    run,
    team_at,
    upstream,
)

pytestmark = [
    needs_massgen, pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])
]  # fmt: skip
both_wires = pytest.mark.parametrize("kind", ["chatcompletion", "openai"])
SCRIPT: Mapping[str, Any] = {"draft": "Air scatters blue.", "present": "It scatters most of all."}
WEATHER = Tool(name="get_weather", description="Tells the weather.", parameters={"type": "object"})


def said_to(request: ServedRequest) -> str:
    return json.dumps(request.body, ensure_ascii=False)


def tools_of(request: ServedRequest) -> list[str]:
    tools: list[dict[str, Any]] = list(request.body.get("tools", ()))
    return [tool.get("function", tool).get("name", "") for tool in tools]


@both_wires
async def test_a_message_submitted_as_a_call_is_streamed_token_by_token(kind: str) -> None:
    seen = anyio.Event()

    async def hold(request: ServedRequest, index: int) -> None:
        if request.phase is Phase.PRESENT and index == 8:
            await seen.wait()

    script = {**SCRIPT, "present": {"new_answer": "It scatters most of all, and so it is blue."}}
    pieces: list[str] = []
    async with (
        upstream(script, hold=hold) as up,
        massgen_at(up.url, "massgen", kind=kind) as massgen,
    ):
        with anyio.fail_after(20):
            async with massgen.stream(QUESTION) as events:
                async for event in events:
                    if isinstance(event, MessageText):
                        pieces.append(event.text)
                        seen.set()
    assert "".join(pieces) == "It scatters most of all, and so it is blue."
    assert len(pieces) >= 8


@both_wires
async def test_a_call_of_a_clients_tool_ends_the_run_and_nothing_more_is_asked(kind: str) -> None:
    script = {"draft": {"calls": [{"name": "get_weather", "arguments": {"city": "Bern"}}]}}
    async with upstream(script) as up, massgen_at(up.url, "massgen", kind=kind) as massgen:
        events = await run(massgen, tools=(WEATHER,))
        await up.is_idle()
        assert {request.phase for request in up.app.requests} == {Phase.DRAFT}
    result = result_of(events)
    assert (result.content, result.message.finish_reason) == (None, "tool_calls")
    call = result.message.tool_calls[0]
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Bern"})
    assert call.id.startswith("call_mg")
    assert len(call.id) <= 40
    told = only(events, MessageToolCall)
    assert [(e.id, e.name, e.arguments) for e in told] == [(call.id, call.name, call.arguments)]


async def test_a_follow_up_goes_on_with_the_results_in_the_task() -> None:
    call = ToolCall(id="call_mg0_x", name="get_weather", arguments='{"city": "Bern"}')
    messages = (
        text_message("user", "Is it warm in Bern?"),
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", tool_call_id=call.id, content=(Text("31 degrees"),)),
    )
    async with upstream(SCRIPT) as up, massgen_at(up.url, "massgen") as massgen:
        result = result_of(await run(massgen, messages=messages, tools=(WEATHER,)))
        for request in up.app.requests:
            assert "Is it warm in Bern?" in said_to(request)
            assert "31 degrees" in said_to(request)
    assert result.content == "It scatters most of all."


async def test_a_tool_named_like_one_of_massgens_works() -> None:
    tool = Tool(name="vote", description="A ballot.", parameters={"type": "object"})
    script = {"draft": {"calls": [{"name": "client_vote", "arguments": {"for": "x"}}]}}
    async with upstream(script) as up, massgen_at(up.url, "massgen") as massgen:
        result = result_of(await run(massgen, tools=(tool,)))
    assert [call.name for call in result.message.tool_calls] == ["vote"]


async def test_all_that_the_client_said_reaches_every_agent_in_every_phase() -> None:
    messages = (
        text_message("system", "Answer as a pirate."),
        text_message("user", "My name is Ishmael."),
        text_message("assistant", "Ahoy, Ishmael."),
        Message(role="user", content=(Text("And this?"), Image("https://x/y.png"))),
    )
    async with upstream(SCRIPT) as up, massgen_at(up.url, "massgen") as massgen:
        await run(massgen, messages=messages)
        assert {request.phase for request in up.app.requests} == set(Phase)
        for request in up.app.requests:
            for part in ("as a pirate", "is Ishmael", "Ahoy, Ishmael", "And this?", "An image"):
                assert part in said_to(request), (request.phase, part)


# Policies


@both_wires
async def test_a_gated_model_drafts_without_workflow_tools_and_with_effort(kind: str) -> None:
    async with (
        upstream(SCRIPT) as up,
        massgen_at(
            up.url, "massgen", "gpt-5.2", "gpt-5.2", kind=kind, params={"temperature": 0.7}
        ) as massgen,
    ):
        events = await run(massgen)
        requests = up.app.requests
    drafts = [request for request in requests if request.phase is Phase.DRAFT]
    assert len(drafts) == 2
    for request in drafts:
        assert not {"new_answer", "vote"} & set(tools_of(request))
    for request in requests:
        body = request.body
        effort = body.get("reasoning_effort") or body.get("reasoning", {}).get("effort")
        assert effort == "medium"
        assert "temperature" not in body
        assert "one purpose" in said_to(request), "the policy's section"
    assert [event.parameters for event in only(events, ParametersDropped)] == [("temperature",)] * 2
    assert [event.content for event in only(events, Answered)] == ["Air scatters blue."] * 2


@both_wires
async def test_an_immediate_new_answer_never_reaches_massgen(kind: str) -> None:
    script: dict[str, Any] = {
        "draft": {"new_answer": "At once.", "on_correction": ["Worked out."]},
        "evaluate": {"vote": "agent1", "evaluations": [], "on_correction": ["vote agent1"]},
        "present": "Done.",
    }
    async with (
        upstream(script) as up,
        massgen_at(up.url, "massgen", "gpt-5.2", "gpt-5.2", kind=kind) as massgen,
    ):
        events = await run(massgen)
    rejected = [(event.reason, event.attempt) for event in only(events, SubmissionRejected)]
    assert rejected.count(("tool_not_offered", 1)) == 2
    assert rejected.count(("missing_evaluations", 1)) >= 2
    assert [event.content for event in only(events, Answered)] == ["Worked out."] * 2
    votes = only(events, VoteCast)
    assert votes
    assert all(vote.verified for vote in votes)
    assert result_of(events).content == "Done."


async def test_what_the_policy_objects_to_at_last_counts_as_unverified() -> None:
    script: dict[str, Any] = {
        "draft": "Worked out.",
        "evaluate": {"vote": "agent1", "evaluations": []},
        "present": "Done.",
    }
    async with (
        upstream(script) as up,
        massgen_at(up.url, "massgen", "gpt-5.2", "gpt-5.2") as massgen,
    ):
        events = await run(massgen)
    votes = only(events, VoteCast)
    assert votes
    assert not any(vote.verified for vote in votes)


async def test_a_model_without_a_policy_gets_what_massgen_sends() -> None:
    async with upstream(SCRIPT) as up, massgen_at(up.url, "massgen") as massgen:
        await run(massgen)
        drafts = [request for request in up.app.requests if request.phase is Phase.DRAFT]
    for request in drafts:
        assert {"new_answer", "vote"} <= set(tools_of(request))
        assert "reasoning_effort" not in request.body


# Selection and errors


async def test_teams_of_both_engines_are_served_side_by_side() -> None:
    async with upstream(SCRIPT) as up:
        local = Team("local", team_at(up.url, "m", "m").agents)
        remote = Team(
            "remote", team_at(up.url, "m", "m").agents, settings=TeamSettings(engine="massgen")
        )
        async with MassGen(local, remote, env={}) as massgen:
            for name in ("local", "remote"):
                result = result_of(await run(massgen, team=name))
                assert (result.team, result.content) == (name, "It scatters most of all.")
            asked = [said_to(request) for request in up.app.requests]
    assert sum("<ORIGINAL MESSAGE>" in text for text in asked) >= 5
    assert sum("<ORIGINAL MESSAGE>" not in text for text in asked) == 5


async def test_an_agent_alone_makes_one_call() -> None:
    async with upstream(SCRIPT) as up, massgen_at(up.url, "massgen") as massgen:
        result = result_of(await run(massgen, team="team-single"))
        assert len(up.app.requests) == 1
        assert result.content == "It scatters most of all."
        call = {"draft": {"calls": [{"name": "get_weather"}]}}
    async with upstream(call) as up, massgen_at(up.url, "massgen") as massgen:
        result = result_of(await run(massgen, team="team-single", tools=(WEATHER,)))
        assert [each.name for each in result.message.tool_calls] == ["get_weather"]


@pytest.mark.parametrize(
    ("param", "payload"),
    [
        ("response_format", {"response_format": {"type": "json_object"}}),
        ("n", {"n": 2}),
        ("tool_choice", {"tool_choice": "required"}),
    ],
)
async def test_what_massgen_has_no_place_for_is_refused(
    param: str, payload: Mapping[str, Any]
) -> None:
    function = {"name": "f", "parameters": {"type": "object"}}
    tools = [{"type": "function", "function": function}]
    messages = [{"role": "user", "content": "As JSON, please."}]
    async with upstream(SCRIPT) as up, massgen_at(up.url, "massgen") as massgen:
        with pytest.raises(UnsupportedParameter) as caught:
            await massgen.chat({"model": "team", "messages": messages, "tools": tools, **payload})
        assert up.app.requests == ()
    assert caught.value.param == param


async def test_parameters_of_the_request_reach_whom_they_are_for() -> None:
    async with upstream(SCRIPT) as up, massgen_at(up.url, "massgen") as massgen:
        await massgen.chat(
            {
                "model": "team", "messages": [{"role": "user", "content": "Hi"}],
                "temperature": 0.3, "max_tokens": 77,
            }
        )  # fmt: skip
        requests = up.app.requests
    assert {request.body.get("temperature") for request in requests} == {0.3}
    limits = {r.phase: r.body.get("max_tokens") for r in requests}
    assert limits[Phase.PRESENT] == 77
    assert limits[Phase.DRAFT] is None


async def test_models_that_are_replaced_are_for_the_local_engine() -> None:
    with pytest.raises(ConfigError, match="local engine"):
        MassGen(Team("t", [Agent("a", model="m")]), connect=lambda _: Model(), engine="massgen")


async def test_the_process_stays_as_it_was() -> None:
    before = dict(os.environ)
    async with upstream(SCRIPT) as up, massgen_at(up.url, "massgen", kind="openai") as massgen:
        await run(massgen)
    after = {name: value for name, value in os.environ.items() if name != "TIKTOKEN_CACHE_DIR"}
    assert after == {name: before[name] for name in after}
    assert "nest_asyncio" not in sys.modules


async def test_massgen_gets_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with upstream(SCRIPT) as up, massgen_at(up.url, "massgen", kind="openai") as massgen:
        await run(massgen)
        keys = {request.headers["authorization"] for request in up.app.requests}
    assert keys == {"Bearer sk-upstream"}


async def test_under_trio_it_says_what_it_needs(anyio_backend: str) -> None:
    def on_trio() -> None:
        async def main() -> None:
            team = team_at("http://127.0.0.1:9/v1", "m", "m")
            massgen = MassGen(team, env={}, engine="massgen")
            request = RunRequest(team="team", messages=QUESTION.messages)
            async with massgen.stream(request) as events:
                await anext(events)

        trio.run(main)

    with pytest.raises(EngineUnavailable, match="asyncio only"):
        await anyio.to_thread.run_sync(on_trio)
