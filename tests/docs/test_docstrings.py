"""What is public has a docstring that ``pydoc`` can show, and examples in docstrings are right."""

import doctest
import importlib
import inspect
import pkgutil
import pydoc
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

import massgen_compat

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^::: (\S+)$", PAGE, re.MULTILINE)
WITH_EXAMPLES = {
    "massgen_compat._run.message",
    "massgen_compat.policies",
    "massgen_compat.policies.names",
    "massgen_compat._run.team",
    "massgen_compat.errors",
}


def found(name: str) -> Any:
    """What a dotted name stands for."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        above, _, last = name.rpartition(".")
        return getattr(found(above), last)


def members(thing: Any) -> Iterator[tuple[str, Any]]:
    """The public classes, functions, methods and properties of a module or class."""
    for name, member in cast("dict[str, Any]", vars(thing)).items():
        if name.startswith("_"):
            continue
        if isinstance(thing, types.ModuleType):
            own = getattr(member, "__module__", None) == thing.__name__
            if own and isinstance(member, type | types.FunctionType):
                yield name, member
                if isinstance(member, type):
                    yield from members(member)
        elif isinstance(member, property | classmethod | types.FunctionType):
            yield f"{thing.__name__}.{name}", member


def test_the_page_has_every_public_name() -> None:
    shown = {name.removeprefix("massgen_compat.") for name in SHOWN}
    assert set(massgen_compat.__all__) - shown == {"RunEvent"}  # it has a page of its own


@pytest.mark.parametrize("name", SHOWN)
def test_what_the_page_shows_has_docstrings_and_pydoc_can_show_it(name: str) -> None:
    thing = found(name)
    assert inspect.getdoc(thing)
    assert pydoc.render_doc(thing)
    for member, value in members(thing) if not isinstance(thing, types.FunctionType) else ():
        assert inspect.getdoc(value), member


def test_the_examples_in_docstrings_are_right() -> None:
    tried: set[str] = set()
    for module in pkgutil.walk_packages(massgen_compat.__path__, "massgen_compat."):
        if module.name != "massgen_compat.__main__":
            result = doctest.testmod(importlib.import_module(module.name))
            assert not result.failed, module.name
            tried |= {module.name} if result.attempted else set()
    assert tried >= WITH_EXAMPLES
