"""From a YAML file to a ``Config``, or to the error that says what to change.

``parse`` is pure; ``load`` reads one file and is, with ``check``, the only I/O of the package.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from massgen_compat._run.team import EngineName, Team
from massgen_compat.config.findings import Finding, find
from massgen_compat.config.massgen import chosen_engine, on_massgen
from massgen_compat.config.summary import ConfigSummary, read_summary
from massgen_compat.config.team import build_team
from massgen_compat.config.tree import MAX_CHARACTERS, Node, read_tree
from massgen_compat.errors import ConfigError, EngineUnavailable

MAX_NAMED: Final = 5
"""Keys that an error names; ``check`` names all."""


@dataclass(frozen=True, slots=True)
class Config:
    """What a file says: a team that the local engine can run, and what each of its keys means."""

    team: Team
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """A file that is YAML: what is known about it before anything in it is trusted."""

    tree: Node
    summary: ConfigSummary
    findings: tuple[Finding, ...]
    engine: EngineName = "local"


def load(path: Path | str, env: Mapping[str, str], *, engine: EngineName | None = None) -> Config:
    """Read one MassGen YAML file; variables come from ``env``.

    ``engine`` overrides the file's own choice.

    Raises ``ConfigError``, with the file as it was named, and the line and key where there is one;
    ``EngineUnavailable`` if it needs MassGen itself.
    """
    return parse(read_file(path), env, str(path), engine=engine)


def read_file(path: Path | str) -> str:
    """The text of a config file. Raises ``ConfigError`` for a file that is none."""
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
    """The ``Config`` of YAML text; ``where`` names the file, and the team by its stem.

    Raises as ``load`` does. The team never holds what a finding calls unavailable.
    """
    reading = read_config(text, where, engine=engine)
    refuse_unavailable(reading.findings, where)
    return Config(build_team(reading.tree, env, where, reading.engine), reading.findings)


def read_config(text: str, where: str, *, engine: EngineName | None = None) -> Reading:
    """YAML text with its findings. Raises ``ConfigError`` for text that is no YAML mapping."""
    tree = read_tree(text, where)
    summary = read_summary(tree, where)
    chosen = engine or chosen_engine(tree)
    found = find(tree, summary)
    return Reading(tree, summary, on_massgen(found, tree) if chosen == "massgen" else found, chosen)


def refuse_unavailable(findings: Sequence[Finding], where: str) -> None:
    """Raise for the first error, else for what needs MassGen."""
    for finding in findings:
        if finding.level == "error":
            at = f"{where}:{finding.line}"
            raise ConfigError(f"`{finding.key}`: {finding.message}", where=at, key=finding.key)
    needing = [finding for finding in findings if finding.level == "needs_massgen"]
    if needing:
        named = ", ".join(f"`{each.key}` (line {each.line})" for each in needing[:MAX_NAMED])
        more = f" and {len(needing) - MAX_NAMED} more" if len(needing) > MAX_NAMED else ""
        raise EngineUnavailable(
            f"needs MassGen itself: {named}{more}. Change or remove them, or let MassGen run this "
            "team with `massgen_compat: {engine: massgen}`, which needs "
            "pip install 'massgen-compat[massgen]'; `massgen-compat check` explains every key.",
            where=where,
            key=needing[0].key,
        )
