"""``functions`` and ``function_call``, which ``tools`` and ``tool_choice`` came after.

They are understood as tools of which one at most is called, and the answer has a ``function_call``.
It has no id, so nothing in it can tell who made the call: with them, the team decides at each step.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, Tag

from massgen_compat.errors import InvalidRequest
from massgen_compat.protocol.chat.tools import (
    FunctionChoice,
    FunctionTool,
    ToolName,
    WireFunction,
    WireToolChoice,
    check_parameters,
)
from massgen_compat.protocol.wire import WireModel, by_type

MAX_FUNCTIONS = 128
"""OpenAI's bound."""


class NamedFunction(WireModel):
    """The choice of one function."""

    name: ToolName


WireFunctions: TypeAlias = Annotated[
    list[WireFunction], Field(fail_fast=True, min_length=1, max_length=MAX_FUNCTIONS)
]
WireFunctionCall: TypeAlias = Annotated[
    Annotated[Literal["none", "auto"], Tag("~string")] | Annotated[NamedFunction, Tag("~object")],
    by_type("one of 'none', 'auto' or object", string=str, object=dict),
]


def as_tools(
    functions: Sequence[WireFunction], call: WireFunctionCall | None
) -> tuple[list[FunctionTool], WireToolChoice | None]:
    """The functions as tools, and the choice among them.

    Raises ``InvalidRequest`` for a repeated name, a schema that is too large, or the choice of an
    unknown function.
    """
    names = [function.name for function in functions]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise InvalidRequest(
                f"Invalid value: the function name '{name}' is used twice.",
                param=f"functions[{index}].name",
                code="invalid_value",
            )
    for index, function in enumerate(functions):
        check_parameters(function.name, function.parameters, f"functions[{index}].parameters")
    tools = [FunctionTool(type="function", function=function) for function in functions]
    if not isinstance(call, NamedFunction):
        return tools, call
    if call.name not in names:
        raise InvalidRequest(
            f"Function call '{call.name}' not found in 'functions' parameter.",
            param="function_call.name",
            code="invalid_value",
        )
    return tools, FunctionChoice.model_validate(
        {"type": "function", "function": {"name": call.name}}
    )
