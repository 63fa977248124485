"""The team's decision in the trace, and how it is found again when a client sends the trace back.

Where a request offers tools, the trace shows the winning draft: it says what is to be done and why.
Many clients send ``reasoning_content`` back with the assistant message (OpenCode, Qwen Code, Cline,
pydantic-ai and others, recorded), and so the presenter can be reminded of it while it works through
the tool calls, without anything being stored. Pure.
"""

import re
from collections.abc import Sequence
from typing import Final

from massgen_compat.protocol.messages import AssistantMessage, UserMessage, WireMessage

_FOUND: Final = re.compile(
    r"^(={8,}) decision \1\n(.*?)\n\1 end of the decision \1$", re.MULTILINE | re.DOTALL
)


def shown(draft: str) -> str:
    """The lines of the trace that hold the winning draft."""
    longest = max(map(len, re.findall(r"=+", draft)), default=0)
    fence = "=" * max(8, longest + 1)
    return f"{fence} decision {fence}\n{draft}\n{fence} end of the decision {fence}\n"


def echoed(messages: Sequence[WireMessage]) -> str | None:
    """The last decision since the user spoke, where the client sends the trace back."""
    for message in reversed(messages):
        if isinstance(message, UserMessage):
            return None
        trace = message.reasoning_content if isinstance(message, AssistantMessage) else None
        if isinstance(trace, str) and (found := _FOUND.findall(trace)):
            return found[-1][1]
    return None
