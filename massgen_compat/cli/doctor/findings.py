"""The findings of the doctor, the list of its checks, and the lines that show a finding. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Level: TypeAlias = Literal["ok", "note", "warning", "problem"]
"""``problem``: a common client fails or spends money twice; ``warning``: some client fails, or an
error will be hard to understand; ``note``: good to know, whatever the client."""

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
    """What one check saw, and what to do about it.

    ``check`` is a key of ``CHECKS``. ``seen`` and ``todo`` are one plain line each; ``todo`` is
    empty where nothing is to be done.
    """

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
    """Some client fails, or an error will be hard to understand."""
    return Finding(check=check, level="warning", seen=seen, todo=todo)


def problem(check: str, seen: str, todo: str) -> Finding:
    """A common client fails, or spends money twice."""
    return Finding(check=check, level="problem", seen=seen, todo=todo)


def shown(text: object, limit: int = 160) -> str:
    """The server's text on one line of at most ``limit`` characters, without control characters."""
    line = " ".join(str(text)[: 4 * limit].split())
    line = "".join(character if character.isprintable() else "�" for character in line)
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


_LEVELS: Final[tuple[Level, ...]] = ("problem", "warning", "note", "ok")
_WIDTH: Final = max(map(len, CHECKS))


def line(finding: Finding, *, secret: str | None) -> str:
    """A finding on one line, and what to do on a second one; ``secret`` is masked in both."""
    text = f"{finding.level:<7}  {finding.check:<{_WIDTH}}  {finding.seen}\n"
    if finding.todo:
        text += f"{'':{9 + _WIDTH}}  -> {finding.todo}\n"
    return text.replace(secret, "***") if secret else text


def summary(findings: Iterable[Finding]) -> str:
    """The last line of the report: how many findings there are of each level."""
    counted = Counter(finding.level for finding in findings)
    told = [
        f"{counted[level]} {level}{'' if counted[level] == 1 else 's'}" for level in _LEVELS[:3]
    ]
    return f"{', '.join(told)}, {counted['ok']} ok.\n"
