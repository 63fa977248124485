"""Recorded exchanges of the real API, replayed: its requests to us, judged by its answers.

The models are scripts that say what the real model said. What differs on purpose stands in
``DEPARTURES``, with the reason.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import pytest

from tests.conformance.exchange import CHAT, Exchange, folded, parsed
from tests.conformance.rules import refusal
from tests.conformance.stage import MEMBERS, QUIET, stage

Sample = Mapping[str, Any]
STATUS_ONLY = {"openai-processing-ms", "openai-version"}


@dataclass(frozen=True)
class Departure:
    """Where we answer otherwise: our error, and why. ``None`` for a status: the answer is ours."""

    why: str
    status: int
    code: str | None = None
    param: str | None = None


_SEARCH = "searching is for the agents' hosted tools, and no client's matter"
_MODERATION = "no moderation is run, and leaving it out unseen would be worse"
DEPARTURES: Mapping[str, Departure] = {
    "error_unsupported_value": Departure("o1-mini alone takes no system message", 200),
    "error_web_search_options": Departure(
        _SEARCH, 400, "unsupported_parameter", "web_search_options"
    ),
    "plain_text_gpt-4o-search-preview-2025-03-11": Departure(
        _SEARCH, 400, "unsupported_parameter", "web_search_options"
    ),
    "stream_tools0_gpt-5-2025-08-07": Departure(
        _MODERATION, 400, "unsupported_parameter", "moderation"
    ),
    "plain_text_gpt-5-2025-08-07": Departure(
        _MODERATION, 400, "unsupported_parameter", "moderation"
    ),
}
NAMES = sorted(
    {
        "error_invalid_value",
        "error_model_not_found",
        "plain_text_gpt-4.1-mini-2025-04-14",
        "plain_text_gpt-4.5-preview-2025-02-27",
        "plain_text_gpt-4o-2024-08-06",
        "plain_text_gpt-4o-mini-2024-07-18",
        "plain_text_gpt-5-mini-2025-08-07",
        "plain_text_gpt-5.4-mini-2026-03-17",
        "plain_text_o1-mini-2024-09-12",
        "plain_text_o3-mini-2025-01-31",
        "plain_tools_gpt-4.1-mini-2025-04-14",
        "plain_tools_gpt-4o-2024-08-06",
        "plain_tools_gpt-4o-mini-2024-07-18",
        "plain_tools_gpt-5-mini-2025-08-07",
        "plain_tools_gpt-5.4-mini-2026-03-17",
        "stream_tools0_gpt-4o-2024-08-06",
        "stream_tools0_gpt-4o-mini-2024-07-18",
        "stream_tools1_gpt-4o-2024-08-06",
        "stream_tools1_gpt-4o-mini-2024-07-18",
        "stream_tools2_gpt-4o-2024-08-06",
        *DEPARTURES,
    }
)


def test_every_recorded_chat_exchange_is_replayed(samples: Mapping[str, Sample]) -> None:
    chat = [name for name, sample in samples.items() if sample["path"] == CHAT]
    assert sorted(chat) == NAMES


def real(sample: Sample) -> Exchange:
    """The real API's answer, as an exchange."""
    body = sample["response_body"]
    headers = {name: values[0] for name, values in sample["response_headers"].items()}
    raw = body if isinstance(body, str) else json.dumps(body)
    return Exchange(sample["request"], sample["status"], headers, raw.encode())


def script(sample: Sample) -> dict[str, Any]:
    """A script that says what the real model said."""
    if sample["status"] != 200:
        return {}
    said = answer_of(real(sample))
    calls = [
        {"name": call["function"]["name"], "arguments": call["function"]["arguments"]}
        for call in said["message"].get("tool_calls", ())
    ]
    return {"present": {"text": said["message"]["content"] or "", "calls": calls}}


def answer_of(answer: Exchange) -> dict[str, Any]:
    if not answer.streamed:
        return answer.choice()
    chunks = [parsed(frame.removeprefix(b"data: ")) for frame in answer.frames[:-1]]
    return folded([choice for chunk in chunks for choice in chunk["choices"]])


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_request_is_answered_as_the_real_api_did(
    name: str, samples: Mapping[str, Sample]
) -> None:
    sample = samples[name]
    model = sample["request"]["model"]
    with stage({model: script(sample)}) as each:
        for cast in MEMBERS:
            served = {} if name == "error_model_not_found" else {"model": f"{cast}-{model}"}
            answer = each.send({**sample["request"], **served, **QUIET})
            judge(answer, sample, DEPARTURES.get(name))


def judge(answer: Exchange, sample: Sample, departure: Departure | None) -> None:
    expected = real(sample)
    if departure is not None:
        assert answer.status == departure.status
        if departure.status != 200:
            refusal(answer, departure.status, departure.code, departure.param)
        return
    assert answer.status == expected.status, answer.raw[:500]
    assert (
        answer.headers["content-type"].split(";")[0]
        == expected.headers["content-type"].split(";")[0]
    )
    if expected.status != 200:
        given, told = expected.error, answer.error
        assert {**told, "message": ""} == {**given, "message": ""}
        return
    assert answer.headers.keys() >= STATUS_ONLY
    same_shape(answer, expected)


def same_shape(answer: Exchange, expected: Exchange) -> None:
    """The same message and the same keys; what a real run makes up is left out."""
    ours, theirs = answer_of(answer), answer_of(expected)
    for message in (ours["message"], theirs["message"]):
        for call in message.get("tool_calls", ()):
            assert call["id"].startswith("call_")
            call["id"] = ""
    assert ours["message"] == theirs["message"]
    assert ours["finish_reason"] == theirs["finish_reason"]
    if answer.streamed:
        assert set(answer.payloads[-1]) | {"obfuscation"} == set(expected.payloads[-1])
        assert shape(answer.usage) == shape(expected.usage)
    else:
        assert shape(answer.body) == shape(expected.body)


FREE: Mapping[str, Callable[[object], bool]] = {
    "system_fingerprint": lambda value: value is None or isinstance(value, str),
    "logprobs": lambda value: value is None,
}
"""Where the real API departs from its own schema: gpt-5 has null, and no ``logprobs`` key."""


def shape(value: Any) -> Any:
    """Keys and types, without the values."""
    if isinstance(value, dict):
        kept = cast("dict[str, Any]", value)
        assert all(FREE[key](each) for key, each in kept.items() if key in FREE)
        return {key: shape(each) for key, each in kept.items() if key not in FREE}
    if isinstance(value, list):
        return [shape(each) for each in cast("list[Any]", value)]
    return type(value).__name__
