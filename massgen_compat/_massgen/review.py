"""The gate of a model's policy, held around one model call of MassGen. Pure.

In a draft no workflow tool is offered, and the message that ends the turn is given to MassGen as a
call of ``new_answer``. In an evaluation both tools demand an evaluation of every peer's answer. A
decision without them is turned back with a tool result, and MassGen never sees it. The evaluations
are taken out of what it does see. What the policy demands is the same as on the local engine, and
stands in ``policies.gate``.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from massgen_compat._agents.decisions import WRITE_DRAFT
from massgen_compat._agents.prompts import EVALUATIONS, SELF_EVALUATION
from massgen_compat._massgen.payloads import DECISIONS, CallPurpose, said_to, tool_name
from massgen_compat._run.message import Json, ToolCall
from massgen_compat._run.team import Api
from massgen_compat._run.turn import Phase, Reply
from massgen_compat._upstream.chat_messages import replayed as chat_replayed
from massgen_compat._upstream.responses_input import replayed as responses_replayed
from massgen_compat._upstream.tolerant import mapping, sequence
from massgen_compat.policies import Objection, Policy
from massgen_compat.policies.gate import MOST_OBJECTIONS, Gate
from massgen_compat.policies.request import strengthened

DRAFT: Final = """\
This is your draft round. Work on the request, check your answer, and then write it, whole, as an \
ordinary message: that message is your answer, and it ends the round. No tool takes it, whatever \
was said of `new_answer` above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """The reply goes to MassGen, with these calls. ``unverified``: the policy still objects."""

    calls: tuple[ToolCall, ...]
    unverified: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """The reply is turned back: ``body`` is the next request, ``reason`` the objection's code."""

    body: dict[str, Any] = field(hash=False)
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """The review of one model call. It is a value: each try has its own.

    ``own`` is the agent's label. ``objections`` counts the replies that were turned back.
    """

    api: Api
    policy: Policy
    purpose: CallPurpose
    own: str
    objections: int = 0

    @property
    def holds(self) -> bool:
        """Whether the policy demands anything of this call. If not, all of it passes unchanged."""
        if not self.purpose.coordinates:
            return False
        if self.purpose.phase is Phase.DRAFT:
            return self.policy.draft_as_message
        return self.policy.evaluations or self.policy.review is not None

    @property
    def _gate(self) -> Gate:
        purpose = self.purpose
        return Gate(policy=self.policy, phase=purpose.phase, own=self.own, shown=purpose.shown)

    def prepared(self, body: Json) -> dict[str, Any]:
        """MassGen's request as the policy wants it; only for a call that the policy ``holds``."""
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
            _evaluating(mapping(tool), self._gate) if tool_name(tool) in DECISIONS else tool
            for tool in tools
        ]
        if self.policy.serial_decisions:
            sent["parallel_tool_calls"] = False
        return said_to(self.api, sent, SELF_EVALUATION if self._gate.alone else EVALUATIONS)

    def judge(self, body: Json, reply: Reply) -> "Pass | Again":
        """Whether the reply to ``body`` passes, or is turned back."""
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
        return Again(body=self._turned_back(body, reply, problem.text), reason=problem.code)

    def objected(self) -> "Review":
        """The review of the next try."""
        return replace(self, objections=self.objections + 1)

    def _draft_problem(self, reply: Reply) -> Objection | None:
        if reply.tool_calls:
            return self._gate.objection("new_answer", {}, tool=reply.tool_calls[0].name)
        if not reply.text.strip() or reply.finish_reason != "stop":
            return Objection("no_draft", WRITE_DRAFT)
        return None

    def _decision_problem(self, reply: Reply) -> Objection | None:
        """The policy's objection to a decision.

        MassGen itself checks for replies without a call, contradicting calls and unknown ids, so
        these are left to it. So are arguments that are no JSON object.
        """
        for call in reply.tool_calls:
            kind = "vote" if call.name == "vote" else "new_answer"
            arguments = _arguments(call)
            if arguments is None:
                continue
            if objection := self._gate.objection(kind, arguments, tool=call.name):
                return objection
        return None

    def _turned_back(self, body: Json, reply: Reply, text: str) -> dict[str, Any]:
        """The next request: the conversation, the reply, and what is wrong with it.

        Every call gets a tool result, because OpenAI answers 400 to a call without one. The second
        time the request asks for the next stronger effort.
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
        return strengthened(self.policy, self.api, sent) if self.objections else sent


def _evaluating(tool: Json, gate: Gate) -> dict[str, Any]:
    """A workflow tool of MassGen with the evaluations that the policy demands."""
    if "function" not in tool:
        return {**tool, "parameters": gate.parameters(mapping(tool.get("parameters")))}
    function = mapping(tool["function"])
    changed = gate.parameters(mapping(function.get("parameters")))
    return {**tool, "function": {**function, "parameters": changed}}


def _submitted(reply: Reply) -> ToolCall:
    """A draft as the call of ``new_answer`` that MassGen waits for."""
    arguments = json.dumps({"content": reply.text}, ensure_ascii=False)
    return ToolCall(id="call_draft", name="new_answer", arguments=arguments)


def _bare(calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
    """The calls without the argument ``evaluations``, which MassGen does not know."""
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
