"""The workflow tools: what ends a round, how a reply is read, how it is turned back. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from massgen_compat.coordination import (
    Decision,
    NewAnswer,
    Rejection,
    State,
    Unusable,
    VoteFor,
    label,
)
from massgen_compat.run import Message, Text, ToolCall, text_message
from massgen_compat.turn import Phase, Reply, Tool


@dataclass(frozen=True, slots=True)
class ToolNames:
    """The names of the workflow tools in a run; they give way to a client's tools."""

    new_answer: str = "new_answer"
    vote: str = "vote"


def workflow_tools(state: State, agent: str, names: ToolNames) -> tuple[Tool, ...]:
    """The tools that end the agent's round; none for the presenter."""
    seat = next(seat for seat in state.seats if seat.agent == agent)
    if state.presenter == agent:
        return ()
    answer = Tool(
        name=names.new_answer,
        description="Submit your whole answer to the request, as the user should read it.",
        parameters=_parameters(content={"type": "string", "description": "The whole answer."}),
        strict=True,
    )
    if seat.phase is Phase.DRAFT:
        return (answer,)
    labels = [label(state.rules, other.agent) for other in state.answered]
    vote = Tool(
        name=names.vote,
        description="Vote for the answer that serves the user best.",
        parameters=_parameters(
            agent_id={"type": "string", "enum": labels, "description": "Whose answer."},
            reason={"type": "string", "description": "Why this answer, in a sentence or two."},
        ),
        strict=True,
    )
    return (vote, answer) if state.may_answer(seat) else (vote,)


def _parameters(**properties: dict[str, object]) -> dict[str, object]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def read_decisions(
    calls: Sequence[ToolCall], state: State, names: ToolNames
) -> tuple[Decision, ...]:
    """What the calls of a reply decide. Never raises: what cannot be read is ``Unusable``."""
    return tuple(_read_decision(call, state, names) for call in calls)


def _read_decision(call: ToolCall, state: State, names: ToolNames) -> Decision:
    if call.name not in {names.new_answer, names.vote}:
        return Unusable(f"there is no tool `{call.name[:64]}`")
    try:
        arguments: object = json.loads(call.arguments)
    except (ValueError, RecursionError):
        return Unusable("the arguments are not valid JSON")
    match call.name == names.vote, arguments:
        case True, {"agent_id": str(target), "reason": str(reason)}:
            return VoteFor(_unmask(target, state), reason)
        case True, {"agent_id": str(target)}:
            return VoteFor(_unmask(target, state))
        case False, {"content": str(content)}:
            return NewAnswer(content)
        case _:
            missing = "agent_id" if call.name == names.vote else "content"
            return Unusable(f"the argument `{missing}` is missing or no string")


def _unmask(target: str, state: State) -> str:
    """The agent behind a label. A real id must not count: agents know each other by label only."""
    agents = {label(state.rules, agent): agent for agent in state.rules.agents}
    return agents.get(target.strip().lower(), f"unknown agent {target[:64]}")


# Corrections


def correction(
    reply: Reply, rejection: Rejection, state: State, agent: str, names: ToolNames
) -> tuple[Message, ...]:
    """The reply that was turned back, and what the agent is told.

    Every call gets a tool result, after the assistant message that holds the calls: OpenAI answers
    400 otherwise (MassGen leaves that message out).
    """
    said = Message(
        role="assistant",
        content=(Text(reply.text),) if reply.text else (),
        tool_calls=reply.tool_calls,
        items=reply.items,
    )
    text = _CORRECTIONS[rejection].format(
        vote=names.vote,
        new_answer=names.new_answer,
        labels=", ".join(label(state.rules, seat.agent) for seat in state.answered),
        options=_options(state, agent, names),
        problem=_problem(reply, state, names),
    )
    if not reply.tool_calls:
        told = (text_message("user", text),)
        return (said, *told) if said.content or said.items else told
    results = tuple(
        Message(role="tool", content=(Text(text),), tool_call_id=call.id)
        for call in reply.tool_calls
    )
    return (said, *results)


def _options(state: State, agent: str, names: ToolNames) -> str:
    return " or ".join(f"`{tool.name}`" for tool in workflow_tools(state, agent, names))


def _problem(reply: Reply, state: State, names: ToolNames) -> str:
    decisions = read_decisions(reply.tool_calls, state, names)
    problems = [each.problem for each in decisions if isinstance(each, Unusable)]
    return "; ".join(dict.fromkeys(problems))


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
