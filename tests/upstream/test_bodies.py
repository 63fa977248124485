"""What goes out: the bodies of both wires, pinned."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from massgen_compat._run.message import (
    Audio,
    File,
    Image,
    Message,
    Refusal,
    Text,
    Tool,
    ToolCall,
    text_message,
)
from massgen_compat._run.team import Agent, Backend
from massgen_compat._run.turn import Phase, TurnRequest
from massgen_compat._upstream import chat, responses
from massgen_compat._upstream.parameters import UNSUPPORTED

CALL = ToolCall(id="call_1", name="vote", arguments='{"agent_id": "agent1"}')
CONVERSATION = (
    text_message("system", "Be brief."),
    Message(
        role="user",
        name="ann",
        content=(
            Text("Look:"),
            Image("https://a.example/i.png", "low"),
            Image("data:image/png;base64,AA=="),
            Audio("AAAA", "wav"),
            File(file_id="file-1"),
            File(data="data:application/pdf;base64,AA==", filename="a.pdf"),
        ),
    ),
    Message(role="assistant", content=(Text("I vote."),), tool_calls=(CALL,)),
    Message(role="tool", content=(Text("Counted."), Text("Thanks.")), tool_call_id="call_1"),
    Message(role="assistant", content=(Text("Well,"), Refusal("no."))),
    Message(role="assistant", tool_calls=(CALL,)),
    Message(role="tool", content=(Text("ok"),), tool_call_id="call_1"),
    Message(role="user", content=(Text("One."), Text("Two."))),
    Message(role="developer"),
    Message(role="assistant"),
)
SCHEMA = {"type": "object", "properties": {"x": {"type": ["string", "null"], "default": None}}}
TOOLS = (
    Tool(name="vote", description="Votes.", parameters=SCHEMA, strict=True),
    Tool(name="add", description="Adds.", parameters={"type": "object"}),
)


def turn(*messages: Message, **fields: Any) -> TurnRequest:
    return TurnRequest(agent="a", round=2, phase=Phase.EVALUATE, messages=messages, **fields)


def agent(*, model: str = "m", api_type: str = "openai", **params: Any) -> Agent:
    return Agent("a", model=model, backend=Backend(type=api_type), params=params)


def test_a_conversation_on_responses() -> None:
    assert responses.body(turn(*CONVERSATION), agent()) == {
        "model": "m",
        "stream": True,
        "store": False,
        "input": [
            {"role": "system", "content": [{"type": "input_text", "text": "Be brief."}]},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Look:"},
                    {
                        "type": "input_image",
                        "image_url": "https://a.example/i.png",
                        "detail": "low",
                    },
                    {"type": "input_image", "image_url": "data:image/png;base64,AA=="},
                    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                    {"type": "input_file", "file_id": "file-1"},
                    {
                        "type": "input_file",
                        "file_data": "data:application/pdf;base64,AA==",
                        "filename": "a.pdf",
                    },
                ],
            },
            {"role": "assistant", "content": "I vote."},
            {
                "type": "function_call",
                "call_id": "call_1",
                "name": "vote",
                "arguments": CALL.arguments,
            },
            {
                "type": "function_call_output",
                "call_id": "call_1",
                "output": "Counted.\n\nThanks.",
            },
            {
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [
                    {"type": "output_text", "text": "Well,", "annotations": []},
                    {"type": "refusal", "refusal": "no."},
                ],
            },
            {
                "type": "function_call",
                "call_id": "call_1",
                "name": "vote",
                "arguments": CALL.arguments,
            },
            {"type": "function_call_output", "call_id": "call_1", "output": "ok"},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "One."},
                    {"type": "input_text", "text": "Two."},
                ],
            },
            {"role": "developer", "content": []},
            {"role": "assistant", "content": ""},
        ],
    }


def test_a_conversation_on_chat_completions() -> None:
    wire_call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "vote", "arguments": CALL.arguments},
    }
    assert chat.body(turn(*CONVERSATION), agent()) == {
        "model": "m",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "name": "ann",
                "content": [
                    {"type": "text", "text": "Look:"},
                    {
                        "type": "image_url",
                        "image_url": {"url": "https://a.example/i.png", "detail": "low"},
                    },
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                    {"type": "file", "file": {"file_id": "file-1"}},
                    {
                        "type": "file",
                        "file": {
                            "file_data": "data:application/pdf;base64,AA==",
                            "filename": "a.pdf",
                        },
                    },
                ],
            },
            {"role": "assistant", "content": "I vote.", "tool_calls": [wire_call]},
            {"role": "tool", "content": "Counted.\n\nThanks.", "tool_call_id": "call_1"},
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "Well,"},
                    {"type": "refusal", "refusal": "no."},
                ],
            },
            {"role": "assistant", "content": None, "tool_calls": [wire_call]},
            {"role": "tool", "content": "ok", "tool_call_id": "call_1"},
            {"role": "user", "content": "One.\n\nTwo."},
            {"role": "developer", "content": ""},
            {"role": "assistant", "content": ""},
        ],
    }


def test_tools_on_responses_always_state_strict() -> None:
    sent = responses.body(
        turn(tools=TOOLS, tool_choice="required", parallel_tool_calls=False), agent()
    )
    assert sent["tools"] == [
        {
            "type": "function",
            "name": "vote",
            "description": "Votes.",
            "parameters": SCHEMA,
            "strict": True,
        },
        {
            "type": "function",
            "name": "add",
            "description": "Adds.",
            "parameters": {"type": "object"},
            "strict": False,
        },
    ]
    assert (sent["tool_choice"], sent["parallel_tool_calls"]) == ("required", False)


def test_tools_on_chat_completions_state_strict_only_where_it_is_true() -> None:
    sent = chat.body(turn(tools=TOOLS, tool_choice="auto", parallel_tool_calls=True), agent())
    vote, add = (tool["function"] for tool in sent["tools"])
    assert all(tool["type"] == "function" for tool in sent["tools"])
    assert vote == {
        "name": "vote",
        "description": "Votes.",
        "parameters": SCHEMA,
        "strict": True,
    }
    assert add == {"name": "add", "description": "Adds.", "parameters": {"type": "object"}}
    assert (sent["tool_choice"], sent["parallel_tool_calls"]) == ("auto", True)


@pytest.mark.parametrize("wire", [responses, chat])
def test_without_tools_nothing_is_said_about_their_use(wire: Any) -> None:
    request = turn(tool_choice="required", parallel_tool_calls=False)
    sent = wire.body(request, agent(parallel_tool_calls=True))
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & sent.keys()


@pytest.mark.parametrize("wire", [responses, chat])
def test_the_turn_decides_on_parallel_calls_and_else_the_agent(wire: Any) -> None:
    own = agent(parallel_tool_calls=True)
    assert wire.body(turn(tools=TOOLS), own)["parallel_tool_calls"] is True
    decided = turn(tools=TOOLS, parallel_tool_calls=False)
    assert wire.body(decided, own)["parallel_tool_calls"] is False


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (
            "openai",
            [
                {"type": "web_search"},
                {"type": "code_interpreter", "container": {"type": "auto"}},
            ],
        ),
        ("azure_openai", None),
        ("nowhere", None),
    ],
)
def test_hosted_tools_are_asked_for_where_they_are_hosted(
    kind: str, expected: list[dict[str, Any]] | None
) -> None:
    tools = ("web_search", "code_interpreter")
    member = Agent("a", model="m", backend=Backend(type=kind, hosted_tools=tools))
    assert responses.body(turn(), member).get("tools") == expected


@pytest.mark.parametrize(
    ("model", "params", "asked"),
    [
        ("gpt-5.2", {}, True),
        ("openai/gpt-5.2-2025-12-11", {}, True),
        ("gpt-5", {}, True),
        ("o3-mini", {}, True),
        ("gpt-5-chat-latest", {}, False),
        ("gpt-4o", {}, False),
        ("gpt-4.1-mini", {}, False),
        ("my-deployment", {}, False),
        ("my-deployment", {"reasoning": {"effort": "low"}}, True),
    ],
)
def test_encrypted_reasoning_is_asked_of_models_that_reason(
    model: str, params: dict[str, Any], *, asked: bool
) -> None:
    sent = responses.body(turn(), agent(model=model, **params))
    assert sent.get("include") == (["reasoning.encrypted_content"] if asked else None)


# Replays

REASONING: dict[str, Any] = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [],
    "content": [],
    "encrypted_content": "gAAA",
    "status": None,
}
FUNCTION: dict[str, Any] = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "vote",
    "arguments": "{}",
    "status": "completed",
}
COMMENT: dict[str, Any] = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "phase": "commentary",
    "content": [{"type": "output_text", "text": "Hm.", "annotations": [], "logprobs": []}],
}
SEARCH: dict[str, Any] = {"type": "web_search_call", "id": "ws_1", "status": "completed"}


def replay(*items: dict[str, Any]) -> list[dict[str, Any]]:
    said = Message(role="assistant", content=(Text("Hm."),), tool_calls=(CALL,), items=items)
    result = Message(role="tool", content=(Text("ok"),), tool_call_id="call_1")
    sent = responses.body(turn(said, result), agent())["input"]
    assert sent.pop() == {"type": "function_call_output", "call_id": "call_1", "output": "ok"}
    return sent


def test_items_are_replayed_verbatim_and_in_order() -> None:
    bare = {k: v for k, v in REASONING.items() if k not in {"content", "status"}}
    assert replay(REASONING, SEARCH, COMMENT, FUNCTION) == [bare, SEARCH, COMMENT, FUNCTION]


def test_reasoning_in_the_clear_is_kept() -> None:
    open_reasoning = {**REASONING, "content": [{"type": "reasoning_text", "text": "so"}]}
    assert replay(open_reasoning, COMMENT)[0]["content"] == open_reasoning["content"]


def test_reasoning_that_nothing_follows_is_not_replayed() -> None:
    assert replay(COMMENT, REASONING, REASONING) == [COMMENT]
    assert replay(REASONING) == []


def test_what_belongs_to_a_reasoning_that_cannot_be_replayed_loses_its_id() -> None:
    lost = {**REASONING, "encrypted_content": None}
    assert replay(lost, SEARCH, COMMENT, FUNCTION) == [
        {k: v for k, v in COMMENT.items() if k != "id"},
        {k: v for k, v in FUNCTION.items() if k != "id"},
    ]


def test_a_chat_message_is_replayed_without_what_stands_in_replies_only() -> None:
    item: dict[str, Any] = {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "annotations": [],
        "audio": None,
        "reasoning_content": "so",
        "reasoning": "so",
        "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}],
        "tool_calls": [{"id": "call_1", "extra_content": {"google": {}}}],
    }
    said = Message(role="assistant", content=(Text("else"),), items=(item,))
    assert chat.body(turn(said), agent())["messages"] == [
        {
            "role": "assistant",
            "content": None,
            "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}],
            "tool_calls": [{"id": "call_1", "extra_content": {"google": {}}}],
        }
    ]


# Parameters


@dataclass(frozen=True)
class Case:
    name: str
    request: dict[str, Any]
    responses: dict[str, Any]
    chat: dict[str, Any]
    agent: dict[str, Any] = field(default_factory=dict[str, Any])


JSON_SCHEMA = {"name": "n", "schema": {"type": "object", "default": None}, "strict": True}
CASES = (
    Case(
        "names that both have",
        {"temperature": 0.5, "top_p": 0.9, "user": "u", "metadata": {"a": "b"}},
        {"temperature": 0.5, "top_p": 0.9, "user": "u", "metadata": {"a": "b"}},
        {"temperature": 0.5, "top_p": 0.9, "user": "u", "metadata": {"a": "b"}},
    ),
    Case(
        "names that Responses nests",
        {"reasoning_effort": "low", "verbosity": "high", "max_completion_tokens": 9},
        {
            "reasoning": {"effort": "low"},
            "text": {"verbosity": "high"},
            "max_output_tokens": 9,
        },
        {"reasoning_effort": "low", "verbosity": "high", "max_completion_tokens": 9},
    ),
    Case(
        "a schema",
        {"response_format": {"type": "json_schema", "json_schema": JSON_SCHEMA}},
        {"text": {"format": {"type": "json_schema", **JSON_SCHEMA}}},
        {"response_format": {"type": "json_schema", "json_schema": JSON_SCHEMA}},
    ),
    Case(
        "an object of any shape",
        {"response_format": {"type": "json_object"}, "verbosity": "low"},
        {"text": {"format": {"type": "json_object"}, "verbosity": "low"}},
        {"response_format": {"type": "json_object"}, "verbosity": "low"},
    ),
    Case(
        "nulls are not sent",
        {"temperature": None, "reasoning_effort": None, "response_format": None},
        {"top_p": 1},
        {"top_p": 1},
        agent={"reasoning": {"effort": None}, "verbosity": None, "top_p": 1, "text": None},
    ),
    Case(
        "what Responses lacks",
        dict.fromkeys(sorted(UNSUPPORTED - {"stream_options"}), 1),
        {},
        dict.fromkeys(sorted(UNSUPPORTED - {"stream_options"}), 1),
    ),
    Case(
        "an agent insists on what Responses lacks",
        {},
        {"seed": 7},
        {"seed": 7},
        agent={"seed": 7},
    ),
    Case(
        "the agent wins, and groups are merged",
        {"temperature": 0.1, "reasoning_effort": "low", "verbosity": "low"},
        {
            "temperature": 0.9,
            "reasoning": {"effort": "low", "summary": "auto"},
            "text": {"verbosity": "high"},
        },
        {"temperature": 0.9, "reasoning_effort": "low", "verbosity": "high"},
        agent={
            "temperature": 0.9,
            "reasoning": {"summary": "auto"},
            "text": {"verbosity": "high"},
        },
    ),
    Case(
        "the agent's effort wins, in either spelling",
        {"reasoning_effort": "high"},
        {"reasoning": {"effort": "none"}},
        {"reasoning_effort": "none"},
        agent={"reasoning_effort": "none"},
    ),
    Case(
        "one cap on tokens: the agent's",
        {"max_completion_tokens": 100},
        {"max_output_tokens": 4000},
        {"max_tokens": 4000},
        agent={"max_tokens": 4000},
    ),
    Case(
        "one cap on tokens: the newer name's",
        {"max_tokens": 50, "max_completion_tokens": 100},
        {"max_output_tokens": 100},
        {"max_completion_tokens": 100},
    ),
    Case(
        "a cap in the words of Responses",
        {"max_tokens": 50},
        {"max_output_tokens": 7},
        {"max_completion_tokens": 7},
        agent={"max_output_tokens": 7},
    ),
    Case(
        "extra_body is not touched",
        {"temperature": 0.1},
        {"temperature": 0.1, "reasoning": {"max_tokens": 5}, "provider": {"order": ["x"]}},
        {"temperature": 0.1, "reasoning": {"max_tokens": 5}, "provider": {"order": ["x"]}},
        agent={
            "extra_body": {"reasoning": {"max_tokens": 5}, "temperature": None},
            "provider": {"order": ["x"]},
        },
    ),
)
CHAT_FRAME = {"model", "messages", "stream", "stream_options"}
RESPONSES_FRAME = {"model", "input", "stream", "store", "include"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_parameters_find_their_names(case: Case) -> None:
    request = turn(params=case.request)
    member = agent(**case.agent)
    on_chat = chat.body(request, member)
    on_responses = responses.body(request, member)
    assert {k: v for k, v in on_chat.items() if k not in CHAT_FRAME} == case.chat
    assert {k: v for k, v in on_responses.items() if k not in RESPONSES_FRAME} == case.responses


@pytest.mark.parametrize("wire", [responses, chat])
def test_parameters_never_change_what_makes_a_turn(wire: Any) -> None:
    odd: dict[str, Any] = {
        "model": "x",
        "input": [],
        "messages": [],
        "stream": False,
        "store": True,
    }
    request = turn(text_message("user", "Hi"), params=odd)
    plain = wire.body(replace(request, params={}), agent())
    sent = wire.body(request, agent(extra_body=odd))
    assert {name: sent[name] for name in plain} == plain
