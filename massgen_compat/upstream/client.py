"""The OpenAI SDK as a ``ModelClient``: one call of one agent's model, and the shared connections.

The SDK does what it does well (credentials, URLs, retries, timeouts, Azure); the stream is taken
from it as bytes and read here, because its typed chunks cost 65 µs each (``speed.md`` §2). Nothing
of the SDK's or of its HTTP library leaves this module: both ``httpx`` and ``httpx2`` are in use by
the versions that are supported, so neither is imported.
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import (
    AsyncExitStack,
    asynccontextmanager,
)
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

import anyio
import openai
from anyio.lowlevel import current_token
from openai import AsyncAzureOpenAI, AsyncOpenAI

from massgen_compat.errors import (
    MassGenError,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from massgen_compat.policies import DEFAULT, Policy
from massgen_compat.policies.request import Shaped, shape
from massgen_compat.run import Agent, Api
from massgen_compat.turn import ModelClient, TurnEvent, TurnRequest
from massgen_compat.upstream import chat, responses
from massgen_compat.upstream.backends import Endpoint, resolve
from massgen_compat.upstream.failures import failure, retry_after
from massgen_compat.upstream.reader import ReplyReader
from massgen_compat.upstream.stream import CLOSE_SECONDS, EventStream, OpenResponse, leave

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Learned:
    """What the clients of one endpoint found out, for the life of its connections.

    ``effortless``: models that refuse ``reasoning_effort`` next to function tools. ``told``: what
    was logged, so that it is said once.
    """

    effortless: set[str] = field(default_factory=set[str])
    told: set[tuple[str, ...]] = field(default_factory=set[tuple[str, ...]])


class OpenAIModelClient:
    """Answers one agent's turns through ``sdk``, on the wire ``api``, under ``policy``."""

    def __init__(
        self,
        agent: Agent,
        sdk: AsyncOpenAI,
        *,
        api: Api,
        policy: Policy = DEFAULT,
        learned: Learned | None = None,
    ) -> None:
        self._agent = agent
        self._sdk = sdk
        self._api: Api = api
        self._policy = policy
        self._learned = learned or Learned()

    @asynccontextmanager
    async def stream(self, request: TurnRequest, /) -> AsyncGenerator[AsyncIterator[TurnEvent]]:
        """Open one model call, as ``ModelClient.stream`` says."""
        async with AsyncExitStack() as stack:
            response, effort = await self._open(stack, request)
            chunks = response.iter_bytes()
            try:
                yield EventStream(chunks, ReplyReader(self._api), effort)
            finally:
                await leave(response, chunks)

    async def _open(
        self, stack: AsyncExitStack, request: TurnRequest
    ) -> tuple[OpenResponse, str | None]:
        """Send the request; the response, and the reasoning effort that was asked for."""
        shaped = self._shaped(request)
        try:
            try:
                return await self._send(stack, request, shaped.body), shaped
            except openai.BadRequestError as error:
                if not self._refuses_effort(error, shaped.body):
                    raise
                self._learned.effortless.add(self._agent.model)
                shaped = self._shaped(request)
                return await self._send(stack, request, shaped.body), shaped
        except openai.OpenAIError as error:
            raise self._failure(error) from error
        except Exception as error:
            # The SDK maps what it knows of its HTTP library; its versions differ in what they know.
            name = type(error).__name__
            raise UpstreamUnreachable(f"the request could not be sent ({name})") from error

    async def _send(
        self, stack: AsyncExitStack, request: TurnRequest, body: Mapping[str, Any]
    ) -> OpenResponse:
        """``extra_body`` goes to the wire as it is. As named arguments the same fields pass through
        the SDK's typed transform: 16 ms instead of 0.5 for a history of 400 messages (3.54).
        Azure's client needs ``model`` for its URL, and the SDK ``stream`` for itself.
        """
        extra = {k: v for k, v in body.items() if k not in {"model", "stream"}}
        headers = dict(request.headers)
        model: str = body["model"]
        if self._api == "responses":
            return await stack.enter_async_context(
                self._sdk.responses.with_streaming_response.create(
                    model=model, stream=True, extra_body=extra, extra_headers=headers
                )
            )
        return await stack.enter_async_context(
            self._sdk.chat.completions.with_streaming_response.create(
                model=model, messages=[], stream=True, extra_body=extra, extra_headers=headers
            )
        )

    def _shaped(self, request: TurnRequest) -> Shaped:
        build = responses.body if self._api == "responses" else chat.body
        shaped = shape(self._policy, self._api, build(request, self._agent))
        if shaped.dropped:
            self._tell("dropped", *shaped.dropped)
        if self._agent.model in self._learned.effortless and "tools" in shaped.body:
            self._tell("dropped", "reasoning_effort")
            body = {k: v for k, v in shaped.body.items() if k != "reasoning_effort"}
            return replace(shaped, body=body, effort=None)
        return shaped

    def _refuses_effort(self, error: openai.BadRequestError, body: Mapping[str, Any]) -> bool:
        """gpt-5.4 and gpt-5.5 on Chat Completions refuse an effort next to function tools
        (``gpt-5.2.md`` §2.3): without it the agent can at least take part."""
        asked = "reasoning_effort" in body and "tools" in body
        return asked and error.param == "reasoning_effort" and "tools" in error.message.lower()

    def _failure(self, error: openai.OpenAIError) -> MassGenError:
        match error:
            case openai.APITimeoutError():
                return UpstreamTimeout("the provider did not answer in time")
            case openai.APIStatusError():
                wait = retry_after(error.response.headers, now=datetime.now(UTC))
                return failure(
                    error.body,
                    status=error.status_code,
                    retry_after=wait,
                    secret=self._sdk.api_key,
                )
            case _:
                return UpstreamUnreachable(
                    "the provider could not be reached; check the network and the backend's URL"
                )

    def _tell(self, *what: str) -> None:
        known = (self._agent.model, *what)
        if known not in self._learned.told:
            self._learned.told.add(known)
            _log.warning("model %s: %s %s", known[0], known[1], ", ".join(known[2:]))


@dataclass(frozen=True, slots=True)
class _Connection:
    sdk: AsyncOpenAI
    learned: Learned


class Connections:
    """The SDK's clients, one for each endpoint and event loop, made when they are first needed.

    Agents with the same endpoint share a connection pool and its TLS context (23 ms to make).
    ``env`` holds the keys; ``policy_of`` gives the policy that an agent is under. The timeouts are
    seconds: to connect, and between two reads. ``max_retries`` are the SDK's, before the first
    byte of a reply.
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

    def connect(self, agent: Agent) -> ModelClient:
        """The agent's model; has to be called in an event loop. Raises ``ConfigError``."""
        endpoint = resolve(agent.backend, self._env)
        place = (current_token(), endpoint)
        if place not in self._open:
            self._open[place] = _Connection(self._sdk(endpoint), Learned())
        connection = self._open[place]
        return OpenAIModelClient(
            agent,
            connection.sdk,
            api=endpoint.api,
            policy=self._policy_of(agent),
            learned=connection.learned,
        )

    async def aclose(self) -> None:
        """Close the connections of this event loop and forget those of others, which are gone."""
        token = current_token()
        mine = [connection for (loop, _), connection in self._open.items() if loop == token]
        self._open.clear()
        for connection in mine:
            with anyio.move_on_after(CLOSE_SECONDS, shield=True):
                await connection.sdk.close()

    def _sdk(self, endpoint: Endpoint) -> AsyncOpenAI:
        timeout = openai.Timeout(self._read_timeout, connect=self._connect_timeout)
        http = openai.DefaultAsyncHttpxClient(
            timeout=timeout,
            limits=type(openai.DEFAULT_CONNECTION_LIMITS)(
                max_connections=self._max_connections,
                max_keepalive_connections=256,
                keepalive_expiry=30.0,
            ),
        )
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
            sdk.organization = sdk.project = None  # the SDK reads them for OpenAI, not for others
        return sdk
