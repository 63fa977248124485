"""Parses YAML text into a tree of values that know their lines. Pure; only this module uses PyYAML.

A config may be somebody else's file. Therefore tags that build objects, duplicate keys, numbers
that JSON does not have, and small files that become large ones (by aliases, by nesting) are
refused, with the line.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeAlias

import yaml
from yaml.constructor import SafeConstructor

from massgen_compat.errors import ConfigError

MAX_CHARACTERS: Final = 1_000_000
MAX_NODES: Final = 10_000
"""The values in a file; an alias counts as often as it is used. MassGen's largest file has 679."""
MAX_DEPTH: Final = 40

Scalar: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Node:
    """A value and its line, counted from 1: the line of its key, if it has one."""

    line: int
    value: "Scalar | tuple[Node, ...] | Mapping[str, Node]"

    @property
    def fields(self) -> "Mapping[str, Node]":
        """The entries of a mapping; none for any other value."""
        return self.value if isinstance(self.value, Mapping) else {}

    @property
    def items(self) -> "tuple[Node, ...]":
        """The items of a list; none for any other value."""
        return self.value if isinstance(self.value, tuple) else ()

    def plain(self) -> Any:
        """The value as JSON has it, without lines."""
        match self.value:
            case tuple() as items:
                return [item.plain() for item in items]
            case Mapping() as fields:
                return {key: item.plain() for key, item in fields.items()}
            case scalar:
                return scalar


def read_tree(text: str, where: str) -> Node:
    """The tree of YAML text; ``where`` is the file's name in messages.

    Raises ``ConfigError`` for anything but one document that is a mapping of plain values.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(f"longer than {MAX_CHARACTERS} characters", where=where)
    try:
        root = _Composer(text, where).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = ", ".join(each for each in (error.context, error.problem) if each)
        _refuse(where, mark, f"not valid YAML: {problem}")
    except (yaml.YAMLError, ValueError, OverflowError):
        # Beside its own errors, PyYAML lets those of chr() and int() out for absurd escapes.
        raise ConfigError(
            "not valid YAML: a character or an escape that YAML does not have", where=where
        ) from None
    if root is None:
        raise ConfigError("the file is empty", where=where)
    tree = _Conversion(where).convert(root, root.start_mark.line + 1, 0)
    if not isinstance(tree.value, Mapping):
        _refuse(where, root.start_mark, "a config is a mapping with `agents` in it")
    return tree


def _refuse(where: str, mark: yaml.Mark | None, problem: str) -> NoReturn:
    raise ConfigError(problem, where=f"{where}:{mark.line + 1}" if mark else where)


class _Composer(yaml.SafeLoader):
    """Composes nodes within the bounds. Composing recurses: a deep nest would exhaust the stack."""

    def __init__(self, text: str, where: str) -> None:
        super().__init__(text)
        self._where = where
        self._depth = 0
        self._nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._nodes += 1
        self._depth += 1
        mark = parent.start_mark if parent else None
        _check_size(self._where, mark, nodes=self._nodes, depth=self._depth)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _check_size(where: str, mark: yaml.Mark | None, *, nodes: int, depth: int) -> None:
    if nodes > MAX_NODES:
        _refuse(where, mark, f"more than {MAX_NODES} values, repeated ones counted")
    if depth > MAX_DEPTH:
        _refuse(where, mark, f"nested deeper than {MAX_DEPTH} levels")


class _Conversion:
    """One walk over the composed nodes, from PyYAML's to ours.

    It counts again: the composer counts an alias once, and here its values are copied each time.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._nodes = 0

    def convert(self, node: yaml.Node, line: int, depth: int) -> Node:
        self._nodes += 1
        _check_size(self._where, node.start_mark, nodes=self._nodes, depth=depth)
        match node:
            case yaml.ScalarNode():
                return Node(line, self._scalar(node))
            case yaml.SequenceNode(tag="tag:yaml.org,2002:seq", value=items):
                return Node(
                    line,
                    tuple(self.convert(item, _line(item), depth + 1) for item in items),
                )
            case yaml.MappingNode(tag="tag:yaml.org,2002:map"):
                return Node(line, self._fields(node, depth))
            case _:
                _refuse(self._where, node.start_mark, f"the tag {_shown(node.tag)} is not allowed")

    def _fields(self, node: yaml.MappingNode, depth: int) -> dict[str, Node]:
        own: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                merged |= self._merged(value, depth + 1)
                continue
            name = self._name(key)
            if name in own:
                problem = f"the key {_shown(name)} stands twice in one mapping"
                _refuse(self._where, key.start_mark, f"{problem}; only one could count")
            own[name] = self.convert(value, _line(key), depth + 1)
        return merged | own

    def _merged(self, node: yaml.Node, depth: int) -> dict[str, Node]:
        """The keys that ``<<`` brings in: of a mapping, or of a list of them; earlier ones win."""
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Node] = {}
        for source in sources:
            fields = self.convert(source, _line(source), depth)
            if not isinstance(fields.value, Mapping):
                _refuse(self._where, source.start_mark, "`<<` can only merge mappings")
            merged = {**fields.value, **merged}
        return merged

    def _name(self, key: yaml.Node) -> str:
        if not isinstance(key, yaml.ScalarNode):
            _refuse(self._where, key.start_mark, "a key must be plain text")
        return self._text(key)

    def _scalar(self, node: yaml.ScalarNode) -> Scalar:
        read = _SCALARS.get(node.tag)
        if read is None:
            _refuse(self._where, node.start_mark, f"the tag {_shown(node.tag)} is not allowed")
        try:
            value = read(node)
        except (ValueError, LookupError):
            _refuse(self._where, node.start_mark, f"no value of the tag {_shown(node.tag)}")
        if isinstance(value, float) and not math.isfinite(value):
            _refuse(self._where, node.start_mark, "a number must be finite")
        return self._text(node) if isinstance(value, str) else value

    def _text(self, node: yaml.ScalarNode) -> str:
        try:
            node.value.encode()
        except UnicodeEncodeError:
            _refuse(self._where, node.start_mark, "half of a surrogate pair is no text")
        return node.value


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1


def _shown(text: str) -> str:
    return repr(text[:64])


_YAML: Final = SafeConstructor()


def _as_text(node: yaml.ScalarNode) -> str:
    return node.value


_SCALARS: Final[Mapping[str, Callable[[yaml.ScalarNode], Scalar]]] = {
    "tag:yaml.org,2002:str": _as_text,
    # A date is text here: JSON has none. So is `=`, which YAML 1.1 gives a tag of its own.
    "tag:yaml.org,2002:timestamp": _as_text,
    "tag:yaml.org,2002:value": _as_text,
    "tag:yaml.org,2002:merge": _as_text,
    "tag:yaml.org,2002:null": lambda _: None,
    "tag:yaml.org,2002:bool": _YAML.construct_yaml_bool,
    "tag:yaml.org,2002:int": _YAML.construct_yaml_int,
    "tag:yaml.org,2002:float": _YAML.construct_yaml_float,
}
