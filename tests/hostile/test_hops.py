"""A team may have a team for an agent; a team that calls itself is stopped."""

import socket
import threading

import pytest
import uvicorn

from massgen_compat import Agent, Backend, MassGen, Team
from massgen_compat.asgi import create_app
from massgen_compat.cli.server import serving
from massgen_compat.testing import ScriptedServer
from tests.server.test_server import CHAT, ask


def team_at(url: str, model: str) -> MassGen:
    backend = Backend(type="vllm", base_url=f"{url}/v1")
    agents = [Agent(name, model=model, backend=backend) for name in "ab"]
    return MassGen(Team("team", agents), env={})


def test_a_team_of_teams_answers() -> None:
    models = ScriptedServer({}, default={})
    with (
        serving(models) as provider,
        serving(create_app(team_at(provider, "m"))) as inner,
        serving(create_app(team_at(inner, "team"))) as outer,
    ):
        assert ask(outer, body=CHAT).status == 200


def test_a_team_that_calls_itself_is_stopped_with_the_reason() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    app = create_app(team_at(f"http://127.0.0.1:{port}", "team"))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
    try:
        reply = ask(f"http://127.0.0.1:{port}", body=CHAT)
    finally:
        server.should_exit = True
        thread.join()
    assert reply.status == 502
    assert "does a team have itself" in reply.body["error"]["message"]
    assert reply.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("value", ["2", "-1", "x", "", "1, 1", "9" * 5000])
def test_a_request_of_too_many_hops_is_refused(value: str) -> None:
    with serving(create_app(team_at("http://127.0.0.1:9", "m"))) as url:
        reply = ask(url, body=CHAT, headers={"x-massgen-hop": value})
    assert (reply.status, reply.body["error"]["code"]) == (400, "too_many_hops")
