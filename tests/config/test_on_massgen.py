"""Configs whose runs the real MassGen executes: what is refused, what is handed on, and why."""

from dataclasses import dataclass
from typing import Any

import pytest

from massgen_compat._massgen.package import INSTALL, installed, refusal
from massgen_compat.config import check_text, parse
from massgen_compat.errors import ConfigError, EngineUnavailable

ENV = {
    "OPENAI_API_KEY": "sk-test",
    "AZURE_OPENAI_API_KEY": "k",
    "AZURE_OPENAI_ENDPOINT": "https://x",
}
TOOLS = "agents: [{id: a, backend: {type: openai, model: gpt-5.2, mcp_servers: [{name: x}]}}]\n"
PLAIN = "agents: [{id: a, backend: {type: openai, model: gpt-5.2}}]\n"
CHOSEN = "massgen_compat: {engine: massgen}\n"


def test_a_config_that_needs_massgen_says_so_and_how() -> None:
    report = check_text(TOOLS, ENV, "team.yaml")
    assert (report.verdict, report.engine, report.ok) == ("needs_massgen", "massgen", False)
    why = "engine: massgen, for agents[].backend.mcp_servers; say so with"
    assert why in report.text()
    with pytest.raises(EngineUnavailable, match="engine: massgen"):
        parse(TOOLS, ENV, "team.yaml")


def test_with_the_engine_the_same_config_can_be_served() -> None:
    report = check_text(TOOLS + CHOSEN, ENV, "team.yaml")
    assert (report.verdict, report.engine) == ("ok", "massgen")
    finding = next(f for f in report.findings if f.key.endswith("mcp_servers"))
    assert (finding.level, finding.message) == ("honoured", "as in MassGen, which runs this team")
    settings = parse(TOOLS + CHOSEN, ENV, "team.yaml").team.settings
    assert settings.engine == "massgen"
    agents: list[dict[str, Any]] = (settings.massgen or {})["agents"]
    assert agents[0]["backend"]["mcp_servers"] == [{"name": "x"}]
    assert "massgen_compat" not in (settings.massgen or {})


@pytest.mark.parametrize("key", ["massgen_compat.trace", "ui.display_type"])
def test_a_path_that_is_written_as_one_key_stays_unknown(key: str) -> None:
    report = check_text(f"{PLAIN}{CHOSEN}'{key}': full\n", ENV, "team.yaml")
    finding = next(finding for finding in report.findings if finding.key == key)
    assert finding.level == "ignored"
    assert "unknown here; did you mean" in finding.message


def test_an_argument_overrides_the_file() -> None:
    assert parse(TOOLS, ENV, "t.yaml", engine="massgen").team.settings.engine == "massgen"
    assert parse(PLAIN + CHOSEN, ENV, "t.yaml", engine="local").team.settings.engine == "local"


def test_a_missing_package_is_a_line_with_the_command() -> None:
    report = check_text(PLAIN + CHOSEN, ENV, "team.yaml")
    if installed() is None:
        assert [line for line in report.missing if INSTALL in line]
    assert refusal(None) == f"`engine: massgen` needs the package massgen: {INSTALL}"


@pytest.mark.parametrize("version", ["0.1.34", "0.1.98", "0.2.0", "1.0", "", "nonsense"])
def test_other_versions_are_refused(version: str) -> None:
    assert f"massgen {version} is not supported, only 0.1.97" in (refusal(version) or "")


@pytest.mark.parametrize("version", ["0.1.97", "0.1.97.post1"])
def test_the_supported_version_is_not(version: str) -> None:
    assert refusal(version) is None


@dataclass(frozen=True)
class Refused:
    text: str
    says: str


AZURE = "agents: [{id: a, backend: {type: azure_openai, model: gpt-5.2}}]\n"


@pytest.mark.parametrize(
    "case",
    [
        Refused(
            f"{PLAIN}massgen_compat: {{engine: massgen, tool_rounds: presenter}}", "tool_rounds"
        ),
        Refused(
            f"{PLAIN}massgen_compat: {{engine: massgen, straggler_grace_seconds: 3}}",
            "`engine: local` only",
        ),
        Refused(f"{PLAIN}massgen_compat: {{engine: massgen, unverified: discard}}", "unverified"),
        Refused(f"{PLAIN}massgen_compat: {{engine: massgen, api: chat}}", "`engine: local` only"),
        Refused(f"{AZURE}{CHOSEN}", "model policy 'gpt-5.2' cannot be held"),
        Refused(
            AZURE.replace("gpt-5.2", "gpt-4o")
            + "massgen_compat: {engine: massgen, limits: {max_calls: 9}}",
            "limits of calls, tokens and cost cannot be held",
        ),
        Refused(f"agents: [{{backend: {{type: scripted}}}}]\n{CHOSEN}", "scripted"),
        Refused(
            "agents: [{backend: {type: openai, model: m, websocket_mode: true}}]\n" + CHOSEN,
            "calls past the client",
        ),
        Refused(
            f"{PLAIN}orchestrator: {{coordination_mode: decomposition}}\n{CHOSEN}",
            "cannot be held in `coordination_mode: decomposition`",
        ),
    ],
    ids=lambda case: case.says,
)
def test_what_cannot_be_had_is_refused_by_check(case: Refused) -> None:
    report = check_text(case.text, ENV, "team.yaml")
    assert report.verdict == "error"
    assert case.says in report.text()


def test_what_is_broken_in_massgen_is_switched_off_and_said() -> None:
    text = f"{PLAIN}orchestrator: {{coordination: {{max_orchestration_restarts: 2}}}}\n{CHOSEN}"
    report = check_text(text, ENV, "team.yaml")
    assert report.verdict == "ok"
    found = next(f for f in report.findings if f.key.endswith("max_orchestration_restarts"))
    assert (found.level, "0.1.97 fails" in found.message) == ("ignored", True)


def test_a_refused_key_does_not_load() -> None:
    with pytest.raises(ConfigError, match="tool_rounds"):
        parse(f"{PLAIN}massgen_compat: {{engine: massgen, tool_rounds: presenter}}", ENV, "t.yaml")


def test_variables_are_filled_in_and_massgens_own_stay() -> None:
    text = """\
agents:
- id: a
  system_message: "keep ${NAME}"
  backend: {type: openai, model: m, cwd: w, mcp_servers: [{args: ["${cwd}", "${NAME}"]}]}
massgen_compat: {engine: massgen}
"""
    settings = parse(text, {**ENV, "NAME": "value"}, "t.yaml").team.settings
    agent: dict[str, Any] = (settings.massgen or {})["agents"][0]
    assert agent["backend"]["mcp_servers"] == [{"args": ["${cwd}", "value"]}]
    assert agent["system_message"] == "keep ${NAME}"
