"""A team of coordinating LLM agents, after MassGen, behind any OpenAI client.

    massgen = MassGen(Team("pair", [Agent("a", model="gpt-5.2"), Agent("b", model="gpt-5.2")]))
    completion = await massgen.chat({"model": "pair", "messages": [...]})

Most programs import all that they need from here. There are these modules for more: ``asgi`` has
``create_app`` (extra ``[server]``), ``errors`` and ``events`` have the full lists of both,
``engine`` has what an engine or a model client of your own needs, ``policies`` the rules for
models, ``config`` reads YAML files, ``telemetry`` makes traces (extra ``[otel]``), and ``testing``
has models that follow a script. Modules with an underscore are private and change without notice.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from massgen_compat._client.massgen import MassGen
    from massgen_compat._client.observers import Observer
    from massgen_compat._run.background_rules import BackgroundRule
    from massgen_compat._run.message import Message, text_message
    from massgen_compat._run.request import RunRequest
    from massgen_compat._run.result import FinalMessage, RunResult, Usage
    from massgen_compat._run.team import (
        Agent,
        Backend,
        Escalation,
        Limits,
        Price,
        Team,
        TeamSettings,
        Timeouts,
    )
    from massgen_compat._run.turn import ModelClient
    from massgen_compat.engine import Engine
    from massgen_compat.errors import (
        ConfigError,
        EngineUnavailable,
        InvalidRequest,
        LimitExceeded,
        MassGenError,
        ModelNotFound,
        Overloaded,
        UpstreamError,
    )
    from massgen_compat.events import RunEvent
    from massgen_compat.policies import Policy
    from massgen_compat.testing import ScriptedModel

__all__ = [
    "Agent",
    "Backend",
    "BackgroundRule",
    "ConfigError",
    "Engine",
    "EngineUnavailable",
    "Escalation",
    "FinalMessage",
    "InvalidRequest",
    "LimitExceeded",
    "Limits",
    "MassGen",
    "MassGenError",
    "Message",
    "ModelClient",
    "ModelNotFound",
    "Observer",
    "Overloaded",
    "Policy",
    "Price",
    "RunEvent",
    "RunRequest",
    "RunResult",
    "ScriptedModel",
    "Team",
    "TeamSettings",
    "Timeouts",
    "UpstreamError",
    "Usage",
    "text_message",
]

_MODULES = {
    "_client.massgen": ("MassGen",),
    "_client.observers": ("Observer",),
    "_run.background_rules": ("BackgroundRule",),
    "_run.message": ("Message", "text_message"),
    "_run.request": ("RunRequest",),
    "_run.result": ("FinalMessage", "RunResult", "Usage"),
    "_run.team": (
        "Agent",
        "Backend",
        "Escalation",
        "Limits",
        "Price",
        "Team",
        "TeamSettings",
        "Timeouts",
    ),
    "_run.turn": ("ModelClient",),
    "engine": ("Engine",),
    "errors": (
        "ConfigError",
        "EngineUnavailable",
        "InvalidRequest",
        "LimitExceeded",
        "MassGenError",
        "ModelNotFound",
        "Overloaded",
        "UpstreamError",
    ),
    "events": ("RunEvent",),
    "policies": ("Policy",),
    "testing": ("ScriptedModel",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    """Load a name at its first use: a program that only builds a team does not load the SDK."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"massgen_compat.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
