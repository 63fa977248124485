"""How models write calls, as the chat templates of open models taught them. Pure.

Sources: vLLM's ``tool_parsers`` (hermes, llama, llama4_pythonic, mistral, granite, qwen3coder,
deepseekv3 and v31, glm4_moe, minimax_m2, gemma4), mlx-lm's ``tool_parsers/kimi_k2``, OpenAI's
harmony guide, and for what Qwen2.5-Coder makes of its own template ardanlabs/kronk#944 and #950.
"""

import re
from collections.abc import Iterator
from typing import Any, Final, cast

from massgen_compat._agents.label_folding import (
    ANSWER_KEY,
    VOTE_KEY,
    folded_key,
    related_names,
    words,
)
from massgen_compat._agents.loose_values import ExhaustedError, ValueReader, WrittenFunction

START: Final = re.compile(
    r"[{\[]"
    r"|(?<![\w.])(?P<call>[^\W\d][\w.]{0,60})\((?!\))"
    r"|<(?:[|\uff5c]\w{1,10}[|\uff5c])?(?:function=|invoke\s+name=|function\s+name=)[\"']?(?P<xml>[\w.:-]{1,60})[\"']?\s*>"
    r"|<tool_call>\s*(?P<glm>[\w.:-]{1,60})\s*(?=<arg_key>)"
    r"|<(?P<tag>[\w.-]{1,60})>"
)
_PARAMETER: Final = re.compile(
    r"\s*<(?P<ns>[|\uff5c]\w{1,10}[|\uff5c])?"  # DeepSeek V3.2 puts DSML there
    r"(?:parameter=[\"']?(?P<a>[\w-]{1,60})[\"']?"
    r"|parameter\s+name=[\"'](?P<b>[\w-]{1,60})[\"'][^<>\n]{0,40}"
    r"|arg_key>\s*(?P<c>[\w-]{1,60})\s*</arg_key>\s*<arg_value|(?P<d>[a-z_]{1,60}))\s*>"
)


def parameters_at(text: str, at: int) -> tuple[dict[str, Any], int]:
    """``<parameter=key>value</parameter>`` and its relatives, and where they end."""
    found: dict[str, Any] = {}
    while (match := _PARAMETER.match(text, at)) is not None:
        key = cast("str", match["a"] or match["b"] or match["c"] or match["d"])
        closing = (
            "</arg_value>" if match["c"] else f"</{match['ns'] or ''}{match['d'] or 'parameter'}>"
        )
        end = text.find(closing, match.end())
        if end < 0:
            return found, len(text)  # cut, or never closed
        found[key] = _unwrapped(text[match.end() : end])
        at = end + len(closing)
    return found, at


_WEAK_NAMES: Final = ("decision", "type", "kind")
_NAMES: Final = (
    "tool_name", "name", "tool", "function", "function_name", "action", "action_type",
    "recipient_name", "tool_call",
)  # fmt: skip
_ARGUMENTS: Final = words(
    "arguments parameters args input actioninput toolinput params kwargs votedata answerdata "
    "toolarguments functionarguments"
)
_LISTS: Final = words("toolcalls functioncall toolcall calls tooluses")


def named_calls(value: object, depth: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every call in a value, with its name, which is empty where the value has arguments only."""
    if depth > 4:
        return
    if isinstance(value, WrittenFunction):
        yield value.name, _python_arguments(value)
    elif isinstance(value, list):
        for each in cast("list[object]", value):
            yield from named_calls(each, depth + 1)
    elif isinstance(value, dict):
        yield from _calls_of_object(cast("dict[str, Any]", value), depth)


def _calls_of_object(given: dict[str, Any], depth: int) -> Iterator[tuple[str, dict[str, Any]]]:
    inner = [value for key, value in given.items() if folded_key(key) in _LISTS]
    inner += [given[key] for key in ("function", "action") if isinstance(given.get(key), dict)]
    if any(isinstance(each, dict | list) for each in inner):
        for each in inner:
            yield from named_calls(each, depth + 1)
        return
    given = {key: value for key, value in given.items() if value is not None}
    name_key = next((key for key in _NAMES if isinstance(given.get(key), str)), None)
    name_key = name_key or next((key for key in _WEAK_NAMES if _is_call(given.get(key))), None)
    held = [key for key in given if folded_key(key) in _ARGUMENTS]
    arguments = _object(given[held[0]]) if len(held) == 1 else None
    if name_key and arguments is not None:
        yield cast("str", given[name_key]), arguments
    elif len(given) == 1 and isinstance(next(iter(given.values())), dict | str | int):
        key, only = next(iter(given.items()))  # {"vote": {...}}, {"vote": "agent2"}
        tool_key = ANSWER_KEY if related_names(key, "answer") else VOTE_KEY
        if isinstance(only, dict):
            yield key, cast("dict[str, Any]", only)
        elif folded_key(key) == "newanswer" or related_names(key, "vote"):
            yield key, {tool_key: only}
        else:
            yield "", given
    elif name_key and arguments is None and not held:
        flat = {key: value for key, value in given.items() if key != name_key}
        yield cast("str", given[name_key]), flat  # {"action": "vote", "agent_id": "agent2"}
    elif not name_key and not held:
        yield "", given


def _is_call(value: object) -> bool:
    return isinstance(value, str) and folded_key(value) in {"vote", "newanswer"}


def _object(value: object) -> dict[str, Any] | None:
    """Arguments, as an object or as its JSON."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            read = ValueReader(value.strip()).read(0)
        except ExhaustedError:
            return None
        value = read.value if read and not read.cut else None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _python_arguments(call: WrittenFunction) -> dict[str, Any]:
    """Arguments by name; by place they are the label or the content, and then the reason."""
    if len(call.positional) == 1 and isinstance(call.positional[0], dict):
        return {**cast("dict[str, Any]", call.positional[0]), **call.named}
    first = ANSWER_KEY if related_names(call.name, "answer") else VOTE_KEY
    placed = dict(zip((first, "reason"), call.positional, strict=False))
    return {**placed, **call.named} if len(call.positional) <= 2 else {}


def _unwrapped(text: str) -> object:
    """A parameter's value: templates put it on lines of its own; a list or an object is JSON."""
    bare = text.strip()
    if bare.startswith(("[", "{")):
        try:
            read = ValueReader(bare).read(0)
        except ExhaustedError:
            read = None
        if read is not None and read.end == len(bare) and not read.cut:
            return read.value
    return text.removeprefix("\n").removesuffix("\n")
