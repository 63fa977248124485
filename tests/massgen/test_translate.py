"""MassGen's chunks as events: every recording of the real package, in both of its trace modes.

The recordings are made by ``record.py``. Chunks that no recording has are written out by hand.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from massgen_compat._massgen.chunks import AgentStatus, Chunk, Place, read_chunk, read_status
from massgen_compat._massgen.translate import Translator
from massgen_compat.events import (
    AgentLeft,
    AgentReasoning,
    AgentText,
    Answered,
    HostedToolCalled,
    MessageText,
    PresentationStarted,
    RunEvent,
    VoteCast,
    VotesVoided,
    WinnerChosen,
)

FOLDER = Path(__file__).parent / "recordings"
AGENTS = ("ada", "ben")
Event = TypeVar("Event")


@dataclass(frozen=True)
class Case:
    """What a recorded run came to. ``final`` of ``None``: it has no message."""

    name: str
    final: str | None
    answers: tuple[tuple[str, str], ...] = (
        ("ada", "Air scatters blue."),
        ("ben", "Air scatters blue."),
    )
    winner: str | None = "ada"
    presented: bool = True
    quoted: bool = False
    left: tuple[str, ...] = ()
    tools: tuple[tuple[str, str], ...] = ()
    error: str | None = None


MESSAGE = "It scatters most of all."
CASES = (
    Case("text", MESSAGE),
    Case(
        "submitted",
        MESSAGE,
        answers=(("ada", "Air scatters."), ("ben", "Air scatters.")),
    ),
    Case(
        "improved",
        MESSAGE,
        answers=(
            ("ada", "Air scatters blue."),
            ("ben", "Air scatters blue."),
            ("ben", "Violet, too."),
        ),
        left=("ben",),  # it goes on answering, beyond its cap
    ),
    Case("tools", None, answers=(), winner=None),
    Case("tools-responses", None, answers=(), winner=None),
    Case("reused", "Air scatters blue.", presented=False, quoted=True),
    Case("refused", MESSAGE, answers=(("ben", "Air scatters blue."),), winner="ben", left=("ada",)),
    Case(
        "nobody",
        None,
        answers=(),
        winner=None,
        left=("ada", "ben"),
        error="Unable to provide coordinated answer - no successful agents",
    ),
    Case("speechless-presenter", "Air scatters blue.", quoted=True),
    Case(
        "server-tool",
        "At noon.",
        answers=(("ada", "At noon."), ("ben", "Air scatters blue.")),
        tools=(("ada", "mcp__clock__now"),),
    ),
)


def rows(name: str) -> Iterator[tuple[Chunk, AgentStatus]]:
    """The chunks of a recording, each with how the agents stood."""
    status = AgentStatus(places=tuple(Place(agent=agent) for agent in AGENTS))
    for row in json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")):
        if given := row.get("status"):
            status = status_of(given)
        yield read_chunk(row["chunk"]), status


def status_of(given: Any) -> AgentStatus:
    places = tuple(
        replace(Place(**place), vote=tuple(place["vote"]) if place["vote"] else None)
        for place in given["places"]
    )
    return AgentStatus(places=places, selected=given["selected"])


def play(name: str, **options: Any) -> tuple[Translator, list[RunEvent]]:
    """All that a recording comes to, up to the end that the engine would see."""
    translator, events = Translator(AGENTS, **options), list[RunEvent]()
    for chunk, status in rows(name):
        events += translator.feed(chunk, status)
        if translator.calls is not None:
            break
    return translator, events


def only(events: list[RunEvent], kind: type[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.parametrize("mode", ["strict", "legacy"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_recorded_run_is_told(case: Case, mode: str) -> None:
    translator, events = play(f"{case.name}-{mode}")
    answered = [(event.agent, event.content) for event in only(events, Answered)]
    assert sorted(set(answered)) == sorted(case.answers)
    assert [event.winner for event in only(events, WinnerChosen)] == (
        [case.winner] if case.winner else []
    )
    text = "".join(event.text for event in only(events, MessageText))
    assert text == (case.final or "")
    assert translator.final.quoted is case.quoted
    presented = [event.agent for event in only(events, PresentationStarted)]
    assert presented == ([case.winner] if case.winner and case.presented else [])
    assert tuple(sorted(event.agent for event in only(events, AgentLeft))) == case.left
    assert [(e.agent, e.tool) for e in only(events, HostedToolCalled)] == list(case.tools)
    assert translator.error == case.error


@pytest.mark.parametrize("mode", ["strict", "legacy"])
def test_votes_are_told_once_they_count(mode: str) -> None:
    _, events = play(f"text-{mode}")
    votes = {(event.voter, event.target) for event in only(events, VoteCast)}
    assert votes == {("ada", "ada"), ("ben", "ada")}
    chosen = only(events, WinnerChosen)[0]
    assert chosen.votes == (("ada", 2), ("ben", 0))
    order = [type(event) for event in events]
    assert order.index(Answered) < order.index(VoteCast) < order.index(WinnerChosen)


@pytest.mark.parametrize("mode", ["strict", "legacy"])
def test_what_agents_write_is_theirs_and_massgens_own_sentences_are_not(mode: str) -> None:
    _, events = play(f"submitted-{mode}")
    for agent in AGENTS:
        said = "".join(event.text for event in only(events, AgentText) if event.agent == agent)
        assert said == "Thinking."
    assert {event.agent for event in only(events, AgentReasoning)} == {"ada", "ben"}
    _, quiet = play(f"submitted-{mode}", watched=False)
    assert only(quiet, AgentText) == only(quiet, AgentReasoning) == []


@pytest.mark.parametrize("name", ["tools-strict", "tools-legacy"])
@pytest.mark.parametrize("wire", ["", "-responses"])
def test_a_call_of_a_clients_tool_ends_the_run_in_one_shape(name: str, wire: str) -> None:
    translator, _ = play(name.replace("tools", f"tools{wire}"))
    assert translator.calls is not None
    agent, calls = translator.calls
    assert agent == "ada"
    assert [(call.name, json.loads(call.arguments)) for call in calls] == [
        ("get_weather", {"city": "Bern"})
    ]
    assert calls[0].id.startswith("call_")


@pytest.mark.parametrize("mode", ["strict", "legacy"])
def test_a_message_that_is_heard_at_its_source_is_not_told_again(mode: str) -> None:
    translator, events = play(f"text-{mode}", heard=AGENTS)
    assert only(events, MessageText) == []
    assert translator.final.text == ""


def test_the_recordings_are_all_tested() -> None:
    names = {path.stem.removesuffix("-strict").removesuffix("-legacy") for path in recordings()}
    assert names == {case.name for case in CASES}
    assert len(recordings()) == 2 * len(CASES)


def recordings() -> list[Path]:
    return sorted(FOLDER.glob("*.json"))


# Written by hand: what no recording has.

START = AgentStatus(places=(Place(agent="ada", answer="One.", answers=1), Place(agent="ben")))


def with_vote(status: AgentStatus, agent: str, target: str | None) -> AgentStatus:
    vote = (target, "good") if target else None
    places = [replace(p, vote=vote) if p.agent == agent else p for p in status.places]
    return replace(status, places=tuple(places))


def test_a_new_answer_voids_the_votes_before_it() -> None:
    translator = Translator(AGENTS)
    voted = with_vote(START, "ada", "ada")
    list(translator.compare(voted))
    ben = replace(START.places[1], answer="Two.", answers=1)
    told = list(translator.compare(replace(START, places=(START.places[0], ben))))
    assert [type(event) for event in told] == [Answered, VotesVoided]


@pytest.mark.parametrize(
    "kind",
    [
        "preparation_status", "system_status", "agent_status", "reasoning_done", "debug",
        "reasoning_summary_done", "hook_execution", "token_usage_update", "compression_status",
        "status", "restart_banner", "cancelled", "done", "something_new",
    ],
)  # fmt: skip
def test_chunks_for_massgens_terminal_say_nothing(kind: str) -> None:
    translator = Translator(AGENTS)
    list(translator.compare(START))
    assert list(translator.feed(Chunk(type=kind, source="ada", text="words"), START)) == []


@pytest.mark.parametrize("source", ["orchestrator", None, "stranger"])
@pytest.mark.parametrize("kind", ["content", "coordination"])
def test_banners_are_nobodys_words(kind: str, source: str | None) -> None:
    translator = Translator(AGENTS)
    list(translator.compare(START))
    assert list(translator.feed(Chunk(type=kind, source=source, text="🚀 Go"), START)) == []


def test_an_error_is_kept_and_is_never_text() -> None:
    translator = Translator(AGENTS)
    list(translator.compare(START))
    assert list(translator.feed(Chunk(type="error", error="No user message"), START)) == []
    assert translator.error == "No user message"


def test_a_call_of_massgens_own_tools_is_no_call_of_the_client() -> None:
    raw = {"type": "tool_calls", "source": "ada", "tool_calls": [{"name": "vote"}]}
    translator = Translator(AGENTS)
    list(translator.feed(read_chunk(raw), START))
    assert translator.calls is None


def test_states_of_massgen_are_read_as_they_are() -> None:
    class State:
        answer = "One."
        answer_count = 2
        has_voted = True
        votes = {"agent_id": "ben", "reason": "better"}  # noqa: RUF012 - as MassGen's object
        is_killed = False
        restart_count = 3

    status = read_status({"ada": State(), "ben": object()}, AGENTS, None)
    assert status.of("ada") == Place(
        agent="ada", answer="One.", answers=2, vote=("ben", "better"), round=3
    )
    assert status.of("ben") == Place(agent="ben")
