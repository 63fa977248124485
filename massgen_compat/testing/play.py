"""Chooses the step of a script that answers a turn, and makes of it what the model says. Pure.

The result is deterministic. The default texts say that no model is involved, because users may come
to read them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from pydantic_core import to_json

from massgen_compat._run.message import Json, Tool, ToolCall
from massgen_compat._run.result import FinishReason, Usage
from massgen_compat._run.turn import Phase
from massgen_compat.testing.script import Failure, Refuse, Script, Step
from massgen_compat.testing.turn_context import TurnContext, workflow_tool

_NOTHING: Final[Json] = {}
NO_MODEL = "[scripted model, no model involved]"
QUOTED_QUESTION = 120
"""How many characters of the question the default answer repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """What a scripted model says in one turn, and at which pace. Durations are seconds."""

    text: str
    reasoning: str | None
    refusal: str | None
    calls: tuple[ToolCall, ...]
    hosted: tuple[str, ...]
    finish_reason: FinishReason
    usage: Usage | None
    failure: Failure | None
    delay_seconds: float
    token_delay_seconds: float


def play(script: Script, context: TurnContext, *, seed: str, sent: Json = _NOTHING) -> Play:
    """The play of one turn. The same arguments give the same play.

    ``seed`` is a part of the ids of tool calls. ``sent`` holds the request's parameters; a bound
    on the tokens of the reply (``max_tokens``, for example) cuts the text.
    """
    step, submitted = _submit(choose(script, context), context)
    step = _bounded(step, sent)
    others = [(_offered_name(context.tools, call.name), call.arguments) for call in step.calls]
    custom = {tool.name for tool in context.tools if tool.custom}
    tool_calls = tuple(
        ToolCall(
            id=f"call_{seed}{index:02}",
            name=name,
            arguments=_json(arguments),
            custom=name in custom,
        )
        for index, (name, arguments) in enumerate([*submitted, *others])
    )
    return Play(
        text=step.text,
        reasoning=step.reasoning,
        refusal=step.refusal,
        calls=tool_calls,
        hosted=step.hosted,
        finish_reason=step.finish_reason or ("tool_calls" if tool_calls else "stop"),
        usage=_usage(step, tool_calls, context),
        failure=None if _spared(step.fail, sent) else step.fail,
        delay_seconds=_either(step.delay_seconds, script.delay_seconds),
        token_delay_seconds=_either(step.token_delay_seconds, script.token_delay_seconds),
    )


_CAPS: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens")


def _bounded(step: Step, sent: Json) -> Step:
    """The step, with its text cut to the request's bound of tokens, if it has one."""
    bound = next((sent[cap] for cap in _CAPS if isinstance(sent.get(cap), int)), None)
    tokens = text_tokens(step.text)
    if bound is None or len(tokens) <= bound:
        return step
    return replace(step, text="".join(tokens[:bound]), finish_reason="length")


def _spared(failure: Failure | None, sent: Json) -> bool:
    """Whether the failure is about a parameter that this request does not have."""
    if not isinstance(failure, Refuse) or failure.when_sent is None:
        return False
    return failure.when_sent not in sent


def certain(token: str, top: int = 0) -> dict[str, Any]:
    """The log probability of a scripted token: 0, since no other token was possible."""
    said = {"token": token, "logprob": 0.0, "bytes": list(token.encode())}
    return {**said, "top_logprobs": [said] if top else []}


def text_tokens(text: str) -> list[str]:
    """The words of a text, each with the space that follows it. Joined, they are the text."""
    return re.findall(r"^\s+|\S+\s*", text)


def argument_tokens(arguments: str) -> list[str]:
    """Fragments of JSON text as small as a model's: some end inside a string or an escape."""
    return re.findall(r"^\s+|\w+\s*|[^\w\s]+\s*", arguments)


def choose(script: Script, context: TurnContext) -> Step:
    """The step that answers the turn.

    In an evaluation the round chooses the entry, and the attempt one of its corrections; in a draft
    or a message the attempt chooses the entry.
    """
    entries = _entries(script, context)
    if context.phase is Phase.EVALUATE:
        evaluation = max((context.round or 2) - 1, 1)
        entry = entries[min(evaluation, len(entries)) - 1]
        steps = (entry, *entry.on_correction)
    else:
        steps = (*entries, *entries[-1].on_correction)
    return steps[min(context.attempt, len(steps)) - 1]


def _entries(script: Script, context: TurnContext) -> tuple[Step, ...]:
    match context.phase:
        case Phase.DRAFT:
            return script.draft or (Step(text=_own_draft(script, context)),)
        case Phase.EVALUATE:
            return script.evaluate or (Step(vote="agent1"),)
        case Phase.PRESENT:
            winning = context.answers[-1][1] if context.answers else _own_draft(script, context)
            return script.present or (Step(text=winning),)


def _own_draft(script: Script, context: TurnContext) -> str:
    said = (step.new_answer or step.text for step in reversed(script.draft))
    return next(filter(None, said), None) or _default_draft(context.question)


def _default_draft(question: str) -> str:
    words = " ".join(question.split())
    quoted = words if len(words) <= QUOTED_QUESTION else words[:QUOTED_QUESTION] + "…"
    return f"{NO_MODEL} This text stands in for an answer to “{quoted}”."


# Submissions


def _submit(step: Step, context: TurnContext) -> tuple[Step, list[tuple[str, Json]]]:
    """The step without a text that is submitted, and its calls of ``vote`` and ``new_answer``."""
    calls: list[tuple[str, Json]] = []
    answer = step.new_answer
    if _is_draft_text(step, context) and workflow_tool(context.tools, "new_answer"):
        answer = step.text
        step = replace(step, text="")
    if step.vote is not None:
        target = _target(step.vote, context)
        reason = f"{NO_MODEL} The script votes for {target}."
        given = {"agent_id": target, "reason": reason if step.reason is None else step.reason}
        calls.append(_call("vote", given, step, context))
    if answer is not None:
        calls.append(_call("new_answer", {"content": answer}, step, context))
    return step, calls


def _is_draft_text(step: Step, context: TurnContext) -> bool:
    says_more = step.new_answer is not None or step.vote or step.calls or step.refusal
    return context.phase is Phase.DRAFT and bool(step.text) and not says_more


def _target(wanted: str, context: TurnContext) -> str:
    """The label to vote for, chosen from those that the tool offers."""
    labels = _labels(workflow_tool(context.tools, "vote")) or [
        label for label, _ in context.answers
    ]
    if wanted == "longest":
        lengths = {label: len(text) for label, text in context.answers}
        return max(labels, key=lambda label: lengths.get(label, 0), default="agent1")
    if wanted in labels or (not labels and wanted != "first"):
        return wanted
    return labels[0] if labels else "agent1"


def _call(name: str, given: Json, step: Step, context: TurnContext) -> tuple[str, Json]:
    """A call of a workflow tool: its name and its arguments, in the order of the tool's schema."""
    tool = workflow_tool(context.tools, name)
    if tool is None:
        return name, given
    properties = _properties(tool.parameters)
    values = dict(given)
    if "evaluations" in properties:
        made_up = _evaluations(properties["evaluations"], context)
        values["evaluations"] = made_up if step.evaluations is None else step.evaluations
    return tool.name, {key: values[key] for key in properties or values if key in values}


def _evaluations(schema: object, context: TurnContext) -> list[Json]:
    """A made-up evaluation of each answer; each says that no model is involved."""
    fields = _properties(_key(schema, "items"))
    texts = dict(context.answers)
    labels = _enum(fields.get("agent_id")) or _labels(workflow_tool(context.tools, "vote"))
    return [
        {
            field: label
            if field == "agent_id"
            else f"{NO_MODEL} The {field} of {label}: {len(texts.get(label, ''))} characters."
            for field in fields
        }
        for label in labels or texts
    ]


def _labels(tool: Tool | None) -> list[str]:
    return _enum(_properties(tool.parameters).get("agent_id")) if tool else []


def _properties(schema: object) -> Json:
    found = _key(schema, "properties")
    return cast("Json", found) if isinstance(found, Mapping) else {}


def _enum(schema: object) -> list[str]:
    found = _key(schema, "enum")
    values = cast("Sequence[object]", found) if isinstance(found, list | tuple) else ()
    return [value for value in values if isinstance(value, str)]


def _key(schema: object, key: str) -> object:
    return cast("Json", schema).get(key) if isinstance(schema, Mapping) else None


def _offered_name(tools: Sequence[Tool], name: str) -> str:
    """The name under which the request offers a tool: a workflow tool may be renamed."""
    tool = workflow_tool(tools, name) if name in {"vote", "new_answer"} else None
    return tool.name if tool else name


def _json(arguments: Json | str) -> str:
    return arguments if isinstance(arguments, str) else to_json(arguments).decode()


# Numbers


def _usage(step: Step, calls: Sequence[ToolCall], context: TurnContext) -> Usage | None:
    """The usage: the tokens as counted above, or the script's numbers, or ``None``."""
    given = step.usage
    if given is None:
        return None
    reasoning = given.get("reasoning_tokens", len(text_tokens(step.reasoning or "")))
    visible = len(text_tokens(step.text)) + len(text_tokens(step.refusal or ""))
    visible += sum(len(argument_tokens(call.arguments)) for call in calls)
    return Usage(
        prompt_tokens=given.get("prompt_tokens", context.prompt_tokens),
        completion_tokens=given.get("completion_tokens", visible + reasoning),
        reasoning_tokens=reasoning,
        cached_tokens=given.get("cached_tokens", 0),
    )


def _either(own: float | None, general: float) -> float:
    return general if own is None else own
