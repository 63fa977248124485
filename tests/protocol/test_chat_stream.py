"""The bytes of a stream: those of the rendered chunks, though most of them are written once."""

from hypothesis import given
from hypothesis import strategies as st

from massgen_compat._run.result import FinalMessage, RunResult
from massgen_compat.events import MessageRefusal, MessageText, RunCompleted, RunEvent, RunStarted
from massgen_compat.protocol.chat.answer import ChatStream, wire_event
from massgen_compat.protocol.chat.request import ChatRequest, parse
from tests.protocol.rendering import renderer_of

TEXT = st.text(st.characters(exclude_categories=())) | st.sampled_from(
    ['"', "\\", "\0", "\u2028", "\x85", "\ud800", "END", "E", "\n"]
)
TOKEN = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}
CHOICES = 2
EVENTS = st.lists(
    st.builds(
        MessageText,
        text=TEXT,
        choice=st.integers(0, CHOICES - 1),
        logprobs=st.sampled_from([(), (), (TOKEN,)]),
    )
    | st.builds(MessageRefusal, text=TEXT, choice=st.integers(0, CHOICES - 1)),
    max_size=12,
)


def asked(stop: list[str], *, usage: bool) -> ChatRequest:
    return parse(
        {
            "model": 'a "team"',
            "messages": [{"role": "user", "content": "hi"}],
            "n": CHOICES,
            "stream": True,
            "stream_options": {"include_usage": usage},
            "stop": stop or None,
        }
    )


@given(pieces=EVENTS, stop=st.sampled_from([[], ["END"]]), usage=st.booleans())
def test_the_bytes_are_those_of_the_rendered_chunks(
    pieces: list[RunEvent], stop: list[str], *, usage: bool
) -> None:
    result = RunResult(
        run_id="run_1",
        team="team",
        messages=(FinalMessage(content="x"),) * CHOICES,
        winner="a",
        presenter="a",
        answers=(),
        votes=(),
        agents=(),
        usage=None,
        visible_usage=None,
        limited_by=None,
    )
    started = RunStarted(run_id="run_1", team="team", agents=("a",))
    events = [started, *pieces, RunCompleted(result=result)]
    request = asked(stop, usage=usage)
    plain, stream = renderer_of(request), ChatStream(renderer_of(request))
    for event in events:
        assert list(stream.feed(event)) == [wire_event(chunk) for chunk in plain.feed(event)]
    assert stream.heartbeat() == (wire_event(plain.heartbeat()),)
