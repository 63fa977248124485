"""All configs that MassGen ships, through ``check``: real files, real keys."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from massgen_compat.config import CheckReport, Config, check, load
from massgen_compat.errors import ConfigError, EngineUnavailable

UNKNOWN_KEYS = {
    "gemini",  # rate_limits.yaml is a table of rates, not a team
    "timeout",  # error_respawn_test.yaml means `timeout_settings`
}


@pytest.fixture(scope="module")
def folder(shared: Callable[[str], Path]) -> Path:
    return shared("massgen-configs")


@pytest.fixture(scope="module")
def reports(folder: Path) -> dict[str, CheckReport]:
    paths = sorted(folder.rglob("*.yaml"))
    return {path.relative_to(folder).as_posix(): check(path, {}) for path in paths}


def test_every_config_that_massgen_ships_can_be_checked(reports: dict[str, CheckReport]) -> None:
    counts = Counter(report.verdict for report in reports.values())
    print(f"MassGen's own configs: {dict(counts)}")
    assert len(reports) == sum(counts.values()) == 276
    assert counts["ok"] >= 50
    # One is no team at all, one wants variables of its user.
    assert counts["error"] == 2
    for report in reports.values():
        assert report.text()
        assert report.to_json()


def test_every_key_of_massgens_own_configs_is_known(reports: dict[str, CheckReport]) -> None:
    unknown = {
        finding.key
        for report in reports.values()
        for finding in report.findings
        if "unknown" in finding.message
    }
    assert unknown == UNKNOWN_KEYS


def test_a_key_is_found_once_and_at_its_line(folder: Path, reports: dict[str, CheckReport]) -> None:
    for name, report in reports.items():
        lines = (folder / name).read_text(encoding="utf-8").splitlines()
        keys = [finding.key for finding in report.findings]
        assert len(keys) == len(set(keys)), name
        for finding in report.findings:
            last = finding.key.rpartition(".")[2]
            assert last in lines[finding.line - 1], (name, finding)


def test_load_agrees_with_check(folder: Path, reports: dict[str, CheckReport]) -> None:
    raised = {"needs_massgen": EngineUnavailable, "error": ConfigError}
    for name, report in reports.items():
        if report.verdict == "ok":
            assert load(folder / name, {}).team.name == Path(name).stem
        else:
            with pytest.raises(raised[report.verdict]) as caught:
                load(folder / name, {})
            assert caught.value.message == report.error


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("providers/openai/codex/codex_local.yaml", {"agents[0].backend.type"}),
        ("ag2/ag2_single_agent.yaml", {"agents[0].backend.type", "agents[0].backend.agent_config"}),
        ("tools/mcp/gemini_mcp_test.yaml", {"agents[0].backend.mcp_servers"}),
        ("examples/nlip_basic.yaml", {"nlip", "orchestrator.nlip"}),
        ("basic/multi/three_agents_dspy_enabled.yaml", {"orchestrator.dspy"}),
        (
            "memory/gpt5mini_gemini_context_window_management.yaml",
            {"memory", "orchestrator.context_paths"},
        ),
        ("basic/multi/gpt5nano_image_understanding.yaml", {"agents[0].backend.upload_files"}),
    ],
)
def test_a_config_needs_massgen_for_these_keys(
    name: str, keys: set[str], reports: dict[str, CheckReport]
) -> None:
    report = reports[name]
    needing = {each.key for each in report.findings if each.level == "needs_massgen"}
    assert keys <= needing
    assert not report.ok


def test_massgens_default_team_can_be_served(reports: dict[str, CheckReport]) -> None:
    assert reports["basic/multi/three_agents_default.yaml"].ok


def test_all_feature_demonstrations_need_massgen(reports: dict[str, CheckReport]) -> None:
    features = {name: each for name, each in reports.items() if name.startswith("features/")}
    assert {report.verdict for report in features.values()} == {"needs_massgen"}


@pytest.fixture(scope="module")
def two_agents(folder: Path) -> Config:
    return load(folder / "basic/multi/two_agents_gpt5.yaml", {})


def test_hosted_tools_and_parameters_of_two_agents_gpt5(two_agents: Config) -> None:
    primary, secondary = two_agents.team.agents
    assert (primary.id, primary.model) == ("primary_agent", "gpt-5")
    assert (secondary.id, secondary.model) == ("secondary_agent", "gpt-5-nano")
    assert primary.backend.type == "openai"
    assert primary.backend.hosted_tools == ("web_search", "code_interpreter")
    assert primary.params == {
        "text": {"verbosity": "high"},
        "reasoning": {"effort": "high", "summary": "auto"},
    }
    assert primary.system_message is not None
    assert primary.system_message.startswith("You are a knowledgeable primary agent")


def test_local_servers_keep_their_own_parameters(folder: Path) -> None:
    team = load(folder / "basic/multi/two_qwen_vllm_sglang.yaml", {}).team
    assert [agent.backend.type for agent in team.agents] == ["vllm", "sglang"]
    params = {key for agent in team.agents for key in agent.params}
    assert {"top_k", "extra_body", "chat_template_kwargs"} <= params


def test_a_table_of_rate_limits_is_no_team(reports: dict[str, CheckReport]) -> None:
    report = reports["rate_limits/rate_limits.yaml"]
    assert report.error is not None
    assert "neither `agents` nor `agent`" in report.error
