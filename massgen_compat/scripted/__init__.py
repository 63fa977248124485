"""The scripted model: a deterministic, offline stand-in for a model. No model is involved.

``ScriptedModel`` answers in the process, ``ScriptedServer`` over HTTP in OpenAI's wire format; both
play the same scripts (``script`` describes the language).
"""

from massgen_compat.scripted.delivery import ServedRequest
from massgen_compat.scripted.language import parse_script
from massgen_compat.scripted.model import ScriptedModel
from massgen_compat.scripted.script import Script
from massgen_compat.scripted.server import ScriptedServer

__all__ = ["Script", "ScriptedModel", "ScriptedServer", "ServedRequest", "parse_script"]
