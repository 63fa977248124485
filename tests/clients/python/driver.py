"""What the driver scripts share: their arguments, the two tools, and how they end.

A driver is started as ``python SCRIPT URL KEY MODEL PROMPT SCENARIO [WAY]`` in the environment of
its library. It imports that library and this module, and nothing else of this project.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Task:
    """What to ask, where and as whom; ``way`` is for a library that has several ways of use."""

    url: str
    key: str
    model: str
    prompt: str
    scenario: str
    way: str = ""

    @property
    def has_tools(self) -> bool:
        """Whether the model is offered the tools."""
        return self.scenario != "question"

    @property
    def tools(self) -> list[Callable[..., str]]:
        """The tools that the model is offered, as functions."""
        return [*TOOLS.values()] if self.has_tools else []

    @property
    def schemas(self) -> dict[str, Any]:
        """The same as parameters of a request."""
        return {"tools": SCHEMAS} if self.has_tools else {}


def read_file(path: str) -> str:
    """Return the text of a file."""
    return Path(path).read_text(encoding="utf-8")


def write_file(path: str, content: str) -> str:
    """Write a text to a file."""
    Path(path).write_text(content, encoding="utf-8")
    return "written"


TOOLS = {"read_file": read_file, "write_file": write_file}


def _schema(name: str, *parameters: str) -> dict[str, Any]:
    properties = {parameter: {"type": "string"} for parameter in parameters}
    schema = {"type": "object", "properties": properties, "required": [*parameters]}
    function = {"name": name, "description": TOOLS[name].__doc__, "parameters": schema}
    return {"type": "function", "function": function}


SCHEMAS = [_schema("read_file", "path"), _schema("write_file", "path", "content")]


def drive(ask: Callable[[Task], str]) -> None:
    """Print what ``ask`` returns. After a SIGINT, which ends it, wait for the end of stdin.

    SIGINT raises ``KeyboardInterrupt`` in ``ask``, and ``asyncio.run`` cancels its main task: the
    library has ended its request before ``cancelled`` is printed, or never does.
    """
    try:
        said = ask(Task(*sys.argv[1:]))
    except KeyboardInterrupt:
        print("cancelled", flush=True)
    else:
        print(said, flush=True)
        return
    sys.stdin.read()
