"""The driver of one run: does what ``coordination`` orders, waits for a signal, asks again.

It is dull on purpose: every rule of the coordination stands in ``coordination``, every word in
``prompts`` and ``workflow``. Each turn is a task with a cancel scope of its own.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import assert_never

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from massgen_compat.aside import aside
from massgen_compat.caching import cache_keys
from massgen_compat.channel import Channel
from massgen_compat.coordination import (
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
from massgen_compat.engine.listening import Equipment, Listener
from massgen_compat.engine.patience import Watch
from massgen_compat.engine.presenting import Presenter
from massgen_compat.engine.whole import whole_replies, without_first_token
from massgen_compat.errors import (
    LimitExceeded,
    MassGenError,
    UpstreamMalformed,
    UpstreamTimeout,
)
from massgen_compat.events import (
    AgentReasoning,
    AgentText,
    HostedToolCalled,
    RunCompleted,
    RunEvent,
    RunStarted,
)
from massgen_compat.formats import parameter
from massgen_compat.ledger import Ledger, most_telling
from massgen_compat.message import Message
from massgen_compat.meter import Meter
from massgen_compat.policies.request import stronger
from massgen_compat.presentation import Presentation
from massgen_compat.prompts import (
    conversation,
    longest_run,
    resumed_messages,
    solo_conversation,
    turn_messages,
)
from massgen_compat.run import Agent, RunRequest, Team
from massgen_compat.turn import (
    HOP_HEADER,
    CallPiece,
    HostedToolUsed,
    Phase,
    ReasoningPiece,
    RefusalPiece,
    Reply,
    TextPiece,
    TurnEvent,
    TurnRequest,
)
from massgen_compat.workflow import ToolNames, corrected, read_decisions, workflow_tools


@dataclass
class _Desk:
    """What an agent is busy with: the conversation of its round, and the scope of its call."""

    stable: tuple[Message, ...]
    messages: tuple[Message, ...] = ()
    reply: Reply = field(default_factory=Reply)
    text: str = ""
    effort: str | None = None
    request: TurnRequest | None = None
    scope: anyio.CancelScope | None = None

    def cancel(self) -> None:
        """End its call, if there is one."""
        if self.scope is not None:
            self.scope.cancel()


class Driver:
    """One run: the state of the coordination, the agents' desks, and the final message."""

    def __init__(
        self,
        *,
        team: Team,
        request: RunRequest,
        run_id: str,
        rules: Rules,
        resumed: bool,
        equipment: Equipment,
        events: Channel[RunEvent],
    ) -> None:
        self.error: MassGenError | None = None
        self._team = team
        self._request = request
        self._run_id = run_id
        self._policies = equipment.policies
        self._cache_keys = cache_keys(team, request)
        self._events = events
        self._watched = (request.trace or team.settings.trace) == "full"
        self._whole = whole_replies(team, watched=self._watched)
        self._names = ToolNames.beside(request.tools)
        self._runs = longest_run(request.messages)
        self._resumed = resumed
        self._ledger = Ledger(team, equipment.costs)
        self._meter = Meter(team.settings.limits, equipment.costs)
        self._watch = Watch(team.settings.timeouts)
        listener = Listener(
            equipment.models,
            self._ledger,
            self._meter,
            watch=self._watch,
            emit=self._emit,
            signal=self._send,
        )
        self._listen = listener.listen
        self._presentation = Presentation(team, request, lambda: secrets.token_hex(12))
        self._presenter = Presenter(
            request,
            self._presentation,
            listen=self._listen,
            aside=self._hear_aside,
            emit=self._emit,
            signal=self._send,
        )
        self._failures: list[MassGenError] = []
        self._ending: Complete | Abort = Abort()
        self._desks: dict[str, _Desk] = {}
        self._first = begin(rules)
        self._state = self._first.state

    async def drive(self, _: TaskGroup, /) -> None:
        """Run to the end; the outcome is the last event, or ``error``."""
        try:
            agents = tuple(agent.id for agent in self._team.agents)
            await self._emit(RunStarted(run_id=self._run_id, team=self._team.name, agents=agents))
            await self._set_up()
            await self._coordinate()
            match self._ending:
                case Complete(source):
                    await self._complete(source)
                case Abort(limited_by):
                    self.error = most_telling(self._failures, limited_by)
                    # What a provider did not answer in time it may have worked on all the same.
                    late = isinstance(self.error, UpstreamTimeout) and self._ledger.asked
                    cut = isinstance(self.error, LimitExceeded) and self._ledger.asked
                    self.error.spent = self._ledger.spent or late or cut
        finally:
            self._events.close()

    async def _set_up(self) -> None:
        """Make the desks. One at a time: a long conversation takes a while, and others wait."""
        for agent in self._team.agents:
            await anyio.lowlevel.checkpoint()
            stable = partial(self._stable_part, agent)
            self._desks[agent.id] = _Desk(
                await aside(stable) if self._request.has_many_parts else stable()
            )

    def _stable_part(self, agent: Agent) -> tuple[Message, ...]:
        asked = self._request
        if self._state.rules.solo and not self._resumed:
            return solo_conversation(agent, asked.messages)
        policy = self._policies[agent.id]
        return conversation(self._team, agent, asked.messages, policy, asked.tools, asked.format)

    async def _coordinate(self) -> None:
        self._signals = Channel[Signal](4 * len(self._policies) + 4)
        async with anyio.create_task_group() as tasks:
            self._tasks: TaskGroup = tasks
            tasks.start_soon(self._watch.keep)
            await self._apply(self._first)
            while self._state.stage is not Stage.DONE:
                calls = self._state.calls
                await self._apply(step(self._state, await self._signals.receive()), calls)
            tasks.cancel_scope.cancel()

    async def _apply(self, transition: Transition, calls: int = 0) -> None:
        """Tell first, then do: nothing that a new turn says can overtake its own announcement.

        What does not fit in the limits of tokens and cost is not begun. ``calls`` were made before.
        """
        self._state = transition.state
        for effect in transition.effects:
            if isinstance(effect, CancelTurn):
                self._desks[effect.agent].cancel()
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
        """Lay the request of a turn on the desk; the sizes of the prompts of its calls."""
        desk, policy = self._desks[effect.agent], self._policies[effect.agent]
        match effect:
            case StartTurn(agent, number, phase):
                self._open_round(agent)
                desk.request = self._request_of(agent, number, phase)
            case CorrectTurn(agent, number, phase):
                desk.messages = corrected(
                    desk.messages, desk.reply, effect, self._state, self._names, policy
                )
                desk.request = self._request_of(agent, number, phase, effect)
            case RepairMessages():
                pass
        if desk.request is None:
            return ()
        if desk.request.phase is not Phase.PRESENT:
            return (self._meter.prompt(desk.request),)
        drafts = [draft for draft in self._presentation.drafts if draft.pending]
        written = [draft.reply.text if draft.reply else "" for draft in drafts]
        return [self._meter.prompt(desk.request, text) for text in written]

    def _perform(self, effect: Effect) -> None:
        match effect:
            case StartTurn(agent) | CorrectTurn(agent) | RepairMessages(agent):
                desk = self._desks[agent]
                desk.scope = anyio.CancelScope()
                if desk.request is not None:
                    presents = desk.request.phase is Phase.PRESENT
                    if presents:
                        ahead = self._state.stage is Stage.COORDINATING
                        (self._presenter.hold if ahead else self._presenter.release)()
                    act = self._present if presents else self._turn
                    self._tasks.start_soon(act, desk.request, desk.scope)
            case ReleaseMessage():
                self._presenter.release()
            case CancelTurn(agent):
                self._desks[agent].cancel()
            case StartTimer(timer, seconds):
                self._tasks.start_soon(self._time, timer, seconds)
            case Complete() | Abort():
                self._ending = effect
            case _:
                assert_never(effect)

    def _open_round(self, agent: str) -> None:
        desk, policy = self._desks[agent], self._policies[agent]
        desk.text, desk.effort = "", None
        tools = self._request.tools
        if self._resumed:
            desk.messages = resumed_messages(
                desk.stable, tools, self._request.decision, runs=self._runs
            )
        elif self._state.rules.solo:
            desk.messages = desk.stable
        else:
            desk.messages = turn_messages(
                desk.stable,
                self._team,
                self._state,
                agent,
                self._names,
                policy,
                tools,
                runs=self._runs,
            )

    def _request_of(
        self, agent: str, number: int, phase: Phase, order: CorrectTurn | None = None
    ) -> TurnRequest:
        """A turn as a request. ``order`` is the correction that it answers, if it does."""
        desk, policy = self._desks[agent], self._policies[agent]
        tools = workflow_tools(self._state, agent, self._names, policy)
        params = dict(self._request.agent_params)
        presenting, timeouts = phase is Phase.PRESENT, self._team.settings.timeouts
        whole = agent in self._whole and not presenting
        if presenting:
            self._presentation.restart()
            params |= self._request.presenter_params
            if self._request.format is not None:
                params["response_format"] = parameter(self._request.format)
            tools = self._request.tools
        if order is not None and order.last and order.objection is not None:
            # The last try: only the tool that was meant, and one step more effort (gpt-5.2.md, L3).
            meant = {"vote": self._names.vote, "new_answer": self._names.new_answer}
            tools = tuple(t for t in tools if order.meant and t.name == meant[order.meant])
            desk.effort = stronger(policy, desk.reply.effort_asked)
        if desk.effort is not None:
            params.setdefault("reasoning_effort", desk.effort)
        request = TurnRequest(
            agent=agent,
            round=number,
            phase=phase,
            messages=desk.messages,
            tools=tools,
            tool_choice=self._request.tool_choice if presenting else None,
            parallel_tool_calls=self._request.parallel_tool_calls
            if presenting
            else (False if policy.serial_decisions and tools else None),
            params=params,
            timeouts=without_first_token(timeouts) if whole else timeouts,
            whole=whole,
            cache_key=self._cache_keys[agent],
            headers={HOP_HEADER: str(self._request.hops + 1)},
        )
        return request if policy.prepare is None else policy.prepare(request)

    async def _time(self, timer: Timer, seconds: float) -> None:
        await anyio.sleep(seconds)
        if isinstance(timer, RunTimer):  # the run ends then, also where nobody reads what it says
            self._events.widen()
        await self._signals.send(Elapsed(timer))

    async def _present(self, request: TurnRequest, scope: anyio.CancelScope) -> None:
        with scope:
            if error := await self._presenter.write(request):
                self._failures.append(error)

    async def _turn(self, request: TurnRequest, scope: anyio.CancelScope) -> None:
        """One model call, from its request to the signal that it ends in."""
        agent, number = request.agent, request.round

        async def hear(piece: TurnEvent) -> None:
            if isinstance(piece, TextPiece) and self._watched:
                await self._emit(AgentText(agent=agent, round=number, text=piece.text))
            else:
                await self._hear_aside(request, piece)

        with scope:
            try:
                reply = await self._listen(request, hear)
            except MassGenError as error:
                self._failures.append(error)
                await self._send(Failed(agent, number, error.brief))
                return
            desk = self._desks[agent]
            desk.reply = reply
            desk.text = reply.text if reply.text.strip() else desk.text
            decisions = read_decisions(
                reply.tool_calls, self._state, agent, self._names, self._policies[agent]
            )
            complete = reply.finish_reason not in {"length", "content_filter"}
            await self._send(Replied(agent, number, decisions, desk.text, complete))

    async def _hear_aside(self, request: TurnRequest, piece: TurnEvent) -> None:
        match piece:
            case ReasoningPiece(text) if self._watched:
                await self._emit(
                    AgentReasoning(agent=request.agent, round=request.round, text=text)
                )
            case HostedToolUsed(kind):
                await self._emit(
                    HostedToolCalled(agent=request.agent, round=request.round, tool=kind)
                )
            case TextPiece() | ReasoningPiece() | RefusalPiece() | CallPiece() | Reply():
                pass
            case _:
                assert_never(piece)

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
            self.error = self._lacks_format()
            return
        result = self._ledger.result(
            run_id=self._run_id, state=self._state, messages=messages, replies=replies
        )
        await self._emit(RunCompleted(result=result))

    def _lacks_format(self) -> MassGenError:
        why = next((d.fault for d in self._presentation.drafts if d.fault), "no answer has it")
        error = UpstreamMalformed(f"the message is not what the request demands: {why}")
        error.agent = next((d.agent for d in self._presentation.drafts if d.agent), None)
        error.spent = True
        return error

    async def _send(self, signal: Signal) -> None:
        await self._signals.send(signal)

    async def _emit(self, event: RunEvent) -> None:
        await self._events.send(event)
