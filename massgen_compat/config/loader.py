"""Loads a YAML file as a ``Config``, or raises the error that says what to change in it.

``parse`` is pure. ``read_file`` is the only I/O of the package; ``load`` and ``check`` use it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from massgen_compat._run.team import EngineName, Team
from massgen_compat.config.findings import Finding
from massgen_compat.config.reading import Reading, read_config
from massgen_compat.config.team import build_team
from massgen_compat.config.tree import MAX_CHARACTERS
from massgen_compat.errors import ConfigError, EngineUnavailable

MAX_NAMED: Final = 5
"""How many keys an error names; ``check`` names all of them."""


@dataclass(frozen=True, slots=True)
class Config:
    """What a file says: the team that it describes, and what each of its keys means.

    The findings are in the order of the file's keys; none of them is an error or needs another
    engine than the team's.
    """

    team: Team
    findings: tuple[Finding, ...]


def load(path: Path | str, env: Mapping[str, str], *, engine: EngineName | None = None) -> Config:
    """Read one MassGen YAML file.

    ``env`` gives the values of ``${NAME}``. ``engine`` overrides the engine that the file chooses.

    Raises ``ConfigError`` for a file that cannot be read or holds an error; it names the file as
    the caller did, and the line and the key where there is one. Raises ``EngineUnavailable`` for a
    file that needs MassGen itself and does not choose it.
    """
    return parse(read_file(path), env, str(path), engine=engine)


def read_file(path: Path | str) -> str:
    """The text of a file. Raises ``ConfigError`` if it is unreadable, too long or not UTF-8."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_CHARACTERS + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "no such name"
        raise ConfigError(f"cannot be read: {reason}", where=str(path)) from None
    if len(data) > MAX_CHARACTERS:
        raise ConfigError(f"longer than {MAX_CHARACTERS} bytes", where=str(path))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError("is not UTF-8 text", where=f"{path}:{line}") from None


def parse(
    text: str, env: Mapping[str, str], where: str, *, engine: EngineName | None = None
) -> Config:
    """The ``Config`` of YAML text; ``where`` is the file's name, and its stem names the team.

    Raises what ``load`` raises. The team never holds what a finding calls unavailable.
    """
    reading = read_config(text, where, engine=engine)
    refuse_unavailable(reading)
    return Config(build_team(reading, env), reading.findings)


def refuse_unavailable(reading: Reading) -> None:
    """Raise ``ConfigError`` for the first error, or ``EngineUnavailable`` if keys need MassGen."""
    for finding in reading.findings:
        if finding.level == "error":
            at = f"{reading.where}:{finding.line}"
            raise ConfigError(f"`{finding.key}`: {finding.message}", where=at, key=finding.key)
    needing = [finding for finding in reading.findings if finding.level == "needs_massgen"]
    if needing:
        named = ", ".join(f"`{each.key}` (line {each.line})" for each in needing[:MAX_NAMED])
        more = f" and {len(needing) - MAX_NAMED} more" if len(needing) > MAX_NAMED else ""
        raise EngineUnavailable(
            f"needs MassGen itself: {named}{more}. Change or remove them, or let MassGen run this "
            "team with `massgen_compat: {engine: massgen}`, which needs "
            "pip install 'massgen-compat[massgen]'; `massgen-compat check` explains every key.",
            where=reading.where,
            key=needing[0].key,
        )
