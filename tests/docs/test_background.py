"""The page on background requests: its table is that of the code, and its config works.

``UPDATE_SNAPSHOTS=1 pytest tests/docs/test_background.py`` writes the table anew.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from massgen_compat._run.background_rules import BACKGROUND_RULES, BackgroundRule
from massgen_compat.config import parse
from massgen_compat.config.keys import SECTIONS

PAGE = Path(__file__).parents[2] / "docs" / "background-requests.md"
TABLE = re.compile(
    r"(?<=tests/docs/test_background\.py -->\n).*?(?=<!-- end of rules -->)", re.DOTALL
)


def code(text: str) -> str:
    """Text as code in a cell of a table."""
    shown = text.replace("\n", "⏎").replace("|", "\\|")
    return f"`{shown}`"


def conditions(rule: BackgroundRule) -> Iterator[str]:
    for place, phrase in (
        ("system starts", rule.system_starts_with),
        ("user starts", rule.user_starts_with),
    ):
        if phrase:
            yield f"{place} {code(phrase)}"
    if rule.user_contains:
        yield "contains " + ", ".join(map(code, rule.user_contains))
    if rule.user_ends_with:
        yield f"ends {code(rule.user_ends_with)}"
    if rule.stream is not None:
        yield "a stream" if rule.stream else "no stream"
    if rule.max_tokens:
        yield f"at most {rule.max_tokens} tokens asked for"
    if rule.max_user_messages > 1:
        yield f"at most {rule.max_user_messages} user messages"
    if rule.max_characters:
        yield f"at most {rule.max_characters} characters"


def table() -> str:
    rows = (
        f"| `{rule.name}` | {'; '.join(conditions(rule))} | {rule.source} |\n"
        for rule in BACKGROUND_RULES
    )
    return "| rule | the request (⏎: a new line) | source |\n|---|---|---|\n" + "".join(rows)


def test_the_table_of_rules_is_that_of_the_code() -> None:
    page = PAGE.read_text(encoding="utf-8")
    if os.environ.get("UPDATE_SNAPSHOTS"):
        page = TABLE.sub(lambda _: table(), page)
        PAGE.write_text(page, encoding="utf-8")
    [shown] = TABLE.findall(page)
    assert shown == table()


def test_the_config_of_the_page_is_understood() -> None:
    [shown] = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    agents = "agents:\n- {id: ada, backend: {type: openai}}\n- {id: ben, backend: {type: openai}}\n"
    settings = parse(agents + shown, {}, "team.yaml").team.settings
    assert settings.background_agent == "ben"
    assert [rule.name for rule in settings.background_rules] == ["my-titles", "open-webui-queries"]


def test_the_page_explains_every_key_of_a_rule() -> None:
    page = PAGE.read_text(encoding="utf-8")
    explained = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert explained == set(SECTIONS["massgen_compat.background_rules[]"]) - {"name", "enabled"}
