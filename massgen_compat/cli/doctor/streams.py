"""Checks streams: do chunks arrive when they are made, and do clients understand them? Pure.

The limits on time are those after which clients and proxies were seen to give up: nginx waits 60 s,
Qwen Code waits 120 s for headers and 240 s between data, undici (the SDKs for Node) and Bun
(OpenCode, Cline) 300 s. A comment does not count as data: Qwen Code and Codex do not restart their
timeouts when one arrives.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from massgen_compat.cli.doctor.completions import FINISH_REASONS, after_break, received, wrong_usage
from massgen_compat.cli.doctor.findings import Finding, note, ok, problem, shown, warning
from massgen_compat.cli.doctor.observed import Folded, Reply, StreamReply, Unreachable, fold

IMPATIENT, GONE = 30.0, 60.0
"""Seconds without data: from ``IMPATIENT`` on it is a warning, from ``GONE`` on a problem."""

SLOW = 1.0
"""Seconds. A stream that takes less does not show whether something buffers it."""

_UNBUFFER: Final = (
    "A proxy buffers. nginx: `proxy_buffering off;`, and no compression of text/event-stream."
)
_HEARTBEAT: Final = "Send an empty chunk every 10 s, as massgen-compat does, and the role at once."


def check_stream(stream: StreamReply | Unreachable) -> list[Finding]:
    """Check a streamed chat with ``include_usage``; one finding if there is no stream, or many."""
    if not isinstance(stream, StreamReply) or stream.reply.status != 200:
        reply = stream.reply if isinstance(stream, StreamReply) else stream
        failed = received("stream", reply, "Mend what the message says; the server's log has more.")
        return [failed] if isinstance(failed, Finding) else []
    if stream.reply.media_type != "text/event-stream":
        kind = shown(stream.reply.media_type) or "nothing said"
        said = f"Asked for a stream, it sends {kind}."
        return [problem("stream", said, "Answer `stream: true` with text/event-stream.")]
    folded = fold(stream.frames)
    if not folded.chunks:
        return [_without_chunks(folded, stream.reply)]
    return [
        ok(
            "stream",
            f"{len(folded.chunks)} chunks in {stream.reply.seconds:.1f} s{_shows(folded)}.",
        ),
        _first_byte(stream),
        _arrival(stream, folded),
        _silence(stream, folded),
        _role(folded),
        _frames(folded),
        _end(stream, folded),
        _usage(folded),
        _compression(stream.reply),
    ]


def _without_chunks(folded: Folded, reply: Reply) -> Finding:
    todo = "Send chunks as `data: {...}` with an empty line after each."
    if folded.error is not None:
        return problem("stream", f"It fails: {shown(folded.error.get('message'))}.", todo)
    broken = f" before it breaks off ({shown(reply.broken)})" if reply.broken else ""
    return problem("stream", f"No chunk comes{broken}.", todo)


def _shows(folded: Folded) -> str:
    told = len(folded.text("reasoning_content") or folded.text("reasoning"))
    return f", {told} characters of reasoning" if told else ""


def _first_byte(stream: StreamReply) -> Finding:
    first = stream.pieces[0]
    said = f"The first byte comes after {first:.2f} s."
    if first >= GONE:
        return problem("first byte", f"{said} Clients give up, and ask again.", _HEARTBEAT)
    if first >= IMPATIENT:
        return warning("first byte", f"{said} Proxies may give up.", _HEARTBEAT)
    return ok("first byte", said)


def _arrival(stream: StreamReply, folded: Folded) -> Finding:
    count, pieces, total = len(folded.chunks), len(stream.pieces), stream.reply.seconds
    if "content-length" in stream.reply.headers:
        said = f"It has a content-length: it was whole before its first byte ({total:.1f} s)."
        return problem("arrival", f"{said} Nothing streams.", _unbuffer(stream.reply))
    in_bulk = pieces == 1 or pieces * 4 <= count
    if count < 3 or not in_bulk:
        return ok("arrival", f"{count} chunks come in {pieces} pieces, over {total:.1f} s.")
    said = f"{count} chunks come in {_count(pieces, 'piece')}"
    if total < SLOW:
        return note(
            "arrival",
            f"{said} within {total:.2f} s: too quick to tell whether something buffers.",
            "To be sure choose a slower model with --model.",
        )
    if folded.times[0] >= 0.9 * total:
        said = f"{said}, after {folded.times[0]:.1f} of {total:.1f} s. Nothing streams."
        return problem("arrival", said, _unbuffer(stream.reply))
    return warning("arrival", f"{said}, in batches, over {total:.1f} s.", _unbuffer(stream.reply))


def _unbuffer(reply: Reply) -> str:
    if reply.headers.get("x-accel-buffering") == "no":
        return f"{_UNBUFFER} The reply says x-accel-buffering: no, which it ignores."
    return f"{_UNBUFFER} Or have the server send x-accel-buffering: no."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _silence(stream: StreamReply, folded: Folded) -> Finding:
    times = [stream.pieces[0], *folded.times, stream.reply.seconds]
    longest = max(later - earlier for earlier, later in pairwise(times))
    said = f"The longest pause between chunks is {longest:.1f} s."
    if folded.comments:
        said += f" {_count(folded.comments, 'comment')} in between do not count for every client."
    if longest >= GONE:
        return problem("silence", f"{said} Proxies give up.", _HEARTBEAT)
    if longest >= IMPATIENT:
        return warning("silence", said, _HEARTBEAT)
    return ok("silence", said)


def _role(folded: Folded) -> Finding:
    roles = [delta.get("role") for delta in folded.deltas]
    todo = "Begin with delta {role: assistant}, and say it once."
    if not any(roles):
        said = "No chunk has a role; openai-node's stream helper fails on that."
        return problem("role", said, todo)
    if roles[0] != "assistant":
        return warning("role", "The first chunk does not say `role: assistant`.", todo)
    if len([role for role in roles if role]) > 1:
        said = "The role comes more than once; openai-python's raw accumulator adds it up."
        return note("role", said)
    return ok("role", "The first chunk says `assistant`.")


def _frames(folded: Folded) -> Finding:
    todo = "Send only chunks in `data:`; put anything else into fields of chunks."
    if folded.strays:
        said = f"Data that are no chunks: {shown(folded.strays[0], 60)}."
        return problem("frames", f"{said} The AI SDK, OpenCode, Cline and Zed fail on that.", todo)
    if folded.events:
        named = shown(", ".join(sorted(folded.events)))
        return warning("frames", f"Named events ({named}); some clients drop or refuse them.", todo)
    if len({str(chunk.get("id")) for chunk in folded.chunks}) > 1:
        return warning("frames", "The chunks have several ids.", "Give all chunks one id.")
    if folded.comments:
        count = _count(folded.comments, "comment")
        said = f"{count}; openai-go before 3.43 fails on them."
        return warning("frames", said, "Send an empty chunk as a heartbeat.")
    return ok("frames", "Only chunks, all of one id.")


def _end(stream: StreamReply, folded: Folded) -> Finding:
    for finding in _endings(stream, folded):
        return finding
    return ok("end", f"finish_reason {folded.reasons[0]}, then [DONE].")


def _endings(stream: StreamReply, folded: Folded) -> Iterator[Finding]:
    if folded.error is not None:
        said = f"It fails midway: {shown(folded.error.get('message'))}."
        yield problem("end", said, "Mend what the message says; the server's log has more.")
    if stream.reply.broken is not None:
        said = f"It breaks off after {stream.reply.seconds:.1f} s: {shown(stream.reply.broken)}."
        yield problem("end", said, after_break(stream.reply.broken))
    if not folded.reasons:
        said = "No chunk has a finish_reason: clients take it for a broken stream, or for success."
        yield problem("end", said, "End with one chunk that has a finish_reason, then [DONE].")
    if unknown := [reason for reason in folded.reasons if reason not in FINISH_REASONS]:
        said = f"finish_reason {shown(unknown[0])} is none of OpenAI's."
        yield problem("end", said, f"Use one of {', '.join(sorted(FINISH_REASONS))}.")
    if folded.reasons == ["length"]:
        said = "finish_reason is `length`: some clients go on asking, each time a whole run."
        yield warning("end", said, "Raise or drop the limit on tokens.")
    if len(folded.reasons) > 1:
        said = f"{len(folded.reasons)} chunks have a finish_reason."
        yield warning("end", said, "Give it once, in the last chunk with a choice.")
    if not folded.done:
        yield warning("end", "[DONE] is missing.", "Send `data: [DONE]` last.")
    if folded.after_done:
        said = f"{_count(folded.after_done, 'frame')} after [DONE]."
        yield warning("end", said, "Send nothing after [DONE].")


def check_unasked_usage(stream: StreamReply | Unreachable) -> Finding | None:
    """Check that a stream without ``include_usage`` has no usage; ``None`` without a stream."""
    folded = fold(stream.frames if isinstance(stream, StreamReply) else ())
    if not folded.chunks:
        return None
    if folded.usages or any(chunk["choices"] == [] for chunk in folded.chunks):
        return warning(
            "usage",
            "Without include_usage there is a chunk with usage, or without a choice.",
            "Send it only if it was asked for: clients read choices[0] of every chunk.",
        )
    return ok("usage", "None where it was not asked for.")


def _usage(folded: Folded) -> Finding:
    found = folded.usages
    todo = "Send one chunk at the end with `choices: []` and the usage of the whole request."
    if not found:
        return warning("usage", "include_usage is true, and no usage comes.", todo)
    place, usage = found[-1]
    if (wrong := wrong_usage(usage)) is not None:
        return warning("usage", f"Usage comes, but {wrong}.", todo)
    if len(found) > 1 or folded.chunks[place]["choices"]:
        return warning("usage", "Usage comes more than once, or in a chunk with choices.", todo)
    return ok("usage", f"In a chunk of its own: {usage['total_tokens']} tokens.")


def _compression(reply: Reply) -> Finding:
    how = reply.headers.get("content-encoding", "identity")
    if how in {"identity", ""}:
        return ok("compression", "None.")
    said = f"The stream is compressed ({shown(how)}), which holds chunks back."
    return warning("compression", said, "Do not compress text/event-stream (nginx: gzip_types).")
