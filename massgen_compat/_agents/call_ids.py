"""The ids of calls of the client's tools, which tell who goes on when the results come. Pure.

The team decides which calls to make, and the presenter makes them. The id of each call contains the
presenter's index in the team. So the next request can go on with the same presenter in any worker
process, and nothing has to be stored. The id needs no secret: a forged one can only choose another
agent of the same team (``docs/tools.md``).
"""

import re
from collections.abc import Sequence
from typing import Final

from massgen_compat._run.message import Message
from massgen_compat._run.team import Team

_ID: Final = re.compile(r"call_mg([0-9]{1,3})_[0-9a-f]{24}")
"""At most 40 characters: OpenAI refuses longer ids."""


def call_id(place: int, suffix: str) -> str:
    """Make the id of a call by the agent at the index ``place``; ``suffix``: 24 hex digits."""
    return f"call_mg{place}_{suffix}"


def presenter_of(team: Team, messages: Sequence[Message]) -> int | None:
    """Return the index of the agent that goes on alone with the results of its calls.

    ``None`` means that the whole team has to decide: the conversation does not end with tool
    results, or the ids of the calls are not of one agent of this team, or ``tool_rounds`` of the
    team's settings asks the team again after so many steps.
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
    """Count the messages with tool calls since the last message of the user."""
    steps = 0
    for message in reversed(messages):
        if message.role == "user":
            break
        steps += bool(message.tool_calls)
    return steps
