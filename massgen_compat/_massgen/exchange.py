"""One model call of MassGen, as it goes over the wire: sent, read, reviewed, counted and told.

MassGen reads on what passes. What it never learns is a reply that the agent's policy turned back.
"""

from typing import Any

import anyio
from pydantic_core import from_json, to_json

from massgen_compat._aio import Channel
from massgen_compat._massgen.accounts import MassGenRun
from massgen_compat._massgen.call_purpose import CallPurpose
from massgen_compat._massgen.payloads import closing, is_text
from massgen_compat._massgen.review import Again, Review
from massgen_compat._run.message import Json, Message, text_message
from massgen_compat._run.team import Agent, Api
from massgen_compat._run.turn import HOP_HEADER, CallPiece, Phase, Reply, TextPiece, TurnRequest
from massgen_compat._spending.meter import MeteredCall
from massgen_compat._upstream import chat, responses
from massgen_compat._upstream.client import OpenAIModelClient
from massgen_compat._upstream.reader import Payloads
from massgen_compat._upstream.stream import receive
from massgen_compat._upstream.tolerant import mapping
from massgen_compat.errors import LimitExceeded, MassGenError, UpstreamError, UpstreamMalformed
from massgen_compat.events import SubmissionRejected, TurnFinished, TurnStarted


class Call:
    """One model call of MassGen, with as many exchanges as the policy wants."""

    def __init__(
        self,
        run: MassGenRun,
        agent: Agent,
        model: OpenAIModelClient,
        api: Api,
        purpose: CallPurpose,
        review: Review,
        passed: Channel[Json | MassGenError],
    ) -> None:
        self.error: MassGenError | None = None
        self.scope = anyio.CancelScope()
        self.ended = anyio.Event()
        self._run = run
        self._agent = agent
        self._model = model
        self._api: Api = api
        self._situation = purpose
        self._review = review
        self._passed = passed
        self._round = run.status().of(agent.id).round
        self._names: dict[int, str] = {}

    async def make(self, body: dict[str, Any], opened: anyio.Event) -> None:
        """The task of the call; ``opened`` is set once the provider accepted or refused it."""
        self._run.open.add(self)
        try:
            with self.scope:
                try:
                    await self._exchange_all(body, opened)
                except MassGenError as error:
                    await self._fail(error, told=opened.is_set())
        finally:
            self._passed.close()
            self._run.open.discard(self)
            self.ended.set()
            opened.set()

    async def _fail(self, error: MassGenError, *, told: bool) -> None:
        if isinstance(error, UpstreamError):
            error.agent = self._agent.id
        self._run.failures.append(error)
        self._run.left[self._agent.id] = error
        self.error = error
        if told:
            await self._passed.send(error)

    async def _exchange_all(self, body: dict[str, Any], opened: anyio.Event) -> None:
        """Exchanges until a reply passes."""
        while True:
            reply = await self._exchange(body, opened)
            if not self._review.holds:
                return
            match self._review.judge(body, reply):
                case Again(body=body, reason=reason):
                    await self._run.emit(
                        SubmissionRejected(
                            agent=self._agent.id,
                            round=self._round,
                            reason=reason,
                            attempt=self._review.objections + 1,
                        )
                    )
                    self._review = self._review.objected()
                case verdict:
                    if verdict.unverified:
                        self._run.translator.unverified.add(self._agent.id)
                    for payload in closing(self._api, reply, verdict.calls):
                        await self._passed.send(payload)
                    return

    async def _exchange(self, body: dict[str, Any], opened: anyio.Event) -> Reply:
        """One request and its reply, heard out, counted and told."""
        run, name, phase = self._run, self._agent.id, self._situation.phase
        turn = TurnRequest(
            agent=name,
            round=self._round,
            phase=phase,
            messages=self._prompt(body),
            headers={HOP_HEADER: str(run.request.hops + 1)},
            timeouts=run.settings.timeouts,
        )
        await run.begin(turn, run.meter.prompt(turn))
        await run.emit(TurnStarted(agent=name, round=self._round, phase=phase))
        counted = run.meter.start(turn)
        try:
            reply = await self._hear(turn, body, opened, counted)
        except MassGenError as error:
            run.meter.fail(counted, error)
            raise
        except BaseException:
            run.meter.cut(counted)
            raise
        run.ledger.finished(name, reply)
        run.meter.finish(counted, reply)
        if phase is Phase.PRESENT:
            run.replies.append(reply)
        await run.emit(
            TurnFinished(
                agent=name,
                round=self._round,
                phase=phase,
                usage=reply.usage,
                model=reply.model,
                effort=reply.effort,
            )
        )
        return reply

    def _prompt(self, body: Json) -> tuple[Message, ...]:
        """What the meter estimates a prompt by; without limits nobody asks."""
        limits = self._run.settings.limits
        if limits.max_tokens is None and limits.max_cost is None:
            return ()
        said = [body.get("messages"), body.get("input"), body.get("tools")]
        return (text_message("user", to_json(said, fallback=str).decode()),)

    async def _hear(
        self, turn: TurnRequest, body: dict[str, Any], opened: anyio.Event, counted: MeteredCall
    ) -> Reply:
        run = self._run
        payloads = Payloads()
        parser = (
            responses.ResponsesReplyParser() if self._api == "responses" else chat.ChatReplyParser()
        )
        with run.clock.over(run.settings.timeouts) as patience:
            async with self._model.exchange(turn, body) as chunks:
                opened.set()
                while (data := await receive(chunks)) is not None:
                    patience.heard()
                    for raw in payloads.feed(data):
                        await self._payload(raw, parser, counted)
                    patience.waits()
                for raw in payloads.close():
                    await self._payload(raw, parser, counted)
        run.translator.final.end_call()
        return parser.finish()

    async def _payload(
        self,
        raw: bytes,
        parser: "chat.ChatReplyParser | responses.ResponsesReplyParser",
        counted: MeteredCall,
    ) -> None:
        if raw.strip() == b"[DONE]":
            return
        try:
            payload = mapping(from_json(raw))
        except ValueError as error:
            raise UpstreamMalformed("the provider sent something that is not JSON") from error
        for piece in parser.feed(payload):
            self._run.ledger.heard()
            self._run.meter.hear(counted, (piece,))
            if self._situation.phase is Phase.PRESENT:
                await self._present(piece)
        if limit := self._run.meter.passed:
            self._stop_at(limit)
        if not self._review.holds or is_text(self._api, payload):
            await self._passed.send(payload)

    def _stop_at(self, limit: str) -> None:
        """A limit was passed: the run ends with what there is. Where that is nothing yet, this call
        alone does, since MassGen may not have taken the answer of another that has just ended; it
        begins no further one."""
        drafting = self._situation.phase is not Phase.PRESENT
        if drafting and not self._run.status().ranked():
            raise LimitExceeded(limit)
        self._run.limit(limit)

    async def _present(self, piece: object) -> None:
        final = self._run.translator.final
        match piece:
            case TextPiece(text):
                for event in final.say(text):
                    await self._run.emit(event)
            case CallPiece() if self._submits(piece):
                for event in final.argue(piece.index, piece.arguments):
                    await self._run.emit(event)
            case _:
                pass

    def _submits(self, piece: CallPiece) -> bool:
        """Whether a fragment belongs to the presenter's ``new_answer``."""
        if piece.name is not None:
            self._names[piece.index] = piece.name
        return self._names.get(piece.index) == "new_answer"
