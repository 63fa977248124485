"""Which step answers a turn, and what it says: read from the conversation alone."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_compat._agents.decisions import ToolNames, workflow_tools
from massgen_compat._agents.prompts import team_conversation, turn_messages
from massgen_compat._coordination import NewAnswer, Replied, Rules, State, VoteFor, begin, step
from massgen_compat._run.message import Message, Tool, ToolCall, text_message
from massgen_compat._run.result import Usage
from massgen_compat._run.team import Agent, Team
from massgen_compat._run.turn import Phase
from massgen_compat.testing import parse_script
from massgen_compat.testing.play import (
    NO_MODEL,
    QUOTED_QUESTION,
    Play,
    argument_tokens,
    play,
    text_tokens,
)
from massgen_compat.testing.turn_context import read_turn_context

NAMES = ToolNames()
TEAM = Team("team", [Agent("critic", model="m"), Agent("poet", model="m")])
QUESTION = text_message("user", "What is this?")
USER, TOLD = text_message("user", "Hello"), text_message("user", "Finish your round.")
SAID = text_message("assistant", "Hm.\n## Round 7: present")
CALLED = Message(role="assistant", tool_calls=(ToolCall(id="c", name="f", arguments="{}"),))
RESULT = Message(role="tool", tool_call_id="c")


def heading(phase: Phase, number: int) -> Message:
    return text_message("user", f"Answers.\n\n{phase.heading(number)}\n\nDo it.")


def tool(name: str, **properties: Any) -> Tool:
    return Tool(name=name, description="", parameters={"properties": properties})


CONTENT = {"type": "string"}
NEW_ANSWER = tool("new_answer", content=CONTENT)
VOTE = tool("vote", agent_id={"enum": ["agent1", "agent2"]}, reason=CONTENT)


def played(
    script: Any, messages: Sequence[Message], tools: Sequence[Tool] = (), **options: Any
) -> Play:
    return play(parse_script(script), read_turn_context(messages, tools), seed="0", **options)


def calls(plan: Play) -> list[tuple[str, Any]]:
    return [(call.name, json.loads(call.arguments)) for call in plan.calls]


@dataclass(frozen=True)
class Place:
    messages: tuple[Message, ...]
    phase: Phase
    round: int | None
    attempt: int
    tools: tuple[Tool, ...] = ()


DRAFT = heading(Phase.DRAFT, 1)
EVALUATE = heading(Phase.EVALUATE, 3)
PRESENT = heading(Phase.PRESENT, 4)

PLACES = {
    "a draft": Place((USER, DRAFT), Phase.DRAFT, 1, 1),
    "after one reply": Place((USER, DRAFT, CALLED, RESULT), Phase.DRAFT, 1, 2),
    "after two, one told by the user": Place(
        (USER, DRAFT, CALLED, RESULT, SAID, TOLD), Phase.DRAFT, 1, 3
    ),
    "the last heading counts": Place((DRAFT, SAID, EVALUATE), Phase.EVALUATE, 3, 1),
    "tools do not count where a heading stands": Place(
        (EVALUATE,), Phase.EVALUATE, 3, 1, (NEW_ANSWER,)
    ),
    "earlier replies of the chat are no attempts": Place(
        (USER, SAID, USER, PRESENT), Phase.PRESENT, 4, 1
    ),
    "a client's tool rounds are attempts of the presenter": Place(
        (USER, SAID, USER, CALLED, RESULT, CALLED, RESULT, PRESENT), Phase.PRESENT, 4, 3
    ),
    "but not of a drafter": Place((USER, CALLED, RESULT, DRAFT), Phase.DRAFT, 1, 1),
    "no heading, no tools": Place((USER,), Phase.PRESENT, None, 1),
    "no heading, after a tool call": Place((USER, CALLED, RESULT), Phase.PRESENT, None, 2),
    "no heading, only new_answer": Place((USER,), Phase.DRAFT, None, 1, (NEW_ANSWER,)),
    "no heading, a vote": Place((USER,), Phase.EVALUATE, None, 1, (NEW_ANSWER, VOTE)),
    "no heading, a renamed vote": Place(
        (USER,), Phase.EVALUATE, None, 1, (tool("massgen_vote"), NEW_ANSWER)
    ),
    "no heading, somebody else's tools": Place(
        (USER,), Phase.PRESENT, None, 1, (tool("devote"), tool("voter"))
    ),
    "no user": Place((text_message("system", "x"),), Phase.PRESENT, None, 1),
    "a heading needs its own line": Place(
        (text_message("user", "see ## Round 2: draft"),), Phase.PRESENT, None, 1
    ),
}


@pytest.mark.parametrize("name", PLACES)
def test_the_conversation_tells_where_the_run_is(name: str) -> None:
    place = PLACES[name]
    scene = read_turn_context(place.messages, place.tools)
    assert (scene.phase, scene.round, scene.attempt) == (place.phase, place.round, place.attempt)


def test_a_request_that_says_where_it_is_wins_over_the_text() -> None:
    scene = read_turn_context((USER, DRAFT), phase=Phase.EVALUATE, number=5)
    assert (scene.phase, scene.round) == (Phase.EVALUATE, 5)


@dataclass(frozen=True)
class Said:
    """What a script says in a turn: text, calls, both."""

    script: Any
    messages: tuple[Message, ...]
    text: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list[tuple[str, Any]])
    tools: tuple[Tool, ...] = ()


def vote(target: str, reason: str) -> tuple[str, Any]:
    return ("vote", {"agent_id": target, "reason": reason})


REASON = f"{NO_MODEL} The script votes for agent2."
BOTH = (VOTE, NEW_ANSWER)
EVALUATIONS = {"evaluate": ["vote agent1", {"new_answer": "C"}, {"vote": "agent2", "reason": "r"}]}
LIST = {"draft": ["A", {"text": "B", "on_correction": ["C", {"new_answer": "D"}]}]}
WORK = {"text": "Let me look.", "calls": [{"name": "f", "arguments": {"x": 1}}]}
TWO = [{"name": "vote", "arguments": {"agent_id": "agent1"}}, {"name": "vote", "arguments": "{"}]

SAYINGS = {
    "a draft is submitted": Said(
        {"draft": "A"}, (DRAFT,), calls=[("new_answer", {"content": "A"})], tools=(NEW_ANSWER,)
    ),
    "under the name that the tool has": Said(
        {"draft": "A"},
        (DRAFT,),
        calls=[("massgen_new_answer", {"content": "A"})],
        tools=(NEW_ANSWER, tool("massgen_new_answer", content=CONTENT)),
    ),
    "a draft is a message where no tool is offered": Said({"draft": "A"}, (DRAFT,), text="A"),
    "new_answer is called even where it is not offered": Said(
        {"draft": {"new_answer": "A"}}, (DRAFT,), calls=[("new_answer", {"content": "A"})]
    ),
    "a vote too": Said(
        {"draft": {"vote": "agent9", "reason": "r"}}, (DRAFT,), calls=[vote("agent9", "r")]
    ),
    "work before a draft leaves its text a message": Said(
        {"draft": WORK}, (DRAFT,), text="Let me look.", calls=[("f", {"x": 1})], tools=(NEW_ANSWER,)
    ),
    "an empty draft submits nothing": Said({"draft": ""}, (DRAFT,), tools=(NEW_ANSWER,)),
    "attempt 1": Said(LIST, (DRAFT,), text="A"),
    "attempt 2": Said(LIST, (DRAFT, SAID, TOLD), text="B"),
    "attempt 3 is a correction": Said(LIST, (DRAFT, *[SAID, TOLD] * 2), text="C"),
    "the last correction repeats": Said(
        LIST, (DRAFT, *[SAID, TOLD] * 7), calls=[("new_answer", {"content": "D"})]
    ),
    "evaluation 2": Said(
        EVALUATIONS, (EVALUATE,), calls=[("new_answer", {"content": "C"})], tools=BOTH
    ),
    "a step is repeated without on_correction": Said(
        EVALUATIONS, (EVALUATE, CALLED, RESULT), calls=[("new_answer", {"content": "C"})]
    ),
    "the last evaluation repeats": Said(
        EVALUATIONS, (heading(Phase.EVALUATE, 9),), calls=[vote("agent2", "r")], tools=BOTH
    ),
    "an evaluation that is corrected": Said(
        {"evaluate": {"text": "No idea.", "on_correction": "vote agent2"}},
        (EVALUATE, SAID, TOLD),
        calls=[vote("agent2", REASON)],
        tools=BOTH,
    ),
    "an evaluation may decide nothing": Said(
        {"evaluate": {"text": "No idea."}}, (EVALUATE,), text="No idea.", tools=BOTH
    ),
    "who cannot be voted for becomes the first": Said(
        {"evaluate": {"vote": "agent9", "reason": "r"}},
        (EVALUATE,),
        calls=[vote("agent1", "r")],
        tools=BOTH,
    ),
    "first": Said(
        {"evaluate": {"vote": "first", "reason": "r"}},
        (EVALUATE,),
        calls=[vote("agent1", "r")],
        tools=BOTH,
    ),
    "first of nothing": Said(
        {"evaluate": {"vote": "first", "reason": "r"}}, (EVALUATE,), calls=[vote("agent1", "r")]
    ),
    "several votes in one reply": Said(
        {"evaluate": {"vote": "agent2", "new_answer": "C", "reason": "r"}},
        (EVALUATE,),
        calls=[vote("agent2", "r"), ("new_answer", {"content": "C"})],
        tools=BOTH,
    ),
    "only what the schema has": Said(
        {"evaluate": "vote agent2"},
        (EVALUATE,),
        calls=[("vote", {"agent_id": "agent2"})],
        tools=(tool("vote", agent_id={"enum": ["agent2"]}),),
    ),
    "the default evaluation": Said(
        None,
        (EVALUATE,),
        calls=[vote("agent1", REASON.replace("agent2", "agent1"))],
        tools=BOTH,
    ),
    "a presentation is the draft where no answer can be seen": Said(
        {"draft": ["A", {"new_answer": "B"}, {"calls": []}]}, (USER,), text="B"
    ),
    "a presentation of its own": Said({"draft": "A", "present": "P"}, (PRESENT,), text="P"),
    "steps of a presentation with client tools": Said(
        {"present": [WORK, "Done."]}, (USER, CALLED, RESULT, PRESENT), text="Done."
    ),
}


@pytest.mark.parametrize("name", SAYINGS)
def test_the_step_of_the_turn_speaks(name: str) -> None:
    said = SAYINGS[name]
    plan = played(said.script, said.messages, said.tools)
    assert (plan.text, calls(plan)) == (said.text, said.calls)
    assert plan.finish_reason == ("tool_calls" if said.calls else "stop")


def test_calls_follow_the_renaming_of_workflow_tools_and_arguments_may_be_broken() -> None:
    plan = played({"evaluate": {"calls": TWO}}, (EVALUATE,), (tool("massgen_vote"),))
    assert [call.name for call in plan.calls] == ["massgen_vote"] * 2
    assert [call.arguments for call in plan.calls] == ['{"agent_id":"agent1"}', "{"]
    assert [call.id for call in plan.calls] == ["call_000", "call_001"]


# With the prompts of the library


def after_drafts(first: str, second: str) -> State:
    state = begin(Rules(agents=("critic", "poet"))).state
    state = step(state, Replied("critic", 1, (NewAnswer(first),))).state
    return step(state, Replied("poet", 1, (NewAnswer(second),))).state


def turn(state: State, agent: str) -> tuple[tuple[Message, ...], tuple[Tool, ...]]:
    member = next(each for each in TEAM.agents if each.id == agent)
    stable = team_conversation(TEAM, member, [QUESTION])
    messages = turn_messages(stable, TEAM, state, agent, NAMES)
    return messages, workflow_tools(state, agent, NAMES)


def test_the_default_draft_says_that_no_model_is_involved_and_quotes_the_question() -> None:
    plan = played(None, *turn(begin(Rules(agents=("critic", "poet"))).state, "critic"))
    ((name, arguments),) = calls(plan)
    assert name == "new_answer"
    assert arguments["content"].startswith("[scripted model, no model involved]")
    assert "“What is this?”" in arguments["content"]


def test_a_long_question_is_quoted_in_part() -> None:
    plan = played(None, [text_message("user", "why? " * 5000)])
    assert len(plan.text) < QUOTED_QUESTION + 100
    assert "…”" in plan.text


def test_the_longest_answer_gets_the_vote() -> None:
    state = after_drafts("Short.", "This one is longer.\n## Round 9: present\n======== x ========")
    for agent in ("critic", "poet"):
        plan = played({"evaluate": {"vote": "longest", "reason": "r"}}, *turn(state, agent))
        assert calls(plan) == [vote("agent2", "r")]


def test_the_presenter_repeats_the_winning_answer() -> None:
    state = after_drafts("A cat.\n\n```\n========\n```", "A tiger.")
    for agent in ("critic", "poet"):
        signal = Replied(agent, 2, (VoteFor("critic", "It is a cat."),))
        state = step(state, signal).state
    assert state.presenter == "critic"
    assert played({"draft": "other"}, *turn(state, "critic")).text == (
        "A cat.\n\n```\n========\n```"
    )


# Evaluations, as the gpt-5.2 policy asks for them

_ITEM = {"properties": {"agent_id": {"enum": ["agent2"]}, "strengths": CONTENT, "flaws": CONTENT}}
GATED = (
    tool(
        "vote",
        evaluations={"items": _ITEM},
        agent_id={"enum": ["agent1", "agent2"]},
        reason=CONTENT,
    ),
    tool("new_answer", evaluations={"items": {"properties": {"agent_id": {}}}}, content=CONTENT),
)


def test_evaluations_are_made_up_in_the_order_of_the_schema() -> None:
    ((_, arguments),) = calls(played({"evaluate": "vote agent2"}, [EVALUATE], GATED))
    assert list(arguments) == ["evaluations", "agent_id", "reason"]
    (evaluation,) = arguments["evaluations"]
    assert evaluation["agent_id"] == "agent2"
    assert evaluation["strengths"] != evaluation["flaws"]
    assert evaluation["flaws"].startswith(NO_MODEL)


def test_evaluations_name_everybody_who_can_be_voted_for_if_the_schema_does_not() -> None:
    ((_, arguments),) = calls(played({"evaluate": {"new_answer": "C"}}, [EVALUATE], GATED))
    assert arguments == {
        "evaluations": [{"agent_id": "agent1"}, {"agent_id": "agent2"}],
        "content": "C",
    }


def test_a_script_can_leave_evaluations_out_or_write_them() -> None:
    for written in ([], [{"agent_id": "agent2", "strengths": "s"}]):
        script = {"evaluate": {"vote": "agent2", "evaluations": written}}
        ((_, arguments),) = calls(played(script, [EVALUATE], GATED))
        assert arguments["evaluations"] == written


# Numbers


def test_usage_is_counted_from_what_was_read_and_said() -> None:
    script = {"present": {"text": "three words here", "reasoning": "two words", "refusal": "No."}}
    plan = played(script, [text_message("user", "12345")])
    assert plan.usage == Usage(prompt_tokens=2, completion_tokens=6, reasoning_tokens=2)


def test_usage_can_be_given_in_part_or_withheld() -> None:
    part = {"present": {"text": "one", "usage": {"reasoning_tokens": 100, "cached_tokens": 7}}}
    assert played(part, [USER]).usage == Usage(
        prompt_tokens=2, completion_tokens=101, reasoning_tokens=100, cached_tokens=7
    )
    assert played({"present": {"text": "one", "usage": None}}, [USER]).usage is None


def test_a_step_sets_its_own_pace() -> None:
    script = {
        "present": [{"delay_seconds": 0}, {"token_delay_seconds": 3}],
        "delay_seconds": 1,
        "token_delay_seconds": 2,
    }
    first, second = played(script, [USER]), played(script, [USER, SAID])
    assert (first.delay_seconds, first.token_delay_seconds) == (0, 2)
    assert (second.delay_seconds, second.token_delay_seconds) == (1, 3)


def test_a_refused_parameter_is_refused_only_where_it_is_sent() -> None:
    script = {"present": {"fail": {"status": 400, "when_sent": "reasoning_effort"}}}
    assert played(script, [USER]).failure is None
    assert played(script, [USER], sent={"reasoning_effort": "low"}).failure is not None


@given(st.text())
def test_tokens_joined_are_the_text(text: str) -> None:
    assert "".join(text_tokens(text)) == text
    assert "".join(argument_tokens(text)) == text


def test_tokens_are_words_with_the_space_behind_them() -> None:
    assert text_tokens("  one two\n\nthree") == ["  ", "one ", "two\n\n", "three"]
    assert argument_tokens('{"a":"b c"}') == ['{"', "a", '":"', "b ", "c", '"}']
