"""The client that MassGen's backends get in the place of the SDK's; this library makes the calls.

Each call is a task of the run's own task group. So all calls end with the run, whatever MassGen
does.
"""

from collections.abc import AsyncIterator, Mapping
from types import SimpleNamespace
from typing import Any, Final

import anyio

from massgen_compat._aio import Channel
from massgen_compat._massgen.exchange import Call, MassGenRun
from massgen_compat._massgen.payloads import CallPurpose, Fields, read_purpose
from massgen_compat._massgen.review import Review
from massgen_compat._run.message import Json
from massgen_compat._run.team import Agent, Api
from massgen_compat._run.turn import Phase
from massgen_compat._upstream.client import OpenAIModelClient
from massgen_compat._upstream.parameters import chat_params, responses_params, unsupported
from massgen_compat._upstream.tolerant import mapping
from massgen_compat.errors import MassGenError
from massgen_compat.events import ParametersDropped
from massgen_compat.policies import Policy
from massgen_compat.policies.request import shape

BUFFER: Final = 64
"""How many payloads of a reply may wait until MassGen reads them."""


class Client:
    """What one backend of MassGen uses as its ``AsyncOpenAI``.

    It has the two methods that MassGen calls: ``chat.completions.create`` and ``responses.create``.
    """

    def __init__(self, calls: "AgentCalls") -> None:
        async def create_completion(**body: Any) -> "Payload":
            return await calls.create("chat", body)

        async def create_response(**body: Any) -> "Payload":
            return await calls.create("responses", body)

        self.chat = SimpleNamespace(completions=SimpleNamespace(create=create_completion))
        self.responses = SimpleNamespace(create=create_response)


class Payload(AsyncIterator[Fields]):
    """The stream of one reply, as MassGen iterates over it.

    MassGen simply drops a stream that it does not read to the end. So the call is aborted when this
    object is collected.
    """

    def __init__(self, passed: Channel[Json | MassGenError], call: Call) -> None:
        self._passed = passed
        self._call = call

    async def __anext__(self) -> Fields:
        try:
            payload = await self._passed.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None
        if isinstance(payload, MassGenError):
            raise payload
        return Fields(payload)

    def __del__(self) -> None:
        if not self._call.ended.is_set():
            self._call.scope.cancel()


class AgentCalls:
    """Makes the model calls of one agent."""

    def __init__(
        self, run: MassGenRun, agent: Agent, model: OpenAIModelClient, policy: Policy
    ) -> None:
        self._run = run
        self._agent = agent
        self._model = model
        self._policy = policy
        self._told: set[str] = set()

    async def create(self, api: Api, body: Mapping[str, Any]) -> Payload:
        """Make the call that MassGen asks for; return its stream once the provider accepted it.

        ``body`` is MassGen's request, as it would give it to the SDK. Raises ``MassGenError`` if
        the call fails before that. An agent whose provider has failed has left the run, and gets
        the same error for each further call: MassGen would try twice more.
        """
        run, name = self._run, self._agent.id
        if name in run.left:
            raise run.left[name]
        purpose = self._purpose(api, body)
        review = Review(
            api=api, policy=self._policy, purpose=purpose, own=run.translator.label(name)
        )
        sent = await self._shaped(
            api, review.prepared(body) if review.holds else dict(body), purpose
        )
        passed = Channel[Json | MassGenError](BUFFER)
        call = Call(run, self._agent, self._model, api, purpose, review, passed)
        opened = anyio.Event()
        run.tasks.start_soon(call.make, sent, opened)
        await opened.wait()
        if call.error is not None:
            raise call.error
        return Payload(passed, call)

    def _purpose(self, api: Api, body: Json) -> CallPurpose:
        translator, name = self._run.translator, self._agent.id
        status = self._run.status()
        answered = {translator.label(p.agent) for p in status.places if p.answer is not None}
        return read_purpose(api, body, presents=status.selected == name, answered=answered)

    async def _shaped(self, api: Api, body: dict[str, Any], purpose: CallPurpose) -> dict[str, Any]:
        """The body with the client's parameters and the policy's changes.

        Where MassGen states the same parameter, its value is kept, except for fields of
        ``reasoning``.
        """
        asked = dict(self._run.request.agent_params)
        if purpose.phase is Phase.PRESENT:
            asked |= self._run.request.presenter_params
        written = (
            responses_params(asked, self._agent.params)
            if api == "responses"
            else chat_params(asked, self._agent.params)
        )
        merged = {**written, **body}
        if api == "responses" and "reasoning" in written:
            merged["reasoning"] = {**mapping(body.get("reasoning")), **written["reasoning"]}
        shaped = shape(self._policy, api, merged)
        lost = unsupported(asked) if api == "responses" else ()
        news = tuple(n for n in (*shaped.dropped, *lost) if n not in self._told)
        if news:
            self._told.update(news)
            await self._run.emit(ParametersDropped(agent=self._agent.id, parameters=news))
        return shaped.body
