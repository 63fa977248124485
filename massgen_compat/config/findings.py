"""What a key of a config can mean: the levels, a finding, and the checks of a key's value. Pure.

Most keys mean the same whatever their value is: the table in ``keys`` alone decides. A row of that
table can name one of the checks below, for a key whose meaning depends on its value or on the agent
that it belongs to.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from massgen_compat._upstream.backends import BACKENDS
from massgen_compat.config.summary import MASSGEN_TYPES, AgentSummary
from massgen_compat.config.tree import Node

Level: TypeAlias = Literal["honoured", "ignored", "needs_massgen", "error"]

HONOURED: Final = "honoured"
IGNORED: Final = "ignored"
NEEDS_MASSGEN: Final = "needs_massgen"
ERROR: Final = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one key of a file means here.

    ``key`` is the path of the key (``agents[0].backend.mcp_servers``), and ``line`` is its line,
    counted from 1. A key that one row of the table explains has one finding, whatever it holds:
    the keys inside ``reasoning``, for example, have no findings of their own.
    """

    key: str
    line: int
    level: Level
    message: str


Verdict: TypeAlias = tuple[Level, str] | None
"""The level and the message of a value; ``None`` where the row of the table says everything."""

ValueCheck: TypeAlias = Callable[[Node, AgentSummary | None], Verdict]
"""Looks at a value, and at the agent that it belongs to (``None`` outside of an agent)."""


SENSITIVITIES: Final[Mapping[str, str]] = {
    "lenient": "lenient",
    "balanced": "balanced",
    "strict": "strict",
    "roi": "balanced",
    "roi_conservative": "balanced",
    "roi_balanced": "balanced",
    "roi_aggressive": "balanced",
    "sequential": "balanced",
    "consistency": "balanced",
    "diversity": "balanced",
    "reflective": "balanced",
    "adversarial": "strict",
    "checklist": "strict",
    "checklist_scored": "strict",
    "checklist_gated": "strict",
}
"""MassGen's names of ``voting_sensitivity``, and the nearest of the three that exist here."""


def asks(node: Node) -> bool:
    """Whether a key's value asks for something: not false, null, 0, empty or ``enabled: false``."""
    if node.value in (None, False, "off", "none") or not node.value:
        return False
    return "enabled" not in node.fields or asks(node.fields["enabled"])


def check_sensitivity(node: Node, _agent: AgentSummary | None) -> Verdict:
    """MassGen has more sensitivities than the three whose wording exists here."""
    nearest = SENSITIVITIES.get(node.value) if isinstance(node.value, str) else None
    if nearest is None or nearest == node.value:
        return None
    return IGNORED, f"not available: agents judge as with `{nearest}`, the nearest"


def check_backend_type(node: Node, _agent: AgentSummary | None) -> Verdict:
    """Some types are programs or frameworks, not endpoints."""
    if isinstance(node.value, str) and node.value in MASSGEN_TYPES:
        return NEEDS_MASSGEN, "a command line tool or framework that only MassGen drives"
    return None


def check_hosted_tool(node: Node, agent: AgentSummary | None) -> Verdict:
    """This library knows the wire of hosted tools for OpenAI's Responses API only."""
    if not asks(node):
        return IGNORED, "switched off"
    row = BACKENDS.get(agent.backend) if agent else None
    if agent is None or row is None or not row.hosted_tools:
        return IGNORED, "hosted tools work with `type: openai` only; the agent does without"
    if agent.api == "chat":
        return IGNORED, "OpenAI hosts this tool on the Responses API only"
    return None


def check_scripted_only(_node: Node, agent: AgentSummary | None) -> Verdict:
    """Only the scripted model has a script."""
    if agent and agent.backend == "scripted":
        return None
    return IGNORED, "only `type: scripted` has a script"


def check_coordination_mode(node: Node, _agent: AgentSummary | None) -> Verdict:
    """The local engine coordinates agents by votes only."""
    if node.value == "decomposition":
        return NEEDS_MASSGEN, "agents work on parts of the task instead of voting"
    return None


def check_answer_cap(node: Node, _agent: AgentSummary | None) -> Verdict:
    """``null`` means no cap in MassGen, where it is the default.

    This library always has a cap: without one, two agents that always answer never end. In a
    measurement of MassGen, two such agents made 815 model calls in 90 s.
    """
    if node.value is None:
        return IGNORED, "unlimited in MassGen; the default here is 3"
    return None


def check_memory(node: Node, _agent: AgentSummary | None) -> Verdict:
    """The request holds the conversation; only a memory that outlives it needs MassGen."""
    if asks(node) and "persistent_memory" in node.fields and asks(node.fields["persistent_memory"]):
        return NEEDS_MASSGEN, "agents remember earlier runs in a database"
    return None
