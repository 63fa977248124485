"""The connections to the providers. Agents with the same endpoint share one client of the SDK."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import anyio
import openai
import sniffio
from anyio.lowlevel import current_token
from openai import AsyncAzureOpenAI, AsyncOpenAI

from massgen_compat._run.team import Agent
from massgen_compat._upstream.backends import Endpoint, resolve, takes_cache_key
from massgen_compat._upstream.client import OpenAIModelClient
from massgen_compat._upstream.stream import CLOSE_SECONDS
from massgen_compat.policies import DEFAULT, Policy


@dataclass(frozen=True, slots=True)
class _Connection:
    sdk: AsyncOpenAI
    effortless: set[str] = field(default_factory=set[str])
    told: set[tuple[str, ...]] = field(default_factory=set[tuple[str, ...]])
    streaming: set[str] = field(default_factory=set[str])


def _http_client(**options: Any) -> Any:
    """The SDK's HTTP client on aiohttp where that is installed, else its default one.

    The pool of the default client looks through all its connections for each request, which takes
    too long with many open streams. aiohttp runs on asyncio only.
    """
    if sniffio.current_async_library() == "asyncio":
        with suppress(RuntimeError):  # what the SDK raises without aiohttp
            return openai.DefaultAioHttpClient(**options)
    return openai.DefaultAsyncHttpxClient(**options)


class Connections:
    """The SDK's clients, one for each endpoint and event loop, made when they are first needed.

    Agents with the same endpoint share a connection pool and its TLS context, which takes 23 ms to
    make. ``env`` has the keys, by the names of environment variables. ``policy_of`` gives the
    policy of an agent. ``connect_timeout`` and ``read_timeout`` are seconds, for turns that bring
    no timeouts; the second one is between two reads. ``max_retries`` is how often the SDK sends a
    request again before the first byte of its reply. ``max_connections`` is for each endpoint.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        *,
        policy_of: Callable[[Agent], Policy] = lambda _: DEFAULT,
        max_retries: int = 2,
        connect_timeout: float = 5.0,
        read_timeout: float = 300.0,
        max_connections: int = 4096,
    ) -> None:
        self._env = env
        self._policy_of = policy_of
        self._max_retries = max_retries
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._max_connections = max_connections
        self._open: dict[tuple[object, Endpoint], _Connection] = {}
        self._clients: dict[tuple[object, Agent], OpenAIModelClient] = {}

    def connect(self, agent: Agent) -> OpenAIModelClient:
        """The client of the agent's model, made when it is first asked for.

        It has to be called in an event loop. Raises ``ConfigError`` for a missing key or URL.
        """
        place = (current_token(), agent)
        if place not in self._clients:
            self._clients[place] = self._client(agent)
        return self._clients[place]

    def _client(self, agent: Agent) -> OpenAIModelClient:
        endpoint = resolve(agent.backend, self._env)
        place = (current_token(), endpoint)
        if place not in self._open:
            self._open[place] = _Connection(self._sdk(endpoint))
        connection = self._open[place]
        return OpenAIModelClient(
            agent,
            connection.sdk,
            api=endpoint.api,
            policy=self._policy_of(agent),
            cache_key=takes_cache_key(agent, endpoint.base_url),
            effortless=connection.effortless,
            told=connection.told,
            streaming=connection.streaming,
        )

    async def aclose(self) -> None:
        """Close the connections of this event loop, and forget those of loops that have ended."""
        token = current_token()
        mine = [connection for (loop, _), connection in self._open.items() if loop == token]
        self._open.clear()
        self._clients.clear()
        for connection in mine:
            with anyio.move_on_after(CLOSE_SECONDS, shield=True):
                await connection.sdk.close()

    def _sdk(self, endpoint: Endpoint) -> AsyncOpenAI:
        timeout = openai.Timeout(self._read_timeout, connect=self._connect_timeout)
        limits = type(openai.DEFAULT_CONNECTION_LIMITS)(
            max_connections=self._max_connections,
            max_keepalive_connections=self._max_connections,
            keepalive_expiry=30.0,
        )
        http = _http_client(timeout=timeout, limits=limits)
        if endpoint.azure:
            return AsyncAzureOpenAI(
                azure_endpoint=endpoint.base_url,
                api_key=endpoint.api_key,
                api_version=endpoint.api_version,
                timeout=timeout,
                max_retries=self._max_retries,
                http_client=http,
            )
        sdk = AsyncOpenAI(
            base_url=endpoint.base_url,
            api_key=endpoint.api_key,
            timeout=timeout,
            max_retries=self._max_retries,
            http_client=http,
        )
        if not endpoint.base_url.startswith("https://api.openai.com/"):
            # The SDK reads both from the environment. They are for OpenAI only.
            sdk.organization = sdk.project = None
        return sdk
