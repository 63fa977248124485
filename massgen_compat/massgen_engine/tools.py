"""The client's tools, as MassGen's agents are offered them. Pure.

MassGen's own tools cannot be renamed, so here it is the client's that give way, and only inside:
calls leave with the names that the client knows.
"""

from collections.abc import Sequence

from massgen_compat.massgen_engine.translate import WORKFLOW_TOOLS
from massgen_compat.message import Json, Tool, ToolCall
from massgen_compat.run import RunRequest


class ClientTools:
    """The tools of one request: none, where it wants none called."""

    def __init__(self, request: RunRequest) -> None:
        tools = () if request.tool_choice == "none" else request.tools
        self._most = 1 if request.parallel_tool_calls is False else len(tools) * 100
        self._names: dict[str, str] = {}
        self.offered: Sequence[Json] = [self._offer(tool) for tool in tools]

    def _offer(self, tool: Tool) -> Json:
        name = tool.name
        taken = WORKFLOW_TOOLS | self._names.keys()
        while name in taken:
            name = f"client_{name}"
        self._names[name] = tool.name
        function = {
            "name": name,
            "description": tool.description,
            "parameters": tool.parameters or {"type": "object", "properties": {}},
        }
        return {"type": "function", "function": function}

    def called(self, calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
        """The calls that are the client's, with its own names; as many as it wants at once."""
        own = [
            ToolCall(id=call.id, name=self._names[call.name], arguments=call.arguments)
            for call in calls
            if call.name in self._names
        ]
        return tuple(own[: self._most])
