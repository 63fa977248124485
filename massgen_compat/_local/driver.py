"""The driver of one run: it carries out the effects of a transition and waits for the next signal.

It decides nothing: the rules are in ``_coordination``, and all that agents are told is in
``_agents``.

Each turn is a task with a cancel scope of its own. Three things cancel it: ``CancelTurn``, the end
of the run, and the cancellation of the run's own task, e.g. because the client has left.
"""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import assert_never

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from massgen_compat._aio import Channel, in_thread
from massgen_compat._coordination import (
    Abort,
    CallEffect,
    CancelTurn,
    Complete,
    CorrectTurn,
    Effect,
    Elapsed,
    Failed,
    ReleaseMessage,
    RepairMessages,
    Replied,
    Rules,
    RunTimer,
    Signal,
    Stage,
    StartTimer,
    StartTurn,
    Timer,
    Transition,
    answers_by_rank,
    begin,
    calls_of,
    step,
    stop_before,
)
from massgen_compat._local.calls import AgentKit, ModelCalls, OtherPieces
from massgen_compat._local.conversations import Conversation, Conversations
from massgen_compat._local.presentation import Presentation
from massgen_compat._local.presenter import Presenter
from massgen_compat._run.request import RunRequest
from massgen_compat._run.team import Team
from massgen_compat._run.turn import Phase, Reply, TextPiece, TurnPiece, TurnRequest
from massgen_compat._spending.clock import Clock
from massgen_compat._spending.ledger import Ledger, most_telling
from massgen_compat._spending.meter import Meter
from massgen_compat.errors import LimitExceeded, MassGenError, UpstreamMalformed, UpstreamTimeout
from massgen_compat.events import AgentText, Detail, RunCompleted, RunEvent, RunStarted, Sink


class Driver:
    """One run: the state of the coordination, the agents' conversations, and the final message.

    ``resumed``: one agent goes on alone with the results of its tool calls, by ``rules`` that are
    ``solo``. ``kit``: the models, policies and prices of the agents. ``events``: where events are
    sent, in as much ``detail`` as the observers want.
    """

    def __init__(
        self,
        *,
        team: Team,
        request: RunRequest,
        run_id: str,
        rules: Rules,
        resumed: bool,
        kit: AgentKit,
        events: Sink[RunEvent],
        detail: Detail,
    ) -> None:
        self._team = team
        self._request = request
        self._run_id = run_id
        self._events = events
        self._emit = events.send
        self._watched = detail == "full"
        self._conversations = Conversations(
            team, request, kit.policies, resumed=resumed, watched=self._watched
        )
        self._ledger = Ledger(team, kit.costs)
        self._meter = Meter(team.settings.limits, kit.costs)
        self._clock = Clock(team.settings.timeouts)
        self._signals = Channel[Signal](4 * len(team.agents) + 4)
        self._other_pieces = OtherPieces(self._emit, watched=self._watched)
        model_calls = ModelCalls(
            kit.models,
            self._ledger,
            self._meter,
            clock=self._clock,
            emit=self._emit,
            signal=self._signals.send,
        )
        self._make_call = model_calls.make_call
        self._presentation = Presentation(team, request, lambda: secrets.token_hex(12))
        self._presenter = Presenter(
            request,
            self._presentation,
            make_call=self._make_call,
            tell_other=self._other_pieces.tell,
            emit=self._emit,
            signal=self._signals.send,
        )
        self._failures: list[MassGenError] = []
        self._ending: Complete | Abort = Abort()
        self._first = begin(rules)
        self._state = self._first.state

    async def drive(self) -> None:
        """Execute the run. ``RunStarted`` is the first event, and ``RunCompleted`` the last one.

        Raises the ``MassGenError`` that it failed with. May be called once.
        """
        agents = tuple(agent.id for agent in self._team.agents)
        await self._emit(RunStarted(run_id=self._run_id, team=self._team.name, agents=agents))
        await self._set_up()
        await self._coordinate()
        match self._ending:
            case Complete(source):
                await self._complete(source)
            case Abort(limited_by):
                error = most_telling(self._failures, limited_by)
                # A provider that did not answer in time, or was cut off, may have worked all the
                # same, so the calls count as paid for.
                late = isinstance(error, UpstreamTimeout) and self._ledger.asked
                cut = isinstance(error, LimitExceeded) and self._ledger.asked
                error.spent = self._ledger.spent or late or cut
                raise error

    async def _set_up(self) -> None:
        """Make the conversations of all agents, and let other runs go on between two of them.

        One with many parts is made in a thread, because it would block the event loop for long.
        """
        for agent in self._team.agents:
            await anyio.lowlevel.checkpoint()
            set_up = partial(self._conversations.set_up, agent, solo=self._state.rules.solo)
            if self._request.has_many_parts:
                await in_thread(set_up)
            else:
                set_up()

    async def _coordinate(self) -> None:
        async with anyio.create_task_group() as tasks:
            self._tasks: TaskGroup = tasks
            with self._clock.kept(tasks):
                await self._apply(self._first)
                while self._state.stage is not Stage.DONE:
                    calls = self._state.calls
                    await self._apply(step(self._state, await self._signals.receive()), calls)
            self._conversations.cancel()

    async def _apply(self, transition: Transition, calls: int = 0) -> None:
        """Carry out a transition: send its events first, and then start its turns.

        In this order no piece of a new turn can come before the event that announces the turn.
        Calls that do not fit in the limits of tokens and cost are not started. ``calls`` is the
        number of model calls before the transition.
        """
        self._state = transition.state
        # Cancel first: a slow reader can make the events below wait, and the calls would go on.
        for effect in transition.effects:
            if isinstance(effect, CancelTurn):
                self._conversations[effect.agent].cancel()
        planned: dict[str, Sequence[int]] = {}
        for effect in calls_of(transition):
            planned[effect.agent] = self._prepare(effect)
        if limit := self._meter.refused(planned):
            transition = stop_before(transition, limit, calls=calls)
            self._state = transition.state
        else:
            self._meter.reserve(planned)
        for event in transition.events:
            await self._emit(event)
        for effect in transition.effects:
            self._perform(effect)

    def _prepare(self, effect: CallEffect) -> Sequence[int]:
        """Make the request of a turn, and estimate the prompts of its calls, in tokens."""
        request = self._conversations.next_request(effect, self._state)
        if request is None:
            return ()
        if request.phase is not Phase.PRESENT:
            return (self._meter.prompt(request),)
        if isinstance(effect, StartTurn):
            self._presentation.restart()
        # The prompt of a repair has the reply in it that is to be repaired.
        unfinished = [each for each in self._presentation.pending if each.unfinished]
        written = [each.reply.text if each.reply else "" for each in unfinished]
        return [self._meter.prompt(request, text) for text in written]

    def _perform(self, effect: Effect) -> None:
        match effect:
            case StartTurn(agent) | CorrectTurn(agent) | RepairMessages(agent):
                conversation = self._conversations[agent]
                conversation.scope = anyio.CancelScope()
                if conversation.request is not None:
                    presents = conversation.request.phase is Phase.PRESENT
                    if presents:
                        ahead = self._state.stage is Stage.COORDINATING
                        (self._presenter.hold if ahead else self._presenter.release)()
                    work = self._present if presents else self._turn
                    self._tasks.start_soon(
                        self._in_scope, work, conversation, conversation.request, conversation.scope
                    )
            case ReleaseMessage():
                self._presenter.release()
            case CancelTurn(agent):
                self._conversations[agent].cancel()
            case StartTimer(timer, seconds):
                self._clock.after(seconds, partial(self._elapse, timer))
            case Complete() | Abort():
                self._ending = effect
            case _:
                assert_never(effect)

    def _elapse(self, timer: Timer) -> None:
        if isinstance(timer, RunTimer):
            # The run has to end now, also if its reader has stopped to read its events.
            self._events.widen()
        self._signals.push(Elapsed(timer))

    async def _in_scope(
        self,
        work: Callable[[TurnRequest], Awaitable[None]],
        conversation: Conversation,
        request: TurnRequest,
        scope: anyio.CancelScope,
    ) -> None:
        with scope:
            await work(request)
        # After a cancellation the agent's next turn may have started already, with its own scope.
        if conversation.scope is scope:
            conversation.scope = None

    async def _present(self, request: TurnRequest) -> None:
        if error := await self._presenter.write(request):
            self._failures.append(error)

    async def _turn(self, request: TurnRequest) -> None:
        """Make the model call of a draft or an evaluation, and signal how it ended."""
        agent, number = request.agent, request.round

        async def hear(pieces: Sequence[TurnPiece]) -> None:
            for piece in pieces:
                if isinstance(piece, TextPiece) and self._watched:
                    await self._emit(AgentText(agent=agent, round=number, text=piece.text))
                else:
                    await self._other_pieces.tell(request, piece)

        try:
            reply = await self._make_call(request, hear)
        except MassGenError as error:
            self._failures.append(error)
            await self._signals.send(Failed(agent, number, error.brief))
            return
        decisions = self._conversations.read(agent, reply, self._state)
        complete = reply.finish_reason not in {"length", "content_filter"}
        replied = Replied(agent, number, decisions, self._conversations[agent].text, complete)
        await self._signals.send(replied)

    async def _complete(self, source: str) -> None:
        replies: Sequence[Reply] = ()
        match source:
            case "presentation":
                messages, replies = self._presentation.whole(), self._presenter.replies
            case "cut":
                messages = self._presentation.cut()
            case _:
                messages = await self._presenter.answer(answers_by_rank(self._state))
        if not messages:
            raise self._lacks_format()
        result = self._ledger.result(
            run_id=self._run_id, state=self._state, messages=messages, replies=replies
        )
        await self._emit(RunCompleted(result=result))

    def _lacks_format(self) -> MassGenError:
        """Return the error of a run in which nothing has the format, or the call, asked for."""
        pending = self._presentation.pending
        why = next((each.fault for each in pending if each.fault), "no answer has it")
        error = UpstreamMalformed(f"the message is not what the request demands: {why}")
        error.agent = next((each.agent for each in pending if each.agent), None)
        error.spent = True
        return error
