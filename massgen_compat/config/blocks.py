"""The blocks of ``massgen_compat`` that have a structure of their own. Pure.

These are background requests (``background_agent``, ``background_rules``), ``escalation`` and
``prices``. Each function gets the fields of ``massgen_compat`` and what it has to know of the
agents; ``team`` puts the results into the team's settings.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import get_args

from massgen_compat._run.background_rules import BACKGROUND_RULES, OFF, BackgroundRule
from massgen_compat._run.team import Agreement, Escalation, Price
from massgen_compat.config.fields import Fields

# Background requests


def background_agent(own: Fields, agents: Sequence[str]) -> str | None:
    """The id of the agent, or ``off``; ``None`` where the config does not say.

    ``agents`` are the ids of the team. YAML reads a plain ``off`` as false. Raises ``ConfigError``
    for anything else.
    """
    node = own.node_of("background_agent")
    if node is None:
        return None
    if node.value is False:
        return OFF
    name = None if node.value is True else own.text("background_agent")
    if name not in {*agents, OFF}:
        known = ", ".join(agents)
        own.refuse("background_agent", f"must be one of its agents ({known}) or `off`")
    return name


def background_rules(own: Fields) -> tuple[BackgroundRule, ...]:
    """The rules of a config, in the file's order; empty where there are none.

    Raises ``ConfigError`` for a value of a wrong type, a rule without a name or without a phrase,
    and a rule that switches off (``enabled: false``) a name that no built-in rule has.
    """
    node = own.node_of("background_rules")
    if node is None:
        return ()
    if not isinstance(node.value, tuple):
        own.refuse("background_rules", "must be a list of rules")
    path = f"{own.path}.background_rules"
    return tuple(
        _rule(Fields(item, f"{path}[{index}]", own.where)) for index, item in enumerate(node.items)
    )


def _rule(fields: Fields) -> BackgroundRule:
    name = fields.text("name") or fields.refuse("name", "is missing: what is this rule called?")
    known = [rule.name for rule in BACKGROUND_RULES]
    enabled = fields.flag("enabled") is not False
    if not enabled and name not in known:
        fields.refuse("name", f"is no built-in rule; those are {', '.join(known)}")
    try:
        return BackgroundRule(
            name=name,
            system_starts_with=_phrase(fields, "system_starts_with"),
            user_starts_with=_phrase(fields, "user_starts_with"),
            user_contains=_phrases(fields, "user_contains"),
            user_ends_with=_phrase(fields, "user_ends_with"),
            stream=fields.flag("stream"),
            max_tokens=fields.whole("max_tokens"),
            max_user_messages=fields.whole("max_user_messages") or 1,
            max_characters=fields.whole("max_characters"),
            enabled=enabled,
        )
    except ValueError as error:
        fields.refuse(None, f"is no rule: {error}")


def _phrase(fields: Fields, key: str) -> str | None:
    text = fields.text(key)
    return None if text is None else text.strip()


def _phrases(fields: Fields, key: str) -> tuple[str, ...]:
    """A phrase, or a list of them."""
    node = fields.node_of(key)
    if node is None or not isinstance(node.value, tuple):
        phrase = _phrase(fields, key)
        return () if phrase is None else (phrase,)
    if not all(isinstance(item.value, str) for item in node.items):
        fields.refuse(key, "must be text or a list of texts")
    return tuple(str(item.value).strip() for item in node.items)


# Escalation


def escalation(own: Fields, agents: Sequence[str]) -> Escalation | None:
    """The escalation of a config; ``None`` where there is none.

    ``agents`` are the ids of the team, and ``first`` is one of them or a list of some. Raises
    ``ConfigError`` for an id that no agent has, for a repeated one, and for a list of all agents:
    nobody would be left to call.
    """
    if own.node_of("escalation") is None:
        return None
    fields = own.inner("escalation")
    node = fields.node_of("first")
    if node is None:
        fields.refuse("first", "is missing: which agent is asked first?")
    if isinstance(node.value, tuple):
        first = fields.choices("first", agents) or ()
    else:
        first = tuple(filter(None, [fields.choice("first", agents)]))
    if len(first) == len(agents):
        fields.refuse("first", "leaves nobody to call: it names all agents of the team")
    until = fields.choice("until", get_args(Agreement)) or "unanimous"
    try:
        return Escalation(first=first, until="majority" if until == "majority" else "unanimous")
    except ValueError as error:
        fields.refuse("first", f"cannot be: {error}")


# Prices

_KEYS = ("input_per_million", "output_per_million", "cached_per_million")


def prices(own: Fields, models: Collection[str]) -> dict[str, Price]:
    """The prices of a config by model name, in US dollars for a million tokens.

    ``models`` are those of the agents. Raises ``ConfigError`` for a model that no agent has, and
    for a price that lacks a number or has an unknown key.
    """
    node = own.node_of("prices")
    if node is None:
        return {}
    if not isinstance(node.value, Mapping):
        own.refuse("prices", "must be a mapping of models to their prices")
    listed = own.inner("prices")
    return {model: _price(listed, model, models) for model in node.fields}


def _price(listed: Fields, model: str, models: Collection[str]) -> Price:
    if model not in models:
        known = ", ".join(dict.fromkeys(models))
        listed.refuse(model, f"is the model of no agent; theirs are {known}")
    fields = listed.inner(model)
    for key in fields.node.fields:
        if key not in _KEYS:
            fields.refuse(key, f"is no part of a price; those are {', '.join(_KEYS)}")
    read, written, cached = (fields.dollars(key) for key in _KEYS)
    if read is None or written is None:
        missing = _KEYS[0] if read is None else _KEYS[1]
        listed.refuse(model, f"lacks `{missing}`: how many US dollars are a million tokens?")
    return Price(input_per_million=read, output_per_million=written, cached_per_million=cached)
