"""The scripted model: a deterministic, offline stand-in for a model. No model is involved.

``ScriptedModel`` answers in the process, ``ScriptedServer`` over HTTP in OpenAI's wire format; both
play the same scripts (``script`` describes the language).
"""

from massgen_compat.testing.delivery import ServedRequest
from massgen_compat.testing.language import parse_script
from massgen_compat.testing.model import ScriptedModel
from massgen_compat.testing.script import Script
from massgen_compat.testing.server import ScriptedServer

__all__ = ["Script", "ScriptedModel", "ScriptedServer", "ServedRequest", "parse_script"]
