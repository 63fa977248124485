"""Whether a request is one that a client makes by itself, for a title for example. Pure.

Every rule wants the same structure: no tools, no message of the assistant or of a tool, text only.
The requests of a user in the middle of a conversation do not have it. The ``User-Agent`` is not
looked at, since a client sends the same one with its user's own requests.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from massgen_compat._run.background_rules import BackgroundRule
from massgen_compat._run.message import Text
from massgen_compat._run.request import RunRequest

_SPEAKERS: Final = frozenset({"system", "developer", "user"})


@dataclass(frozen=True, slots=True)
class _Texts:
    """The messages of a request that has this structure."""

    system: str
    users: tuple[str, ...]
    characters: int


def matching_rule(
    run: RunRequest, rules: Iterable[BackgroundRule], *, stream: bool
) -> BackgroundRule | None:
    """The first of the rules that fits the request, ``None`` if none does."""
    texts = _texts(run)
    if texts is None:
        return None
    return next((rule for rule in rules if _describes(rule, run, texts, stream=stream)), None)


def _texts(run: RunRequest) -> _Texts | None:
    messages = run.messages
    if run.tools or any(message.role not in _SPEAKERS for message in messages):
        return None
    if not all(isinstance(part, Text) for message in messages for part in message.content):
        return None
    told = [(message.role == "user", message.text.strip()) for message in messages]
    return _Texts(
        system=next((text for is_user, text in told if not is_user), ""),
        users=tuple(text for is_user, text in told if is_user),
        characters=sum(len(text) for _, text in told),
    )


def _describes(rule: BackgroundRule, run: RunRequest, texts: _Texts, *, stream: bool) -> bool:
    if not 1 <= len(texts.users) <= rule.max_user_messages:
        return False
    if rule.stream is not None and stream is not rule.stream:
        return False
    if rule.max_tokens is not None and not _bound(run) <= rule.max_tokens:
        return False
    if rule.max_characters is not None and texts.characters > rule.max_characters:
        return False
    return (
        texts.system.startswith(rule.system_starts_with or "")
        and texts.users[0].startswith(rule.user_starts_with or "")
        and texts.users[-1].endswith(rule.user_ends_with or "")
        and all(any(phrase in text for text in texts.users) for phrase in rule.user_contains)
    )


def _bound(run: RunRequest) -> float:
    """The tokens that the request allows its answer; infinity if it sets no bound."""
    params = run.presenter_params
    return params.get("max_completion_tokens") or params.get("max_tokens") or float("inf")
