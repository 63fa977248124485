"""The base class of the models that check requests, and ways to choose a variant of a union.

The tags of variants begin with ``~``, so that ``validation`` can take them out of the paths of
errors. The messages of errors that are made here are not sentences: they say what would have been
right, and ``validation`` makes a sentence of it.
"""

from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator
from pydantic_core import PydanticCustomError


class WireModel(BaseModel):
    """A JSON object of a request. Types are strict, and keys without a field are dropped."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, allow_inf_nan=False)


def by_key(key: str, *values: str) -> Discriminator:
    """Choose a variant by the string under ``key``, one of ``values``; ``text`` has the tag
    ``~text``."""
    known = frozenset(values)

    def tag(value: object) -> str | None:
        found = cast("Mapping[str, Any]", value).get(key) if isinstance(value, Mapping) else None
        return f"~{found}" if isinstance(found, str) and found in known else None

    expected = " ".join((key, *values))
    return Discriminator(tag, custom_error_type="no_variant", custom_error_message=expected)


def by_type(expected: str, **tags: type) -> Discriminator:
    """Choose a variant by the value's Python type; an error names the types by ``expected``."""
    kinds = tuple((f"~{name}", kind) for name, kind in tags.items())

    def tag(value: object) -> str | None:
        return next((name for name, kind in kinds if isinstance(value, kind)), None)

    return Discriminator(tag, custom_error_type="no_type", custom_error_message=expected)


def at_most(limit: int) -> BeforeValidator:
    """Bound the number of an object's members, before pydantic checks each of them."""

    def check(value: object) -> object:
        size = len(cast("Mapping[str, Any]", value)) if isinstance(value, Mapping) else 0
        if size > limit:
            raise PydanticCustomError("too_many_properties", "{limit}", {"limit": limit})
        return cast("object", value)

    return BeforeValidator(check)
