"""The deliberation as ``reasoning_content``, at every trace level."""

from dataclasses import dataclass, replace

import pytest

from massgen_compat._run.team import Trace
from massgen_compat._run.turn import Phase
from massgen_compat.events import (
    Abstained,
    AgentLeft,
    AgentReasoning,
    AgentText,
    Answered,
    FirstAsked,
    HostedToolCalled,
    ParametersDropped,
    PresentationStarted,
    RunEvent,
    RunStarted,
    SubmissionRejected,
    TeamCalled,
    TurnFinished,
    TurnStarted,
    VoteCast,
    VotesVoided,
    WinnerChosen,
)
from massgen_compat.protocol.chat.request import parse
from tests.protocol.rendering import renderer_of

PAIR = RunStarted(run_id="r", team="t", agents=("a", "b"))


def trace(level: Trace | None, *events: RunEvent) -> str:
    request = parse(
        {"model": "t", "messages": [{"role": "user", "content": "x"}], "massgen": {"trace": level}}
    )
    renderer = renderer_of(request)
    chunks = [chunk for event in events for chunk in renderer.feed(event)]
    pieces = [chunk["choices"][0]["delta"].get("reasoning_content", "") for chunk in chunks]
    return "".join(pieces)


def answered(agent: str = "a", *, number: int = 1, content: str = "42") -> Answered:
    return Answered(agent=agent, label="agent1", round=1, number=number, content=content)


def wrote(agent: str, text: str, *, number: int = 1) -> AgentText:
    return AgentText(agent=agent, round=number, text=text)


@dataclass(frozen=True)
class Told:
    event: RunEvent
    line: str


def finished(asked: str | None, used: str | None) -> TurnFinished:
    return TurnFinished(
        agent="a",
        round=1,
        phase=Phase.DRAFT,
        usage=None,
        model=None,
        effort=used,
        effort_asked=asked,
    )


LINES = [
    Told(FirstAsked(agents=("a",), others=("b", "c")), "Asked first: a. On disagreement: b, c.\n"),
    Told(
        TeamCalled(agents=("b", "c"), reason="new_answer"),
        "The others are called (a new answer): b, c.\n",
    ),
    Told(TeamCalled(agents=("b",), reason="votes"), "The others are called (no agreement): b.\n"),
    Told(TeamCalled(agents=("b",), reason="left"), "The others are called (an agent left): b.\n"),
    Told(answered(), "a answered.\n"),
    Told(answered(number=2), "a answered again (2).\n"),
    Told(
        VoteCast(voter="a", target="b", round=2, reason=" more\n precise "),
        "a voted for b: more precise\n",
    ),
    Told(VoteCast(voter="a", target="b", round=2, reason=""), "a voted for b.\n"),
    Told(
        VoteCast(voter="a", target="b", round=2, reason="x" * 9999),
        "a voted for b: " + "x" * 199 + "…\n",
    ),
    Told(replace(answered(), verified=False), "a answered (unverified).\n"),
    Told(
        VoteCast(voter="a", target="b", round=2, reason="", verified=False),
        "a voted for b (unverified).\n",
    ),
    Told(Abstained(agent="a", round=2), "a abstained.\n"),
    Told(VotesVoided(votes=1), "A new answer: 1 earlier vote void.\n"),
    Told(VotesVoided(votes=3), "A new answer: 3 earlier votes void.\n"),
    Told(
        SubmissionRejected(agent="a", round=1, reason="vote_too_early", attempt=2),
        "a was turned back (try 2): vote too early\n",
    ),
    Told(
        AgentLeft(agent="a", round=1, reason="no answer in time"),
        "a left the run: no answer in time\n",
    ),
    Told(HostedToolCalled(agent="a", round=1, tool="web_search_call"), "a used web_search_call.\n"),
    Told(
        WinnerChosen(winner="b", votes=(("b", 2), ("a", 1), ("c", 0)), limited_by=None),
        "The team chose b (votes: b 2, a 1).\n",
    ),
    Told(
        WinnerChosen(winner="b", votes=(("b", 0),), limited_by="max_calls"),
        "The team chose b. The run was limited by max_calls.\n",
    ),
    Told(PresentationStarted(agent="a"), "a writes the final message.\n"),
    Told(TurnStarted(agent="a", round=1, phase=Phase.DRAFT), ""),
    Told(finished(None, "medium"), ""),
    Told(finished("medium", None), ""),
    Told(finished("medium", "medium"), ""),
    Told(
        finished("medium", "none"),
        "a was to work with effort medium, and its model used none.\n",
    ),
    Told(
        ParametersDropped(agent="a", parameters=("temperature", "top_p")),
        "a works without temperature, top_p (its model does not take them).\n",
    ),
    Told(wrote("a", "secret draft"), ""),
    Told(AgentReasoning(agent="a", round=1, text="hm"), ""),
]


@pytest.mark.parametrize("case", LINES, ids=lambda case: case.line or case.event.type)
def test_a_status_line_tells_what_matters(case: Told) -> None:
    assert trace("status", PAIR, case.event) == case.line


@pytest.mark.parametrize("case", LINES, ids=lambda case: case.line or case.event.type)
def test_without_a_trace_nothing_is_told(case: Told) -> None:
    assert trace("off", PAIR, case.event) == ""


def test_status_is_the_trace_where_nobody_chose_one() -> None:
    assert trace(None, PAIR, Abstained(agent="a", round=2)) == "a abstained.\n"


def test_a_winner_that_presents_itself_is_not_announced_twice() -> None:
    chosen = WinnerChosen(winner="b", votes=(("b", 1),), limited_by=None)
    assert trace("status", PAIR, chosen, PresentationStarted(agent="b")).count("\n") == 1
    assert trace("status", PAIR, chosen, PresentationStarted(agent="a")).count("\n") == 2


def test_a_single_agent_team_has_no_decision_to_tell() -> None:
    alone = RunStarted(run_id="r", team="t", agents=("a",))
    chosen = WinnerChosen(winner="a", votes=(("a", 0),), limited_by=None)
    assert trace("status", alone, chosen, PresentationStarted(agent="a")) == ""


def test_a_full_trace_has_the_agents_text_under_the_name_of_its_speaker() -> None:
    assert trace(
        "full",
        PAIR,
        wrote("a", "I think"),
        wrote("a", " so."),
        wrote("b", "No.\n"),
        AgentReasoning(agent="b", round=1, text="hm"),
        wrote("b", "", number=1),
        Abstained(agent="a", round=2),
        wrote("b", "Still no.", number=2),
    ) == (
        "[a, round 1]\nI think so.\n"
        "[b, round 1]\nNo.\n"
        "[b, round 1, reasoning]\nhm\n"
        "a abstained.\n"
        "[b, round 2]\nStill no."
    )


def test_a_full_trace_shows_an_answer_that_was_not_written_in_the_open() -> None:
    assert trace("full", PAIR, answered(content="It is 42.\n")) == "a answered.\nIt is 42.\n"


def test_a_full_trace_does_not_repeat_an_answer_that_was() -> None:
    events = (PAIR, wrote("a", "It is"), wrote("a", " 42. "), answered(content="It is 42."))
    assert trace("full", *events) == "[a, round 1]\nIt is 42. \na answered.\n"


def test_a_trace_of_another_agent_s_text_does_not_hide_an_answer() -> None:
    events = (PAIR, wrote("b", "It is 42."), answered(content="It is 42."))
    assert trace("full", *events).endswith("a answered.\nIt is 42.\n")
