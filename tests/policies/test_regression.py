"""A model without a row in the policy table gets the very bytes that it got without any policy."""

from collections import defaultdict
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from massgen_compat._run.team import Api
from massgen_compat.cli.server import serving
from massgen_compat.events import Answered, RunEvent, SubmissionRejected
from massgen_compat.testing import ScriptedServer
from tests.recording import AGENT_HEADER
from tests.scenarios import Scenario, follow, member

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """One event loop is enough: what is sent does not depend on it."""
    return "asyncio"


UNTOUCHED = (
    "gpt-5",
    "gpt-5-mini",
    "gpt-4o",
    "gpt-4.1",
    "gpt-5.2-chat-latest",
    "gpt-5.2-pro",
    "gpt-5.5",
    "claude-sonnet-4-5",
    "gemini-3-flash-preview",
    "grok-4-1-fast-reasoning",
    "a-model-nobody-knows",
)
PEER = "o3"
IMPROVING = {
    "draft": [{"text": "Hm.", "calls": [{"name": "look"}]}, "It scatters."],
    "evaluate": [{"new_answer": "Short waves scatter more."}, "vote agent1"],
}
Sent = dict[str, list[bytes]]


@dataclass(frozen=True)
class Tap:
    """An ASGI app that keeps the bytes of every request, by agent."""

    app: ScriptedServer
    sent: Sent = field(default_factory=lambda: defaultdict(list))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        agent = dict(scope["headers"])[AGENT_HEADER.encode()].decode()
        body = bytearray()

        async def listen() -> MutableMapping[str, Any]:
            event: MutableMapping[str, Any] = await receive()
            if event["type"] == "http.request":
                body.extend(event.get("body", b""))
                if not event.get("more_body"):
                    self.sent[agent].append(bytes(body))
            return event

        await self.app(scope, listen, send)


async def run(model: str, api: Api, policy: str | None) -> tuple[Sent, tuple[RunEvent, ...]]:
    """A whole run: ``a`` is corrected once and improves its answer once, ``b`` votes."""
    scenario = Scenario(
        name=model,
        agents=(member("a", model, temperature=0.7), member("b", PEER)),
        params={"max_completion_tokens": 900},
        held=frozenset({("b", 2)}),
    )
    tap = Tap(ScriptedServer({model: IMPROVING}, default={}))
    with serving(tap) as url:
        events = await follow(scenario, api, f"{url}/v1", policy=policy)
    return tap.sent, events


@pytest.mark.parametrize("api", ["responses", "chat"])
@pytest.mark.parametrize("model", UNTOUCHED)
async def test_a_model_without_a_policy_gets_the_default_policys_bytes(
    model: str, api: Api
) -> None:
    by_table, events = await run(model, api, None)
    by_default, _ = await run(model, api, "default")
    assert by_table == by_default
    assert {agent: len(bodies) for agent, bodies in by_table.items()} == {"a": 5, "b": 2}
    assert [event.number for event in events if isinstance(event, Answered)][-1] == 2
    assert sum(isinstance(event, SubmissionRejected) for event in events) == 1


@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_gpt_5_2_gets_other_bytes_and_its_peer_does_not(api: Api) -> None:
    by_table, _ = await run("gpt-5.2", api, None)
    by_default, _ = await run("gpt-5.2", api, "default")
    assert len(by_table["a"]) == len(by_default["a"]) == 5
    for new, old in zip(by_table["a"], by_default["a"], strict=True):
        assert new != old
    assert by_table["b"] == by_default["b"]
