"""``LocalEngine``: the engine that drives the rules of the coordination, in this process."""

from collections.abc import Callable, Mapping

from massgen_compat._agents.call_ids import presenter_of
from massgen_compat._aio import only
from massgen_compat._coordination import Rules
from massgen_compat._local.calls import AgentKit
from massgen_compat._local.driver import Driver
from massgen_compat._run.message import NamedTool
from massgen_compat._run.request import RunRequest
from massgen_compat._run.team import Agent, Team, TeamSettings
from massgen_compat._run.turn import ModelClient
from massgen_compat._spending.meter import Cost, stated_cost
from massgen_compat.events import Detail, RunEvent, Sink
from massgen_compat.policies import DEFAULT, Policy

NOVELTY = {"lenient": None, "balanced": 0.7, "strict": 0.5}
"""Greatest word overlap by ``answer_novelty_requirement``, as in MassGen 0.1.97."""


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

    async def run(
        self,
        team: Team,
        request: RunRequest,
        events: Sink[RunEvent],
        *,
        run_id: str,
        detail: Detail,
    ) -> None:
        """See ``Engine.run``."""
        models = {agent.id: self._connect(agent) for agent in team.agents}
        policies = {agent.id: self._policy_of(agent) for agent in team.agents}
        costs = {agent.id: self._cost_of(agent, team.settings) for agent in team.agents}
        place = presenter_of(team, request.messages)
        driver = Driver(
            team=team,
            request=request,
            run_id=run_id,
            rules=rules_of(team, policies, request, resumed_by=place),
            resumed=place is not None and len(team.agents) > 1,
            kit=AgentKit(models, policies, costs),
            events=events,
            detail=detail,
        )
        try:
            await driver.drive()
        except BaseExceptionGroup as group:
            raise only(group) from None
