"""The script language: a small mapping that says what a scripted model does. Pure.

No model is involved anywhere in this package: a script is text that somebody wrote beforehand.

A script is a mapping (of Python, or of parsed YAML); every key is optional::

    draft: "text"             # or a list: the n-th entry answers the n-th attempt of the round
    evaluate: "vote agent1"   # or a list: the n-th entry answers the n-th evaluation round
    present: "text"           # or a list, as in draft; without it, the winning answer is repeated
    delay_seconds: 0          # before the first token of every step
    token_delay_seconds: 0    # before every token

The last entry of a list repeats. An entry is text (in ``evaluate``: ``vote LABEL``), or a mapping
with any of the keys of ``Step``. ``parse_script`` reads it, and refuses every key and value that
the language does not have.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, TypeAlias, cast

from pydantic_core import to_json

from massgen_compat._run.message import Json
from massgen_compat._run.result import FinishReason
from massgen_compat.errors import ConfigError, did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """The request is refused with an HTTP status, 400 to 599.

    With ``after_tokens`` a streamed reply breaks off with an error event instead, after that many
    tokens. With ``when_sent`` only a request that has this parameter is refused, as providers
    refuse parameters that a model does not take. ``retry_after`` is in seconds.
    """

    status: int
    message: str = "[scripted model, no model involved] The script says that this fails."
    code: str | None = None
    param: str | None = None
    retry_after: float | None = None
    when_sent: str | None = None
    after_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The connection breaks after ``after_tokens`` tokens."""

    after_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """After ``after_tokens`` tokens nothing more comes, until the caller gives up."""

    after_tokens: int = 0


Failure: TypeAlias = Refuse | Cut | Stall


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedCall:
    """A function call; ``arguments`` is an object, or text that is sent as it stands."""

    name: str
    arguments: Json | str = field(default_factory=dict[str, Any], hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What the model does in one turn.

    - ``text``: in a draft it is submitted with ``new_answer`` where that tool is offered and the
      step says nothing else; anywhere else it is the message.
    - ``vote``, ``new_answer``: called even where the tool is not offered, as models do. ``vote``
      is a label, ``first`` or ``longest``; a label that cannot be voted for becomes the first
      that can. ``reason`` is the vote's reason. ``evaluations`` fills that argument of both tools,
      where their schema has it (default: a made-up one for every answer).
    - ``calls``: any other calls; ``hosted``: the provider's own tools that the model used.
    - ``reasoning``: visible as a summary where the wire has one; it counts as reasoning tokens.
    - ``usage``: numbers that replace the counted ones; ``None``: the provider reports no usage.
    - ``delay_seconds``, ``token_delay_seconds``: replace those of the script for this step.
    - ``on_correction``: the steps that follow when this one was turned back; the last repeats.
    """

    text: str = ""
    reasoning: str | None = None
    refusal: str | None = None
    vote: str | None = None
    reason: str | None = None
    new_answer: str | None = None
    evaluations: Sequence[Json] | None = field(default=None, hash=False)
    calls: tuple[ScriptedCall, ...] = ()
    hosted: tuple[str, ...] = ()
    usage: Mapping[str, int] | None = field(default_factory=dict[str, int], hash=False)
    finish_reason: FinishReason | None = None
    delay_seconds: float | None = None
    token_delay_seconds: float | None = None
    fail: Failure | None = None
    on_correction: "tuple[Step, ...]" = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A parsed script. Durations are seconds; a phase without entries has its default."""

    draft: tuple[Step, ...] = ()
    evaluate: tuple[Step, ...] = ()
    present: tuple[Step, ...] = ()
    delay_seconds: float = 0.0
    token_delay_seconds: float = 0.0


def parse_script(script: Json | None, *, key: str = "script") -> Script:
    """Read a script. ``None`` and an empty mapping give the default script.

    Raises ``ConfigError`` for anything that the language does not have. The message begins with
    the path of the wrong key, of which ``key`` is the root, and says what is allowed there.
    """
    return Script(**_fields({} if script is None else script, key, _SCRIPT))


# The readers of values. Each takes a value and its path, and returns what it read or raises
# ``ConfigError``. A mapping is read by a table of its keys' readers: no other key is allowed.

_Reader: TypeAlias = Callable[[object, str], object]

_VOTE = re.compile(r"vote (\S+)")
_DAY: Final = 86_400
_HOSTED_TOOLS: Final = ("web_search",)
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
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _DAY:
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
    """A reader of entries that answer an attempt each: only the last has an ``on_correction``."""
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
    "hosted": _list_of(_one_of(*_HOSTED_TOOLS)),
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
