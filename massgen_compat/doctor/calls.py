"""Tool calls: offered a tool that must be called, does the model's call reach the client? Pure."""

from collections.abc import Mapping
from typing import Any, Final

from massgen_compat.doctor.completions import received
from massgen_compat.doctor.findings import Finding, ok, problem, shown, warning
from massgen_compat.doctor.folding import Call, calls_of, fold
from massgen_compat.doctor.observed import StreamReply, Unreachable, read_object

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


def judge_tools(stream: StreamReply | Unreachable) -> tuple[Finding, Call | None]:
    """A streamed chat that offers a tool and demands a call, and the call for the follow-up."""
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
    """The conversation that gives the call its result."""
    function = {"name": call.name, "arguments": call.arguments}
    calls = [{"id": call.id, "type": "function", "function": function}]
    return [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": call.id, "content": RESULT},
    ]
