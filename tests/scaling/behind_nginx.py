"""Two real server processes behind a real nginx, configured as the docs say. `make test-scaling`.

Not a part of `make test`, because nginx is no Python package.
"""

import json
import re
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import anyio.to_thread
import openai

from massgen_compat._run.turn import Phase
from massgen_compat.cli.server import serving
from massgen_compat.testing import ScriptedServer
from massgen_compat.testing.server import ServedRequest
from tests.cli.test_cli import GREETED, config
from tests.end_to_end.test_tools_property import SCRIPT, TOOL, find_treasure
from tests.processes import PATIENCE, Served, served
from tests.scaling.proxy import CONFIG, Proxy, proxied, until

PAGE = CONFIG.with_name("scaling.md")
SOON = 8
"""Seconds that a word may be on its way: less than until the server's next heartbeat, which would
push it out of a buffer."""
BeforeToken: TypeAlias = Callable[[ServedRequest, int], Awaitable[None]]
ASKED: list[Any] = [{"role": "user", "content": "Why is the sky blue?"}]


def worker(team: Path, port: int = 0) -> AbstractContextManager[Served]:
    command = [sys.executable, "-m", "massgen_compat", "serve", str(team), "--port", str(port)]
    return served(command, url=GREETED, ready="  curl")


def runs_of(server: Served) -> int:
    """The runs that a process has ended, by its log."""
    return sum(bool(re.search(r"\brun .*outcome=", line)) for line in server.log)


def connections(process: int, url: str) -> int:
    """The connections of a process to a server on this machine, by its URL."""
    own: set[str] = set()
    for entry in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):
            own.add(str(entry.readlink()).removeprefix("socket:[").removesuffix("]"))
    port = f":{int(url.rpartition(':')[2]):04X}"
    table = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    rows = [line.split() for line in table]
    return sum(row[2].endswith(port) and row[9] in own for row in rows)


@dataclass
class Gate:
    """Holds a provider's replies: what comes is noted, and waits until it is let through."""

    holds: Callable[[ServedRequest, int], bool] = lambda _request, _index: False
    came: threading.Event = field(default_factory=threading.Event)
    let: threading.Event = field(default_factory=threading.Event)

    async def __call__(self, request: ServedRequest, index: int) -> None:
        if self.holds(request, index):
            self.came.set()
            await anyio.to_thread.run_sync(self.let.wait, PATIENCE, abandon_on_cancel=True)


@dataclass
class Stage:
    """nginx, the processes behind it, and the provider behind them."""

    proxy: Proxy
    workers: list[Served]
    upstream: ScriptedServer
    gate: Gate
    team: Path
    provider: str

    def asked(self, phase: Phase) -> int:
        """The provider's requests of a phase."""
        return sum(request.phase is phase for request in self.upstream.requests)

    @contextmanager
    def client(self) -> Generator[openai.OpenAI]:
        """A client that never asks twice, and never twice over one connection."""
        with openai.OpenAI(
            base_url=f"{self.proxy.url}/v1",
            api_key="unused",
            max_retries=0,
            default_headers={"connection": "close"},
        ) as client:
            yield client


@contextmanager
def staged(
    folder: Path, script: dict[str, Any] | None = None, before_token: BeforeToken | None = None
) -> Generator[Stage]:
    gate = Gate()
    upstream = ScriptedServer(
        {}, default=script or {}, before_token=before_token or gate, keep_requests=100_000
    )
    with ExitStack() as stack:
        stack.callback(gate.let.set)
        provider = stack.enter_context(serving(upstream))
        backend = f"{{type: chatcompletion, model: m, base_url: {provider}/v1, api_key: x}}"
        agents = "".join(f"- {{id: {name}, backend: {backend}}}\n" for name in "abc")
        team = config(folder, f"agents:\n{agents}")
        workers = [stack.enter_context(worker(team)) for _ in range(2)]
        proxy = stack.enter_context(proxied(folder / "nginx", *(each.url for each in workers)))
        yield Stage(proxy, workers, upstream, gate, team, provider)


def test_the_page_has_the_file_that_is_tested() -> None:
    assert f"```nginx\n{CONFIG.read_text(encoding='utf-8')}```" in PAGE.read_text(encoding="utf-8")


def test_a_stream_passes_while_it_is_written(tmp_path: Path) -> None:
    """By order: the provider writes a word when the one before it was read here, and only then."""
    words = "Short waves scatter more than long ones and so the sky is blue".split()  # noqa: SIM905
    read = threading.Semaphore()

    def wait() -> bool:
        return read.acquire(timeout=SOON)

    async def turnstile(request: ServedRequest, _index: int) -> None:
        if request.phase is Phase.PRESENT and not await anyio.to_thread.run_sync(wait):
            raise TimeoutError("a word is stuck on its way")

    with (
        staged(tmp_path, {"present": " ".join(words)}, turnstile) as stage,
        stage.client() as client,
        client.chat.completions.create(model="team", messages=ASKED, stream=True) as chunks,
    ):
        seen: list[str] = []
        for chunk in chunks:
            if chunk.choices and (content := chunk.choices[0].delta.content):
                seen.append(content)
                read.release()
        assert "".join(seen).split() == words
        assert len(seen) == len(words)


def test_the_steps_of_a_tool_loop_land_on_alternating_processes(tmp_path: Path) -> None:
    with staged(tmp_path, SCRIPT) as stage:
        alone = find_treasure([stage.workers[0]] * 3, stage.upstream)
        before = [runs_of(each) for each in stage.workers]
        took: list[list[int]] = []

        def note(step: int) -> None:
            until(
                lambda: sum(map(runs_of, stage.workers)) - sum(before) == step + 1,
                "the log line of the run",
            )
            took.append([runs_of(each) - n for each, n in zip(stage.workers, before, strict=True)])

        behind = Served(stage.workers[0].process, stage.proxy.url, [])
        assert find_treasure([behind] * 3, stage.upstream, note) == alone
        assert took in ([[1, 0], [1, 1], [2, 1]], [[0, 1], [1, 1], [1, 2]])


def test_a_client_that_leaves_ends_its_run_behind_nginx_too(tmp_path: Path) -> None:
    with staged(tmp_path) as stage, stage.client() as client:
        stage.gate.holds = lambda request, _index: request.phase is Phase.DRAFT
        with client.chat.completions.create(model="team", messages=ASKED, stream=True) as chunks:
            next(iter(chunks))
            assert stage.gate.came.wait(PATIENCE)
        until(lambda: any("outcome=" in line for each in stage.workers for line in each.log), "end")
        assert stage.asked(Phase.EVALUATE) == 0


def test_a_run_that_has_begun_is_not_begun_again_where_its_process_dies(tmp_path: Path) -> None:
    with staged(tmp_path) as stage, stage.client() as client, ThreadPoolExecutor() as threads:
        stage.gate.holds = lambda request, _index: request.phase is Phase.DRAFT
        asking = threads.submit(client.chat.completions.create, model="team", messages=ASKED)
        until(lambda: stage.asked(Phase.DRAFT) == 3, "the drafts")
        busy = [each for each in stage.workers if connections(each.process.pid, stage.provider)]
        assert len(busy) == 1
        busy[0].stop(signal.SIGKILL)
        error = asking.exception(PATIENCE)
        assert isinstance(error, openai.APIStatusError)
        assert error.status_code == 502
        assert (stage.asked(Phase.DRAFT), stage.asked(Phase.EVALUATE)) == (3, 0)
        stage.gate.let.set()
        for _ in range(4):  # what comes now finds the process that is left
            client.chat.completions.create(model="team", messages=ASKED)


PACE = {"token_delay_seconds": 0.01}
LOADED = {
    "draft": {"new_answer": "It scatters, because short waves scatter more.", **PACE},
    "evaluate": {"vote": "agent2", **PACE},
    "present": [
        {"calls": [{"name": "read_file", "arguments": {"path": "a.txt"}}], **PACE},
        {"text": "Short waves scatter more than long ones, and so it is blue.", **PACE},
    ],
}


def talk(client: openai.OpenAI, *, stream: bool) -> None:
    """A tool loop of two requests."""
    messages = list(ASKED)
    for _ in range(2):
        if stream:
            with client.chat.completions.stream(
                model="team", messages=messages, tools=[TOOL]
            ) as events:
                message = events.get_final_completion().choices[0].message
        else:
            message = (
                client.chat.completions.create(model="team", messages=messages, tools=[TOOL])
                .choices[0]
                .message
            )
        messages.append(message.model_dump(exclude_none=True, exclude={"parsed"}))
        messages += [
            {"role": "tool", "tool_call_id": call.id, "content": "blue"}
            for call in message.tool_calls or ()
        ]
    assert "and so it is blue" in json.dumps(messages)


def test_a_rolling_restart_under_load_fails_no_request(tmp_path: Path) -> None:
    """As docs/scaling.md says: take a process out, drain it, start it anew, wait for ``/ready``."""
    with staged(tmp_path, LOADED) as stage, ExitStack() as stack:
        stopped, talks = threading.Event(), [0] * 6

        def load(number: int) -> None:
            with stage.client() as client:
                while not stopped.is_set():
                    talk(client, stream=number % 2 == 0)
                    talks[number] += 1

        with ThreadPoolExecutor(len(talks)) as threads:
            loads = [threads.submit(load, number) for number in range(len(talks))]
            stack.callback(stopped.set)
            for old in stage.workers:
                until(lambda old=old: runs_of(old) > 2, "work of the process")
                stage.proxy.take_out(old.url)
                assert old.stop(signal.SIGTERM) == 0
                port = int(old.url.rpartition(":")[2])
                new = stack.enter_context(worker(stage.team, port))
                assert new.ask("/ready") == 200
                stage.proxy.take_out()
                until(lambda new=new: runs_of(new) > 2, "work of the new process")
            stopped.set()
            for each in loads:
                each.result(PATIENCE)
        assert min(talks) > 0
        assert stage.asked(Phase.DRAFT) == 3 * sum(talks), "no run was begun twice"
        assert stage.asked(Phase.PRESENT) == 2 * sum(talks)
