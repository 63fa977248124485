"""A client that leaves: its run's calls to the providers end, over real sockets on both sides."""

import json
import socket
import threading
from urllib.parse import urlsplit

import anyio
import pytest

from massgen_compat import Agent, Backend, MassGen, Team
from massgen_compat._run.turn import Phase
from massgen_compat.asgi import create_app
from massgen_compat.cli.server import serving
from massgen_compat.testing import ScriptedServer, ServedRequest

PATIENCE = 10


class Upstream:
    """A provider that stops at the first token of a phase and notices when its caller is gone."""

    def __init__(self, phase: Phase, expected: int) -> None:
        self._phase = phase
        self._expected = expected
        self._held = 0
        self._left = 0
        self.reached = threading.Event()
        self.gone = threading.Event()
        self.app = ScriptedServer({}, default={}, before_token=self._hold)

    async def _hold(self, request: ServedRequest, index: int) -> None:
        if request.phase is not self._phase or index == 0:
            return
        self._held += 1
        if self._held == self._expected:
            self.reached.set()
        try:
            await anyio.sleep_forever()
        finally:
            self._left += 1
            if self._left == self._expected:
                self.gone.set()


@pytest.mark.parametrize("kind", ["openai", "chatcompletion"])
@pytest.mark.parametrize("mode", ["stream", "whole"])
@pytest.mark.parametrize(("phase", "calls"), [("draft", 3), ("evaluate", 3), ("present", 1)])
def test_no_call_to_a_provider_outlives_its_client(
    kind: str, mode: str, phase: str, calls: int
) -> None:
    upstream = Upstream(Phase(phase), calls)
    with serving(upstream.app) as provider:
        backend = Backend(type=kind, base_url=f"{provider}/v1", api_key="scripted")
        team = Team("team", [Agent(name, model="m", backend=backend) for name in "abc"])
        with serving(create_app(MassGen(team, env={}))) as url:
            ask_and_leave(url, upstream.reached, stream=mode == "stream")
            assert upstream.gone.wait(PATIENCE), "calls to the provider are still open"
    assert upstream.app.open_streams == 0


def ask_and_leave(url: str, when: threading.Event, *, stream: bool) -> None:
    payload = {
        "model": "team",
        "stream": stream,
        "messages": [{"role": "user", "content": "Why is the sky blue?"}],
    }
    body = json.dumps(payload).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0)) as client:
        client.sendall(head.encode() + body)
        assert when.wait(PATIENCE), "the agents did not get that far"
