"""Which versions of ``massgen`` are supported, and what to say where there is another, or none.

Only releases that the tests run against are supported: the engine stands on parts of MassGen that
it promises to nobody.
"""

import importlib.metadata
import re
from typing import Final

from massgen_compat.errors import EngineUnavailable

LOWEST: Final = (0, 1, 97)
HIGHEST: Final = (0, 1, 97)

SUPPORTED: Final = ".".join(map(str, LOWEST))
INSTALL: Final = "pip install 'massgen-compat[massgen]'"


def installed() -> str | None:
    """The version of ``massgen`` that is installed, without importing it."""
    try:
        return importlib.metadata.version("massgen")
    except importlib.metadata.PackageNotFoundError:
        return None


def refusal(version: str | None) -> str | None:
    """Why MassGen in that version cannot run teams; ``None``: it can."""
    if version is None:
        return f"`engine: massgen` needs the package massgen: {INSTALL}"
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    release = tuple(map(int, found.groups())) if found else (0, 0, 0)
    if LOWEST <= release <= HIGHEST:
        return None
    return f"massgen {version} is not supported, only {SUPPORTED}: {INSTALL}"


def require() -> None:
    """Raise ``EngineUnavailable`` where no supported ``massgen`` is installed."""
    if problem := refusal(installed()):
        raise EngineUnavailable(problem)
