"""Typed reads of a mapping's keys, with errors that name the file, the line and the key. Pure.

An absent key and a null one are the same, as they are in MassGen's configs.
"""

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
    """A mapping, its path in the file (empty for the root), and the file's name (``where``).

    A method returns ``None`` for an absent or null key, and raises ``ConfigError`` for a value of
    another type or range than its docstring says.
    """

    node: Node
    path: str
    where: str

    def node_of(self, key: str) -> Node | None:
        """The value with its line; ``None`` if it is absent or null."""
        node = self.node.fields.get(key)
        return None if node is None or node.value is None else node

    def inner(self, key: str) -> "Fields":
        """The mapping under a key; an empty one where the key is absent or no mapping."""
        node = self.node_of(key) or Node(self.node.line, {})
        return Fields(node, f"{self.path}.{key}" if self.path else key, self.where)

    def text(self, key: str) -> str | None:
        """A text. Blank text counts as absent, and a whole number is read as its digits."""
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
        """A number of seconds, from ``least`` to ``LONGEST_SECONDS``."""
        return self._amount(key, least, LONGEST_SECONDS, "seconds")

    def dollars(self, key: str, *, least: float = 0.0) -> float | None:
        """An amount of US dollars, from ``least`` to ``MOST_DOLLARS``."""
        return self._amount(key, least, MOST_DOLLARS, "US dollars")

    def _amount(self, key: str, least: float, most: float, unit: str) -> float | None:
        value = self._value(key, int | float, f"must be a number of {unit}")
        if value is None:
            return None
        if not least <= value <= most:
            self.refuse(key, f"must be from {least:g} to {most:g} {unit}")
        return float(value)

    def _value(self, key: str, kind: type | UnionType, problem: str) -> Any:
        """The value, if it is there. True and false are no numbers here, as they are in Python."""
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
        """A list of the allowed words, in the file's order; repetitions are kept."""
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
        """Raise ``ConfigError`` for a key, or with ``None`` for the mapping itself."""
        path = ".".join(part for part in (self.path, key) if part)
        node = self.node.fields.get(key, self.node) if key else self.node
        at = f"{self.where}:{node.line}"
        raise ConfigError(f"`{path}` {problem}" if path else problem, where=at, key=path or None)
