"""The pages on clients, and all documents' links: what they name is there, what they show works."""

import json
import re
import runpy
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from massgen_compat._run.background_rules import BACKGROUND_RULES
from massgen_compat.cli.doctor.findings import CHECKS
from massgen_compat.cli.server import serving
from massgen_compat.config.report import check_text
from tests.cli.doctor.endpoints import team
from tests.processes import run

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "integrations"
CLIENTS = sorted(path for path in PAGES.glob("*.md") if path.name != "README.md")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
HERE = [PAGES / "README.md", ROOT / "docs" / "doctor.md", *CLIENTS]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


pages = pytest.mark.parametrize("page", HERE, ids=named)
clients = pytest.mark.parametrize("page", CLIENTS, ids=named)


@dataclass(frozen=True)
class Block:
    language: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL):
        yield Block(match[1], match[2])


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)


def spans(page: Path) -> list[str]:
    return re.findall(r"`([^`\n]+)`", prose(page))


# Links


def anchors(page: Path) -> set[str]:
    """The anchors of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading).strip().lower() for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", DOCUMENTS, ids=named)
def test_every_link_inside_the_project_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", prose(page))
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


# The index, and what a page has


def test_the_index_has_every_page_and_every_page_is_there() -> None:
    rows = re.findall(r"^\| \[[^\]]+\]\(([^)]+)\) \|", text_of(PAGES / "README.md"), re.MULTILINE)
    assert sorted(rows) == [page.name for page in CLIENTS]


@clients
def test_a_page_has_settings_and_what_to_expect_and_what_can_go_wrong(page: Path) -> None:
    sections = re.findall(r"^## (.+)$", text_of(page), re.MULTILINE)
    assert sections == ["Settings", "What to expect", "What can go wrong"]
    assert any("4000" in block.text for block in blocks(page))
    wrong = text_of(page).partition("## What can go wrong\n")[2]
    assert wrong.lstrip().startswith("| symptom | fix |\n|---|---|\n|")


def pins() -> set[tuple[str, str]]:
    """The versions at which ``make test-clients`` runs each client."""
    found = {
        (package, version)
        for path in (ROOT / "tests" / "clients" / "node").glob("*/package.json")
        for package, version in json.loads(text_of(path))["dependencies"].items()
    }
    for path in (ROOT / "tests" / "clients" / "python").glob("*.in"):
        lines = [re.sub(r"\[.*\]", "", line) for line in text_of(path).splitlines()]
        found |= {(name, version) for name, _, version in (line.partition("==") for line in lines)}
    return found


@clients
def test_a_page_says_how_it_was_tested_and_at_which_version(page: Path) -> None:
    status = text_of(page).split("\n\n")[1]
    assert status.startswith("Status: ")
    versions = re.findall(r"`([^`]+)` ([\d.]+\d)", status)
    if "make test-clients" in status:
        assert versions
        assert set(versions) <= pins()
        assert "(../clients.md)" in status
    else:
        assert "not run" in status
        assert not versions


# What a page shows


@pages
def test_every_block_is_what_it_says(page: Path) -> None:
    for block in blocks(page):
        match block.language:
            case "json":
                json.loads(block.text)
            case "yaml":
                assert yaml.safe_load(block.text)
            case "python":
                compile(block.text, named(page), "exec")
            case language:
                assert language in {"sh", "js", "ts", "nginx"}


AGENTS = "agents: [{id: ada, backend: {type: openai, model: gpt-5.2}}]\n"


def teams(page: Path) -> Iterator[str]:
    """The teams' configs of a page: whole ones, and settings that stand in the text."""
    for block in blocks(page):
        if block.language == "yaml" and block.text.startswith(("agents:", "massgen_compat:")):
            yield block.text if "agents:" in block.text else AGENTS + block.text
    for span in spans(page):
        if span.startswith("massgen_compat:"):
            yield AGENTS + span


@pages
def test_every_setting_of_a_team_is_one_that_is_honoured(page: Path) -> None:
    for config in teams(page):
        report = check_text(config, {}, "team.yaml")
        assert report.ok, report.text()
        assert not report.counts["ignored"], report.text()


def test_settings_are_found_where_they_stand() -> None:
    assert len(list(teams(PAGES / "cursor.md"))) == 1
    assert len(list(teams(PAGES / "README.md"))) == 3


@pages
def test_every_rule_that_is_named_is_a_rule(page: Path) -> None:
    told = re.findall(r"\(rules? ([^)]+)\)", prose(page))
    rules = [rule for each in told for rule in re.findall(r"`([^`]+)`", each)]
    assert set(rules) <= {rule.name for rule in BACKGROUND_RULES}


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    commands = ("serve", "doctor", "check", "run")
    return {
        each: run([sys.executable, "-m", "massgen_compat", each, "--help"]).out for each in commands
    }


@pages
def test_every_command_and_its_options_are_there(page: Path, helps: dict[str, str]) -> None:
    shown = [
        line for block in blocks(page) if block.language == "sh" for line in block.text.split("\n")
    ]
    for line in [*shown, *spans(page)]:
        if found := re.search(r"massgen-compat (\w+)(.*)", line):
            for option in re.findall(r"--[a-z-]+", found[2]):
                assert option in helps[found[1]], line
    for name in re.findall(r"MASSGEN_COMPAT_\w+", text_of(page)):
        assert re.search(rf"{name}\b", "".join(helps.values())), name


@pytest.mark.parametrize(
    "block",
    [block.text for block in blocks(PAGES / "openai-sdk.md") if block.language == "python"],
    ids=["streamed", "whole"],
)
def test_the_programs_for_the_sdk_run(
    block: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(team(keys=["YOUR_KEY"])) as url:
        script = tmp_path / "program.py"
        script.write_text(block.replace("http://127.0.0.1:4000", url), encoding="utf-8")
        namespace: dict[str, Any] = runpy.run_path(str(script))
        namespace["client"].close()
    told = capsys.readouterr().out
    assert "number 30\n" in told
    assert told.endswith(("70 tokens\n", "number 30\n\na\n"))


def test_the_doctors_page_has_every_check() -> None:
    table = text_of(ROOT / "docs" / "doctor.md").partition("## What is checked\n")[2]
    assert re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE) == list(CHECKS)
