"""Reads what a scripted model needs to know of a turn: round, attempt, question, answers. Pure.

Everything is read from the conversation itself, so that a scripted model keeps no state. The
*briefing* is the part of a user message that tells an agent what to do. Its heading has the round
(``Phase.heading``), and the replies that follow it are the attempts so far. The module also
understands the texts that MassGen itself sends to its agents.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from massgen_compat._run.message import Message, Text, Tool
from massgen_compat._run.turn import Phase

_HEADING = re.compile(r"^## Round (\d{1,6}): (draft|evaluate|present)\r?$", re.MULTILINE)
_BRIEFING = re.compile(rf"{_HEADING.pattern}|^The current answers:$", re.MULTILINE)
_MASSGEN = re.compile(
    r"<CURRENT ANSWERS from the agents>\s*(?P<none>\(no answers available yet\))?"
    r"|(?P<present>^All answers provided during coordination:)",
    re.MULTILINE,
)
_MASSGEN_QUOTED = re.compile(
    r"^<(agent\d+)\.\d+> (.*?) <end of \1\.\d+>$", re.MULTILINE | re.DOTALL
)
_MASSGEN_TASK = re.compile(r"<ORIGINAL MESSAGE>\s*(.*?)\s*<END OF ORIGINAL MESSAGE>", re.DOTALL)
_QUOTED = re.compile(r"^(={8,}) (\S+) \1\n(.*?)\n\1 end of \2 \1$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnContext:
    """A turn as a script needs it.

    ``round`` is ``None`` in a conversation without a briefing. ``attempt`` counts from 1.
    ``answers`` are the quoted answers as (label, text), in the order of the briefing: the last is
    the reader's own, or in a presentation the winner's. ``prompt_tokens`` is an estimate: a token
    for four characters.
    """

    phase: Phase
    round: int | None
    attempt: int
    question: str
    answers: tuple[tuple[str, str], ...]
    tools: tuple[Tool, ...]
    prompt_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Briefing:
    message: int
    part: int
    phase: Phase
    round: int


def read_turn_context(
    messages: Sequence[Message],
    tools: Sequence[Tool] = (),
    *,
    phase: Phase | None = None,
    number: int | None = None,
) -> TurnContext:
    """Read the context of a turn; ``phase`` and round ``number``, if given, win over the text.

    Without a briefing the tools decide the phase: a ``vote`` tool means an evaluation,
    ``new_answer`` alone a draft, and neither of them a presentation.
    """
    briefing = _find_briefing(messages)
    if briefing is None:
        phase = phase or _massgen_phase(messages) or _phase_of(tools)
    else:
        phase = phase or briefing.phase
        number = briefing.round if number is None else number
    return TurnContext(
        phase=phase,
        round=number,
        attempt=_attempt(messages, briefing, phase),
        question=_question(messages, briefing),
        answers=_massgen_answers(messages)
        if briefing is None
        else _answers(messages[briefing.message]),
        tools=tuple(tools),
        prompt_tokens=(sum(map(_size, messages)) + 3) // 4,
    )


def workflow_tool(tools: Sequence[Tool], name: str) -> Tool | None:
    """The workflow tool of that name, or ``None``. It may have a prefix: ``massgen_vote``.

    It has one only where a client's tool has the plain name. The longest name is therefore the
    workflow tool's.
    """
    found = [tool for tool in tools if tool.name == name or tool.name.endswith(f"_{name}")]
    return max(found, key=lambda tool: len(tool.name), default=None)


def _massgen_phase(messages: Sequence[Message]) -> Phase | None:
    """The phase that MassGen's own words to an agent mean, in the last message that has them."""
    for message in reversed(messages):
        found = _MASSGEN.search(message.text) if message.role == "user" else None
        if found is not None:
            if found["present"]:
                return Phase.PRESENT
            return Phase.DRAFT if found["none"] else Phase.EVALUATE
    return None


def _massgen_task(messages: Sequence[Message]) -> str | None:
    found = (_MASSGEN_TASK.search(each.text) for each in messages if each.role == "user")
    return next((match[1] for match in found if match), None)


def _massgen_answers(messages: Sequence[Message]) -> tuple[tuple[str, str], ...]:
    quoted = (
        m.groups()
        for each in messages
        if each.role == "user"
        for m in _MASSGEN_QUOTED.finditer(each.text)
    )
    return tuple((label, text) for label, text in quoted)


def _phase_of(tools: Sequence[Tool]) -> Phase:
    if workflow_tool(tools, "vote"):
        return Phase.EVALUATE
    return Phase.DRAFT if workflow_tool(tools, "new_answer") else Phase.PRESENT


def _find_briefing(messages: Sequence[Message]) -> _Briefing | None:
    """The last heading in the user's messages. A heading that an agent wrote does not count."""
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if message.role != "user":
            continue
        for place in range(len(message.content) - 1, -1, -1):
            part = message.content[place]
            headings = _HEADING.findall(part.text) if isinstance(part, Text) else []
            if headings:
                number, phase = headings[-1]
                return _Briefing(message=index, part=place, phase=Phase(phase), round=int(number))
    return None


def _attempt(messages: Sequence[Message], briefing: _Briefing | None, phase: Phase) -> int:
    """1 + the number of replies since the briefing, or since the user's last message.

    A presenter's steps with client tools are attempts, too: their results precede the briefing.
    """
    start = _last_user(messages, len(messages)) if briefing is None else briefing.message
    replies = _replies(messages[start + 1 :])
    follows_tool = briefing is not None and start > 0 and messages[start - 1].role == "tool"
    if phase is Phase.PRESENT and follows_tool:
        replies += _replies(messages[_last_user(messages, start) + 1 : start])
    return 1 + replies


def _replies(messages: Sequence[Message]) -> int:
    return sum(message.role == "assistant" for message in messages)


def _last_user(messages: Sequence[Message], end: int) -> int:
    users = (index for index in range(end - 1, -1, -1) if messages[index].role == "user")
    return next(users, -1)


def _question(messages: Sequence[Message], briefing: _Briefing | None) -> str:
    """The last text of the user before the briefing."""
    end = len(messages)
    if briefing is None and (task := _massgen_task(messages)):
        return task
    if briefing is not None:
        before = messages[briefing.message].content[: briefing.part]
        if text := "".join(part.text for part in before if isinstance(part, Text)).strip():
            return text
        beside = messages[briefing.message].content[briefing.part]
        if isinstance(beside, Text) and (text := _BRIEFING.split(beside.text, 1)[0].strip()):
            return text
        end = briefing.message
    asked = _last_user(messages, end)
    return messages[asked].text.strip() if asked >= 0 else ""


def _answers(briefing: Message) -> tuple[tuple[str, str], ...]:
    return tuple((label, text) for _, label, text in _QUOTED.findall(briefing.text))


def _size(message: Message) -> int:
    calls = sum(len(call.name) + len(call.arguments) for call in message.tool_calls)
    return calls + sum(len(part.text) for part in message.content if isinstance(part, Text))
