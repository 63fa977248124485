"""What the tables say of models and wires, and what stands where a part is kept from an agent."""

from dataclasses import replace
from fnmatch import fnmatchcase

import pytest

from massgen_compat import Agent, Backend, Message, RunRequest, Team, TeamSettings
from massgen_compat._admission.admit import admit
from massgen_compat._agents.inputs import (
    CHAT_WIRES,
    FAMILIES,
    KINDS,
    inputs_of,
    shown_to,
    team_inputs,
)
from massgen_compat._agents.prompts import solo_conversation, team_conversation
from massgen_compat._run.message import Audio, File, Image, InputKind, Text
from massgen_compat._run.team import Api
from massgen_compat._upstream.backends import BACKENDS
from massgen_compat.errors import InvalidRequest

IMAGE = Image("data:image/png;base64,AAAA")
AUDIO = Audio("BBBB", "wav")
FILE = File(data="data:application/pdf;base64,CCCC", filename="report.pdf")
PARTS = {"image": IMAGE, "audio": AUDIO, "file": FILE}


def agent(model: str, kind: str = "chatcompletion", api: Api | None = None) -> Agent:
    return Agent("a", model=model, backend=Backend(type=kind, api=api))


def taking(*kinds: InputKind, name: str = "a") -> Agent:
    return Agent(name, model="m", inputs=kinds)


# The tables

MODELS = {
    "gpt-3.5-turbo": "",
    "gpt-4": "",
    "gpt-4-0613": "",
    "gpt-4-turbo": "image",
    "gpt-4-1106-vision-preview": "image",
    "gpt-4o": "image file",
    "openai/gpt-4o-mini-2024-07-18": "image file",
    "gpt-4o-audio-preview-2024-12-17": "audio",
    "gpt-4o-mini-audio-preview": "audio",
    "gpt-audio-1.5": "audio",
    "gpt-4.1-nano": "image file",
    "gpt-5.2": "image file",
    "openai/gpt-5-mini": "image file",
    "gpt-oss-120b": "",
    "openai/gpt-oss-20b:free": "",
    "o1": "image file",
    "o1-mini": "",
    "o1-preview": "",
    "o3": "image file",
    "o3-mini-2025-01-31": "",
    "o4-mini": "image file",
    "claude-2.1": "",
    "anthropic/claude-3.5-sonnet": "image file",
    "us.anthropic.claude-3-7-sonnet-20250219-v1:0": "image file",
    "claude-sonnet-4-5-20250929": "image file",
    "google/gemini-2.5-pro": "image audio file",
    "gemma-3-27b-it": "image",
    "gemma3:12b": "image",
    "gemma-3-1b-it": "image audio file",
    "grok-2-vision-1212": "image",
    "grok-2-1212": "",
    "grok-3-mini": "",
    "grok-4": "image audio file",
    "grok-4-fast-reasoning": "image",
    "grok-4.7": "image file",
    "grok-code-fast-1": "",
    "meta-llama/Llama-3.2-11B-Vision-Instruct-Turbo": "image",
    "llama3.2-vision:11b": "image",
    "meta-llama/Llama-3.2-3B-Instruct": "",
    "llama-3.3-70b-versatile": "",
    "Meta-Llama-3.1-405B-Instruct": "",
    "llama3-70b-8192": "",
    "meta-llama/llama-4-scout-17b-16e-instruct": "image",
    "qwen-vl-max": "image",
    "Qwen/Qwen2.5-VL-72B-Instruct": "image",
    "qwen/qwen3-vl-235b-a22b-instruct": "image",
    "qwen3-omni-flash": "image audio",
    "qwen/qwen3-4b-2507": "",
    "qwen3-coder-plus": "",
    "qwen3.5-397b-a17b": "image",
    "Qwen/Qwen2.5-72B-Instruct": "",
    "mistralai/pixtral-12b": "image",
    "mistral-small-3.1-24b-instruct": "image",
    "mistral-small-2501": "image audio file",
    "mistral-medium-2508": "image",
    "mistral-large-2411": "",
    "codestral-latest": "",
    "voxtral-small-24b-2507": "audio",
    "deepseek-chat": "",
    "deepseek/deepseek-r1:free": "",
    "deepseek-ai/DeepSeek-V3.2": "",
    "deepseek-flash": "image",
    "deepseek-v4-flash": "image audio file",
    "deepseek-v4-flash-vision-exp": "image",
    "moonshotai/Kimi-K2-Instruct": "",
    "kimi-k2.5": "image",
    "moonshot-v1-8k": "",
    "moonshot-v1-8k-vision-preview": "image",
    "glm-4.5-air": "",
    "glm-4.5v": "image",
    "glm-4.6v-flash": "image",
    "our-own-model": "image audio file",
}


@pytest.mark.parametrize(("model", "takes"), MODELS.items(), ids=MODELS.keys())
def test_a_model_takes_what_its_family_does_and_an_unknown_one_everything(
    model: str, takes: str
) -> None:
    assert inputs_of(agent(model)) == tuple(takes.split())


WIRES: dict[tuple[str, Api | None, str], str] = {
    ("openai", None, "gpt-audio"): "",
    ("openai", "chat", "gpt-audio"): "audio",
    ("openai", None, "our-own-model"): "image file",
    ("openai", "chat", "our-own-model"): "image audio file",
    ("openai", None, "gpt-5.2"): "image file",
    ("openai", None, "gpt-3.5-turbo"): "",
    ("azure_openai", None, "gpt-5.2"): "image file",
    ("azure_openai", "chat", "gpt-5.2"): "image",
    ("groq", "responses", "our-own-model"): "image file",
    ("claude", None, "claude-sonnet-4-5"): "image",
    ("openrouter", None, "anthropic/claude-sonnet-4.5"): "image file",
    ("openrouter", None, "deepseek/deepseek-r1"): "file",
    ("gemini", None, "gemini-2.5-pro"): "image audio file",
    ("poe", None, "GPT-5.2"): "image file",
    ("poe", None, "gemini-2.5-pro"): "image file",
    ("qwen", None, "qwen3-vl-plus"): "image",
    ("vllm", None, "our-own-model"): "image audio",
    ("sglang", None, "our-own-model"): "image audio",
    ("scripted", None, "gpt-3.5-turbo"): "image audio file",
}


@pytest.mark.parametrize(("case", "takes"), WIRES.items(), ids=str)
def test_a_part_has_to_pass_the_wire_as_well(case: tuple[str, Api | None, str], takes: str) -> None:
    kind, api, model = case
    assert inputs_of(agent(model, kind, api)) == tuple(takes.split())


def test_what_an_agent_says_of_itself_wins_over_both_tables() -> None:
    blind = agent("gpt-3.5-turbo", "openai")
    assert inputs_of(replace(blind, inputs=("audio", "image"))) == ("image", "audio")
    assert inputs_of(replace(agent("gpt-5.2", "openai"), inputs=())) == ()
    assert inputs_of(replace(agent("m", "scripted"), inputs=("file",))) == ("file",)


def test_an_unknown_kind_of_input_is_refused() -> None:
    with pytest.raises(ValueError, match="'video' is no kind of input; those are image, audio, f"):
        Agent("a", model="m", inputs=("image", "video"))  # pyright: ignore[reportArgumentType]


def test_every_row_can_be_reached_and_says_where_it_is_from() -> None:
    for index, family in enumerate(FAMILIES):
        assert family.source
        assert family.inputs == tuple(kind for kind in KINDS if kind in family.inputs)
        for pattern in family.models:
            assert pattern == pattern.lower()
            name = pattern.replace("*", "x").replace("[", "").replace("]", "")
            before = [p for each in FAMILIES[:index] for p in each.models]
            assert not any(fnmatchcase(name, each) for each in before), pattern
    assert set(CHAT_WIRES) <= set(BACKENDS)
    assert all(wire.source for wire in CHAT_WIRES.values())


# Notes

NOTES = {
    "image": "[An image stands here. Your model cannot see it; other agents may.]",
    "audio": "[An audio recording stands here. Your model cannot hear it; other agents may.]",
    "file": "[A file stands here: report.pdf. Your model cannot read it; other agents may.]",
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_that_an_agent_does_not_take_becomes_a_note_in_its_place(kind: InputKind) -> None:
    parts = (Text("before"), PARTS[kind], Text("after"))
    message = Message(role="user", name="Eva", content=parts)
    result = Message(role="tool", tool_call_id="c1", content=(PARTS[kind],))
    shown = shown_to(taking(), [message, result])
    noted = (Text("before"), Text(NOTES[kind]), Text("after"))
    assert shown == (
        replace(message, content=noted),
        replace(result, content=(Text(NOTES[kind]),)),
    )
    assert shown_to(taking(kind), [message, result]) == (message, result)


def test_an_agent_alone_is_not_told_of_others() -> None:
    team = Team("t", [taking(), taking(name="b")])
    message = Message(role="user", content=(IMAGE,))
    note = "[An image stands here. Your model cannot see it.]"
    (alone,) = solo_conversation(team.agents[0], [message])
    assert alone.content == (Text(note),)
    (_, among_others) = team_conversation(team, team.agents[0], [message])
    assert among_others.content == (Text(NOTES["image"]),)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (None, "[A file stands here. Your"),
        ("a {name}.pdf", "[A file stands here: a {name}.pdf. Your"),
        ("a\nb\u2028c.pdf", r"[A file stands here: 'a\nb\u2028c.pdf'. Your"),
        ("x" * 300, f"[A file stands here: {'x' * 256}…. Your"),
    ],
)
def test_a_note_is_one_short_line(name: str | None, shown: str) -> None:
    message = Message(role="user", content=(File(file_id="file-1", filename=name),))
    (noted,) = shown_to(taking(), [message])
    assert noted.text.startswith(shown)
    assert len(noted.text.splitlines()) == 1


def test_messages_of_text_are_left_as_they_are() -> None:
    messages = [Message(role="user", content=(Text("a"), Text("b"))), Message(role="assistant")]
    shown = shown_to(taking(), messages)
    assert all(after is before for after, before in zip(shown, messages, strict=True))


# Requests

ASKED = RunRequest(
    team="t",
    messages=(
        Message(role="user", content=(Text("Look."),)),
        Message(role="user", content=(Text("At this."), IMAGE, FILE)),
    ),
)


def refusal(team: Team, request: RunRequest = ASKED) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        admit(team, request, {})
    return caught.value


def test_one_agent_that_takes_a_part_is_enough() -> None:
    admit(Team("t", [taking(), taking("image", name="b"), taking("file", name="c")]), ASKED, {})
    assert team_inputs([taking("file"), taking("image")]) == ("image", "file")


def test_a_part_that_nobody_takes_is_refused_with_its_place_and_what_is_taken() -> None:
    error = refusal(Team("t", [taking("image"), taking("audio", "image", name="b")]))
    assert error.param == "messages[1]"
    assert error.message == (
        "Invalid value: 'messages[1].content[2]' is a file, and no agent of this model "
        "takes files; it takes text, images and audio."
    )


def test_a_team_that_takes_text_only_says_so() -> None:
    error = refusal(Team("t", [taking()]))
    assert error.param == "messages[1]"
    assert error.message.endswith("takes images; it takes text only.")
    spoken = replace(ASKED, messages=(Message(role="user", content=(AUDIO,)),))
    assert (
        "is audio, and no agent of this model takes audio;"
        in refusal(Team("t", [taking("file")]), spoken).message
    )


def test_a_result_that_nobody_can_see_is_refused_too() -> None:
    result = Message(role="tool", tool_call_id="c1", content=(IMAGE,))
    error = refusal(Team("t", [taking("file")]), replace(ASKED, messages=(result,)))
    assert error.param == "messages[0]"


def test_without_coordination_the_first_agent_has_to_take_it() -> None:
    alone = TeamSettings(skip_coordination_rounds=True)
    both = [taking("image", "file"), taking(name="b")]
    admit(Team("t", both, settings=alone), ASKED, {})
    assert refusal(Team("t", both[::-1], settings=alone)).param == "messages[1]"
