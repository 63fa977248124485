"""The gate of a model policy around one model call of MassGen. Pure.

MassGen sees only what the policy lets pass: in a draft no workflow tool is offered, and the message
that ends the turn is handed to MassGen as its ``new_answer``; in an evaluation both tools carry an
evaluation of every peer's answer, a decision without them is turned back with a tool result, and
the evaluations are taken out of what passes. The rules are those of ``policies``.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from massgen_compat._agents.decisions import NOT_OFFERED, WRITE_DRAFT
from massgen_compat._agents.prompts import EVALUATIONS, SELF_EVALUATION
from massgen_compat._massgen.call_purpose import DECISIONS, CallPurpose, said_to, tool_name
from massgen_compat._run.message import Json, ToolCall
from massgen_compat._run.team import Api
from massgen_compat._run.turn import Phase, Reply
from massgen_compat._upstream.chat_messages import replayed as chat_replayed
from massgen_compat._upstream.responses_input import replayed as responses_replayed
from massgen_compat._upstream.tolerant import mapping, sequence
from massgen_compat.policies import Policy, Submission
from massgen_compat.policies.gate import evaluations_schema
from massgen_compat.policies.request import stronger

MOST_OBJECTIONS: Final = 2
"""How often a round's decision is turned back; then it passes, as unverified."""

DRAFT: Final = """\
This is your draft round. Work on the request, check your answer, and then write it, whole, as an \
ordinary message: that message is your answer, and it ends the round. No tool takes it, whatever \
was said of `new_answer` above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """MassGen may see the reply, with these calls. ``unverified``: the policy still objects."""

    calls: tuple[ToolCall, ...]
    unverified: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """The reply is turned back: the next request, and why."""

    body: dict[str, Any] = field(hash=False)
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What stands between a model's reply and MassGen. ``own`` is the agent's label."""

    api: Api
    policy: Policy
    purpose: CallPurpose
    own: str
    objections: int = 0

    @property
    def holds(self) -> bool:
        """Whether the policy has a say in this call; otherwise everything passes as it is."""
        if not self.purpose.coordinates:
            return False
        if self.purpose.phase is Phase.DRAFT:
            return self.policy.draft_as_message
        return self.policy.evaluations or self.policy.review is not None

    @property
    def _judged(self) -> tuple[str, ...]:
        """The labels to evaluate: those of the peers, or the agent's own alone."""
        shown = self.purpose.shown
        return tuple(label for label in shown if label != self.own) or shown

    def prepared(self, body: Json) -> dict[str, Any]:
        """The request as the policy wants it."""
        sent = dict(body)
        tools = sequence(sent.get("tools"))
        if self.purpose.phase is Phase.DRAFT:
            sent["tools"] = [tool for tool in tools if tool_name(tool) not in DECISIONS]
            if not sent["tools"]:
                del sent["tools"]
                sent.pop("parallel_tool_calls", None)
                sent.pop("tool_choice", None)
            return said_to(self.api, sent, DRAFT)
        if not self.policy.evaluations:
            return sent
        sent["tools"] = [
            self._evaluating(mapping(tool)) if tool_name(tool) in DECISIONS else tool
            for tool in tools
        ]
        if self.policy.serial_decisions:
            sent["parallel_tool_calls"] = False
        own = self._judged == (self.own,)
        return said_to(self.api, sent, SELF_EVALUATION if own else EVALUATIONS)

    def _evaluating(self, tool: Json) -> dict[str, Any]:
        """A workflow tool whose first argument is the evaluations."""
        nested = mapping(tool.get("function"))
        function = nested or tool
        schema = mapping(function.get("parameters"))
        own = self._judged == (self.own,)
        properties = {
            "evaluations": evaluations_schema(self._judged, own=own),
            **mapping(schema.get("properties")),
        }
        required = ["evaluations", *sequence(schema.get("required"))]
        changed = {**schema, "properties": properties, "required": required}
        if nested:
            return {**tool, "function": {**nested, "parameters": changed}}
        return {**tool, "parameters": changed}

    def judge(self, body: Json, reply: Reply) -> "Pass | Again":
        """Whether the reply to ``body`` passes."""
        work = tuple(call for call in reply.tool_calls if call.name not in DECISIONS)
        if work:  # it runs first; what was decided beside it was decided without it
            return Pass(calls=work)
        draft = self.purpose.phase is Phase.DRAFT
        problem = self._draft_problem(reply) if draft else self._decision_problem(reply)
        if problem is None:
            return Pass(calls=(_submitted(reply),) if draft else _bare(reply.tool_calls))
        if self.objections >= MOST_OBJECTIONS:
            calls = _bare(reply.tool_calls)
            return Pass(calls=calls, unverified=bool(calls))
        return Again(body=self._turned_back(body, reply, problem[1]), reason=problem[0])

    def objected(self) -> "Review":
        """The review of the next try."""
        return replace(self, objections=self.objections + 1)

    def _draft_problem(self, reply: Reply) -> tuple[str, str] | None:
        if reply.tool_calls:
            return "tool_not_offered", NOT_OFFERED.format(new_answer=reply.tool_calls[0].name)
        if not reply.text.strip() or reply.finish_reason != "stop":
            return "no_draft", WRITE_DRAFT
        return None

    def _decision_problem(self, reply: Reply) -> tuple[str, str] | None:
        """What MassGen itself checks (no call, contradictions, unknown ids) is left to it."""
        for call in reply.tool_calls:
            arguments = _arguments(call)
            if self.policy.review is None or arguments is None:
                continue
            objection = self.policy.review(
                Submission(
                    phase=Phase.EVALUATE,
                    kind="vote" if call.name == "vote" else "new_answer",
                    arguments=arguments,
                    own=self.own,
                    others=self._judged,
                )
            )
            if objection is not None:
                return objection.code, objection.text
        return None

    def _turned_back(self, body: Json, reply: Reply, text: str) -> dict[str, Any]:
        """The request once more, after the reply and what the agent is told about it.

        The second time it comes with the next stronger effort.
        """
        told: list[Json]
        if self.api == "chat":
            said = [chat_replayed(item) for item in reply.items]
            told = [
                {"role": "tool", "tool_call_id": call.id, "content": text}
                for call in reply.tool_calls
            ]
            sent = {**body, "messages": [*sequence(body["messages"]), *said, *told]}
        else:
            told = [
                {"type": "function_call_output", "call_id": call.id, "output": text}
                for call in reply.tool_calls
            ]
            items = [*responses_replayed(reply.items), *told]
            sent = {**body, "input": [*sequence(body["input"]), *items]}
        if not reply.tool_calls:
            sent = said_to(self.api, sent, text)
        return self._firmer(sent) if self.objections else sent

    def _firmer(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.api == "chat":
            effort = stronger(self.policy, body.get("reasoning_effort"))
            return body if effort is None else {**body, "reasoning_effort": effort}
        reasoning = mapping(body.get("reasoning"))
        effort = stronger(self.policy, reasoning.get("effort"))
        if effort is None:
            return body
        return {**body, "reasoning": {**reasoning, "effort": effort}}


def _submitted(reply: Reply) -> ToolCall:
    """A draft as the call that MassGen waits for."""
    arguments = json.dumps({"content": reply.text}, ensure_ascii=False)
    return ToolCall(id="call_draft", name="new_answer", arguments=arguments)


def _bare(calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
    """Calls without the evaluations, which MassGen does not know."""
    return tuple(_without_evaluations(call) for call in calls)


def _without_evaluations(call: ToolCall) -> ToolCall:
    arguments = _arguments(call)
    if arguments is None or "evaluations" not in arguments:
        return call
    bare = {name: value for name, value in arguments.items() if name != "evaluations"}
    return replace(call, arguments=json.dumps(bare, ensure_ascii=False))


def _arguments(call: ToolCall) -> Mapping[str, Any] | None:
    try:
        value: object = json.loads(call.arguments)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None
