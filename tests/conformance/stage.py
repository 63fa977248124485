"""Teams of one and of three agents behind a real server; their models are scripts behind HTTP."""

import json
from collections.abc import Callable, Generator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from starlette.applications import Starlette

from massgen_compat import Agent, Backend, MassGen, Team, TeamSettings
from massgen_compat._run.team import Api
from massgen_compat._upstream.connections import Connections
from massgen_compat.asgi import create_app
from massgen_compat.cli.server import serving
from massgen_compat.policies import Policy
from massgen_compat.protocol.parameters import UnknownParams
from massgen_compat.testing import ScriptedServer
from tests.conformance.exchange import CHAT, Exchange, exchange

Scope: TypeAlias = MutableMapping[str, Any]

HELLO: list[dict[str, Any]] = [{"role": "user", "content": "Why is the sky blue?"}]
PROVIDER_KEY = "sk-provider-0123456789"
ANSWER = "It scatters: short waves END more than “long” ones. 🌈"
QUIET = {"massgen": "off"}
"""Nothing of our own in the response: teams of the stage have no trace either."""

MEMBERS: Mapping[str, tuple[Api, ...]] = {"one": ("chat",), "three": ("responses", "chat", "chat")}
"""The casts, and the wire of each agent's model. The first agent wins and presents."""


def tool(name: str, **fields: Any) -> dict[str, Any]:
    city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return {"type": "function", "function": {"name": name, "parameters": city, **fields}}


TOOLS = [tool("weather"), tool("time")]
CALL = {"name": "weather", "arguments": {"city": "Zürich \n"}}

SCRIPTS: dict[str, dict[str, Any]] = {
    "text": {"present": ANSWER},
    "refusal": {"present": {"refusal": "I cannot do that."}},
    "cut-short": {"present": {"text": "It scat", "finish_reason": "length"}},
    "filtered": {"present": {"text": "It", "finish_reason": "content_filter"}},
    "call": {"present": {"calls": [CALL]}},
    "calls": {"present": {"calls": [CALL, {"name": "time", "arguments": {"city": "Rome"}}]}},
    "text-and-call": {"present": {"text": "One moment.", "calls": [CALL]}},
    "custom-call": {"present": {"calls": [{"name": "weather", "arguments": "Zürich"}]}},
    "no-usage": {"present": {"text": ANSWER, "usage": None}},
    "thoughtful": {"present": {"text": ANSWER, "reasoning": "Waves are short or long."}},
    "json": {"present": '{"answer": "It scatters.", "sure": true}'},
    "never-json": {"present": "It scatters."},
    "limited": {
        "draft": {"fail": {"status": 429, "retry_after": 7}},
        "present": {"fail": {"status": 429, "retry_after": 7}},
    },
    "keyless": {
        "draft": {"fail": {"status": 401, "message": f"Wrong: {PROVIDER_KEY}."}},
        "present": {"fail": {"status": 401, "message": f"Wrong: {PROVIDER_KEY}."}},
    },
    "broken": {
        "draft": {"fail": {"status": 500}},
        "present": {"fail": {"status": 500}},
    },
    "too-long": {
        "draft": {"fail": {"status": 400, "code": "context_length_exceeded"}},
        "present": {"fail": {"status": 400, "code": "context_length_exceeded"}},
    },
    "stumbling": {"present": {"text": ANSWER, "fail": {"status": 500, "after_tokens": 3}}},
    "severed": {"present": {"text": ANSWER, "fail": {"cut": True, "after_tokens": 3}}},
}


@dataclass(frozen=True)
class Stage:
    """A served stage. Equal requests are sent once: their answer is judged by many rules."""

    url: str
    upstream: ScriptedServer
    answers: dict[str, Exchange] = field(default_factory=dict[str, Exchange])

    def chat(self, cast: str, script: str = "text", /, **params: Any) -> Exchange:
        """A chat request to a cast whose models play a script."""
        return self.post({"model": f"{cast}-{script}", "messages": HELLO, **QUIET, **params})

    def post(self, body: Mapping[str, Any]) -> Exchange:
        key = json.dumps(body)
        if key not in self.answers:
            self.answers[key] = self.send(dict(body))
        return self.answers[key]

    def send(
        self,
        body: object = None,
        path: str = CHAT,
        *,
        method: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Exchange:
        """A request of any kind, sent anew."""
        before = len(self.upstream.requests)
        answer = exchange(self.url, body, path, method=method, headers=headers)
        return replace(answer, asked=self.upstream.requests[before:])


@contextmanager
def stage(
    scripts: Mapping[str, Mapping[str, Any]] = SCRIPTS,
    *,
    settings: TeamSettings = TeamSettings(trace="off"),  # noqa: B008 - it is frozen
    names: Mapping[str, str] | None = None,
    unknown_params: UnknownParams = "warn",
    provider: Callable[[ScriptedServer], Any] | None = None,
    **options: Any,
) -> Generator[Stage]:
    """Serve a team of each cast for each script, as ``CAST-SCRIPT`` or under the given names.

    ``provider`` wraps the server of the scripts; ``options`` are those of ``create_app``.
    """
    upstream = ScriptedServer(dict(scripts), keep_requests=1_000_000)
    with serving(provider(upstream) if provider else upstream) as address:
        teams = [
            Team(
                (names or {}).get(f"{cast}-{script}", f"{cast}-{script}"),
                [agent(number, api, script, address) for number, api in enumerate(apis)],
                settings=settings,
            )
            for cast, apis in MEMBERS.items()
            for script in scripts
        ]

        def policy_of(each: Agent) -> Policy:
            return massgen.policy_of(each)

        connections = Connections({}, policy_of=policy_of, max_retries=0)
        massgen = MassGen(
            *teams, env={}, connect=connections.connect, unknown_params=unknown_params
        )
        with serving(closing(create_app(massgen, **options), connections)) as url:
            yield Stage(url, upstream)


def closing(app: Starlette, connections: Connections) -> Callable[[Scope, Any, Any], Any]:
    """The app, with the connections closed when it shuts down, on its event loop."""

    async def serve(scope: Scope, receive: Any, send: Any) -> None:
        async def closed_first(message: Scope) -> None:
            if message["type"] == "lifespan.shutdown.complete":
                await connections.aclose()
            await send(message)

        await app(scope, receive, closed_first)

    return serve


def agent(number: int, api: Api, model: str, address: str) -> Agent:
    backend = Backend(type="openai", api=api, base_url=f"{address}/v1", api_key=PROVIDER_KEY)
    return Agent(f"agent{number}", model=model, backend=backend)
