"""What a model call of MassGen is for, read from its request body. Pure.

MassGen's phases show in the tools that it offers (``new_answer`` and ``vote``, ``vote`` alone,
``new_answer`` alone) and in the answers that it quotes.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from massgen_compat._run.message import Json
from massgen_compat._run.team import Api
from massgen_compat._run.turn import Phase
from massgen_compat._upstream.tolerant import mapping, sequence, string

DECISIONS: Final = ("new_answer", "vote")
_ANSWER: Final = re.compile(r"^<(agent\d+)\.\d+>", re.MULTILINE)
_ANSWERS: Final = "<CURRENT ANSWERS from the agents>"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPurpose:
    """A model call: its phase, the labels of the answers it shows, the workflow tools it offers.

    ``coordinates`` is false for calls that MassGen makes for itself (summaries, personas).
    """

    phase: Phase
    shown: tuple[str, ...]
    offered: frozenset[str]
    coordinates: bool


def read_purpose(api: Api, body: Json, *, presents: bool, answered: Collection[str]) -> CallPurpose:
    """Read a request body. ``answered`` are the labels of agents that have an answer: what an
    answer itself quotes cannot pose as another one."""
    offered = frozenset(tool_name(tool) for tool in sequence(body.get("tools"))) & set(DECISIONS)
    shown = tuple(label for label in _labels(api, body) if label in answered)
    if presents:
        phase = Phase.PRESENT
    else:
        phase = Phase.EVALUATE if shown or offered == frozenset({"vote"}) else Phase.DRAFT
    return CallPurpose(
        phase=phase, shown=shown, offered=offered, coordinates=bool(offered) and not presents
    )


def tool_name(tool: object) -> str:
    """The name of a function tool, in the shape of either wire."""
    fields = mapping(tool)
    return string(mapping(fields.get("function")).get("name")) or string(fields.get("name"))


def messages_key(api: Api) -> str:
    """Where the conversation stands in a body."""
    return "messages" if api == "chat" else "input"


def said_to(api: Api, body: Mapping[str, Any], text: str) -> dict[str, Any]:
    """The body with another message of the user at its end."""
    key = messages_key(api)
    return {**body, key: [*cast("list[Any]", body[key]), {"role": "user", "content": text}]}


def _labels(api: Api, body: Json) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for raw in sequence(body.get(messages_key(api))):
        message = mapping(raw)
        text = _text(message.get("content"))
        if message.get("role") == "user" and _ANSWERS in text:
            found = dict.fromkeys(_ANSWER.findall(text[text.index(_ANSWERS) :]))
    return tuple(found)


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(string(mapping(part).get("text")) for part in sequence(content))
