"""A team of coordinating LLM agents, after MassGen, behind any OpenAI client.

    massgen = MassGen(Team("pair", [Agent("a", model="gpt-5.2"), Agent("b", model="gpt-5.2")]))
    completion = await massgen.chat({"model": "pair", "messages": [...]})

``create_app`` (in ``massgen_compat.asgi``, extra ``[server]``) puts it behind HTTP.
"""

from massgen_compat.client import MassGen
from massgen_compat.errors import MassGenError
from massgen_compat.run import Agent, Backend, Limits, Message, RunRequest, Team, TeamSettings
from massgen_compat.scripted import ScriptedModel

__all__ = [
    "Agent",
    "Backend",
    "Limits",
    "MassGen",
    "MassGenError",
    "Message",
    "RunRequest",
    "ScriptedModel",
    "Team",
    "TeamSettings",
]
