"""What providers' prompt caches need: beginnings that stay the same bytes, and keys for them.

The bytes are those that arrive at a provider over a real socket, on both APIs.
"""

import json
from collections import defaultdict
from collections.abc import MutableMapping
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import pytest

from massgen_compat import Agent, Backend, MassGen, Team
from massgen_compat._agents.cache_keys import cache_keys
from massgen_compat._run.message import Message, Text, text_message
from massgen_compat._run.request import RunRequest
from massgen_compat._run.team import Api
from massgen_compat._upstream.backends import takes_cache_key
from massgen_compat.cli.server import serving
from massgen_compat.config import check_text, parse
from massgen_compat.errors import ConfigError
from massgen_compat.testing import ScriptedServer

ENV = {"OPENAI_API_KEY": "sk-test"}
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "read_file",
        "description": "Read a file.",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}}},
    },
}
QUESTION = "What is in a.txt, and why?"
OPENING: list[Any] = [
    {"role": "system", "content": "You are an editor."},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hello!"},
    {"role": "user", "content": QUESTION},
]
SCRIPTS = {
    "m-a": {
        "draft": [{"text": "Hm.", "calls": [{"name": "look"}]}, {"new_answer": "Read a.txt."}],
        "evaluate": [
            {"new_answer": "Read a.txt first."},
            {"text": "Let me think.", "on_correction": ["vote agent1"]},
        ],
        "present": [
            {"calls": [{"name": "read_file", "arguments": {"path": "a.txt"}}]},
            "It says hello.",
        ],
    },
    "m-b": {"draft": "Look.", "evaluate": "vote agent1"},
}


@dataclass(frozen=True)
class Tap:
    """An ASGI app that keeps the bytes of every request, by the model that it asks for."""

    app: ScriptedServer
    sent: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = bytearray()

        async def listen() -> MutableMapping[str, Any]:
            event: MutableMapping[str, Any] = await receive()
            if event["type"] == "http.request":
                body.extend(event.get("body", b""))
                if not event.get("more_body"):
                    self.sent[json.loads(body)["model"]].append(bytes(body))
            return event

        await self.app(scope, listen, send)


def team(url: str, api: Api, **more: Any) -> Team:
    backend = Backend(base_url=f"{url}/v1", api=api)
    role = "You doubt everything. " * 20
    members = [
        Agent(name, model=f"m-{name}", backend=backend, system_message=role, **more)
        for name in "ab"
    ]
    return Team("team", members)


async def converse(api: Api, **more: Any) -> dict[str, list[bytes]]:
    """A run in which ``a`` is corrected, answers anew and presents a call; then its follow-up."""
    tap = Tap(ScriptedServer(SCRIPTS))
    with serving(tap) as url:
        async with MassGen(team(url, api, **more), env=ENV) as massgen:
            body = {"model": "team", "messages": OPENING, "tools": [TOOL]}
            message = (await massgen.chat(body)).choices[0].message
            assert message.tool_calls
            result = {
                "role": "tool",
                "tool_call_id": message.tool_calls[0].id,
                "content": "hello",
            }
            said = message.model_dump(exclude_none=True)
            await massgen.chat({**body, "messages": [*OPENING, said, result]})
    return tap.sent


def section(raw: bytes, name: str) -> bytes:
    """The array under a name in the body, as it was sent; empty where there is none."""
    start = raw.find(f'"{name}":['.encode())
    if start < 0:
        return b""
    start += len(name) + 3
    _, end = json.JSONDecoder().raw_decode(raw[start:].decode())
    return raw[start:].decode()[:end].encode()


def common(texts: list[bytes]) -> bytes:
    first, last = min(texts), max(texts)
    same = (a == b for a, b in zip(first, last, strict=False))
    return first[: next((at for at, equal in enumerate(same) if not equal), len(first))]


PHASES = ["draft", "draft", "evaluate", "evaluate", "evaluate", "present", "follow-up"]


@pytest.mark.anyio
@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_the_conversation_stays_the_same_bytes_in_all_rounds_and_follow_ups(
    api: Api,
) -> None:
    with anyio.fail_after(20):
        sent = await converse(api)
    assert len(sent["m-a"]) == len(PHASES)
    name = "messages" if api == "chat" else "input"
    for bodies in sent.values():
        stable = common([section(raw, name) for raw in bodies])
        assert QUESTION.encode() in stable
        assert b"You doubt everything." in stable
        assert b"You are an editor." in stable
        assert b"## Round" not in stable, "what changes stands behind it"


@pytest.mark.anyio
@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_a_correction_goes_on_from_the_very_bytes_of_what_it_corrects(api: Api) -> None:
    with anyio.fail_after(20):
        sent = (await converse(api))["m-a"]
    name = "messages" if api == "chat" else "input"
    for before, after in ((0, 1), (3, 4)):
        first, second = section(sent[before], name), section(sent[after], name)
        assert second.startswith(first[:-1] + b",")
        assert section(sent[before], "tools") == section(sent[after], "tools")


@pytest.mark.anyio
@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_tools_stay_the_same_bytes_within_a_phase_and_differ_between_phases(
    api: Api,
) -> None:
    """At OpenAI tools stand before the messages in what is cached: docs/costs.md says so."""
    with anyio.fail_after(20):
        sent = (await converse(api))["m-a"]
    tools: dict[str, set[bytes]] = defaultdict(set)
    for phase, raw in zip(PHASES, sent, strict=True):
        tools["present" if phase == "follow-up" else phase].add(section(raw, "tools"))
    assert [len(seen) for seen in tools.values()] == [1, 1, 1]
    assert len(set[bytes]().union(*tools.values())) == 3


@pytest.mark.anyio
@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_each_agent_has_a_key_of_its_own_and_keeps_it(api: Api) -> None:
    with anyio.fail_after(20):
        with_keys = await converse(api, prompt_cache_key=True)
        without = await converse(api)
    keys = {
        model: {json.loads(raw)["prompt_cache_key"] for raw in bodies}
        for model, bodies in with_keys.items()
    }
    assert [len(seen) for seen in keys.values()] == [1, 1]
    assert keys["m-a"].isdisjoint(keys["m-b"])
    for bodies in without.values():
        assert all(b"prompt_cache_key" not in raw for raw in bodies)


@pytest.mark.anyio
async def test_a_key_in_the_agents_own_config_wins() -> None:
    with anyio.fail_after(20):
        sent = await converse("chat", prompt_cache_key=True, params={"prompt_cache_key": "mine"})
    assert {json.loads(raw)["prompt_cache_key"] for raw in sent["m-a"]} == {"mine"}


# The keys

PAIR = Team("pair", [Agent("a", model="m"), Agent("b", model="m")])
ASKED = RunRequest(team="pair", messages=(text_message("system", "x"), text_message("user", "y")))


def test_a_conversation_that_goes_on_keeps_its_keys_and_another_has_others() -> None:
    keys = cache_keys(PAIR, ASKED)
    longer = (*ASKED.messages, text_message("assistant", "z"), text_message("user", "and?"))
    assert cache_keys(PAIR, replace(ASKED, messages=longer)) == keys
    others = (
        replace(ASKED, messages=(text_message("system", "x"), text_message("user", "Y"))),
        replace(ASKED, messages=(text_message("user", "xy"),)),
        replace(ASKED, messages=(text_message("user", "x"), text_message("user", "y"))),
        replace(ASKED, cache_key="thread-1"),
    )
    seen = {key for each in (ASKED, *others) for key in cache_keys(PAIR, each).values()}
    assert len(seen) == 2 * 5


def test_a_clients_key_makes_the_keys_and_does_not_show() -> None:
    named = replace(ASKED, cache_key="alice@example.com " * 20)
    keys = cache_keys(PAIR, named)
    assert cache_keys(PAIR, replace(named, messages=(text_message("user", "other"),))) == keys
    assert keys != cache_keys(Team("other", PAIR.agents), named)
    for key in (*keys.values(), *cache_keys(PAIR, ASKED).values()):
        assert len(key) == 32
        assert set(key) <= set("0123456789abcdef")


def test_any_text_makes_a_key() -> None:
    odd = Message(role="user", content=(Text("\ud800"), Text("")))
    assert len(set(cache_keys(PAIR, replace(ASKED, messages=(odd,))).values())) == 2


# Who gets them

OPENAI, ELSEWHERE = "https://api.openai.com/v1", "http://127.0.0.1:9/v1"


@dataclass(frozen=True)
class Case:
    backend: str
    url: str
    setting: bool | None = None
    takes: bool = False


@pytest.mark.parametrize(
    "case",
    [
        Case("openai", OPENAI, takes=True),
        Case("openai", OPENAI, setting=False),
        Case("openai", ELSEWHERE),
        Case("openai", ELSEWHERE, setting=True, takes=True),
        Case("azure_openai", "https://x.openai.azure.com"),
        Case("azure_openai", "https://x.openai.azure.com", setting=True, takes=True),
        Case("chatcompletion", OPENAI, setting=True),
        Case("openrouter", "https://openrouter.ai/api/v1"),
        Case("scripted", "", setting=True),
    ],
    ids=lambda case: f"{case.backend} {case.url} {case.setting}",
)
def test_only_who_is_known_to_take_a_key_gets_one_unless_the_config_says_so(case: Case) -> None:
    backend = Backend(type=case.backend)
    agent = Agent("a", model="m", backend=backend, prompt_cache_key=case.setting)
    assert takes_cache_key(agent, case.url) is case.takes


@dataclass(frozen=True)
class Header:
    agent: Agent
    ignored: bool


@pytest.mark.parametrize(
    "case",
    [
        Header(Agent("a", model="m"), ignored=False),
        Header(Agent("a", model="m", prompt_cache_key=False), ignored=True),
        Header(Agent("a", model="m", backend=Backend(type="scripted")), ignored=True),
    ],
    ids=["openai", "off", "scripted"],
)
def test_a_clients_key_that_nobody_takes_is_named_as_ignored(case: Header) -> None:
    massgen = MassGen(Team("team", [case.agent]), env=ENV)
    request = massgen.parse({"model": "team", "messages": OPENING, "prompt_cache_key": "k"})
    assert ("prompt_cache_key" in massgen.admit(request).ignored) is case.ignored


CONFIG = """\
agents:
- {id: a, backend: {type: openai}}
- {id: b, backend: {type: openrouter, model: x}}
- {id: c, backend: {type: azure_openai, model: d}, massgen_compat: {prompt_cache_key: true}}
"""


def test_a_config_sets_it_for_all_agents_or_for_one() -> None:
    agents = parse(f"{CONFIG}massgen_compat: {{prompt_cache_key: false}}", {}, "t.yaml").team.agents
    assert [agent.prompt_cache_key for agent in agents] == [False, False, True]
    report = check_text(CONFIG, {}, "t.yaml")
    levels = {finding.key: finding.level for finding in report.findings}
    assert levels["agents[2].massgen_compat.prompt_cache_key"] == "honoured"


def test_an_agent_whose_backend_takes_no_key_cannot_be_told_to_send_one() -> None:
    text = CONFIG.replace("model: x}", "model: x}, massgen_compat: {prompt_cache_key: true}")
    with pytest.raises(ConfigError, match="`openai` and `azure_openai`, and this is `openrouter`"):
        parse(text, {}, "t.yaml")
