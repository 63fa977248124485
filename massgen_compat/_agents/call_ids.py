"""Client tools in a run: the ids of their calls, and who goes on when their results come. Pure.

The team decides which calls to make, and the presenter makes them. Its place in the team stands in
the id of each call, in the clear, so that any worker process can go on with the same presenter and
nothing has to be kept. No secret is needed: a made-up id can only pick another presenter of the
same team.
"""

import re
from collections.abc import Sequence
from typing import Final

from massgen_compat._run.message import Message
from massgen_compat._run.team import Team

_ID: Final = re.compile(r"call_mg([0-9]{1,3})_[0-9a-f]{24}")
"""At most 40 characters: OpenAI refuses longer ids."""


def call_id(place: int, suffix: str) -> str:
    """The id of a call by the agent at that place of its team; ``suffix`` is 24 hex digits."""
    return f"call_mg{place}_{suffix}"


def presenter_of(team: Team, messages: Sequence[Message]) -> int | None:
    """The place of the agent whose calls the conversation ends with the results of.

    ``None`` where the team has to decide: the conversation does not end with tool results, the
    calls are not this team's (a foreign or outdated id costs the shortcut, nothing else), or so
    many steps have passed that the team's ``tool_rounds`` asks it again.
    """
    last = len(messages) - 1
    while last >= 0 and messages[last].role == "tool":
        last -= 1
    if last < 0 or last == len(messages) - 1 or not messages[last].tool_calls:
        return None
    places = {_place(call.id) for call in messages[last].tool_calls}
    place = places.pop() if len(places) == 1 else None
    if place is None or place >= len(team.agents):
        return None
    every = team.settings.tool_rounds
    return None if every and _steps(messages) % every == 0 else place


def _place(name: str) -> int | None:
    found = _ID.fullmatch(name)
    return int(found[1]) if found else None


def _steps(messages: Sequence[Message]) -> int:
    """The tool calling messages since the user last spoke."""
    steps = 0
    for message in reversed(messages):
        if message.role == "user":
            break
        steps += bool(message.tool_calls)
    return steps
