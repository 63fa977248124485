"""Checks whole replies, and tool calls: is there everything that clients read? Pure."""

from collections.abc import Mapping
from typing import Any, Final

from massgen_compat.cli.doctor.findings import Finding, note, ok, problem, shown, warning
from massgen_compat.cli.doctor.observed import (
    TIME_IS_UP,
    Call,
    Json,
    Reply,
    Seen,
    StreamReply,
    Unreachable,
    calls_of,
    fold,
    mapping,
    objects,
    read_object,
)
from massgen_compat.cli.doctor.refusals import told

FINISH_REASONS: Final = frozenset({"stop", "length", "tool_calls", "content_filter"})

_REQUIRED: Final = ("id", "object", "created", "model", "choices")
_SHAPE: Final = "Answer an object of type `chat.completion`, as OpenAI's schema has it."


LONGER: Final = "Say --timeout with more seconds, or look in the server's log why it takes so long."


def after_break(why: str) -> str:
    """What to do about a reply that broke off for this reason (``Reply.broken``)."""
    if why == TIME_IS_UP:
        return LONGER
    return "Look in the server's log; if a proxy cut it, lengthen its timeout (proxy_read_timeout)."


def received(check: str, seen: Seen, todo: str) -> Reply | Finding:
    """The reply to a chat request if it is whole and has status 200, else what went wrong."""
    if isinstance(seen, Unreachable):
        todo = LONGER if seen.trouble == "timeout" else todo
        return problem(check, f"No answer ({seen.trouble}): {shown(seen.detail)}.", todo)
    if seen.broken is not None:
        said = f"The reply breaks off after {seen.seconds:.1f} s: {shown(seen.broken)}."
        return problem(check, said, after_break(seen.broken))
    if seen.status != 200:
        again = " Clients retry a 5xx." if seen.status >= 500 else ""
        return problem(check, f"{told(seen)}.{again}", todo)
    return seen


def check_chat(seen: Seen) -> Finding:
    """Check the reply to a small chat without tools and without streaming."""
    todo = "Mend what the message says; the server's log has more."
    reply = received("chat", seen, todo)
    if isinstance(reply, Finding):
        return reply
    body = reply.json
    if body is None:
        return problem("chat", f"200, but no JSON: {shown(reply.text, 60)!r}.", _SHAPE)
    message, wrong = read_message(body)
    if wrong:
        return problem("chat", wrong, _SHAPE)
    reason = objects(body.get("choices"))[0].get("finish_reason")
    took = f"{shown(message.get('content'), 40)!r} after {reply.seconds:.1f} s"
    if message.get("tool_calls"):
        return problem("chat", "It calls tools that were not offered.", "Look at the model.")
    if not isinstance(message.get("content"), str) or not message["content"].strip():
        return problem("chat", f"The message is empty (finish_reason {reason}).", todo)
    if reason != "stop":
        return warning(
            "chat",
            f"{took}, with finish_reason {shown(reason)}.",
            "End with `stop`; at `length` some clients go on asking, each time a whole run.",
        )
    if (wrong := wrong_usage(body.get("usage"))) is not None:
        return warning("chat", f"{took}, but {wrong}.", "Send usage; clients show costs by it.")
    total = mapping(body.get("usage"))["total_tokens"]
    if rule := reply.headers.get("x-massgen-background"):
        said = f"{took}, by one agent: taken for a background task ({shown(rule)})."
        return note("chat", said, "Narrow `background_rules` in the team's config.")
    return ok("chat", f"{took}, {total} tokens.")


def read_message(body: Json) -> tuple[Json, str | None]:
    """The message of a completion, and what is wrong with its shape, if anything is."""
    if missing := [key for key in _REQUIRED if key not in body]:
        return {}, f"Missing: {', '.join(missing)}."
    choices = objects(body["choices"])
    if not choices:
        return {}, "`choices` is empty."
    message = mapping(choices[0].get("message"))
    if message.get("role") != "assistant":
        return message, f"`message.role` is {shown(message.get('role'))}, not `assistant`."
    reason = str(choices[0].get("finish_reason"))
    if reason not in FINISH_REASONS:
        known = ", ".join(sorted(FINISH_REASONS))
        return message, f"`finish_reason` is {shown(reason)}: none of {known}."
    if message.get("tool_calls") == []:
        return message, "`tool_calls` is []; clients send it back, which OpenAI refuses."
    return message, None


def wrong_usage(value: object) -> str | None:
    """What is wrong with a ``usage`` object; ``None`` for nothing."""
    usage = mapping(value)
    counts = [usage.get(f"{each}_tokens") for each in ("prompt", "completion", "total")]
    if not all(isinstance(count, int) for count in counts):
        return "without usage" if not usage else "its usage lacks numbers"
    prompt, completion, total = (int(count or 0) for count in counts)
    if prompt + completion != total:
        return f"its usage does not add up: {prompt} + {completion} is not {total}"
    return None


def check_tool_results(seen: Seen) -> Finding:
    """Check the reply to the chat that gives back the result of a tool call."""
    todo = "Accept the assistant's tool_calls with a `tool` message for each."
    reply = received("tool results", seen, todo)
    if isinstance(reply, Finding):
        return reply
    message, wrong = read_message(reply.json or {})
    if wrong:
        return problem("tool results", wrong, _SHAPE)
    if message.get("tool_calls"):
        again = "It calls the tool again, with the result before it."
        return warning("tool results", again, "Agents go on until a limit stops them.")
    if not message.get("content"):
        return problem("tool results", "The message is empty.", todo)
    answer = shown(message["content"], 40)
    return ok("tool results", f"Accepted; {answer!r} after {reply.seconds:.1f} s.")


TOOL: Final = "get_weather"
QUESTION: Final = "What is the weather in Paris? Use the tool."
RESULT: Final = '{"city": "Paris", "weather": "sunny", "celsius": 21}'

TOOLS: Final[list[Mapping[str, Any]]] = [
    {
        "type": "function",
        "function": {
            "name": TOOL,
            "description": "The weather in a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
]


def check_tools(stream: StreamReply | Unreachable) -> tuple[Finding, Call | None]:
    """Check a streamed chat that offers a tool and demands a call; returns the call, if usable."""
    todo = "Use a model and a server that take `tools` and `tool_choice`."
    reply = stream.reply if isinstance(stream, StreamReply) else stream
    whole = received("tools", reply, todo)
    if isinstance(whole, Finding):
        return whole, None
    folded = fold(stream.frames if isinstance(stream, StreamReply) else ())
    if folded.error is not None:
        said = f"It fails: {shown(folded.error.get('message'))}."
        return problem("tools", said, todo), None
    calls, wrong = calls_of(folded.deltas)
    if not calls:
        said = f"No call, though tool_choice is `required`: {shown(folded.text(), 60)!r}."
        return problem("tools", said, todo), None
    if finding := _wrong_call(calls[0]):
        return finding, None
    call = calls[0]
    if wrong:
        said = f"A call comes, with {wrong}."
        return warning("tools", said, "Send call after call; id and name first."), call
    if folded.text().strip():
        said = "There is text beside the call; pydantic-ai's run_stream() then drops the call."
        return warning("tools", said, "Put what precedes a call into reasoning_content."), call
    if "tool_calls" not in folded.reasons:
        given = shown(", ".join(folded.reasons)) or "missing"
        return warning("tools", f"finish_reason is {given}.", "Say `tool_calls`."), call
    return ok("tools", f"{TOOL}({shown(call.arguments, 40)}), finish_reason tool_calls."), call


def _wrong_call(call: Call) -> Finding | None:
    if not call.id:
        said = "The call has no id, so that its result cannot be told."
        return problem("tools", said, "Give every call an id, in its first fragment.")
    if call.name != TOOL:
        said = f"It calls {shown(call.name, 60)!r}, which was not offered."
        return problem("tools", said, "Send the name once, in the first fragment.")
    if read_object(call.arguments) is None:
        said = f"The arguments are no JSON object: {shown(call.arguments, 60)!r}."
        return problem("tools", said, "Send the arguments as the text of a JSON object.")
    return None


def with_result(call: Call) -> list[Mapping[str, Any]]:
    """The messages of the chat that gives the model the result of its call."""
    function = {"name": call.name, "arguments": call.arguments}
    calls = [{"id": call.id, "type": "function", "function": function}]
    return [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": call.id, "content": RESULT},
    ]
