"""``background_agent`` and ``background_rules`` of a config."""

from dataclasses import dataclass

import pytest

from massgen_compat._run.background_rules import BackgroundRule
from massgen_compat._run.team import TeamSettings
from massgen_compat.config import check_text, parse
from massgen_compat.errors import ConfigError

TEAM = "agents:\n- {id: ada, backend: {type: openai}}\n- {id: ben, backend: {type: openai}}\n"


def settings(own: str) -> TeamSettings:
    return parse(f"{TEAM}massgen_compat:\n{own}", {}, "team.yaml").team.settings


@pytest.mark.parametrize(
    ("text", "agent"),
    [
        ("ben", "ben"),
        ("off", "off"),
        ("'off'", "off"),
        ("false", "off"),
        ("no", "off"),
        ("null", None),
    ],
)
def test_the_background_agent_is_one_of_the_team_or_off(text: str, agent: str | None) -> None:
    assert settings(f"  background_agent: {text}").background_agent == agent


RULES = """
  background_rules:
  - name: my-titles
    system_starts_with: You name things.
    user_starts_with: "Name:"
    user_contains: [please, 5]
    user_ends_with: |
      Thanks.
    stream: false
    max_tokens: 50
    max_user_messages: 2
    max_characters: 900
  - {name: one, user_contains: please}
  - {name: open-webui-tags, enabled: false}
"""


def test_rules_are_read_in_their_order() -> None:
    text = RULES.replace("please, 5", "please, briefly")
    assert settings(text).background_rules == (
        BackgroundRule(
            name="my-titles",
            system_starts_with="You name things.",
            user_starts_with="Name:",
            user_contains=("please", "briefly"),
            user_ends_with="Thanks.",
            stream=False,
            max_tokens=50,
            max_user_messages=2,
            max_characters=900,
        ),
        BackgroundRule(name="one", user_contains=("please",)),
        BackgroundRule(name="open-webui-tags", enabled=False),
    )


@pytest.mark.parametrize("text", ["", "[]", "null"])
def test_no_rules_are_no_mistake(text: str) -> None:
    assert settings(f"  background_rules: {text}").background_rules == ()


@dataclass(frozen=True)
class Refused:
    text: str
    says: str
    key: str


AGENT = "massgen_compat.background_agent"
LIST = "massgen_compat.background_rules"


@pytest.mark.parametrize(
    "case",
    [
        Refused("  background_agent: bob", "must be one of its agents (ada, ben) or `off`", AGENT),
        Refused("  background_agent: on", "must be one of its agents (ada, ben) or `off`", AGENT),
        Refused("  background_agent: [ada]", "must be text", AGENT),
        Refused("  background_rules: {name: a}", "must be a list of rules", LIST),
        Refused("  background_rules: 5", "must be a list of rules", LIST),
        Refused("  background_rules: [a]", "must be a mapping", f"{LIST}[0]"),
        Refused("  background_rules: [{stream: true}]", "is missing", f"{LIST}[0].name"),
        Refused("  background_rules: [{}]", "is missing", f"{LIST}[0].name"),
        Refused(
            "  background_rules:\n  - name: a\n    stream: true",
            "team.yaml:6: `massgen_compat.background_rules[0]` is no rule: a rule needs a phrase",
            f"{LIST}[0]",
        ),
        Refused(
            "  background_rules:\n  - name: a\n    user_start_with: x",
            "team.yaml:7: `massgen_compat.background_rules[0].user_start_with`: unknown key; did "
            "you mean `user_starts_with`?",
            f"{LIST}[0].user_start_with",
        ),
        Refused(RULES, "must be text or a list of texts", f"{LIST}[0].user_contains"),
        Refused(
            "  background_rules: [{name: a, user_contains: [x, '']}]", "not empty", f"{LIST}[0]"
        ),
        Refused("  background_rules: [{name: a b, user_contains: x}]", "letters", f"{LIST}[0]"),
        Refused(
            "  background_rules: [{name: a, user_contains: x, max_tokens: 0}]",
            "must be a whole number",
            f"{LIST}[0].max_tokens",
        ),
        Refused(
            "  background_rules: [{name: open-webui-tag, enabled: false}]",
            "is no built-in rule; those are open-webui-title, open-webui-tags",
            f"{LIST}[0].name",
        ),
    ],
    ids=lambda case: case.says,
)
def test_a_wrong_value_is_refused_with_its_line_and_key(case: Refused) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(case.text)
    assert case.says in caught.value.message
    assert caught.value.key == case.key
    report = check_text(f"{TEAM}massgen_compat:\n{case.text}", {}, "team.yaml")
    assert report.error == caught.value.message


def test_the_report_shows_the_agent_and_each_rule() -> None:
    own = f"massgen_compat:\n  background_agent: off{RULES.replace('please, 5', 'please')}"
    report = check_text(TEAM + own, {}, "team.yaml")
    found = {finding.key: finding.level for finding in report.findings}
    assert report.ok
    assert found[AGENT] == found[f"{LIST}[0].user_starts_with"] == "honoured"
    assert f"{LIST}[].name (3x)" in report.text()
