"""What a file means where the real MassGen executes its runs. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from massgen_compat._run.team import EngineName
from massgen_compat.config.findings import Finding
from massgen_compat.config.tree import Node
from massgen_compat.config.values import ERROR, HONOURED, IGNORED, asks

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
"""Top-level keys that are about MassGen's terminal: they stay ignored."""

_BROKEN: Final[Mapping[str, str]] = {
    "websocket_mode": "calls past the client that makes them here; remove it",
    "script": "MassGen has no scripted backend",
    "interactive_mode": "a server has nobody to ask",
}

_NO_RESTARTS: Final = "switched off: MassGen 0.1.97 fails when the final answer is to be judged"

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def chosen_engine(tree: Node) -> EngineName:
    """The engine that a file asks for."""
    own = tree.fields.get("massgen_compat")
    node = own.fields.get("engine") if own else None
    return "massgen" if node is not None and node.value == "massgen" else "local"


def on_massgen(findings: Sequence[Finding], tree: Node) -> tuple[Finding, ...]:
    """The findings of a file whose runs MassGen executes: its own keys do what they do there."""
    return tuple(_on_massgen(finding, tree) for finding in findings)


def _on_massgen(finding: Finding, tree: Node) -> Finding:
    steps = re.findall(r"[^.\[\]]+", finding.key)
    if finding.level == ERROR:
        return finding
    if "massgen_compat" in steps:
        return _own(finding, steps, _value(tree, steps))
    problem = _BROKEN.get(steps[-1])
    if problem is not None and _asks(_value(tree, steps)):
        return replace(finding, level=ERROR, message=f"with `engine: massgen`: {problem}")
    if steps[-1] == "max_orchestration_restarts":
        return replace(finding, level=IGNORED, message=_NO_RESTARTS)
    if steps[0] in _TERMINAL:
        return finding
    return replace(finding, level=HONOURED, message="as in MassGen, which runs this team")


def _own(finding: Finding, steps: Sequence[str], node: Node | None) -> Finding:
    name = steps[steps.index("massgen_compat") + 1] if steps[-1] != "massgen_compat" else ""
    value = node.value if node else None
    if name in _OWN_HELD or not name or value is None:
        if name == "tool_rounds" and value not in (None, "team"):
            why = "the whole team decides every step with client tools: `tool_rounds: team`"
            return replace(finding, level=ERROR, message=f"with `engine: massgen` {why}")
        return finding
    return replace(finding, level=ERROR, message="is for `engine: local` only; remove it")


def _asks(node: Node | None) -> bool:
    return node is not None and asks(node)


def _value(tree: Node, steps: Sequence[str]) -> Node | None:
    node: Node | None = tree
    for step in steps:
        if node is None:
            return None
        node = node.items[int(step)] if node.items and step.isdigit() else node.fields.get(step)
    return node


def massgen_view(tree: Node, env: Mapping[str, str]) -> dict[str, Any]:
    """The file as MassGen reads it: without this library's block, with the variables filled in.

    MassGen knows variables of its own (``${cwd}``); what the environment does not have stays.
    """
    plain = cast("dict[str, Any]", tree.plain())
    plain.pop("massgen_compat", None)
    return {key: _filled(value, env) for key, value in plain.items()}


def _filled(value: Any, env: Mapping[str, str]) -> Any:
    match value:
        case str():
            return _VARIABLE.sub(lambda found: env.get(found[1], found[0]), value)
        case list():
            return [_filled(item, env) for item in cast("list[Any]", value)]
        case dict():
            fields = cast("dict[str, Any]", value)
            return {
                key: item if key == "system_message" else _filled(item, env)
                for key, item in fields.items()
            }
        case _:
            return value
