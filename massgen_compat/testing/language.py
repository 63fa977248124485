"""Reads scripts: closed-world, with errors that name the key and what is allowed. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn, TypeAlias, cast

from pydantic_core import to_json

from massgen_compat._run.message import Json
from massgen_compat.errors import ConfigError, did_you_mean
from massgen_compat.testing.script import Cut, Failure, Refuse, Script, ScriptedCall, Stall, Step


def parse_script(script: Json | None, *, key: str = "script") -> Script:
    """Read a script; ``None`` and an empty mapping are the default script.

    Raises ``ConfigError`` for anything that the language does not have; the message starts with
    the path of the key, ``key`` being its root.
    """
    return Script(**_fields({} if script is None else script, key, _SCRIPT))


# Readers: each takes a value and its path, and returns the value or raises ``ConfigError``.

_Reader: TypeAlias = Callable[[object, str], object]

_VOTE = re.compile(r"vote (\S+)")
DAY: Final = 86_400
HOSTED_TOOLS: Final = ("web_search",)
_FINISH: Final = ("stop", "length", "tool_calls", "content_filter")


def _refuse_value(path: str, problem: str) -> NoReturn:
    raise ConfigError(f"{path}: {problem}", key=path)


def _fields(value: object, path: str, readers: Mapping[str, _Reader]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        _refuse_value(path, f"must be a mapping, not {_kind(value)}")
    found: dict[str, Any] = {}
    for key, item in cast("Mapping[object, object]", value).items():
        if not isinstance(key, str) or key not in readers:
            hint = did_you_mean(key, readers) or "."
            allowed = ", ".join(readers)
            _refuse_value(path, f"unknown key {str(key)[:64]!r}{hint} Allowed keys: {allowed}.")
        found[key] = readers[key](item, f"{path}.{key}")
    return found


def _kind(value: object) -> str:
    return "nothing" if value is None else type(value).__name__


def _text(value: object, path: str) -> str:
    if not isinstance(value, str):
        _refuse_value(path, f"must be text, not {_kind(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        _refuse_value(path, "holds half of a surrogate pair, which no wire can carry")
    return value


def _name(value: object, path: str) -> str:
    text = _text(value, path)
    return text if text.strip() else _refuse_value(path, "must not be empty")


def _seconds(value: object, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= DAY:
        _refuse_value(path, "must be a number of seconds, from 0 to a day")
    return float(value)


def _count(value: object, path: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        _refuse_value(path, "must be a whole number, 0 or more")
    return value


def _status(value: object, path: str) -> int:
    status = _count(value, path)
    return status if 400 <= status <= 599 else _refuse_value(path, "must be from 400 to 599")


def _true(value: object, path: str) -> bool:
    return True if value is True else _refuse_value(path, "must be true; leave it out otherwise")


def _one_of(*allowed: str) -> _Reader:
    def read(value: object, path: str) -> str:
        text = _text(value, path)
        if text not in allowed:
            hint = did_you_mean(text, allowed) or "."
            _refuse_value(path, f"unknown value {text[:64]!r}{hint} Allowed: {', '.join(allowed)}.")
        return text

    return read


def _list_of(read: _Reader) -> _Reader:
    def read_all(value: object, path: str) -> tuple[object, ...]:
        if not isinstance(value, Sequence) or isinstance(value, str | bytes):
            _refuse_value(path, f"must be a list, not {_kind(value)}")
        items = cast("Sequence[object]", value)
        return tuple(read(item, f"{path}[{index}]") for index, item in enumerate(items))

    return read_all


def _object(value: object, path: str) -> Json:
    if not isinstance(value, Mapping):
        _refuse_value(path, f"must be a mapping, not {_kind(value)}")
    plain = cast("Json", value)
    try:
        to_json(plain)
    except ValueError:
        _refuse_value(path, "must hold what JSON can hold")
    return plain


def _arguments(value: object, path: str) -> Json | str:
    return _text(value, path) if isinstance(value, str) else _object(value, path)


def _call(value: object, path: str) -> ScriptedCall:
    fields = _fields(value, path, {"name": _name, "arguments": _arguments})
    return ScriptedCall(**fields) if "name" in fields else _refuse_value(path, "needs a 'name'")


def _usage(value: object, path: str) -> Mapping[str, int] | None:
    return None if value is None else _fields(value, path, dict.fromkeys(_USAGE, _count))


def _failure(value: object, path: str) -> Failure:
    kinds = [kind for kind in _FAILURES if kind in _object(value, path)]
    if len(kinds) != 1:
        _refuse_value(path, f"needs exactly one of {', '.join(_FAILURES)}")
    make, readers = _FAILURES[kinds[0]]
    fields = _fields(value, path, readers)
    return make(**{key: item for key, item in fields.items() if item is not True})


def _speak(text: str, path: str) -> Step:
    del path
    return Step(text=text)


def _decide(text: str, path: str) -> Step:
    if vote := _VOTE.fullmatch(text.strip()):
        return Step(vote=vote[1])
    _refuse_value(path, "must be 'vote LABEL', or a mapping as {text: ...} or {new_answer: ...}")


def _entry(shorthand: Callable[[str, str], Step], readers: Mapping[str, _Reader]) -> _Reader:
    def read(value: object, path: str) -> Step:
        if isinstance(value, str):
            return shorthand(_text(value, path), path)
        return Step(**_fields(value, path, readers))

    return read


def _entries(read: _Reader) -> _Reader:
    read_list = _list_of(read)

    def read_entries(value: object, path: str) -> tuple[object, ...]:
        if isinstance(value, str | Mapping):
            return (read(cast("object", value), path),)
        if not isinstance(value, Sequence):
            _refuse_value(path, f"must be text, a mapping or a list, not {_kind(value)}")
        entries = cast("tuple[object, ...]", read_list(cast("object", value), path))
        return entries or _refuse_value(path, "must have at least one entry")

    return read_entries


def _attempts(read: _Reader) -> _Reader:
    """Entries that answer an attempt each: only the last can have an ``on_correction``."""
    read_entries = _entries(read)

    def read_attempts(value: object, path: str) -> object:
        steps = cast("tuple[Step, ...]", read_entries(value, path))
        for index, step in enumerate(steps[:-1]):
            if step.on_correction:
                problem = "only the last entry can have it: the next entry answers a correction"
                _refuse_value(f"{path}[{index}].on_correction", problem)
        return steps

    return read_attempts


_USAGE: Final = ("prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens")

_FAILURES: Final[Mapping[str, tuple[Callable[..., Failure], Mapping[str, _Reader]]]] = {
    "status": (
        Refuse,
        {
            "status": _status,
            "message": _text,
            "code": _name,
            "param": _name,
            "retry_after": _seconds,
            "when_sent": _name,
            "after_tokens": _count,
        },
    ),
    "cut": (Cut, {"cut": _true, "after_tokens": _count}),
    "stall": (Stall, {"stall": _true, "after_tokens": _count}),
}

_CORRECTION: Final[Mapping[str, _Reader]] = {
    "text": _text,
    "reasoning": _text,
    "refusal": _name,
    "vote": _name,
    "reason": _text,
    "new_answer": _text,
    "evaluations": _list_of(_object),
    "calls": _list_of(_call),
    "hosted": _list_of(_one_of(*HOSTED_TOOLS)),
    "usage": _usage,
    "finish_reason": _one_of(*_FINISH),
    "delay_seconds": _seconds,
    "token_delay_seconds": _seconds,
    "fail": _failure,
}

_DRAFT: Final = {**_CORRECTION, "on_correction": _entries(_entry(_speak, _CORRECTION))}
_EVALUATION: Final = {**_CORRECTION, "on_correction": _entries(_entry(_decide, _CORRECTION))}

_SCRIPT: Final[Mapping[str, _Reader]] = {
    "draft": _attempts(_entry(_speak, _DRAFT)),
    "evaluate": _entries(_entry(_decide, _EVALUATION)),
    "present": _attempts(_entry(_speak, _DRAFT)),
    "delay_seconds": _seconds,
    "token_delay_seconds": _seconds,
}
