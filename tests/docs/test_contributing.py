"""CONTRIBUTING.md answers a newcomer's questions with files that are there, and has every room."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from massgen_compat import errors as error_classes
from massgen_compat.errors import InvalidRequest
from massgen_compat.protocol import errors
from tests.docs.blocks import PAGES, ROOT, named
from tests.test_layers import MODULES, ROOMS

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
QUESTIONS = [
    "What can I import?",
    "Why did agent 2 start again?",
    "Where is this 400 made?",
    "Which events exist?",
    "How do I add a policy?",
    "How do I change a detail of SSE?",
    "How do I use it without HTTP?",
    "Who cancels agents?",
]
PATH = re.compile(r"(?<![\w./-])(?:massgen_compat|tests|benchmarks|docs|configs)(?:/[\w.-]*\w)+")


def rows(heading: str) -> list[list[str]]:
    """The rows of the table below a heading, without its head."""
    section = TEXT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_each_question_is_answered_by_one_file() -> None:
    table = rows("Where is it")
    assert [question for question, _, _ in table] == QUESTIONS
    for _, file, _ in table:
        assert (ROOT / file.strip("`")).is_file(), file


def test_every_room_has_a_line_in_its_order() -> None:
    names = ["massgen_compat" if room == "" else room for room in ROOMS]
    assert [name.strip("`") for name, _ in rows("The rooms")] == names


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_path_of_the_repository_that_a_page_names_is_there(page: Path) -> None:
    for path in PATH.findall(page.read_text(encoding="utf-8")):
        assert (ROOT / path).exists() or path.startswith("docs/picture"), path


def test_the_way_of_a_request_leads_through_modules_that_are_there() -> None:
    section = TEXT.partition("## The way of a request\n")[2].partition("\n## ")[0]
    for path in re.findall(r"`([\w/]+(?:\.py|/\w+))`", section):
        assert (ROOT / "massgen_compat" / path).exists(), path


def test_every_module_and_test_that_the_page_on_security_names_is_there() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    for path in set(re.findall(r"`([\w/]+\.py)`", page)):
        assert any((ROOT / root / path).is_file() for root in ("tests", "massgen_compat")), path


REFUSALS = {
    name
    for name, kind in vars(error_classes).items()
    if isinstance(kind, type) and issubclass(kind, InvalidRequest)
}
"""Classes of errors that are about the request."""


def refusing() -> Iterator[str]:
    """The modules that make such an error for a client, as the table names them."""
    for module, path in MODULES.items():
        place = module.removeprefix("massgen_compat.")
        if place.split(".")[0] in {"testing", "errors"}:
            continue  # a scripted provider refuses requests of its own
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id=name)) if name in REFUSALS:
                    yield place.removeprefix("protocol.")
                case _:
                    pass


def test_the_table_of_errors_names_every_module_that_refuses_a_request() -> None:
    lines = [line for line in (errors.__doc__ or "").splitlines() if line.startswith("    ")]
    told = {name for line in lines for name in re.findall(r"[\w.]+", line.split("  ")[-1])}
    assert set(refusing()) <= told
