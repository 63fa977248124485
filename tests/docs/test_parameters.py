"""The page on parameters: its table is that of the code, and the code's is complete.

``UPDATE_SNAPSHOTS=1 pytest tests/docs/test_parameters.py`` writes the table anew.
"""

import inspect
import json
import os
import re
from pathlib import Path

from openai.resources.chat.completions import AsyncCompletions, Completions

from massgen_compat.protocol.chat.request import ChatPayload
from massgen_compat.protocol.parameters import PARAMETERS, Level, Parameter

PAGE = Path(__file__).parents[2] / "docs" / "parameters.md"
TABLE = re.compile(
    r"(?<=tests/docs/test_parameters\.py -->\n).*?(?=<!-- end of parameters -->)", re.DOTALL
)
WHO: dict[Level, str] = {
    "server": "server",
    "every_agent": "every agent",
    "presenter": "presenter",
    "ignored": "ignored",
    "refused": "**refused**",
}
OF_THE_TRANSPORT = {"self", "extra_headers", "extra_query", "extra_body", "timeout"}
"""Arguments of the SDK that are no part of a body."""


def line(row: Parameter) -> str:
    neutral = ", ".join(f"`{json.dumps(value)}`" for value in row.neutral)
    note = row.note.removesuffix(".")
    return f"| `{row.name}` | {WHO[row.level]} | {note} | {neutral} |\n"


def table() -> str:
    head = (
        "| parameter | who honours it | how, or why not | asks for nothing |\n|---|---|---|---|\n"
    )
    return head + "".join(map(line, sorted(PARAMETERS, key=lambda row: row.name)))


def test_the_table_of_parameters_is_that_of_the_code() -> None:
    page = PAGE.read_text(encoding="utf-8")
    if os.environ.get("UPDATE_SNAPSHOTS"):
        page = TABLE.sub(lambda _: table(), page)
        PAGE.write_text(page, encoding="utf-8")
    found = TABLE.search(page)
    assert found is not None, "the page has lost the marks of its table"
    assert found[0] == table()


def test_the_table_has_every_argument_of_the_installed_sdk() -> None:
    rows = {row.name for row in PARAMETERS}
    for create in (Completions.create, AsyncCompletions.create):
        arguments = set(inspect.signature(create).parameters) - OF_THE_TRANSPORT
        assert arguments - rows == set()


def test_every_parameter_that_is_parsed_has_a_row() -> None:
    assert set(ChatPayload.model_fields) - {"massgen"} <= {row.name for row in PARAMETERS}


def test_a_note_is_one_short_line() -> None:
    for row in PARAMETERS:
        assert 0 < len(row.note) < 100
        assert "\n" not in row.note
        assert "|" not in row.note
