"""Reads what a config says about itself, before anything in it is trusted. Pure.

``read_config`` parses the text once and collects the agents once. From these come the summary of
the file, the engine that it chooses, and, in one walk over all keys, one finding for each key.
``team`` then reads the same tree strictly, for a file whose findings allow that.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from massgen_compat._run.team import EngineName
from massgen_compat.config.findings import (
    ERROR,
    HONOURED,
    IGNORED,
    NEEDS_MASSGEN,
    Finding,
    Level,
    asks,
)
from massgen_compat.config.keys import OWN_SECTIONS, SECTIONS, Row
from massgen_compat.config.summary import (
    AgentNode,
    AgentSummary,
    ConfigSummary,
    agent_nodes,
    printable,
    read_summary,
)
from massgen_compat.config.tree import Node, read_tree
from massgen_compat.errors import did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A file that is a YAML mapping: its tree, and what is known about it without trusting it.

    ``where`` is the file's name in messages. ``agents`` are the agents of the tree, in the file's
    order, and ``summary`` has one entry for each of them. ``findings`` are in the order of the
    file's keys; they say what a key means where ``engine`` executes the runs.
    """

    where: str
    tree: Node
    agents: tuple[AgentNode, ...]
    summary: ConfigSummary
    findings: tuple[Finding, ...]
    engine: EngineName


def read_config(text: str, where: str, *, engine: EngineName | None = None) -> Reading:
    """Read YAML text; ``engine`` overrides the engine that the file chooses.

    Raises ``ConfigError`` for text that is no YAML mapping, and for nothing else: every other
    mistake is a finding.
    """
    tree = read_tree(text, where)
    agents = agent_nodes(tree)
    summary = read_summary(tree, agents, where)
    chosen = engine or _chosen_engine(tree)
    paths = (path for path, _ in agents)
    walk = _Walk(dict(zip(paths, summary.agents, strict=True)), chosen)
    return Reading(
        where=where,
        tree=tree,
        agents=agents,
        summary=summary,
        findings=tuple(walk.keys_of("", "", tree, None)),
        engine=chosen,
    )


def _chosen_engine(tree: Node) -> EngineName:
    own = tree.fields.get("massgen_compat")
    node = own.fields.get("engine") if own else None
    return "massgen" if node is not None and node.value == "massgen" else "local"


@dataclass(frozen=True, slots=True)
class _Walk:
    """A walk over a tree that yields one finding for every key.

    ``agents`` are the summaries by path (``agents[0]``). In the methods, ``section`` names the rows
    of the table of keys (``agents[].backend``), ``path`` is the place in the file
    (``agents[0].backend``), and ``agent`` is the agent that the place belongs to, if it does.
    """

    agents: Mapping[str, AgentSummary]
    engine: EngineName

    def keys_of(
        self, section: str, path: str, node: Node, agent: AgentSummary | None
    ) -> Iterator[Finding]:
        """The findings of the mapping ``node``, in the order of its keys."""
        for name, child in node.fields.items():
            here = _join(path, printable(name))
            inner = _join(section, name)
            if inner == "agents":
                yield from self._list_of_agents(here, child)
            elif inner == "agent":
                yield from self._mapping("agents[]", here, child, self.agents.get(here))
            elif f"{inner}[]" in SECTIONS and child.items:
                for index, item in enumerate(child.items):
                    yield from self._mapping(f"{inner}[]", f"{here}[{index}]", item, agent)
            # A key such as `orchestrator.coordination` is one odd name, and not two steps.
            elif inner in SECTIONS and name.isidentifier():
                yield from self._mapping(inner, here, child, agent)
            else:
                meaning = _meaning(section, name, child, agent)
                yield self._finding(section, name, here, child, meaning)

    def _list_of_agents(self, path: str, node: Node) -> Iterator[Finding]:
        if not node.items:
            yield Finding(key=path, line=node.line, level=ERROR, message="must be a list of agents")
        for index, item in enumerate(node.items):
            here = f"{path}[{index}]"
            yield from self._mapping("agents[]", here, item, self.agents.get(here))

    def _mapping(
        self, section: str, path: str, node: Node, agent: AgentSummary | None
    ) -> Iterator[Finding]:
        if node.fields:
            yield from self.keys_of(section, path, node, agent)
        elif node.value is None or isinstance(node.value, Mapping):
            yield self._finding(section, "", path, node, (IGNORED, "empty"))
        else:
            yield self._finding(section, "", path, node, (ERROR, "must be a mapping"))

    def _finding(
        self, section: str, name: str, path: str, node: Node, meaning: tuple[Level, str]
    ) -> Finding:
        """``name`` is empty where the finding is about the section as a whole."""
        if self.engine == "massgen":
            meaning = _on_massgen(section, name, node, meaning)
        level, message = meaning
        return Finding(key=path, line=node.line, level=level, message=message)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


# What a key means to the local engine


def _meaning(section: str, name: str, node: Node, agent: AgentSummary | None) -> tuple[Level, str]:
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


# What a key means where the real MassGen executes the runs: its keys do what they do there

_OWN_HELD: Final = frozenset(
    [
        "model",
        "engine",
        "trace",
        "policy",
        "prices",
        "background_agent",
        "background_rules",
        "limits",
        "timeouts",
        "unverified",
        "tool_rounds",
        "escalation",
    ]
)
"""Keys of ``massgen_compat`` that hold with both engines, or whose values are looked at."""

_TERMINAL: Final = frozenset(["ui", "display", "logging", "task"])
"""Top-level keys about MassGen's terminal. They stay ignored: a server has no terminal."""

_BROKEN: Final[Mapping[str, str]] = {
    "websocket_mode": "calls past the client that makes them here; remove it",
    "script": "MassGen has no scripted backend",
    "interactive_mode": "a server has nobody to ask",
}
"""Keys that cannot work with MassGen behind a server, and why."""

_NO_RESTARTS: Final = "switched off: MassGen 0.1.97 fails when the final answer is to be judged"


def _on_massgen(
    section: str, name: str, node: Node, meaning: tuple[Level, str]
) -> tuple[Level, str]:
    if meaning[0] == ERROR:
        return meaning
    if section in OWN_SECTIONS:
        return _own_on_massgen(_own_key(section, name), node, meaning)
    # Somebody may write a path as one key (`massgen_compat.trace: full`), which MassGen does not.
    first = name.partition(".")[0]
    if first == "massgen_compat" or (not section and first in _TERMINAL):
        return meaning
    if name in _BROKEN and asks(node):
        return ERROR, f"with `engine: massgen`: {_BROKEN[name]}"
    if name == "max_orchestration_restarts":
        return IGNORED, _NO_RESTARTS
    return HONOURED, "as in MassGen, which runs this team"


def _own_key(section: str, name: str) -> str:
    """The key of a ``massgen_compat`` block that this key is, or is inside of; empty for the block.

    In ``massgen_compat.limits`` the key of ``max_calls`` is ``limits``.
    """
    inside = f"{section}.{name}".partition("massgen_compat.")[2]
    return inside.partition(".")[0].removesuffix("[]")


def _own_on_massgen(key: str, node: Node, meaning: tuple[Level, str]) -> tuple[Level, str]:
    if key == "tool_rounds" and node.value not in (None, "team"):
        why = "the whole team decides every step with client tools: `tool_rounds: team`"
        return ERROR, f"with `engine: massgen` {why}"
    if key in _OWN_HELD or not key or node.value is None:
        return meaning
    return ERROR, "is for `engine: local` only; remove it"
