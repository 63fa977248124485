"""The reference pages say what the code says, and the code has nothing that they do not name.

``UPDATE_SNAPSHOTS=1 pytest tests/docs/test_references.py`` writes what is generated anew.
"""

import ast
import inspect
import os
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

import massgen_compat
from massgen_compat._client.massgen import MassGen
from massgen_compat._run.team import Agent, Backend, Escalation, Limits, TeamSettings, Timeouts
from massgen_compat.asgi import create_app
from massgen_compat.config.keys import SECTIONS
from massgen_compat.protocol.errors import ERRORS
from tests.docs.codes import CODES
from tests.docs.generated import GENERATED, commands, place

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SOURCES = sorted(Path(massgen_compat.__file__).parent.rglob("*.py"))


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "part"), GENERATED, ids=["/".join(each) for each in GENERATED])
def test_a_generated_part_is_what_the_code_says(name: str, part: str) -> None:
    text, made = page(name), GENERATED[name, part]()
    if os.environ.get("UPDATE_SNAPSHOTS"):
        text = place(part).sub(lambda _: made, text)
        (DOCS / name).write_text(text, encoding="utf-8")
    [found] = place(part).findall(text)
    assert found == made


# Codes


def raised_codes() -> Iterator[tuple[str, Path]]:
    """The literal ``code=...`` of every call in the package that makes an error."""
    for path in SOURCES:
        if {"doctor", "scripted"} & set(path.parts):
            continue  # those are about other servers' errors
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.keyword(arg="code", value=ast.Constant(value=str(code))):
                    yield code, path
                case _:
                    pass


BUILT = {
    *(
        f"{number}_{side}_value"
        for number in ("integer", "decimal")
        for side in ("above_max", "below_min")
    ),
    *(f"{noun}_above_max_length" for noun in ("string", "array")),
    *(f"empty_{noun}" for noun in ("string", "array")),
}
"""Codes that ``protocol.validation`` puts together; ``tests/protocol`` has a request for each."""


def test_every_code_that_is_raised_is_explained_and_none_else() -> None:
    raised = {code for code, _ in raised_codes()}
    assert raised | BUILT | {row.code for row in ERRORS.values() if row.code} == set(CODES)


def test_a_code_of_an_error_class_has_its_status() -> None:
    for row in ERRORS.values():
        if row.code:
            assert CODES[row.code].status == row.status, row.code


# Settings: documented is read, and read is documented


def test_every_field_of_a_teams_settings_is_a_key_of_the_configuration() -> None:
    keys = {name for section in SECTIONS.values() for name in section}
    for kind in (TeamSettings, Escalation, Limits, Timeouts):
        nested = (
            {"escalation", "limits", "massgen", "timeouts"} if kind is TeamSettings else set[str]()
        )
        assert {field.name for field in fields(kind)} - nested <= keys


@pytest.mark.parametrize("kind", [TeamSettings, Agent, Backend, Escalation, Limits, Timeouts])
def test_every_field_is_on_the_page_of_the_configuration(kind: type) -> None:
    text = page("configuration.md")
    for field in fields(kind):
        assert f"`{field.name}`" in text or f".{field.name}`" in text, field.name


def test_every_key_of_a_config_is_on_its_page() -> None:
    text = page("configuration.md")
    for section in SECTIONS.values():
        for name in section:
            assert f"`{name}`" in text, name


def test_every_flag_is_on_its_page() -> None:
    text = page("cli.md")
    for name, parser in commands().items():
        assert f"## {name}\n" in text
        for action in parser._actions:
            for flag in action.option_strings:
                assert flag in text or flag in {"-h", "--help"}, flag


def arguments(function: object) -> list[str]:
    signature = inspect.signature(function)  # pyright: ignore[reportArgumentType]
    return [name for name in signature.parameters if name not in {"self", "massgen"}]


@pytest.mark.parametrize("name", arguments(create_app))
def test_every_argument_of_create_app_is_explained(name: str) -> None:
    assert f"``{name}``" in (create_app.__doc__ or "")
    assert f"| `{name}` |" in page("serving.md")
    explained = page("serving.md").partition("## What each setting does")[2]
    assert f"`{name}`" in explained


@pytest.mark.parametrize("name", arguments(MassGen.__init__))
def test_every_argument_of_massgen_is_explained(name: str) -> None:
    assert f"``{name}``" in (MassGen.__doc__ or "")
    assert f"`{name}`" in page("embedding.md")
