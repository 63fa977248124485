"""Client tools in a run: the team decides, one agent acts, and any process can go on."""

import json
import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import anyio
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_compat import Agent, Backend, MassGen, Team, TeamSettings
from massgen_compat._agents.call_ids import call_id, presenter_of
from massgen_compat._local.engine import LocalEngine
from massgen_compat._run.message import Message, NamedTool, Text, Tool, ToolCall, text_message
from massgen_compat._run.request import RunRequest
from massgen_compat._run.turn import CallPiece, Phase, Reply, TurnEvent, TurnRequest
from massgen_compat.asgi import create_app
from massgen_compat.cli.server import serving
from massgen_compat.events import MessageToolCall, RunCompleted, RunEvent, TurnStarted
from massgen_compat.testing import ScriptedServer
from tests.fakes import COST, Model, agreeable, answer, reading, say, vote

READ = Tool(name="read_file", description="Read a file.", parameters={"type": "object"})
USER = text_message("user", "What is in a.txt?")
TEAM = Team("team", [Agent(name, model="m") for name in "abc"])


def asking(*messages: Message, **more: Any) -> RunRequest:
    return RunRequest(team="team", messages=messages or (USER,), tools=(READ,), **more)


def calling(request: TurnRequest) -> list[TurnEvent]:
    """Drafts, votes for agent2, and makes two calls when it presents."""
    if request.phase is Phase.EVALUATE:
        return vote(request.tools[0].parameters["properties"]["agent_id"]["enum"][1])
    if request.phase is not Phase.PRESENT:
        return agreeable(request)
    calls = tuple(
        ToolCall(id=f"call_provider_{n}", name="read_file", arguments=f'{{"path": "{n}.txt"}}')
        for n in "ab"
    )
    pieces: list[TurnEvent] = []
    for index, call in enumerate(calls):
        pieces.append(CallPiece(index, "", id=call.id, name=call.name))
        pieces.append(CallPiece(index, call.arguments))
    return [*pieces, Reply(tool_calls=calls, finish_reason="tool_calls", usage=COST)]


async def run(
    models: dict[str, Model], request: RunRequest, settings: TeamSettings | None = None
) -> list[RunEvent]:
    team = Team("team", [Agent(name, model="m") for name in models], settings=settings)
    engine = LocalEngine(lambda agent: models[agent.id])
    with anyio.fail_after(5):
        async with reading(engine, team, request) as events:
            return [event async for event in events]


def result(events: Sequence[RunEvent]) -> Any:
    last = events[-1]
    assert isinstance(last, RunCompleted)
    return last.result


@pytest.mark.anyio
async def test_the_team_decides_and_the_presenter_makes_the_calls() -> None:
    models = {name: Model(calling) for name in "abc"}
    events = await run(models, asking(tool_choice="auto", parallel_tool_calls=True))
    assert sum(len(model.requests) for model in models.values()) == 7
    pieces = [event for event in events if isinstance(event, MessageToolCall)]
    assert [(p.index, p.name, p.arguments) for p in pieces] == [
        (0, "read_file", ""),
        (0, None, '{"path": "a.txt"}'),
        (1, "read_file", ""),
        (1, None, '{"path": "b.txt"}'),
    ]
    ids = [piece.id for piece in pieces if piece.id]
    assert all(re.fullmatch(r"call_mg1_[0-9a-f]{24}", name) for name in ids)
    assert [call.id for call in result(events).message.tool_calls] == ids
    assert result(events).message.finish_reason == "tool_calls"


@pytest.mark.anyio
async def test_agents_know_the_tools_and_only_the_presenter_is_offered_them() -> None:
    models = {name: Model(calling) for name in "abc"}
    await run(models, asking(tool_choice="required", parallel_tool_calls=False))
    for model in models.values():
        for request in model.requests:
            assert "read_file: Read a file." in request.messages[0].text
            offered = "read_file" in [tool.name for tool in request.tools]
            assert offered is (request.phase is Phase.PRESENT)
            asked = (request.tool_choice, request.parallel_tool_calls)
            assert asked == (("required", False) if offered else (None, None))


@pytest.mark.anyio
async def test_a_call_that_was_named_beforehand_ends_in_stop() -> None:
    models = {name: Model(calling) for name in "ab"}
    events = await run(models, asking(tool_choice=NamedTool("read_file")))
    assert (result(events).message.finish_reason, len(result(events).message.tool_calls)) == (
        "stop",
        2,
    )


@pytest.mark.anyio
async def test_somebody_presents_also_where_answers_are_reused() -> None:
    models = {name: Model(calling) for name in "ab"}
    settings = TeamSettings(final_answer_strategy="winner_reuse")
    assert len(result(await run(models, asking(), settings)).message.tool_calls) == 2


@pytest.mark.anyio
async def test_calls_that_nobody_offered_are_no_part_of_the_message() -> None:
    def eager(request: TurnRequest) -> list[TurnEvent]:
        if request.phase is not Phase.PRESENT:
            return agreeable(request)
        [*pieces, reply] = calling(replace(request, phase=Phase.PRESENT))
        assert isinstance(reply, Reply)
        return [*say("Here.")[:-1], *pieces, replace(reply, text="Here.")]

    events = await run({name: Model(eager) for name in "ab"}, replace(asking(), tools=()))
    ended = result(events)
    assert (ended.content, ended.message.tool_calls, ended.message.finish_reason) == (
        "Here.",
        (),
        "stop",
    )


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["vote", "new_answer"])
async def test_a_client_tool_with_a_workflow_name_works(name: str) -> None:
    def scripted(request: TurnRequest) -> list[TurnEvent]:
        names = [tool.name for tool in request.tools]
        if request.phase is Phase.DRAFT:
            [event] = answer("draft")
        elif request.phase is Phase.EVALUATE:
            [event] = vote("agent1")
        else:
            assert names == [name]
            call = ToolCall(id="call_x", name=name, arguments="{}")
            piece = CallPiece(0, "{}", id="call_x", name=name)
            return [piece, Reply(tool_calls=(call,), finish_reason="tool_calls", usage=COST)]
        assert isinstance(event, Reply)
        own = next(n for n in names if n.endswith(event.tool_calls[0].name))
        assert own != name
        return [replace(event, tool_calls=(replace(event.tool_calls[0], name=own),))]

    models = {agent: Model(scripted) for agent in "ab"}
    events = await run(models, replace(asking(), tools=(replace(READ, name=name),)))
    assert [call.name for call in result(events).message.tool_calls] == [name]
    assert sum(len(model.requests) for model in models.values()) == 5


def followed_up(place: int, *more: Message) -> tuple[Message, ...]:
    name = call_id(place, "0" * 24)
    call = ToolCall(id=name, name="read_file", arguments="{}")
    return (
        USER,
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", content=(Text("contents"),), tool_call_id=name),
        *more,
    )


@pytest.mark.anyio
async def test_a_follow_up_costs_one_call_of_the_same_presenter() -> None:
    models = {name: Model() for name in "abc"}
    events = await run(models, asking(*followed_up(1)))
    assert [len(model.requests) for model in models.values()] == [0, 1, 0]
    request = models["b"].requests[0]
    assert [tool.name for tool in request.tools] == ["read_file"]
    assert [message.role for message in request.messages] == [
        "system",
        "user",
        "assistant",
        "tool",
        "user",
    ]
    assert result(events).content == "It scatters."


@pytest.mark.anyio
async def test_the_stable_part_of_a_presenters_turns_is_the_same_in_its_follow_ups() -> None:
    first, second = ({name: Model(calling) for name in "ab"} for _ in range(2))
    await run(first, asking())
    await run(second, asking(*followed_up(1)))
    assert first["b"].requests[-1].messages[0] == second["b"].requests[-1].messages[0]


@pytest.mark.anyio
async def test_when_the_presenter_cannot_go_on_another_agent_does() -> None:
    from massgen_compat.errors import UpstreamUnreachable  # noqa: PLC0415
    from tests.fakes import failing  # noqa: PLC0415

    broken = Model(failing(Phase.PRESENT, UpstreamUnreachable("gone")))
    models = {"a": Model(), "b": broken, "c": Model()}
    events = await run(models, asking(*followed_up(1)))
    assert [event.agent for event in events if isinstance(event, TurnStarted)] == ["b", "c"]
    assert result(events).content == "It scatters."


@pytest.mark.anyio
async def test_a_foreign_id_costs_the_shortcut_and_nothing_else() -> None:
    call = ToolCall(id="toolu_01", name="read_file", arguments="{}")
    messages = (
        USER,
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", content=(Text("contents"),), tool_call_id="toolu_01"),
    )
    models = {name: Model() for name in "ab"}
    await run(models, asking(*messages))
    assert sum(len(model.requests) for model in models.values()) == 5


@pytest.mark.parametrize(
    ("messages", "place"),
    [
        ((USER,), None),
        (followed_up(0), 0),
        (followed_up(2), 2),
        (followed_up(3), None),
        (followed_up(1, text_message("user", "and now?")), None),
        ((followed_up(1)[2],), None),
        ((), None),
    ],
)
def test_who_goes_on_stands_in_the_conversation(
    messages: tuple[Message, ...], place: int | None
) -> None:
    assert presenter_of(TEAM, messages) == place


def test_the_team_decides_again_after_as_many_steps_as_it_wants() -> None:
    def goes_on(every: int | None, steps: int) -> bool:
        team = Team("t", TEAM.agents, settings=TeamSettings(tool_rounds=every))
        return presenter_of(team, (*followed_up(1), *followed_up(1)[1:] * (steps - 1))) == 1

    assert [goes_on(None, steps) for steps in (1, 2, 3, 4)] == [True] * 4
    assert [goes_on(1, steps) for steps in (1, 2)] == [False] * 2
    assert [goes_on(3, steps) for steps in (1, 2, 3, 4)] == [True, True, False, True]


@given(st.integers(0, 999), st.text("0123456789abcdef", min_size=24, max_size=24))
def test_ids_fit_openais_bound_and_tell_their_place(place: int, suffix: str) -> None:
    name = call_id(place, suffix)
    assert len(name) <= 40
    crowd = Team("crowd", [Agent(f"a{n}", model="m") for n in range(1000)])
    call = ToolCall(id=name, name="x", arguments="{}")
    result = Message(role="tool", tool_call_id=name)
    assert presenter_of(crowd, (Message(role="assistant", tool_calls=(call,)), result)) == place


TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "read_file",
            "description": "Read a file.",
            "parameters": {"type": "object", "properties": {"path": {"type": "string"}}},
        },
    }
]
FILES = {"a.txt": "b.txt", "b.txt": "the treasure"}
PRESENT = [
    {"calls": [{"name": "read_file", "arguments": {"path": "a.txt"}}]},
    {"calls": [{"name": "read_file", "arguments": {"path": "b.txt"}}]},
    "Here is the treasure.",
]


@pytest.mark.parametrize("kind", ["openai", "chatcompletion"])
@pytest.mark.parametrize("stream", ["stream", "whole"])
def test_a_tool_loop_alternates_between_two_server_processes(kind: str, stream: str) -> None:
    """Three agents decide once (7 calls); each of the two follow-ups costs one call, on whichever
    server it lands."""
    upstream = ScriptedServer({}, default={"evaluate": "vote agent2", "present": PRESENT})
    with ExitStack() as stack:
        provider = stack.enter_context(serving(upstream))
        backend = Backend(type=kind, base_url=f"{provider}/v1", api_key="scripted")
        team = Team("team", [Agent(name, model="m", backend=backend) for name in "abc"])
        clients = [
            stack.enter_context(openai.OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0))
            for url in (
                stack.enter_context(serving(create_app(MassGen(team, env={})))) for _ in range(2)
            )
        ]
        messages: list[Any] = [{"role": "user", "content": "Find the treasure."}]
        calls: list[int] = []
        for step in range(3):
            message = ask(clients[step % 2], messages, stream=stream == "stream")
            calls.append(len(upstream.requests))
            messages.append(message)
            for call in message.get("tool_calls") or ():
                path = json.loads(call["function"]["arguments"])["path"]
                messages.append(
                    {"role": "tool", "tool_call_id": call["id"], "content": FILES[path]}
                )
    assert messages[-1]["content"] == "Here is the treasure."
    assert [m["content"] for m in messages if m["role"] == "tool"] == ["b.txt", "the treasure"]
    assert calls == [7, 8, 9]


def ask(client: openai.OpenAI, messages: list[Any], *, stream: bool) -> dict[str, Any]:
    if not stream:
        completion = client.chat.completions.create(model="team", messages=messages, tools=TOOLS)
    else:
        with client.chat.completions.stream(model="team", messages=messages, tools=TOOLS) as events:
            completion = events.get_final_completion()
    choice = completion.choices[0]
    assert choice.finish_reason == ("tool_calls" if choice.message.tool_calls else "stop")
    sent = choice.message.model_dump(exclude_none=True, exclude={"parsed"})
    for call in sent.get("tool_calls", ()):
        call["function"].pop("parsed_arguments", None)
    return sent
