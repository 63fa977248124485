"""The report of ``check``: what a config means here, as text for people and as JSON.

``check`` reads the file once. Where ``load`` would raise, the report holds the error.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from massgen_compat._admission.prices import Quote, quote, without_price
from massgen_compat._massgen.config import problems as massgen_problems
from massgen_compat._massgen.package import installed, refusal
from massgen_compat._run.team import Agent, EngineName, Team
from massgen_compat._upstream.backends import BACKENDS
from massgen_compat._upstream.backends import resolve as resolve_backend
from massgen_compat.config.findings import ERROR, NEEDS_MASSGEN, Finding, Level
from massgen_compat.config.loader import read_file, refuse_unavailable
from massgen_compat.config.reading import Reading, read_config
from massgen_compat.config.summary import AgentSummary, ConfigSummary
from massgen_compat.config.team import build_team
from massgen_compat.errors import ConfigError, EngineUnavailable
from massgen_compat.policies import DEFAULT, Policy, named
from massgen_compat.policies import resolve as resolve_policy
from massgen_compat.policies.report import changes

Verdict: TypeAlias = Literal["ok", "needs_massgen", "error"]

_TITLES: Final[Mapping[Level, str]] = {
    "error": "Errors",
    "needs_massgen": "Needs MassGen itself",
    "ignored": "Ignored",
    "honoured": "Honoured",
}
_VERDICTS: Final[Mapping[Verdict, str]] = {
    "ok": "ok, can be served",
    "needs_massgen": "needs MassGen itself: can be served with `engine: massgen`",
    "error": "cannot be served: it has an error",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What was found in a file.

    ``error`` is the message that ``load`` would raise; ``None`` means that the file can be loaded.
    ``summary`` is ``None`` where the file could not be read as YAML. ``missing`` says, one sentence
    each, what the environment lacks for serving the file; that is no fault of the file. ``prices``
    has one entry for each agent, where the file can be loaded; an unknown price is ``None``.
    ``engine`` is the one that the file needs: its own choice, or ``massgen`` where a key leaves no
    other.
    """

    file: str
    verdict: Verdict
    summary: ConfigSummary | None
    findings: tuple[Finding, ...]
    error: str | None
    missing: tuple[str, ...] = ()
    prices: tuple[str | None, ...] = ()
    engine: EngineName = "local"

    @property
    def ok(self) -> bool:
        """Whether this config can be served as it is."""
        return self.verdict == "ok"

    @property
    def counts(self) -> Mapping[Level, int]:
        """The number of findings of each level."""
        counted = Counter(finding.level for finding in self.findings)
        return {level: counted[level] for level in _TITLES}

    def text(self) -> str:
        """The report for a terminal, without colours, values of ``env``, or a last newline."""
        return "\n".join(_lines(self))

    def to_json(self) -> str:
        """The report as a JSON object; the findings are ungrouped and in the file's order."""
        agents = self.summary.agents if self.summary else ()
        report = {
            "file": self.file,
            "ok": self.ok,
            "verdict": self.verdict,
            "error": self.error,
            "missing": self.missing,
            "model": self.summary.model if self.summary else None,
            "engine": self.engine,
            "agents": [asdict(agent) for agent in agents],
            "prices": self.prices,
            "counts": self.counts,
            "findings": [asdict(finding) for finding in self.findings],
        }
        return json.dumps(report, indent=2)


def check(path: Path | str, env: Mapping[str, str]) -> CheckReport:
    """Check one file. It never raises, neither for the content nor for an unreadable file.

    ``env`` is looked at for the keys and URLs of providers that the file needs.
    """
    try:
        text = read_file(path)
    except ConfigError as error:
        return _failed(str(path), error)
    return check_text(text, env, str(path))


def check_text(text: str, env: Mapping[str, str], where: str) -> CheckReport:
    """Check YAML text as ``check`` does; ``where`` is the file's name in the report."""
    try:
        reading = read_config(text, where)
    except ConfigError as error:
        return _failed(where, error)
    problems, team = _problems(reading, env)
    needs_massgen = any(isinstance(problem, EngineUnavailable) for problem in problems)
    findings = reading.findings
    quotes = _quotes(team, env) if team and not problems else ()
    for problem in problems:
        findings = _with_problem(findings, problem)
    return CheckReport(
        file=where,
        verdict="needs_massgen" if needs_massgen else "error" if problems else "ok",
        summary=reading.summary,
        findings=findings,
        error=problems[0].message if problems else None,
        missing=_missing(team, reading.summary, env, quotes) if team and not problems else (),
        prices=tuple(quoted and str(quoted) for quoted in quotes),
        engine="massgen" if needs_massgen else reading.engine,
    )


def _quotes(team: Team, env: Mapping[str, str]) -> tuple[Quote | None, ...]:
    return tuple(quote(agent, team.settings, env) for agent in team.agents)


def _missing(
    team: Team, summary: ConfigSummary, env: Mapping[str, str], quotes: Iterable[Quote | None]
) -> tuple[str, ...]:
    """What the environment lacks for serving the team: keys, URLs, prices for ``max_cost``."""
    lacking: list[str] = []
    on_massgen = team.settings.engine == "massgen"
    if on_massgen and (unavailable := refusal(installed())):
        lacking.append(unavailable)
    for agent in team.agents:
        try:
            if agent.backend.type in BACKENDS or not (on_massgen or _is_scripted(agent)):
                resolve_backend(agent.backend, env)
        except ConfigError as error:
            lacking.append(f"agent {agent.id!r}: {error.message}")
    if team.settings.limits.max_cost is not None:
        lacking += [
            without_price(agent.id, agent.model)
            for agent, quoted in zip(summary.agents, quotes, strict=True)
            if quoted is None
        ]
    return tuple(lacking)


def _is_scripted(agent: Agent) -> bool:
    return agent.backend.type == "scripted"


def _failed(where: str, error: ConfigError) -> CheckReport:
    return CheckReport(file=where, verdict="error", summary=None, findings=(), error=error.message)


def _problems(reading: Reading, env: Mapping[str, str]) -> tuple[list[ConfigError], Team | None]:
    """The errors that ``load`` would raise one after the other, and the team if it can be built.

    A file that needs MassGen is read on: an error in its values would come up next.
    """
    problems: list[ConfigError] = []
    team: Team | None = None
    try:
        refuse_unavailable(reading)
    except EngineUnavailable as error:
        problems.append(error)
    except ConfigError as error:
        return [error], None
    try:
        team = build_team(reading, env)
    except ConfigError as error:
        problems.append(error)
    if team is not None and reading.engine == "massgen":
        unfit = massgen_problems(team, _policy_of)
        problems += [ConfigError(each, where=reading.where) for each in unfit]
    return problems, team


def _policy_of(agent: Agent) -> Policy:
    """The agent's policy; one that is not the library's own is not known here."""
    found = named(agent.policy) if agent.policy else resolve_policy(agent.model)
    return found or DEFAULT


def _with_problem(findings: tuple[Finding, ...], problem: ConfigError) -> tuple[Finding, ...]:
    """Replace the finding of the error's key by the error; add it where the key has no finding."""
    known = {finding.key: finding.level for finding in findings}
    if problem.key is None or known.get(problem.key) in (ERROR, NEEDS_MASSGEN):
        return findings
    where, _, line = (problem.where or "").rpartition(":")
    message = problem.message.removeprefix(f"{where}:{line}: ")
    wrong = Finding(key=problem.key, line=int(line), level=ERROR, message=message)
    others = [finding for finding in findings if finding.key != problem.key]
    return tuple(sorted((*others, wrong), key=lambda finding: finding.line))


def _lines(report: CheckReport) -> Iterator[str]:
    yield f"{report.file}: {_VERDICTS[report.verdict]}"
    if report.verdict == "error":
        yield f"  {report.error}"
    if report.summary:
        yield f"model: {report.summary.model}"
        yield f"engine: {report.engine}{_why(report)}"
        yield "agents:"
        rows = [_agent_row(agent) for agent in report.summary.agents]
        yield from _columns(rows or [("none",)])
        for name in dict.fromkeys(agent.policy for agent in report.summary.agents):
            yield from _policy_lines(name)
    if report.summary and report.prices:
        yield "prices:"
        named = zip(report.summary.agents, report.prices, strict=True)
        yield from _columns((agent.id, price or "unknown") for agent, price in named)
    if report.missing:
        yield f"Still to set: {len(report.missing)}"
        yield from (f"  {each}" for each in report.missing)
    for level, title in _TITLES.items():
        if report.counts[level]:
            yield f"{title}: {report.counts[level]}"
            yield from _columns(_grouped(f for f in report.findings if f.level == level))


def _why(report: CheckReport) -> str:
    """Which keys make the file need MassGen; empty where the file may run as it is."""
    if report.verdict != "needs_massgen":
        return ""
    keys = dict.fromkeys(
        _INDEX.sub("[]", each.key) for each in report.findings if each.level == NEEDS_MASSGEN
    )
    return f", for {', '.join(keys)}; say so with `massgen_compat: {{engine: massgen}}`"


def _agent_row(agent: AgentSummary) -> tuple[str, ...]:
    taken = f"takes {', '.join(agent.inputs)}" if agent.inputs else ""
    policy = f"policy {agent.policy}"
    return agent.id, agent.backend, agent.model, agent.api or "", policy, taken


def _policy_lines(name: str) -> Iterator[str]:
    """What a policy changes in the requests; no lines for the default."""
    policy = named(name)
    if policy is None:
        yield f"policy {name}: not one of the library's own"
    elif lines := changes(policy):
        yield f"policy {name}:"
        yield from (f"  {line}" for line in lines)


_INDEX: Final = re.compile(r"\[\d+\]")


def _grouped(findings: Iterable[Finding]) -> list[tuple[str, ...]]:
    """One row for a key that means the same for several agents."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        key = _INDEX.sub("[]", finding.key)
        groups.setdefault((key, finding.message), []).append(finding)
    return [
        (
            f"line {group[0].line}",
            group[0].key if len(group) == 1 else f"{key} ({len(group)}x)",
            message,
        )
        for (key, message), group in groups.items()
    ]


def _columns(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    rows = list(rows)
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"  {'  '.join(cells)}".rstrip()
