"""Parses the payload of ``POST /v1/chat/completions`` into a ``ParsedRequest``. Pure.

``ChatPayload`` checks the types and bounds of each parameter; what several parameters mean together
is checked here and in the other modules of ``chat``.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias, cast

from pydantic import BaseModel, Field, Tag, ValidationError

from massgen_compat._run.message import Tool, ToolChoice
from massgen_compat._run.request import RunRequest
from massgen_compat.errors import InvalidRequest
from massgen_compat.protocol.chat.answer import ChatRendering
from massgen_compat.protocol.chat.history import conversation
from massgen_compat.protocol.chat.messages import WireMessage
from massgen_compat.protocol.chat.render import ChatOptions
from massgen_compat.protocol.chat.response_format import ResponseFormat, output_format
from massgen_compat.protocol.chat.tools import (
    MAX_TOOLS,
    WireFunctionCall,
    WireFunctions,
    WireTool,
    WireToolChoice,
    as_tools,
    client_tools,
)
from massgen_compat.protocol.foreign import Translation, translate
from massgen_compat.protocol.options import MassgenOptions, WireMassgen
from massgen_compat.protocol.parameters import (
    UnknownParams,
    forwarded,
    ignored_names,
    refuse_unknown,
    refuse_unsupported,
)
from massgen_compat.protocol.request import ParsedRequest
from massgen_compat.protocol.trace import echoed
from massgen_compat.protocol.validation import first_fault, type_name
from massgen_compat.protocol.wire import WireModel, at_most, by_type

MAX_MODEL: Final = 256
MAX_MESSAGES: Final = 2048
MAX_CHOICES: Final = 8
"""OpenAI's bound is 128. Here each choice is a model call whose prompt has the team's answers."""

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


class StreamOptions(WireModel):
    """``stream_options``. Obfuscation is never added."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatPayload(WireModel):
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


ChatRequest: TypeAlias = ParsedRequest[ChatRendering]
"""A chat payload as it was understood."""


def parse(payload: object, *, unknown_params: UnknownParams = "warn") -> ChatRequest:
    """The request in ``payload``, a JSON object; its messages may also be models of the SDK.

    ``unknown_params`` is for parameters that the API does not have: the answer names them
    (``warn``), it does not (``ignore``), or the request is refused (``reject``). Raises
    ``InvalidRequest``, with the message, ``param`` and ``code`` of the real API, and for a
    parameter that is not supported ``UnsupportedParameter``.
    """
    translation = translate(_object(payload))
    with translation.places.named_in_errors():
        return _parsed(translation, unknown_params)


def _parsed(translation: Translation, unknown_params: UnknownParams) -> ChatRequest:
    given = translation.payload
    if unknown_params == "reject":
        refuse_unknown(given)
    try:
        wire = ChatPayload.model_validate(given)
    except ValidationError as error:
        raise first_fault(error) from None
    _check_combinations(wire)
    refuse_unsupported(given)
    tools, tool_choice = _tools(wire, translation)
    messages = conversation(wire.messages, {tool.name for tool in tools if tool.custom})
    options = wire.massgen if isinstance(wire.massgen, MassgenOptions) else MassgenOptions()
    return ParsedRequest(
        run=RunRequest(
            team=wire.model,
            messages=messages,
            agent_params=forwarded(given, "every_agent"),
            presenter_params=_presenter_params(given),
            tools=tools,
            tool_choice=tool_choice,
            parallel_tool_calls=_parallel(wire) if tools else None,
            trace=options.trace,
            decision=echoed(wire.messages),
            format=output_format(wire.response_format, messages),
            choices=wire.n or 1,
            cache_key=wire.prompt_cache_key,
            narrowing=options.narrowing(),
        ),
        rendering=ChatRendering(
            ChatOptions(
                model=wire.model,
                include_usage=bool(wire.stream_options and wire.stream_options.include_usage),
                massgen_object=wire.massgen != "off",
                stop=(wire.stop,) if isinstance(wire.stop, str) else tuple(wire.stop or ()),
                legacy_functions=wire.functions is not None,
            )
        ),
        stream=bool(wire.stream),
        ignored=ignored_names(
            given,
            [*translation.ignored, *_ignored_options(wire)],
            unknown=unknown_params != "ignore",
        ),
        places=translation.places,
    )


def _tools(
    wire: ChatPayload, translation: Translation
) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    if wire.functions is not None:
        functions, choice = as_tools(wire.functions, wire.function_call)
        return client_tools(functions, choice)
    return client_tools(wire.tools, wire.tool_choice, as_functions=translation.as_functions)


def _parallel(wire: ChatPayload) -> bool | None:
    """Whether several calls may be made at once; ``functions`` allow one call only."""
    return False if wire.functions is not None else wire.parallel_tool_calls


def _object(payload: object) -> dict[str, Any]:
    """The payload as a new dict. Raises ``InvalidRequest`` for no object, and without a model."""
    if not isinstance(payload, Mapping):
        raise InvalidRequest(
            f"Invalid type for the body: expected an object, but got {type_name(payload)} instead.",
            code="invalid_type",
        )
    given = {str(key): value for key, value in cast("Mapping[Any, Any]", payload).items()}
    if given.get("model") in (None, ""):
        raise InvalidRequest("you must provide a model parameter")
    messages = given.get("messages")
    if isinstance(messages, list | tuple):
        given["messages"] = [_plain(message) for message in cast("list[object]", messages)]
    return given


def _plain(message: object) -> object:
    """The message as a dict: callers append the SDK's message objects to a conversation."""
    return message.model_dump(exclude_unset=True) if isinstance(message, BaseModel) else message


def _check_combinations(wire: ChatPayload) -> None:
    if wire.tools is not None and wire.functions is not None:
        raise InvalidRequest(
            "'tools' and 'functions' cannot be used together; send `tools` alone.",
            param="functions",
        )
    if wire.top_logprobs and not wire.logprobs:
        raise InvalidRequest(
            "Invalid value for 'top_logprobs': 'top_logprobs' is only allowed when 'logprobs' is "
            "set to true.",
            param="top_logprobs",
        )
    for name, needed, allowed in (
        ("tool_choice", "tools", wire.tools),
        ("function_call", "functions", wire.functions),
    ):
        if allowed is None and getattr(wire, name) is not None:
            raise InvalidRequest(
                f"Invalid value for '{name}': '{name}' is only allowed when '{needed}' are "
                "specified.",
                param=name,
            )


def _ignored_options(wire: ChatPayload) -> tuple[str, ...]:
    if wire.stream_options and wire.stream_options.include_obfuscation:
        return ("stream_options.include_obfuscation",)
    return ()


def _presenter_params(given: Mapping[str, Any]) -> dict[str, Any]:
    params = forwarded(given, "presenter")
    if not given.get("logprobs"):
        params.pop("top_logprobs", None)
    if "max_completion_tokens" in params:  # it supersedes the deprecated name
        params.pop("max_tokens", None)
    return params
