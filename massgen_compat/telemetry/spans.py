"""The spans and metrics of one run, made from its events as they come."""

import time
from dataclasses import dataclass
from typing import assert_never

from opentelemetry import trace

from massgen_compat._run.request import RunRequest
from massgen_compat._run.team import Team
from massgen_compat.events import (
    Abstained,
    AgentLeft,
    AgentReasoning,
    AgentText,
    Answered,
    FirstAsked,
    HostedToolCalled,
    MessageRefusal,
    MessageText,
    MessageToolCall,
    ParametersDropped,
    PresentationStarted,
    RunCompleted,
    RunEvent,
    RunLimited,
    RunStarted,
    SpeculationDropped,
    SpeculationStarted,
    SubmissionRejected,
    TeamCalled,
    TurnFinished,
    TurnStarted,
    VoteCast,
    VotesVoided,
    WinnerChosen,
)
from massgen_compat.telemetry.attributes import (
    CANCELLED,
    ERRORS,
    Attributes,
    Instruments,
    asked,
    counts,
    facts,
    usage,
)


@dataclass
class _Round:
    """An agent's round that goes on. Times are in nanoseconds.

    ``begun`` and ``asked`` are when the round and its latest model call started. ``awaiting``: the
    call goes on. ``replies_due`` is the number of replies that are still to come.
    """

    span: trace.Span
    begun: int
    asked: int
    replies_due: int
    awaiting: bool = True


class RunSpans:
    """The spans of one run. A call becomes a span when it ends, since no event tells its start."""

    def __init__(
        self, tracer: trace.Tracer, instruments: Instruments, team: Team, request: RunRequest
    ) -> None:
        self.completed = False
        self._tracer = tracer
        self._instruments = instruments
        self._team = team.name
        self._choices = request.choices
        self._agents = {agent.id: agent for agent in team.agents}
        self._rounds: dict[str, _Round] = {}
        self._spoke = False
        # The wall clock at the start, plus the monotonic clock: so no duration is ever negative.
        self._offset = time.time_ns() - time.perf_counter_ns()
        self._begun = self._now()
        self._span = tracer.start_span(
            f"invoke_workflow {team.name}",
            attributes={
                "gen_ai.operation.name": "invoke_workflow",
                "gen_ai.agent.name": team.name,
            },
            start_time=self._begun,
        )

    def see(self, event: RunEvent) -> None:
        """Take the next event of the run."""
        self._note(event)
        match event:
            case RunStarted():
                self._span.set_attribute("massgen.run.id", event.run_id)
            case TurnStarted():
                self._end_round(event.agent)
                self._start_round(event)
            case TurnFinished():
                self._reply(event)
            case SubmissionRejected():
                if current := self._rounds.get(event.agent):
                    current.asked, current.awaiting = self._now(), True
            case Answered() | Abstained():
                self._end_round(event.agent)
            case VoteCast():
                self._end_round(event.voter)
            case SpeculationDropped():
                self._end_round(event.agent)
            case AgentLeft():
                self._end_round(event.agent, ERRORS.get(event.reason))
            case MessageText() | MessageRefusal() | MessageToolCall():
                self._speak()
            case RunCompleted():
                self._complete(event)
            case (
                FirstAsked()
                | TeamCalled()
                | AgentText()
                | AgentReasoning()
                | HostedToolCalled()
                | ParametersDropped()
                | VotesVoided()
                | SpeculationStarted()
                | WinnerChosen()
                | PresentationStarted()
                | RunLimited()
            ):
                pass
            case _:
                assert_never(event)

    def end(self, error: str | None) -> None:
        """End the span of the run, and those of its rounds that are still open.

        ``error`` is the ``error.type`` of a run that failed or was cancelled.
        """
        for agent in tuple(self._rounds):
            self._end_round(agent)
        now = self._now()
        _finish(self._span, error, now)
        seconds = (now - self._begun) / 1e9
        failed: Attributes = {"error.type": error} if error else {}
        workflow: Attributes = {"gen_ai.operation.name": "invoke_workflow"}
        named: Attributes = {"gen_ai.agent.name": self._team}
        self._instruments.agent.record(seconds, {**workflow, **named, **failed})
        self._instruments.request.record(seconds, {**self._served(), **failed})

    def _note(self, event: RunEvent) -> None:
        """Show an event: votes and the decision as spans without a duration, others as events."""
        told = facts(event)
        if told is None:
            return
        attributes = {f"massgen.{name}": fact for name, fact in told.items()}
        now = self._now()
        match event:
            case VoteCast(voter=agent):
                name, within = f"vote {agent}", self._rounds.get(agent)
            case WinnerChosen():
                name, within = f"decide {self._team}", None
            case _:
                self._span.add_event(f"massgen.{event.type}", attributes, now)
                return
        context = trace.set_span_in_context(within.span if within else self._span)
        self._tracer.start_span(name, context, attributes=attributes, start_time=now).end(now)

    def _start_round(self, event: TurnStarted) -> None:
        now = self._now()
        span = self._tracer.start_span(
            f"invoke_agent {event.agent}",
            trace.set_span_in_context(self._span),
            attributes={
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": event.agent,
                **asked(self._agents[event.agent]),
                "massgen.round": event.round,
                "massgen.phase": event.phase.value,
            },
            start_time=now,
        )
        due = self._choices if event.phase.value == "present" else 1
        self._rounds[event.agent] = _Round(span, now, now, due)

    def _end_round(self, agent: str, failure: str | None = None) -> None:
        """End the agent's open round, if there is one, and the call that goes on in it."""
        current = self._rounds.pop(agent, None)
        if current is None:
            return
        cut = current.awaiting and failure is None
        if current.awaiting or failure:
            self._call(agent, current, error=CANCELLED if cut else failure)
        error = failure or (CANCELLED if cut else None)
        now = self._now()
        _finish(current.span, error, now)
        attributes: Attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": agent,
            **asked(self._agents[agent]),
        }
        if error:
            attributes["error.type"] = error
        self._instruments.agent.record((now - current.begun) / 1e9, attributes)

    def _reply(self, event: TurnFinished) -> None:
        current = self._rounds.get(event.agent)
        if current is None:
            return
        self._call(event.agent, current, event)
        current.replies_due -= 1
        if current.replies_due <= 0:  # a further reply is a repair, and its call starts now
            current.asked, current.awaiting = self._now(), False

    def _call(
        self,
        agent: str,
        current: _Round,
        event: TurnFinished | None = None,
        *,
        error: str | None = None,
    ) -> None:
        """Record a model call that ends now."""
        now = self._now()
        shared: Attributes = {"gen_ai.operation.name": "chat", **asked(self._agents[agent])}
        told: Attributes = {}
        if event is not None:
            if event.model:
                shared["gen_ai.response.model"] = event.model
            if event.effort:
                told["massgen.reasoning_effort"] = event.effort
            told |= usage(event.usage)
        span = self._tracer.start_span(
            f"chat {self._agents[agent].model}",
            trace.set_span_in_context(current.span),
            trace.SpanKind.CLIENT,
            attributes={**shared, **told},
            start_time=current.asked,
        )
        _finish(span, error, now)
        if event is not None and event.usage is not None:
            for kind, count in counts(event.usage):
                self._instruments.tokens.record(count, {**shared, "gen_ai.token.type": kind})
        failed: Attributes = {"error.type": error} if error else {}
        self._instruments.call.record((now - current.asked) / 1e9, {**shared, **failed})

    def _speak(self) -> None:
        if not self._spoke:
            self._spoke = True
            seconds = (self._now() - self._begun) / 1e9
            self._instruments.first_token.record(seconds, self._served())

    def _complete(self, event: RunCompleted) -> None:
        self.completed = True
        result = event.result
        attributes: Attributes = {"massgen.winner": result.winner, **usage(result.usage)}
        if result.presenter:
            attributes["massgen.presenter"] = result.presenter
        if result.limited_by:
            attributes["massgen.limited_by"] = result.limited_by
        self._span.set_attributes(attributes)
        reasons = [message.finish_reason for message in result.messages]
        self._span.set_attribute("gen_ai.response.finish_reasons", reasons)

    def _served(self) -> Attributes:
        return {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "massgen_compat",
            "gen_ai.request.model": self._team,
        }

    def _now(self) -> int:
        return self._offset + time.perf_counter_ns()


def _finish(span: trace.Span, error: str | None, now: int) -> None:
    """End a span. An error is named by its type alone: its text may quote a client."""
    if error:
        span.set_attribute("error.type", error)
        span.set_status(trace.StatusCode.ERROR)
    span.end(now)
