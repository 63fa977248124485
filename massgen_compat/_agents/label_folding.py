"""Near misses of labels, argument names and tool names, and what they stand for. Pure.

Small models write ``{"agent": "Agent 2"}`` or call ``cast_vote``: where exactly one label or one
tool can be meant, that is what is meant.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

from massgen_compat._run.message import Tool

LONGEST_LABEL: Final = 120
"""Characters of a text that may still name an agent."""

VOTE_KEY: Final = "agent_id"
ANSWER_KEY: Final = "content"


def words(text: str) -> frozenset[str]:
    """The words of a text: a long list of short literals, readable."""
    return frozenset(text.split())


SYNONYMS: Final[Mapping[str, frozenset[str]]] = {
    VOTE_KEY: words(
        "agentid agent agentname agentlabel id label target targetid targetagent targetagentid "
        "answer answerid answerlabel choice chosen chosenagent choose vote votefor voted votedfor "
        "votedagent voteagentid selected selectedagent selection winner best bestagent bestanswer "
        "candidate pick"
    ),
    ANSWER_KEY: words(
        "content answer text newanswer response finalanswer message output body answertext "
        "newcontent"
    ),
    "reason": words(
        "reason reasons reasoning explanation why rationale justification because motivation"
    ),
    "evaluations": words("evaluations evaluation"),
    "scores": words("scores score"),
}
"""What models call the arguments, in lower case and without anything but letters."""

_FILLERS: Final = words(
    "the answer answers of from by s submitted response draft number nr die antwort von"
)
_NUMBERS: Final = {
    word: index
    for index, word in enumerate(
        ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine"), 1
    )
}
_WORD: Final = re.compile(r"[^\W\d_]+|\d+")
_DECIMAL: Final = re.compile(r"(\d)\.\d{1,3}(?!\d)")


def folded_label(given: object, labels: Sequence[str]) -> str | None:
    """The one label that is meant: by "Agent 2", "agent_2", "#2", "2", 2, "agent2.1".

    ``agent2.1`` is how MassGen numbers an agent's answers. None where no label fits, or several.
    """
    return _folded(given, labels, named=False)


def named_label(given: object, labels: Sequence[str]) -> str | None:
    """The same, but a number alone is no label."""
    return _folded(given, labels, named=True)


def _folded(given: object, labels: Sequence[str], *, named: bool) -> str | None:
    if isinstance(given, bool) or given is None:
        return None
    if isinstance(given, float):
        if not given.is_integer() or abs(given) > 1e6:
            return None
        given = int(given)
    if isinstance(given, int):
        if named or not 0 <= given < 10**6:
            return None
        given = str(given)
    if not isinstance(given, str) or len(given) > LONGEST_LABEL:
        return None
    if given.strip() in labels:
        return given.strip()
    wanted = _parts(given)
    if not wanted:
        return None
    fits = {label for label in labels if wanted == (parts := _parts(label)) and parts}
    if not fits and not named and len(wanted) == 1 and isinstance(wanted[0], int):
        fits = {label for label in labels if _parts(label)[-1:] == wanted}
    return fits.pop() if len(fits) == 1 else None


def _parts(text: str) -> tuple[str | int, ...]:
    """The words and numbers of a label, without fillers: ``("agent", 2)``."""
    plain = unicodedata.normalize("NFKC", text[:LONGEST_LABEL]).casefold()
    found = cast("list[str]", _WORD.findall(_DECIMAL.sub(r"\1", plain)))
    kept = [word for word in found if word not in _FILLERS] if len(found) > 1 else found
    parts = [_NUMBERS.get(word, word) if index else word for index, word in enumerate(kept)]
    return tuple(
        int(part) if isinstance(part, str) and part.isdecimal() else part for part in parts
    )


def folded_key(key: str) -> str:
    """An argument's or a tool's name in lower case, letters and digits only."""
    return "".join(char for char in key[:80].casefold() if char.isalnum())


def labels_of(tool: Tool) -> list[str]:
    """The labels that a tool's schema lists for ``agent_id``."""
    return _enum(_properties(tool.parameters).get(VOTE_KEY))


def known_keys(tool: Tool) -> set[str]:
    """Every name under which an argument of the tool may come."""
    names = set(_properties(tool.parameters))
    return names.union(*(SYNONYMS.get(name, frozenset()) for name in names))


def normalised(arguments: Mapping[str, Any], tool: Tool) -> dict[str, Any]:
    """The arguments under the names of the tool's schema, with labels as the schema lists them.

    What is not understood stays as it is.
    """
    fitted = _fitted(_renamed(arguments, _properties(tool.parameters)), tool.parameters, 0)
    return cast("dict[str, Any]", fitted)


def _renamed(arguments: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    """An exact name wins; a synonym counts where it is the only one for its argument."""
    taken = {key for key in arguments if key in properties}
    meant: dict[str, list[str]] = {}
    for key in arguments:
        for name in properties:
            if key not in taken and name not in taken and _means(key, name):
                meant.setdefault(name, []).append(key)
    names: dict[str, str] = {}
    for name, keys in meant.items():
        labels = _enum(properties[name])
        exact = (
            [key for key in keys if folded_key(key) == folded_key(name)]
            or [key for key in keys if named_label(arguments[key], labels)]
            or keys
        )
        values = [arguments[key] for key in exact]
        same = len(exact) == 1 or all(isinstance(each, str) for each in values)
        if same and all(each == values[0] for each in values[1:]) and exact[0] not in names:
            names[exact[0]] = name
    return {names.get(key, key): value for key, value in arguments.items()}


def _means(key: str, name: str) -> bool:
    folded = folded_key(key)
    return folded == folded_key(name) or folded in SYNONYMS.get(name, ())


def _fitted(value: object, schema: Mapping[str, Any], depth: int) -> object:
    """Fold labels wherever the schema lists them, as values or as the names of properties."""
    if depth > 4:
        return value
    if isinstance(value, Mapping):
        given = cast("Mapping[str, Any]", value)
        properties = _properties(schema)
        names = list(properties)
        fitted: dict[str, Any] = {}
        for key, each in given.items():
            name = key if key in properties else named_label(key, names) or key
            if name != key and (name in given or name in fitted):
                name = key
            fitted[name] = _fitted(each, _mapping(properties.get(name)), depth + 1)
        return fitted
    if isinstance(value, list):
        items = _mapping(schema.get("items"))
        return [_fitted(each, items, depth + 1) for each in cast("list[object]", value)]
    if labels := _enum(schema):
        return folded_label(value, labels) or value
    return value


def fitting_tool(name: str, arguments: Mapping[str, Any], offered: Sequence[Tool]) -> Tool | None:
    """The offered tool that a call means, by its name or, where that is unknown, by its arguments.

    Of tools that are not offered it takes every name: leave out calls of other tools that exist.
    A name without a word of the tool's own (``submit``) needs exactly the tool's arguments.
    """
    if tool := named_tool(name, offered):
        return tool
    related = [tool for tool in offered if related_names(name, tool.name)]
    fits = [tool for tool in offered if fits_tool(arguments, tool, exactly=tool not in related)]
    if len(fits) > 1:
        fits = [tool for tool in fits if tool in related]
    return fits[0] if len(fits) == 1 else None


def named_tool(name: str, offered: Sequence[Tool]) -> Tool | None:
    """The offered tool of that name, whatever its case and its namespace: ``functions.Vote:0``."""
    exact = [tool for tool in offered if tool.name == name]
    if not exact:
        short = folded_key(re.split(r"[./]|::|__", name[:200].partition(":")[0])[-1])
        whole = folded_key(name)
        exact = [tool for tool in offered if folded_key(tool.name) in {short, whole} - {""}]
    return exact[0] if len(exact) == 1 else None


def related_names(name: str, tool: str) -> bool:
    """Whether a name holds the word that tells the tool from others: ``cast_vote`` for ``vote``."""
    given = {word.casefold() for word in _WORD.findall(_HUMPS.sub("_", name[:80]))}
    own = {word.casefold() for word in _WORD.findall(tool)} - {"new", "massgen"}
    return bool(given & own) or any(f"{word}s" in given or f"{word}d" in given for word in own)


_HUMPS: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


def fits_tool(arguments: Mapping[str, Any], tool: Tool, *, exactly: bool) -> bool:
    """Whether the arguments hold what makes a call of the tool: a label, a text, its required ones.

    A reason or evaluations may be missing: the caller judges those. ``exactly``: no argument that
    the tool does not know, and the text of an answer under its own name.
    """
    properties = _properties(tool.parameters)
    given = normalised(arguments, tool)
    if exactly and not set(given) <= set(properties):
        return False
    if VOTE_KEY in properties:
        labels = labels_of(tool)
        value = given.get(VOTE_KEY)
        if not labels:
            return bool(_text(value))
        if exactly and VOTE_KEY not in arguments:
            return any(named_label(each, labels) == value for each in arguments.values())
        return folded_label(value, labels) is not None
    if ANSWER_KEY in properties:
        return bool(_text(given.get(ANSWER_KEY))) and (not exactly or ANSWER_KEY in arguments)
    required = cast("object", tool.parameters.get("required"))
    names = cast("list[object]", required) if isinstance(required, list) else []
    return bool(names) and all(name in given for name in names)


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    return _mapping(schema.get("properties"))


def _enum(schema: object) -> list[str]:
    listed = _mapping(schema).get("enum")
    values = cast("Iterable[object]", listed) if isinstance(listed, list | tuple) else ()
    return [value for value in values if isinstance(value, str)]
