"""OpenAI's published schemas and recorded exchanges, from the folder beside the project."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

import jsonschema
import pytest

SPEC = Path(__file__).parents[3] / "shared" / "spec"


def _load(name: str) -> dict[str, Any]:
    file = SPEC / name
    if not file.exists():
        pytest.skip(f"../shared/spec/{name} is not here")
    return cast("dict[str, Any]", json.loads(file.read_text(encoding="utf-8")))


class _Validator(Protocol):
    def validate(self, instance: object) -> None: ...


@pytest.fixture(scope="session")
def conforms() -> Callable[[str, object], None]:
    """Raises where a value departs from one of OpenAI's schemas, read as a closed world."""
    definitions = _load("chat_schemas_strict.json")["$defs"]

    @cache
    def validator(name: str) -> _Validator:
        schema = {"$ref": f"#/$defs/{name}", "$defs": definitions}
        return cast("_Validator", jsonschema.Draft202012Validator(schema))

    def check(name: str, value: object) -> None:
        validator(name).validate(value)

    return check


@pytest.fixture(scope="session")
def samples() -> dict[str, dict[str, Any]]:
    """Recorded exchanges of the real API, by name: its chat requests only."""
    recorded = cast("dict[str, dict[str, Any]]", _load("real_openai_samples.json")["samples"])
    return {
        name: sample
        for name, sample in recorded.items()
        if sample["path"].endswith("/chat/completions")
    }
