"""The doctor examines real servers over real sockets: the project's own, and ailing ones."""

import json
import socket
import socketserver
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread
import pytest
from starlette.types import ASGIApp, Scope

from massgen_compat._run.turn import Phase, TurnRequest
from massgen_compat.cli.doctor.address import read_url
from massgen_compat.cli.doctor.checkup import CHATS, NO_MODEL, Target, Verdict, examine
from massgen_compat.cli.doctor.findings import CHECKS, Finding, Level
from massgen_compat.cli.doctor.refusals import WRONG_KEY
from massgen_compat.cli.server import serving
from tests.cli.doctor import values
from tests.cli.doctor.endpoints import (
    KEY,
    NUMBERS,
    Altered,
    Answering,
    Buffering,
    Change,
    Clock,
    Recorder,
    answering,
    in_body,
    team,
)

PATIENCE = 30


@dataclass(frozen=True)
class Examined:
    verdict: Verdict
    findings: list[Finding]

    def ailing(self) -> dict[str, Level]:
        """The worst level of each check that has a warning or a problem."""
        found: dict[str, Level] = {}
        for finding in self.findings:
            if finding.level == "problem" or (
                finding.level == "warning" and finding.check not in found
            ):
                found[finding.check] = finding.level
        return found

    def seen(self, check: str) -> str:
        return " ".join(finding.seen for finding in self.findings if finding.check == check)

    def todo(self, check: str) -> str:
        return " ".join(finding.todo for finding in self.findings if finding.check == check)


def examined(
    url: str,
    *,
    key: str | None = None,
    model: str | None = None,
    chat: bool = True,
    chat_seconds: float = PATIENCE,
    clock: Clock | None = None,
) -> Examined:
    findings: list[Finding] = []
    address = read_url(url)
    target = Target(address=address, key=key, model=model, chat=chat, chat_seconds=chat_seconds)

    async def run() -> Verdict:
        if clock is not None:
            return await examine(target, findings.append, clock=clock)
        return await examine(target, findings.append)

    return Examined(anyio.run(run), findings)


def test_a_healthy_server_passes_every_check() -> None:
    with serving(team(keys=[KEY])) as url:
        found = examined(f"{url}/v1", key=KEY)
    assert (found.verdict, found.ailing()) == ("well", {})
    assert {finding.check for finding in found.findings} == CHECKS.keys()
    assert "team, team-single" in found.seen("models")
    assert "team is listed" in found.seen("model")
    assert "70 tokens" in found.seen("chat")
    assert "finish_reason tool_calls" in found.seen("tools")


def test_the_model_to_chat_with_can_be_chosen() -> None:
    server = Recorder(team())
    with serving(server) as url:
        found = examined(f"{url}/v1", model="team-single")
    assert (found.verdict, found.ailing()) == ("well", {})
    assert [chat["model"] for chat in server.chats] == [NO_MODEL, *["team-single"] * 4]


def test_it_makes_as_many_chat_requests_as_it_says_and_sends_strangers_keys_nowhere_else() -> None:
    server = Recorder(team(keys=[KEY]))
    with serving(server) as url:
        examined(f"{url}/v1", key=KEY)
    assert len(server.chats) == CHATS
    assert server.keys == {"", f"Bearer {KEY}", f"Bearer {WRONG_KEY}"}


def test_without_chat_requests_the_rest_is_examined() -> None:
    server = Recorder(team(keys=[KEY]))
    with serving(server) as url:
        found = examined(f"{url}/v1", key=KEY, chat=False)
    assert server.chats == []
    assert (found.verdict, found.ailing()) == ("well", {})
    assert "404" in found.seen("unknown model")
    assert not {"chat", "stream", "tools"} & {finding.check for finding in found.findings}


@pytest.mark.parametrize(("key", "says"), [(None, "is needed"), ("wrong-key", "is refused")])
def test_without_the_right_key_the_doctor_says_so_and_stops(key: str | None, says: str) -> None:
    server = Recorder(team(keys=[KEY]))
    with serving(server) as url:
        found = examined(f"{url}/v1", key=key)
    assert (found.verdict, found.ailing()) == ("unwell", {"key": "problem"})
    assert says in found.seen("key")
    assert "401" in found.seen("wrong key")
    assert server.chats == []


def test_a_server_that_asks_for_no_key_is_open_to_everybody_here() -> None:
    with serving(team()) as url:
        found = examined(f"{url}/v1", chat=False)
    assert "Everybody on this machine" in found.seen("without key")
    assert "Any key" in found.seen("wrong key")


# Servers that ail


def only_below_v1(scope: Scope, status: int, _h: dict[str, str], body: bytes) -> tuple[int, bytes]:
    return (status, body) if scope["path"].startswith("/v1/") else (404, b'{"detail": "Not Found"}')


def as_fastapi(_s: Scope, status: int, _h: dict[str, str], body: bytes) -> tuple[int, bytes]:
    return (status, b'{"detail": "No."}') if status >= 400 else (status, body)


def altered(change: Change) -> ASGIApp:
    return Altered(team(keys=[KEY]), change)


def unless(chat: Callable[[dict[str, Any]], bool], other: ASGIApp) -> ASGIApp:
    return Answering(team(keys=[KEY]), chat, other)


def streams(chat: dict[str, Any]) -> bool:
    return "stream_options" in chat


def has_result(chat: dict[str, Any]) -> bool:
    return any(message["role"] == "tool" for message in chat.get("messages", []))


COMPLETION = json.dumps(values.COMPLETION).encode()
ERROR = b'{"error": {"message": "No.", "type": "server_error", "param": null, "code": null}}'


@dataclass(frozen=True)
class Ailing:
    app: Callable[[], ASGIApp]
    ailing: Mapping[str, Level]
    says: str
    verdict: Verdict = "unwell"
    path: str = "/v1"


AILING = {
    "no role": Ailing(
        lambda: altered(in_body(b'"role":"assistant",', b"")),
        {"chat": "problem"},
        "`message.role` is None",
    ),
    "no role in streams": Ailing(
        lambda: altered(in_body(b'"delta":{"role":"assistant"', b'"delta":{"roles":"assistant"')),
        {"role": "problem"},
        "No chunk has a role",
    ),
    "named events": Ailing(
        lambda: altered(in_body(b"data: {", b"event: massgen.trace\ndata: {")),
        {"frames": "warning"},
        "Named events (massgen.trace)",
        "well",
    ),
    "data that are no chunks": Ailing(
        lambda: altered(in_body(b"data: [DONE]", b'data: {"type": "bye"}\n\ndata: [DONE]')),
        {"frames": "problem"},
        '{"type": "bye"}',
    ),
    "comments": Ailing(
        lambda: altered(in_body(b"data: [DONE]", b": bye\n\ndata: [DONE]")),
        {"frames": "warning"},
        "1 comment",
        "well",
    ),
    "no [DONE]": Ailing(
        lambda: altered(in_body(b"data: [DONE]\n\n", b"")),
        {"end": "warning"},
        "[DONE] is missing",
        "well",
    ),
    "no finish_reason": Ailing(
        lambda: altered(in_body(b'"finish_reason":"stop"', b'"finish_reason":null')),
        {"chat": "problem"},
        "`finish_reason` is None",
    ),
    "no usage": Ailing(
        lambda: altered(in_body(b'"usage":{', b'"used":{')),
        {"chat": "warning", "usage": "warning"},
        "include_usage is true, and no usage comes",
        "well",
    ),
    "FastAPI's errors": Ailing(
        lambda: altered(as_fastapi),
        dict.fromkeys(
            ["without key", "wrong key", "malformed request", "unknown path", "unknown model"],
            "warning",
        ),
        "FastAPI's `detail`",
        "well",
    ),
    "only below /v1": Ailing(
        lambda: altered(only_below_v1), {"url": "problem"}, "The API is not at", path=""
    ),
    "no list": Ailing(
        lambda: altered(in_body(b'"data":[', b'"data":[],"more":[')),
        {"models": "problem", "model": "problem"},
        "no model to chat with",
    ),
    "a name for Responses": Ailing(
        lambda: team(name="gpt-5-team", keys=[KEY]),
        {"model names": "warning"},
        "gpt-5-team",
        "well",
    ),
    "a name for Cursor's Anthropic shapes": Ailing(
        lambda: team(name="team-claude", keys=[KEY]),
        {"model names": "warning"},
        "`claude`",
        "well",
    ),
    "no single agent": Ailing(
        lambda: altered(in_body(b"team-single", b"team-other")),
        {"small tasks": "warning"},
        "No team-single",
        "well",
    ),
    "any model will do": Ailing(
        lambda: unless(
            lambda chat: chat.get("model") == NO_MODEL,
            answering(200, COMPLETION, "application/json"),
        ),
        {"unknown model": "warning"},
        "paid for",
        "well",
    ),
    "broken JSON is an error of the server": Ailing(
        lambda: unless(lambda chat: not chat, answering(500, ERROR, "application/json")),
        {"malformed request": "problem", "without key": "problem"},
        "Clients retry this",
    ),
    "no streams": Ailing(
        lambda: unless(streams, answering(200, COMPLETION, "application/json")),
        {"stream": "problem"},
        "Asked for a stream, it sends application/json",
    ),
    "a stream that is whole at once": Ailing(
        lambda: unless(
            streams,
            answering(
                200,
                b"".join(f"data: {each}\n\n".encode() for each in values.WHOLE),
                "text/event-stream",
                headers={"content-length": str(sum(len(each) + 8 for each in values.WHOLE))},
            ),
        ),
        {"arrival": "problem"},
        "content-length",
    ),
    "chats fail": Ailing(
        lambda: unless(
            lambda chat: chat.get("model") == "team", answering(502, ERROR, "application/json")
        ),
        {"chat": "problem"},
        "502: No. Clients retry",
    ),
    "no tool calls": Ailing(
        lambda: altered(in_body(b'"tool_calls":[', b'"calls":[')),
        {"tools": "problem"},
        "No call, though tool_choice is `required`",
    ),
    "no results of tools": Ailing(
        lambda: unless(has_result, answering(400, ERROR, "application/json")),
        {"tool results": "problem"},
        "400: No.",
    ),
    "a web page": Ailing(
        lambda: answering(200, b"<html><title>Log in</title>", "text/html"),
        {"reachable": "problem"},
        "A web page called 'Log in'",
        "unreachable",
    ),
    "a redirect": Ailing(
        lambda: answering(302, b"", "text/html", headers={"location": "https://login.example"}),
        {"reachable": "problem"},
        "https://login.example",
        "unreachable",
    ),
    "a proxy without a server": Ailing(
        lambda: answering(502, b"<html>", "text/html"),
        {"reachable": "problem"},
        "A proxy answers 502",
        "unreachable",
    ),
    "another API": Ailing(
        lambda: answering(404, b'{"detail": "Not Found"}', "application/json"),
        {"url": "problem"},
        "Neither",
        "unreachable",
    ),
}


@pytest.mark.parametrize("case", AILING.values(), ids=AILING.keys())
def test_what_ails_a_server_is_found_and_nothing_else(case: Ailing) -> None:
    with serving(case.app()) as url:
        found = examined(url + case.path, key=KEY)
    assert (found.ailing(), found.verdict) == (case.ailing, case.verdict)
    assert any(
        case.says in finding.seen and finding.check in case.ailing for finding in found.findings
    ), found.findings


def test_the_other_form_of_the_url_is_used_where_only_that_works() -> None:
    with serving(altered(only_below_v1)) as url:
        found = examined(url, key=KEY)
    assert f"Give clients the base URL {url}/v1" in found.todo("url")
    assert "70 tokens" in found.seen("chat")


# What buffers


def test_a_proxy_that_holds_the_stream_is_found() -> None:
    clock = Clock()

    async def hold(request: TurnRequest, index: int) -> None:
        clock.tick(1.0)

    with serving(team(hold=hold)) as url, serving(Buffering(url)) as proxy:
        found = examined(f"{proxy}/v1", clock=clock)
    assert (found.ailing()["arrival"], found.verdict) == ("problem", "unwell")
    assert "Nothing streams" in found.seen("arrival")
    assert "x-accel-buffering: no, which it ignores" in found.todo("arrival")


def test_a_proxy_that_compresses_streams_is_found() -> None:
    with serving(team()) as url, serving(Buffering(url, compress=True)) as proxy:
        found = examined(f"{proxy}/v1")
    assert found.ailing() == {"compression": "warning"}
    assert "gzip" in found.seen("compression")
    assert "too quick to tell" in found.seen("arrival")


def test_a_stream_that_comes_as_it_is_made_is_told_from_one_that_is_held() -> None:
    """Every piece of the message is made only after the doctor has read one that was before it."""
    clock = Clock()
    reads: list[int] = []

    async def hold(request: TurnRequest, index: int) -> None:
        counting = "Count" in str(request.messages)
        if request.phase is Phase.PRESENT and counting and index > 1:
            await anyio.to_thread.run_sync(clock.wait_for_more_reads, reads[-1])
        reads.append(clock.tick(1.0))

    with serving(team(hold=hold)) as url:
        found = examined(f"{url}/v1", clock=clock)
    assert (found.verdict, found.ailing()) == ("well", {})
    (arrival,) = [finding for finding in found.findings if finding.check == "arrival"]
    assert arrival.level == "ok"
    assert int(arrival.seen.split()[4]) > len(NUMBERS) / 2


# Nobody there


def test_a_closed_port_is_a_refused_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = examined(f"http://127.0.0.1:{port}/v1")
    assert (found.verdict, found.ailing()) == ("unreachable", {"reachable": "problem"})
    assert "(refused)" in found.seen("reachable")


def test_a_host_that_does_not_exist_is_told_from_one_that_does() -> None:
    found = examined("http://nowhere.invalid/v1")
    assert found.verdict == "unreachable"
    assert "(unknown host)" in found.seen("reachable")


def test_https_at_a_server_without_tls_is_told() -> None:
    with serving(team()) as url:
        found = examined(f"{url.replace('http:', 'https:')}/v1")
    assert found.verdict == "unreachable"
    assert "(TLS)" in found.seen("reachable")


@contextmanager
def saying(reply: bytes) -> Generator[str]:
    """A server that says this to whoever has asked, and hangs up; a GET may be asked twice."""

    class Speaker(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(reply)

    with socketserver.TCPServer(("127.0.0.1", 0), Speaker) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()
        thread.join(PATIENCE)


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "(not HTTP)"),
        (b"", "(closed)"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{", "breaks off"),
    ],
)
def test_a_server_of_another_kind_is_told(reply: bytes, says: str) -> None:
    with saying(reply) as url:
        found = examined(url, chat=False)
    assert found.verdict == "unreachable"
    assert says in found.seen("reachable")


def test_a_chat_that_takes_too_long_is_given_up() -> None:
    async def stall(request: TurnRequest, index: int) -> None:
        await anyio.sleep_forever()

    with serving(team(hold=stall)) as url:
        found = examined(f"{url}/v1", chat_seconds=0.2)
    assert found.ailing() == {"chat": "problem"}
    assert "(timeout)" in found.seen("chat")
