"""What each key of a file means here: one finding a key, from the table in ``keys``. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from massgen_compat.config.keys import OWN_SECTIONS, SECTIONS, Row
from massgen_compat.config.summary import AgentSummary, ConfigSummary, agent_nodes, printable
from massgen_compat.config.tree import Node
from massgen_compat.config.values import ERROR, IGNORED, NEEDS_MASSGEN, Level, asks
from massgen_compat.errors import did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one key of a file means here.

    ``key`` is its path (``agents[0].backend.mcp_servers``), ``line`` counts from 1. Keys that one
    row of the table explains are not opened: ``reasoning`` is one finding, whatever it holds.
    """

    key: str
    line: int
    level: Level
    message: str


def find(tree: Node, summary: ConfigSummary) -> tuple[Finding, ...]:
    """The findings of a whole file, in its order of keys."""
    return tuple(_in_section("", "", tree, None, dict(_pair(tree, summary))))


def _pair(tree: Node, summary: ConfigSummary) -> Iterable[tuple[str, AgentSummary]]:
    paths = (path for path, _ in agent_nodes(tree))
    return zip(paths, summary.agents, strict=True)


def _in_section(
    section: str,
    path: str,
    node: Node,
    agent: AgentSummary | None,
    agents: Mapping[str, AgentSummary],
) -> Iterator[Finding]:
    """``section`` names the rows, ``path`` the place; ``agents`` are those still to come."""
    for name, child in node.fields.items():
        here = _join(path, printable(name))
        inner = _join(section, name)
        if inner == "agents":
            yield from _in_agents(here, child, agents)
        elif inner == "agent":
            yield from _in_mapping("agents[]", here, child, agents.get(here), agents)
        elif f"{inner}[]" in SECTIONS and child.items:
            for index, item in enumerate(child.items):
                yield from _in_mapping(f"{inner}[]", f"{here}[{index}]", item, agent, agents)
        elif inner in SECTIONS and name.isidentifier():
            yield from _in_mapping(inner, here, child, agent, agents)
        else:
            level, message = _judged(section, name, child, agent)
            yield Finding(key=here, line=child.line, level=level, message=message)


def _in_agents(path: str, node: Node, agents: Mapping[str, AgentSummary]) -> Iterator[Finding]:
    if not node.items:
        yield Finding(key=path, line=node.line, level=ERROR, message="must be a list of agents")
    for index, item in enumerate(node.items):
        here = f"{path}[{index}]"
        yield from _in_mapping("agents[]", here, item, agents.get(here), agents)


def _in_mapping(
    section: str,
    path: str,
    node: Node,
    agent: AgentSummary | None,
    agents: Mapping[str, AgentSummary],
) -> Iterator[Finding]:
    if node.fields:
        yield from _in_section(section, path, node, agent, agents)
    elif node.value is None or isinstance(node.value, Mapping):
        yield Finding(key=path, line=node.line, level=IGNORED, message="empty")
    else:
        yield Finding(key=path, line=node.line, level=ERROR, message="must be a mapping")


def _judged(section: str, name: str, node: Node, agent: AgentSummary | None) -> tuple[Level, str]:
    row = _row(section, name)
    if row is None:
        return _unknown(section, name)
    level, note = (row.check_value(node, agent) if row.check_value else None) or (
        row.level,
        row.note,
    )
    if level == NEEDS_MASSGEN and not asks(node):
        return IGNORED, "switched off"
    return level, note


def _row(section: str, name: str) -> Row | None:
    rows = SECTIONS[section]
    if name in rows:
        return rows[name]
    return next(
        (
            row
            for pattern, row in rows.items()
            if pattern.endswith("*") and name.startswith(pattern.removesuffix("*"))
        ),
        None,
    )


def _unknown(section: str, name: str) -> tuple[Level, str]:
    known = _known(section)
    hint = did_you_mean(name, known)
    if section in OWN_SECTIONS:
        return ERROR, f"unknown key{hint or '; known are ' + ', '.join(known)}"
    return IGNORED, f"unknown here{hint}"


def _known(section: str) -> list[str]:
    prefix = f"{section}." if section else ""
    below = {
        each.removeprefix(prefix).partition(".")[0].removesuffix("[]")
        for each in SECTIONS
        if each.startswith(prefix)
    }
    return sorted(each for each in below | SECTIONS[section].keys() if each.isidentifier())


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
