"""A team of coordinating LLM agents, after MassGen, behind any OpenAI client.

    massgen = MassGen(Team("pair", [Agent("a", model="gpt-5.2"), Agent("b", model="gpt-5.2")]))
    completion = await massgen.chat({"model": "pair", "messages": [...]})

``create_app`` (in ``massgen_compat.asgi``, extra ``[server]``) puts it behind HTTP.
"""

from typing import TYPE_CHECKING

from massgen_compat.client import MassGen
from massgen_compat.errors import MassGenError
from massgen_compat.message import Message
from massgen_compat.run import (
    Agent,
    Backend,
    Escalation,
    Limits,
    Price,
    RunRequest,
    Team,
    TeamSettings,
)

if TYPE_CHECKING:
    from massgen_compat.scripted import ScriptedModel

__all__ = [
    "Agent",
    "Backend",
    "Escalation",
    "Limits",
    "MassGen",
    "MassGenError",
    "Message",
    "Price",
    "RunRequest",
    "ScriptedModel",
    "Team",
    "TeamSettings",
]


def __getattr__(name: str) -> object:
    """The scripted model is for tests and demos: who does not use it does not load it."""
    if name != "ScriptedModel":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from massgen_compat.scripted import ScriptedModel  # noqa: PLC0415

    return ScriptedModel
