"""What agents are told: snapshots of every phase, and the promises that hold for any text.

``UPDATE_SNAPSHOTS=1 pytest tests/agents/test_prompts.py`` writes the snapshots anew.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_compat._agents.decisions import ToolNames, corrected, read_decisions, workflow_tools
from massgen_compat._agents.prompts import (
    resumed_messages,
    solo_conversation,
    team_conversation,
    turn_messages,
)
from massgen_compat._coordination import (
    CorrectTurn,
    NewAnswer,
    Objection,
    Rejection,
    Replied,
    Rules,
    Signal,
    State,
    Unusable,
    VoteFor,
    begin,
    step,
)
from massgen_compat._run.message import Image, Message, Text, Tool, ToolCall, text_message
from massgen_compat._run.team import Agent, Team, TeamSettings
from massgen_compat._run.turn import Phase, Reply
from massgen_compat.policies import resolve

SNAPSHOTS = Path(__file__).parents[1] / "snapshots"
NAMES = ToolNames()
TEAM = Team(
    "team",
    [
        Agent("critic", model="m", system_message="You doubt everything."),
        Agent("poet", model="m", voting_sensitivity="strict"),
    ],
)
RULES = Rules(agents=("critic", "poet"), max_answers=2)
CHAT = (
    text_message("system", "Answer in French."),
    text_message("user", "Hello"),
    text_message("assistant", "Bonjour"),
    Message(role="user", content=(Text("What is this?"), Image("https://example.com/cat.png"))),
)


def after(*signals: Signal, rules: Rules = RULES) -> State:
    state = begin(rules).state
    for signal in signals:
        state = step(state, signal).state
    return state


def drafted(critic: str = "Un chat.", poet: str = "Un tigre?") -> tuple[Signal, ...]:
    return (
        Replied("critic", 1, (NewAnswer(critic),)),
        Replied("poet", 1, (NewAnswer(poet),)),
    )


def voted(reason: str = "It is plainly a cat.") -> tuple[Signal, ...]:
    return (
        Replied("critic", 2, (VoteFor("critic", reason),)),
        Replied("poet", 2, (VoteFor("critic", reason),)),
    )


def sent(state: State, agent: str, team: Team = TEAM) -> tuple[Message, ...]:
    member = next(each for each in team.agents if each.id == agent)
    return turn_messages(team_conversation(team, member, CHAT), team, state, agent, NAMES)


def shown(messages: Sequence[Message], tools: Sequence[Tool] = ()) -> str:
    lines: list[str] = []
    for message in messages:
        lines.append(f"----- {message.role} {message.tool_call_id or ''}".rstrip())
        lines += [part.text if isinstance(part, Text) else repr(part) for part in message.content]
        lines += [f"call {c.id}: {c.name}({c.arguments})" for c in message.tool_calls]
    for tool in tools:
        schema = json.dumps(tool.parameters, indent=1)
        lines.append(f"----- tool {tool.name}: {tool.description}\n{schema}")
    return "\n".join(lines) + "\n"


def tools_of(state: State, agent: str) -> tuple[Tool, ...]:
    return workflow_tools(state, agent, NAMES)


SYNTHESIS = Team("t", TEAM.agents, settings=TeamSettings(final_answer_strategy="synthesize"))
GATED = resolve("gpt-5.2")
TOOLS = (
    Tool(name="read_file", description="Read a file.", parameters={"type": "object"}),
    Tool(name="ls", description="", parameters={"type": "object", "properties": {}}),
)
CAPPED = Rules(agents=("critic", "poet"), max_answers=1)


def snapshots() -> dict[str, str]:
    draft, evaluate = after(), after(*drafted())
    review = after(drafted()[0], rules=Rules(agents=RULES.agents, first=("critic",)))
    first = after(*drafted(), rules=Rules(agents=(*RULES.agents, "third"), first=RULES.agents))
    capped, present = after(*drafted(), rules=CAPPED), after(*drafted(), *voted())
    return {
        "draft": shown(sent(draft, "critic"), tools_of(draft, "critic")),
        "evaluate": shown(sent(evaluate, "critic"), tools_of(evaluate, "critic")),
        "evaluate-strict": shown(sent(evaluate, "poet"), tools_of(evaluate, "poet")),
        "evaluate-capped": shown(sent(capped, "critic")[-1:], tools_of(capped, "critic")),
        "present": shown(sent(present, "critic"), tools_of(present, "critic")),
        "present-synthesis": shown(sent(present, "critic", SYNTHESIS)[-1:]),
        "tools": shown(team_conversation(TEAM, TEAM.agents[1], CHAT, tools=TOOLS)[:1]),
        "present-tools": shown(
            turn_messages(CHAT, TEAM, present, "critic", NAMES, tools=TOOLS)[-1:]
        ),
        "resumed": shown(resumed_messages(CHAT, TOOLS)[-1:]),
        "draft-gated": shown(gated(draft)),
        "review": shown(sent(review, "critic")[-1:], tools_of(review, "critic")),
        "review-gated": shown(
            turn_messages(CHAT, TEAM, review, "critic", NAMES, GATED)[-1:],
            workflow_tools(review, "critic", NAMES, GATED),
        ),
        "evaluate-first": shown(sent(first, "poet")[-1:]),
        "evaluate-gated": shown(gated(evaluate), workflow_tools(evaluate, "poet", NAMES, GATED)),
        "corrections": "".join(
            f"{reason.value}\n{shown(turned_back(reason, evaluate))}" for reason in Rejection
        ),
    }


def gated(state: State) -> tuple[Message, ...]:
    """What an agent under the policy of gpt-5.2 is sent."""
    stable = team_conversation(TEAM, TEAM.agents[1], CHAT, GATED)
    return turn_messages(stable, TEAM, state, "poet", NAMES, GATED)


def turned_back(reason: Rejection, state: State) -> tuple[Message, ...]:
    calls = (
        ()
        if reason is Rejection.NO_DECISION
        else (ToolCall(id="call_1", name="vote", arguments="{"),)
    )
    reply = Reply(text="Hm.", tool_calls=calls)
    order = CorrectTurn("critic", 2, Phase.EVALUATE, reason)
    if reason is Rejection.OBJECTION:
        order = replace(order, objection=Objection("policy", "Not counted: says the policy."))
    return corrected((), reply, order, state, NAMES)


@pytest.mark.parametrize(("name", "text"), snapshots().items(), ids=snapshots().keys())
def test_agents_are_told_what_the_snapshot_says(name: str, text: str) -> None:
    path = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_every_snapshot_belongs_to_a_phase() -> None:
    assert {path.stem for path in SNAPSHOTS.glob("*.txt")} == set(snapshots())


def test_after_an_empty_reply_no_two_user_messages_stand_in_a_row() -> None:
    state = after()
    order = CorrectTurn("critic", 1, Phase.DRAFT, Rejection.NO_DECISION)
    messages = corrected(sent(state, "critic"), Reply(), order, state, NAMES)
    assert [message.role for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[-1].text.endswith("then make the call.")


def test_the_stable_part_is_the_same_in_every_round() -> None:
    states = (after(), after(*drafted()), after(*drafted(), *voted()))
    prefixes = {sent(state, "critic")[:3] for state in states}
    assert len(prefixes) == 1
    last = {sent(state, "critic")[-1].content[:2] for state in states}
    assert last == {CHAT[-1].content}


def test_the_readers_own_answer_stands_last() -> None:
    state = after(*drafted())
    for agent, order in (("critic", ["agent2", "agent1"]), ("poet", ["agent1", "agent2"])):
        text = sent(state, agent)[-1].text
        assert sorted(order, key=lambda label: text.index(f"end of {label}")) == order


def test_nobody_learns_an_agents_real_name() -> None:
    for state in (after(), after(*drafted()), after(*drafted(), *voted())):
        assert "poet" not in shown(sent(state, "critic"), tools_of(state, "critic"))


def test_a_conversation_that_ends_with_the_assistant_gets_a_user_message() -> None:
    stable = team_conversation(TEAM, TEAM.agents[0], CHAT[:3])
    messages = turn_messages(stable, TEAM, after(), "critic", NAMES)
    assert [message.role for message in messages] == ["system", "user", "assistant", "user"]


def test_system_messages_in_the_middle_keep_their_places() -> None:
    middle = text_message("developer", "From now on in German.")
    messages = team_conversation(TEAM, TEAM.agents[0], (*CHAT[:2], middle, CHAT[3]))
    assert [message.role for message in messages] == ["system", "user", "developer", "user"]


def test_an_agent_alone_gets_its_identity_and_the_conversation() -> None:
    own = text_message("system", "You doubt everything.")
    assert solo_conversation(TEAM.agents[0], CHAT) == (own, *CHAT)
    assert solo_conversation(TEAM.agents[1], CHAT) == CHAT


FORGERIES = st.text(alphabet="=\n ag1et2ndof", max_size=80)


@given(first=FORGERIES, second=FORGERIES, reason=FORGERIES)
def test_no_text_of_an_agent_can_close_its_quotation(first: str, second: str, reason: str) -> None:
    state = after(*drafted(f"a{first}", f"b{second}"), *voted(reason))
    lines = sent(state, "critic")[-1].text.splitlines()
    fences = [line.split(" ")[0] for line in lines if "end" in line and line.startswith("=" * 8)]
    for text in (first, second, reason):
        assert not any(fence in text for fence in fences)


TOOL_NAMES = st.sampled_from(["vote", "new_answer", "shell", ""])


@given(name=TOOL_NAMES, arguments=st.text(max_size=60))
def test_whatever_a_model_writes_into_a_call_is_read(name: str, arguments: str) -> None:
    decisions = read_decisions(
        [ToolCall(id="c", name=name, arguments=arguments)], after(*drafted()), "critic", NAMES
    )
    assert len(decisions) == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"agent_id": "agent2", "reason": "r"}', VoteFor("poet", "r")),
        ('{"agent_id": " Agent2 "}', VoteFor("poet")),
        ('{"agent_id": "agent2", "reason": 3}', VoteFor("poet")),
        ('{"agent_id": "poet"}', VoteFor("unknown agent poet")),
        ('{"agent_id": 2}', VoteFor("poet")),
        ('{"agent_id": "Agent #2"}', VoteFor("poet")),
        ('{"agent_id": 9}', VoteFor("unknown agent 9")),
        ('{"agent_id": null}', Unusable("the argument `agent_id` is missing or no string")),
        ("[]", Unusable("the argument `agent_id` is missing or no string")),
        ("{", Unusable("the arguments are not valid JSON")),
        ("[" * 100_000, Unusable("the arguments are not valid JSON")),
    ],
)
def test_votes_are_read_by_label(arguments: str, expected: VoteFor | Unusable) -> None:
    call = ToolCall(id="c", name="vote", arguments=arguments)
    assert read_decisions([call], after(*drafted()), "critic", NAMES) == (expected,)


def test_workflow_tools_give_way_to_other_names() -> None:
    names = ToolNames(new_answer="massgen_new_answer", vote="massgen_vote")
    state = after(*drafted())
    assert [tool.name for tool in workflow_tools(state, "critic", names)] == [
        "massgen_vote",
        "massgen_new_answer",
    ]
    call = ToolCall(id="c", name="massgen_vote", arguments='{"agent_id": "agent1"}')
    assert read_decisions([call], state, "critic", names) == (VoteFor("critic"),)
    told = turn_messages(CHAT, TEAM, state, "critic", names)[-1].text
    assert "`massgen_vote`" in told
    assert "`vote`" not in told
