"""``LocalEngine`` runs teams in this process, by the rules of ``_coordination``."""

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
"""The greatest word overlap (Jaccard, 0 to 1) of a new answer with a current one.

By ``answer_novelty_requirement``; the numbers are those of MassGen 0.1.97."""


def rules_of(
    team: Team,
    policies: Mapping[str, Policy],
    request: RunRequest,
    *,
    resumed_by: int | None = None,
) -> Rules:
    """Return the rules of the coordination that follow from a team, its policies and a request.

    ``policies``: by agent id. ``resumed_by``: the index of the agent that goes on alone with the
    results of its tool calls; the others present only if it fails.

    ``winner_reuse`` becomes ``winner_present`` if the request offers tools, or asks for a format,
    several messages or log probabilities: an answer as it stands has none of them.
    """
    settings = team.settings
    wanted = request.format is not None
    demanded = request.tool_choice == "required" or isinstance(request.tool_choice, NamedTool)
    presents = (
        request.tools or wanted or request.choices > 1 or "logprobs" in request.presenter_params
    )
    reuses = settings.final_answer_strategy == "winner_reuse" and presents
    strategy = "winner_present" if reuses else settings.final_answer_strategy
    # Only a message that is written once is begun ahead of the decision, and only if no limit of
    # tokens or cost would have to pay for one that is thrown away (docs/costs.md).
    once = request.choices == 1 and not (wanted or demanded)
    budget = settings.limits.max_tokens is not None or settings.limits.max_cost is not None
    place = resumed_by or 0
    agents = tuple(agent.id for agent in team.agents)
    solo = len(agents) == 1 or settings.skip_coordination_rounds or resumed_by is not None
    escalation = None if solo else settings.escalation
    return Rules(
        # In a solo run the agents present in this order, so the one that goes on has to be first.
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

    ``connect`` returns the model client of an agent, ``policy_of`` its policy, and ``cost_of`` the
    price of its calls, or ``None`` if that is not known.
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
        """Execute a run, as ``Engine.run`` says."""
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
            # A task group wraps every error; callers expect the error itself.
            raise only(group) from None
