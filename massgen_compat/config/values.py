"""The levels of a finding, and what depends on a key's value rather than on its name. Pure."""

from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

from massgen_compat._upstream.backends import BACKENDS
from massgen_compat.config.summary import MASSGEN_TYPES, AgentSummary
from massgen_compat.config.tree import Node

Level: TypeAlias = Literal["honoured", "ignored", "needs_massgen", "error"]

HONOURED: Final = "honoured"
IGNORED: Final = "ignored"
NEEDS_MASSGEN: Final = "needs_massgen"
ERROR: Final = "error"

Verdict: TypeAlias = tuple[Level, str] | None
"""What a value means, and why; ``None``: the row says it all."""

ValueCheck: TypeAlias = Callable[[Node, AgentSummary | None], Verdict]
"""Looks at a value, and at the agent that it belongs to."""


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
    return IGNORED, f"not available: agents check_value as with `{nearest}`, the nearest"


def check_backend_type(node: Node, _agent: AgentSummary | None) -> Verdict:
    """Some types are programs or frameworks, not endpoints."""
    if isinstance(node.value, str) and node.value in MASSGEN_TYPES:
        return NEEDS_MASSGEN, "a command line tool or framework that only MassGen drives"
    return None


def check_hosted_tool(node: Node, agent: AgentSummary | None) -> Verdict:
    """Only OpenAI's Responses API has hosted tools with a wire that is known here."""
    if not asks(node):
        return IGNORED, "switched off"
    row = BACKENDS.get(agent.backend) if agent else None
    if agent is None or row is None or not row.hosted_tools:
        return IGNORED, "hosted tools work with `type: openai` only; the agent does without"
    if agent.api == "chat":
        return IGNORED, "OpenAI hosts this tool on the Responses API only"
    return None


def check_scripted_only(_node: Node, agent: AgentSummary | None) -> Verdict:
    """A script belongs to the scripted model."""
    if agent and agent.backend == "scripted":
        return None
    return IGNORED, "only `type: scripted` has a script"


def check_coordination_mode(node: Node, _agent: AgentSummary | None) -> Verdict:
    """Only voting is coordinated here."""
    if node.value == "decomposition":
        return NEEDS_MASSGEN, "agents work on parts of the task instead of voting"
    return None


def check_answer_cap(node: Node, _agent: AgentSummary | None) -> Verdict:
    """MassGen has no cap by default (design §3.8: two agents made 815 calls in 90 s)."""
    if node.value is None:
        return IGNORED, "unlimited in MassGen; the default here is 3"
    return None


def check_memory(node: Node, _agent: AgentSummary | None) -> Verdict:
    """A conversation is in the request; what outlives it is not."""
    if asks(node) and "persistent_memory" in node.fields and asks(node.fields["persistent_memory"]):
        return NEEDS_MASSGEN, "agents remember earlier runs in a database"
    return None
