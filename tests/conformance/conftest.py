"""The stage that all tables share, and OpenAI's schemas read as a closed world."""

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

import jsonschema
import pytest

from tests.conformance.stage import Stage, stage


@pytest.fixture(scope="session")
def served() -> Iterator[Stage]:
    """Teams of one and of three agents for every script, quiet and without keys."""
    with stage() as each:
        yield each


class _Validator(Protocol):
    """What is used of a validator; jsonschema's own types are incomplete here."""

    def iter_errors(self, instance: object, /) -> Iterator[jsonschema.ValidationError]: ...


@pytest.fixture(scope="session")
def conforms(shared: Callable[[str], Path]) -> Callable[[str, object], None]:
    """Raises where a value departs from the schema of that name, unknown keys included."""
    text = shared("spec/chat_schemas_strict.json").read_text(encoding="utf-8")
    definitions: Any = json.loads(text)["$defs"]

    @cache
    def validator(name: str) -> _Validator:
        schema = {"$ref": f"#/$defs/{name}", "$defs": definitions}
        return cast("_Validator", jsonschema.Draft202012Validator(schema))

    def check(name: str, value: object) -> None:
        faults = [f"{f.json_path}: {f.message}" for f in validator(name).iter_errors(value)]
        assert faults == [], value

    return check


@pytest.fixture(scope="session")
def samples(shared: Callable[[str], Path]) -> dict[str, dict[str, Any]]:
    """The recorded exchanges of the real API, by name."""
    text = shared("spec/real_openai_samples.json").read_text(encoding="utf-8")
    return json.loads(text)["samples"]
