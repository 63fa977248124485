"""The workflow tools ``new_answer`` and ``vote``, which end a round. Pure.

This module makes the tools, reads the decisions in a reply, and tells an agent why a reply did not
count.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from massgen_compat._agents.decision_text import written_call
from massgen_compat._agents.label_folding import fitting_tool, folded_label, normalised
from massgen_compat._agents.quotations import squeezed
from massgen_compat._coordination import (
    CorrectTurn,
    Decision,
    Member,
    NewAnswer,
    Rejection,
    State,
    Unusable,
    VoteFor,
    label,
)
from massgen_compat._run.message import Message, Text, Tool, ToolCall, text_message
from massgen_compat._run.turn import Phase, Reply
from massgen_compat.policies import DEFAULT, Policy
from massgen_compat.policies.gate import Gate


@dataclass(frozen=True, slots=True)
class ToolNames:
    """The names of the workflow tools in a run. A client's tool of the same name keeps its name."""

    new_answer: str = "new_answer"
    vote: str = "vote"

    @classmethod
    def avoiding(cls, tools: Iterable[Tool]) -> "ToolNames":
        """Return names that no tool of the client has: with ``massgen_`` in front where needed."""
        taken = {tool.name for tool in tools}
        given: list[str] = []
        for name in ("new_answer", "vote"):
            while name in taken:
                name = f"massgen_{name}"  # noqa: PLW2901 - until the name is free
            given.append(name)
        return cls(*given)


def workflow_tools(
    state: State, agent: str, names: ToolNames, policy: Policy = DEFAULT
) -> tuple[Tool, ...]:
    """Return the tools that end the agent's round.

    There are none for the presenter, and none for a draft that is an ordinary message.
    """
    member = next(member for member in state.members if member.agent == agent)
    if state.presenter == agent:
        return ()
    if member.phase is Phase.DRAFT and policy.draft_as_message:
        return ()
    gate = _gate(state, member, policy)
    answer = _answer_tool(names, gate)
    if member.phase is Phase.DRAFT:
        return (answer,)
    vote = _vote_tool(names, gate)
    return (vote, answer) if state.may_answer(member) else (vote,)


def _gate(state: State, member: Member, policy: Policy) -> Gate:
    own, *shown = (label(state.rules, each.agent) for each in (member, *state.answered))
    return Gate(policy=policy, phase=member.phase, own=own, shown=tuple(shown))


def _answer_tool(names: ToolNames, gate: Gate) -> Tool:
    content = {"type": "string", "description": "The whole answer."}
    return Tool(
        name=names.new_answer,
        description="Submit your whole answer to the request, as the user should read it.",
        parameters=gate.parameters(_parameters({"content": content})),
        strict=True,
    )


def _vote_tool(names: ToolNames, gate: Gate) -> Tool:
    target = {"type": "string", "enum": list(gate.shown), "description": "Whose answer."}
    reason = {"type": "string", "description": "Why this answer, in a sentence or two."}
    return Tool(
        name=names.vote,
        description="Vote for the answer that serves the user best.",
        parameters=gate.parameters(_parameters({"agent_id": target, "reason": reason})),
        strict=True,
    )


def _parameters(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def read_reply(
    reply: Reply,
    state: State,
    agent: str,
    names: ToolNames,
    policy: Policy = DEFAULT,
    *,
    conversation: Sequence[Message] = (),
) -> tuple[Decision, ...]:
    """Return the decisions of a reply: those of its calls, else the one that is written as text.

    Many servers hand out a model's call as text, and many small models write one in words. Text is
    read in an evaluation only, where a peer's answer cannot pose as a decision (``decision_text``);
    a vote in plain words counts as unverified. What the ``conversation`` of the client says is no
    decision of an agent that repeats it.
    """
    member = next(member for member in state.members if member.agent == agent)
    if reply.tool_calls or member.phase is not Phase.EVALUATE or not reply.text.strip():
        return read_decisions(reply.tool_calls, state, agent, names, policy)
    gate = _gate(state, member, policy)
    answers = [each.answer or "" for each in state.answered]
    tools = workflow_tools(state, agent, names, policy)
    written = written_call(reply.text, tools, gate.shown, answers)
    if written is None or _repeats(reply.text, tools, gate.shown, conversation):
        return ()
    is_vote = written.name == names.vote
    decision = _decision(written.arguments, state, names, gate, is_vote=is_vote)
    if isinstance(decision, VoteFor) and not written.verified:
        decision = replace(decision, verified=False)
    return (decision,)


_SHORTEST_REPEATED: Final = 10
"""Letters and digits of a text that is long enough to tell whether it repeats another one."""


def _repeats(
    text: str, tools: Sequence[Tool], labels: Sequence[str], conversation: Sequence[Message]
) -> bool:
    """Return whether the decision of a reply is somebody's words in the client's conversation."""
    if not conversation or len(squeezed(text)) < _SHORTEST_REPEATED:
        return False
    said = [message.text for message in conversation]
    return written_call(text, tools, labels, said) is None


def read_decisions(
    calls: Sequence[ToolCall],
    state: State,
    agent: str,
    names: ToolNames,
    policy: Policy = DEFAULT,
) -> tuple[Decision, ...]:
    """Return the decisions that the calls of a reply make, with the objections of the policy.

    There is one for each call. Nothing that a model writes raises: a call that cannot be read is
    ``Unusable``.
    """
    member = next(member for member in state.members if member.agent == agent)
    gate = _gate(state, member, policy)
    return tuple(_read_decision(call, state, names, gate) for call in calls)


def _read_decision(call: ToolCall, state: State, names: ToolNames, gate: Gate) -> Decision:
    try:
        arguments: object = json.loads(call.arguments)
    except (ValueError, RecursionError):
        return Unusable("the arguments are not valid JSON")
    given = cast("dict[str, Any]", arguments) if isinstance(arguments, dict) else {}
    needed = {names.new_answer: "content", names.vote: "agent_id"}.get(call.name)
    if needed is not None and isinstance(given.get(needed), str):
        # The ordinary call needs no second look, which would cost more than all else here.
        return _decision(given, state, names, gate, is_vote=call.name == names.vote)
    tools = (_answer_tool(names, gate), _vote_tool(names, gate))
    tool = next((each for each in tools if each.name == call.name), None)
    tool = tool or fitting_tool(call.name, given, tools)
    if tool is None:
        return Unusable(f"there is no tool `{call.name[:64]}`")
    return _decision(normalised(given, tool), state, names, gate, is_vote=tool.name == names.vote)


def _decision(
    given: Mapping[str, Any], state: State, names: ToolNames, gate: Gate, *, is_vote: bool
) -> Decision:
    """Return what the arguments of a workflow tool decide."""
    needed = "agent_id" if is_vote else "content"
    value, reason = given.get(needed), given.get("reason")
    if is_vote and isinstance(value, int):  # small models write the number alone
        value = str(value)
    if not isinstance(value, str):
        return Unusable(f"the argument `{needed}` is missing or no string")
    objection = gate.objection("vote" if is_vote else "new_answer", given, tool=names.new_answer)
    if is_vote:
        return VoteFor(_id_of(value, state), reason if isinstance(reason, str) else "", objection)
    return NewAnswer(value, objection)


def _id_of(written: str, state: State) -> str:
    """Return the id of the agent whose label was written, in any spelling that fits one label.

    A real id does not count, because agents know each other by label only: a model that writes one
    has not read it anywhere. For an unknown label a text is returned that is no agent's id.
    """
    agents = {label(state.rules, agent): agent for agent in state.rules.agents}
    if (exact := agents.get(written.strip().lower())) is not None:
        return exact
    found = folded_label(written, tuple(agents))
    return f"unknown agent {written[:64]}" if found is None else agents[found]


# Corrections


def corrected(
    messages: Sequence[Message],
    reply: Reply,
    order: CorrectTurn,
    state: State,
    names: ToolNames,
    policy: Policy = DEFAULT,
) -> tuple[Message, ...]:
    """Return the conversation with the reply that did not count, and with what the agent is told.

    The assistant message with the calls stays, and every call gets a tool result after it: without
    either OpenAI's API answers 400. (MassGen leaves the message out.)
    """
    said = Message(
        role="assistant",
        content=(Text(reply.text),) if reply.text else (),
        tool_calls=reply.tool_calls,
        items=reply.items,
    )
    text = _told(reply, order, state, names, policy)
    if reply.tool_calls:
        results = (
            Message(role="tool", content=(Text(text),), tool_call_id=call.id)
            for call in reply.tool_calls
        )
        return (*messages, said, *results)
    return say_to((*messages, said) if said.content or said.items else messages, text)


def say_to(messages: Sequence[Message], text: str) -> tuple[Message, ...]:
    """Add a text of the user at the end of a conversation.

    It joins the last message if that is the user's, because the chat templates of several open
    models refuse two user messages in a row.
    """
    if messages and messages[-1].role == "user":
        last = messages[-1]
        return (*messages[:-1], replace(last, content=(*last.content, Text(text))))
    return (*messages, text_message("user", text))


def _told(reply: Reply, order: CorrectTurn, state: State, names: ToolNames, policy: Policy) -> str:
    if order.objection is not None:
        return order.objection.text
    tools = workflow_tools(state, order.agent, names, policy)
    if not tools:
        return WRITE_DRAFT
    problems = [
        decision.problem
        for decision in read_decisions(reply.tool_calls, state, order.agent, names, policy)
        if isinstance(decision, Unusable)
    ]
    return _CORRECTIONS[order.rejection].format(
        vote=names.vote,
        new_answer=names.new_answer,
        labels=", ".join(label(state.rules, member.agent) for member in state.answered),
        options=" or ".join(f"`{tool.name}`" for tool in tools),
        problem="; ".join(dict.fromkeys(problems)),
    )


WRITE_DRAFT = (
    "Your draft is not there yet, and no tool takes it. Write your whole answer to the request as "
    "an ordinary message."
)

_CORRECTIONS = {
    Rejection.NO_DECISION: (
        "Your round is not finished: it ends with a call of {options}. Finish your work if "
        "something is left to do, then make the call."
    ),
    Rejection.UNUSABLE: "Not counted: {problem}. Call {options} again, as its schema says.",
    Rejection.CONTRADICTION: (
        "Not counted: a round ends with one decision, and these calls contradict each other. "
        "Make exactly one call of {options}."
    ),
    Rejection.VOTE_TOO_EARLY: (
        "Not counted: you cannot vote before you have given an answer of your own. "
        "Submit it with `{new_answer}`."
    ),
    Rejection.UNKNOWN_AGENT: (
        "Not counted: no current answer has that agent_id. Answers you can vote for: {labels}."
    ),
    Rejection.EMPTY_ANSWER: (
        "Not counted: `content` is empty. Submit your whole answer in it, or call {options}."
    ),
    Rejection.OVER_CAP: (
        "Not counted: you cannot submit another answer in this run. "
        "Vote for the best current answer with `{vote}`."
    ),
    Rejection.TOO_SIMILAR: (
        "Not counted: this answer says nearly the same as one of the current answers. Vote for "
        "the best one with `{vote}`, or submit an answer that is really different."
    ),
}
