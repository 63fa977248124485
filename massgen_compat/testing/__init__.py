"""The scripted model: a deterministic, offline stand-in for a model. No model is involved.

``ScriptedModel`` answers in the process, ``ScriptedServer`` over HTTP in OpenAI's wire format. Both
play the same scripts; the module ``script`` describes their language.
"""

from massgen_compat.testing.model import ScriptedModel
from massgen_compat.testing.script import Script, parse_script
from massgen_compat.testing.server import ScriptedServer, ServedRequest

__all__ = ["Script", "ScriptedModel", "ScriptedServer", "ServedRequest", "parse_script"]
