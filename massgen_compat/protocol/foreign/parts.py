"""Translates parts of a content of the Responses API or of Anthropic into parts of chat. Pure.

Any other part is left as it is, and the validation judges it.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

_TEXTS: Final = frozenset({"input_text", "output_text", "summary_text"})

HIDDEN: Final = frozenset({"thinking", "redacted_thinking", "reasoning_text"})
"""Types of parts that hold a model's own reasoning. They are dropped: other models cannot read
it."""


def chat_content(content: object) -> object:
    """A content with its parts in the spelling of Chat Completions."""
    if not isinstance(content, list):
        return content
    parts = cast("list[object]", content)
    return [chat_part(part) for part in parts if kind(part) not in HIDDEN]


def kind(part: object) -> str:
    """The type of a part, or an empty string."""
    given = mapping(part).get("type")
    return given if isinstance(given, str) else ""


def mapping(value: object) -> Mapping[str, Any]:
    """The JSON object, or an empty one."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def chat_part(part: object) -> object:
    """One part in the spelling of Chat Completions."""
    given = mapping(part)
    match kind(part):
        case name if name in _TEXTS:
            return {**given, "type": "text"}
        case "input_image":
            return _image(given.get("image_url"), given.get("detail"))
        case "input_file":
            return {"type": "file", "file": {k: v for k, v in given.items() if k != "type"}}
        case "image" if "source" in given:
            return _image(_source(given), None)
        case "document" if "source" in given:
            named = {"file_data": _source(given), "filename": given.get("title") or "document"}
            return {"type": "file", "file": named}
        case _:
            return part


def _image(url: object, detail: object) -> dict[str, Any]:
    image = {"url": url} if detail is None else {"url": url, "detail": detail}
    return {"type": "image_url", "image_url": image}


def _source(part: Mapping[str, Any]) -> object:
    """Where Anthropic's images and documents are: a URL, or base64 with a media type."""
    source = mapping(part.get("source"))
    if source.get("type") == "base64":
        return f"data:{source.get('media_type')};base64,{source.get('data')}"
    return source.get("url")
