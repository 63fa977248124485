"""What the doctor makes of what it saw: every check, passed and failed, on replies as values."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from massgen_compat.cli.doctor import address, completions, listing, refusals, streams
from massgen_compat.cli.doctor.findings import CHECKS, Finding, Level, shown
from massgen_compat.cli.doctor.observed import (
    TIME_IS_UP,
    Frame,
    FrameReader,
    Json,
    Reply,
    Seen,
    Trouble,
    Unreachable,
    calls_of,
)
from massgen_compat.errors import ConfigError
from tests.cli.doctor.values import (
    CALLED,
    COMPLETION,
    EVENTS,
    ID,
    SAID,
    USAGE,
    WHOLE,
    as_json,
    chunk,
    completion,
    refusal,
    stream,
    told,
)

PAGE = Reply(
    status=200,
    headers={"content-type": "text/html; charset=utf-8"},
    body=b"<html><title>Sign in\n to Acme</title></html>",
)
FASTAPI = as_json({"detail": "Not Found"}, 404)
NOT_FOUND = refusal(404, code="model_not_found")
NOBODY = Unreachable(trouble="timeout", detail="no time left")
NO_TEXT = as_json({"error": {"message": None}}, 401)
REFUSED_KEY = refusal(401, code="invalid_api_key")
ECHO = refusal(401, message=f"{refusals.WRONG_KEY} is wrong")

HERE = address.read_url("http://127.0.0.1:4000/v1")
NEAR = address.read_url("http://192.168.1.2:4000/v1")
FAR = address.read_url("https://tunnel.example/v1")


def models(*names: str, owner: str = "openai") -> Reply:
    data = [{"id": name, "object": "model", "created": 1, "owned_by": owner} for name in names]
    return as_json({"object": "list", "data": data})


def of_url(url: str) -> list[Finding]:
    return list(address.read_url(url).findings)


def reach(seen: Seen) -> list[Finding]:
    return [address.check_reach(seen)]


def no_answer(trouble: Trouble) -> list[Finding]:
    return reach(Unreachable(trouble=trouble, detail="[Errno 1] Why"))


def base(url: str, here: Seen, there: Seen) -> list[Finding]:
    return [address.check_base(address.read_url(url), here, there).finding]


def chat(seen: Seen) -> list[Finding]:
    return [completions.check_chat(seen)]


def streamed(
    data: Sequence[str] = WHOLE,
    times: Sequence[float] | None = None,
    broken: str | None = None,
    **headers: str,
) -> list[Finding]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return streams.check_stream(
        stream(data, times=times, broken=broken, headers={**EVENTS, **named})
    )


def called(
    deltas: Sequence[Json] = CALLED, reason: str = "tool_calls", status: int = 200
) -> list[Finding]:
    data = [*told(deltas, reason), "[DONE]"]
    return [completions.check_tools(stream(data, status=status))[0]]


def unasked(data: Sequence[str]) -> list[Finding]:
    finding = streams.check_unasked_usage(stream(data))
    return [] if finding is None else [finding]


def single(seen: Reply) -> list[Finding]:
    finding = listing.check_single(listing.models_of(seen))
    return [] if finding is None else [finding]


@dataclass(frozen=True)
class Case:
    check: str
    level: Level
    says: str
    findings: Sequence[Finding]


def fragment(index: int | None, arguments: str, **head: object) -> Json:
    function: dict[str, object] = {"arguments": arguments}
    if "name" in head:
        function["name"] = head.pop("name")
    place = {} if index is None else {"index": index}
    return {"tool_calls": [{**place, **head, "function": function}]}


ERROR = '{"error": {"message": "An agent failed.", "type": "server_error"}}'
LATE = [4.9, 5.0]
MANY = [*told([SAID[0], *[{"content": "word "}] * 20]), chunk([], usage=USAGE), "[DONE]"]

CASES: dict[str, Case] = {
    # the address
    "a slash": Case("url", "note", "ends in a slash", of_url("https://x.example/v1/")),
    "a query": Case("url", "warning", "query", of_url("https://x.example/v1?key=1")),
    "an endpoint": Case(
        "url", "problem", "/chat/completions", of_url("https://x.example/v1/chat/completions")
    ),
    "loopback": Case("url", "note", "Cursor's requests", of_url("http://localhost:4000/v1")),
    "loopback, IPv6": Case("url", "note", "::1", of_url("http://[::1]:4000/v1")),
    "no TLS": Case("url", "warning", "unencrypted", of_url("http://x.example/v1")),
    "the other form": Case(
        "url",
        "problem",
        "but at https://x.example/v1",
        base("https://x.example", PAGE, models("m")),
    ),
    "neither form": Case("url", "problem", "Neither", base("https://x.example", FASTAPI, FASTAPI)),
    "both forms": Case(
        "url", "ok", "with /v1, too", base("https://x.example", models("m"), models("m"))
    ),
    "one form": Case(
        "url",
        "ok",
        "The API is at https://x.example/v1.",
        base("https://x.example/v1", models("m"), PAGE),
    ),
    "a form with keys": Case(
        "url", "ok", "asks for a key", base("https://x.example/v1", refusal(401), FASTAPI)
    ),
    # reachability
    "refused": Case("reachable", "problem", "(refused)", no_answer("refused")),
    "no such host": Case("reachable", "problem", "(unknown host)", no_answer("dns")),
    "TLS": Case("reachable", "problem", "(TLS)", no_answer("tls")),
    "timeout": Case("reachable", "problem", "(timeout)", no_answer("timeout")),
    "closed": Case("reachable", "problem", "(closed)", no_answer("closed")),
    "not HTTP": Case("reachable", "problem", "(not HTTP)", no_answer("not_http")),
    "a web page": Case("reachable", "problem", "page called 'Sign in to Acme'", reach(PAGE)),
    "a page without a title": Case(
        "reachable", "problem", "A web page instead", reach(Reply(status=404, body=b" <p>"))
    ),
    "a redirect": Case(
        "reachable",
        "problem",
        "(307) to https://login.example",
        reach(Reply(status=307, headers={"location": "https://login.example"})),
    ),
    "a proxy alone": Case(
        "reachable", "problem", "A proxy answers 502", reach(Reply(status=502, body=b"<html>"))
    ),
    "half a reply": Case(
        "reachable", "problem", "breaks off", reach(Reply(status=200, broken="connection lost"))
    ),
    "an answer": Case("reachable", "ok", "It answers (200", reach(models("m"))),
    # keys
    "a key is needed": Case(
        "key", "problem", "A key is needed", [refusals.check_key(refusal(401), with_key=False)]
    ),
    "the key is refused": Case(
        "key", "problem", "is refused", [refusals.check_key(refusal(403), with_key=True)]
    ),
    "the key": Case("key", "ok", "accepted", [refusals.check_key(models("m"), with_key=True)]),
    "no key": Case("key", "ok", "nor needed", [refusals.check_key(models("m"), with_key=False)]),
    "open to the world": Case(
        "without key",
        "problem",
        "spends your money",
        [refusals.check_without_key(refusal(400), FAR)],
    ),
    "open to the house": Case(
        "without key",
        "warning",
        "spends your money",
        [refusals.check_without_key(refusal(400), NEAR)],
    ),
    "open to the house, by name": Case(
        "without key",
        "warning",
        "spends your money",
        [refusals.check_without_key(refusal(400), address.read_url("http://nas.local:4000/v1"))],
    ),
    "open to this machine": Case(
        "without key", "note", "on this machine", [refusals.check_without_key(refusal(400), HERE)]
    ),
    "403 without a key": Case(
        "without key", "warning", "403", [refusals.check_without_key(refusal(403), FAR)]
    ),
    "500 without a key": Case(
        "without key", "problem", "500", [refusals.check_without_key(refusal(500), FAR)]
    ),
    "FastAPI's 401": Case(
        "without key",
        "warning",
        "FastAPI's `detail`",
        [refusals.check_without_key(as_json({"detail": "x"}, 401), FAR)],
    ),
    "nobody without a key": Case(
        "without key", "problem", "(timeout)", [refusals.check_without_key(NOBODY, FAR)]
    ),
    "401 without a key": Case(
        "without key", "ok", "401", [refusals.check_without_key(refusal(401), FAR)]
    ),
    "an error without text": Case(
        "wrong key",
        "warning",
        "`error.message` is not text",
        [refusals.check_wrong_key(NO_TEXT, asks_for_key=True)],
    ),
    "the key is echoed": Case(
        "wrong key", "warning", "whole key", [refusals.check_wrong_key(ECHO, asks_for_key=True)]
    ),
    "any key lists models": Case(
        "wrong key",
        "warning",
        "any key",
        [refusals.check_wrong_key(models("m"), asks_for_key=True)],
    ),
    "any key": Case(
        "wrong key", "note", "Any key", [refusals.check_wrong_key(models("m"), asks_for_key=False)]
    ),
    "nobody for a wrong key": Case(
        "wrong key", "problem", "(timeout)", [refusals.check_wrong_key(NOBODY, asks_for_key=True)]
    ),
    "a wrong key": Case(
        "wrong key", "ok", "401", [refusals.check_wrong_key(REFUSED_KEY, asks_for_key=True)]
    ),
    # models
    "no list": Case("models", "problem", "404", [listing.check_list(FASTAPI)]),
    "nobody lists": Case("models", "problem", "(timeout)", [listing.check_list(NOBODY)]),
    "an empty list": Case("models", "problem", "empty", [listing.check_list(models())]),
    "a list with gaps": Case(
        "models",
        "warning",
        "created, object, owned_by",
        [listing.check_list(as_json({"data": [{"id": "m"}]}))],
    ),
    "a nameless model": Case(
        "models",
        "warning",
        "missing: id",
        [listing.check_list(as_json({"data": [*listing.models_of(models("m")), {"x": 1}]}))],
    ),
    "a list": Case("models", "ok", "2: a, b.", [listing.check_list(models("a", "b"))]),
    "another model": Case(
        "model", "warning", "not in the list", [listing.check_model("c", ["a"], NOT_FOUND)]
    ),
    "listed and unknown": Case(
        "model", "warning", "GET /models/a is 404", [listing.check_model("a", ["a"], NOT_FOUND)]
    ),
    "listed and silent": Case(
        "model", "warning", "is timeout", [listing.check_model("a", ["a"], NOBODY)]
    ),
    "another id": Case(
        "model", "warning", "gives b", [listing.check_model("a", ["a"], as_json({"id": "b"}))]
    ),
    "a model": Case(
        "model", "ok", "known", [listing.check_model("a", ["a"], as_json({"id": "a"}))]
    ),
    "gpt-5 and no Responses": Case(
        "model names", "warning", "no /responses", [listing.check_names(["gpt-5.2"], FASTAPI)]
    ),
    "o3 and nobody": Case(
        "model names", "warning", "o3-mini", [listing.check_names(["o3-mini"], NOBODY)]
    ),
    "gpt-5 and Responses": Case(
        "model names", "note", "which is served", [listing.check_names(["gpt-5"], refusal(400))]
    ),
    "claude": Case(
        "model names", "warning", "`claude`", [listing.check_names(["my-claude"], FASTAPI)]
    ),
    "plain names": Case("model names", "ok", "None", [listing.check_names(["team"], FASTAPI)]),
    "no single": Case(
        "small tasks", "warning", "No team-single", single(models("team", owner="massgen"))
    ),
    "a single": Case(
        "small tasks", "ok", "team-single", single(models("team", "team-single", owner="massgen"))
    ),
    # refusals
    "any model": Case(
        "unknown model", "warning", "paid for", [refusals.check_unknown_model(completion())]
    ),
    "400 for a model": Case(
        "unknown model", "warning", "400", [refusals.check_unknown_model(refusal(400))]
    ),
    "500 for a model": Case(
        "unknown model", "problem", "retry", [refusals.check_unknown_model(refusal(500))]
    ),
    "no such model": Case("unknown model", "ok", "404", [refusals.check_unknown_model(NOT_FOUND)]),
    "broken JSON is fine": Case(
        "malformed request", "problem", "is accepted", [refusals.check_malformed(completion())]
    ),
    "a number for a code": Case(
        "malformed request",
        "warning",
        "`error.code` is neither",
        [
            refusals.check_malformed(
                as_json({"error": {"message": "", "type": "", "param": None, "code": 400}}, 400)
            )
        ],
    ),
    "an error without param": Case(
        "malformed request",
        "warning",
        "`error.param` is missing",
        [refusals.check_malformed(as_json({"error": {"message": "", "type": ""}}, 400))],
    ),
    "nobody for broken JSON": Case(
        "malformed request", "problem", "(timeout)", [refusals.check_malformed(NOBODY)]
    ),
    "broken JSON": Case("malformed request", "ok", "400", [refusals.check_malformed(refusal(400))]),
    "any path": Case("unknown path", "warning", "Any path", [refusals.check_unknown_path(PAGE)]),
    "FastAPI's 404": Case(
        "unknown path", "warning", "FastAPI's `detail`", [refusals.check_unknown_path(FASTAPI)]
    ),
    "a page for a path": Case(
        "unknown path",
        "warning",
        "a web page",
        [refusals.check_unknown_path(Reply(status=404, body=b"<p>"))],
    ),
    "nothing for a path": Case(
        "unknown path", "warning", "no JSON", [refusals.check_unknown_path(Reply(status=404))]
    ),
    "text for an error": Case(
        "unknown path",
        "warning",
        "no `error` object",
        [refusals.check_unknown_path(as_json({"error": "x"}, 404))],
    ),
    "no such path": Case("unknown path", "ok", "404", [refusals.check_unknown_path(refusal(404))]),
    # surroundings
    "no request id": Case(
        "headers",
        "note",
        "Also server: nginx",
        [listing.check_headers(as_json({}, server="nginx"))],
    ),
    "a request id": Case(
        "headers",
        "ok",
        "req_1. Also x-massgen-background: title",
        [listing.check_headers(as_json({}, x_request_id="req_1", x_massgen_background="title"))],
    ),
    "nobody's headers": Case("headers", "note", "timeout", [listing.check_headers(NOBODY)]),
    "no CORS": Case("browsers", "note", "may not", [listing.check_browsers(refusal(401))]),
    "CORS": Case(
        "browsers",
        "note",
        "any origin",
        [listing.check_browsers(as_json({}, access_control_allow_origin="*"))],
    ),
    "CORS for errors only": Case(
        "browsers",
        "note",
        "may not",
        [listing.check_browsers(as_json({}, 401, access_control_allow_origin="*"))],
    ),
    "nobody for a browser": Case("browsers", "note", "timeout", [listing.check_browsers(NOBODY)]),
    # a whole reply
    "a chat": Case("chat", "ok", "18 tokens", chat(completion())),
    "a failing chat": Case("chat", "problem", "502: No. Clients retry", chat(refusal(502))),
    "a refused chat": Case("chat", "problem", "400: No.", chat(refusal(400))),
    "no reply": Case("chat", "problem", "no time left", chat(NOBODY)),
    "half a chat": Case(
        "chat", "problem", "breaks off", chat(Reply(status=200, broken="time is up"))
    ),
    "a list for a chat": Case("chat", "problem", "no JSON", chat(as_json([]))),
    "a chat in HTML": Case("chat", "problem", "no JSON", chat(PAGE)),
    "no model in it": Case(
        "chat",
        "problem",
        "Missing: model",
        chat(as_json({key: value for key, value in COMPLETION.items() if key != "model"})),
    ),
    "no choices": Case("chat", "problem", "empty", chat(as_json({**COMPLETION, "choices": []}))),
    "another role": Case("chat", "problem", "user", chat(completion(role="user"))),
    "another reason": Case("chat", "problem", "error", chat(completion(reason="error"))),
    "no calls as a list": Case("chat", "problem", "is []", chat(completion(tool_calls=[]))),
    "calls of nothing": Case(
        "chat", "problem", "not offered", chat(completion(tool_calls=[{"id": "c"}]))
    ),
    "an empty message": Case("chat", "problem", "empty", chat(completion(content=" "))),
    "cut short": Case("chat", "warning", "length", chat(completion(reason="length"))),
    "no usage": Case("chat", "warning", "without usage", chat(completion(usage=None))),
    "half a usage": Case(
        "chat", "warning", "lacks numbers", chat(completion(usage={"total_tokens": 3}))
    ),
    "a wrong sum": Case(
        "chat", "warning", "not add up", chat(completion(usage={**USAGE, "total_tokens": 3}))
    ),
    "a background task": Case(
        "chat",
        "note",
        "taken for a background task (title)",
        chat(as_json(COMPLETION, x_massgen_background="title")),
    ),
    # a stream
    "a stream": Case("stream", "ok", "7 chunks in 0.8 s.", streamed()),
    "a stream with reasoning": Case(
        "stream",
        "ok",
        "14 characters of reasoning",
        streamed([*told([*SAID, {"reasoning_content": "a has answered"}]), "[DONE]"]),
    ),
    "a refused stream": Case(
        "stream", "problem", "500", streams.check_stream(stream([], times=[], status=500))
    ),
    "nobody streams": Case("stream", "problem", "(timeout)", streams.check_stream(NOBODY)),
    "JSON for a stream": Case(
        "stream", "problem", "sends application/json", streamed(content_type="application/json")
    ),
    "an empty stream": Case("stream", "problem", "No chunk comes.", streamed([], [])),
    "a stream that only fails": Case("stream", "problem", "An agent failed", streamed([ERROR])),
    "nothing, then the end": Case(
        "stream", "problem", "time is up", streamed([], [], broken="time is up")
    ),
    "a first byte": Case("first byte", "ok", "0.10 s", streamed()),
    "a late first byte": Case("first byte", "warning", "31.00 s", streamed(times=[31.0, 32.0])),
    "a first byte that is too late": Case("first byte", "problem", "61.00", streamed(times=[61.0])),
    "chunk by chunk": Case("arrival", "ok", "7 chunks come in 8 pieces", streamed()),
    "all at the end": Case(
        "arrival", "problem", "1 piece, after 5.0 of 5.0 s. Nothing streams", streamed(times=[5.0])
    ),
    "nearly all at the end": Case("arrival", "problem", "2 pieces", streamed(MANY, LATE)),
    "whole before its first byte": Case(
        "arrival", "problem", "content-length", streamed(content_length="1234")
    ),
    "in batches": Case("arrival", "warning", "in batches", streamed(MANY, [0.1, 2.0, 5.0])),
    "too quick": Case("arrival", "note", "too quick to tell", streamed(times=[0.02])),
    "no pauses": Case("silence", "ok", "0.1 s", streamed()),
    "a pause": Case("silence", "warning", "40.0 s", streamed(times=[1.0, 41.0])),
    "a long pause": Case("silence", "problem", "62.0 s", streamed(times=[1.0, 63.0])),
    "a pause with comments": Case(
        "silence",
        "warning",
        "1 comment in between",
        streamed([WHOLE[0], ": alive\n\n", *WHOLE[1:]], [1.0, 20.0, 40.0]),
    ),
    "a role": Case("role", "ok", "assistant", streamed()),
    "no role": Case("role", "problem", "openai-node", streamed([*told(SAID[1:]), "[DONE]"])),
    "a late role": Case(
        "role", "warning", "first chunk", streamed([*told([*SAID[1:], SAID[0]]), "[DONE]"])
    ),
    "many roles": Case(
        "role", "note", "more than once", streamed([*told([SAID[0], *SAID]), "[DONE]"])
    ),
    "only chunks": Case("frames", "ok", "one id", streamed()),
    "a stray object": Case("frames", "problem", "AI SDK", streamed(['{"type": "ping"}', *WHOLE])),
    "a named event": Case(
        "frames",
        "warning",
        "massgen.trace",
        streamed([f"event: massgen.trace\ndata: {WHOLE[0]}\n\n", *WHOLE]),
    ),
    "two ids": Case(
        "frames", "warning", "several ids", streamed([WHOLE[0].replace(ID, "x"), *WHOLE])
    ),
    "a comment": Case("frames", "warning", "1 comment;", streamed([": alive\n\n", *WHOLE])),
    "an end": Case("end", "ok", "stop, then [DONE]", streamed()),
    "no end": Case("end", "problem", "No chunk has a finish_reason", streamed(told(SAID, None))),
    "an error midway": Case("end", "problem", "An agent failed", streamed([*WHOLE[:2], ERROR])),
    "an error in a word": Case(
        "end", "problem", "Why.", streamed([*WHOLE[:2], '{"error": "Why"}'])
    ),
    "it breaks off": Case("end", "problem", "lost", streamed(WHOLE[:3], broken="lost")),
    "another end": Case("end", "problem", "error", streamed(told(SAID, "error"))),
    "an end for lack of room": Case("end", "warning", "length", streamed(told(SAID, "length"))),
    "two ends": Case("end", "warning", "2 chunks", streamed([*told(SAID), *told([])])),
    "no [DONE]": Case("end", "warning", "[DONE] is missing", streamed(WHOLE[:-1])),
    "more after [DONE]": Case("end", "warning", "1 frame after", streamed([*WHOLE, WHOLE[0]])),
    "usage": Case("usage", "ok", "22 tokens", streamed()),
    "no usage at the end": Case("usage", "warning", "no usage", streamed([*told(SAID), "[DONE]"])),
    "usage twice": Case("usage", "warning", "more than once", streamed([WHOLE[-2], *WHOLE])),
    "usage that does not add up": Case(
        "usage",
        "warning",
        "add up",
        streamed([*told(SAID), chunk([], usage={**USAGE, "total_tokens": 1})]),
    ),
    "usage unasked": Case(
        "usage",
        "warning",
        "Without include_usage",
        unasked([chunk([{"index": 0, "delta": SAID[0], "finish_reason": "stop"}], usage=USAGE)]),
    ),
    "no choices unasked": Case(
        "usage", "warning", "without a choice", unasked([*told(SAID), chunk([])])
    ),
    "no usage unasked": Case("usage", "ok", "not asked", unasked(told(SAID))),
    "no compression": Case("compression", "ok", "None", streamed()),
    "gzip": Case("compression", "warning", "gzip", streamed(content_encoding="gzip")),
    # tools
    "a call": Case("tools", "ok", 'get_weather({"city":"Paris"})', called()),
    "no call": Case("tools", "problem", "'The capital of Mexico'", called(SAID, "stop")),
    "tools are refused": Case("tools", "problem", "400", called([], status=400)),
    "nobody calls": Case("tools", "problem", "(timeout)", [completions.check_tools(NOBODY)[0]]),
    "a call fails": Case(
        "tools", "problem", "An agent failed", [completions.check_tools(stream([ERROR]))[0]]
    ),
    "a call without an id": Case(
        "tools", "problem", "no id", called([fragment(0, "{}", name="get_weather")])
    ),
    "a call of another tool": Case(
        "tools", "problem", "'f', which", called([fragment(0, "{}", name="f", id="c")])
    ),
    "arguments that are no JSON": Case(
        "tools", "problem", "no JSON object", called([fragment(0, "{", name="get_weather", id="c")])
    ),
    "no index": Case(
        "tools",
        "warning",
        "without `index`",
        called([fragment(None, "{}", name="get_weather", id="c")]),
    ),
    "text beside a call": Case(
        "tools", "warning", "pydantic-ai", called([{"content": "Let me look."}, *CALLED])
    ),
    "a call that ends as text": Case(
        "tools", "warning", "finish_reason is stop", called(reason="stop")
    ),
    # results
    "a result": Case(
        "tool results", "ok", "Accepted", [completions.check_tool_results(completion())]
    ),
    "a result is refused": Case(
        "tool results", "problem", "400", [completions.check_tool_results(refusal(400))]
    ),
    "a result without an answer": Case(
        "tool results",
        "problem",
        "empty",
        [completions.check_tool_results(completion(content=None))],
    ),
    "a result with a strange answer": Case(
        "tool results", "problem", "Missing", [completions.check_tool_results(as_json({}))]
    ),
    "a result is asked for again": Case(
        "tool results",
        "warning",
        "again",
        [completions.check_tool_results(completion(tool_calls=[{"id": "c"}], reason="tool_calls"))],
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_was_seen_is_judged(case: Case) -> None:
    found = [finding for finding in case.findings if finding.check == case.check]
    assert [(finding.level, case.says in finding.seen) for finding in found] == [
        (case.level, True)
    ], found


NOTES_ONLY = {"headers", "browsers"}


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_is_seen_to_pass_and_to_fail(check: str) -> None:
    levels = {case.level for case in CASES.values() if case.check == check}
    assert levels & ({"note"} if check in NOTES_ONLY else {"warning", "problem"})
    assert "ok" in levels or check == "browsers"


def test_a_finding_that_is_not_well_says_what_to_do() -> None:
    for name, case in CASES.items():
        for finding in case.findings:
            assert finding.check in CHECKS, name
            assert finding.level not in {"problem", "warning"} or finding.todo, name
            assert finding.level != "ok" or not finding.todo, name
            assert "\n" not in finding.seen + finding.todo, name


def test_the_report_shows_nothing_of_a_terminals_language() -> None:
    assert shown("\x1b[31mred\n\tand   more") == "�[31mred and more"
    assert shown("word " * 100, 10) == "word word…"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:4000",
        "ftp://x.example/v1",
        "http://",
        "http://x:y/v1",
        "https://k:s@x.example",
        "https://k@x.example",
    ],
)
def test_what_is_no_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        address.read_url(url)
    assert "k:s" not in refused.value.message
    assert refused.value.message.startswith("the URL ")


def test_fragments_of_calls_add_up_and_disorder_is_told() -> None:
    first = fragment(0, "", id="c1", name="f")
    second = fragment(1, "{}", id="c2", name="g")
    whole, wrong = calls_of([first, fragment(0, "{}"), second])
    assert [(call.id, call.name, call.arguments) for call in whole] == [
        ("c1", "f", "{}"),
        ("c2", "g", "{}"),
    ]
    assert wrong is None
    assert (
        calls_of([first, second, fragment(0, "{}")])[1] == "fragments of several calls interleaved"
    )
    assert calls_of([fragment(0, "{}", id="c1")])[1] == (
        "a call whose first fragment lacks `id` or `function.name`"
    )
    assert [call.id for call in calls_of([fragment(None, "", id="c", name="f")])[0]] == ["c"]


def test_what_buffers_although_it_was_told_not_to_is_named() -> None:
    def advice(**headers: str) -> str:
        return next(f.todo for f in streamed(times=[5.0], **headers) if f.check == "arrival")

    assert advice(x_accel_buffering="no").endswith("x-accel-buffering: no, which it ignores.")
    assert advice().endswith("Or have the server send x-accel-buffering: no.")


def test_comments_are_told_only_where_there_are_some() -> None:
    (silence,) = [finding for finding in streamed() if finding.check == "silence"]
    assert silence.seen == "The longest pause between chunks is 0.1 s."


def test_advice_on_time_is_given_where_time_was_the_matter() -> None:
    late = chat(NOBODY)[0].todo
    assert "--timeout" in late
    assert chat(Reply(status=200, broken=TIME_IS_UP))[0].todo == late
    assert "proxy_read_timeout" in chat(Reply(status=200, broken="connection lost"))[0].todo
    closed = Unreachable(trouble="closed", detail="connection lost")
    assert "--timeout" not in chat(closed)[0].todo


def test_nothing_is_said_that_was_not_seen() -> None:
    assert chat(refusal(400))[0].seen == "400: No."
    assert chat(as_json({}, 404))[0].seen == "404."
    (headers,) = [listing.check_headers(as_json({}, x_request_id="req_1"))]
    assert headers.seen == "x-request-id: req_1."
    nothing = listing.check_model("m", [], NOT_FOUND)
    assert nothing.todo == "Say --model with one of: none is listed."
    assert streams.check_unasked_usage(NOBODY) is None


def test_the_model_to_chat_with_is_the_one_asked_for_or_the_first_team() -> None:
    names = listing.names_of(models("a-single", "a", "b"))
    assert names == ["a-single", "a", "b"]
    assert listing.choose(names, None) == "a"
    assert listing.choose(names, "b") == "b"
    assert listing.choose(["a-single"], None) == "a-single"
    assert listing.choose([], None) is None
    assert listing.names_of(NOBODY) == []
    assert listing.names_of(as_json(COMPLETION, 500)) == []


@pytest.mark.parametrize(
    ("url", "base_url", "other"),
    [
        ("https://x.example/v1/", "https://x.example/v1", "https://x.example"),
        ("http://[::1]:4000", "http://[::1]:4000", "http://[::1]:4000/v1"),
        (" https://x.example/ai/v1/models ", "https://x.example/ai/v1", "https://x.example/ai"),
    ],
)
def test_a_base_url_is_what_clients_append_their_paths_to(
    url: str, base_url: str, other: str
) -> None:
    found = address.read_url(url)
    assert (found.base, found.other) == (base_url, other)


def test_frames_are_what_stands_between_empty_lines() -> None:
    reader = FrameReader()
    assert reader.feed(b"\n\r\n\ndata: a\r\ndata:b\n", 1.0) == []
    assert reader.feed(b"event: e\n: c\n\n\n", 2.0) == [
        Frame(at=2.0, data="a\nb", event="e", comment="c")
    ]
