"""What executes a run: the ``Engine`` protocol, and the local engine that drives the rules.

The only package that starts tasks. Leaving a stream cancels every model call that it made; buffers
are bounded, so a slow reader slows its own run.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol, cast

import anyio
from anyio.abc import TaskGroup

from massgen_compat.channel import Channel
from massgen_compat.coordination import Rules
from massgen_compat.engine.driver import Driver
from massgen_compat.engine.listening import Equipment
from massgen_compat.errors import MassGenError
from massgen_compat.events import RunEvent
from massgen_compat.message import NamedTool
from massgen_compat.meter import Cost, stated_cost
from massgen_compat.policies import DEFAULT, Policy
from massgen_compat.run import Agent, RunRequest, Team, TeamSettings
from massgen_compat.tools import presenter_of
from massgen_compat.turn import ModelClient

EVENT_BUFFER = 64
"""Events that a run may be ahead of its reader."""

NOVELTY = {"lenient": None, "balanced": 0.7, "strict": 0.5}
"""Greatest word overlap by ``answer_novelty_requirement``, as in MassGen 0.1.97."""


class Engine(Protocol):
    """Executes runs."""

    def stream(
        self, team: Team, request: RunRequest, *, run_id: str
    ) -> AbstractAsyncContextManager[AsyncIterator[RunEvent]]:
        """Open a run; leaving the context ends it and every model call that it made.

        The iterator yields ``RunStarted`` first and ``RunCompleted`` last, or raises a
        ``MassGenError``. It may be abandoned at any time.
        """
        ...


def rules_of(
    team: Team,
    policies: Mapping[str, Policy],
    request: RunRequest,
    *,
    resumed_by: int | None = None,
) -> Rules:
    """A team's settings, and its agents' policies, as rules of the coordination.

    ``resumed_by`` is the place of the agent that goes on alone with the results of its tool calls;
    the others only step in for it. Where a request offers tools, asks for a format, for several
    messages or for log probabilities, somebody has to present: an answer as it stands has none.
    """
    settings = team.settings
    wanted = request.format is not None
    demanded = request.tool_choice == "required" or isinstance(request.tool_choice, NamedTool)
    presents = (
        request.tools or wanted or request.choices > 1 or "logprobs" in request.presenter_params
    )
    reuses = settings.final_answer_strategy == "winner_reuse" and presents
    strategy = "winner_present" if reuses else settings.final_answer_strategy
    # A message is begun ahead where it is written once, and where no tight budget pays for it.
    once = request.choices == 1 and not (wanted or demanded)
    budget = settings.limits.max_tokens is not None or settings.limits.max_cost is not None
    place = resumed_by or 0
    agents = tuple(agent.id for agent in team.agents)
    solo = len(agents) == 1 or settings.skip_coordination_rounds or resumed_by is not None
    escalation = None if solo else settings.escalation
    return Rules(
        agents=agents[place:] + agents[:place],
        max_answers=settings.max_new_answers_per_agent,
        max_answers_global=settings.max_new_answers_global,
        novelty=NOVELTY[settings.answer_novelty_requirement],
        lead_cap=settings.fairness_lead_cap_answers,
        defer_voting=settings.defer_voting_until_all_answered,
        skip_voting=settings.skip_voting,
        solo=solo,
        first=escalation.first if escalation else (),
        speculate=settings.speculate and once and not budget and strategy != "winner_reuse",
        until=escalation.until if escalation else "unanimous",
        strategy=strategy,
        first_round_seconds=settings.initial_round_timeout_seconds,
        later_round_seconds=settings.subsequent_round_timeout_seconds,
        grace_seconds=settings.straggler_grace_seconds,
        deadline_seconds=settings.limits.deadline_seconds,
        max_calls=settings.limits.max_calls,
        waive_objections=settings.unverified == "count",
        presentations=request.choices,
        repairs=wanted or demanded,
        message_drafts=frozenset(
            agent for agent, policy in policies.items() if policy.draft_as_message
        ),
    )


class LocalEngine:
    """Runs teams in this process.

    ``connect`` gives the model behind an agent, ``policy_of`` the policy that the agent is under,
    ``cost_of`` what its calls cost, by the team's settings, where that is known.
    """

    def __init__(
        self,
        connect: Callable[[Agent], ModelClient],
        policy_of: Callable[[Agent], Policy] = lambda _: DEFAULT,
        cost_of: Callable[[Agent, TeamSettings], Cost | None] = stated_cost,
    ) -> None:
        self._connect = connect
        self._policy_of = policy_of
        self._cost_of = cost_of

    @asynccontextmanager
    async def stream(
        self, team: Team, request: RunRequest, *, run_id: str
    ) -> AsyncGenerator[AsyncIterator[RunEvent]]:
        """See ``Engine.stream``."""
        models = {agent.id: self._connect(agent) for agent in team.agents}
        policies = {agent.id: self._policy_of(agent) for agent in team.agents}
        costs = {agent.id: self._cost_of(agent, team.settings) for agent in team.agents}
        events = Channel[RunEvent](EVENT_BUFFER)
        place = presenter_of(team, request.messages)
        driver = Driver(
            team=team,
            request=request,
            run_id=run_id,
            rules=rules_of(team, policies, request, resumed_by=place),
            resumed=place is not None and len(team.agents) > 1,
            equipment=Equipment(models, policies, costs),
            events=events,
        )
        async with running(driver, events) as stream:
            yield stream


class Drives(Protocol):
    """Executes one run in a task; ``error`` is how it ended, where it has no result."""

    error: MassGenError | None

    async def drive(self, tasks: TaskGroup, /) -> None:
        """Run to the end. What goes on beside it are tasks of that group."""
        ...


@asynccontextmanager
async def running(
    driver: Drives, events: Channel[RunEvent]
) -> AsyncGenerator[AsyncIterator[RunEvent]]:
    """The events of a run that goes on for as long as the context is open."""
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(driver.drive, tasks)
            yield _Events(events, driver)
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise _only(group) from None


def _only(error: BaseException) -> BaseException:
    """What went wrong, without the wrapping of task groups where it was one thing."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    group = cast("BaseExceptionGroup[BaseException]", error)
    return _only(group.exceptions[0]) if len(group.exceptions) == 1 else group


class _Events(AsyncIterator[RunEvent]):
    def __init__(self, events: Channel[RunEvent], driver: Drives) -> None:
        self._events = events
        self._driver = driver

    async def __anext__(self) -> RunEvent:
        try:
            return await self._events.receive()
        except anyio.EndOfStream:
            if self._driver.error is not None:
                raise self._driver.error from None
            raise StopAsyncIteration from None
