"""Client tools over several server processes, for any conversations in any order.

A process keeps nothing between requests. So whichever process takes which step of whichever
conversation, the presenter's model is told the same and the client gets the same as where one
process takes every step; only the random part of the ids differs. Two ``MassGen`` objects that
share nothing stand for two processes, and at the end there are two processes.
"""

import json
import re
import signal
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import openai
from hypothesis import given, settings
from hypothesis import strategies as st

from massgen_compat import Agent, MassGen, Team, TeamSettings
from massgen_compat._agents.call_ids import call_id
from massgen_compat._run.message import ToolCall
from massgen_compat._run.turn import CallPiece, Phase, Reply, TurnEvent, TurnRequest
from massgen_compat.cli.server import serving
from massgen_compat.protocol.chat.answer import fold
from massgen_compat.testing import ScriptedServer
from tests.cli.test_cli import config, serve
from tests.fakes import COST, Model, answer, say, vote
from tests.processes import Served

TOOL: Any = {
    "type": "function",
    "function": {
        "name": "read_file",
        "description": "Read a file.",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}}},
    },
}
PLAN = re.compile(r"PLAN(.*?)NALP")
OURS = re.compile(r"call_mg(\d+)_([0-9a-f]{24})")


@dataclass(frozen=True)
class Step:
    """A step of a tool loop: whom the team would choose, and what the calls give; none ends it."""

    winner: int
    results: tuple[object, ...] = ()


@dataclass(frozen=True)
class Talk:
    """A conversation: the tool loops of one or two messages of its user."""

    name: str
    loops: tuple[tuple[Step, ...], ...]
    extra: dict[str, Any]
    stream: bool
    echo: bool

    @property
    def turns(self) -> list[tuple[int, int]]:
        """The loop and the step of every request."""
        return [(loop, step) for loop, steps in enumerate(self.loops) for step in range(len(steps))]

    def asked(self, loop: int) -> dict[str, Any]:
        """A message of the user. It tells the model below what to do, which needs no memory."""
        plan = [{"winner": step.winner, "calls": len(step.results)} for step in self.loops[loop]]
        return {"role": "user", "content": f"{self.name}: PLAN{json.dumps(plan)}NALP"}


@dataclass(frozen=True)
class Take:
    """Who takes the next step of a conversation, and who takes it again because of a retry."""

    process: int
    again: int | None = None
    keep_second: bool = False


def planned(request: TurnRequest) -> tuple[Mapping[str, int], int]:
    """The step of the plan that the request is at, and its number."""
    places = [n for n, message in enumerate(request.messages) if PLAN.search(message.text)]
    found = PLAN.search(request.messages[places[-1]].text)
    assert found
    done = sum(bool(message.tool_calls) for message in request.messages[places[-1] :])
    return json.loads(found[1])[done], done


def model(request: TurnRequest) -> Sequence[TurnEvent]:
    """Does as the plan says, from nothing but the request."""
    plan, step = planned(request)
    match request.phase:
        case Phase.DRAFT:
            return answer(f"{request.agent} would take step {step}")
        case Phase.EVALUATE:
            return vote(f"agent{plan['winner'] + 1}")
        case Phase.PRESENT if plan["calls"]:
            calls = tuple(
                ToolCall(id=f"call_{n}", name="read_file", arguments=json.dumps({"path": f"{n}"}))
                for n in range(plan["calls"])
            )
            pieces = [
                CallPiece(n, call.arguments, id=call.id, name=call.name)
                for n, call in enumerate(calls)
            ]
            return [*pieces, Reply(tool_calls=calls, finish_reason="tool_calls", usage=COST)]
        case Phase.PRESENT:
            return say(f"{request.agent} ", "is done.")


@dataclass
class World:
    """Processes that share nothing, and what is seen of them, by conversation."""

    processes: list[MassGen]
    requests: list[TurnRequest] = field(default_factory=list[TurnRequest])
    seen: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    @classmethod
    def of(cls, count: int, agents: int, tool_rounds: int | None) -> "World":
        world = cls([])

        def process() -> MassGen:
            models: dict[str, Model] = {}

            def connect(agent: Agent) -> Model:
                return models.setdefault(agent.id, Model(world.script))

            members = [Agent(name, model="m") for name in "abc"[:agents]]
            team = Team("team", members, settings=TeamSettings(tool_rounds=tool_rounds))
            return MassGen(team, connect=connect)

        world.processes = [process() for _ in range(count)]
        return world

    def script(self, request: TurnRequest) -> Sequence[TurnEvent]:
        self.requests.append(request)
        return model(request)


class Known:
    """The ids of a conversation, by the order in which its client got to know them."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def hide(self, value: object) -> str:
        """The value as text, without what is random in the ids."""

        def number(found: re.Match[str]) -> str:
            return self._names.setdefault(found[0], f"call_mg{found[1]}_#{len(self._names)}")

        return OURS.sub(number, repr(value))


async def ask(massgen: MassGen, body: Mapping[str, Any], *, stream: bool) -> dict[str, Any]:
    """The completion, in the shape of the wire."""
    if not stream:
        return (await massgen.chat(body)).model_dump(exclude_unset=True)
    async with massgen.chat_stream(body) as chunks:
        return fold([chunk.model_dump(exclude_unset=True) async for chunk in chunks])


async def play(world: World, talks: Mapping[str, Talk], order: Sequence[tuple[str, Take]]) -> None:
    """Let the conversations happen, and check what every single step costs."""
    messages = {name: list[dict[str, Any]]() for name in talks}
    known = {name: Known() for name in talks}
    turns = {name: iter(talk.turns) for name, talk in talks.items()}
    for name, take in order:
        talk, (loop, step) = talks[name], next(turns[name])
        if step == 0:
            messages[name].append(talk.asked(loop))
        body = {"model": "team", "messages": messages[name], "tools": [TOOL], **talk.extra}
        at = talk.loops[loop][: step + 1]
        replies = [await reply(world, take.process, talk, body, known[name], at)]
        if take.again is not None:
            replies.append(await reply(world, take.again, talk, body, known[name], at))
        message = replies[-1 if take.keep_second else 0]
        if not talk.echo:
            message.pop("reasoning_content", None)
        messages[name].append(message)
        results = talk.loops[loop][step].results
        for call, result in zip(message.get("tool_calls", ()), results, strict=True):
            messages[name].append({"role": "tool", "tool_call_id": call["id"], "content": result})


async def reply(
    world: World,
    place: int,
    talk: Talk,
    body: Mapping[str, Any],
    known: Known,
    at: Sequence[Step],
) -> dict[str, Any]:
    """One request to one of the processes; notes what went upstream and what came back.

    ``at`` are the steps of the loop up to this one: the team decides in the first, and in others
    as ``tool_rounds`` says; whom it chose last has to present.
    """
    massgen = world.processes[place % len(world.processes)]
    world.requests.clear()
    completion = await ask(massgen, body, stream=talk.stream)
    team = massgen.team("team")
    agents, every = len(team.agents), team.settings.tool_rounds
    decided = max(n for n in range(len(at)) if n == 0 or (every is not None and n % every == 0))
    together = decided == len(at) - 1 and agents > 1
    assert len(world.requests) == (2 * agents + 1 if together else 1)
    choice, told = completion["choices"][0], completion["massgen"]
    assert told["presenter"] == team.agents[at[decided].winner].id
    message = choice["message"]
    ids = [call["id"] for call in message.get("tool_calls", ())]
    assert all(OURS.fullmatch(name) and len(name) <= 40 for name in ids)
    seen = world.seen.setdefault(talk.name, [])
    seen.append(known.hide(message))
    seen.append(f"{choice['finish_reason']} {told['winner']} {told['presenter']} {told['agents']}")
    presented = [each for each in world.requests if each.phase is Phase.PRESENT]
    seen.extend(known.hide(each) for each in presented)
    seen.append(repr(sorted(Counter(each.phase for each in world.requests).items())))
    return dict(message)


PART = st.fixed_dictionaries({"type": st.just("text"), "text": st.text(max_size=9)})
RESULTS: st.SearchStrategy[object] = st.one_of(
    st.text(max_size=20), st.just(""), st.lists(PART, max_size=3)
)


@st.composite
def loops(draw: st.DrawFn, agents: int, most_calls: int) -> tuple[Step, ...]:
    winners = st.integers(0, agents - 1)
    results = st.lists(RESULTS, min_size=1, max_size=most_calls).map(tuple)
    steps = draw(st.lists(st.builds(Step, winners, results), max_size=4))
    return (*steps, Step(draw(winners)))


@st.composite
def talks(draw: st.DrawFn, name: str, agents: int) -> Talk:
    serial = draw(st.booleans())
    choice = draw(st.sampled_from([None, "auto"]))
    return Talk(
        name=name,
        loops=tuple(
            draw(st.lists(loops(agents, 1 if serial else 3), min_size=1, max_size=2)),
        ),
        extra={"parallel_tool_calls": not serial} | ({"tool_choice": choice} if choice else {}),
        stream=draw(st.booleans()),
        echo=draw(st.booleans()),
    )


PROCESSES = st.integers(0, 1)
TAKES = st.builds(Take, PROCESSES, st.none() | PROCESSES, st.booleans())


@st.composite
def histories(draw: st.DrawFn) -> tuple[int, dict[str, Talk], list[tuple[str, Take]]]:
    """A size of the team, conversations, and an order in which their steps are taken by whom."""
    agents = draw(st.integers(1, 3))
    names = ["one", "two", "three"][: draw(st.integers(1, 3))]
    held = {name: draw(talks(name, agents)) for name in names}
    order = draw(st.permutations([name for name in names for _ in held[name].turns]))
    return agents, held, [(name, draw(TAKES)) for name in order]


TOOL_ROUNDS = st.sampled_from([None, 1, 2, 3])
"""``presenter``, ``team``, ``every_n:2``, ``every_n:3``."""


@settings(deadline=None, max_examples=100)
@given(histories(), TOOL_ROUNDS)
def test_two_processes_tell_presenters_and_clients_what_one_does(
    history: tuple[int, dict[str, Talk], list[tuple[str, Take]]], tool_rounds: int | None
) -> None:
    agents, held, order = history

    def seen(count: int) -> dict[str, list[str]]:
        world = World.of(count, agents, tool_rounds)
        anyio.run(play, world, held, order)
        return world.seen

    assert seen(2) == seen(1)


FOREIGN = st.one_of(
    st.text(min_size=1, max_size=60),
    st.builds(call_id, st.integers(0, 9), st.just("0" * 24)),
    st.from_regex(r"call_mg\d{0,5}_[0-9a-fA-F]{20,28}\n?", fullmatch=True),
    st.sampled_from(["toolu_01", "call_legacy_1", "functions.read_file:0", "call_mg1_", "call_mg"]),
)


@st.composite
def strangers(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A tool loop with ids that somebody else made up, some of them ours or nearly ours."""
    messages = [Talk("x", ((Step(0),) * 9,), {}, stream=False, echo=False).asked(0)]
    for ids in draw(st.lists(st.lists(FOREIGN, min_size=1, max_size=3, unique=True), max_size=3)):
        function = {"name": "read_file", "arguments": draw(st.sampled_from(["{}", "", "{"]))}
        calls = [{"id": name, "type": "function", "function": function} for name in ids]
        messages.append({"role": "assistant", "content": None, "tool_calls": calls})
        messages += [{"role": "tool", "tool_call_id": name, "content": "x"} for name in ids]
    return messages


@settings(deadline=None)
@given(strangers(), TOOL_ROUNDS)
def test_an_id_of_somebody_else_costs_a_coordination_and_nothing_else(
    messages: list[dict[str, Any]], tool_rounds: int | None
) -> None:
    world = World.of(1, 3, tool_rounds)
    body = {"model": "team", "messages": messages, "tools": [TOOL]}

    async def once() -> dict[str, Any]:
        return await ask(world.processes[0], body, stream=False)

    completion = anyio.run(once)
    assert completion["choices"][0]["finish_reason"] == "stop"
    last = next((m["tool_calls"] for m in reversed(messages) if m.get("tool_calls")), ())
    places = {found[1] for call in last if (found := OURS.fullmatch(call["id"]))}
    ours = len(places) == 1 and all(OURS.fullmatch(call["id"]) for call in last)
    steps = sum("tool_calls" in message for message in messages)
    goes_on = ours and int(places.pop()) < 3 and not (tool_rounds and steps % tool_rounds == 0)
    assert len(world.requests) == (1 if goes_on else 7)


FILES = {"a.txt": "b.txt", "b.txt": "the treasure"}
SCRIPT = {
    "draft": "Read a.txt first.",
    "evaluate": "vote agent2",
    "present": [
        {"calls": [{"name": "read_file", "arguments": {"path": "a.txt"}}]},
        {"calls": [{"name": "read_file", "arguments": {"path": "b.txt"}}]},
        "Here is the treasure.",
    ],
}


def find_treasure(
    servers: Sequence[Served],
    upstream: ScriptedServer,
    then: Callable[[int], object] = bool,
) -> list[str]:
    """A tool loop of three steps, each on its server: all that presenters and client saw.

    ``then`` is called after each step.
    """
    before, known = len(upstream.requests), Known()
    messages: list[Any] = [{"role": "user", "content": "Find the treasure."}]
    costs: list[int] = []
    for step, server in enumerate(servers):
        url = f"{server.url}/v1"
        with openai.OpenAI(base_url=url, api_key="unused", max_retries=0) as client:
            completion = client.chat.completions.create(
                model="team",
                messages=messages,
                tools=[TOOL],
                extra_body={"massgen": {"trace": "off"}},  # it tells who happened to be first
            )
        message = completion.choices[0].message.model_dump(exclude_none=True)
        messages.append(message)
        costs.append(len(upstream.requests) - before)
        for call in message.get("tool_calls", ()):
            result = FILES[json.loads(call["function"]["arguments"])["path"]]
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
        then(step)
    assert costs == [7, 8, 9]
    presented = [each for each in upstream.requests[before:] if each.phase is Phase.PRESENT]
    return [known.hide(messages), *(known.hide(each.body) for each in presented)]


def test_a_tool_loop_over_two_processes_is_the_loop_of_one(tmp_path: Path) -> None:
    """Also where the process that the team decided in is killed before the results come."""
    upstream = ScriptedServer({}, default=SCRIPT)
    with ExitStack() as stack:
        provider = stack.enter_context(serving(upstream))
        backend = f"{{type: chatcompletion, model: m, base_url: {provider}/v1, api_key: x}}"
        agents = "".join(f"- {{id: {name}, backend: {backend}}}\n" for name in "abc")
        team = config(tmp_path, f"agents:\n{agents}")
        first, second = (stack.enter_context(serve(team)) for _ in range(2))
        alone = find_treasure([first, first, first], upstream)
        assert find_treasure([first, second, first], upstream) == alone

        def kill(step: int) -> None:
            if step == 0:
                first.stop(signal.SIGKILL)

        assert find_treasure([first, second, second], upstream, kill) == alone
