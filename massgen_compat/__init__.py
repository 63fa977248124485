"""A team of coordinating LLM agents, after MassGen, behind any OpenAI client.

    massgen = MassGen(Team("pair", [Agent("a", model="gpt-5.2"), Agent("b", model="gpt-5.2")]))
    completion = await massgen.chat({"model": "pair", "messages": [...]})

``create_app`` (in ``massgen_compat.asgi``, extra ``[server]``) puts it behind HTTP.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

_HOMES = {
    "MassGen": "client",
    "MassGenError": "errors",
    "Message": "message",
    "ScriptedModel": "scripted",
}
"""The modules of the public names; of all others it is ``run``."""


def __getattr__(name: str) -> object:
    """A name is loaded where it is used: building a team does not wait for the OpenAI SDK."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"massgen_compat.{_HOMES.get(name, 'run')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
