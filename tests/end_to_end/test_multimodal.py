"""Images, audio and files through real servers: who gets them, and that nothing else gets lost."""

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from massgen_compat import Agent, Backend, MassGen, Team, TeamSettings
from massgen_compat._run.message import Audio, File, Image, Part, Text
from massgen_compat._run.team import Api
from massgen_compat._run.turn import Phase
from massgen_compat.asgi import create_app
from massgen_compat.cli.server import serving
from massgen_compat.errors import InvalidRequest
from massgen_compat.testing import ScriptedServer
from tests.fakes import Model

PIXEL = "data:image/png;base64,iVBORw0KGgo="
SHOT = "data:image/png;base64,c2hvdA=="
PDF = "data:application/pdf;base64,JVBERi0="
ATTACHED = {"filename": "report.pdf", "file_data": PDF}
NO_IMAGE = "[An image stands here. Your model cannot see it; other agents may.]"
NO_FILE = "[A file stands here: report.pdf. Your model cannot read it; other agents may.]"

WORDS, EYES = "gpt-3.5-turbo", "gpt-4o"
CALL = {"id": "call_1", "type": "function", "function": {"name": "shoot", "arguments": "{}"}}
TALK: list[Any] = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
            {"type": "file", "file": ATTACHED},
            {"type": "text", "text": "Look closely."},
        ],
    },
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {
        "role": "tool",
        "tool_call_id": "call_1",
        "content": [
            {"type": "text", "text": "Taken."},
            {"type": "image_url", "image_url": {"url": SHOT}},
        ],
    },
    {"role": "assistant", "content": "I see."},
    {"role": "user", "content": "Go on."},
]


@contextmanager
def served(
    words: Api, eyes: Api, **own: Any
) -> Generator[tuple[openai.OpenAI, ScriptedServer, MassGen]]:
    """A team of an agent that takes text only and one that sees, and a scripted provider."""
    upstream = ScriptedServer({}, default={"draft": "A dot.", "present": "It is a dot."})
    with serving(upstream) as provider:
        backend = Backend(type="openai", base_url=f"{provider}/v1", api_key="scripted")
        agents = [
            Agent("words", model=WORDS, backend=replace(backend, api=words), **own),
            Agent("eyes", model=EYES, backend=replace(backend, api=eyes), **own),
        ]
        massgen = MassGen(Team("team", agents), env={})
        with (
            serving(create_app(massgen)) as url,
            openai.OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client,
        ):
            yield client, upstream, massgen


def input_text(*texts: str) -> list[dict[str, Any]]:
    return [{"type": "input_text", "text": text} for text in texts]


NOTED = ("What is this?", NO_IMAGE, NO_FILE, "Look closely.")
SENT: dict[tuple[str, Api], list[Any]] = {
    (WORDS, "chat"): [
        {"role": "user", "content": "\n\n".join(NOTED)},
        TALK[1],
        {**TALK[2], "content": f"Taken.\n\n{NO_IMAGE}"},
        TALK[3],
    ],
    (EYES, "chat"): [
        TALK[0],
        TALK[1],
        {
            **TALK[2],
            "content": "Taken.\n\n[The rest of this result is not text; it follows in the next "
            "user message.]",
        },
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "[From the result of the tool call call_1:]"},
                {"type": "image_url", "image_url": {"url": SHOT}},
            ],
        },
        TALK[3],
    ],
    (WORDS, "responses"): [
        {"role": "user", "content": input_text(*NOTED)},
        {"type": "function_call", "call_id": "call_1", "name": "shoot", "arguments": "{}"},
        {
            "type": "function_call_output",
            "call_id": "call_1",
            "output": f"Taken.\n\n{NO_IMAGE}",
        },
        TALK[3],
    ],
    (EYES, "responses"): [
        {
            "role": "user",
            "content": [
                *input_text("What is this?"),
                {"type": "input_image", "image_url": PIXEL, "detail": "low"},
                {"type": "input_file", **ATTACHED},
                *input_text("Look closely."),
            ],
        },
        {"type": "function_call", "call_id": "call_1", "name": "shoot", "arguments": "{}"},
        {
            "type": "function_call_output",
            "call_id": "call_1",
            "output": [*input_text("Taken."), {"type": "input_image", "image_url": SHOT}],
        },
        TALK[3],
    ],
}


@pytest.mark.parametrize(
    ("words", "eyes"),
    [("chat", "chat"), ("responses", "responses"), ("chat", "responses"), ("responses", "chat")],
)
def test_every_agent_of_a_mixed_team_gets_what_it_takes_and_notes_for_the_rest(
    words: Api, eyes: Api
) -> None:
    with served(words, eyes) as (client, upstream, _):
        completion = client.chat.completions.create(model="team", messages=TALK)
        assert completion.choices[0].message.content == "It is a dot."
        assert len(upstream.requests) == 5
        for request in upstream.requests:
            head, *conversation = request.body["messages" if request.api == "chat" else "input"]
            expected = SENT[request.model, request.api]
            assert head["role"] == "system"
            assert conversation[: len(expected)] == expected
            assert "Go on." in json.dumps(conversation[len(expected)])
            sees = request.model == EYES
            assert [each in json.dumps(request.body) for each in (PIXEL, SHOT, PDF)] == [sees] * 3
        assert {request.api for request in upstream.requests} == {words, eyes}


def test_an_agent_alone_that_does_not_take_a_part_is_a_400_before_any_call() -> None:
    with served("chat", "chat") as (client, upstream, _):
        for stream in (False, True):
            with pytest.raises(openai.BadRequestError) as caught:
                client.chat.completions.create(model="team-single", messages=TALK, stream=stream)
            assert caught.value.body == {
                "message": "Invalid value: 'messages[0].content[1]' is an image, and no "
                "agent of this model takes images; it takes text only.",
                "type": "invalid_request_error",
                "param": "messages[0]",
                "code": "invalid_value",
            }
        spoken: Any = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
        with pytest.raises(openai.BadRequestError, match=r"it takes text, images and files\."):
            client.chat.completions.create(
                model="team", messages=[{"role": "user", "content": [spoken]}]
            )
        assert upstream.requests == ()


def test_what_a_team_takes_can_be_asked() -> None:
    with served("chat", "responses") as (client, _, _):
        rows = {model.id: model.to_dict()["massgen"] for model in client.models.list()}
        words = {
            "id": "words",
            "model": WORDS,
            "backend": "openai",
            "policy": "default",
            "inputs": ["text"],
        }
        eyes = {**words, "id": "eyes", "model": EYES, "inputs": ["text", "image", "file"]}
        assert rows == {
            "team": {
                "engine": "local",
                "inputs": ["text", "image", "file"],
                "agents": [words, eyes],
            },
            "team-single": {"engine": "local", "inputs": ["text"], "agents": [words]},
        }
        assert client.models.retrieve("team").to_dict()["massgen"] == rows["team"]


def test_requests_for_text_are_the_same_whatever_an_agent_takes() -> None:
    asked: list[Any] = [
        {"role": "user", "content": [{"type": "text", "text": each} for each in "ab"]},
        *TALK[1:2],
        {"role": "tool", "tool_call_id": "call_1", "content": "Taken."},
        *TALK[3:],
    ]
    bodies: list[set[str]] = []
    for inputs in ((), ("image", "audio", "file")):
        with served("chat", "responses", inputs=inputs) as (client, upstream, _):
            client.chat.completions.create(model="team", messages=asked)
            bodies.append({json.dumps(request.body) for request in upstream.requests})
    assert bodies[0] == bodies[1]
    assert len(bodies[0]) == 5


@pytest.mark.anyio
async def test_no_agent_of_a_library_user_is_asked_what_nobody_takes() -> None:
    models: list[Model] = []

    def connect(agent: Agent) -> Model:
        models.append(Model())
        return models[-1]

    massgen = MassGen(Team("t", [Agent("a", model="gpt-4")]), connect=connect)
    with pytest.raises(InvalidRequest, match=r"messages\[0\].content\[1\]"):
        await massgen.chat({"model": "t", "messages": TALK[:1]})
    assert models == []


# Any conversation, any team

TAKES: list[tuple[dict[str, Any], set[str]]] = [
    ({"model": "gpt-4"}, set()),
    ({"model": "gpt-4o"}, {"image", "file"}),
    ({"model": "gpt-audio", "backend": Backend(api="chat")}, {"audio"}),
    ({"model": "claude-sonnet-4-5", "backend": Backend(type="claude")}, {"image"}),
    (
        {"model": "google/gemini-3-pro", "backend": Backend(type="openrouter")},
        {"image", "audio", "file"},
    ),
    ({"model": "deepseek-r1", "backend": Backend(type="openrouter")}, {"file"}),
    ({"model": "unheard-of"}, {"image", "file"}),
    ({"model": "unheard-of", "backend": Backend(type="groq")}, {"image", "audio", "file"}),
    ({"model": "gpt-4o", "inputs": ()}, set()),
    ({"model": "gpt-4", "inputs": ("audio",)}, {"audio"}),
]
KINDS_OF_PARTS = ("text", "text", "image", "audio", "file")


@dataclass
class Talk:
    """A conversation as a client sends it; ``parts`` are its parts in order, with their kinds."""

    messages: list[Any] = field(default_factory=list[Any])
    parts: list[tuple[str, Part, str]] = field(default_factory=list[tuple[str, Part, str]])

    def content(self, kinds: Sequence[str]) -> list[Any]:
        made: list[Any] = []
        for kind in kinds:
            place = f"messages[{len(self.messages)}].content[{len(made)}]"
            mark = f"{len(self.parts)}"
            part, wire = _made(kind, mark)
            self.parts.append((kind, part, place))
            made.append(wire)
        return made


def _made(kind: str, mark: str) -> tuple[Part, dict[str, Any]]:
    match kind:
        case "image":
            url = f"https://img.test/{mark}"
            return Image(url), {"type": "image_url", "image_url": {"url": url}}
        case "audio":
            data = {"data": f"sound{mark}", "format": "wav"}
            return Audio(f"sound{mark}", "wav"), {"type": "input_audio", "input_audio": data}
        case "file":
            file = {"file_data": f"file{mark}", "filename": f"{mark}.pdf"}
            part = File(data=f"file{mark}", filename=f"{mark}.pdf")
            return part, {"type": "file", "file": file}
        case _:
            return Text(f"text{mark}"), {"type": "text", "text": f"text{mark}"}


@st.composite
def talks(draw: st.DrawFn) -> Talk:
    talk = Talk()
    kinds = st.lists(st.sampled_from(KINDS_OF_PARTS), min_size=1, max_size=4)
    for number in range(draw(st.integers(1, 3))):
        talk.messages.append({"role": "user", "content": talk.content(draw(kinds))})
        if draw(st.booleans()):
            call = {**CALL, "id": f"c{number}"}
            talk.messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
            content = talk.content(draw(kinds))
            result = {"role": "tool", "tool_call_id": f"c{number}", "content": content}
            talk.messages.append(result)
            talk.messages.append({"role": "assistant", "content": talk.content(["text"])})
    talk.messages.append({"role": "user", "content": talk.content(draw(kinds))})
    return talk


@settings(deadline=None, max_examples=150)
@given(
    talk=talks(),
    members=st.lists(st.sampled_from(TAKES), min_size=1, max_size=3),
    skip=st.booleans(),
    named=st.booleans(),
)
def test_what_an_agent_does_not_take_never_reaches_it_and_no_text_is_lost(
    *, talk: Talk, members: list[tuple[dict[str, Any], set[str]]], skip: bool, named: bool
) -> None:
    takes = {f"agent{index}": taken for index, (_, taken) in enumerate(members, start=1)}
    agents = [
        Agent(name, **said, system_message="Be brief." if named else None)
        for name, (said, _) in zip(takes, members, strict=True)
    ]
    models = {agent.id: Model() for agent in agents}
    team = Team("t", agents, settings=TeamSettings(skip_coordination_rounds=skip))
    massgen = MassGen(team, connect=lambda agent: models[agent.id])
    answering = list(takes)[:1] if skip else list(takes)
    wanting = [
        place
        for kind, _, place in talk.parts
        if kind != "text" and not any(kind in takes[name] for name in answering)
    ]

    async def ask() -> None:
        payload = {"model": "t", "messages": talk.messages}
        if wanting:
            with pytest.raises(InvalidRequest) as caught:
                await massgen.chat(payload)
            assert caught.value.param == wanting[0].split(".")[0]
            assert f"'{wanting[0]}'" in caught.value.message
        else:
            await massgen.chat(payload)

    anyio.run(ask)
    asked = [request for model in models.values() for request in model.requests]
    assert bool(asked) == (not wanting)
    if len(answering) > 1 and asked:
        assert {request.phase for request in asked} == set(Phase)
    for request in asked:
        told = [
            part
            for message in request.messages
            if message.role != "system"
            for part in message.content
        ]
        for (kind, part, _), shown in zip(talk.parts, told, strict=False):
            if kind == "text" or kind in takes[request.agent]:
                assert shown == part
            else:
                assert isinstance(shown, Text)
                assert "Your model cannot" in shown.text
        rest = told[len(talk.parts) :]
        assert len(told) >= len(talk.parts)
        assert all(isinstance(part, Text) for part in rest)
