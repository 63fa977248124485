"""The workflow tools: what ends a round, how a reply is read, how it is turned back. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from massgen_compat._coordination import (
    CorrectTurn,
    Decision,
    NewAnswer,
    Objection,
    Rejection,
    State,
    Unusable,
    VoteFor,
    label,
)
from massgen_compat._run.message import Message, Text, Tool, ToolCall, text_message
from massgen_compat._run.turn import Phase, Reply
from massgen_compat.policies import DEFAULT, Policy, Submission
from massgen_compat.policies.gate import evaluations_schema


@dataclass(frozen=True, slots=True)
class ToolNames:
    """The names of the workflow tools in a run; they give way to a client's tools."""

    new_answer: str = "new_answer"
    vote: str = "vote"

    @classmethod
    def beside(cls, tools: Iterable[Tool]) -> "ToolNames":
        """Names that no tool of the client has."""
        taken = {tool.name for tool in tools}
        given: list[str] = []
        for name in ("new_answer", "vote"):
            while name in taken:
                name = f"massgen_{name}"  # noqa: PLW2901 - the name gives way until it is free
            given.append(name)
        return cls(*given)


def workflow_tools(
    state: State, agent: str, names: ToolNames, policy: Policy = DEFAULT
) -> tuple[Tool, ...]:
    """The tools that end the agent's round; none for the presenter, nor for a draft by message."""
    member = next(member for member in state.members if member.agent == agent)
    if state.presenter == agent:
        return ()
    if member.phase is Phase.DRAFT:
        return () if policy.draft_as_message else (_answer_tool(names, {}),)
    evaluations: dict[str, Any] = {}
    if policy.evaluations:
        judged = _judged(state, agent)
        own = judged == (label(state.rules, agent),)
        evaluations["evaluations"] = evaluations_schema(judged, own=own)
    vote = _vote_tool(names, evaluations, [label(state.rules, s.agent) for s in state.answered])
    answer = _answer_tool(names, evaluations)
    return (vote, answer) if state.may_answer(member) else (vote,)


def _answer_tool(names: ToolNames, first: Mapping[str, Any]) -> Tool:
    content = {"type": "string", "description": "The whole answer."}
    return Tool(
        name=names.new_answer,
        description="Submit your whole answer to the request, as the user should read it.",
        parameters=_parameters({**first, "content": content}),
        strict=True,
    )


def _vote_tool(names: ToolNames, first: Mapping[str, Any], labels: Sequence[str]) -> Tool:
    target = {"type": "string", "enum": list(labels), "description": "Whose answer."}
    reason = {"type": "string", "description": "Why this answer, in a sentence or two."}
    return Tool(
        name=names.vote,
        description="Vote for the answer that serves the user best.",
        parameters=_parameters({**first, "agent_id": target, "reason": reason}),
        strict=True,
    )


def _judged(state: State, agent: str) -> tuple[str, ...]:
    """The labels of the answers that the agent has to evaluate: its peers', or its own alone."""
    peers = [member for member in state.answered if member.agent != agent]
    return tuple(label(state.rules, member.agent) for member in peers or state.answered)


def _parameters(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def read_decisions(
    calls: Sequence[ToolCall],
    state: State,
    agent: str,
    names: ToolNames,
    policy: Policy = DEFAULT,
) -> tuple[Decision, ...]:
    """What the calls of the agent's reply decide, with the objections of its policy.

    Never raises on what a model writes: a call that cannot be read is ``Unusable``.
    """
    return tuple(_read_decision(call, state, agent, names, policy) for call in calls)


def _read_decision(
    call: ToolCall, state: State, agent: str, names: ToolNames, policy: Policy
) -> Decision:
    if call.name not in {names.new_answer, names.vote}:
        return Unusable(f"there is no tool `{call.name[:64]}`")
    try:
        arguments: object = json.loads(call.arguments)
    except (ValueError, RecursionError):
        return Unusable("the arguments are not valid JSON")
    is_vote = call.name == names.vote
    given = cast("dict[str, Any]", arguments) if isinstance(arguments, dict) else {}
    needed = "agent_id" if is_vote else "content"
    value, reason = given.get(needed), given.get("reason")
    if not isinstance(value, str):
        return Unusable(f"the argument `{needed}` is missing or no string")
    objection = _objection(given, state, agent, names, policy, is_vote=is_vote)
    if is_vote:
        return VoteFor(_unmask(value, state), reason if isinstance(reason, str) else "", objection)
    return NewAnswer(value, objection)


def _objection(
    arguments: Mapping[str, Any],
    state: State,
    agent: str,
    names: ToolNames,
    policy: Policy,
    *,
    is_vote: bool,
) -> Objection | None:
    member = state.member(agent)
    if member is None:
        return None
    if member.phase is Phase.DRAFT and policy.draft_as_message:
        return Objection("tool_not_offered", NOT_OFFERED.format(new_answer=names.new_answer))
    if policy.review is None or member.phase is Phase.DRAFT:
        return None
    return policy.review(
        Submission(
            phase=member.phase,
            kind="vote" if is_vote else "new_answer",
            arguments=arguments,
            own=label(state.rules, agent),
            others=_judged(state, agent),
        )
    )


NOT_OFFERED = (
    "Nothing was submitted: there is no tool `{new_answer}` in a draft. Work on the request, check "
    "your answer, and then write it, whole, as an ordinary message."
)


def _unmask(target: str, state: State) -> str:
    """The agent behind a label. A real id must not count: agents know each other by label only."""
    agents = {label(state.rules, agent): agent for agent in state.rules.agents}
    return agents.get(target.strip().lower(), f"unknown agent {target[:64]}")


# Corrections


def corrected(
    messages: Sequence[Message],
    reply: Reply,
    order: CorrectTurn,
    state: State,
    names: ToolNames,
    policy: Policy = DEFAULT,
) -> tuple[Message, ...]:
    """The conversation with the reply that was turned back, and with what the agent is told.

    Every call gets a tool result, after the assistant message that holds the calls: OpenAI answers
    400 otherwise (MassGen leaves that message out).
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
    """Tell the agent something at the end of a conversation.

    It joins a user message that stands there: chat templates of several open models refuse two in
    a row.
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
