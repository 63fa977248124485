"""Findings: what a check saw, how bad that is, and what to do. And the list of all checks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Level: TypeAlias = Literal["ok", "note", "warning", "problem"]
"""``problem``: a common client fails or spends money twice; ``warning``: some client stumbles, or
an error will be hard to understand; ``note``: good to know, whatever the client."""

CHECKS: Final[Mapping[str, str]] = {
    "url": "the form of the base URL",
    "reachable": "something answers there, and it is an API",
    "key": "the key is accepted",
    "without key": "nobody gets in without a key",
    "wrong key": "a wrong key is told apart",
    "models": "GET /models lists models",
    "model": "the model is listed, and GET /models/{id} knows it",
    "model names": "no name that clients treat specially",
    "small tasks": "a single agent is there for titles and other small tasks",
    "unknown model": "a name that does not exist is a 404",
    "malformed request": "broken JSON is a 400",
    "unknown path": "a path that does not exist is a 404",
    "headers": "what a reply's headers tell",
    "browsers": "whether web pages may call it (CORS)",
    "chat": "a whole reply has all that clients read",
    "stream": "a stream is one",
    "first byte": "the stream begins before clients give up",
    "arrival": "chunks arrive when they are made",
    "silence": "no pause is so long that clients give up",
    "role": "the first chunk says who speaks",
    "frames": "nothing but chunks is in the stream",
    "end": "the stream ends as it must",
    "usage": "usage is told if, and only if, it was asked for",
    "compression": "the stream is not compressed",
    "tools": "a tool that must be called is called",
    "tool results": "the conversation goes on with the tool's result",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """``seen`` and ``todo`` are one plain line each; ``todo`` is empty where all is well."""

    check: str
    level: Level
    seen: str
    todo: str = ""


def ok(check: str, seen: str) -> Finding:
    """All is well."""
    return Finding(check=check, level="ok", seen=seen)


def note(check: str, seen: str, todo: str = "") -> Finding:
    """Good to know."""
    return Finding(check=check, level="note", seen=seen, todo=todo)


def warning(check: str, seen: str, todo: str) -> Finding:
    """Some client stumbles."""
    return Finding(check=check, level="warning", seen=seen, todo=todo)


def problem(check: str, seen: str, todo: str) -> Finding:
    """A common client fails, or spends money twice."""
    return Finding(check=check, level="problem", seen=seen, todo=todo)


def shown(text: object, limit: int = 160) -> str:
    """Foreign text on one line, bounded, without control characters."""
    line = " ".join(str(text)[: 4 * limit].split())
    line = "".join(character if character.isprintable() else "�" for character in line)
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
