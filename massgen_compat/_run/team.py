"""A team: its agents, and the settings of its runs. Frozen values, no I/O.

``docs/configuration.md`` has the keys of a config that set these fields.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from massgen_compat._run.background_rules import BackgroundRule
from massgen_compat._run.message import InputKind, Json
from massgen_compat._run.result import Usage

Trace: TypeAlias = Literal["off", "status", "full"]
Strategy: TypeAlias = Literal["winner_present", "winner_reuse", "synthesize"]
Api: TypeAlias = Literal["responses", "chat"]
StreamTurns: TypeAlias = Literal["auto", "always"]
EngineName: TypeAlias = Literal["local", "massgen"]
Agreement: TypeAlias = Literal["unanimous", "majority"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """Where an agent's model lives and how it is reached.

    ``type`` is a MassGen backend type (``openai``, ``azure_openai``, ``openrouter``, ...) or
    ``scripted``. ``api`` chooses the wire; by default it is Responses for ``openai`` and
    ``azure_openai``, and Chat Completions for the others. ``hosted_tools`` are tools that the
    provider runs (``web_search``, ``code_interpreter``). Only ``scripted`` has a ``script``.
    """

    type: str = "openai"
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    api_version: str | None = None
    api: Api | None = None
    hosted_tools: tuple[str, ...] = ()
    script: Json | None = field(default=None, hash=False)


@dataclass(frozen=True, slots=True)
class Agent:
    """A member of a team: a model, its backend, and the parameters of all its requests.

    ``params`` go to the backend as they are (``temperature``, ``reasoning``, ``text``). ``policy``
    names a model policy; without it the model's name finds one. ``inputs`` are the kinds of input
    that the model takes besides text; with ``None`` the model's name tells, by tables of this
    library. ``prompt_cache_key``: whether requests carry a key for the provider's prompt cache;
    with ``None`` they do where the provider is known to take one.

    Raises ``ValueError`` for an unknown kind of input.
    """

    id: str
    model: str = field(kw_only=True)
    backend: Backend = field(default_factory=Backend, kw_only=True)
    system_message: str | None = field(default=None, kw_only=True)
    voting_sensitivity: str | None = field(default=None, kw_only=True)
    policy: str | None = field(default=None, kw_only=True)
    inputs: tuple[InputKind, ...] | None = field(default=None, kw_only=True)
    prompt_cache_key: bool | None = field(default=None, kw_only=True)
    params: Json = field(default_factory=dict[str, Any], kw_only=True, hash=False)

    def __post_init__(self) -> None:
        known = get_args(InputKind)
        if unknown := [kind for kind in self.inputs or () if kind not in known]:
            raise ValueError(
                f"agent {self.id!r}: {unknown[0]!r} is no kind of input; those are "
                f"{', '.join(known)}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one run. ``None`` means that there is no bound of this kind.

    At a limit nothing new starts, and the best answer so far is the answer. ``max_calls`` bounds
    the number of model calls; with ``None`` a bound follows from the team's other settings.
    ``max_tokens`` bounds the tokens of all calls, read and written, and ``max_cost`` what they
    cost in US dollars. ``docs/limits.md`` says how exactly each of them holds.
    """

    max_calls: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    deadline_seconds: float | None = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long a run waits for a model call, in seconds. After that the agent leaves the run.

    ``connect_seconds`` bounds each try to connect. ``first_token_seconds`` bounds the time to the
    first piece of the reply, with all tries. ``between_tokens_seconds`` bounds the time to each
    further piece. ``turn_seconds`` bounds the whole call; the time that a slow reader takes does
    not count.
    """

    connect_seconds: float = 5.0
    first_token_seconds: float = 600.0
    between_tokens_seconds: float = 300.0
    turn_seconds: float = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a model costs: US dollars for a million tokens that it reads, or writes.

    ``cached_per_million`` is for tokens that it reads from its provider's cache; with ``None``
    these cost what all others cost. Raises ``ValueError`` for a negative number, and for one that
    is not finite.
    """

    input_per_million: float
    output_per_million: float
    cached_per_million: float | None = None

    def __post_init__(self) -> None:
        numbers = (self.input_per_million, self.output_per_million, self.cached_per_million)
        if any(number is not None and not 0 <= number < float("inf") for number in numbers):
            raise ValueError("a price is a number of US dollars, 0 or more")

    def of(self, usage: "Usage") -> float:
        """What a call with that usage costs, in US dollars.

        >>> price = Price(input_per_million=2.0, output_per_million=8.0)
        >>> price.of(Usage(prompt_tokens=1_000_000, completion_tokens=500_000))
        6.0
        """
        cached = min(usage.cached_tokens, usage.prompt_tokens)
        for_cached = self.cached_per_million
        cost = (usage.prompt_tokens - cached) * self.input_per_million
        cost += cached * (self.input_per_million if for_cached is None else for_cached)
        return (cost + usage.completion_tokens * self.output_per_million) / 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """Some agents of a team are asked first, and the others only if these disagree.

    ``first`` are the ids of the agents that are asked first; a single one reviews its own draft.
    ``until`` says when they agree: if all of them (``unanimous``), or a strict majority of them
    (``majority``), vote for the same answer.

    Raises ``ValueError`` for no ids, for a repeated id, and for an unknown value of ``until``.
    """

    first: tuple[str, ...]
    until: Agreement = "unanimous"

    def __post_init__(self) -> None:
        if not self.first or len(set(self.first)) != len(self.first):
            raise ValueError("escalation needs the ids of one or more agents, each of them once")
        if self.until not in get_args(Agreement):
            raise ValueError(f"escalation is until {' or '.join(get_args(Agreement))}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamSettings:
    """How a team coordinates; most names are those of MassGen's ``orchestrator`` block.

    Durations are seconds. The round timeouts bound the model calls of an agent's first and of its
    later rounds. ``unverified`` decides about a decision to which an agent's policy still objects
    in the last try of a round: with ``count`` it counts, and is marked as unverified; with
    ``discard`` the agent abstains. ``tool_rounds``: after this number of steps with client tools
    the team decides again; with ``None`` the presenter goes on alone.

    ``background_agent`` answers background requests alone, which a client makes by itself, for a
    title for example: an agent's id, ``None`` for the first agent, or ``"off"`` for the whole
    team. ``background_rules`` come before the built-in rules. With ``stream_turns: auto`` drafts
    and evaluations are asked for in one piece where nobody waits for their pieces. ``prices``, by
    the names of models, come before known ones. ``engine`` executes the runs; ``massgen`` is the
    team's config in MassGen's own format, with the keys that only that engine knows, where the
    team has such a config. ``escalation`` says which agents are asked first; with ``None`` all are
    asked at once. ``speculate``: the message is begun when a strict majority agrees, and dropped
    if the outcome changes.

    Raises ``ValueError`` for an escalation in a team that does not vote, and so cannot disagree.
    """

    voting_sensitivity: str = "lenient"
    max_new_answers_per_agent: int = 3
    max_new_answers_global: int | None = None
    answer_novelty_requirement: Literal["lenient", "balanced", "strict"] = "lenient"
    fairness_lead_cap_answers: int | None = 2
    defer_voting_until_all_answered: bool = True
    skip_voting: bool = False
    skip_coordination_rounds: bool = False
    final_answer_strategy: Strategy = "winner_present"
    initial_round_timeout_seconds: float | None = None
    subsequent_round_timeout_seconds: float | None = None
    straggler_grace_seconds: float = 10.0
    unverified: Literal["count", "discard"] = "count"
    tool_rounds: int | None = None
    background_agent: str | None = None
    background_rules: tuple[BackgroundRule, ...] = ()
    trace: Trace = "status"
    stream_turns: StreamTurns = "auto"
    engine: EngineName = "local"
    massgen: Json | None = field(default=None, hash=False, repr=False)
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
    prices: Mapping[str, Price] = field(default_factory=dict[str, Price], hash=False)
    escalation: Escalation | None = None
    speculate: bool = False

    def __post_init__(self) -> None:
        without_votes = self.skip_voting or self.skip_coordination_rounds
        if self.escalation is not None and without_votes:
            name = "skip_voting" if self.skip_voting else "skip_coordination_rounds"
            raise ValueError(f"escalation needs votes, and there are none with {name}")


@dataclass(frozen=True, slots=True)
class Team:
    """A named team of agents: what a model name of the endpoint stands for.

    Raises ``ValueError`` for an empty team, a repeated agent id, or a name that is no model name.
    """

    name: str
    agents: tuple[Agent, ...]
    settings: TeamSettings = field(default_factory=TeamSettings, kw_only=True)

    def __init__(
        self,
        name: str,
        agents: "list[Agent] | tuple[Agent, ...]",
        *,
        settings: TeamSettings | None = None,
    ) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "agents", tuple(agents))
        object.__setattr__(self, "settings", settings or TeamSettings())
        if not name or len(name) > 128 or not name.isprintable():
            raise ValueError("a team needs a printable name of 1 to 128 characters")
        if not self.agents:
            raise ValueError(f"team {name!r} has no agents")
        ids = [agent.id for agent in self.agents]
        if len(set(ids)) != len(ids):
            raise ValueError(f"team {name!r} has two agents with the same id")
        if self.settings.escalation is not None:
            _check_first(name, ids, self.settings.escalation.first)

    @property
    def answering(self) -> tuple[Agent, ...]:
        """The agents that answer a request: all of them, or with ``skip_coordination_rounds`` the
        first one only. The others then answer only if that one fails."""
        return self.agents[:1] if self.settings.skip_coordination_rounds else self.agents


def _check_first(name: str, ids: list[str], first: tuple[str, ...]) -> None:
    if unknown := [agent for agent in first if agent not in ids]:
        raise ValueError(
            f"team {name!r}: escalation.first has {unknown[0]!r}, which is none of its agents: "
            f"{', '.join(ids)}"
        )
    if len(first) == len(ids):
        raise ValueError(f"team {name!r}: escalation.first leaves nobody to call")
