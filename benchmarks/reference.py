"""The least that a run of three agents can be: its seven calls on raw sockets, nothing else."""

import asyncio
import json
import statistics
import time

from benchmarks.load import Connection, payload


def _tools(*names: str) -> list[dict[str, object]]:
    schema = {"type": "object", "properties": {"content": {"type": "string"}}}
    return [
        {"type": "function", "function": {"name": name, "parameters": schema}} for name in names
    ]


DRAFT = payload("m", tools=_tools("new_answer"))
VOTE = payload("m", tools=_tools("vote", "new_answer"))
PRESENT = payload("m")


class Reference:
    """Three agents that draft and vote at once, and one that presents, straight on ``port``."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._agents: list[Connection] = []

    async def run(self) -> float:
        """Seconds of one run, all replies streamed and read to their end."""
        if not self._agents:
            self._agents = [await Connection.open(self._port) for _ in range(3)]
        start = time.perf_counter()
        await asyncio.gather(*(agent.ask(DRAFT) for agent in self._agents))
        await asyncio.gather(*(agent.ask(VOTE) for agent in self._agents))
        await self._agents[0].ask(PRESENT)
        return time.perf_counter() - start

    async def critical_path(self) -> float:
        """Seconds of one draft, one vote and one presentation, one after the other."""
        agent = await Connection.open(self._port)
        times = [(await agent.ask(each)).total for each in (DRAFT, VOTE, PRESENT)]
        agent.close()
        return sum(times)


class ScriptedReference:
    """The same as anybody would write it: streams of asyncio's own loop, line by line, each token
    read as JSON. What the library's runs are compared with."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._agents: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def runs(self, count: int = 200) -> float:
        """Seconds of the median of so many runs."""
        return statistics.median([await self._run() for _ in range(count)])

    async def _run(self) -> float:
        if not self._agents:
            self._agents = [await asyncio.open_connection("127.0.0.1", self._port) for _ in "abc"]
        start = time.perf_counter()
        await asyncio.gather(*(self._ask(agent, DRAFT) for agent in self._agents))
        await asyncio.gather(*(self._ask(agent, VOTE) for agent in self._agents))
        await self._ask(self._agents[0], PRESENT)
        return time.perf_counter() - start

    async def _ask(
        self, agent: tuple[asyncio.StreamReader, asyncio.StreamWriter], request: bytes
    ) -> list[dict[str, object]]:
        reader, writer = agent
        writer.write(request)
        chunks: list[dict[str, object]] = []
        while (line := await reader.readline()) != b"0\r\n":
            if line.startswith(b"data: {"):
                chunks.append(json.loads(line[6:]))
        await reader.readline()
        return chunks
