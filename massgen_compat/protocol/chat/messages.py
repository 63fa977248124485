"""The messages of a chat request on the wire, in all forms that clients send.

The models follow OpenAI's schemas. Beyond them they accept what recorded clients send: an
assistant's content that is absent, ``null`` or ``[]``, ``tool_calls: []``, and fields of a response
that come back (``annotations``, ``audio: null``, …), which are dropped. Of ``reasoning_content``
only the team's decision is used, see ``trace.echoed``.
"""

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, Field, Tag
from pydantic_core import PydanticCustomError

from massgen_compat.protocol.wire import WireModel, by_key, by_type

MAX_PARTS: Final = 1024
MAX_TOOL_CALLS: Final = 128
MAX_NAME: Final = 256
MAX_TEXT: Final = 2**26
"""Characters of a text, or of a file in base64. The server bounds the size of a whole body."""

_STRING_OR_PARTS: Final = "one of a string or array of objects"

Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
Text: TypeAlias = Annotated[str, Field(max_length=MAX_TEXT)]
"""A string for any use. It needs a bound: without one pydantic does not refuse lone surrogates."""


def _allowed_url(url: str) -> str:
    if not url[:11].lower().startswith(("https://", "data:image/")):
        raise PydanticCustomError("unusable", "an 'https://' or a 'data:image/' URL")
    return url


# Parts of a content


class TextPart(WireModel):
    """``{"type": "text", "text": …}``."""

    type: Literal["text"]
    text: Text


class RefusalPart(WireModel):
    """``{"type": "refusal", "refusal": …}``."""

    type: Literal["refusal"]
    refusal: Text


class ImageUrl(WireModel):
    """The URL of an image. It is passed on to the providers; this server never fetches it."""

    url: Annotated[Text, AfterValidator(_allowed_url)]
    detail: Literal["auto", "low", "high", "original"] | None = None


class ImagePart(WireModel):
    """``{"type": "image_url", "image_url": {…}}``."""

    type: Literal["image_url"]
    image_url: ImageUrl


class AudioData(WireModel):
    """Base64 audio and its format."""

    data: Text
    format: Literal["wav", "mp3"]


class AudioPart(WireModel):
    """``{"type": "input_audio", "input_audio": {…}}``."""

    type: Literal["input_audio"]
    input_audio: AudioData


class FileData(WireModel):
    """A file by its id at the provider, or base64 with a name."""

    file_id: Name | None = None
    file_data: Text | None = None
    filename: Name | None = None


def _named_or_given(file: FileData) -> FileData:
    if not (file.file_id or file.file_data):
        raise PydanticCustomError("unusable", "a 'file_id' or 'file_data'")
    return file


class FilePart(WireModel):
    """``{"type": "file", "file": {…}}``."""

    type: Literal["file"]
    file: Annotated[FileData, AfterValidator(_named_or_given)]


WirePart: TypeAlias = TextPart | RefusalPart | ImagePart | AudioPart | FilePart

_SystemPart: TypeAlias = Annotated[Annotated[TextPart, Tag("~text")], by_key("type", "text")]
_AssistantPart: TypeAlias = Annotated[
    Annotated[TextPart, Tag("~text")] | Annotated[RefusalPart, Tag("~refusal")],
    by_key("type", "text", "refusal"),
]
_UserPart: TypeAlias = Annotated[
    Annotated[TextPart, Tag("~text")]
    | Annotated[ImagePart, Tag("~image_url")]
    | Annotated[AudioPart, Tag("~input_audio")]
    | Annotated[FilePart, Tag("~file")],
    by_key("type", "text", "image_url", "input_audio", "file"),
]

_String: TypeAlias = Annotated[Text, Tag("~string")]
_bounded = Field(fail_fast=True, max_length=MAX_PARTS)
TextContent: TypeAlias = Annotated[
    _String | Annotated[list[_SystemPart], _bounded, Tag("~array")],
    by_type(_STRING_OR_PARTS, string=str, array=list),
]
AssistantContent: TypeAlias = Annotated[
    _String | Annotated[list[_AssistantPart], _bounded, Tag("~array")],
    by_type(_STRING_OR_PARTS, string=str, array=list),
]
UserContent: TypeAlias = Annotated[
    _String | Annotated[list[_UserPart], _bounded, Tag("~array")],
    by_type(_STRING_OR_PARTS, string=str, array=list),
]


# Messages


class SystemMessage(WireModel):
    """A system message."""

    role: Literal["system"]
    content: TextContent | None = None
    name: Name | None = None


class DeveloperMessage(WireModel):
    """A developer message. Its content is required here; other roles are checked by ``history``."""

    role: Literal["developer"]
    content: TextContent
    name: Name | None = None


class UserMessage(WireModel):
    """A user message."""

    role: Literal["user"]
    content: UserContent | None = None
    name: Name | None = None


class CalledFunction(WireModel):
    """The name and the JSON arguments of a call, as a model wrote them."""

    name: Name
    arguments: Text


class FunctionToolCall(WireModel):
    """A call of a function in ``tool_calls``."""

    id: Name
    type: Literal["function"]
    function: CalledFunction


class CalledCustom(WireModel):
    """The name and the input of a custom tool's call."""

    name: Name
    input: Text


class CustomToolCall(WireModel):
    """A call of a custom tool in ``tool_calls``."""

    id: Name
    type: Literal["custom"]
    custom: CalledCustom


AssistantCall: TypeAlias = Annotated[
    Annotated[FunctionToolCall, Tag("~function")] | Annotated[CustomToolCall, Tag("~custom")],
    by_key("type", "function", "custom"),
]


class AssistantMessage(WireModel):
    """An assistant message."""

    role: Literal["assistant"]
    content: AssistantContent | None = None
    name: Name | None = None
    refusal: Text | None = None
    reasoning_content: object = None
    audio: object = None
    tool_calls: (
        Annotated[list[AssistantCall], Field(fail_fast=True, max_length=MAX_TOOL_CALLS)] | None
    ) = None
    function_call: CalledFunction | None = None


class ToolMessage(WireModel):
    """The result of a call in ``tool_calls``. Some clients put images into it."""

    role: Literal["tool"]
    content: UserContent | None = None
    tool_call_id: Name
    name: Name | None = None


class FunctionMessage(WireModel):
    """The result of a ``function_call``."""

    role: Literal["function"]
    content: TextContent | None = None
    name: Name


WireMessage: TypeAlias = Annotated[
    Annotated[SystemMessage, Tag("~system")]
    | Annotated[AssistantMessage, Tag("~assistant")]
    | Annotated[UserMessage, Tag("~user")]
    | Annotated[FunctionMessage, Tag("~function")]
    | Annotated[ToolMessage, Tag("~tool")]
    | Annotated[DeveloperMessage, Tag("~developer")],
    by_key("role", "system", "assistant", "user", "function", "tool", "developer"),
]
