"""A conversation: its messages and their parts, tools and their calls. Frozen values, no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Role: TypeAlias = Literal["system", "developer", "user", "assistant", "tool"]
InputKind: TypeAlias = Literal["image", "audio", "file"]
Json: TypeAlias = Mapping[str, Any]
"""A JSON object as it stands on a wire. Only parsers and renderers look inside."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text part of a message."""

    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """An image part: an ``https:`` or ``data:`` URL, never fetched by this library."""

    url: str
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Audio:
    """An audio part: base64 data and its format (``wav`` or ``mp3``)."""

    data: str
    format: str


@dataclass(frozen=True, slots=True)
class File:
    """A file part: an id at the provider, or base64 data with a name."""

    file_id: str | None = None
    data: str | None = None
    filename: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal that an assistant message of the history carries."""

    text: str


Part: TypeAlias = Text | Image | Audio | File | Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call of a tool.

    ``arguments`` is JSON text as the model wrote it; for a ``custom`` tool it is the free text that
    is the tool's input.
    """

    id: str
    name: str
    arguments: str
    custom: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool that a model may call.

    ``parameters`` is the JSON schema of a function. A custom tool has an ``input_format`` instead:
    its input is free text (``{"type": "text"}``) or follows a grammar (``{"type": "grammar",
    "syntax": …, "definition": …}``). ``as_function``: the client reads the calls of this custom
    tool as calls of a function, whose arguments are the input as it stands.
    """

    name: str
    description: str
    parameters: Json = field(default_factory=dict[str, Any], hash=False)
    strict: bool = False
    input_format: Json | None = field(default=None, hash=False)
    as_function: bool = False

    @property
    def custom(self) -> bool:
        """Whether the input is free text."""
        return self.input_format is not None


@dataclass(frozen=True, slots=True)
class NamedTool:
    """The choice of one tool: the model has to call it."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFormat:
    """The format that the final message has to have: a JSON object, or JSON that fits a schema.

    ``strict`` goes to backends that can hold a model to a schema. The message is checked in any
    case.
    """

    name: str = "message"
    description: str | None = None
    schema: Json | None = field(default=None, hash=False)
    strict: bool = False


ToolChoice: TypeAlias = Literal["auto", "required", "none"] | NamedTool


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a conversation, with all its parts in their order.

    ``items`` holds what a provider sent, verbatim, for a reply that is sent to the same provider
    again within a run (reasoning items, function calls). It is empty for every other message.
    """

    role: Role
    content: tuple[Part, ...] = ()
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    items: tuple[Json, ...] = ()

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(part.text for part in self.content if isinstance(part, Text))


def text_message(role: Role, text: str) -> Message:
    """A message of one text part.

    >>> text_message("user", "Why is the sky blue?").text
    'Why is the sky blue?'
    """
    return Message(role=role, content=(Text(text),))


MANY_PARTS = 400
MANY_TOOLS = 16


def has_many_parts(messages: Sequence[Message], tools: Sequence[Tool]) -> bool:
    """Whether it takes more than a few milliseconds to write the conversation for a provider.

    That much work is done in a thread, so that it does not stop the event loop.
    """
    parts = sum(1 + len(message.content) + len(message.tool_calls) for message in messages)
    return parts > MANY_PARTS or len(tools) > MANY_TOOLS
