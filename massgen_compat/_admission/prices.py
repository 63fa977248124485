"""What an agent's calls cost: a stated price, or the price that the package ``genai-prices`` has.

The package (extra ``[prices]``) contains its prices; nothing is downloaded. A provider is
recognised by the URL that the calls go to, never by the name of a model alone. So a price is
unknown behind a gateway, on a server of one's own, and at a provider that the package does not
know, until the config states it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from massgen_compat._run.result import Usage
from massgen_compat._run.team import Agent, Price, Team, TeamSettings
from massgen_compat._spending.meter import Cost, stated_cost
from massgen_compat._upstream.backends import base_url
from massgen_compat.errors import ConfigError

_MILLION: Final = 1_000_000
_READ: Final = Usage(prompt_tokens=_MILLION, completion_tokens=0)
_WRITTEN: Final = Usage(prompt_tokens=0, completion_tokens=_MILLION)


@dataclass(frozen=True, slots=True)
class Quote:
    """What calls cost in US dollars, as a function, and where the price is from.

    ``source`` is ``stated``, ``genai-prices`` or ``scripted``.
    """

    source: str
    cost: Cost

    def __str__(self) -> str:
        read, written = self.cost(_READ), self.cost(_WRITTEN)
        return f"${read:g} read, ${written:g} written for a million tokens ({self.source})"


def quote(agent: Agent, settings: TeamSettings, env: Mapping[str, str]) -> Quote | None:
    """What the agent's calls cost, or ``None``. ``env`` may hold the URL of its provider."""
    if stated := stated_cost(agent, settings):
        return Quote("stated", stated)
    if agent.backend.type == "scripted":
        return Quote("scripted", Price(input_per_million=0, output_per_million=0).of)
    try:
        url = base_url(agent.backend, env)
    except ConfigError:
        return None
    known = _known(agent.model, url) if find_spec("genai_prices") else None
    return known and Quote("genai-prices", known)


def check_prices(team: Team, costs: Mapping[str, Cost | None]) -> None:
    """Raise ``ConfigError`` for a team with ``max_cost`` whose agents' prices are not all known."""
    if team.settings.limits.max_cost is None:
        return
    for agent in team.agents:
        if costs.get(agent.id) is None:
            told = without_price(agent.id, agent.model)
            raise ConfigError(f"team {team.name!r}, {told}", key="max_cost")


def without_price(agent: str, model: str) -> str:
    """The text of an error: an agent's price is unknown, and how to make it known."""
    install = "" if find_spec("genai_prices") else "install massgen-compat[prices], or "
    stated = f"{{{model}: {{input_per_million: …, output_per_million: …}}}}"
    return (
        f"agent {agent!r}: `max_cost` is set, but the price of model {model!r} is "
        f"unknown: {install}state it with `massgen_compat: {{prices: {stated}}}`, or remove "
        "`max_cost`"
    )


def _known(model: str, url: str) -> Cost | None:
    """The package's price. A row that has no price for output tokens is not used."""
    import genai_prices  # noqa: PLC0415 - an extra, which takes 0.3 s to load

    def cost(usage: Usage) -> float:
        counted = genai_prices.Usage(
            input_tokens=usage.prompt_tokens,
            output_tokens=usage.completion_tokens,
            cache_read_tokens=min(usage.cached_tokens, usage.prompt_tokens),
        )
        return float(genai_prices.calc_price(counted, model, provider_api_url=url).total_price)

    try:
        free = model.endswith(":free")  # OpenRouter's free models have a row without prices
        return cost if free or cost(_WRITTEN) > 0 else None
    except LookupError:
        return None


class Costs:
    """What agents' calls cost, looked up once. Without ``env`` only stated prices are known."""

    def __init__(self, env: Mapping[str, str] | None) -> None:
        self._env = env
        self._found: dict[tuple[Agent, Price | None], Cost | None] = {}

    def of(self, agent: Agent, settings: TeamSettings) -> Cost | None:
        """What the agent's calls cost in US dollars, as a function of their usage, or ``None``."""
        if self._env is None:
            return stated_cost(agent, settings)
        key = (agent, settings.prices.get(agent.model))
        if key not in self._found:
            found = quote(agent, settings, self._env)
            self._found[key] = found and found.cost
        return self._found[key]

    def of_team(self, team: Team) -> dict[str, Cost | None]:
        """The same for all agents of a team, by their ids."""
        return {agent.id: self.of(agent, team.settings) for agent in team.agents}
