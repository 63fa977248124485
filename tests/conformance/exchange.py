"""One HTTP exchange, judged by its bytes: no client library between the server and the test."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any, cast
from urllib.parse import urlsplit

from massgen_compat.testing import ServedRequest

PATIENCE = 20
CHAT = "/v1/chat/completions"
DONE = b"data: [DONE]"
PIECES = ("content", "refusal", "reasoning_content")


@dataclass(frozen=True)
class Exchange:
    """What was sent, what came back, and what the providers were asked in between."""

    sent: Any
    status: int
    headers: Mapping[str, str]
    raw: bytes
    asked: Sequence[ServedRequest] = field(default=(), repr=False)

    @property
    def streamed(self) -> bool:
        return self.headers.get("content-type", "").startswith("text/event-stream")

    @property
    def body(self) -> Any:
        """The JSON of a response that is not a stream."""
        assert not self.streamed, self.raw[:200]
        return parsed(self.raw)

    @property
    def error(self) -> dict[str, Any]:
        return self.body["error"]

    @property
    def frames(self) -> list[bytes]:
        """The events of the stream without the blank lines that end them."""
        assert self.streamed, (self.status, self.raw[:500])
        assert self.raw.endswith(b"\n\n")
        return self.raw.removesuffix(b"\n\n").split(b"\n\n")

    @property
    def payloads(self) -> list[dict[str, Any]]:
        """The JSON of every event but the last, which is no JSON."""
        assert self.frames[-1] == DONE
        return [parsed(frame.removeprefix(b"data: ")) for frame in self.frames[:-1]]

    @property
    def chunks(self) -> list[dict[str, Any]]:
        assert self.status == 200, self.raw[:500]
        assert not any("error" in payload for payload in self.payloads), self.raw[-500:]
        return self.payloads

    def of_choice(self, index: int = 0) -> list[dict[str, Any]]:
        """The choice's part of every chunk that has one."""
        choices = [choice for chunk in self.chunks for choice in chunk["choices"]]
        return [choice for choice in choices if choice["index"] == index]

    @property
    def indices(self) -> list[int]:
        """The indices of the choices, in the order in which they begin."""
        whole = self.chunks if self.streamed else [self.completion]
        found = [choice["index"] for part in whole for choice in part["choices"]]
        return list(dict.fromkeys(found))

    @property
    def completion(self) -> dict[str, Any]:
        assert self.status == 200, self.raw[:500]
        return self.body

    @property
    def frame(self) -> dict[str, Any]:
        """What says which response it is: of the completion, or of the first chunk."""
        return self.chunks[0] if self.streamed else self.completion

    @property
    def usage(self) -> Any:
        return (self.chunks[-1] if self.streamed else self.completion).get("usage")

    def choice(self, index: int = 0) -> dict[str, Any]:
        """A choice as it ends up, whether it was streamed or not."""
        if self.streamed:
            return folded(self.of_choice(index))
        return next(c for c in self.completion["choices"] if c["index"] == index)

    @property
    def message(self) -> dict[str, Any]:
        return self.choice()["message"]

    @property
    def finish_reason(self) -> str:
        return self.choice()["finish_reason"]


def folded(choices: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A choice out of its deltas, by the rules of OpenAI's clients: strings are joined."""
    message: dict[str, Any] = {"content": None, "refusal": None}
    calls: dict[int, dict[str, Any]] = {}
    logprobs: list[Any] = []
    for choice in choices:
        delta = choice["delta"]
        for key in PIECES:
            if delta.get(key) is not None:
                message[key] = (message.get(key) or "") + delta[key]
        if "role" in delta:
            message["role"] = message.get("role", "") + delta["role"]
        if "function_call" in delta:
            join(message.setdefault("function_call", {}), delta["function_call"])
        for fragment in delta.get("tool_calls", ()):
            join(calls.setdefault(fragment["index"], {}), fragment)
        tokens: dict[str, list[Any]] = choice.get("logprobs") or {"content": []}
        logprobs += tokens["content"]
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
        for call in message["tool_calls"]:
            del call["index"]
    reasons = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    assert len(reasons) == 1, reasons
    told: object = {"content": logprobs, "refusal": None} if logprobs else None
    return {"message": message, "finish_reason": reasons[0], "logprobs": told}


def join(whole: dict[str, Any], fragment: Mapping[str, Any]) -> None:
    for key, value in fragment.items():
        if isinstance(value, Mapping):
            join(whole.setdefault(key, {}), cast("Mapping[str, Any]", value))
        elif isinstance(value, str):
            whole[key] = whole.get(key, "") + value
        else:
            whole[key] = value


def parsed(raw: bytes) -> Any:
    """JSON in which no key is repeated and no number is none."""
    return json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_number)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len({key for key, _ in pairs}) == len(pairs), [key for key, _ in pairs]
    return dict(pairs)


def _no_number(name: str) -> Any:
    raise AssertionError(f"{name} is no JSON")


def exchange(
    url: str,
    body: object = None,
    path: str = CHAT,
    *,
    method: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Exchange:
    """One request on a connection of its own; ``body`` may be bytes, or an iterable of them."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
    data: Any = json.dumps(body).encode() if isinstance(body, dict | str) else body
    given = {"Content-Type": "application/json"} if data is not None else {}
    connection.request(
        method or ("GET" if body is None else "POST"), path, data, {**given, **(headers or {})}
    )
    response = connection.getresponse()
    raw = response.read()
    connection.close()
    got = [(name.lower(), value) for name, value in response.getheaders()]
    names = [name for name, _ in got]
    assert len(set(names)) == len(names), f"a header is there twice: {names}"
    return Exchange(sent=body, status=response.status, headers=dict(got), raw=raw)
