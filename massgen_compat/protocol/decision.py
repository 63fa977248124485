"""The team's decision in the trace, and how it is found again when a client sends the trace back.

Where a request offers tools, the trace shows the winning draft: it says what is to be done and why.
Many clients send ``reasoning_content`` back with the assistant message (OpenCode, Qwen Code, Cline,
pydantic-ai and others, recorded), and so the presenter can be reminded of it while it works through
the tool calls, without anything being stored. Pure.
"""

import re
from collections.abc import Sequence
from typing import Final

from massgen_compat.protocol.chat.messages import AssistantMessage, UserMessage, WireMessage

_RUNS: Final = re.compile("={8,}")
_FENCE: Final = re.compile(r"(={8,}+) (decision|end of the decision) \1")


def shown(draft: str) -> str:
    """The lines of the trace that hold the winning draft."""
    longest = max((run.end() - run.start() for run in _RUNS.finditer(draft)), default=7)
    fence = "=" * (longest + 1)
    return f"{fence} decision {fence}\n{draft}\n{fence} end of the decision {fence}\n"


def echoed(messages: Sequence[WireMessage]) -> str | None:
    """The last decision since the user spoke, where the client sends the trace back."""
    for message in reversed(messages):
        if isinstance(message, UserMessage):
            return None
        trace = message.reasoning_content if isinstance(message, AssistantMessage) else None
        if isinstance(trace, str) and (found := _last(trace)):
            return found
    return None


def _last(trace: str) -> str | None:
    """The last decision in a trace. One pass: a trace can be as long as a body.

    It begins at the nearest line that can open it, so that nothing before it can become part of it.
    """
    lines = trace.split("\n")
    opened: dict[str, int] = {}
    found: slice | None = None
    for number, line in enumerate(lines):
        if fence := _FENCE.fullmatch(line):
            if fence[2] == "decision":
                opened[fence[1]] = number + 1
            elif fence[1] in opened:
                found = slice(opened.pop(fence[1]), number)
    return "\n".join(lines[found]) if found else None
