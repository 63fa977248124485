"""The client's tools in a chat request: their models, and what tools and choice mean together.

``functions`` and ``function_call`` are the older form of ``tools`` and ``tool_choice``. They are
understood as tools of which at most one is called, and the answer has a ``function_call``. Such a
call has no id, and an id is what tells the server which agent made a call; so with ``functions``
the whole team decides at every step.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Annotated, Any, Final, Literal, TypeAlias, cast

from pydantic import ConfigDict, Field, Tag

from massgen_compat._run.message import NamedTool, Tool, ToolChoice
from massgen_compat.errors import InvalidRequest
from massgen_compat.protocol.wire import WireModel, by_key, by_type

MAX_TOOLS: Final = 512
"""OpenAI documents 128; coding clients with many servers send more."""

MAX_DESCRIPTION: Final = 100_000

MAX_PARAMETER_PARTS: Final = 10_000
MAX_PARAMETER_DEPTH: Final = 64
MAX_PARAMETER_TEXT: Final = 1_000_000
"""Bounds of the schema of one tool: objects and arrays, levels of them, and characters of keys and
texts. Every agent is sent the schema in every turn. OpenAI allows 5 000 properties."""

ToolName: TypeAlias = Annotated[
    str, Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")
]


class WireFunction(WireModel):
    """A function that the model may call."""

    name: ToolName
    description: Annotated[str, Field(max_length=MAX_DESCRIPTION)] | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionTool(WireModel):
    """A function tool."""

    type: Literal["function"]
    function: WireFunction


class TextFormat(WireModel):
    """Input of any form."""

    type: Literal["text"]


class Grammar(WireModel):
    """A context-free grammar, or a regular expression."""

    syntax: Literal["lark", "regex"]
    definition: Annotated[str, Field(max_length=MAX_DESCRIPTION)]


class GrammarFormat(WireModel):
    """Input that follows a grammar. It is passed on; only the provider compiles it."""

    type: Literal["grammar"]
    grammar: Grammar


_Format: TypeAlias = Annotated[
    Annotated[TextFormat, Tag("~text")] | Annotated[GrammarFormat, Tag("~grammar")],
    by_key("type", "text", "grammar"),
]


class WireCustom(WireModel):
    """A tool whose input is free text."""

    name: ToolName
    description: Annotated[str, Field(max_length=MAX_DESCRIPTION)] | None = None
    format: _Format | None = None


class CustomTool(WireModel):
    """A custom tool."""

    type: Literal["custom"]
    custom: WireCustom


WireTool: TypeAlias = Annotated[
    Annotated[FunctionTool, Tag("~function")] | Annotated[CustomTool, Tag("~custom")],
    by_key("type", "function", "custom"),
]


class _Named(WireModel):
    name: ToolName


class FunctionChoice(WireModel):
    """The choice of one function."""

    type: Literal["function"]
    function: _Named


class CustomChoice(WireModel):
    """The choice of one custom tool."""

    type: Literal["custom"]
    custom: _Named


_Choice: TypeAlias = Annotated[
    Annotated[FunctionChoice, Tag("~function")] | Annotated[CustomChoice, Tag("~custom")],
    by_key("type", "function", "custom"),
]


class _Allowed(WireModel):
    mode: Literal["auto", "required"]
    tools: Annotated[list[_Choice], Field(min_length=1, max_length=MAX_TOOLS)]


class AllowedChoice(WireModel):
    """The choice among some of the tools."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["allowed_tools"]
    allowed_tools: _Allowed


WireToolChoice: TypeAlias = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("~string")]
    | Annotated[
        Annotated[
            Annotated[FunctionChoice, Tag("~function")]
            | Annotated[CustomChoice, Tag("~custom")]
            | Annotated[AllowedChoice, Tag("~allowed_tools")],
            by_key("type", "function", "custom", "allowed_tools"),
        ],
        Tag("~object"),
    ],
    by_type("one of 'none', 'auto', 'required' or object", string=str, object=dict),
]


def client_tools(
    tools: Sequence[WireTool] | None,
    choice: WireToolChoice | None,
    *,
    as_functions: Collection[str] = (),
) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    """The tools that the presenter may call, and its choice among them.

    ``as_functions`` are the names of custom tools whose calls the client reads as those of
    functions. With the choice ``allowed_tools`` the other tools are left out, because not every
    provider knows that choice. Raises ``InvalidRequest`` for a repeated name, a schema that is too
    large, and the choice of an unknown tool.
    """
    known: dict[str, Tool] = {}
    for index, wire in enumerate(tools or ()):
        tool = (
            _custom(wire.custom, as_functions)
            if isinstance(wire, CustomTool)
            else _function(wire.function)
        )
        check_parameters(tool.name, tool.parameters, f"tools[{index}].function.parameters")
        if tool.name in known:
            raise InvalidRequest(
                f"Invalid value: the tool name '{tool.name}' is used twice.",
                param=f"tools[{index}].{wire.type}.name",
                code="invalid_value",
            )
        known[tool.name] = tool
    match choice:
        case FunctionChoice() | CustomChoice():
            return tuple(known.values()), NamedTool(_chosen(choice, known, "tool_choice"))
        case AllowedChoice(allowed_tools=given):
            allowed = {
                _chosen(each, known, f"tool_choice.allowed_tools.tools[{index}]")
                for index, each in enumerate(given.tools)
            }
            return tuple(tool for tool in known.values() if tool.name in allowed), given.mode
        case _:
            return tuple(known.values()), choice


def _function(function: WireFunction) -> Tool:
    return Tool(
        name=function.name,
        description=function.description or "",
        parameters=function.parameters or {"type": "object", "properties": {}},
        strict=bool(function.strict),
    )


def check_parameters(name: str, schema: object, at: str) -> None:
    """Raise ``InvalidRequest`` if the schema of a tool, which stands at ``at``, is too large."""
    level: list[object] = [schema]
    parts = text = 0
    for _ in range(MAX_PARAMETER_DEPTH + 1):
        text += sum(len(each) for each in level if isinstance(each, str))
        level = [each for each in level if isinstance(each, Mapping | list)]
        parts += len(level)
        if not level or parts > MAX_PARAMETER_PARTS or text > MAX_PARAMETER_TEXT:
            break
        level = [part for each in level for part in _inside(each)]
    if level or text > MAX_PARAMETER_TEXT:
        raise InvalidRequest(
            f"Invalid schema for function '{name}': it has more than {MAX_PARAMETER_PARTS} parts, "
            f"{MAX_PARAMETER_DEPTH} levels or {MAX_PARAMETER_TEXT} characters.",
            param=at,
            code="invalid_function_parameters",
        )


def _inside(part: object) -> Iterable[object]:
    if isinstance(part, Mapping):
        entries = cast("Mapping[str, object]", part)
        return chain(entries, entries.values())
    return cast("list[object]", part)


def _custom(custom: WireCustom, as_functions: Collection[str]) -> Tool:
    given: dict[str, Any] = {"type": "text"}
    if isinstance(custom.format, GrammarFormat):
        given = {"type": "grammar", **custom.format.grammar.model_dump()}
    return Tool(
        name=custom.name,
        description=custom.description or "",
        input_format=given,
        as_function=custom.name in as_functions,
    )


def _chosen(choice: FunctionChoice | CustomChoice, known: Mapping[str, Tool], at: str) -> str:
    named = choice.custom if isinstance(choice, CustomChoice) else choice.function
    tool = known.get(named.name)
    fits = tool is not None and (
        tool.as_function or tool.custom == isinstance(choice, CustomChoice)
    )
    if not fits:
        raise InvalidRequest(
            f"Tool choice '{named.name}' not found in 'tools' parameter.",
            param=f"{at}.{choice.type}.name",
            code="invalid_value",
        )
    return named.name


# ``functions`` and ``function_call``

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
