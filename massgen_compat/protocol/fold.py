"""A completion as the fold of its chunks: non-streaming is streaming, read to the end. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_FRAME: Final = ("id", "created", "model", "service_tier", "system_fingerprint")
_TEXTS: Final = ("content", "refusal", "reasoning_content")


@dataclass
class _Whole:
    """A choice as it adds up."""

    texts: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    calls: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    function_call: dict[str, Any] = field(default_factory=dict[str, Any])
    tokens: list[Any] = field(default_factory=list[Any])
    finish_reason: str | None = None

    def add(self, choice: Mapping[str, Any]) -> None:
        self.finish_reason = choice["finish_reason"] or self.finish_reason
        if choice["logprobs"]:
            self.tokens += choice["logprobs"]["content"]
        for key, value in choice["delta"].items():
            match key:
                case "tool_calls":
                    for fragment in value:
                        self._call(fragment)
                case "function_call":
                    said = self.function_call.get("arguments", "") + value["arguments"]
                    self.function_call |= {**value, "arguments": said}
                case _ if key in _TEXTS:
                    self.texts.setdefault(key, []).append(value)
                case _:
                    pass

    def _call(self, fragment: Mapping[str, Any]) -> None:
        kind, said = ("custom", "input") if "custom" in fragment else ("function", "arguments")
        if fragment["index"] == len(self.calls):
            self.calls.append({"id": fragment["id"], "type": kind, kind: {**fragment[kind]}})
        else:
            self.calls[fragment["index"]][kind][said] += fragment[kind][said]

    def choice(self, index: int) -> dict[str, Any]:
        """Raises ``ValueError`` for a choice that never ended."""
        if self.finish_reason is None:
            raise ValueError("the stream has no finish chunk")
        # ``tool_calls`` is absent rather than empty, as clients send the message back as it is.
        message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
        message |= {key: "".join(texts) for key, texts in self.texts.items()}
        message["annotations"] = []
        if self.calls:
            message["tool_calls"] = self.calls
        if self.function_call:
            message["function_call"] = self.function_call
        return {
            "index": index,
            "message": message,
            "logprobs": {"content": self.tokens, "refusal": None} if self.tokens else None,
            "finish_reason": self.finish_reason,
        }


def fold(chunks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The completion that a whole stream adds up to.

    ``usage`` is left out where it is unknown: the schema has no ``null`` for it in a completion.
    Raises ``ValueError`` for a stream without its finish chunks.
    """
    wholes: dict[int, _Whole] = {}
    last: Mapping[str, Any] = {}
    for last in chunks:
        for choice in last["choices"]:
            wholes.setdefault(choice["index"], _Whole()).add(choice)
    if not wholes:
        raise ValueError("the stream has no finish chunk")
    completion = {key: last[key] for key in _FRAME}
    completion |= {
        "object": "chat.completion",
        "choices": [whole.choice(index) for index, whole in sorted(wholes.items())],
    }
    return completion | {key: last[key] for key in ("usage", "massgen") if last.get(key)}
