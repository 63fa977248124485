"""The OpenAI SDK as a ``ModelClient``: the client of one agent's model.

The SDK does what it does well: credentials, URLs, retries, timeouts, Azure. The stream is taken
from it as bytes and read here, because its typed chunks cost 65 µs each (docs/performance.md). No
type or error of the SDK or of its HTTP library leaves this package. The supported versions use
``httpx`` or ``httpx2``, so neither is imported.
"""

import logging
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import openai
from openai import AsyncAzureOpenAI, AsyncOpenAI

from massgen_compat._aio import in_thread
from massgen_compat._run.message import has_many_parts
from massgen_compat._run.team import Agent, Api
from massgen_compat._run.turn import Hear, Reply, TurnRequest
from massgen_compat._upstream import chat, responses
from massgen_compat._upstream.backends import takes_custom_tools
from massgen_compat._upstream.failures import failure, retry_after
from massgen_compat._upstream.freeform import Unwrapper, as_functions
from massgen_compat._upstream.parameters import unsupported
from massgen_compat._upstream.reader import ReplyReader
from massgen_compat._upstream.stream import OpenResponse, hear_out, leave
from massgen_compat._upstream.tolerant import mapping
from massgen_compat.errors import MassGenError, UpstreamTimeout, UpstreamUnreachable
from massgen_compat.policies import DEFAULT, Policy
from massgen_compat.policies.request import Shaped, shape

_log: Final = logging.getLogger(__name__)

_RESPONSE: Final[Any] = sys.modules[
    type(openai.DEFAULT_CONNECTION_LIMITS).__module__.partition(".")[0]
].Response
"""The class of responses in the HTTP library that the SDK uses, ``httpx`` or ``httpx2``."""

_GATEWAY_TIMEOUTS: Final = frozenset({408, 504, 524})
"""Statuses of a gateway that waited too long for the first byte of a reply; 524 is Cloudflare's.
From then on the replies of that model are streamed, so that a first byte comes early."""


class OpenAIModelClient:
    """Makes one agent's model calls through ``sdk``, on the wire ``api``, under ``policy``.

    ``cache_key``: whether requests carry the turn's key for prompt caches. The clients of one
    endpoint share three sets, to which they add what they find. ``effortless`` has the models that
    refuse a reasoning effort next to function tools, ``streaming`` those whose replies have to be
    streamed, and ``told`` what was logged already.
    """

    def __init__(
        self,
        agent: Agent,
        sdk: AsyncOpenAI,
        *,
        api: Api,
        policy: Policy = DEFAULT,
        cache_key: bool = False,
        effortless: set[str] | None = None,
        told: set[tuple[str, ...]] | None = None,
        streaming: set[str] | None = None,
    ) -> None:
        self._agent = agent
        self._sdk = sdk
        self._api: Api = api
        self._url = _url(sdk, api)
        self._policy = policy
        self._cache_key = cache_key
        self._effortless = set[str]() if effortless is None else effortless
        self._told = set[tuple[str, ...]]() if told is None else told
        self._streaming = set[str]() if streaming is None else streaming

    async def ask(self, request: TurnRequest, hear: Hear, /) -> Reply:
        """Make one model call, as ``ModelClient.ask`` says."""
        unwrapper = None
        custom = [tool.name for tool in request.tools if tool.custom]
        if not takes_custom_tools(self._agent):
            request = as_functions(request)
            unwrapper = Unwrapper(custom) if custom else None
        response, shaped = await self._open(request)
        chunks = response.aiter_bytes()
        try:
            reply = await hear_out(chunks, ReplyReader(self._api), hear, unwrapper=unwrapper)
        finally:
            await leave(response, chunks)
        if shaped.effort is None and not shaped.dropped:
            return reply
        return replace(reply, effort_asked=shaped.effort, dropped=shaped.dropped)

    @asynccontextmanager
    async def exchange(
        self, request: TurnRequest, body: Mapping[str, Any]
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        """Send a body that was written elsewhere; the context gives the bytes of its reply.

        Only the headers and the timeouts of ``request`` are used. To leave the context aborts the
        call. Entering it raises what ``ModelClient.ask`` raises; the bytes raise the errors of the
        HTTP library, which ``receive`` maps.
        """
        with self._mapped():
            shaped = self._without_refused_effort(Shaped(body=dict(body), effort=None))
            try:
                response = await self._send(request, shaped.body)
            except openai.BadRequestError as error:
                if not self._refuses_effort(error, shaped.body):
                    raise
                self._effortless.add(self._agent.model)
                shaped = self._without_refused_effort(shaped)
                response = await self._send(request, shaped.body)
        chunks = response.aiter_bytes()
        try:
            yield chunks
        finally:
            await leave(response, chunks)

    async def _open(self, request: TurnRequest) -> tuple[OpenResponse, Shaped]:
        """Send the request; return its response, and the request as it was accepted.

        A request that is refused for one of three known reasons is changed and sent once more.
        """
        shaped = await self._written(request)
        with self._mapped():
            try:
                return await self._send(request, shaped.body), shaped
            except openai.BadRequestError as error:
                if self._refuses_effort(error, shaped.body):
                    self._effortless.add(self._agent.model)
                    shaped = self._shaped(request)
                elif _refuses_format(error, shaped.body):
                    shaped = _without_format(shaped)
                elif _demands_stream(error, shaped.body):
                    self._streaming.add(self._agent.model)
                    shaped = self._shaped(request)
                else:
                    raise
                return await self._send(request, shaped.body), shaped

    @contextmanager
    def _mapped(self) -> Generator[None]:
        """Raise errors of the SDK and of its HTTP library as those of this library."""
        try:
            yield
        except openai.OpenAIError as error:
            if isinstance(error, openai.APIStatusError) and error.status_code in _GATEWAY_TIMEOUTS:
                self._streaming.add(self._agent.model)
            raise self._failure(error) from error
        except Exception as error:
            # The SDK maps what it knows of its HTTP library; its versions differ in what they know.
            name = type(error).__name__
            raise UpstreamUnreachable(f"the request could not be sent ({name})") from error

    async def _send(self, request: TurnRequest, body: Mapping[str, Any]) -> OpenResponse:
        """Send the body; return the open response.

        The SDK has ``post`` for endpoints without a method. It sends the body as it is, and returns
        the HTTP library's response where that type is asked for. The SDK's methods pass the body
        through a typed transform. With 400 messages that blocks the event loop for 75 ms (Chat) to
        140 ms (Responses), and with one it costs 0.1 ms (measured with SDK 3.54).
        """
        first = {name: body[name] for name in ("model", "stream", "messages") if name in body}
        post: Any = self._sdk.post
        return await post(
            self._url,
            cast_to=_RESPONSE,
            body={**first, **body},  # in the order in which its methods write it
            options={
                "headers": dict(request.headers),
                "timeout": _timeout(request, self._sdk.timeout),
            },
            stream=True,
        )

    async def _written(self, request: TurnRequest) -> Shaped:
        if has_many_parts(request.messages, request.tools):
            return await in_thread(lambda: self._shaped(request))
        return self._shaped(request)

    def _shaped(self, request: TurnRequest) -> Shaped:
        """The body to send. Parameters that it leaves out are logged, once for each model."""
        shaped = self._without_refused_effort(self._under_policy(request))
        found = (self._agent.model, *shaped.dropped)
        if shaped.dropped and found not in self._told:
            self._told.add(found)
            left_out = ", ".join(shaped.dropped)
            _log.warning("requests to model %s are sent without %s", self._agent.model, left_out)
        return shaped

    def _under_policy(self, request: TurnRequest) -> Shaped:
        if request.whole and self._agent.model in self._streaming:
            request = replace(request, whole=False)
        if request.cache_key is not None and not self._cache_key:
            request = replace(request, cache_key=None)
        if self._api == "chat":
            return shape(self._policy, "chat", chat.body(request, self._agent))
        shaped = shape(self._policy, "responses", responses.body(request, self._agent))
        return replace(shaped, dropped=(*shaped.dropped, *unsupported(request.params)))

    def _without_refused_effort(self, shaped: Shaped) -> Shaped:
        effort = "reasoning_effort"
        if self._agent.model not in self._effortless or not {effort, "tools"} <= shaped.body.keys():
            return shaped
        body = {name: value for name, value in shaped.body.items() if name != effort}
        return Shaped(body=body, effort=None, dropped=(*shaped.dropped, effort))

    def _refuses_effort(self, error: openai.BadRequestError, body: Mapping[str, Any]) -> bool:
        """Whether the model refuses an effort next to function tools, as gpt-5.4 and gpt-5.5 do on
        Chat Completions (docs/gpt-5.2.md). Without the effort the agent can at least take part."""
        asked = "reasoning_effort" in body and "tools" in body
        return asked and error.param == "reasoning_effort" and "tools" in error.message.lower()

    def _failure(self, error: openai.OpenAIError) -> MassGenError:
        match error:
            case openai.APITimeoutError() if not _never_connected(error):
                return UpstreamTimeout("the provider did not answer in time")
            case openai.APIStatusError():
                wait = retry_after(error.response.headers, now=datetime.now(UTC))
                return failure(
                    error.body,
                    status=error.status_code,
                    retry_after=wait,
                    may_retry=error.response.headers.get("x-should-retry") != "false",
                    secret=self._sdk.api_key,
                )
            case _:
                return UpstreamUnreachable(
                    "the provider could not be reached; check the network and the backend's URL"
                )


def _url(sdk: AsyncOpenAI, api: Api) -> str:
    """The URL of all requests, joined once: the SDK would join a path to its URL for each request.

    Azure's client needs the path alone, from which it knows where the deployment's name belongs.
    """
    path = "/responses" if api == "responses" else "/chat/completions"
    return path if isinstance(sdk, AsyncAzureOpenAI) else str(sdk.base_url).rstrip("/") + path


def _timeout(request: TurnRequest, otherwise: Any) -> Any:
    """The SDK's timeout: the longest silence that the turn allows, so that the run gives up first.

    The run's clock began before the request was sent. If a read timed out here, the SDK would send
    the request again, and it would be paid for twice.
    """
    timeouts = request.timeouts
    if timeouts is None:
        return otherwise
    silence = max(timeouts.first_token_seconds, timeouts.between_tokens_seconds)
    return openai.Timeout(silence, connect=timeouts.connect_seconds)


def _refuses_format(error: openai.BadRequestError, body: Mapping[str, Any]) -> bool:
    """Whether the model refuses the format: it has no structured outputs, or not for this schema.

    It can try without, because the message is checked when it is there.
    """
    named = f"{error.param or ''} {error.message}"
    asked = "response_format" in body or "format" in mapping(body.get("text"))
    return asked and any(word in named for word in ("response_format", "text.format"))


def _demands_stream(error: openai.BadRequestError, body: Mapping[str, Any]) -> bool:
    """Whether the model only streams, as DashScope's thinking ones ("only support stream mode")."""
    return "stream" not in body and "stream" in f"{error.param or ''} {error.message}".lower()


def _without_format(shaped: Shaped) -> Shaped:
    body = {name: value for name, value in shaped.body.items() if name != "response_format"}
    if text := {k: v for k, v in mapping(body.pop("text", None)).items() if k != "format"}:
        body["text"] = text
    return replace(shaped, body=body, dropped=(*shaped.dropped, "response_format"))


def _never_connected(error: openai.APITimeoutError) -> bool:
    """Whether there was no connection at all: aiohttp's transport calls a refused one a timeout.

    The class is that of ``httpx`` or ``httpx2``, so only its name can be compared.
    """
    return type(error.__cause__).__name__ == "ConnectTimeout"
