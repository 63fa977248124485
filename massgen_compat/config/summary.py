"""The summary of a config: the team's name, and each agent's model, wire, policy and inputs. Pure.

It is read leniently, so that a report can also name what stands in a file that cannot be loaded;
``team`` reads the same keys strictly. Model names are those of the file, and variables in them are
not expanded: a report shows nothing of the environment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final, TypeAlias

from massgen_compat._agents.inputs import KINDS, inputs_of
from massgen_compat._run.team import Agent, Api, Backend
from massgen_compat._upstream.backends import BACKENDS
from massgen_compat.config.tree import Node
from massgen_compat.policies import resolve

APIS: Final[Mapping[str, Api]] = {"responses": "responses", "chat": "chat"}

MASSGEN_TYPES: Final = frozenset(
    {
        "claude_code",
        "codex",
        "gemini_cli",
        "antigravity_cli",
        "copilot",
        "ag2",
        "langgraph",
        "smolagent",
        "agentscope",
        "openai_assistant",
    }
)
"""Types without an OpenAI-compatible endpoint: coding tools and other agent frameworks."""

DEFAULT_MODELS: Final = {"openai": "gpt-5.2", "scripted": "scripted"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSummary:
    """An agent as its file names it; ``?`` stands for what is missing or of a wrong type.

    ``api`` is ``None`` where no wire is involved. ``policy`` is the name of the model policy: the
    one that the file asks for, else the one that the model's name finds. ``inputs`` are the kinds
    of input that the agent takes, ``text`` first; they are empty where the file alone does not
    tell.
    """

    id: str
    backend: str
    model: str
    api: Api | None
    policy: str
    inputs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigSummary:
    """The name that clients would ask for, and the agents behind it."""

    model: str
    agents: tuple[AgentSummary, ...]


AgentNode: TypeAlias = tuple[str, Node]
"""The path of an agent in its file (``agents[0]`` or ``agent``), and its value."""


def agent_nodes(tree: Node) -> tuple[AgentNode, ...]:
    """The agents of a file: a list of ``agents``, or one ``agent``; empty without either."""
    listed = tree.fields.get("agents")
    if listed is not None:
        return tuple((f"agents[{index}]", node) for index, node in enumerate(listed.items))
    alone = tree.fields.get("agent")
    return () if alone is None else (("agent", alone),)


def read_summary(tree: Node, agents: Sequence[AgentNode], where: str) -> ConfigSummary:
    """Summarise a tree and its agents; the stem of ``where``, the file's name, names the team.

    It never raises: what is missing or of a wrong type shows as ``?``.
    """
    own = tree.fields.get("massgen_compat")
    summaries = tuple(
        _agent(node, f"agent{index}", own) for index, (_, node) in enumerate(agents, start=1)
    )
    return ConfigSummary(model=_text(own, "model", PurePath(where).stem), agents=summaries)


def _agent(node: Node, default_id: str, shared: Node | None) -> AgentSummary:
    backend = node.fields.get("backend")
    kind = _text(backend, "type", "?")
    default_model = "its own" if kind in MASSGEN_TYPES else DEFAULT_MODELS.get(kind, "?")
    row = BACKENDS.get(kind)
    model = _text(backend, "model", default_model)
    own = node.fields.get("massgen_compat")
    policy = _text(own, "policy", "") or _text(shared, "policy", "")
    api = (_api(own) or _api(shared) or row.api) if row else None
    return AgentSummary(
        id=_text(node, "id", default_id),
        backend=kind,
        model=model,
        api=api,
        policy=policy or resolve(model).name,
        inputs=_taken(model, Backend(type=kind, api=api), _inputs(own) or _inputs(shared)),
    )


def _taken(model: str, backend: Backend, stated: Node | None) -> tuple[str, ...]:
    """The agent's inputs. A model whose name is a variable is not known here: none are told."""
    if stated is not None:
        named = [item.value for item in stated.items]
        return ("text", *(kind for kind in KINDS if kind in named))
    known = backend.type == "scripted" or (backend.type in BACKENDS and "${" not in model)
    return ("text", *inputs_of(Agent("", model=model, backend=backend))) if known else ()


def _inputs(own: Node | None) -> Node | None:
    node = own.fields.get("inputs") if own else None
    return None if node is None or node.value is None else node


def _api(own: Node | None) -> Api | None:
    return APIS.get(_text(own, "api", ""))


def _text(node: Node | None, key: str, default: str) -> str:
    value = node.fields.get(key) if node else None
    if value is None or value.value is None or isinstance(value.value, tuple | Mapping):
        return default
    return printable(str(value.value))


def printable(text: str) -> str:
    """Text of a file in a form that a terminal can show: one short line without control codes."""
    shown = text if text.isprintable() else ascii(text)
    return shown if len(shown) <= 128 else f"{shown[:128]}…"
