"""One model call of MassGen: the request is sent, and its reply read, reviewed, counted and told.

What passes the review is given to MassGen, piece by piece. A reply that the agent's policy turns
back is followed by another request, and MassGen never sees it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.abc import TaskGroup
from pydantic_core import from_json, to_json

from massgen_compat._aio import Channel
from massgen_compat._massgen.chunks import AgentStatus
from massgen_compat._massgen.payloads import CallPurpose, closing, is_text
from massgen_compat._massgen.review import Again, Review
from massgen_compat._massgen.translate import Translator
from massgen_compat._run.message import Json, Message, text_message
from massgen_compat._run.request import RunRequest
from massgen_compat._run.team import Agent, Api, TeamSettings
from massgen_compat._run.turn import HOP_HEADER, CallPiece, Phase, Reply, TextPiece, TurnRequest
from massgen_compat._spending.clock import Clock
from massgen_compat._spending.ledger import Ledger
from massgen_compat._spending.meter import Meter, MeteredCall
from massgen_compat._upstream.client import OpenAIModelClient
from massgen_compat._upstream.reader import Payloads, ReplyParser, parser_of
from massgen_compat._upstream.stream import receive
from massgen_compat._upstream.tolerant import mapping
from massgen_compat.errors import LimitExceeded, MassGenError, UpstreamError, UpstreamMalformed
from massgen_compat.events import RunEvent, SubmissionRejected, TurnFinished, TurnStarted


@dataclass(slots=True)
class MassGenRun:
    """What the model calls of one run share.

    ``limit`` ends the run at the limit of that name, ``status`` gives how the agents stand now.
    ``open`` are the calls that go on, ``failures`` the errors so far, ``left`` the errors of the
    agents that have left the run, ``replies`` the presenter's.
    """

    request: RunRequest
    settings: TeamSettings
    translator: Translator
    ledger: Ledger
    meter: Meter
    tasks: TaskGroup
    clock: Clock
    emit: Callable[[RunEvent], Awaitable[None]]
    limit: Callable[[str], None]
    status: Callable[[], AgentStatus]
    open: "set[Call]" = field(default_factory=set)
    failures: list[MassGenError] = field(default_factory=list[MassGenError])
    left: dict[str, MassGenError] = field(default_factory=dict[str, MassGenError])
    replies: list[Reply] = field(default_factory=list[Reply])
    calls: int = 0

    async def begin(self, turn: TurnRequest, prompt: int) -> None:
        """Count a call that is about to start. ``prompt`` are its tokens, as estimated.

        If a limit is reached, the run ends instead. The call then waits until it is cancelled.
        """
        most = self.settings.limits.max_calls
        limit = "max_calls" if most is not None and self.calls >= most else None
        limit = limit or self.meter.refused({turn.agent: (prompt,)})
        if limit is not None:
            self.limit(limit)
            await anyio.sleep_forever()
        self.calls += 1
        self.ledger.called(turn.agent)

    async def settle(self, *, patience: float) -> None:
        """Wait until the open calls have ended; after ``patience`` seconds, abort them."""
        with anyio.move_on_after(patience):
            await self._all_ended()
        for call in self.open:
            call.scope.cancel()
        await self._all_ended()

    async def _all_ended(self) -> None:
        while self.open:
            await next(iter(self.open)).ended.wait()


class Call:
    """One model call of MassGen. It has as many exchanges as the agent's policy demands.

    ``passed`` is where MassGen reads. An error before the first reply is in ``error``; a later one
    goes through ``passed``.
    """

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
        self._purpose = purpose
        self._review = review
        self._passed = passed
        self._round = run.status().of(agent.id).round
        self._names: dict[int, str] = {}

    async def make(self, body: dict[str, Any], opened: anyio.Event) -> None:
        """Make the call; this is a task of its own. ``body`` is the request as it is to be sent.

        ``opened`` is set once the provider has accepted or refused it.
        """
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
        """Send requests until a reply passes the review."""
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
        """Send one request and read its reply to the end; count both and tell of them."""
        run, name, phase = self._run, self._agent.id, self._purpose.phase
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
        """What the meter estimates the tokens of the prompt by; empty where nothing limits them."""
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
        parser = parser_of(self._api)
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

    async def _payload(self, raw: bytes, parser: ReplyParser, counted: MeteredCall) -> None:
        if raw.strip() == b"[DONE]":
            return
        try:
            payload = mapping(from_json(raw))
        except ValueError as error:
            raise UpstreamMalformed("the provider sent something that is not JSON") from error
        for piece in parser.feed(payload):
            self._run.ledger.heard()
            self._run.meter.hear(counted, (piece,))
            if self._purpose.phase is Phase.PRESENT:
                await self._present(piece)
        if limit := self._run.meter.passed:
            self._stop_at(limit)
        if not self._review.holds or is_text(self._api, payload):
            await self._passed.send(payload)

    def _stop_at(self, limit: str) -> None:
        """End the run with the answers that there are, because a limit was passed.

        While there is none, only this call ends: another one may just have brought an answer that
        MassGen has not taken yet. No further call begins, so the run ends soon.
        """
        drafting = self._purpose.phase is not Phase.PRESENT
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
        """Whether a fragment belongs to the presenter's ``new_answer``, which is the message."""
        if piece.name is not None:
            self._names[piece.index] = piece.name
        return self._names.get(piece.index) == "new_answer"
