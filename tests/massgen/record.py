"""Records what the real MassGen yields, for the tests of ``translate``.

``make massgen-recordings``: every scenario in both of MassGen's trace modes, against the scripted
upstream and with MassGen's own client. Ids and times differ from one recording to the next.
"""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from massgen_compat._massgen.orchestration import Orchestration
from massgen_compat._massgen.package import Package, load
from massgen_compat._upstream.tolerant import mapping
from tests.massgen.stage import upstream

FOLDER = Path(__file__).parent / "recordings"
MODES = ("strict", "legacy")
TOOL = {
    "type": "function",
    "function": {"name": "get_weather", "description": "", "parameters": {"type": "object"}},
}


@dataclass(frozen=True)
class Scenario:
    """A run to be recorded: the backend type, the models' scripts, MassGen's settings."""

    name: str
    kind: str = "chatcompletion"
    scripts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    orchestrator: Mapping[str, Any] = field(default_factory=dict[str, Any])
    backend: Mapping[str, Any] = field(default_factory=dict[str, Any])
    tools: tuple[Mapping[str, Any], ...] = ()


AGREES = {"draft": "Air scatters blue.", "present": "It scatters most of all."}
SERVER = """
from mcp.server.fastmcp import FastMCP
server = FastMCP("clock")
@server.tool()
def now() -> str:
    return "noon"
server.run()
"""

SCENARIOS = (
    Scenario("text", scripts={"ada": AGREES, "ben": AGREES}),
    Scenario(
        "submitted",
        kind="openai",
        backend={"reasoning": {"summary": "auto"}},
        scripts={
            name: {
                "draft": {"text": "Thinking.", "reasoning": "Hm.", "new_answer": "Air scatters."},
                "present": {"reasoning": "So.", "new_answer": "It scatters most of all."},
            }
            for name in ("ada", "ben")
        },
    ),
    Scenario(
        "improved",
        scripts={
            "ada": AGREES,
            "ben": {**AGREES, "evaluate": [{"new_answer": "Violet, too."}, "vote agent2"]},
        },
        orchestrator={"max_new_answers_per_agent": 2},
    ),
    Scenario(
        "tools",
        scripts={
            "ada": {"draft": {"calls": [{"name": "get_weather", "arguments": {"city": "Bern"}}]}},
            "ben": AGREES,
        },
        tools=(TOOL,),
    ),
    Scenario(
        "tools-responses",
        kind="openai",
        scripts={
            "ada": {"draft": {"calls": [{"name": "get_weather", "arguments": {"city": "Bern"}}]}},
            "ben": AGREES,
        },
        tools=(TOOL,),
    ),
    Scenario(
        "reused",
        scripts={"ada": AGREES, "ben": AGREES},
        orchestrator={"final_answer_strategy": "winner_reuse", "skip_final_presentation": True},
    ),
    Scenario(
        "refused",
        scripts={
            "ada": {"draft": {"text": "x", "fail": {"status": 401, "message": "bad key"}}},
            "ben": {**AGREES, "evaluate": "vote longest"},
        },
    ),
    Scenario(
        "nobody",
        scripts={
            name: {"draft": {"text": "x", "fail": {"status": 401, "message": "bad key"}}}
            for name in ("ada", "ben")
        },
    ),
    Scenario(
        "speechless-presenter",
        scripts={name: {**AGREES, "present": {"text": "  "}} for name in ("ada", "ben")},
    ),
    Scenario(
        "server-tool",
        scripts={
            "ada": {
                "draft": [{"calls": [{"name": "mcp__clock__now"}]}, {"new_answer": "At noon."}],
                "present": "At noon.",
            },
            "ben": AGREES,
        },
        backend={
            "mcp_servers": [
                {
                    "name": "clock", "type": "stdio", "command": sys.executable,
                    "args": ["-c", SERVER],
                }
            ]
        },
    ),
)  # fmt: skip


async def record(package: Package, scenario: Scenario, mode: str) -> list[dict[str, Any]]:
    """The chunks of a run, each with the agents' states where they changed."""
    async with upstream(scripts=scenario.scripts) as up:
        backend = {"type": scenario.kind, "base_url": up.url, **scenario.backend}
        config = {
            "agents": [
                {"id": name, "backend": {**backend, "model": name}} for name in scenario.scripts
            ],
            "orchestrator": dict(scenario.orchestrator),
        }
        orchestration = Orchestration(
            package,
            config,
            environment={},
            client_of=lambda _: None,
            trace_classification=mode,
        )
        rows: list[dict[str, Any]] = []
        try:
            async for chunk in orchestration.chunks("Why is the sky blue?", list(scenario.tools)):
                row: dict[str, Any] = {"chunk": _chunk(chunk)}
                status = orchestration.states(tuple(scenario.scripts))
                if not rows or status != _last(rows):
                    row["status"] = status
                rows.append(row)
        finally:
            await orchestration.aclose()
    return rows


def _last(rows: list[dict[str, Any]]) -> object:
    return next(row["status"] for row in reversed(rows) if "status" in row)


_FIELDS = ("type", "source", "content", "error", "tool_calls", "reasoning_delta",
           "reasoning_summary_delta", "status")  # fmt: skip


def _chunk(raw: object) -> dict[str, Any]:
    said = {name: getattr(raw, name, None) for name in _FIELDS}
    said["type"] = str(getattr(said["type"], "value", said["type"]))
    plain = json.loads(json.dumps(said, default=str))
    return {name: value for name, value in mapping(plain).items() if value is not None}


async def main(names: list[str]) -> None:
    """Record the scenarios of those names, or all."""
    package = load()
    os.environ["OPENAI_API_KEY"] = "unused"  # MassGen's own client reads it at every call
    FOLDER.mkdir(exist_ok=True)
    for scenario in SCENARIOS:
        if names and scenario.name not in names:
            continue
        for mode in MODES:
            rows = await asyncio.wait_for(record(package, scenario, mode), 60)
            lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
            path = FOLDER / f"{scenario.name}-{mode}.json"
            path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
            print(path.name, len(rows))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
