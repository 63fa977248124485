"""Builds the ``Team`` of a config whose findings hold no error. Pure: ``env`` is an argument.

This reading is strict: every value has to have its type and range. It cannot be one with the
lenient reading in ``summary``, which must not fail at a file that has mistakes.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import PurePath
from typing import Any, Final, cast, get_args

from massgen_compat._agents.inputs import KINDS
from massgen_compat._run.message import InputKind
from massgen_compat._run.team import (
    Agent,
    Api,
    Backend,
    Limits,
    Strategy,
    StreamTurns,
    Team,
    TeamSettings,
    Timeouts,
    Trace,
)
from massgen_compat._upstream.backends import BACKENDS
from massgen_compat.config.blocks import background_agent, background_rules, escalation, prices
from massgen_compat.config.fields import Fields
from massgen_compat.config.findings import SENSITIVITIES
from massgen_compat.config.keys import PARAMETERS
from massgen_compat.config.reading import Reading
from massgen_compat.config.summary import APIS, DEFAULT_MODELS, MASSGEN_TYPES, AgentNode
from massgen_compat.config.tree import Node
from massgen_compat.errors import ConfigError
from massgen_compat.testing.script import parse_script

TYPES: Final = (*BACKENDS, "scripted", *sorted(MASSGEN_TYPES))
HOSTED_TOOLS: Final = {
    "enable_web_search": "web_search",
    "enable_code_interpreter": "code_interpreter",
}
_TIMEOUTS: Final = tuple(timeout.name for timeout in fields(Timeouts))
NOVELTIES: Final = ("lenient", "balanced", "strict")

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def build_team(reading: Reading, env: Mapping[str, str]) -> Team:
    """The team that a config describes, to be run by the reading's engine.

    ``${NAME}`` is replaced by its value in ``env`` in the values of ``backend``, and nowhere else:
    the rest is text for models. Raises ``ConfigError`` for a value of a wrong type, an unknown
    choice, a missing model, a repeated agent id, or a variable that is not set.
    """
    root = Fields(reading.tree, "", reading.where)
    own = root.inner("massgen_compat")
    shared = _Shared(_api(own), own.text("policy"), _inputs(own), own.flag("prompt_cache_key"))
    listed = _some_agents(root, reading.agents)
    agents = [
        _agent(Fields(node, path, reading.where), f"agent{index}", shared, env)
        for index, (path, node) in enumerate(listed, start=1)
    ]
    _refuse_repeated_ids(listed, agents, reading.where)
    settings = replace(
        _settings(root, own),
        background_agent=background_agent(own, [agent.id for agent in agents]),
        background_rules=background_rules(own),
        prices=prices(own, [agent.model for agent in agents]),
        engine=reading.engine,
        massgen=_massgen_view(reading.tree, env) if reading.engine == "massgen" else None,
    )
    first = escalation(own, [agent.id for agent in agents])
    try:
        settings = replace(settings, escalation=first)
    except ValueError as error:
        own.refuse("escalation", f"cannot be: {error}")
    try:
        name = own.text("model") or PurePath(reading.where).stem
        return Team(name, agents, settings=settings)
    except ValueError as error:
        own.refuse("model", f"cannot be served: {error}")


def _some_agents(root: Fields, agents: tuple[AgentNode, ...]) -> tuple[AgentNode, ...]:
    listed, alone = (key in root.node.fields for key in ("agents", "agent"))
    if listed and alone:
        root.refuse("agent", "stands beside `agents`; keep one of them")
    if not listed and not alone:
        root.refuse(None, "not a team config: there is neither `agents` nor `agent`")
    return agents or root.refuse("agents", "must be a list of agents")


def _refuse_repeated_ids(
    listed: tuple[AgentNode, ...], agents: Sequence[Agent], where: str
) -> None:
    seen: dict[str, str] = {}
    for agent, (path, node) in zip(agents, listed, strict=True):
        if agent.id in seen:
            fields = Fields(node, path, where)
            fields.refuse("id", f"must be unique, and {seen[agent.id]} has the same")
        seen[agent.id] = path


# Agents


@dataclass(frozen=True, slots=True)
class _Shared:
    """Settings of the whole file, for each agent that does not have its own."""

    api: Api | None
    policy: str | None
    inputs: tuple[InputKind, ...] | None
    cache_key: bool | None


def _agent(fields: Fields, default_id: str, shared: _Shared, env: Mapping[str, str]) -> Agent:
    name = fields.text("id") or default_id
    if not name.isprintable() or len(name) > 128:
        fields.refuse("id", "must be printable and at most 128 characters long")
    config = fields.inner("backend")
    kind = config.choice("type", TYPES)
    if kind is None:
        config.refuse("type", "is missing: which provider, e.g. `type: openai`?")
    own = fields.inner("massgen_compat")
    inputs = _inputs(own)
    cache_key = own.flag("prompt_cache_key")
    if cache_key and not (kind in BACKENDS and BACKENDS[kind].cache_key):
        taking = " and ".join(f"`{name}`" for name, row in BACKENDS.items() if row.cache_key)
        own.refuse("prompt_cache_key", f"is for the backends {taking}, and this is `{kind}`")
    backend = Backend(
        type=kind,
        base_url=_expanded(config, "base_url", env),
        api_key=_expanded(config, "api_key", env),
        api_version=_expanded(config, "api_version", env),
        api=_api(own) or shared.api,
    )
    return Agent(
        name,
        model=_expanded(config, "model", env) or _default_model(config, kind),
        backend=replace(
            backend, hosted_tools=_hosted_tools(config, backend), script=_script(config)
        ),
        system_message=fields.text("system_message"),
        voting_sensitivity=_sensitivity(fields),
        policy=own.text("policy") or shared.policy,
        inputs=shared.inputs if inputs is None else inputs,
        prompt_cache_key=shared.cache_key if cache_key is None else cache_key,
        params=_params(config, env),
    )


def _api(own: Fields) -> Api | None:
    choice = own.choice("api", APIS)
    return APIS[choice] if choice else None


def _inputs(own: Fields) -> tuple[InputKind, ...] | None:
    """The kinds besides text. A config may list text as well, which every agent takes anyway."""
    named = own.choices("inputs", ("text", *KINDS))
    return None if named is None else tuple(kind for kind in KINDS if kind in named)


def _sensitivity(fields: Fields) -> str | None:
    choice = fields.choice("voting_sensitivity", SENSITIVITIES)
    return SENSITIVITIES[choice] if choice else None


def _default_model(config: Fields, kind: str) -> str:
    if kind in MASSGEN_TYPES:
        return "its own"
    return DEFAULT_MODELS.get(kind) or config.refuse(
        "model", f"is missing: which model of `{kind}` answers?"
    )


def _hosted_tools(config: Fields, backend: Backend) -> tuple[str, ...]:
    row = BACKENDS.get(backend.type)
    hosted = row.hosted_tools if row and (backend.api or row.api) == "responses" else ()
    wanted = [tool for key, tool in HOSTED_TOOLS.items() if config.flag(key)]
    return tuple(tool for tool in wanted if tool in hosted)


def _script(config: Fields) -> dict[str, Any] | None:
    node = config.node_of("script")
    if node is None or config.text("type") != "scripted":
        return None
    script = node.plain()
    try:
        parse_script(script, key=f"{config.path}.script")
    except ConfigError as error:
        at = f"{config.where}:{node.line}"
        raise ConfigError(error.message, where=at, key=f"{config.path}.script") from None
    return script


def _params(config: Fields, env: Mapping[str, str]) -> dict[str, Any]:
    return {
        key: _expand(config, key, node.plain(), env)
        for key, node in config.node.fields.items()
        if key in PARAMETERS and node.value is not None
    }


def _expanded(config: Fields, key: str, env: Mapping[str, str]) -> str | None:
    text = config.text(key)
    return None if text is None else _expand(config, key, text, env)


def _expand(config: Fields, key: str, value: Any, env: Mapping[str, str]) -> Any:
    """Fill in the variables. A value is never shown, and never searched for variables itself."""

    def fill(found: re.Match[str]) -> str:
        name = found[1]
        problem = f"uses ${{{name}}}, which is not set in the environment"
        return env.get(name) or config.refuse(key, problem)

    match value:
        case str():
            return _VARIABLE.sub(fill, value)
        case list():
            items = cast("list[object]", value)
            return [_expand(config, key, item, env) for item in items]
        case dict():
            fields = cast("dict[str, object]", value)
            return {name: _expand(config, key, item, env) for name, item in fields.items()}
        case _:
            return value


# Settings


def _tool_rounds(own: Fields) -> int | None:
    """After how many steps with client tools the team decides again; ``None``: never.

    ``presenter`` (the default) goes on alone, with ``team`` the team decides every step, and with
    ``every_n:3`` every third one.
    """
    text = own.text("tool_rounds") or "presenter"
    if text in {"presenter", "team"}:
        return 1 if text == "team" else None
    found = re.fullmatch(r"every_n:([1-9]\d{0,3})", text)
    if found is None:
        expected = "must be `presenter`, `team` or `every_n:` and a number, as in `every_n:3`"
        own.refuse("tool_rounds", expected)
    return int(found[1])


def _settings(root: Fields, own: Fields) -> TeamSettings:
    rules, timeouts = root.inner("orchestrator"), root.inner("timeout_settings")
    given: dict[str, Any] = {
        "voting_sensitivity": _sensitivity(rules),
        "max_new_answers_per_agent": rules.whole("max_new_answers_per_agent"),
        "max_new_answers_global": rules.whole("max_new_answers_global"),
        "answer_novelty_requirement": rules.choice("answer_novelty_requirement", NOVELTIES),
        "fairness_lead_cap_answers": rules.whole("fairness_lead_cap_answers"),
        "defer_voting_until_all_answered": rules.flag("defer_voting_until_all_answered"),
        "skip_voting": rules.flag("skip_voting"),
        "skip_coordination_rounds": rules.flag("skip_coordination_rounds"),
        "final_answer_strategy": _strategy(rules),
        "initial_round_timeout_seconds": timeouts.seconds("initial_round_timeout_seconds"),
        "subsequent_round_timeout_seconds": timeouts.seconds("subsequent_round_timeout_seconds"),
        "straggler_grace_seconds": own.seconds("straggler_grace_seconds", least=0),
        "unverified": own.choice("unverified", ("count", "discard")),
        "tool_rounds": _tool_rounds(own),
        "speculate": own.flag("speculate"),
        "trace": own.choice("trace", get_args(Trace)),
        "stream_turns": own.choice("stream_turns", get_args(StreamTurns)),
    }
    settings = TeamSettings(
        **_without_none(given), limits=_limits(own, timeouts), timeouts=_timeouts(own)
    )
    rules.choice("coordination_mode", ("voting", "decomposition"))
    own.choice("engine", ("local", "massgen"))
    if rules.flag("fairness_enabled") is False:
        return replace(settings, fairness_lead_cap_answers=None)
    return settings


def _strategy(rules: Fields) -> str | None:
    strategy = rules.choice("final_answer_strategy", get_args(Strategy))
    if not rules.flag("skip_final_presentation"):
        return strategy
    if strategy not in (None, "winner_reuse"):
        rules.refuse("final_answer_strategy", "contradicts `skip_final_presentation: true`")
    return "winner_reuse"


def _limits(own: Fields, timeouts: Fields) -> Limits:
    """The limits. ``deadline_seconds: null`` means no deadline.

    Where the key is absent, MassGen's ``orchestrator_timeout_seconds`` is the deadline.
    """
    limits = own.inner("limits")
    deadline = limits.seconds("deadline_seconds")
    bounds = Limits(
        max_calls=limits.whole("max_calls"),
        max_tokens=limits.whole("max_tokens"),
        max_cost=limits.dollars("max_cost", least=1e-6),
        deadline_seconds=deadline,
    )
    if "deadline_seconds" in limits.node.fields:
        return bounds
    timeout = timeouts.seconds("orchestrator_timeout_seconds")
    return replace(bounds, deadline_seconds=timeout or Limits().deadline_seconds)


def _timeouts(own: Fields) -> Timeouts:
    block = own.inner("timeouts")
    return Timeouts(**_without_none({name: block.seconds(name) for name in _TIMEOUTS}))


def _massgen_view(tree: Node, env: Mapping[str, str]) -> dict[str, Any]:
    """The file as MassGen reads it: without this library's block, with the variables filled in.

    A variable that ``env`` does not have stays: MassGen knows some of its own (``${cwd}``).
    """
    plain = cast("dict[str, Any]", tree.plain())
    plain.pop("massgen_compat", None)
    return {key: _filled(value, env) for key, value in plain.items()}


def _filled(value: Any, env: Mapping[str, str]) -> Any:
    match value:
        case str():
            return _VARIABLE.sub(lambda found: env.get(found[1], found[0]), value)
        case list():
            return [_filled(item, env) for item in cast("list[Any]", value)]
        case dict():
            fields = cast("dict[str, Any]", value)
            # A system message is text for a model, and may speak about variables.
            return {
                key: item if key == "system_message" else _filled(item, env)
                for key, item in fields.items()
            }
        case _:
            return value


def _without_none(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}
