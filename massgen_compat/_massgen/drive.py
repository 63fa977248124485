"""One run on MassGen: it is started, followed to its end, and summed up as a result."""

import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import anyio
from anyio.abc import TaskGroup

from massgen_compat._agents.call_ids import call_id
from massgen_compat._massgen.calls import AgentCalls, Client
from massgen_compat._massgen.chunks import AgentStatus, read_chunk
from massgen_compat._massgen.config import environment, heard, massgen_config
from massgen_compat._massgen.exchange import MassGenRun
from massgen_compat._massgen.orchestration import Orchestration
from massgen_compat._massgen.package import Package
from massgen_compat._massgen.task import ClientTools, task_text
from massgen_compat._massgen.translate import Translator
from massgen_compat._run.message import ToolCall
from massgen_compat._run.request import RunRequest
from massgen_compat._run.result import Answer, FinalMessage, Usage, Vote
from massgen_compat._run.team import Agent, Team, TeamSettings
from massgen_compat._run.turn import Reply
from massgen_compat._spending.clock import Clock
from massgen_compat._spending.ledger import Ledger, most_telling
from massgen_compat._spending.meter import Cost, Meter
from massgen_compat._upstream.client import OpenAIModelClient
from massgen_compat.errors import LimitExceeded, MassGenError, UpstreamMalformed, UpstreamTimeout
from massgen_compat.events import (
    Detail,
    MessageText,
    MessageToolCall,
    RunCompleted,
    RunEvent,
    RunLimited,
    RunStarted,
    Sink,
    WinnerChosen,
)
from massgen_compat.policies import Policy

SETTLE_SECONDS: Final = 1.0
"""How long replies may go on once MassGen has ended. Their usage comes last, and is counted."""

logger = logging.getLogger("massgen_compat")


@dataclass(frozen=True, slots=True)
class EngineKit:
    """What all runs of an engine share."""

    package: Package
    connect: Callable[[Agent], OpenAIModelClient]
    policy_of: Callable[[Agent], Policy]
    cost_of: Callable[[Agent, TeamSettings], Cost | None]
    env: Mapping[str, str]


class Drive:
    """Executes one run. ``detail`` is how much of it the events have to tell."""

    def __init__(
        self,
        kit: EngineKit,
        team: Team,
        request: RunRequest,
        *,
        run_id: str,
        events: Sink[RunEvent],
        detail: Detail,
    ) -> None:
        self._kit = kit
        self._team = team
        self._request = request
        self._run_id = run_id
        self._emit = events.send
        self._order = tuple(agent.id for agent in team.agents)
        self._tools = ClientTools(request)
        self._limited: str | None = None
        self._orchestrated: Orchestration | None = None
        self._scope = anyio.CancelScope()
        costs = {agent.id: kit.cost_of(agent, team.settings) for agent in team.agents}
        self._ledger = Ledger(team, costs)
        self._meter = Meter(team.settings.limits, costs)
        self._translator = Translator(
            self._order,
            heard=[agent.id for agent in team.agents if heard(agent)],
            watched=detail == "full",
        )

    async def drive(self, tasks: TaskGroup) -> None:
        """Execute the run. The last event is ``RunCompleted``.

        The model calls are tasks of the group ``tasks``. Raises ``MassGenError`` if the run fails,
        with ``spent`` set where it has cost something.
        """
        team = self._team
        await self._emit(RunStarted(run_id=self._run_id, team=team.name, agents=self._order))
        run = MassGenRun(
            request=self._request,
            settings=team.settings,
            translator=self._translator,
            ledger=self._ledger,
            meter=self._meter,
            tasks=tasks,
            clock=Clock(team.settings.timeouts),
            emit=self._emit,
            limit=self._limit,
            status=self._status,
        )
        try:
            with run.clock.kept(tasks):
                await self._execute(run)
        except MassGenError as error:
            error.spent = self._ledger.spent or _may_cost(error, asked=self._ledger.asked)
            raise

    def _status(self) -> AgentStatus:
        """The status of the agents at this moment."""
        if self._orchestrated is None:
            return self._translator.status
        return self._orchestrated.status(self._order)

    async def _execute(self, run: MassGenRun) -> None:
        orchestration = self._orchestration(run)
        try:
            self._orchestrated = orchestration
            await self._follow(orchestration)
            done = self._translator.calls is None and self._limited is None
            await run.settle(patience=SETTLE_SECONDS if done else 0)
            self._count_others(orchestration)
            await self._finish(run)
        finally:
            await orchestration.aclose()

    def _orchestration(self, run: MassGenRun) -> Orchestration:
        kit, agents = self._kit, {agent.id: agent for agent in self._team.agents}

        def client_of(name: str) -> Client | None:
            agent = agents[name]
            if not heard(agent):
                return None
            model, policy = kit.connect(agent), kit.policy_of(agent)
            return Client(AgentCalls(run, agent, model, policy))

        try:
            return Orchestration(
                kit.package,
                massgen_config(self._team, self._request, kit.policy_of),
                environment=environment(self._team, kit.env),
                client_of=client_of,
            )
        except MassGenError:
            raise
        except Exception as error:
            raise _failed(error) from error

    async def _follow(self, orchestration: Orchestration) -> None:
        """Tell what MassGen does until it is done, a tool of the client is called, or a limit ends
        the run."""
        deadline = self._team.settings.limits.deadline_seconds
        if deadline is not None:
            self._scope.deadline = anyio.current_time() + deadline
        chunks = orchestration.chunks(task_text(self._request), self._tools.offered)
        try:
            with self._scope:
                async for raw in chunks:
                    status = orchestration.status(self._order)
                    for event in self._translator.feed(read_chunk(raw), status):
                        await self._emit(event)
                    if self._translator.calls is not None:
                        break
        except MassGenError:
            raise
        except Exception as error:
            raise _failed(error) from error
        if self._scope.cancelled_caught:
            self._limited = self._limited or "deadline_seconds"
        for event in self._translator.compare(orchestration.status(self._order)):
            await self._emit(event)

    def _limit(self, name: str) -> None:
        """Stop MassGen where it is, because this limit is reached. The first limit counts."""
        self._limited = self._limited or name
        self._scope.cancel()

    def _count_others(self, orchestration: Orchestration) -> None:
        """Count what the agents spent whose calls MassGen makes by itself.

        All calls of an agent count as one, because MassGen counts tokens and not calls.
        """
        for agent in self._team.agents:
            if heard(agent):
                continue
            read, written = orchestration.spent(agent.id)
            usage = Usage(prompt_tokens=read, completion_tokens=written) if read + written else None
            self._ledger.called(agent.id)
            self._ledger.finished(agent.id, Reply(usage=usage))

    async def _finish(self, run: MassGenRun) -> None:
        """Complete the run with its message. Raises ``MassGenError`` if there is none.

        The message is the first of these that there is: the client's tool calls, the message that
        the presenter wrote, the selected answer, or the one with most votes.
        """
        translator, status = self._translator, self._translator.status
        selected = status.selected
        if translator.calls is not None:
            agent, made = translator.calls
            if calls := self._tools.called(made):
                await self._complete(run, agent, await self._tell(agent, calls))
                return
        if self._limited is None and selected in run.left and translator.final.text:
            raise run.left[selected or ""]
        if not translator.final.text and (ranked := status.ranked()):
            winner = selected or ranked[0][0]
            if selected is None:
                await self._emit(
                    WinnerChosen(winner=winner, votes=ranked, limited_by=self._limited)
                )
            elif self._limited is not None:
                await self._emit(RunLimited(limit=self._limited))
            answer = status.of(winner).answer or status.of(ranked[0][0]).answer or ""
            await self._emit(MessageText(text=answer))
            run.replies.clear()
            await self._complete(run, winner, FinalMessage(content=answer), presenter=None)
            return
        if not translator.final.text:
            if not run.failures and translator.error and self._limited is None:
                raise UpstreamMalformed(
                    f"No agent gave an answer; MassGen says: {_told(translator.error)}"
                )
            raise most_telling(run.failures, self._limited)
        cut = self._limited is not None or any(
            r.finish_reason == "length" for r in run.replies[-1:]
        )
        message = FinalMessage(
            content=translator.final.text, finish_reason="length" if cut else "stop"
        )
        presenter = None if translator.final.quoted else selected
        await self._complete(run, selected or self._order[0], message, presenter=presenter)

    async def _tell(self, agent: str, calls: tuple[ToolCall, ...]) -> FinalMessage:
        """Tell the calls of the client's tools, under the ids that lead back to this agent."""
        place = self._order.index(agent)
        own = tuple(
            ToolCall(id=call_id(place, secrets.token_hex(12)), name=c.name, arguments=c.arguments)
            for c in calls
        )
        for index, call in enumerate(own):
            await self._emit(
                MessageToolCall(index=index, id=call.id, name=call.name, arguments=call.arguments)
            )
        return FinalMessage(content=None, tool_calls=own, finish_reason="tool_calls")

    async def _complete(
        self, run: MassGenRun, winner: str, message: FinalMessage, presenter: str | None = None
    ) -> None:
        status, translator = self._translator.status, self._translator
        result = self._ledger.sum_up(
            run_id=self._run_id,
            messages=(message,),
            replies=run.replies,
            winner=winner,
            presenter=presenter,
            answers=tuple(
                Answer(
                    agent=place.agent,
                    label=translator.label(place.agent),
                    content=place.answer,
                    number=place.answers,
                )
                for place in status.places
                if place.answer is not None
            ),
            votes=tuple(
                Vote(voter=place.agent, target=place.vote[0], reason=place.vote[1])
                for place in status.places
                if place.vote is not None
            ),
            limited_by=self._limited,
        )
        await self._emit(RunCompleted(result=result))


def _failed(error: Exception) -> UpstreamMalformed:
    """The error for a failure inside MassGen. The log has its traceback, the client does not."""
    logger.error("MassGen failed", exc_info=error)
    return UpstreamMalformed(f"MassGen failed ({type(error).__name__}); the server's log says more")


def _may_cost(error: MassGenError, *, asked: bool) -> bool:
    """Whether a run without a reply may have cost something all the same.

    A provider that did not answer in time may have worked on the reply, and charge for it.
    """
    return asked and isinstance(error, UpstreamTimeout | LimitExceeded)


def _told(text: str) -> str:
    return " ".join(text.split())[:200]
