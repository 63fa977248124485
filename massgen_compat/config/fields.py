"""Typed reads of a mapping's keys, with errors that name the file, the line and the key. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from types import UnionType
from typing import Any, NoReturn

from massgen_compat.config.tree import Node
from massgen_compat.errors import ConfigError, did_you_mean

LONGEST_SECONDS = 1e9
MOST_DOLLARS = 1e9


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping at a path of a file; absent and null keys read as ``None``.

    Every method raises ``ConfigError`` for a value of another type or range than it promises.
    """

    node: Node
    path: str
    where: str

    def node_of(self, key: str) -> Node | None:
        """The value with its line, if it is there and not null."""
        node = self.node.fields.get(key)
        return None if node is None or node.value is None else node

    def inner(self, key: str) -> "Fields":
        """A mapping under a key; an absent one is empty."""
        node = self.node_of(key) or Node(self.node.line, {})
        return Fields(node, f"{self.path}.{key}" if self.path else key, self.where)

    def text(self, key: str) -> str | None:
        """Text; blank text counts as absent, and a whole number as its digits."""
        value = self._value(key, str | int, "must be text")
        return None if value is None or not str(value).strip() else str(value)

    def flag(self, key: str) -> bool | None:
        """True or false."""
        return self._value(key, bool, "must be true or false")

    def whole(self, key: str) -> int | None:
        """A whole number, 1 or more."""
        problem = "must be a whole number, 1 or more"
        value = self._value(key, int, problem)
        if value is not None and value < 1:
            self.refuse(key, problem)
        return value

    def seconds(self, key: str, *, least: float = 0.001) -> float | None:
        """A number of seconds."""
        return self._amount(key, least, LONGEST_SECONDS, "seconds")

    def dollars(self, key: str, *, least: float = 0.0) -> float | None:
        """An amount of US dollars."""
        return self._amount(key, least, MOST_DOLLARS, "US dollars")

    def _amount(self, key: str, least: float, most: float, unit: str) -> float | None:
        value = self._value(key, int | float, f"must be a number of {unit}")
        if value is None:
            return None
        if not least <= value <= most:
            self.refuse(key, f"must be from {least:g} to {most:g} {unit}")
        return float(value)

    def _value(self, key: str, kind: type | UnionType, problem: str) -> Any:
        """The value, if it is there; true and false are no numbers and no text."""
        node = self.node_of(key)
        if node is None:
            return None
        if not isinstance(node.value, kind) or (isinstance(node.value, bool) and kind is not bool):
            self.refuse(key, problem)
        return node.value

    def choice(self, key: str, allowed: Iterable[str]) -> str | None:
        """One of the allowed words."""
        node = self.node_of(key)
        if node is None:
            return None
        names = tuple(allowed)
        if not isinstance(node.value, str) or node.value not in names:
            hint = did_you_mean(node.value, names)
            self.refuse(key, f"must be one of {', '.join(names)}{hint}")
        return node.value

    def choices(self, key: str, allowed: Iterable[str]) -> tuple[str, ...] | None:
        """A list of the allowed words, as it stands."""
        node = self.node_of(key)
        if node is None:
            return None
        names = tuple(allowed)
        if not isinstance(node.value, tuple):
            self.refuse(key, f"must be a list of {', '.join(names)}")
        words = tuple(item.value for item in node.items)
        for word in words:
            if word not in names:
                hint = did_you_mean(word, names)
                self.refuse(key, f"must be a list of {', '.join(names)}{hint}")
        return tuple(str(word) for word in words)

    def refuse(self, key: str | None, problem: str) -> NoReturn:
        """Raise for a key of this mapping, or for the mapping itself."""
        path = ".".join(part for part in (self.path, key) if part)
        node = self.node.fields.get(key, self.node) if key else self.node
        at = f"{self.where}:{node.line}"
        raise ConfigError(f"`{path}` {problem}" if path else problem, where=at, key=path or None)
