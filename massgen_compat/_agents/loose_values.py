"""A reader of values as models write them in text: JSON, Python literals and calls. Pure.

All JSON is read as ``json`` reads it. Beyond that: single quotes, trailing and missing commas,
Python's ``True`` and ``None``, names without quotes, line breaks and quotes inside of strings,
``vote(agent_id="agent2")``, the quotes of Gemma's templates, and values that the text's end cuts.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Final, cast

DEEPEST: Final = 24
"""Levels of nesting; a decision needs four."""

LOOKS_PER_CHARACTER: Final = 12
"""How often a character may be read in all attempts of one reader, on average."""


@dataclass(frozen=True, slots=True)
class WrittenFunction:
    """``name(one, key=two)``: a call as Python writes it."""

    name: str
    positional: list[object]
    named: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Value:
    """A value in a text: where it ends, and whether the text's end cut it."""

    value: object
    end: int
    cut: bool


class ExhaustedError(Exception):
    """The text would need more work than its length allows: nested beginnings of values."""


class _UnreadableError(Exception):
    """There is no value here."""


class _Missing:
    """The place of a value that the text's end has cut in two."""


_MISSING: Final = _Missing()

# Whitespace, closing tags and closing fences to the end of the text: what may follow a value that
# lacks its own closing brackets. Possessive: no position is looked at twice.
END_OF_TEXT: Final = re.compile(
    r"(?:[\s.!;,*`~_)]|</?[\w|\uff5c▁ :/=.-]{1,60}>|<[|\uff5c][^<>\n]{1,60}[|\uff5c]>"
    r"|</\w{1,30}(?=[\s<]|\Z)|<[\w|]{1,30}\Z"
    r"|\[/?[A-Z_]{2,20}\])*+\Z"
)
_SPACE: Final = re.compile(r"\s*+")
_NUMBER: Final = re.compile(r"-?\d{1,32}(?:\.\d{1,32})?(?:[eE][+-]?\d{1,4})?(?![\w.])")
_CUT_NUMBER: Final = re.compile(r"-?\d{0,32}[.\deE+-]{0,40}\Z")
_WORDS: Final = re.compile(r"[^\W\d][^,{}\[\]()\"'\n:=<>]*+")
_NAME: Final = re.compile(r"[^\W\d][\w.-]*+")
_QUOTES: Final = {
    '"""': '"""',
    "'''": "'''",
    '<|"|>': '<|"|>',  # Gemma 4 (vLLM: tool_parsers/gemma4_tool_parser)
    "<escape>": "<escape>",  # FunctionGemma (ai.google.dev: functiongemma/formatting-and-practices)
    "“": "”",
    '"': '"',
    "'": "'",
}
_OPENING: Final = re.compile("|".join(map(re.escape, _QUOTES)))
_PLAIN: Final = {'"': re.compile(r'[^"\\]*+'), "'": re.compile(r"[^'\\]*+")}
# A quote ends a string only where the text goes on like a value's end: models forget to escape.
_GOES_ON: Final = re.compile(
    r"\s*+(?:[}\])]|,\s*+(?:[\"'“}\])\[{]|-?\d|<escape>|(?:null|true|false|None|True|False)\b"
    r"|[\w.-]++\s*+[:=]|\Z)|[\"'“][\w.-]{1,40}[\"'”]\s*+:|```|~~~|</|<\||\Z)"
)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_LITERALS: Final = {
    "null": None, "None": None, "true": True, "True": True, "false": False, "False": False,
}  # fmt: skip


@dataclass(slots=True)
class ValueReader:
    """Reads values of one text; its work over all attempts is bounded by the text's length.

    ``next_start``: where the next value may begin after an attempt that came to nothing; ``seen``:
    the keys of all such attempts.
    """

    text: str
    work: int = 0
    next_start: int = 0
    seen: set[str] = field(default_factory=set[str])
    _at: int = 0
    _cut: bool = False
    _too_deep: bool = False
    _keys: set[str] = field(default_factory=set[str])

    def read(self, start: int) -> Value | None:
        """The value that begins at ``start``; None where there is none.

        Raises ``ExhaustedError`` where the text is not worth more work.
        """
        self._at, self._cut, self._too_deep, self._keys = start, False, False, set()
        try:
            value = self._value(0)
        except _UnreadableError:
            self.next_start = self._at if self._too_deep else start + 1
            self.seen |= self._keys
            return None
        finally:
            self.work += self._at - start + 1
            if self.work > LOOKS_PER_CHARACTER * len(self.text) + 4096:
                raise ExhaustedError
        return None if value is _MISSING else Value(value, self._at, self._cut)

    def _value(self, depth: int) -> object:
        if depth > DEEPEST:
            self._too_deep = True
            raise _UnreadableError
        self._skip()
        text, at = self.text, self._at
        if text.startswith("{", at):
            return self._object(depth)
        if text.startswith("[", at):
            return self._array(depth)
        if quote := _OPENING.match(text, at):
            return self._string(quote[0], closes_at_once=False)
        if number := _NUMBER.match(text, at):
            return self._number(number)
        return self._word(depth)

    def _skip(self) -> None:
        space = _SPACE.match(self.text, self._at)
        self._at = space.end() if space else self._at

    def _ends(self) -> bool:
        """Whether nothing but the text's end follows, so that what is open was cut."""
        if self._cut:
            return True
        match = END_OF_TEXT.match(self.text, self._at)
        self._cut = match is not None
        return self._cut

    def _take(self, token: str) -> bool:
        self._skip()
        if not self.text.startswith(token, self._at):
            return False
        self._at += len(token)
        return True

    def _object(self, depth: int) -> object:
        self._at += 1
        found: dict[str, Any] = {}
        while not self._take("}"):
            if self._ends():
                return found
            key = self._key()
            if not self._take(":") and not self._take("="):
                if self._ends():
                    return found
                raise _UnreadableError
            self._store(found, key, self._value(depth + 1))
            if self._cut:
                return found
            self._take(",")
        return found

    def _store(self, found: dict[str, Any], key: str, value: object) -> None:
        """A key that is there twice, with different values, says nothing."""
        if value is _MISSING:
            return
        if key in found and found[key] != value:
            raise _UnreadableError
        found[key] = value

    def _key(self) -> str:
        self._skip()
        if quote := _OPENING.match(self.text, self._at):
            key = self._string(quote[0], closes_at_once=True)
            if not isinstance(key, str):
                return ""  # cut: the caller sees the text's end
        elif name := _NAME.match(self.text, self._at):
            self._at, key = name.end(), name[0]
        else:
            raise _UnreadableError
        self._keys.add(key)
        return key

    def _array(self, depth: int) -> object:
        self._at += 1
        found: list[object] = []
        while not self._take("]"):
            if self._ends():
                return found
            value = self._value(depth + 1)
            if value is not _MISSING:
                found.append(value)
            if self._cut:
                return found
            if not self._take(",") and not self._ends() and not self.text.startswith("]", self._at):
                raise _UnreadableError
        return found

    def _string(self, opening: str, *, closes_at_once: bool) -> object:
        text, closing = self.text, _QUOTES[opening]
        self._at += len(opening)
        plain = _PLAIN.get(closing)
        if plain is None:
            end = text.find(closing, self._at)
            return self._until(end, end + len(closing))
        parts: list[str] = []
        while True:
            run = plain.match(text, self._at)
            assert run is not None  # it matches nothing, too  # noqa: S101
            parts.append(run[0])
            self._at = run.end()
            if text.startswith(closing, self._at):
                self._at += 1
                if closes_at_once or _GOES_ON.match(text, self._at):
                    return without_halves("".join(parts))
                parts.append(closing)
            elif escape := _ESCAPE.match(text, self._at):
                parts.append(_unescaped(escape))
                self._at = escape.end()
            else:
                return self._until(-1, 0)

    def _until(self, end: int, after: int) -> object:
        if end < 0:
            self._at, self._cut = len(self.text), True
            return _MISSING
        found, self._at = self.text[self._at : end], after
        return without_halves(found)

    def _number(self, number: re.Match[str]) -> object:
        self._at = number.end()
        if self._at == len(self.text):
            self._cut = True
            return _MISSING
        return float(number[0]) if set(number[0]) & set(".eE") else int(number[0])

    def _word(self, depth: int) -> object:
        """A literal, a call, or a string without quotes."""
        if name := _NAME.match(self.text, self._at):
            if self.text.startswith("(", name.end()):
                self._at = name.end()
                return self._call(name[0], depth)
            if name[0] in _LITERALS:
                self._at = name.end()
                return _LITERALS[name[0]]
        if _CUT_NUMBER.match(self.text, self._at):
            self._at = len(self.text)
        words = _WORDS.match(self.text, self._at)
        if words is None:
            if self._ends():
                return _MISSING
            raise _UnreadableError
        self._at = words.end()
        if self._at == len(self.text):
            self._cut = True
            return _MISSING
        return without_halves(words[0].strip())

    def _call(self, name: str, depth: int) -> object:
        self._at += 1
        positional: list[object] = []
        named: dict[str, Any] = {}
        while not self._take(")"):
            if self._ends():
                break
            key = _KEYWORD.match(self.text, self._at)
            if key is not None:
                self._at = key.end()
                self._keys.add(key[1])
            value = self._value(depth + 1)
            if key is not None:
                self._store(named, key[1], value)
            elif value is not _MISSING:
                positional.append(value)
            if self._cut:
                break
            if not self._take(",") and not self.text.startswith(")", self._at) and not self._ends():
                raise _UnreadableError
        return WrittenFunction(name, positional, named)


_KEYWORD: Final = re.compile(r"([^\W\d]\w*+)\s*+[=:](?!=)")


def _unescaped(escape: re.Match[str]) -> str:
    code, other = cast("tuple[str | None, str | None]", escape.groups())
    return chr(int(code, 16)) if code else _ESCAPES.get(other or "", other or "")


def without_halves(text: str) -> str:
    """Without halves of surrogate pairs, which no encoder takes."""
    if text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
