"""The client's tools on the wire of Chat Completions: the shapes, and what they mean together."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import ConfigDict, Field, Tag

from massgen_compat.errors import InvalidRequest, UnsupportedParameter
from massgen_compat.protocol.wire import Wire, by_key, by_type
from massgen_compat.run import NamedTool, Tool, ToolChoice

MAX_TOOLS: Final = 512
"""OpenAI documents 128; coding clients with many servers send more."""

MAX_DESCRIPTION: Final = 100_000

_Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")]


class WireFunction(Wire):
    """A function that the model may call."""

    name: _Name
    description: Annotated[str, Field(max_length=MAX_DESCRIPTION)] | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionTool(Wire):
    """A function tool."""

    type: Literal["function"]
    function: WireFunction


class CustomTool(Wire):
    """A freeform tool: known to the API, refused here."""

    type: Literal["custom"]


WireTool: TypeAlias = Annotated[
    Annotated[FunctionTool, Tag("~function")] | Annotated[CustomTool, Tag("~custom")],
    by_key("type", "function", "custom"),
]


class _Named(Wire):
    name: _Name


class FunctionChoice(Wire):
    """The choice of one function."""

    type: Literal["function"]
    function: _Named


class _Allowed(Wire):
    mode: Literal["auto", "required"]
    tools: Annotated[list[FunctionChoice], Field(min_length=1, max_length=MAX_TOOLS)]


class AllowedChoice(Wire):
    """The choice among some of the tools."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["allowed_tools"]
    allowed_tools: _Allowed


WireToolChoice: TypeAlias = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("~string")]
    | Annotated[
        Annotated[
            Annotated[FunctionChoice, Tag("~function")]
            | Annotated[AllowedChoice, Tag("~allowed_tools")],
            by_key("type", "function", "allowed_tools"),
        ],
        Tag("~object"),
    ],
    by_type("one of 'none', 'auto', 'required' or object", string=str, object=dict),
]


def client_tools(
    tools: Sequence[WireTool] | None, choice: WireToolChoice | None
) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    """The tools that the presenter may call, and its choice among them.

    ``allowed_tools`` becomes what every provider understands: the other tools are withheld.
    Raises ``InvalidRequest`` for a repeated name or a choice that is none of the tools, and
    ``UnsupportedParameter`` for custom tools.
    """
    known: dict[str, Tool] = {}
    for index, tool in enumerate(tools or ()):
        if isinstance(tool, CustomTool):
            raise UnsupportedParameter(
                "Unsupported parameter: custom tools are not supported in this version; use a "
                "function tool with one string parameter.",
                param=f"tools[{index}].type",
            )
        function = tool.function
        if function.name in known:
            raise InvalidRequest(
                f"Invalid value: the tool name '{function.name}' is used twice.",
                param=f"tools[{index}].function.name",
                code="invalid_value",
            )
        known[function.name] = Tool(
            name=function.name,
            description=function.description or "",
            parameters=function.parameters or {"type": "object", "properties": {}},
            strict=bool(function.strict),
        )
    match choice:
        case FunctionChoice():
            _check_known(choice, known, "tool_choice.function.name")
            return tuple(known.values()), NamedTool(choice.function.name)
        case AllowedChoice():
            for index, each in enumerate(choice.allowed_tools.tools):
                _check_known(each, known, f"tool_choice.allowed_tools.tools[{index}].function.name")
            allowed = {each.function.name for each in choice.allowed_tools.tools}
            kept = tuple(tool for tool in known.values() if tool.name in allowed)
            return kept, choice.allowed_tools.mode
        case _:
            return tuple(known.values()), choice


def _check_known(choice: FunctionChoice, known: dict[str, Tool], param: str) -> None:
    if choice.function.name not in known:
        raise InvalidRequest(
            f"Tool choice '{choice.function.name}' not found in 'tools' parameter.",
            param=param,
            code="invalid_value",
        )
