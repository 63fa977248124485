"""What ``check`` shows, and that nothing that a file holds can make it raise."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from massgen_compat._admission.prices import quote
from massgen_compat._run.team import Agent, TeamSettings
from massgen_compat.config import Config, check, check_text, load, parse
from massgen_compat.config.keys import SECTIONS
from massgen_compat.errors import ConfigError
from massgen_compat.policies import resolve
from massgen_compat.policies.report import changes

TEXT = """\
agents:
- id: ada
  backend: {type: openai, model: gpt-5.2, websocket_mode: true}
- id: ben
  backend: {type: groq, model: "${MODEL}", websocket_mode: true, api_key: "${KEY}"}
ui: {display_type: simple}
massgen_compat:
  model: pair
"""
NO_KEY = (
    "agent 'ada': backend type 'openai' has no key: set OPENAI_API_KEY, or `api_key:` in the "
    "backend block"
)
PRICE = str(quote(Agent("ada", model="gpt-5.2"), TeamSettings(), {}))
ENV = {"MODEL": "of-the-environment", "KEY": "sk-of-the-environment"}


def test_a_report_for_a_terminal() -> None:
    assert check_text(TEXT, ENV, "team.yaml").text().splitlines() == [
        "team.yaml: ok, can be served",
        "model: pair",
        "engine: local",
        "agents:",
        "  ada  openai  gpt-5.2   responses  policy gpt-5.2  takes text, image, file",
        "  ben  groq    ${MODEL}  chat       policy default",
        "policy gpt-5.2:",
        *(f"  {line}" for line in changes(resolve("gpt-5.2"))),
        "prices:",
        f"  ada  {PRICE}",
        "  ben  unknown",
        "Still to set: 1",
        f"  {NO_KEY}",
        "Ignored: 3",
        "  line 3  agents[].backend.websocket_mode (2x)  answers over HTTP are the same",
        "  line 6  ui                                    MassGen's terminal and logs",
        "Honoured: 8",
        "  line 2  agents[].id (2x)             names the agent; its peers never see it",
        "  line 3  agents[].backend.type (2x)   reached through an OpenAI-compatible endpoint",
        "  line 3  agents[].backend.model (2x)  the model that answers",
        "  line 5  agents[1].backend.api_key    the provider's key; never shown",
        "  line 8  massgen_compat.model         the name that clients ask for",
    ]


def test_a_report_as_json() -> None:
    report = json.loads(check_text(TEXT, ENV, "team.yaml").to_json())
    findings = report.pop("findings")
    assert report == {
        "file": "team.yaml",
        "ok": True,
        "verdict": "ok",
        "error": None,
        "missing": [NO_KEY],
        "model": "pair",
        "engine": "local",
        "agents": [
            {
                "id": "ada",
                "backend": "openai",
                "model": "gpt-5.2",
                "api": "responses",
                "policy": "gpt-5.2",
                "inputs": ["text", "image", "file"],
            },
            {
                "id": "ben",
                "backend": "groq",
                "model": "${MODEL}",
                "api": "chat",
                "policy": "default",
                "inputs": [],
            },
        ],
        "prices": [PRICE, None],
        "counts": {"error": 0, "needs_massgen": 0, "ignored": 3, "honoured": 8},
    }
    assert findings[0] == {
        "key": "agents[0].id",
        "line": 2,
        "level": "honoured",
        "message": "names the agent; its peers never see it",
    }
    assert len(findings) == 11


def test_a_report_shows_nothing_of_the_environment() -> None:
    report = check_text(TEXT, ENV, "team.yaml")
    assert "of-the-environment" not in report.text() + report.to_json()


def test_a_report_says_which_prices_a_limit_of_cost_still_needs() -> None:
    limited = f"{TEXT}  limits: {{max_cost: 0.5}}\n"
    report = check_text(limited, ENV, "team.yaml")
    assert report.ok
    told = [line for line in report.missing if "max_cost" in line]
    assert len(told) == 1
    assert told[0].startswith("agent 'ben': `max_cost` is set, but the price of model '${MODEL}'")
    assert "of-the-environment" not in report.text() + report.to_json()

    stated = "{input_per_million: 1, output_per_million: 2}"
    priced = check_text(f"{limited}  prices: {{of-the-environment: {stated}}}", ENV, "team.yaml")
    assert not any("max_cost" in line for line in priced.missing)
    assert priced.prices[1] == "$1 read, $2 written for a million tokens (stated)"


@pytest.mark.parametrize(
    ("agent", "own", "takes"),
    [
        ("backend: {type: openai, model: gpt-3.5-turbo}", "{}", "takes text"),
        ("backend: {type: openai, model: gpt-5.2}", "{api: chat}", "takes text, image, file"),
        ("backend: {type: openai, model: ours}", "{inputs: [audio, image]}", "image, audio"),
        (
            "backend: {type: groq, model: $M}, massgen_compat: {inputs: [file]}",
            "{inputs: []}",
            "takes text, file",
        ),
        ("backend: {type: scripted}", "{}", "takes text, image, audio, file"),
    ],
)
def test_a_report_tells_what_an_agent_takes(agent: str, own: str, takes: str) -> None:
    text = f"agents: [{{{agent}}}]\nmassgen_compat: {own}".replace("$M", "'${M}'")
    lines = check_text(text, {"M": "m"}, "t.yaml").text().splitlines()
    line = next(line for line in lines if line.startswith("  agent1"))
    assert line.endswith(takes)


def test_what_an_agent_of_another_framework_takes_is_not_known() -> None:
    report = check_text("agents: [{backend: {type: claude_code}}]", {}, "t.yaml")
    assert report.summary is not None
    assert [agent.inputs for agent in report.summary.agents] == [()]


def test_a_wrong_value_takes_the_place_of_its_keys_finding() -> None:
    report = check_text(TEXT, {"MODEL": "m"}, "team.yaml")
    wrong = [finding for finding in report.findings if finding.level == "error"]
    assert [(finding.key, finding.line) for finding in wrong] == [("agents[1].backend.api_key", 5)]
    assert len(report.findings) == 11
    assert report.verdict == "error"
    assert report.error is not None
    assert report.error in report.text()


def test_a_missing_key_is_a_finding_too() -> None:
    report = check_text("agents:\n- id: a\n  backend: {type: groq}\n", {}, "team.yaml")
    errors = [finding for finding in report.findings if finding.level == "error"]
    assert [(finding.key, finding.line) for finding in errors] == [("agents[0].backend.model", 3)]


def test_a_report_on_massgens_keys_also_tells_what_else_is_wrong() -> None:
    text = "agents:\n- backend: {type: groq, mcp_servers: [a]}\n"
    report = check_text(text, {}, "team.yaml")
    assert report.verdict == "needs_massgen"
    assert (report.counts["needs_massgen"], report.counts["error"]) == (1, 1)


def test_a_file_that_is_no_yaml_has_a_report() -> None:
    report = check_text("agents: [", {}, "team.yaml")
    assert not report.ok
    assert report.text().startswith(
        "team.yaml: cannot be served: it has an error\n  team.yaml:1: not valid YAML"
    )
    assert json.loads(report.to_json())["model"] is None


def test_control_codes_of_a_file_do_not_reach_the_terminal() -> None:
    text = 'agents: [{id: "\\e[31m", backend: {type: openai, "\\e[0m": 1}}]'
    report = check_text(text, {}, "team.yaml").text()
    assert "\x1b" not in report
    assert "\\x1b[31m" in report


# Files


def test_a_file_is_loaded_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "council.yaml"
    path.write_bytes(b"\xef\xbb\xbfagent: {backend: {type: openai, model: gpt-5.2}}\n")
    assert load(path, {}).team.name == "council"
    assert load(str(path), {}).team == load(path, {}).team
    assert check(path, {}).ok


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"a: 1\nb: \xff\n", ":2: is not UTF-8 text"),
        ("agents: []".encode("utf-16"), "is not UTF-8 text"),
        (b"#" * 1_000_001, "longer than 1000000 bytes"),
    ],
    ids=["latin", "utf-16", "long"],
)
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "team.yaml"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert caught.value.message.startswith(f"{path}:")
    assert says in caught.value.message
    assert check(path, {}).error == caught.value.message


@pytest.mark.parametrize("name", ["", "absent.yaml", "a\0b"], ids=["folder", "absent", "no name"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / name, {})
    assert check(tmp_path / name, {}).verdict == "error"


# Anything at all


def outcome(text: str) -> Config | ConfigError:
    try:
        return parse(text, {}, "team.yaml")
    except ConfigError as error:
        return error


def must_hold(text: str) -> None:
    """``parse`` raises nothing but ``ConfigError``, and ``check`` says the same."""
    report = check_text(text, {}, "team.yaml")
    assert json.loads(report.to_json())["error"] == report.error
    assert report.text()
    match outcome(text):
        case Config(findings=findings):
            assert report.ok
            assert findings == report.findings
        case ConfigError(message=message):
            assert not report.ok
            assert report.error == message


@given(st.text(max_size=200))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    must_hold(text)


@given(st.text(alphabet="ab: -\n\t[]{},'\"\\&*!|>%#?<=~0.xUuN", max_size=80))
def test_any_text_of_yamls_own_signs_is_parsed_or_refused(text: str) -> None:
    must_hold(text)


NAMES = sorted(
    {name for rows in SECTIONS.values() for name in rows if name.isidentifier()}
    | {"agents", "agent", "backend", "orchestrator", "coordination", "limits", "massgen_compat"}
    | {"timeout_settings", "enabled", "draft", "effort"}
)
WORDS = ["openai", "scripted", "groq", "claude_code", "strict", "chat", "${X}", "", "\x1b", "off"]
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(WORDS), st.text()
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=12,
)
BACKENDS = st.fixed_dictionaries(
    {"type": st.sampled_from([*WORDS[:4], "lmstudio"])},
    optional=dict.fromkeys(("model", "text", "enable_web_search", "script", "api_key"), VALUES),
)
AGENTS = st.fixed_dictionaries(
    {"backend": st.one_of(BACKENDS, VALUES)},
    optional=dict.fromkeys(("id", "system_message", "massgen_compat", "memory"), VALUES),
)
CONFIGS = st.fixed_dictionaries(
    {"agents": st.one_of(st.lists(AGENTS, max_size=3), VALUES)},
    optional=dict.fromkeys(
        ("agent", "orchestrator", "timeout_settings", "massgen_compat", "memory", "ui"), VALUES
    ),
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(CONFIGS)
def test_any_config_of_known_keys_is_parsed_or_refused(config: dict[str, Any]) -> None:
    must_hold(yaml.safe_dump(config, allow_unicode=True))
