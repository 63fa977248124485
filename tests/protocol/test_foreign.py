"""Bodies of other APIs on the chat path: what they become, and what is refused of them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_compat._run.message import File, Image, Message, NamedTool, Text, Tool, ToolCall
from massgen_compat.errors import InvalidRequest
from massgen_compat.protocol.chat.request import ChatRequest, parse
from massgen_compat.protocol.foreign import translate

CALL = {"type": "function_call", "call_id": "c1", "name": "read", "arguments": '{"path":"a"}'}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "the contents"}
PATCH = {
    "type": "custom",
    "name": "ApplyPatch",
    "description": "Edit files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: patch"},
}
FLAT = {"type": "function", "name": "read", "parameters": {"type": "object"}, "strict": True}


def ask(**body: Any) -> ChatRequest:
    return parse({"model": "m", **body})


def said(*messages: Message) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in messages]


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


# Bodies of the Responses API


def test_a_text_for_input_is_the_users_message() -> None:
    request = ask(input="Hello", instructions="Be kind.", stream=True)
    assert said(*request.run.messages) == [("system", "Be kind."), ("user", "Hello")]
    assert request.stream


def test_items_are_messages_calls_and_results() -> None:
    request = ask(
        input=[
            {"role": "developer", "content": "Be kind."},
            {"type": "message", **user([{"type": "input_text", "text": "Read a."}])},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
            {
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "id": "msg_1",
                "content": [{"type": "output_text", "text": "I read.", "annotations": []}],
            },
            CALL,
            {"type": "custom_tool_call", "call_id": "c2", "name": "ApplyPatch", "input": "***"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": "done"},
            {**OUTPUT, "output": [{"type": "input_text", "text": "the contents"}]},
            user([{"type": "input_image", "image_url": "https://x.test/i.png", "detail": "low"}]),
        ],
        tools=[FLAT],
    )
    system, first, assistant, *results, last = request.run.messages
    assert said(system, first) == [("developer", "Be kind."), ("user", "Read a.")]
    assert assistant.text == "I read."
    assert assistant.tool_calls == (
        ToolCall(id="c1", name="read", arguments='{"path":"a"}'),
        ToolCall(id="c2", name="ApplyPatch", arguments="***", custom=True),
    )
    assert {(result.tool_call_id, result.text) for result in results} == {
        ("c1", "the contents"),
        ("c2", "done"),
    }
    assert last.content == (Image(url="https://x.test/i.png", detail="low"),)


def test_a_result_may_be_empty() -> None:
    request = ask(input=[user("x"), CALL, {"type": "function_call_output", "call_id": "c1"}])
    assert (request.run.messages[-1].role, request.run.messages[-1].text) == ("tool", "")


def test_results_join_their_calls_wherever_they_stand() -> None:
    later = {**CALL, "call_id": "c2"}
    request = ask(
        input=[
            user("Read both."),
            CALL,
            {"role": "developer", "content": "A reminder in between."},
            later,
            {**OUTPUT, "call_id": "c2"},
            OUTPUT,
        ]
    )
    assert [message.role for message in request.run.messages] == [
        "user",
        "assistant",
        "tool",
        "developer",
        "assistant",
        "tool",
    ]


def test_text_between_calls_stays_in_their_message() -> None:
    between = {"role": "assistant", "content": [{"type": "output_text", "text": "And now"}]}
    request = ask(input=[user("x"), CALL, between, OUTPUT])
    _, assistant, result = request.run.messages
    assert (assistant.text, len(assistant.tool_calls), result.role) == ("And now", 1, "tool")


def test_the_names_of_parameters_are_those_of_chat() -> None:
    request = ask(
        input="x",
        max_output_tokens=50,
        reasoning={"effort": "high", "summary": "auto"},
        text={"verbosity": "low", "format": {"type": "text"}},
        temperature=0,
        include=["reasoning.encrypted_content"],
        store=False,
    )
    assert request.run.agent_params == {"reasoning_effort": "high", "temperature": 0}
    assert request.run.presenter_params == {"max_completion_tokens": 50, "verbosity": "low"}
    assert request.ignored == ("include",)


def test_what_a_provider_would_run_is_left_out_and_told() -> None:
    request = ask(input="x", tools=[{"type": "web_search"}, FLAT, {"type": "name\nspace"}])
    assert [tool.name for tool in request.run.tools] == ["read"]
    assert request.ignored == ("tools.web_search", "tools.name?space")
    assert ask(input="x", tools=[{"type": "web_search"}], tool_choice="auto").run.tools == ()


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"input": 7}, "input", "invalid_type"),
        ({"input": []}, "input", "empty_array"),
        ({"input": ["x"]}, "input[0].role", "missing_required_parameter"),
        ({"input": [{"type": "magic"}]}, "input[0].type", "invalid_value"),
        (
            {"input": [user("x"), {"type": "function_call", "name": "f", "arguments": ""}]},
            "input[1].call_id",
            "missing_required_parameter",
        ),
        (
            {"input": [{"type": "function_call_output", "output": "x"}]},
            "input[0].call_id",
            "missing_required_parameter",
        ),
        ({"input": [user("x"), {"role": "king", "content": ""}]}, "input[1].role", "invalid_value"),
        ({"instructions": "Be kind.", "input": [user(3)]}, "input[0].content", "invalid_type"),
        ({"input": [OUTPUT]}, "input[0]", None),
        ({"input": [user("x"), CALL]}, "input[1]", None),
        ({"input": "x", "previous_response_id": "r"}, "previous_response_id", "unsupported"),
        ({"input": "x", "background": True}, "background", "unsupported"),
        (
            {"input": [{"type": "item_reference", "id": "msg_1"}]},
            "input[0].type",
            "unsupported",
        ),
    ],
)
def test_faults_name_the_place_in_the_body_that_was_sent(
    body: dict[str, Any], param: str, code: str | None
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ask(**body)
    assert caught.value.param == param
    assert code in {caught.value.code, "unsupported"}


# Tools in other spellings


def test_flat_tools_are_understood_beside_nested_ones() -> None:
    nested = {"type": "function", "function": {"name": "list"}}
    tools = ask(messages=[user("x")], tools=[FLAT, nested, PATCH]).run.tools
    assert tools == (
        Tool(name="read", description="", parameters={"type": "object"}, strict=True),
        Tool(name="list", description="", parameters={"type": "object", "properties": {}}),
        Tool(
            name="ApplyPatch",
            description="Edit files.",
            input_format={"type": "grammar", "syntax": "lark", "definition": "start: patch"},
            as_function=True,
        ),
    )


@pytest.mark.parametrize("kind", ["function", "custom"])
def test_a_flat_custom_tool_may_be_chosen_as_either_kind(kind: str) -> None:
    for choice in ({"name": "ApplyPatch"}, {kind: {"name": "ApplyPatch"}}):
        request = ask(messages=[user("x")], tools=[PATCH], tool_choice={"type": kind, **choice})
        assert request.run.tool_choice == NamedTool("ApplyPatch")


def test_the_calls_of_a_custom_tool_hold_text_in_whatever_shape_they_come_back() -> None:
    patch = "*** Begin Patch"
    function = {"name": "ApplyPatch", "arguments": patch}
    calling = {
        "role": "assistant",
        "content": [],
        "tool_calls": [{"id": "c", "type": "function", "function": function}],
    }
    result = {"role": "tool", "tool_call_id": "c", "content": "ok", "name": "ApplyPatch"}
    request = ask(messages=[user("x"), calling, result], tools=[PATCH])
    assert request.run.messages[1].tool_calls == (
        ToolCall(id="c", name="ApplyPatch", arguments=patch, custom=True),
    )


def test_an_empty_list_of_tools_beside_a_choice_is_of_a_client_that_fills_in_a_form() -> None:
    assert ask(messages=[user("x")], tools=[], tool_choice="auto").run.tools == ()
    assert ask(input="x", tools=[]).run.tools == ()
    with pytest.raises(InvalidRequest):
        ask(messages=[user("x")], tools=[])


def test_allowed_tools_may_be_flat() -> None:
    choice = {"type": "allowed_tools", "mode": "required", "tools": [{**FLAT}]}
    request = ask(input="x", tools=[FLAT, PATCH], tool_choice=choice)
    assert [tool.name for tool in request.run.tools] == ["read"]
    assert request.run.tool_choice == "required"


# Anthropic's shapes

ANTHROPIC_TOOL = {"name": "read", "description": "Read.", "input_schema": {"type": "object"}}


def test_anthropics_blocks_are_calls_and_results() -> None:
    request = ask(
        system=[{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
        messages=[
            user("Read a and b."),
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "x"},
                    {"type": "text", "text": "I read."},
                    {"type": "tool_use", "id": "toolu_1", "name": "read", "input": {"path": "a"}},
                    {"type": "tool_use", "id": "toolu_2", "name": "read", "input": {}},
                ],
            },
            user(
                [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": "one"},
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_2",
                        "is_error": True,
                        "content": [{"type": "text", "text": "no such file"}],
                    },
                    {"type": "text", "text": "Go on."},
                ]
            ),
        ],
        tools=[ANTHROPIC_TOOL],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        stop_sequences=["END"],
    )
    system, _, assistant, first, second, last = request.run.messages
    assert said(system, assistant, first, last) == [
        ("system", "Be kind."),
        ("assistant", "I read."),
        ("tool", "one"),
        ("user", "Go on."),
    ]
    assert [call.arguments for call in assistant.tool_calls] == ['{"path":"a"}', "{}"]
    assert second.text == "[The tool reported an error.]no such file"
    assert second.tool_call_id == "toolu_2"
    assert request.run.tool_choice == "required"
    assert request.run.parallel_tool_calls is False
    assert request.rendering.options.stop == ("END",)
    assert request.run.tools == (
        Tool(name="read", description="Read.", parameters={"type": "object"}),
    )


def test_anthropics_images_and_documents_are_parts() -> None:
    picture = {"type": "base64", "media_type": "image/png", "data": "AA=="}
    content = [
        {"type": "image", "source": picture},
        {"type": "image", "source": {"type": "url", "url": "https://x.test/i.png"}},
        {
            "type": "document",
            "title": "a.pdf",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "BB=="},
        },
    ]
    (message,) = ask(messages=[user(content)]).run.messages
    assert message.content == (
        Image(url="data:image/png;base64,AA=="),
        Image(url="https://x.test/i.png"),
        File(data="data:application/pdf;base64,BB==", filename="a.pdf"),
    )


def test_a_result_may_hold_an_image() -> None:
    picture = {"type": "image", "source": {"type": "url", "url": "https://x.test/i.png"}}
    block = {"type": "tool_result", "tool_use_id": "t", "content": [picture]}
    call: dict[str, Any] = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
    request = ask(messages=[user("Look."), {"role": "assistant", "content": [call]}, user([block])])
    assert request.run.messages[-1].content == (Image(url="https://x.test/i.png"),)


def test_a_tool_message_may_hold_a_block() -> None:
    block = {"type": "tool_result", "content": [{"type": "text", "text": "one"}]}
    call: dict[str, Any] = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
    result = {"role": "tool", "tool_call_id": "t", "content": [block]}
    request = ask(messages=[user("Look."), {"role": "assistant", "content": [call]}, result])
    assert (request.run.messages[-1].tool_call_id, request.run.messages[-1].text) == ("t", "one")


def test_ids_that_openai_refuses_are_shortened_alike_everywhere() -> None:
    long = "toolu_" + "x" * 60
    call: dict[str, Any] = {"type": "tool_use", "id": long, "name": "look", "input": {}}
    block = {"type": "tool_result", "tool_use_id": long, "content": "one"}
    talk = [user("Look."), {"role": "assistant", "content": [call]}, user([block])]
    first, again = (ask(messages=talk).run.messages for _ in range(2))
    assert first == again
    assert first[1].tool_calls[0].id == first[2].tool_call_id
    assert len(first[1].tool_calls[0].id) <= 40


# All bodies

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "role", "content", "name", "input", "call_id", "output", "id", "tools"]
            ),
            inner
            | st.sampled_from(
                [
                    "message",
                    "function_call",
                    "tool_use",
                    "tool_result",
                    "custom",
                    "user",
                    "assistant",
                ]
            ),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(
            ["messages", "input", "tools", "tool_choice", "system", "text", "reasoning"]
        ),
        JSON,
    )
)
def test_a_body_is_understood_or_refused_and_nothing_else(body: dict[str, Any]) -> None:
    try:
        ask(**body)
    except InvalidRequest as error:
        assert error.message  # noqa: PT017 - either outcome is right


@given(st.lists(st.sampled_from(["hi", "there"]), min_size=1), st.booleans())
def test_a_chat_body_passes_as_it_is(words: list[str], parts: bool) -> None:  # noqa: FBT001
    content = [[{"type": "text", "text": word}] if parts else word for word in words]
    body = {"model": "m", "messages": [user(each) for each in content], "temperature": 1}
    assert translate(body).payload == body


def test_texts_of_other_spellings_are_text() -> None:
    (message,) = ask(messages=[user([{"type": "input_text", "text": "hi"}])]).run.messages
    assert message.content == (Text("hi"),)
