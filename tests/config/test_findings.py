"""The table of keys: what a key and its value mean here."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from massgen_compat._agents.prompts import STANDARDS
from massgen_compat.config import Finding, check_text, parse
from massgen_compat.config.findings import SENSITIVITIES
from massgen_compat.config.keys import PARAMETERS, SECTIONS
from massgen_compat.errors import EngineUnavailable


def findings(text: str) -> Mapping[str, Finding]:
    return {finding.key: finding for finding in check_text(text, {}, "team.yaml").findings}


def of_backend(text: str, kind: str = "openai") -> Finding:
    """The finding of one key of a backend."""
    found = findings(f"agents: [{{backend: {{type: {kind}, model: m, {text}}}}}]")
    key = text.partition(":")[0]
    return found[f"agents[0].backend.{key}"]


@dataclass(frozen=True, slots=True)
class Case:
    text: str
    level: str
    says: str = ""
    kind: str = "openai"


@pytest.mark.parametrize(
    "case",
    [
        Case("temperature: 0.1", "honoured", "sent with every request"),
        Case("reasoning: {effort: low}", "honoured"),
        Case("base_url: http://localhost:1", "honoured"),
        Case("enable_web_search: true", "honoured"),
        Case("enable_web_search: true", "ignored", "`type: openai` only", "gemini"),
        Case("enable_web_search: false", "ignored", "switched off"),
        Case("enable_code_interpreter: true", "ignored", "`type: openai` only", "azure_openai"),
        Case("enable_code_execution: true", "ignored", "host this tool", "claude"),
        Case("cwd: workspace", "ignored", "a folder for file tools"),
        Case("command_line_docker_image: x", "ignored", "a detail of command line execution"),
        Case("tool_choice: required", "ignored", "the workflow sets it"),
        Case("temprature: 1", "ignored", "did you mean `temperature`?"),
        Case("xyzzy: 1", "ignored", "unknown here"),
        Case("script: {}", "ignored", "only `type: scripted`"),
        Case("script: {}", "honoured", "no model is involved", "scripted"),
        Case("mcp_servers: [{name: a}]", "needs_massgen", "tools that only MassGen runs"),
        Case("mcp_servers: []", "ignored", "switched off"),
        Case("mcp_servers: {}", "ignored", "switched off"),
        Case("custom_tools: [{name: a}]", "needs_massgen"),
        Case("enable_mcp_command_line: true", "needs_massgen", "run commands"),
        Case("enable_mcp_command_line: false", "ignored", "switched off"),
        Case("enable_image_generation: true", "needs_massgen"),
        Case("upload_files: [{image_path: a.png}]", "needs_massgen"),
    ],
    ids=lambda case: f"{case.kind} {case.text}",
)
def test_a_key_of_a_backend_means(case: Case) -> None:
    finding = of_backend(case.text, case.kind)
    assert (finding.level, case.says in finding.message) == (case.level, True)


@pytest.mark.parametrize("kind", ["claude_code", "codex", "gemini_cli", "copilot", "ag2"])
def test_coding_tools_and_frameworks_need_massgen(kind: str) -> None:
    report = check_text(f"agents: [{{backend: {{type: {kind}}}}}]", {}, "team.yaml")
    assert report.verdict == "needs_massgen"
    assert [finding.key for finding in report.findings] == ["agents[0].backend.type"]


@dataclass(frozen=True, slots=True)
class Global:
    text: str
    key: str
    level: str
    says: str = ""


@pytest.mark.parametrize(
    "case",
    [
        Global("ui: {display_type: simple}", "ui", "ignored"),
        Global("hooks: {pre: [x]}", "hooks", "needs_massgen"),
        Global("hooks: {}", "hooks", "ignored", "switched off"),
        Global("nlip: {enabled: false}", "nlip", "ignored", "switched off"),
        Global("nlip: {enabled: true}", "nlip", "needs_massgen"),
        Global("memory: {enabled: true}", "memory", "ignored"),
        Global("memory: {persistent_memory: {enabled: true}}", "memory", "needs_massgen"),
        Global("memory: {enabled: false, persistent_memory: {enabled: true}}", "memory", "ignored"),
        Global("orchestratr: {}", "orchestratr", "ignored", "did you mean `orchestrator`?"),
        Global("orchestrator: {}", "orchestrator", "ignored", "empty"),
        Global("orchestrator:", "orchestrator", "ignored", "empty"),
        Global('"massgen_compat.limits": {max_calls: 3}', "massgen_compat.limits", "ignored"),
        Global(
            "orchestrator: {voting_sensitivity: strict}",
            "orchestrator.voting_sensitivity",
            "honoured",
        ),
        Global(
            "orchestrator: {voting_sensitivity: checklist_gated}",
            "orchestrator.voting_sensitivity",
            "ignored",
            "agents judge as with `strict`",
        ),
        Global(
            "orchestrator: {max_new_answers_per_agent: null}",
            "orchestrator.max_new_answers_per_agent",
            "ignored",
            "the default here is 3",
        ),
        Global("orchestrator: {context_paths: []}", "orchestrator.context_paths", "ignored", "off"),
        Global(
            "orchestrator: {context_paths: [{path: a}]}",
            "orchestrator.context_paths",
            "needs_massgen",
        ),
        Global(
            "orchestrator: {coordination_mode: voting}",
            "orchestrator.coordination_mode",
            "honoured",
        ),
        Global(
            "orchestrator: {coordination_mode: decomposition}",
            "orchestrator.coordination_mode",
            "needs_massgen",
        ),
        Global(
            "orchestrator: {coordination: {enable_planning_mode: true}}",
            "orchestrator.coordination.enable_planning_mode",
            "needs_massgen",
        ),
        Global(
            "orchestrator: {coordination: {broadcast: agents}}",
            "orchestrator.coordination.broadcast",
            "needs_massgen",
        ),
        Global(
            "orchestrator: {coordination: {broadcast: false, max_orchestration_restarts: 2}}",
            "orchestrator.coordination.max_orchestration_restarts",
            "ignored",
        ),
        Global(
            "orchestrator: {coordination: {subagent_default_timeout: 3}}",
            "orchestrator.coordination.subagent_default_timeout",
            "ignored",
            "a detail",
        ),
        Global(
            "timeout_settings: {round_timeout_grace_seconds: 3}",
            "timeout_settings.round_timeout_grace_seconds",
            "ignored",
        ),
        Global("massgen_compat: {engine: local}", "massgen_compat.engine", "honoured"),
        Global("massgen_compat: {engine: massgen}", "massgen_compat.engine", "honoured"),
        Global("num_agents: 3", "num_agents", "error", "MassGen's first config format"),
    ],
    ids=lambda case: case.text,
)
def test_a_key_of_a_team_means(case: Global) -> None:
    finding = findings(f"{case.text}\nagent: {{backend: {{type: openai}}}}")[case.key]
    assert (finding.level, case.says in finding.message) == (case.level, True)
    assert finding.line == 1


@pytest.mark.parametrize("setting", ["engine: null", "limits: {max_cost: null}"])
def test_what_is_null_is_unset(setting: str) -> None:
    text = f"agent: {{backend: {{type: openai}}}}\nmassgen_compat: {{{setting}}}"
    assert parse(text, {}, "team.yaml").team.name == "team"


def test_the_refusal_names_five_keys_and_counts_the_others() -> None:
    agents = "\n".join(
        f"- backend: {{type: openai, mcp_servers: [{{name: {n}}}]}}" for n in range(7)
    )
    with pytest.raises(EngineUnavailable) as caught:
        parse(f"agents:\n{agents}", {}, "team.yaml")
    message = caught.value.message
    assert message.count("mcp_servers") == 5
    assert "`agents[4].backend.mcp_servers` (line 6) and 2 more" in message
    assert caught.value.key == "agents[0].backend.mcp_servers"


def test_every_sensitivity_leads_to_one_that_has_a_wording() -> None:
    assert set(SENSITIVITIES.values()) == set(STANDARDS)


def test_no_parameter_is_one_that_the_workflow_sets() -> None:
    rows = SECTIONS["agents[].backend"]
    levels = {rows[name].level for name in PARAMETERS}
    assert levels == {"honoured"}
    assert not PARAMETERS & {"messages", "input", "tools", "tool_choice", "stream", "n", "model"}


def test_notes_are_short_and_one_sentence() -> None:
    for rows in SECTIONS.values():
        for name, row in rows.items():
            assert 0 < len(row.note) <= 100, name
            assert not row.note.endswith("."), name
