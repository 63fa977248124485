"""Whatever a server sends, the doctor has findings about it and does not fail."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from massgen_compat.cli.doctor import address, completions, listing, refusals, streams
from massgen_compat.cli.doctor.findings import CHECKS, Finding, line
from massgen_compat.cli.doctor.observed import FrameReader, Reply
from tests.cli.doctor.values import CALLED, EVENTS, SAID, chunk, stream, told

WORDS = [
    *("choices", "delta", "message", "finish_reason", "role", "content", "tool_calls", "function"),
    *("index", "id", "name", "arguments", "usage", "prompt_tokens", "completion_tokens", "code"),
    *("total_tokens", "error", "param", "type", "data", "object", "model", "created", "owned_by"),
]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 3),
    st.sampled_from(["", "assistant", "stop", "get_weather", "{}", "massgen", "\ud800\x1b[0m"]),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(WORDS), inner, max_size=6),
    ),
    max_leaves=25,
)
BODIES = st.one_of(st.binary(max_size=40), VALUES.map(lambda value: json.dumps(value).encode()))
REPLIES = st.builds(
    Reply,
    status=st.sampled_from([200, 204, 302, 400, 401, 403, 404, 422, 500, 502]),
    headers=st.dictionaries(
        st.sampled_from(["content-type", "location", "server", "x-request-id"]), st.text(max_size=9)
    ),
    body=BODIES,
    broken=st.sampled_from([None, None, None, "time is up", "lost"]),
)
CHUNKS = st.one_of(
    VALUES.map(json.dumps),
    VALUES.map(chunk),
    VALUES.map(lambda delta: chunk([{"index": 0, "delta": delta, "finish_reason": None}])),
    st.sampled_from(
        [*told(SAID), *told(CALLED, "tool_calls"), "[DONE]", ": hm\n\n", "event: x\n\n"]
    ),
)
ADDRESS = address.read_url("https://x.example/v1")


def fine(findings: list[Finding]) -> None:
    assert findings
    for finding in findings:
        assert finding.check in CHECKS
        text = line(finding, secret=None)
        assert text.count("\n") == (2 if finding.todo else 1)
        assert text.replace("\n", " ").isprintable()


@given(REPLIES, REPLIES)
def test_any_reply_has_its_findings(reply: Reply, other: Reply) -> None:
    names = listing.names_of(reply)
    single = listing.check_single(listing.models_of(reply))
    fine(
        [
            address.check_reach(reply),
            address.check_base(ADDRESS, reply, other).finding,
            refusals.check_key(reply, with_key=True),
            refusals.check_key(reply, with_key=False),
            refusals.check_without_key(reply, ADDRESS),
            refusals.check_wrong_key(reply, asks_for_key=True),
            refusals.check_malformed(reply),
            listing.check_list(reply),
            listing.check_model("m", ["m"], reply),
            listing.check_names(names, other),
            completions.check_chat(reply),
            completions.check_tool_results(reply),
            *([single] if single else []),
        ]
    )


@given(st.lists(CHUNKS, max_size=8), st.sampled_from([None, "time is up"]))
def test_any_stream_has_its_findings(data: list[str], broken: str | None) -> None:
    seen = stream(data, broken=broken, headers=EVENTS)
    unasked = streams.check_unasked_usage(seen)
    fine([*streams.check_stream(seen), *([unasked] if unasked else [])])
    finding, call = completions.check_tools(seen)
    fine([finding])
    assert call is None or json.dumps(completions.with_result(call))


@given(st.lists(st.binary(max_size=12), max_size=8))
def test_frames_are_the_same_however_the_bytes_are_cut(pieces: list[bytes]) -> None:
    whole, cut = FrameReader(), FrameReader()
    frames = [frame for piece in pieces for frame in cut.feed(piece, 0.0)]
    assert frames == whole.feed(b"".join(pieces), 0.0)
