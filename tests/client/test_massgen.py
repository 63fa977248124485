"""``MassGen`` in the process, on asyncio and trio, against a provider over a real socket."""

from collections.abc import Iterator

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from massgen_compat import Agent, Backend, MassGen, RunRequest, Team
from massgen_compat._run.message import text_message
from massgen_compat.cli.server import serving
from massgen_compat.errors import ConfigError, InvalidRequest, ModelNotFound, UpstreamUnreachable
from massgen_compat.events import RunCompleted, RunStarted
from massgen_compat.testing import ScriptedServer

pytestmark = pytest.mark.anyio

CHAT = {"model": "pair", "messages": [{"role": "user", "content": "Why is the sky blue?"}]}
SCRIPT = {"draft": "Air scatters.", "evaluate": "vote agent1", "present": "Air scatters blue."}


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with serving(ScriptedServer({}, default=SCRIPT)) as url:
        yield f"{url}/v1"


def pair(url: str) -> Team:
    backends = [
        Backend(type=kind, base_url=url, api_key="scripted") for kind in ("openai", "openrouter")
    ]
    agents = [Agent(f"a{n}", model="m", backend=backend) for n, backend in enumerate(backends)]
    return Team("pair", agents)


async def test_a_payload_is_answered_with_the_sdks_completion(provider: str) -> None:
    async with MassGen(pair(provider), env={}) as massgen:
        completion = await massgen.chat(CHAT)
    assert isinstance(completion, ChatCompletion)
    assert completion.choices[0].message.content == "Air scatters blue."
    assert completion.usage is not None
    assert completion.usage.total_tokens > 0


async def test_chunks_are_the_sdks_and_add_up(provider: str) -> None:
    async with MassGen(pair(provider), env={}) as massgen, massgen.chat_stream(CHAT) as chunks:
        received = [chunk async for chunk in chunks]
    assert all(isinstance(chunk, ChatCompletionChunk) for chunk in received)
    deltas = [choice.delta for chunk in received for choice in chunk.choices]
    assert deltas[0].role == "assistant"
    assert "".join(delta.content or "" for delta in deltas) == "Air scatters blue."


async def test_events_come_from_the_first_to_the_last(provider: str) -> None:
    request = RunRequest(team="pair", messages=(text_message("user", "Why?"),))
    async with MassGen(pair(provider), env={}) as massgen, massgen.stream(request) as events:
        kinds = [type(event) async for event in events]
    assert (kinds[0], kinds[-1]) == (RunStarted, RunCompleted)


async def test_a_message_object_of_the_sdk_can_be_sent_back(provider: str) -> None:
    async with MassGen(pair(provider), env={}) as massgen:
        first = await massgen.chat(CHAT)
        history = [*CHAT["messages"], first.choices[0].message, CHAT["messages"][0]]
        second = await massgen.chat({"model": "pair-single", "messages": history})
    assert second.choices[0].message.content == "Air scatters blue."


async def test_faults_are_errors_of_this_library(provider: str) -> None:
    async with MassGen(pair(provider), env={}) as massgen:
        with pytest.raises(ModelNotFound):
            await massgen.chat({**CHAT, "model": "nobody"})
        with pytest.raises(InvalidRequest) as caught:
            await massgen.chat({**CHAT, "temperature": 9})
    assert caught.value.param == "temperature"


async def test_a_provider_that_is_not_there_is_named_as_such() -> None:
    async with MassGen(pair("http://127.0.0.1:1/v1"), env={}) as massgen:
        with pytest.raises(UpstreamUnreachable) as caught:
            await massgen.chat({**CHAT, "model": "pair-single"})
    assert caught.value.agent == "a0"


def test_a_missing_key_is_an_error_at_the_start() -> None:
    with pytest.raises(ConfigError, match=r"agent 'agent1'.*OPENAI_API_KEY"):
        MassGen(env={})
    assert list(MassGen(env={"OPENAI_API_KEY": "k"}).teams) == ["massgen", "massgen-single"]


def test_two_teams_of_one_name_are_an_error(provider: str) -> None:
    with pytest.raises(ConfigError, match="two teams are called 'pair'"):
        MassGen(pair(provider), pair(provider), env={})


def test_an_unknown_policy_is_an_error_that_names_the_known_ones(provider: str) -> None:
    agent = Agent("a", model="m", policy="gpt-6", backend=Backend(type="scripted"))
    with pytest.raises(ConfigError, match=r"no policy 'gpt-6'; known: .*gpt-5\.2"):
        MassGen(Team("t", [agent]), env={})
