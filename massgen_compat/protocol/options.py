"""The ``massgen`` object of a request: this library's own options. Unknown ones are refused.

A request can only make a team cheaper: fewer agents, fewer answers, lower limits. A value above the
team's own setting has no effect.
"""

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import ConfigDict, Field, Tag

from massgen_compat._run.request import Narrowing
from massgen_compat._run.team import Trace
from massgen_compat.errors import did_you_mean
from massgen_compat.protocol.wire import WireModel, at_most, by_type

_AgentId: TypeAlias = Annotated[str, Field(min_length=1, max_length=256)]


class _Closed(WireModel):
    model_config = ConfigDict(extra="forbid")


class LimitOptions(_Closed):
    """Limits of the run that are lower than the team's."""

    max_calls: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=2**53)] | None = None
    max_cost: Annotated[float, Field(ge=1e-6, le=1e9)] | None = None
    deadline_seconds: Annotated[float, Field(ge=0.001, le=86_400.0)] | None = None


class TeamOptions(_Closed):
    """A smaller team: some of its agents, fewer answers, no call for the final message."""

    agents: Annotated[list[_AgentId], Field(min_length=1, max_length=256)] | None = None
    max_new_answers_per_agent: Annotated[int, Field(ge=1, le=1000)] | None = None
    final_answer_strategy: Literal["winner_reuse"] | None = None


class MassgenOptions(_Closed):
    """The whole object."""

    trace: Trace | None = None
    limits: LimitOptions | None = None
    team: TeamOptions | None = None

    def narrowing(self) -> Narrowing:
        """The options as changes of the team (``trace`` is none of them)."""
        limits, team = self.limits or LimitOptions(), self.team or TeamOptions()
        return Narrowing(
            agents=None if team.agents is None else tuple(team.agents),
            max_new_answers_per_agent=team.max_new_answers_per_agent,
            reuse=team.final_answer_strategy is not None,
            max_calls=limits.max_calls,
            max_tokens=limits.max_tokens,
            max_cost=limits.max_cost,
            deadline_seconds=limits.deadline_seconds,
        )


WireMassgen: TypeAlias = Annotated[
    Annotated[Literal["off"], Tag("~string")]
    | Annotated[MassgenOptions, at_most(16), Tag("~object")],
    by_type("one of 'off' or object", string=str, object=dict),
]

_OPTIONS: Final[dict[str, type[_Closed]]] = {
    "massgen": MassgenOptions,
    "massgen.limits": LimitOptions,
    "massgen.team": TeamOptions,
}


def nearest_option(param: str) -> str:
    """A hint for the error about an unknown option, such as ``massgen.limit``; or ``""``."""
    owner, _, name = param.rpartition(".")
    return did_you_mean(name, _OPTIONS[owner].model_fields) if owner in _OPTIONS else ""
