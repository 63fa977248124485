"""The body of a chat request on the wire, apart from the messages.

What a parameter does stands in ``parameters``; here is only which values it can have.
"""

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, Tag

from massgen_compat.protocol.legacy import WireFunctionCall, WireFunctions
from massgen_compat.protocol.messages import WireMessage
from massgen_compat.protocol.options import WireMassgen
from massgen_compat.protocol.response_format import ResponseFormat
from massgen_compat.protocol.tools import MAX_TOOLS, WireTool, WireToolChoice
from massgen_compat.protocol.wire import Wire, at_most, by_type

MAX_MODEL: Final = 256
MAX_MESSAGES: Final = 2048
MAX_CHOICES: Final = 8
"""OpenAI's bound is 128; each choice here is a model call with the whole deliberation before it."""

MAX_STOPS: Final = 4
MAX_STOP_LENGTH: Final = 1024
MAX_METADATA: Final = 16
MAX_LOGIT_BIAS: Final = 1024
MAX_IDENTIFIER: Final = 512
"""``user``, ``safety_identifier`` and ``prompt_cache_key``: OpenAI's bounds differ by model."""

_Count: TypeAlias = Annotated[int, Field(ge=1, le=2**31 - 1)]
_Penalty: TypeAlias = Annotated[float, Field(ge=-2.0, le=2.0)]
_Identifier: TypeAlias = Annotated[str, Field(max_length=MAX_IDENTIFIER)]
_Stop: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_STOP_LENGTH)]
_Stops: TypeAlias = Annotated[
    Annotated[_Stop, Tag("~string")]
    | Annotated[list[_Stop], Field(fail_fast=True, max_length=MAX_STOPS), Tag("~array")],
    by_type("one of a string or array of strings", string=str, array=list),
]
_Key: TypeAlias = Annotated[str, Field(max_length=64)]
_Value: TypeAlias = Annotated[str, Field(max_length=512)]
_Bias: TypeAlias = Annotated[int, Field(ge=-100, le=100)]


class StreamOptions(Wire):
    """What a stream carries beside the message. Obfuscation is never added."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatPayload(Wire):
    """The body of ``POST /v1/chat/completions``. ``null`` is the same as absent.

    The order of the fields is the order in which the real API reports faults.
    """

    model: Annotated[str, Field(max_length=MAX_MODEL)]
    messages: Annotated[
        list[WireMessage], Field(fail_fast=True, min_length=1, max_length=MAX_MESSAGES)
    ]
    functions: WireFunctions | None = None
    tools: Annotated[list[WireTool], Field(min_length=1, max_length=MAX_TOOLS)] | None = None
    parallel_tool_calls: bool | None = None
    max_completion_tokens: _Count | None = None
    max_tokens: _Count | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    stop: _Stops | None = None
    temperature: Annotated[float, Field(ge=0.0, le=2.0)] | None = None
    top_p: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    presence_penalty: _Penalty | None = None
    frequency_penalty: _Penalty | None = None
    logit_bias: Annotated[dict[_Key, _Bias], at_most(MAX_LOGIT_BIAS)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    user: _Identifier | None = None
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] | None = None
    safety_identifier: _Identifier | None = None
    prompt_cache_options: dict[str, object] | None = None
    prompt_cache_key: _Identifier | None = None
    prompt_cache_retention: Literal["in_memory", "in-memory", "24h"] | None = None
    service_tier: Literal["auto", "default", "fast", "flex", "priority", "scale"] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    store: bool | None = None
    metadata: Annotated[dict[_Key, _Value], at_most(MAX_METADATA)] | None = None
    modalities: (
        Annotated[list[Literal["text", "audio"]], Field(fail_fast=True, min_length=1, max_length=2)]
        | None
    ) = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = (
        None
    )
    response_format: ResponseFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    tool_choice: WireToolChoice | None = None
    function_call: WireFunctionCall | None = None
    massgen: WireMassgen | None = None
