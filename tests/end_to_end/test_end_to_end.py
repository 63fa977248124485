"""MassGen's own YAML, unchanged, from an OpenAI client over a served team to the providers' wire.

The providers are scripts behind a loopback server in OpenAI's wire format; what reached them is
what the tests look at. Only the backends' URLs and keys are replaced.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import openai
import pytest

from massgen_compat import Agent, MassGen, Team
from massgen_compat._run.team import Api
from massgen_compat._run.turn import Phase
from massgen_compat.asgi import create_app
from massgen_compat.cli.server import serving
from massgen_compat.config import check, load
from massgen_compat.testing import ScriptedServer, ServedRequest
from tests.conftest import SHARED

FOLDER = SHARED / "massgen-configs"
CONFIGS = [
    path.relative_to(FOLDER).as_posix()
    for path in sorted(FOLDER.rglob("*.yaml"))
    if check(path, {}).ok
]
MIXED = "basic/multi/gemini_4o_claude.yaml"
"""Its second agent is on Responses, the others are on Chat Completions."""

HELLO: list[Any] = [{"role": "user", "content": "Why is the sky blue?"}]
SCRIPT = {"draft": "Air scatters blue light.", "present": "Because air scatters blue light most."}
PATIENCE = 20


@dataclass(frozen=True)
class Stage:
    """All servable configs behind one server, and the providers behind them."""

    url: str
    teams: Mapping[str, Team]
    upstream: ScriptedServer

    def client(self) -> openai.OpenAI:
        return openai.OpenAI(
            base_url=f"{self.url}/v1", api_key="unused", max_retries=0, timeout=PATIENCE
        )

    def ask(self, model: str, messages: list[Any], **params: Any) -> tuple[ServedRequest, ...]:
        """Let a team answer; what reached its providers."""
        before = len(self.upstream.requests)
        with self.client() as client:
            client.chat.completions.create(model=model, messages=messages, **params)
        return self.upstream.requests[before:]


def pointed_at(url: str, agent: Agent) -> Agent:
    return replace(agent, backend=replace(agent.backend, base_url=url, api_key="scripted"))


def on_azures_paths_too(app: ScriptedServer) -> Callable[..., Any]:
    async def serve(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        path: str = scope.get("path", "")
        await app({**scope, "path": path.removeprefix("/openai")}, receive, send)

    return serve


@pytest.fixture(scope="module")
def stage(shared: Callable[[str], Path]) -> Iterator[Stage]:
    folder = shared("massgen-configs")
    upstream = ScriptedServer({}, default=SCRIPT, keep_requests=100_000)
    with serving(on_azures_paths_too(upstream)) as provider:
        teams = {
            name: replace_agents(load(folder / name, {}).team, name, provider) for name in CONFIGS
        }
        massgen = MassGen(*teams.values(), env={})
        with serving(create_app(massgen)) as url:
            yield Stage(url, teams, upstream)


def replace_agents(team: Team, name: str, url: str) -> Team:
    agents = [pointed_at(url, agent) for agent in team.agents]
    return Team(name, agents, settings=team.settings)


def test_every_config_of_massgen_that_check_approves_is_here(stage: Stage) -> None:
    assert len(CONFIGS) >= 50
    with stage.client() as client:
        listed = [model.id for model in client.models.list()]
    several = [name for name in CONFIGS if len(stage.teams[name].agents) > 1]
    assert listed == [*CONFIGS, *(f"{name}-single" for name in several)]


@pytest.mark.parametrize("name", CONFIGS or [""])
def test_agents_that_agree_at_once_cost_two_calls_each_and_one_for_the_message(
    name: str, stage: Stage
) -> None:
    team = stage.teams[name]
    requests = stage.ask(name, HELLO)
    count = len(team.agents)
    phases = Counter(request.phase for request in requests)
    if count == 1:
        assert len(requests) == 1
    else:
        assert phases == {Phase.DRAFT: count, Phase.EVALUATE: count, Phase.PRESENT: 1}
    asked = Counter(request.model for request in requests if request.phase is Phase.DRAFT)
    if count > 1:
        assert asked == Counter(agent.model for agent in team.agents)
    assert {request.attempt for request in requests} == {1}
    for request in requests:
        key = request.headers.get("authorization") or request.headers.get("api-key", "")
        assert key.removeprefix("Bearer ") == "scripted"


@pytest.mark.parametrize("name", [MIXED, "basic/multi/two_agents_gpt5.yaml"])
def test_both_sdks_get_the_same_message_streamed_or_not(name: str, stage: Stage) -> None:
    with stage.client() as client:
        whole = client.chat.completions.create(model=name, messages=HELLO)
        with client.chat.completions.stream(
            model=name, messages=HELLO, stream_options={"include_usage": True}
        ) as stream:
            streamed = stream.get_final_completion()
    assert whole.choices[0].message.content == SCRIPT["present"]
    assert streamed.choices[0].message.content == SCRIPT["present"]
    assert streamed.choices[0].finish_reason == whole.choices[0].finish_reason == "stop"
    assert whole.usage is not None
    assert streamed.usage == whole.usage
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens > 0


# The SDK leaves its generators to the garbage collector, of which trio warns.
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.anyio
async def test_the_async_sdk_streams_deliberation_before_the_message(stage: Stage) -> None:
    seen: list[str] = []
    async with openai.AsyncOpenAI(
        base_url=f"{stage.url}/v1", api_key="unused", max_retries=0, timeout=PATIENCE
    ) as client:
        whole = await client.chat.completions.create(model=MIXED, messages=HELLO)
        async for chunk in await client.chat.completions.create(
            model=MIXED, messages=HELLO, stream=True
        ):
            for choice in chunk.choices:
                extra = choice.delta.model_extra or {}
                seen += [extra["reasoning_content"]] if extra.get("reasoning_content") else []
                seen += [f"> {choice.delta.content}"] if choice.delta.content else []
    said = [piece.removeprefix("> ") for piece in seen if piece.startswith("> ")]
    told = [piece for piece in seen if not piece.startswith("> ")]
    assert "".join(said) == whole.choices[0].message.content == SCRIPT["present"]
    assert seen == [*told, *(f"> {piece}" for piece in said)]
    assert len(said) > 1
    members = [agent.id for agent in stage.teams[MIXED].agents]
    assert sorted(told[:3]) == sorted(f"{member} answered.\n" for member in members)


def test_the_first_agent_alone_answers_with_one_call(stage: Stage) -> None:
    requests = stage.ask(f"{MIXED}-single", HELLO)
    assert [request.model for request in requests] == [stage.teams[MIXED].agents[0].model]


def test_an_unchanged_file_needs_no_more_than_the_environment(
    shared: Callable[[str], Path],
) -> None:
    path = shared("massgen-configs/basic/multi/two_agents_gpt5.yaml")
    upstream = ScriptedServer({}, default=SCRIPT)
    with serving(upstream) as provider:
        env = {"OPENAI_API_KEY": "from-the-environment", "OPENAI_BASE_URL": f"{provider}/v1"}
        with (
            serving(create_app(MassGen.from_yaml(path, env=env))) as url,
            openai.OpenAI(base_url=f"{url}/v1", api_key="unused") as client,
        ):
            done = client.chat.completions.create(model="two_agents_gpt5", messages=HELLO)
    assert done.choices[0].message.content == SCRIPT["present"]
    assert Counter(request.path for request in upstream.requests) == {"/v1/responses": 5}
    keys = {request.headers["authorization"] for request in upstream.requests}
    assert keys == {"Bearer from-the-environment"}


# What the YAML asks for


@dataclass(frozen=True)
class Asked:
    config: str
    model: str
    api: Api
    hosted: frozenset[str] = frozenset()
    params: Mapping[str, Any] = field(default_factory=dict[str, Any])


BOTH = frozenset({"web_search", "code_interpreter"})
ASKED = [
    Asked(
        "basic/multi/two_agents_gpt5.yaml",
        "gpt-5",
        "responses",
        BOTH,
        {"text": {"verbosity": "high"}, "reasoning": {"effort": "high", "summary": "auto"}},
    ),
    Asked(
        "basic/multi/two_agents_gpt5.yaml",
        "gpt-5-nano",
        "responses",
        BOTH,
        {"text": {"verbosity": "medium"}, "reasoning": {"effort": "medium", "summary": "auto"}},
    ),
    Asked(
        "basic/multi/three_agents_default.yaml",
        "gpt-5.4",
        "responses",
        frozenset({"web_search"}),
        {"text": {"verbosity": "low"}, "reasoning": {"effort": "low", "summary": "auto"}},
    ),
    Asked("basic/multi/three_agents_default.yaml", "grok-4-1-fast-reasoning", "chat"),
    Asked(MIXED, "gpt-4o", "responses", BOTH),
    Asked(MIXED, "gemini-2.5-flash", "chat"),
    Asked(
        "basic/multi/gpt5nano_glm_qwen.yaml",
        "glm-4.5-air",
        "chat",
        params={"temperature": 0.7, "top_p": 0.7},
    ),
    Asked(
        "basic/multi/two_qwen_vllm_sglang.yaml",
        "Qwen/Qwen3-4B",
        "chat",
        params={"chat_template_kwargs": {"enable_thinking": True}},
    ),
]


@pytest.mark.parametrize("case", ASKED, ids=lambda case: f"{case.config}:{case.model}")
def test_hosted_tools_and_parameters_of_the_file_are_in_every_request(
    case: Asked, stage: Stage
) -> None:
    requests = [each for each in stage.ask(case.config, HELLO) if each.model == case.model]
    assert len(requests) >= 2
    for request in requests:
        tools: list[dict[str, Any]] = request.body.get("tools", [])
        assert request.api == case.api
        assert {tool["type"] for tool in tools} - {"function"} == case.hosted
        assert request.body == {**request.body, **case.params}
        streamed = request.phase is Phase.PRESENT or bool(case.hosted)
        assert request.body.get("stream") is (True if streamed else None)


def test_a_clients_parameters_go_to_the_agents_unless_the_file_says_otherwise(
    stage: Stage,
) -> None:
    name = "basic/multi/gpt5nano_glm_qwen.yaml"
    requests = stage.ask(name, HELLO, temperature=0.1, max_completion_tokens=77)
    temperatures = {request.model: request.body["temperature"] for request in requests}
    assert temperatures == {
        "gpt-oss-120b": 0.1,
        "glm-4.5-air": 0.7,
        "qwen/qwen3-4b-2507": 0.1,
    }
    capped = [each.phase for each in requests if 77 in each.body.values()]
    assert capped == [Phase.PRESENT]


# The client's conversation


CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "read", "arguments": '{"path": "a.txt"}'},
}
PIXEL = "data:image/png;base64,iVBORw0KGgo="
PHOTO = "https://example.com/sky.jpg"
CHAT_IMAGES = [
    {"type": "text", "text": "What is this?"},
    {"type": "image_url", "image_url": {"url": PIXEL}},
    {"type": "image_url", "image_url": {"url": PHOTO, "detail": "low"}},
]
INPUT_IMAGES = [
    {"type": "input_text", "text": "What is this?"},
    {"type": "input_image", "image_url": PIXEL},
    {"type": "input_image", "image_url": PHOTO, "detail": "low"},
]


def spoken(role: str, text: str) -> dict[str, Any]:
    """A message of text on the wire of Responses."""
    if role == "assistant":
        return {"role": role, "content": text}
    return {"role": role, "content": [{"type": "input_text", "text": text}]}


@dataclass(frozen=True)
class Conversation:
    """What a client sends, and what each wire has after the one system message.

    ``system`` are texts that have to be in that message, in this order. The last message of a user
    is compared up to the briefing that stands at its end.
    """

    messages: list[Any]
    chat: list[Any]
    responses: list[Any]
    system: tuple[str, ...] = ()


ASK = {"role": "user", "content": "Why is the sky blue?"}
ASK_INPUT = spoken("user", "Why is the sky blue?")
CONVERSATIONS = {
    "system and developer": Conversation(
        messages=[
            {"role": "system", "content": "You are Ed."},
            {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
            ASK,
        ],
        chat=[ASK],
        responses=[ASK_INPUT],
        system=("You are Ed.", "Be brief."),
    ),
    "a later system message": Conversation(
        messages=[
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hello!"},
            {"role": "system", "content": "From now on, answer in French."},
            ASK,
        ],
        chat=[
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hello!"},
            {"role": "system", "content": "From now on, answer in French."},
            ASK,
        ],
        responses=[
            spoken("user", "Hello"),
            spoken("assistant", "Hello!"),
            spoken("system", "From now on, answer in French."),
            ASK_INPUT,
        ],
    ),
    "calls and results": Conversation(
        messages=[
            {"role": "user", "content": "What is in a.txt?"},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": "blue"},
            {"role": "assistant", "content": "It says blue.", "reasoning_content": "ada answered."},
            ASK,
        ],
        chat=[
            {"role": "user", "content": "What is in a.txt?"},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": "blue"},
            {"role": "assistant", "content": "It says blue."},
            ASK,
        ],
        responses=[
            spoken("user", "What is in a.txt?"),
            {
                "type": "function_call",
                "call_id": "call_1",
                "name": "read",
                "arguments": '{"path": "a.txt"}',
            },
            {"type": "function_call_output", "call_id": "call_1", "output": "blue"},
            spoken("assistant", "It says blue."),
            ASK_INPUT,
        ],
    ),
    "a result at the end": Conversation(
        messages=[
            {"role": "user", "content": "What is in a.txt?"},
            {"role": "assistant", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": "blue"},
        ],
        chat=[
            {"role": "user", "content": "What is in a.txt?"},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": "blue"},
            {"role": "user", "content": ""},
        ],
        responses=[
            spoken("user", "What is in a.txt?"),
            {
                "type": "function_call",
                "call_id": "call_1",
                "name": "read",
                "arguments": '{"path": "a.txt"}',
            },
            {"type": "function_call_output", "call_id": "call_1", "output": "blue"},
            {"role": "user", "content": []},
        ],
    ),
    "images, the last of all": Conversation(
        messages=[{"role": "user", "content": CHAT_IMAGES}],
        chat=[{"role": "user", "content": CHAT_IMAGES}],
        responses=[{"role": "user", "content": INPUT_IMAGES}],
    ),
    "images, earlier": Conversation(
        messages=[
            {"role": "user", "content": CHAT_IMAGES},
            {"role": "assistant", "content": "The sky."},
            ASK,
        ],
        chat=[
            {"role": "user", "content": CHAT_IMAGES},
            {"role": "assistant", "content": "The sky."},
            ASK,
        ],
        responses=[
            {"role": "user", "content": INPUT_IMAGES},
            spoken("assistant", "The sky."),
            ASK_INPUT,
        ],
    ),
    "names": Conversation(
        messages=[
            {"role": "user", "name": "Eva", "content": "I like red."},
            {"role": "assistant", "name": "team", "content": "Noted."},
            {"role": "user", "name": "Tom", "content": "And I blue. Why is it?"},
        ],
        chat=[
            {"role": "user", "name": "Eva", "content": "I like red."},
            {"role": "assistant", "name": "team", "content": "Noted."},
            {"role": "user", "name": "Tom", "content": "And I blue. Why is it?"},
        ],
        responses=[  # Responses has no names
            spoken("user", "I like red."),
            spoken("assistant", "Noted."),
            spoken("user", "And I blue. Why is it?"),
        ],
    ),
}


@pytest.mark.parametrize("case", CONVERSATIONS.values(), ids=CONVERSATIONS.keys())
def test_every_agent_gets_the_whole_conversation_in_its_place(
    case: Conversation, stage: Stage
) -> None:
    requests = stage.ask(MIXED, case.messages)
    assert len(requests) == 7
    assert {request.api for request in requests} == {"chat", "responses"}
    for request in requests:
        on_chat = request.api == "chat"
        head, *rest = request.body["messages" if on_chat else "input"]
        expected = case.chat if on_chat else case.responses
        assert head["role"] == "system"
        places = [str(head["content"]).index(text) for text in case.system]
        assert places == sorted(places)
        assert rest[:-1] == expected[:-1]
        assert without_briefing(rest[-1], on_chat=on_chat) == expected[-1]


def without_briefing(message: Mapping[str, Any], *, on_chat: bool) -> dict[str, Any]:
    """The user's last message without the text part that this library puts at its end.

    On Chat Completions parts of text alone are one string, with a blank line between them.
    """
    content: str | list[dict[str, Any]] = message["content"]
    if isinstance(content, str):
        before, heading, briefing = content.partition("## Round ")
        assert on_chat
        assert heading
        assert briefing
        before = before.partition("The current answers:\n")[0]
        return {**message, "content": before.removesuffix("\n\n")}
    assert "## Round " in content[-1]["text"]
    return {**message, "content": content[:-1]}


def test_an_agent_alone_gets_the_conversation_as_it_is(stage: Stage) -> None:
    case = CONVERSATIONS["a later system message"]
    (request,) = stage.ask("basic/single/single_flash2.5.yaml", case.messages)
    assert request.body["messages"] == case.messages
