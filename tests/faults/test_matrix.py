"""Every cell of the fault matrix, over real sockets on both sides of a served team."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest

from massgen_compat import Agent, Backend, MassGen, Team
from massgen_compat._run.message import Json
from massgen_compat._run.team import TeamSettings
from massgen_compat._run.turn import Phase
from massgen_compat.asgi import create_app
from massgen_compat.cli.server import serving
from tests.faults.matrix import MESSAGE, Answer, Cell, Error, Failure, cells
from tests.faults.page import PAGE, page
from tests.faults.upstream import PATIENCE, SECRET, Addresses, Provider, Wire, providing

pytestmark = pytest.mark.timeout(300)
"""The fixture asks all cells before the first test, which takes a minute on a busy machine."""

CELLS = tuple(cells())
AT_ONCE = 16
AGENTS = "abc"
LOOK_UP = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
WELL: Json = {"evaluate": "vote agent1", "present": MESSAGE}


# The stage: a team for each cell, all behind one server, and one provider behind them


def failing(cell: Cell, agent: str) -> bool:
    match cell.who:
        case "one":
            return agent == "c"
        case "all":
            return True
        case "before" | "after":
            return agent == "a"


def script(cell: Cell, agent: str) -> Json:
    """What an agent's model says in a cell."""
    well = {"draft": f"A draft of {agent}.", **WELL}
    if not failing(cell, agent):
        return well
    fault = cell.fault
    match cell.who:
        case "one" | "all":
            return {"draft": fault.says, "evaluate": fault.says, "present": fault.says}
        case "before":
            return {**well, "present": fault.says if fault.early is None else fault.early}
        case "after":
            assert fault.late is not None
            return {**well, "present": fault.late}


def wire(cell: Cell, agent: str) -> Wire:
    if not failing(cell, agent):
        return Wire()
    if cell.fault.refused:
        return Wire(leaves=True, phase=Phase.EVALUATE)
    return replace(cell.fault.wire, phase=Phase.PRESENT if presenting(cell) else None)


def presenting(cell: Cell) -> bool:
    return cell.who in {"before", "after"}


def model(cell: Cell, agent: str) -> str:
    return f"{cell}/{agent}"


def team(cell: Cell, addresses: Addresses, doors: Iterator[str]) -> Team:
    agents: list[Agent] = []
    for agent in AGENTS:
        url = addresses.open
        if cell.fault.refused and failing(cell, agent):
            url = next(doors) if presenting(cell) else addresses.shut
        backend = Backend(type="openai", base_url=url, api_key=SECRET, api=cell.api)
        agents.append(Agent(agent, model=model(cell, agent), backend=backend))
    settings = TeamSettings(timeouts=cell.fault.timeouts, stream_turns=cell.turns)
    return Team(str(cell), agents, settings=settings)


@dataclass(frozen=True)
class Seen:
    """How a run was answered: all of it, and what counts."""

    status: int
    headers: dict[str, str]
    raw: bytes
    error: Json | None
    choice: Json
    told: Json
    ended: bool = True

    @property
    def text(self) -> str:
        """Everything that the client got to see."""
        return f"{self.headers}\n{self.raw.decode()}"


@dataclass(frozen=True)
class Played:
    """The cells after they were played; ``calls`` by model, ``idle`` by cell."""

    seen: dict[str, Seen]
    calls: dict[str, int]
    idle: dict[str, bool]
    orphans: list[str]
    left: bool


def ask(url: str, cell: Cell) -> Seen:
    payload: Json = {
        "model": str(cell),
        "stream": cell.stream,
        "messages": [{"role": "user", "content": "Why is the sky blue?"}],
    }
    if cell.fault.tools:
        payload["tools"] = [LOOK_UP]
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=3 * PATIENCE)
    connection.request("POST", "/v1/chat/completions", json.dumps(payload))
    response = connection.getresponse()
    raw = response.read()
    headers = {name.lower(): value for name, value in response.getheaders()}
    connection.close()
    if not headers["content-type"].startswith("text/event-stream"):
        body = json.loads(raw)
        choice = body.get("choices", [{}])[0]
        message = choice.get("message", {})
        told = body.get("massgen", {})
        merged = {**message, "finish_reason": choice.get("finish_reason")}
        return Seen(response.status, headers, raw, body.get("error"), merged, told)
    return _streamed(response.status, headers, raw)


def _streamed(status: int, headers: dict[str, str], raw: bytes) -> Seen:
    lines = [line for line in raw.decode().split("\n\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    *events, last = [line.removeprefix("data: ") for line in lines]
    error: Json | None = None
    told: Json = {}
    choice: Json = {"content": None, "finish_reason": None, "tool_calls": []}
    for event in map(json.loads, events):
        error, told = event.get("error", error), event.get("massgen", told)
        for each in event.get("choices", ()):
            delta: Json = each["delta"]
            if "content" in delta:
                choice["content"] = (choice["content"] or "") + delta["content"]
            for call in delta.get("tool_calls", ()):
                if "id" in call:
                    choice["tool_calls"].append({"function": {"arguments": ""}})
                arguments = call["function"]["arguments"]
                choice["tool_calls"][call["index"]]["function"]["arguments"] += arguments
            choice["finish_reason"] = each["finish_reason"] or choice["finish_reason"]
    return Seen(status, headers, raw, error, choice, told, ended=last == "[DONE]")


class Watched:
    """An app, and a path that tells which of its tasks do not end."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") != "/tasks":
            await self._app(scope, receive, send)
            return
        mine = asyncio.current_task()
        servers = {"serve", "main"}
        others = {
            task
            for task in asyncio.all_tasks() - {mine}
            if getattr(task.get_coro(), "__name__", "") not in servers
        }
        if others:
            _, others = await asyncio.wait(others, timeout=PATIENCE)
        body = json.dumps([repr(task.get_coro()) for task in others]).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})


def orphans(url: str) -> list[str]:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=2 * PATIENCE)
    connection.request("GET", "/tasks")
    told: list[str] = json.loads(connection.getresponse().read())
    connection.close()
    return told


@pytest.fixture(scope="module")
def played() -> Iterator[Played]:
    """All cells, played a few at a time because most of them only wait for retries."""
    scripts = {model(cell, a): script(cell, a) for cell in CELLS for a in AGENTS}
    wires = {model(cell, a): wire(cell, a) for cell in CELLS for a in AGENTS}
    provider = Provider(scripts, wires)
    doors = sum(cell.fault.refused and presenting(cell) for cell in CELLS)
    with providing(provider, leaving=doors) as addresses:
        leaving = iter(addresses.leaving)
        teams = [team(cell, addresses, leaving) for cell in CELLS]
        with serving(Watched(create_app(MassGen(*teams, env={})))) as url:

            def play(cell: Cell) -> tuple[Seen, bool]:
                seen = ask(url, cell)
                return seen, provider.is_idle(lambda name: name.startswith(f"{cell}/"))

            with ThreadPoolExecutor(AT_ONCE) as pool:
                results = dict(zip(map(str, CELLS), pool.map(play, CELLS), strict=True))
            remaining = orphans(url)
        yield Played(
            {name: seen for name, (seen, _) in results.items()},
            dict(provider.calls),
            {name: idle for name, (_, idle) in results.items()},
            remaining,
            provider.is_left(),
        )


# What has to hold


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_run_ends_as_the_matrix_says(cell: Cell, played: Played) -> None:
    seen = played.seen[str(cell)]
    assert seen.ended
    match cell.expected:
        case Answer():
            assert (seen.status, seen.error) == (200, None)
            check_answer(cell.expected, seen)
        case Failure():
            check_failure(cell.expected.error, seen, stream=cell.stream)


def check_answer(expected: Answer, seen: Seen) -> None:
    assert seen.told["presenter"] == expected.presenter
    calls: list[Any] = seen.choice.get("tool_calls") or []
    arguments = calls[0]["function"]["arguments"] if calls else None
    said = (seen.choice["content"], seen.choice["finish_reason"], arguments)
    assert said == (expected.content, expected.finish, expected.arguments)


def check_failure(expected: Error, seen: Seen, *, stream: bool) -> None:
    assert seen.error is not None
    form = (seen.error["type"], seen.error["code"])
    if stream:
        assert (seen.status, form) == (200, expected.event)
        return
    assert (seen.status, form) == (expected.status, (expected.type, expected.code))
    assert seen.error["param"] == expected.param
    assert seen.headers.get("retry-after") == expected.retry_after
    assert seen.headers.get("x-should-retry") == (None if expected.may_retry else "false")


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_run_costs_the_calls_that_the_matrix_says(cell: Cell, played: Played) -> None:
    counted = sum(played.calls.get(model(cell, agent), 0) for agent in AGENTS)
    assert counted == cell.expected.calls


def test_no_call_outlives_its_run(played: Played) -> None:
    assert [name for name, idle in played.idle.items() if not idle] == []


def test_no_task_is_left_behind(played: Played) -> None:
    assert played.orphans == []


def test_no_connection_to_the_provider_is_left_open(played: Played) -> None:
    assert played.left


@pytest.mark.parametrize("leak", [SECRET, SECRET[8:], "Traceback", 'File "', ".py", "127.0.0.1"])
def test_no_response_tells_a_secret_a_path_or_an_address(leak: str, played: Played) -> None:
    assert [name for name, seen in played.seen.items() if leak in seen.text] == []


def test_errors_name_an_agent_of_the_team(played: Played) -> None:
    for cell in CELLS:
        if isinstance(cell.expected, Failure) and cell.fault.name != "context":
            error = played.seen[str(cell)].error
            assert error is not None
            assert error["message"].startswith(("Agent '", "No agent ")), str(cell)


def test_the_page_is_the_matrix() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.faults.page writes it anew"
