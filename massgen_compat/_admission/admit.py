"""Which form of a team answers a request, and whether it can do what is asked. Pure.

Both are decided before any model is called. It is not known beforehand which agent will be the
presenter, so every agent has to be able to do what a presenter needs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from massgen_compat._agents.inputs import kind_of, team_inputs
from massgen_compat._run.message import InputKind
from massgen_compat._run.request import Narrowing, RunRequest
from massgen_compat._run.team import Agent, Escalation, Team
from massgen_compat._spending.meter import Cost
from massgen_compat._upstream.backends import takes_custom_tools, wire_of
from massgen_compat._upstream.parameters import unsupported
from massgen_compat.errors import InvalidRequest, UnsupportedParameter

_Number = TypeVar("_Number", int, float, int | None, float | None)


def admit(team: Team, request: RunRequest, costs: Mapping[str, Cost | None]) -> None:
    """Raise ``InvalidRequest`` for what an agent's backend would refuse or ignore.

    The backend of every agent has to take custom tools, if there are any. For each kind of input,
    at least one of the agents that answer has to take it. ``costs`` has the price of a call by
    agent id, see ``check_cost``.
    """
    check_cost(team, costs)
    if team.settings.engine == "massgen":
        _check_massgen(request)
        return
    _check_tools(team, request)
    _check_parts(team, request)


def _check_massgen(request: RunRequest) -> None:
    """Refuse what MassGen cannot do. Parts that are not text become notes there, as text."""
    wanted = {
        "response_format": request.format is not None,
        "n": request.choices > 1,
        "logprobs": "logprobs" in request.presenter_params,
        "tool_choice": request.tool_choice not in (None, "auto", "none"),
        "tools": any(tool.custom and not tool.as_function for tool in request.tools),
    }
    for param, is_wanted in wanted.items():
        if is_wanted:
            raise UnsupportedParameter(_NOT_WITH_MASSGEN[param], param=param)


_ONLY_LOCAL: Final = "is not supported by this model, whose team runs on MassGen"
_NOT_WITH_MASSGEN: Final = {
    "response_format": f"Unsupported parameter: 'response_format' {_ONLY_LOCAL}.",
    "n": f"Unsupported value: 'n' other than 1 {_ONLY_LOCAL}.",
    "logprobs": f"Unsupported parameter: 'logprobs' {_ONLY_LOCAL}.",
    "tool_choice": "Unsupported value: 'tool_choice' can be 'auto' or 'none' with this model; to "
    f"demand a call {_ONLY_LOCAL}.",
    "tools": f"Unsupported value: a custom tool {_ONLY_LOCAL}; use a function tool with one "
    "string parameter.",
}


def check_cost(team: Team, costs: Mapping[str, Cost | None]) -> None:
    """Raise ``UnsupportedParameter`` if cost is limited, and the price of an agent is unknown."""
    if team.settings.limits.max_cost is None:
        return
    unknown = [agent.id for agent in team.agents if costs.get(agent.id) is None]
    if unknown:
        param = "massgen.limits.max_cost"
        raise UnsupportedParameter(
            f"Unsupported parameter: '{param}' needs the prices of all agents of this model, and "
            f"this server does not know what {', '.join(unknown[:10])} cost"
            f"{'s'[: len(unknown) == 1]}.",
            param=param,
        )


def _check_tools(team: Team, request: RunRequest) -> None:
    if not any(tool.custom and not tool.as_function for tool in request.tools):
        return
    lacking = [agent.id for agent in team.agents if not takes_custom_tools(agent)]
    if lacking:
        raise UnsupportedParameter(
            f"Unsupported parameter: the backends of {', '.join(lacking[:10])} take no custom "
            "tools, and any agent of this team may have to call them; use a function tool with one "
            "string parameter, or a model whose agents all have the backend `openai` or "
            "`azure_openai`.",
            param="tools",
        )


_PARTS: Final[dict[InputKind, tuple[str, str]]] = {
    "image": ("an image", "images"),
    "audio": ("audio", "audio"),
    "file": ("a file", "files"),
}


def escalating(team: Team, request: RunRequest) -> Team:
    """The team; without escalation if the agents that are asked first lack a kind of input.

    They would answer without that input and agree, and an agent that takes it would never be asked.
    """
    escalation = team.settings.escalation
    if escalation is None:
        return team
    first = [agent for agent in team.agents if agent.id in escalation.first]
    needed = {kind_of(part) for message in request.messages for part in message.content}
    if needed <= {None, *team_inputs(first)}:
        return team
    return Team(team.name, team.agents, settings=replace(team.settings, escalation=None))


def _check_parts(team: Team, request: RunRequest) -> None:
    taken = team_inputs(team.answering)
    for index, message in enumerate(request.messages):
        for place, part in enumerate(message.content):
            kind = kind_of(part)
            if kind is None or kind in taken:
                continue
            one, many = _PARTS[kind]
            *first, last = ["text", *(_PARTS[each][1] for each in taken)]
            known = f"{', '.join(first)} and {last}" if first else f"{last} only"
            # The code and the param are the real API's, for a model that takes no audio (recorded).
            raise InvalidRequest(
                f"Invalid value: 'messages[{index}].content[{place}]' is {one}, and no agent of "
                f"this model takes {many}; it takes {known}.",
                param=f"messages[{index}]",
                code="invalid_value",
            )


def unhonoured(team: Team, request: RunRequest) -> tuple[str, ...]:
    """The names of parameters that the API of some agent's backend does not have."""
    if not any(wire_of(agent.backend) == "responses" for agent in team.agents):
        return ()
    return unsupported({**request.agent_params, **request.presenter_params})


def narrowed(team: Team, narrowing: Narrowing) -> Team:
    """The team with the changes of the ``massgen`` object, which only make it smaller or cheaper.

    Raises ``InvalidRequest`` for an agent that the team does not have.
    """
    if narrowing == Narrowing():
        return team
    settings, limits = team.settings, team.settings.limits
    agents = team.agents
    if narrowing.agents is not None:
        ids = {agent.id for agent in agents}
        for index, name in enumerate(narrowing.agents):
            if name not in ids:
                raise InvalidRequest(
                    f"Invalid value: agent '{name[:100]}' is none of this team's agents: "
                    f"{', '.join(agent.id for agent in agents[:20])}.",
                    param=f"massgen.team.agents[{index}]",
                    code="invalid_value",
                )
        agents = tuple(agent for agent in agents if agent.id in narrowing.agents)
    answers = narrowing.max_new_answers_per_agent
    settings = replace(
        settings,
        max_new_answers_per_agent=_lower(settings.max_new_answers_per_agent, answers),
        final_answer_strategy="winner_reuse" if narrowing.reuse else settings.final_answer_strategy,
        escalation=_escalation(settings.escalation, agents),
        limits=replace(
            limits,
            max_calls=_lower(limits.max_calls, narrowing.max_calls),
            max_tokens=_lower(limits.max_tokens, narrowing.max_tokens),
            max_cost=_lower(limits.max_cost, narrowing.max_cost),
            deadline_seconds=_lower(limits.deadline_seconds, narrowing.deadline_seconds),
        ),
    )
    return Team(team.name, agents, settings=settings)


def _escalation(escalation: Escalation | None, agents: Sequence[Agent]) -> Escalation | None:
    """The escalation among these agents. ``None`` if all of them, or none, would be asked first."""
    if escalation is None:
        return None
    ids = [agent.id for agent in agents]
    first = tuple(agent for agent in escalation.first if agent in ids)
    return replace(escalation, first=first) if first and len(first) < len(ids) else None


def _lower(own: _Number, asked: _Number | None) -> _Number:
    """The lower of two bounds; ``None`` is no bound."""
    if asked is None:
        return own
    return asked if own is None else min(own, asked)
