"""Translates tools of the Responses API or of Anthropic into tools of Chat Completions. Pure.

A *flat* tool has its ``name`` beside its ``type``, and not in an object of its own. A client that
sends a flat custom tool reads its calls as those of a function whose arguments are the input, such
as Cursor with ``ApplyPatch`` (litellm#34029, archestra#7375, codex-proxy#707).
"""

from collections.abc import Mapping
from typing import Any, Final, cast

from massgen_compat.protocol.foreign.parts import kind, mapping

_NESTED: Final = frozenset({"function", "custom"})
_FORMS: Final = frozenset({"auto", "none"})


def as_chat(
    payload: Mapping[str, Any], *, hosted_ignored: bool
) -> tuple[dict[str, Any], frozenset[str], tuple[str, ...], dict[str, str]]:
    """The body with its tools and its choice in the form of chat, and three facts about it.

    These are the names of the flat custom tools; what was left out, which are tools that a provider
    would run (only with ``hosted_ignored``; without it the validation refuses them); and the paths
    that have changed, as ``BodyPlaces`` wants them.
    """
    body = dict(payload)
    tools = body.get("tools")
    if not isinstance(tools, list):
        return body, frozenset(), (), {}
    kept: list[object] = []
    ignored: list[str] = []
    flat: set[str] = set()
    places: dict[str, str] = {}
    for index, tool in enumerate(map(_without_null, cast("list[object]", tools))):
        given, sort = mapping(tool), _sort(tool)
        if hosted_ignored and sort and sort not in _NESTED:
            ignored.append(f"tools.{sort}")
            continue
        if sort == "custom" and "custom" not in given:
            flat.add(str(given.get("name")))
        places |= _places(given, sort, index, len(kept))
        kept.append(_tool(given, sort) if given else tool)
    choice = body.get("tool_choice")
    if not kept and (ignored or hosted_ignored or (isinstance(choice, str) and choice in _FORMS)):
        # Some clients send an empty list beside a choice (Cursor, recorded).
        del body["tools"]
        body.pop("tool_choice", None)
        return body, frozenset(), tuple(ignored), {}
    body["tools"] = kept
    if mapping(choice):
        body["tool_choice"], parallel = _choice(mapping(choice))
        if parallel is not None:
            body.setdefault("parallel_tool_calls", parallel)
    return body, frozenset(flat), tuple(ignored), places


def _places(tool: Mapping[str, Any], sort: str, index: int, now: int) -> dict[str, str]:
    """The changed paths of the tool that was number ``index`` and is number ``now``."""
    places = {} if index == now else {f"tools[{now}]": f"tools[{index}]"}
    if _is_flat(tool, sort):
        places[f"tools[{now}].{sort}"] = f"tools[{index}]"
        if "input_schema" in tool:
            places[f"tools[{now}].{sort}.parameters"] = f"tools[{index}].input_schema"
    return places


def _without_null(tool: object) -> object:
    given = mapping(tool)
    return {k: v for k, v in given.items() if v is not None} if given else tool


def _sort(tool: object) -> str:
    """The type of a tool. Anthropic's tools have an ``input_schema`` and need no type."""
    return "function" if "input_schema" in mapping(tool) else kind(tool)


def _tool(tool: Mapping[str, Any], sort: str) -> Mapping[str, Any]:
    if not _is_flat(tool, sort):
        return tool
    fields = {k: v for k, v in tool.items() if k not in {"type", "input_schema", "cache_control"}}
    if "input_schema" in tool:
        fields["parameters"] = tool["input_schema"]
    if mapping(fields.get("format")).get("type") == "grammar":
        grammar = {k: v for k, v in fields["format"].items() if k != "type"}
        fields["format"] = {"type": "grammar", "grammar": grammar}
    return {"type": sort, sort: fields}


def _is_flat(tool: Mapping[str, Any], sort: str) -> bool:
    """Whether the name of the tool stands beside its type."""
    return sort in _NESTED and sort not in tool and "name" in tool


def _choice(choice: Mapping[str, Any]) -> tuple[object, bool | None]:
    """The choice in the form of chat, and whether Anthropic's one forbids parallel calls."""
    serial = False if choice.get("disable_parallel_tool_use") else None
    match kind(choice):
        case "auto" | "none" as word:
            return word, serial
        case "any":
            return "required", serial
        case "tool":
            return {"type": "function", "function": {"name": choice.get("name")}}, serial
        case "allowed_tools" if "tools" in choice:
            given = choice["tools"]
            if isinstance(given, list):
                given = [_named(mapping(each)) for each in cast("list[object]", given)]
            allowed = {"mode": choice.get("mode"), "tools": given}
            return {"type": "allowed_tools", "allowed_tools": allowed}, None
        case _:
            return _named(choice), None


def _named(choice: Mapping[str, Any]) -> Mapping[str, Any]:
    sort = kind(choice)
    if not _is_flat(choice, sort):
        return choice
    return {"type": sort, sort: {"name": choice["name"]}}
