"""What the models of the wire are made of: the base, and ways to choose a variant of a union.

Tags begin with ``~``; ``validation`` takes them out of the paths of errors. The messages of the
errors made here are data for it: what would have been right, not yet a sentence.
"""

from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator
from pydantic_core import PydanticCustomError


class WireModel(BaseModel):
    """A JSON object of a request. Keys that it does not know are dropped."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, allow_inf_nan=False)


def by_key(key: str, *values: str) -> Discriminator:
    """Choose a variant by the string under ``key``: the tag of ``"text"`` is ``~text``."""
    known = frozenset(values)

    def tag(value: object) -> str | None:
        found = cast("Mapping[str, Any]", value).get(key) if isinstance(value, Mapping) else None
        return f"~{found}" if isinstance(found, str) and found in known else None

    expected = " ".join((key, *values))
    return Discriminator(tag, custom_error_type="no_variant", custom_error_message=expected)


def by_type(expected: str, **tags: type) -> Discriminator:
    """Choose a variant by the value's type; ``expected`` names the types in an error."""
    kinds = tuple((f"~{name}", kind) for name, kind in tags.items())

    def tag(value: object) -> str | None:
        return next((name for name, kind in kinds if isinstance(value, kind)), None)

    return Discriminator(tag, custom_error_type="no_type", custom_error_message=expected)


def at_most(limit: int) -> BeforeValidator:
    """Bound the size of an object before its values are looked at, and reported, one by one."""

    def check(value: object) -> object:
        size = len(cast("Mapping[str, Any]", value)) if isinstance(value, Mapping) else 0
        if size > limit:
            raise PydanticCustomError("too_many_properties", "{limit}", {"limit": limit})
        return cast("object", value)

    return BeforeValidator(check)
