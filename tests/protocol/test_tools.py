"""Client tools on the wire: what a request means, and what is refused."""

from dataclasses import dataclass
from typing import Any

import pytest

from massgen_compat._run.message import NamedTool, Tool
from massgen_compat._run.request import RunRequest
from massgen_compat.errors import InvalidRequest
from massgen_compat.protocol.chat.request import parse

READ: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "read_file",
        "description": "Read a file.",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}}},
        "strict": True,
    },
}
LIST = {"type": "function", "function": {"name": "list-files"}}
BOTH = [READ, LIST]


def run(**params: Any) -> RunRequest:
    return parse({"model": "m", "messages": [{"role": "user", "content": "hi"}], **params}).run


def named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


def test_tools_are_kept_with_their_schemas() -> None:
    assert run(tools=BOTH).tools == (
        Tool(
            name="read_file",
            description="Read a file.",
            parameters=READ["function"]["parameters"],
            strict=True,
        ),
        Tool(name="list-files", description="", parameters={"type": "object", "properties": {}}),
    )


@pytest.mark.parametrize("choice", ["none", "auto", "required", None])
def test_a_choice_in_a_word_is_kept(choice: str | None) -> None:
    assert run(tools=BOTH, tool_choice=choice).tool_choice == choice


def test_a_named_choice_is_kept() -> None:
    assert run(tools=BOTH, tool_choice=named("read_file")).tool_choice == NamedTool("read_file")


def test_a_choice_among_some_withholds_the_others() -> None:
    allowed = {"mode": "required", "tools": [named("list-files")]}
    request = run(tools=BOTH, tool_choice={"type": "allowed_tools", "allowed_tools": allowed})
    assert [tool.name for tool in request.tools] == ["list-files"]
    assert request.tool_choice == "required"


def custom_tool(name: str, form: dict[str, Any] | None = None) -> dict[str, Any]:
    custom = {"name": name, "description": "Edit."} | ({"format": form} if form else {})
    return {"type": "custom", "custom": custom}


def test_custom_tools_are_kept_with_their_grammar() -> None:
    grammar = {"syntax": "lark", "definition": "start: WORD"}
    tools = run(
        tools=[custom_tool("free"), custom_tool("bound", {"type": "grammar", "grammar": grammar})]
    ).tools
    assert [tool.input_format for tool in tools] == [
        {"type": "text"},
        {"type": "grammar", **grammar},
    ]
    assert all(tool.custom and not tool.as_function for tool in tools)


def test_custom_tools_can_be_chosen() -> None:
    chosen = {"type": "custom", "custom": {"name": "free"}}
    tools = [custom_tool("free"), READ]
    assert run(tools=tools, tool_choice=chosen).tool_choice == NamedTool("free")
    allowed = {"mode": "auto", "tools": [chosen]}
    request = run(tools=tools, tool_choice={"type": "allowed_tools", "allowed_tools": allowed})
    assert [tool.name for tool in request.tools] == ["free"]


def test_parallel_calls_are_a_matter_of_tools_only() -> None:
    assert run(tools=BOTH, parallel_tool_calls=False).parallel_tool_calls is False
    assert run(parallel_tool_calls=False).parallel_tool_calls is None


@dataclass(frozen=True)
class Fault:
    params: dict[str, Any]
    param: str
    code: str | None


FAULTS = {
    "no tools": Fault({"tools": []}, "tools", "empty_array"),
    "not a list": Fault({"tools": "x"}, "tools", "invalid_type"),
    "no function": Fault(
        {"tools": [{"type": "function"}]}, "tools[0].function", "missing_required_parameter"
    ),
    "no name": Fault(
        {"tools": [READ, {"type": "function", "function": {}}]},
        "tools[1].function.name",
        "missing_required_parameter",
    ),
    "another type": Fault({"tools": [{"type": "magic"}]}, "tools[0].type", "invalid_value"),
    "a bad name": Fault({"tools": [named("read file")]}, "tools[0].function.name", "invalid_value"),
    "one name twice": Fault({"tools": [READ, READ]}, "tools[1].function.name", "invalid_value"),
    "a custom tool without a name": Fault(
        {"tools": [{"type": "custom", "custom": {}}]},
        "tools[0].custom.name",
        "missing_required_parameter",
    ),
    "a grammar without its definition": Fault(
        {
            "tools": [
                custom_tool("x", {"type": "grammar", "grammar": {"syntax": "lark"}}),
            ]
        },
        "tools[0].custom.format.grammar.definition",
        "missing_required_parameter",
    ),
    "a custom tool chosen as a function": Fault(
        {"tools": [custom_tool("x")], "tool_choice": named("x")},
        "tool_choice.function.name",
        "invalid_value",
    ),
    "a function chosen as a custom tool": Fault(
        {"tools": [LIST], "tool_choice": {"type": "custom", "custom": {"name": "list-files"}}},
        "tool_choice.custom.name",
        "invalid_value",
    ),
    "a choice without tools": Fault({"tool_choice": "auto"}, "tool_choice", None),
    "an unknown word": Fault(
        {"tools": BOTH, "tool_choice": "always"}, "tool_choice", "invalid_value"
    ),
    "the choice of an unknown tool": Fault(
        {"tools": BOTH, "tool_choice": named("rm")}, "tool_choice.function.name", "invalid_value"
    ),
    "parameters that are no object": Fault(
        {"tools": [{"type": "function", "function": {"name": "x", "parameters": []}}]},
        "tools[0].function.parameters",
        "invalid_type",
    ),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_names_its_place(fault: Fault) -> None:
    with pytest.raises(InvalidRequest) as caught:
        run(**fault.params)
    assert (caught.value.param, caught.value.code) == (fault.param, fault.code)
