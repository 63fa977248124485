"""``escalation`` of a config."""

from dataclasses import dataclass

import pytest

from massgen_compat._run.team import Escalation, TeamSettings
from massgen_compat.config import check_text, parse
from massgen_compat.errors import ConfigError

TEAM = """\
agents:
- {id: ada, backend: {type: openai}}
- {id: ben, backend: {type: openai}}
- {id: cleo, backend: {type: openai}}
"""


def settings(own: str, more: str = "") -> TeamSettings:
    return parse(f"{TEAM}{more}massgen_compat:\n  {own}\n", {}, "team.yaml").team.settings


@pytest.mark.parametrize(
    ("text", "escalation"),
    [
        ("escalation: {first: ada}", Escalation(first=("ada",))),
        (
            "escalation: {first: [ben, ada], until: majority}",
            Escalation(first=("ben", "ada"), until="majority"),
        ),
        ("escalation: {first: [cleo], until: unanimous}", Escalation(first=("cleo",))),
        ("escalation:", None),
        ("api: chat", None),
    ],
)
def test_some_agents_are_asked_first(text: str, escalation: Escalation | None) -> None:
    assert settings(text).escalation == escalation


@dataclass(frozen=True)
class Refused:
    text: str
    says: str
    key: str
    more: str = ""


FIRST = "massgen_compat.escalation.first"


@pytest.mark.parametrize(
    "case",
    [
        Refused("escalation: {first: adda}", "ada, ben, cleo; did you mean `ada`?", FIRST),
        Refused("escalation: {first: [ada, bin]}", "did you mean `ben`?", FIRST),
        Refused("escalation: {first: [ada, ben, cleo]}", "leaves nobody to call", FIRST),
        Refused("escalation: {first: [ada, ada]}", "each of them once", FIRST),
        Refused("escalation: {first: []}", "one or more agents", FIRST),
        Refused("escalation: {until: majority}", "is missing: which agent is asked first?", FIRST),
        Refused(
            "escalation: {first: ada, until: majorty}",
            "did you mean `majority`?",
            "massgen_compat.escalation.until",
        ),
        Refused(
            "escalation: {frist: ada}",
            "unknown key; did you mean `first`?",
            "massgen_compat.escalation.frist",
        ),
        Refused("escalation: ada", "must be a mapping", "massgen_compat.escalation"),
        Refused(
            "escalation: {first: ada}",
            "escalation needs votes, and there are none with skip_voting",
            "massgen_compat.escalation",
            "orchestrator: {skip_voting: true}\n",
        ),
    ],
    ids=lambda case: case.says,
)
def test_a_wrong_value_is_refused_with_its_line_and_key(case: Refused) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(case.text, case.more)
    assert case.says in caught.value.message
    assert caught.value.key == case.key
    report = check_text(f"{TEAM}{case.more}massgen_compat:\n  {case.text}\n", {}, "team.yaml")
    assert report.error == caught.value.message


def test_the_report_tells_what_the_keys_mean() -> None:
    own = "massgen_compat:\n  escalation: {first: ada, until: unanimous}\n"
    report = check_text(TEAM + own, {}, "team.yaml")
    levels = {finding.key: finding.level for finding in report.findings}
    assert report.ok
    assert levels[FIRST] == levels["massgen_compat.escalation.until"] == "honoured"
