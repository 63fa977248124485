"""Chat Completions: a request parsed, a run rendered. Pure; ids and time are arguments."""

from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from massgen_compat.errors import InvalidRequest
from massgen_compat.protocol.history import conversation
from massgen_compat.protocol.parameters import forwarded, ignored_names, refuse_unsupported
from massgen_compat.protocol.render import Renderer, fold
from massgen_compat.protocol.request import ChatPayload, ChatRequest, MassgenOptions
from massgen_compat.protocol.tools import client_tools
from massgen_compat.protocol.validation import first_fault, type_name
from massgen_compat.run import RunRequest, Trace

__all__ = ["ChatRequest", "Renderer", "fold", "parse"]


def parse(payload: object, *, default_trace: Trace | None = None) -> ChatRequest:
    """The request that the JSON object stands for.

    ``default_trace`` is the trace of a request that names none; by default it stays open, for the
    team's setting to fill in.
    Raises ``InvalidRequest`` (of a parameter that is not supported: ``UnsupportedParameter``), in
    the words and with the ``param`` and ``code`` of the real API.
    """
    given = _object(payload)
    try:
        wire = ChatPayload.model_validate(given)
    except ValidationError as error:
        raise first_fault(error) from None
    _check_tool_choice(wire)
    refuse_unsupported(given)
    tools, tool_choice = client_tools(wire.tools, wire.tool_choice)
    options = wire.massgen if isinstance(wire.massgen, MassgenOptions) else MassgenOptions()
    return ChatRequest(
        run=RunRequest(
            team=wire.model,
            messages=conversation(wire.messages),
            agent_params=forwarded(given, "every_agent"),
            presenter_params=_presenter_params(given),
            tools=tools,
            tool_choice=tool_choice,
            parallel_tool_calls=wire.parallel_tool_calls if tools else None,
            trace=options.trace or default_trace,
        ),
        model=wire.model,
        stream=bool(wire.stream),
        include_usage=bool(wire.stream_options and wire.stream_options.include_usage),
        ignored=_ignored(given, wire),
        massgen_object=wire.massgen != "off",
        stop=(wire.stop,) if isinstance(wire.stop, str) else tuple(wire.stop or ()),
    )


def _object(payload: object) -> dict[str, Any]:
    """The payload as a fresh dict, with a model in it."""
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
    """A message of the SDK, which callers append to a conversation as it is, as a dict."""
    return message.model_dump(exclude_unset=True) if isinstance(message, BaseModel) else message


def _check_tool_choice(wire: ChatPayload) -> None:
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


def _ignored(given: Mapping[str, Any], wire: ChatPayload) -> tuple[str, ...]:
    if wire.stream_options and wire.stream_options.include_obfuscation:
        return (*ignored_names(given), "stream_options.include_obfuscation")
    return ignored_names(given)


def _presenter_params(given: Mapping[str, Any]) -> dict[str, Any]:
    params = forwarded(given, "presenter")
    if "max_completion_tokens" in params:  # it supersedes the deprecated name
        params.pop("max_tokens", None)
    return params
