"""Speculation: the message is begun when a majority agrees, and told or dropped at the decision."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import pytest

from massgen_compat import Agent, Limits, Team, TeamSettings
from massgen_compat._coordination import (
    CancelTurn,
    Complete,
    Elapsed,
    Failed,
    GraceTimer,
    LimitReached,
    NewAnswer,
    Presented,
    ReleaseMessage,
    Replied,
    Rules,
    Signal,
    Stage,
    StartTurn,
    Transition,
    VoteFor,
    begin,
    call_bound,
    step,
)
from massgen_compat._local.engine import LocalEngine, rules_of
from massgen_compat._local.presenter import HELD_PIECES
from massgen_compat._run.message import NamedTool, OutputFormat, Tool
from massgen_compat._run.request import RunRequest
from massgen_compat._run.result import RunResult
from massgen_compat._run.turn import Phase, TurnEvent, TurnRequest
from massgen_compat.config import parse
from massgen_compat.errors import UpstreamUnreachable
from massgen_compat.events import (
    MessageText,
    PresentationStarted,
    RunCompleted,
    RunEvent,
    SpeculationDropped,
    SpeculationStarted,
    TurnFinished,
    WinnerChosen,
)
from massgen_compat.protocol.trace import TraceWriter
from tests.fakes import QUESTION, Model, Script, agreeable, answer, failing, reading, say, vote

RULES = Rules(agents=("a", "b", "c"), speculate=True)


def play(rules: Rules, *signals: Signal) -> Transition:
    run = begin(rules)
    for signal in signals:
        run = run.then(lambda state, signal=signal: step(state, signal))
    return run


DRAFTS = tuple(Replied(agent, 1, (NewAnswer(f"answer of {agent}"),)) for agent in "abc")


def votes(agent: str, target: str, number: int = 2) -> Signal:
    return Replied(agent, number, (VoteFor(target),))


MAJORITY = (*DRAFTS, votes("a", "a"), votes("b", "a"))
BEGUN = StartTurn("a", 3, Phase.PRESENT)


# The rules


def test_the_one_that_a_majority_agrees_on_begins_while_the_last_one_finishes() -> None:
    run = play(RULES, *MAJORITY)
    assert run.effects[-1] == BEGUN
    assert run.state.stage is Stage.COORDINATING
    assert [e.agent for e in run.events if isinstance(e, SpeculationStarted)] == ["a"]


def test_without_the_setting_nobody_begins() -> None:
    assert BEGUN not in play(replace(RULES, speculate=False), *MAJORITY).effects


def test_it_begins_only_when_it_has_voted_itself() -> None:
    run = play(RULES, *DRAFTS, votes("b", "a"), votes("c", "a"))
    assert run.state.grace
    assert run.state.presenter is None


@pytest.mark.parametrize("last", [votes("c", "c"), Elapsed(GraceTimer(3)), Failed("c", 2)])
def test_at_the_decision_what_was_begun_is_the_message(last: Signal) -> None:
    run = step(play(RULES, *MAJORITY).state, last)
    assert ReleaseMessage("a") in run.effects
    assert not [effect for effect in run.effects if isinstance(effect, StartTurn)]
    assert (run.state.stage, run.state.winner, run.state.presenter) == (Stage.PRESENTING, "a", "a")
    assert [type(event) for event in run.events][-2:] == [WinnerChosen, PresentationStarted]
    assert step(run.state, Presented("a", 3)).effects == (Complete("presentation"),)


def test_a_new_answer_drops_it_and_everybody_evaluates() -> None:
    run = step(play(RULES, *MAJORITY).state, Replied("c", 2, (NewAnswer("better"),)))
    assert CancelTurn("a") in run.effects
    assert [event.agent for event in run.events if isinstance(event, SpeculationDropped)] == ["a"]
    assert run.state.presenter is None
    rounds = [(e.agent, e.round) for e in run.effects if isinstance(e, StartTurn)]
    assert rounds == [("a", 4), ("b", 3), ("c", 3)]


def test_a_limit_drops_it_and_the_answer_is_the_message() -> None:
    run = step(play(RULES, *MAJORITY).state, LimitReached("deadline_seconds"))
    assert CancelTurn("a") in run.effects
    assert run.effects[-1] == Complete("answer")
    assert run.state.presenter is None


def test_one_that_fails_ahead_is_asked_again_after_the_decision_and_not_before() -> None:
    run = step(play(RULES, *MAJORITY).state, Failed("a", 3))
    assert run.state.presenter is None
    assert run.state.members[0].living
    run = step(run.state, votes("c", "c"))
    assert [e.round for e in run.effects if isinstance(e, StartTurn)] == [4]
    assert run.state.stage is Stage.PRESENTING


def test_what_is_late_from_a_dropped_one_changes_nothing() -> None:
    state = step(play(RULES, *MAJORITY).state, Replied("c", 2, (NewAnswer("better"),))).state
    assert step(state, Failed("a", 3)) == Transition(state)
    assert step(state, Presented("a", 3)) == Transition(state)


def test_nobody_begins_where_the_calls_would_not_allow_for_being_wrong() -> None:
    """Six calls are made; one for the message, then three evaluations and another message."""
    assert play(replace(RULES, max_calls=11), *MAJORITY).effects[-1] == BEGUN
    assert BEGUN not in play(replace(RULES, max_calls=10), *MAJORITY).effects


def test_the_longest_run_has_a_message_for_nothing_with_each_set_of_votes() -> None:
    once = replace(RULES, max_answers=1)
    assert call_bound(once) == call_bound(replace(once, speculate=False)) + 1
    assert call_bound(RULES) == call_bound(replace(RULES, speculate=False)) + 7


def test_those_who_were_asked_first_do_not_begin_while_the_others_may_be_called() -> None:
    rules = Rules(agents=("a", "b", "c", "d"), first=("a", "b", "c"), until="majority")
    run = play(replace(rules, speculate=True), *DRAFTS, votes("a", "a"), votes("b", "a"))
    assert run.state.grace
    assert run.state.presenter is None


# The engine


@dataclass
class Stage3:
    """Three agents. The last one votes when it is let; the event ``lets`` does so, too."""

    last: Script = agreeable
    present: Sequence[TurnEvent] = field(default_factory=lambda: say("It ", "scatters."))
    lets: type[RunEvent] = RunCompleted
    let: anyio.Event = field(default_factory=anyio.Event)
    written: anyio.Event = field(default_factory=anyio.Event)
    aborted: anyio.Event = field(default_factory=anyio.Event)
    models: dict[str, Model] = field(default_factory=dict[str, Model])
    events: list[RunEvent] = field(default_factory=list[RunEvent])

    def script(self, request: TurnRequest) -> Sequence[TurnEvent]:
        if request.phase is Phase.PRESENT:
            return self.present
        return self.last(request) if request.agent == "c" else agreeable(request)

    async def hold(self, request: TurnRequest, index: int) -> None:
        """The last agent evaluates when it is let; the end of a message is noted."""
        await anyio.lowlevel.checkpoint()
        if request.agent == "c" and request.phase is Phase.EVALUATE and request.round == 2:
            await self.let.wait()
        if request.phase is Phase.PRESENT and index == len(self.present) - 1:
            self.written.set()

    async def run(self, settings: TeamSettings, request: RunRequest = QUESTION) -> RunResult:
        self.models = {name: Model(self.script, self.hold, self.aborted.set) for name in "abc"}
        team = Team("team", [Agent(name, model="m") for name in "abc"], settings=settings)
        engine = LocalEngine(lambda agent: self.models[agent.id])
        with anyio.fail_after(5):
            async with reading(engine, team, request) as events:
                async for event in events:
                    self.events.append(event)
                    if isinstance(event, self.lets):
                        self.let.set()
        last = self.events[-1]
        assert isinstance(last, RunCompleted)
        return last.result

    def calls(self) -> Mapping[str, int]:
        return {name: len(model.requests) for name, model in self.models.items()}


AHEAD = TeamSettings(speculate=True)


@pytest.mark.anyio
async def test_what_was_written_ahead_is_held_and_told_at_once_at_the_decision() -> None:
    stage = Stage3(lets=TurnFinished)

    async def hold(request: TurnRequest, index: int) -> None:
        if request.agent == "c" and request.phase is Phase.EVALUATE:
            await stage.written.wait()
            assert not [e for e in stage.events if isinstance(e, WinnerChosen | MessageText)]
        await Stage3.hold(stage, request, index)

    stage.hold = hold  # type: ignore[method-assign]
    result = await stage.run(AHEAD)
    assert result.content == "It scatters."
    assert stage.calls() == {"a": 3, "b": 2, "c": 2}
    kinds = [type(event) for event in stage.events]
    assert kinds.index(SpeculationStarted) < kinds.index(WinnerChosen) < kinds.index(MessageText)
    assert [e.text for e in stage.events if isinstance(e, MessageText)] == ["It ", "scatters."]


def dissenting(request: TurnRequest) -> Sequence[TurnEvent]:
    if request.phase is Phase.EVALUATE and request.round == 2:
        return answer("a better one")
    return vote("agent3") if request.phase is Phase.EVALUATE else agreeable(request)


@pytest.mark.anyio
async def test_a_message_that_was_begun_for_nothing_is_aborted_and_counted() -> None:
    stage = Stage3(dissenting)
    stopped = anyio.Event()

    async def hold(request: TurnRequest, index: int) -> None:
        if request.phase is Phase.PRESENT and request.agent == "a" and not stopped.is_set():
            stopped.set()
            stage.let.set()
            await anyio.sleep_forever()
        await Stage3.hold(stage, request, index)

    stage.hold = hold  # type: ignore[method-assign]
    result = await stage.run(AHEAD)
    assert stage.aborted.is_set()
    (row,) = [row for row in result.agents if row.agent == "a"]
    assert (row.calls, row.unreported_calls) == (5, 1) if result.winner == "a" else (4, 1)
    assert [type(e) for e in stage.events if isinstance(e, SpeculationDropped)] == [
        SpeculationDropped
    ]
    assert result.content == "It scatters."


@pytest.mark.anyio
async def test_a_provider_is_read_no_further_than_what_may_be_held() -> None:
    stage = Stage3(present=say(*["x"] * (HELD_PIECES + 100)), lets=SpeculationStarted)
    reached: list[int] = []

    async def hold(request: TurnRequest, index: int) -> None:
        if request.phase is Phase.PRESENT:
            reached.append(index)
        await Stage3.hold(stage, request, index)
        if request.agent == "c" and request.phase is Phase.EVALUATE:
            await anyio.wait_all_tasks_blocked()
            assert HELD_PIECES <= reached[-1] <= HELD_PIECES + 2

    stage.hold = hold  # type: ignore[method-assign]
    result = await stage.run(AHEAD)
    assert result.content == "x" * (HELD_PIECES + 100)


@pytest.mark.anyio
async def test_one_that_fails_ahead_writes_after_the_decision() -> None:
    stage = Stage3()
    broken = failing(Phase.PRESENT, UpstreamUnreachable("gone"), after=1)
    tries: list[int] = []

    def script(request: TurnRequest) -> Sequence[TurnEvent]:
        if request.phase is Phase.PRESENT:
            tries.append(request.round)
            return broken(request) if len(tries) == 1 else say("It scatters.")
        return agreeable(request)

    stage.script = script  # type: ignore[method-assign]
    stage.lets = SpeculationDropped
    result = await stage.run(AHEAD)
    assert result.content == "It scatters."
    assert [e.text for e in stage.events if isinstance(e, MessageText)] == ["It scatters."]
    assert tries[0] == 3


@pytest.mark.anyio
async def test_the_one_that_writes_ahead_sees_the_votes_so_far() -> None:
    stage = Stage3()
    stage.let.set()

    async def hold(request: TurnRequest, index: int) -> None:
        if request.agent == "c" and request.phase is Phase.EVALUATE:
            await stage.written.wait()
        await Stage3.hold(stage, request, index)

    stage.hold = hold  # type: ignore[method-assign]
    await stage.run(AHEAD)
    prompt = stage.models["a"].requests[-1].messages[-1].text
    assert "agent2 voted for agent1" in prompt
    assert "agent3 voted" not in prompt
    assert "The agents chose the answer of agent1" in prompt


# Where it is off


@dataclass(frozen=True)
class Case:
    name: str
    request: RunRequest = QUESTION
    settings: TeamSettings = AHEAD
    speculates: bool = False


TOOL = Tool(name="look", description="", parameters={"type": "object"})


@pytest.mark.parametrize(
    "case",
    [
        Case("on", speculates=True),
        Case("by default", settings=TeamSettings()),
        Case("with tools", replace(QUESTION, tools=(TOOL,)), speculates=True),
        Case("a call is demanded", replace(QUESTION, tools=(TOOL,), tool_choice="required")),
        Case("a call is named", replace(QUESTION, tools=(TOOL,), tool_choice=NamedTool("look"))),
        Case("a format", replace(QUESTION, format=OutputFormat())),
        Case("two messages", replace(QUESTION, choices=2)),
        Case("max_tokens", settings=replace(AHEAD, limits=Limits(max_tokens=10_000))),
        Case("max_cost", settings=replace(AHEAD, limits=Limits(max_cost=1.0))),
        Case("reuse", settings=replace(AHEAD, final_answer_strategy="winner_reuse")),
    ],
    ids=lambda case: case.name,
)
def test_it_is_off_where_a_message_is_checked_repeated_or_has_a_budget(case: Case) -> None:
    team = Team("team", [Agent(name, model="m") for name in "abc"], settings=case.settings)
    assert rules_of(team, {}, case.request).speculate is case.speculates


def test_a_config_switches_it_on() -> None:
    agents = "".join(f"- {{id: {name}, backend: {{type: openai}}}}\n" for name in "abc")
    text = f"agents:\n{agents}massgen_compat: {{speculate: true}}\n"
    assert parse(text, {}, "team.yaml").team.settings.speculate


def test_the_trace_tells_of_it() -> None:
    narrator: Any = TraceWriter("status")
    assert narrator.tell(SpeculationStarted(agent="a")) == (
        "a begins the final message while the others finish.\n"
    )
    assert narrator.tell(SpeculationDropped(agent="a")) == (
        "What a had begun to write is dropped.\n"
    )
