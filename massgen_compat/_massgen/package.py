"""The ``massgen`` package: whether it is installed, and its import.

It is imported once, when a team needs it, and the process's environment stays as it was. It has no
types, and it is not installed where this library is developed. So it is imported by name, and
everything that comes from it is ``Any``.
"""

import importlib
import importlib.metadata
import logging
import os
import re
import warnings
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from massgen_compat.errors import EngineUnavailable

_KEPT: Final = "TIKTOKEN_CACHE_DIR"
"""A variable that litellm sets, so that counting tokens downloads nothing; it may stay set."""


@dataclass(frozen=True, slots=True)
class Package:
    """The classes and functions of MassGen 0.1.97 that are used."""

    orchestrator: Any
    agent_config: Any
    coordination_config: Any
    timeout_config: Any
    create_agents: Any
    logging_session: Any
    current_session: Any


@cache
def load() -> Package:
    """Import MassGen, which takes some seconds.

    Its command line package reads ``.env`` files into the environment when it is imported; that is
    undone. Its log (loguru) has the users' conversations in it, so it is switched off. Raises
    ``EngineUnavailable`` if there is no supported version, or if it cannot be imported.
    """
    require()
    before = dict(os.environ)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _import()
    except ImportError as error:
        raise EngineUnavailable(
            f"massgen is installed, but cannot be imported ({error.name or 'unknown'} does not "
            f"fit): {INSTALL}"
        ) from error
    finally:
        for name in os.environ.keys() - before.keys() - {_KEPT}:
            del os.environ[name]
        os.environ.update(before)


def _import() -> Package:
    config = importlib.import_module("massgen.agent_config")
    log = importlib.import_module("massgen.logger_config")
    package = Package(
        orchestrator=importlib.import_module("massgen.orchestrator").Orchestrator,
        agent_config=config.AgentConfig,
        coordination_config=config.CoordinationConfig,
        timeout_config=config.TimeoutConfig,
        create_agents=importlib.import_module("massgen.cli.backends").create_agents_from_config,
        logging_session=log.LoggingSession,
        current_session=log._current_session,  # noqa: SLF001 - it has no public name
    )
    log.logger.disable("massgen")
    logging.getLogger("massgen").addHandler(logging.NullHandler())
    return package


@contextmanager
def keys(needed: Mapping[str, str]) -> Any:
    """Put keys into the environment, by the names of variables, while the context is open.

    MassGen's backends look for keys there only: a key in the config makes MassGen 0.1.97 fail,
    because its constructors get it twice. Variables that are set already are left alone. The body
    must not await, so that no other task sees the keys.
    """
    missing = {name: key for name, key in needed.items() if not os.environ.get(name)}
    before = {name: os.environ.get(name) for name in missing}
    os.environ.update(missing)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


LOWEST: Final = (0, 1, 97)
HIGHEST: Final = (0, 1, 97)

SUPPORTED: Final = ".".join(map(str, LOWEST))
INSTALL: Final = "pip install 'massgen-compat[massgen]'"


def installed() -> str | None:
    """The version of ``massgen`` that is installed, or ``None``. The package is not imported."""
    try:
        return importlib.metadata.version("massgen")
    except importlib.metadata.PackageNotFoundError:
        return None


def refusal(version: str | None) -> str | None:
    """Why MassGen in that version cannot run teams, or ``None`` if it can.

    ``version`` is ``None`` where it is not installed.
    """
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
