"""The parts of the documents that are made of the code: a table of places, and how each is made.

``UPDATE_SNAPSHOTS=1 pytest tests/docs/test_references.py`` writes them all anew.
"""

import argparse
import inspect
import re
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from massgen_compat import events
from massgen_compat._run.team import Escalation, Limits, TeamSettings, Timeouts
from massgen_compat._upstream.backends import BACKENDS
from massgen_compat.asgi import create_app
from massgen_compat.cli import command_line
from massgen_compat.config.findings import SENSITIVITIES
from massgen_compat.config.keys import OWN_SECTIONS, SECTIONS
from tests.docs.codes import CODES

# Settings of a team

SETTINGS: Mapping[str, type[Any]] = {
    "massgen_compat": TeamSettings,
    "massgen_compat.escalation": Escalation,
    "massgen_compat.limits": Limits,
    "massgen_compat.timeouts": Timeouts,
    "orchestrator": TeamSettings,
    "timeout_settings": TeamSettings,
}
"""Sections whose keys are fields of these, with their defaults."""

SAID: Mapping[str, str] = {
    "agents[].massgen_compat.api": "the team's `api`, else by `type`",
    "agents[].massgen_compat.inputs": "the team's `inputs`, else by the model's name",
    "agents[].massgen_compat.policy": "the team's `policy`, else by the model's name",
    "agents[].massgen_compat.prompt_cache_key": "the team's, else by `type`",
    "massgen_compat.api": "by `type`: `responses` for openai and azure_openai, else `chat`",
    "massgen_compat.background_agent": "the first agent",
    "massgen_compat.background_rules": "the built-in ones",
    "massgen_compat.inputs": "by the model's name",
    "massgen_compat.limits.max_calls": "follows from the team's rules",
    "massgen_compat.model": "the file's stem",
    "massgen_compat.policy": "by the model's name",
    "massgen_compat.prompt_cache_key": "at OpenAI",
    "massgen_compat.escalation.first": "needed",
    "massgen_compat.prices": "those that `genai-prices` knows",
    "massgen_compat.tool_rounds": "`presenter`",
    "orchestrator.coordination_mode": "`voting`",
    "orchestrator.fairness_enabled": "`true`",
    "orchestrator.skip_final_presentation": "`false`",
    "timeout_settings.orchestrator_timeout_seconds": "`1800`",
}
"""Defaults that are no plain value of a field."""

VALUES: Mapping[str, str] = {
    "agents[].massgen_compat.api": "`responses`, `chat`",
    "agents[].massgen_compat.inputs": "a list of `text`, `image`, `audio`, `file`",
    "agents[].massgen_compat.policy": "a policy's name",
    "agents[].massgen_compat.prompt_cache_key": "`true`, `false`",
    "massgen_compat.api": "`responses`, `chat`",
    "massgen_compat.background_agent": "an agent's id, `off`",
    "massgen_compat.background_rules": "a list; keys below",
    "massgen_compat.prompt_cache_key": "`true`, `false`",
    "massgen_compat.escalation.first": "an agent's id, or a list of them",
    "massgen_compat.inputs": "a list of `text`, `image`, `audio`, `file`",
    "massgen_compat.model": "a name",
    "massgen_compat.policy": "a policy's name",
    "massgen_compat.prices": "by model: `input_per_million`, `output_per_million`, "
    "`cached_per_million`, in US dollars",
    "massgen_compat.tool_rounds": "`presenter`, `team`, `every_n:N`",
    "orchestrator.coordination_mode": "`voting`",
    "orchestrator.voting_sensitivity": ", ".join(
        f"`{name}`" for name in dict.fromkeys(SENSITIVITIES.values())
    ),
    "orchestrator.fairness_enabled": "`true`, `false`",
    "orchestrator.skip_final_presentation": "`true`, `false`",
    "timeout_settings.orchestrator_timeout_seconds": "a number",
}
"""Values that the field's type does not tell."""


def shown(value: object) -> str:
    """A default as it stands in YAML."""
    match value:
        case None:
            return "none"
        case bool():
            return f"`{str(value).lower()}`"
        case float():
            return f"`{value:g}`"
        case str() | int():
            return f"`{value}`"
        case _:
            raise TypeError(f"say the default {value!r} in words")


def defaults(section: str, name: str) -> str:
    """The default of a key."""
    said = SAID.get(f"{section}.{name}")
    return said or shown(default_of(field_of(section, name)))


def field_of(section: str, name: str) -> Field[Any]:
    found = {each.name: each for each in fields(SETTINGS[section])}
    if name not in found:
        raise KeyError(f"{section}.{name} is no field: say its default in SAID")
    return found[name]


def default_of(field: Field[Any]) -> object:
    if field.default is not MISSING:
        return field.default
    assert field.default_factory is not MISSING
    return field.default_factory()


def values(section: str, name: str) -> str:
    """What a key can be."""
    if said := VALUES.get(f"{section}.{name}"):
        return said
    return ", ".join(dict.fromkeys(words(get_type_hints(SETTINGS[section])[name])))


def words(hint: Any) -> Iterator[str]:
    if get_origin(hint) is Literal:
        yield from (f"`{each}`" for each in get_args(hint))
    elif hint is bool:
        yield from ("`true`", "`false`")
    elif hint in (int, float, str):
        yield {int: "a whole number", float: "a number", str: "text"}[hint]
    else:
        for each in get_args(hint):
            if each is not types.NoneType:
                yield from words(each)


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines
    )


def own_keys() -> str:
    """Every key of this library's own blocks, a table for each block."""
    parts: list[str] = []
    for section in SECTIONS:
        if section not in OWN_SECTIONS or section.endswith("rules[]"):
            continue
        rows = (
            (f"`{name}`", values(section, name), defaults(section, name), effect(section, name))
            for name in sorted(SECTIONS[section])
        )
        parts.append(f"### `{section}`\n\n{table(('key', 'values', 'default', 'effect'), rows)}")
    return "\n".join(parts)


EFFECTS: Mapping[str, str] = {
    "massgen_compat.background_rules": "rules that are looked at before the built-in ones",
}
"""Effects of keys whose row only says what the lack of a value means."""


def effect(section: str, name: str) -> str:
    return EFFECTS.get(f"{section}.{name}") or SECTIONS[section][name].note


def rule_keys() -> str:
    """The keys of a rule for background requests."""
    return table(("key", "effect"), by_note("massgen_compat.background_rules[]", "honoured"))


def team_keys() -> str:
    """MassGen's keys that are honoured and are settings of a team here."""
    parts: list[str] = []
    for section in ("orchestrator", "timeout_settings"):
        rows = (
            (f"`{name}`", values(section, name), defaults(section, name), row.note)
            for name, row in sorted(SECTIONS[section].items())
            if row.level == "honoured"
        )
        parts.append(f"### `{section}`\n\n{table(('key', 'values', 'default', 'effect'), rows)}")
    return "\n".join(parts)


def agent_keys() -> str:
    """MassGen's keys of an agent that are honoured."""
    parts: list[str] = []
    for section in ("agents[]", "agents[].backend"):
        rows = by_note(section, "honoured")
        parts.append(f"### `{section}`\n\n{table(('key', 'effect'), rows)}")
    return "\n".join(parts)


def by_note(section: str, level: str) -> Iterator[tuple[str, str]]:
    """Keys of one level, those with the same explanation together."""
    grouped: dict[str, list[str]] = {}
    for name, row in sorted(SECTIONS[section].items()):
        if row.level == level:
            grouped.setdefault(row.note, []).append(f"`{name}`")
    yield from ((", ".join(names), note) for note, names in grouped.items())


LEVELS = (
    ("needs_massgen", "Needs MassGen itself"),
    ("ignored", "Ignored"),
    ("error", "Refused"),
)


def other_keys() -> str:
    """MassGen's keys that do nothing here, or cannot be served."""
    parts: list[str] = []
    for level, title in LEVELS:
        rows = (
            (f"`{section or 'top level'}`", names, note)
            for section in SECTIONS
            if section not in OWN_SECTIONS
            for names, note in by_note(section, level)
        )
        parts.append(f"### {title}\n\n{table(('block', 'keys', 'why'), rows)}")
    return "\n".join(parts)


def backend_types() -> str:
    """The types of backends: where they are, and whose key they need."""

    def names(variables: tuple[str, ...]) -> str:
        return " or ".join(f"`{each}`" for each in variables)

    rows = (
        (
            f"`{row.type}`",
            f"`{row.base_url}`" if row.base_url else names(row.urls) or "`base_url` of the config",
            "none" if row.open else names(row.keys) or "`api_key`, or the variable of its host",
            row.api,
        )
        for row in BACKENDS.values()
    )
    return table(("type", "address", "key", "wire"), rows)


# Errors


def error_codes() -> str:
    """Every code, in the order of the statuses."""
    who = {"client": "the client", "operator": "the operator", "wait": "wait, then ask again"}
    rows = (
        (f"`{code}`", str(each.status), each.cause, each.remedy, who[each.who])
        for code, each in sorted(CODES.items(), key=lambda item: (item[1].status, item[0]))
    )
    return table(("code", "status", "cause", "what to do", "who"), rows)


# Events


def run_events() -> str:
    """Every event, with its fields."""
    rows: list[tuple[str, ...]] = []
    for kind in cast("tuple[type[Any], ...]", get_args(events.RunEvent)):
        told = inspect.cleandoc(kind.__doc__ or "").replace("\n", " ").replace("``", "`")
        first, *others = fields(kind)
        names = ", ".join(f"`{field.name}`" for field in others)
        rows.append((f"`{kind.__name__}`", f"`{first.default}`", names, told))
    return table(("class", "`type`", "fields", "when, and what"), iter(rows))


# The command line


def cli_reference() -> str:
    """Every command with its arguments, from ``argparse``."""
    parts: list[str] = []
    for name, parser in commands().items():
        parts.append(f"## {name}\n\n{paragraphs(parser.description or '')}\n")
        rows = (argument(action) for action in parser._actions if action.dest != "help")
        parts.append(table(("argument", "default", "effect"), rows))
        lines = (parser.epilog or "").strip().splitlines()[1:]
        examples = "\n".join(line.strip() for line in lines)
        mark = "not run: examples of the help; the tests in tests/cli run the commands"
        parts.append(f"<!-- {mark} -->\n```sh\n{examples}\n```\n")
    return "\n".join(parts).replace("| argument | default | effect |\n| --- | --- | --- |\n\n", "")


def commands() -> dict[str, argparse.ArgumentParser]:
    for action in command_line()._actions:
        choices: Any = action.choices
        if isinstance(choices, dict):
            return cast("dict[str, argparse.ArgumentParser]", choices)
    raise AssertionError("there are no commands")


def paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.strip().split("\n\n"))


DEFAULT = re.compile(r" \(default: (.*?)\)(?=$|;)", re.DOTALL)


def argument(action: argparse.Action) -> tuple[str, str, str]:
    """An argument's name with what follows it, its default, and what it does."""
    told = (action.help or "") % {"default": action.default}
    found = DEFAULT.search(told)
    name = ", ".join(action.option_strings) or str(action.metavar or action.dest)
    if action.option_strings and action.nargs != 0:
        value = action.metavar or (
            "{" + ",".join(map(str, action.choices)) + "}"
            if action.choices
            else action.dest.upper()
        )
        name = f"{name} {value}"
    return f"`{name}`", found[1] if found else "needed", DEFAULT.sub("", told)


# The server


SERVER_FLAGS: Mapping[str, str] = {
    "api_keys": "`MASSGEN_COMPAT_API_KEYS`",
    "cors_origins": "`--cors-origin`",
    "join_retries": "`--no-join-retries`",
}


def server_settings() -> str:
    """The arguments of ``create_app`` with their flags and defaults; the page explains them."""
    flags = {flag for action in commands()["serve"]._actions for flag in action.option_strings}

    def rows() -> Iterator[tuple[str, ...]]:
        for name, parameter in inspect.signature(create_app).parameters.items():
            if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
                continue
            flag = f"--{name.replace('_', '-')}"
            given = SERVER_FLAGS.get(name) or (f"`{flag}`" if flag in flags else "-")
            default = parameter.default
            yield f"`{name}`", given, "none" if default in ((), None) else shown(default)

    return table(("argument of `create_app`", "of `serve`", "default"), rows())


GENERATED: Mapping[tuple[str, str], Callable[[], str]] = {
    ("configuration.md", "own keys"): own_keys,
    ("configuration.md", "keys of a rule"): rule_keys,
    ("configuration.md", "settings of a team"): team_keys,
    ("configuration.md", "settings of an agent"): agent_keys,
    ("configuration.md", "other keys"): other_keys,
    ("configuration.md", "backend types"): backend_types,
    ("serving.md", "settings of a server"): server_settings,
    ("cli.md", "commands"): cli_reference,
    ("errors.md", "codes"): error_codes,
    ("events.md", "events"): run_events,
}
"""By the page and the name of the place in it."""


def place(name: str) -> re.Pattern[str]:
    """The text between the marks of a generated part."""
    begin = f"<!-- {name}: written by UPDATE_SNAPSHOTS=1 pytest tests/docs/test_references.py -->"
    end = f"<!-- end of {name} -->"
    return re.compile(rf"(?<={re.escape(begin)}\n\n).*?(?=\n{re.escape(end)})", re.DOTALL)
