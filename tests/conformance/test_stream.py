"""Rules 1.3, the stream: its bytes, its order, and how it ends."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from massgen_compat import TeamSettings
from tests.conformance.exchange import DONE, Exchange
from tests.conformance.rules import STREAM, Row, Rule, table
from tests.conformance.stage import ANSWER, TOOLS, Stage, stage

CHUNK_KEYS = {"id", "object", "created", "model", "choices"}
IDENTITY = ("id", "object", "created", "model", "system_fingerprint", "service_tier")
USAGE = {"stream_options": {"include_usage": True}}
LOUD = TeamSettings(trace="status")


def data_lines_only(answer: Exchange) -> None:
    assert all(frame.startswith(b"data: ") for frame in answer.frames)
    assert not any(b"\n" in frame for frame in answer.frames)
    assert b"\r" not in answer.raw
    answer.raw.decode("utf-8")


def done_is_last_and_once(answer: Exchange) -> None:
    assert answer.raw.endswith(b"\n\n" + DONE + b"\n\n")
    assert answer.frames.count(DONE) == 1


def required_keys(answer: Exchange) -> None:
    for chunk in answer.chunks:
        assert set(chunk) >= CHUNK_KEYS
        assert chunk["object"] == "chat.completion.chunk"
        for choice in chunk["choices"]:
            assert set(choice) >= {"index", "delta", "finish_reason"}


def one_identity(answer: Exchange) -> None:
    assert len({json.dumps([chunk[key] for key in IDENTITY]) for chunk in answer.chunks}) == 1


def role_once(answer: Exchange) -> None:
    roles = [choice["delta"].get("role") for choice in answer.of_choice()]
    assert roles[0] == "assistant"
    assert set(roles[1:]) <= {None}


def one_finish(answer: Exchange) -> None:
    finished = [choice for choice in answer.of_choice() if choice["finish_reason"] is not None]
    assert finished == answer.of_choice()[-1:]
    assert finished[0]["delta"] == {}


def usage_chunk(answer: Exchange) -> None:
    *others, last = answer.chunks
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] > 0
    assert all(chunk["usage"] is None and chunk["choices"] for chunk in others)


def no_usage(answer: Exchange) -> None:
    for chunk in answer.chunks:
        assert "usage" not in chunk
        assert chunk["choices"]


def unknown_usage(answer: Exchange) -> None:
    assert answer.chunks[-1]["choices"] == []
    assert all(chunk["usage"] is None for chunk in answer.chunks)


def token_by_token(answer: Exchange) -> None:
    pieces = [choice["delta"].get("content") for choice in answer.of_choice()]
    told = [piece for piece in pieces if piece]
    assert len(told) > 3
    assert "".join(told) == ANSWER
    assert "" not in pieces[1:]


def fragments(count: int) -> Callable[[Exchange], None]:
    def check(answer: Exchange) -> None:
        found: list[dict[str, Any]] = [
            fragment
            for choice in answer.of_choice()
            for fragment in choice["delta"].get("tool_calls", ())
        ]
        seen: list[int] = []
        for fragment in found:
            first = fragment["index"] not in seen
            if first:
                assert fragment["index"] == len(seen)
                seen.append(fragment["index"])
                assert set(fragment) == {"index", "id", "type", "function"}
                assert set(fragment["function"]) == {"name", "arguments"}
            else:
                assert set(fragment) == {"index", "function"}
                assert set(fragment["function"]) == {"arguments"}
        assert len(seen) == count
        assert len(found) > count, "the arguments came in one piece"

    return check


def no_empty_list(answer: Exchange) -> None:
    assert not any(choice["delta"].get("tool_calls") == [] for choice in answer.of_choice())


def no_padding(answer: Exchange) -> None:
    assert not any("obfuscation" in chunk for chunk in answer.chunks)


RULES = [
    Rule(section="1.3.16", source="rec", says="data lines, LF and UTF-8", check=data_lines_only),
    Rule(
        section="1.3.16",
        source="rec",
        says="data lines with calls",
        check=data_lines_only,
        script="calls",
        params={"tools": TOOLS},
    ),
    Rule(section="1.3.16", source="rec", says="[DONE] is last", check=done_is_last_and_once),
    Rule(
        section="1.3.16",
        source="rec",
        says="[DONE] is last after usage",
        check=done_is_last_and_once,
        params=USAGE,
    ),
    Rule(section="1.3.17", source="rec", says="the role comes once and first", check=role_once),
    Rule(
        section="1.3.17",
        source="rec",
        says="the role comes once before calls",
        check=role_once,
        script="calls",
        params={"tools": TOOLS},
    ),
    Rule(section="1.3.17", source="rec", says="one chunk ends the choice", check=one_finish),
    Rule(
        section="1.3.17",
        source="rec",
        says="one chunk ends a choice of calls",
        check=one_finish,
        script="calls",
        params={"tools": TOOLS},
    ),
    Rule(
        section="1.3.17",
        source="rec",
        says="one chunk ends a refusal",
        check=one_finish,
        script="refusal",
    ),
    Rule(section="1.3.17", source="rec", says="text comes token by token", check=token_by_token),
    Rule(section="1.3.18", source="rec", says="all chunks have one identity", check=one_identity),
    Rule(
        section="1.3.18",
        source="rec",
        says="the usage chunk has the same identity",
        check=one_identity,
        params=USAGE,
    ),
    Rule(
        section="1.3.19",
        source="rec",
        says="include_usage adds one chunk, null elsewhere",
        check=usage_chunk,
        params=USAGE,
    ),
    Rule(
        section="1.3.19",
        source="rec",
        says="without include_usage there is no usage",
        check=no_usage,
    ),
    Rule(
        section="1.3.19",
        source="rec",
        says="with include_usage false there is no usage",
        check=no_usage,
        params={"stream_options": {"include_usage": False}},
    ),
    Rule(
        section="1.3.19",
        source="own",
        says="usage that a provider kept to itself is null",
        check=unknown_usage,
        script="no-usage",
        params=USAGE,
    ),
    Rule(section="1.3.20", source="spec", says="required keys", check=required_keys),
    Rule(
        section="1.3.20",
        source="spec",
        says="required keys with usage",
        check=required_keys,
        params=USAGE,
    ),
    Rule(
        section="1.3.21",
        source="sdk",
        says="id and name stand in a call's first fragment only",
        check=fragments(1),
        script="call",
        params={"tools": TOOLS},
    ),
    Rule(
        section="1.3.21",
        source="sdk",
        says="the indices of calls ascend from 0",
        check=fragments(2),
        script="calls",
        params={"tools": TOOLS},
    ),
    Rule(
        section="1.3.21",
        source="sdk",
        says="calls after text begin at 0, too",
        check=fragments(1),
        script="text-and-call",
        params={"tools": TOOLS},
    ),
    Rule(
        section="1.3.21",
        source="sdk",
        says="no list of calls is empty",
        check=no_empty_list,
        params={"tools": TOOLS},
    ),
    Rule(
        section="1.3.22",
        source="spec",
        says="without include_obfuscation there is no padding",
        check=no_padding,
        params={"stream_options": {"include_obfuscation": False}},
    ),
]


@pytest.mark.parametrize("cast", ["one", "three"])
@pytest.mark.parametrize("script", ["stumbling", "severed"])
def test_a_stream_that_breaks_ends_with_an_error_event(
    cast: str, script: str, served: Stage
) -> None:
    """Rule 1.3.23 [sdk], rule 1.3.24 [sdk]: SDKs take a stream that just stops for a whole one."""
    answer = served.chat(cast, script, stream=True)
    data_lines_only(answer)
    done_is_last_and_once(answer)
    *chunks, last = answer.payloads
    assert not any("error" in chunk for chunk in chunks)
    assert set(last) == {"error"}
    assert set(last["error"]) == {"message", "type", "param", "code"}
    finished = [c["finish_reason"] for chunk in chunks for c in chunk["choices"]]
    assert set(finished) == {None}


@pytest.mark.parametrize("cast", ["one", "three"])
def test_progress_is_told_in_deltas_of_chunks(cast: str) -> None:
    """Rule 1.3.27 [sdk]: no named events; role, then reasoning without content, then content."""
    with stage({"text": {"present": ANSWER}}, settings=LOUD) as each:
        answer = each.chat(cast, stream=True, massgen=None)
        data_lines_only(answer)
        role_once(answer)
        one_finish(answer)
        deltas = [choice["delta"] for choice in answer.of_choice()]
        kinds = [next(iter(delta), "") for delta in deltas]
        told = [delta for delta in deltas if "reasoning_content" in delta]
        assert all(set(delta) == {"reasoning_content"} for delta in told)
        assert bool(told) == (cast == "three")
        first_text = kinds.index("content")
        assert "reasoning_content" not in kinds[first_text:]


@table([replace(rule, modes=STREAM) for rule in RULES])
def test_the_stream(row: Row, served: Stage) -> None:
    row.rule.check(row.ask(served))
