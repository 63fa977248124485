"""A real server of the project before a scripted provider, both over HTTP, for one run of a client.

Both sides are recorded: what the client sent and was sent, and what the team asked its models.
"""

import json
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import anyio

from massgen_compat import Agent, Backend, MassGen, Team, TeamSettings
from massgen_compat._run.message import Json
from massgen_compat._run.team import Trace
from massgen_compat._run.turn import Phase
from massgen_compat.asgi import create_app
from massgen_compat.cli.server import serving
from massgen_compat.testing import ScriptedServer, ServedRequest
from massgen_compat.testing.server import Event, Receive, Scope, Send

KEY = "the-key-of-the-clients"
MODEL, SMALL_MODEL = "trio", "trio-single"
MEMBERS = {"ada": "chatcompletion", "ben": "openai", "cleo": "chatcompletion"}
"""The team: its agents and how their models are reached, over both of OpenAI's APIs."""

VOTE = {"vote": "agent1", "reason": "It names the cause."}
SMALL = {"draft": "Blue sky", "present": "Blue sky"}


@dataclass
class Post:
    """A POST as the server saw it, and its response's writes with their times."""

    path: str
    raw: bytes = b""
    status: int = 0
    writes: list[tuple[float, bytes]] = field(default_factory=list[tuple[float, bytes]])

    @property
    def model(self) -> str:
        try:
            return str(json.loads(self.raw)["model"])
        except (ValueError, KeyError, TypeError):
            return ""

    @property
    def longest_silence(self) -> float:
        """The longest time between two writes, in seconds."""
        times = [moment for moment, _ in self.writes]
        return max((after - before for before, after in pairwise(times)), default=0)

    @property
    def deltas(self) -> list[Json]:
        """The deltas of a streamed response."""
        events = b"".join(data for _, data in self.writes).split(b"\n\n")
        chunks = [json.loads(each[6:]) for each in events if each.startswith(b"data: {")]
        return [choice["delta"] for chunk in chunks for choice in chunk.get("choices", ())]


class Recorder:
    """An ASGI app around the server's: keeps the POSTs and passes everything on.

    It reads a body first, since the server leaves that of a request with a wrong key unread.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self.posts: list[Post] = []
        self.asked = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        post = Post(scope["path"])
        self.posts.append(post)

        read: list[Event] = []
        while not read or read[-1].get("more_body", False):
            read.append(await receive())
        post.raw = b"".join(event.get("body", b"") for event in read)
        self.asked.set()

        async def read_again() -> Event:
            return read.pop(0) if read else await receive()

        async def write(event: Event) -> None:
            if event["type"] == "http.response.start":
                post.status = event["status"]
            else:
                post.writes.append((time.monotonic(), event.get("body", b"")))
            await send(event)

        await self._app(scope, read_again, write)


class Hold:
    """Holds the team's model calls of one phase at their first token, until they are aborted.

    ``reached``: all of them hold. ``gone``: all of them were aborted, and nothing else is open.
    """

    def __init__(self, phase: Phase | None) -> None:
        self._phase = phase
        self._held = 0
        self.reached = threading.Event()
        self.gone = threading.Event()

    async def __call__(self, request: ServedRequest, _index: int) -> None:
        if request.phase is not self._phase or request.model == f"scripted-{SMALL_MODEL}":
            return
        self._held += 1
        if self._held == len(MEMBERS):
            self.reached.set()
        await anyio.sleep_forever()

    def watch(self, provider: ScriptedServer) -> Any:
        """The provider as an app that tells when calls are gone."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await provider(scope, receive, send)
            if provider.aborted >= len(MEMBERS) and provider.open_streams == 0:
                self.gone.set()

        return app


@dataclass(frozen=True)
class Stage:
    """Where a client performs: the server's URL, and the records of both sides.

    ``background`` are the phrases that mark what a program asks for itself.
    """

    url: str
    provider: ScriptedServer
    recorder: Recorder
    hold: Hold
    background: Sequence[str]

    @property
    def posts(self) -> list[Post]:
        """The client's requests for its user."""
        return [post for post in self.recorder.posts if not self._is_background(post)]

    @property
    def background_posts(self) -> int:
        """How many requests the client made for itself."""
        return sum(map(self._is_background, self.recorder.posts))

    @property
    def calls(self) -> list[ServedRequest]:
        """The team's model calls for the user's requests."""
        return [
            request
            for request in self.provider.requests
            if request.model != f"scripted-{SMALL_MODEL}"
            and not self._marked(json.dumps(request.body, ensure_ascii=False))
        ]

    @property
    def sent(self) -> str:
        """Everything that the team's models got to see."""
        return json.dumps([call.body for call in self.calls], ensure_ascii=False)

    @property
    def tool_results(self) -> str:
        """The results of the client's tools, as the team's models got to see them."""
        messages = [message for call in self.calls for message in call.body.get("messages", ())]
        return "\n".join(
            json.dumps(message["content"], ensure_ascii=False)
            for message in messages
            if message["role"] == "tool"
        )

    def _is_background(self, post: Post) -> bool:
        if post.model == SMALL_MODEL:
            return True
        return self._marked(post.raw.decode("utf-8", "replace"))

    def _marked(self, text: str) -> bool:
        return any(phrase in text for phrase in self.background)


@contextmanager
def staged(
    scripts: Mapping[str, Json],
    *,
    trace: Trace = "status",
    hold: Phase | None = None,
    background: Sequence[str] = (),
) -> Generator[Stage]:
    """Serve the team for the time of a ``with``; ``scripts`` maps its agents to scripts."""
    holding = Hold(hold)
    models = {f"scripted-{name}": script for name, script in scripts.items()}
    provider = ScriptedServer(
        {**models, f"scripted-{SMALL_MODEL}": SMALL},
        before_token=None if hold is None else holding,
    )
    with ExitStack() as stack:
        upstream = f"{stack.enter_context(serving(holding.watch(provider)))}/v1"

        def agent(name: str, kind: str, model: str) -> Agent:
            backend = Backend(type=kind, base_url=upstream, api_key="scripted")
            return Agent(name, model=f"scripted-{model}", backend=backend)

        trio = [agent(name, kind, name) for name, kind in MEMBERS.items()]
        massgen = MassGen(
            Team(MODEL, trio, settings=TeamSettings(trace=trace)),
            Team(SMALL_MODEL, [agent("ada", "chatcompletion", SMALL_MODEL)]),
            env={},
        )
        recorder = Recorder(create_app(massgen, api_keys=[KEY]))
        url = f"{stack.enter_context(serving(recorder))}/v1"
        yield Stage(url, provider, recorder, holding, tuple(background))
