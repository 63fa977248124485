"""The report: findings as lines for a terminal, and the sum of them. Pure."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from massgen_compat.cli.doctor.checkup import CHATS, Target
from massgen_compat.cli.doctor.findings import CHECKS, Finding, Level

_LEVELS: Final[tuple[Level, ...]] = ("problem", "warning", "note", "ok")
_WIDTH: Final = max(map(len, CHECKS))


def greeting(target: Target) -> str:
    """What is about to be examined, and what that costs."""
    if not target.chat:
        return f"Examining {target.address.base} without chat requests.\n"
    return (
        f"Examining {target.address.base} with up to {CHATS} chat requests. They cost what the "
        "model costs: a team's all that its agents cost.\n(--no-chat leaves them out; --model "
        "NAME-single asks one agent of a team.)\n"
    )


def line(finding: Finding, *, secret: str | None) -> str:
    """A finding on one line, and what to do on a second. ``secret`` is masked wherever it is."""
    text = f"{finding.level:<7}  {finding.check:<{_WIDTH}}  {finding.seen}\n"
    if finding.todo:
        text += f"{'':{9 + _WIDTH}}  -> {finding.todo}\n"
    return text.replace(secret, "***") if secret else text


def summary(findings: Iterable[Finding]) -> str:
    """How many findings there are of each level that matters."""
    counted = Counter(finding.level for finding in findings)
    told = [
        f"{counted[level]} {level}{'' if counted[level] == 1 else 's'}" for level in _LEVELS[:3]
    ]
    return f"{', '.join(told)}, {counted['ok']} ok.\n"
