"""Custom tools for models that know functions only."""

import json
from collections.abc import Iterator
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from massgen_compat._run.message import Message, Tool, ToolCall
from massgen_compat._run.turn import CallPiece, Phase, Reply, TextPiece, TurnEvent, TurnRequest
from massgen_compat._upstream.freeform import Unwrapper, as_functions

PATCH = Tool(name="patch", description="Edit.", input_format={"type": "text"})
READ = Tool(name="read", description="Read.", parameters={"type": "object"})


def unwrap(*events: TurnEvent) -> list[TurnEvent]:
    unwrapper = Unwrapper(["patch"])
    return [heard for event in events for heard in unwrapper.feed(event)]


def pieces(index: int, name: str, arguments: str, cuts: list[int]) -> Iterator[CallPiece]:
    bounds = [0, *sorted(min(cut, len(arguments)) for cut in cuts), len(arguments)]
    yield CallPiece(index, "", id=f"c{index}", name=name)
    for start, end in pairwise(bounds):
        yield CallPiece(index, arguments[start:end])


def reply(*calls: tuple[str, str]) -> Reply:
    made = (ToolCall(id=f"c{i}", name=name, arguments=said) for i, (name, said) in enumerate(calls))
    return Reply(tool_calls=tuple(made), finish_reason="tool_calls")


def test_a_custom_tool_is_a_function_of_one_string() -> None:
    grammar = {"type": "grammar", "syntax": "regex", "definition": "a+"}
    bound = Tool(name="bound", description="", input_format=grammar)
    called = ToolCall(id="c", name="patch", arguments='say "hi"', custom=True)
    request = TurnRequest(
        agent="a",
        round=1,
        phase=Phase.PRESENT,
        messages=(Message(role="assistant", tool_calls=(called,)),),
        tools=(READ, PATCH, bound),
    )
    sent = as_functions(request)
    assert [tool.custom for tool in sent.tools] == [False] * 3
    assert sent.tools[0] is READ
    assert sent.tools[1].parameters["required"] == ["input"]
    described = sent.tools[2].parameters["properties"]["input"]["description"]
    assert described == "Text that follows this regex grammar:\na+"
    (call,) = sent.messages[0].tool_calls
    assert (call.custom, json.loads(call.arguments)) == (False, {"input": 'say "hi"'})


@given(st.text(max_size=40), st.lists(st.integers(0, 200), max_size=8), st.booleans())
def test_the_text_arrives_however_the_json_is_cut(
    text: str,
    cuts: list[int],
    ascii_only: bool,  # noqa: FBT001
) -> None:
    arguments = json.dumps({"input": text}, ensure_ascii=ascii_only)
    heard = unwrap(*pieces(0, "patch", arguments, cuts), reply(("patch", arguments)))
    written = "".join(piece.arguments for piece in heard if isinstance(piece, CallPiece))
    assert written == text
    assert isinstance(heard[-1], Reply)
    assert heard[-1].tool_calls == (ToolCall(id="c0", name="patch", arguments=text, custom=True),)


def test_text_is_passed_on_while_it_is_written() -> None:
    heard = unwrap(*pieces(0, "patch", '{"input": "one two"}', [14, 17]))
    assert [piece.arguments for piece in heard if isinstance(piece, CallPiece)] == [
        "",
        "one",
        " tw",
        "o",
    ]


def test_other_calls_and_pieces_are_left_alone() -> None:
    events = [TextPiece("x"), *pieces(0, "read", '{"input": "a"}', [3])]
    assert unwrap(*events) == events


def test_calls_side_by_side_do_not_mix() -> None:
    first, second = '{"input": "one"}', '{"input": "two"}'
    heard = unwrap(
        *pieces(0, "patch", first, [5]),
        *pieces(1, "read", second, [5]),
        *pieces(2, "patch", second, [12]),
        reply(("patch", first), ("read", second), ("patch", second)),
    )
    assert isinstance(heard[-1], Reply)
    assert [call.arguments for call in heard[-1].tool_calls] == ["one", second, "two"]


def test_arguments_in_another_shape_than_asked_for_are_taken_as_they_are() -> None:
    for arguments in ("*** Begin Patch", '{"patch": "x"}', '{"input": 3}', "[]"):
        heard = unwrap(*pieces(0, "patch", arguments, [2]), reply(("patch", arguments)))
        written = "".join(piece.arguments for piece in heard if isinstance(piece, CallPiece))
        assert written == arguments
