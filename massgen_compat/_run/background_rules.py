"""The rules that recognise background requests, as data. Pure.

A background request is one that a client makes by itself: many clients ask the chat's own model for
titles, tags and suggestions. A whole team is too expensive for these, so that one agent answers a
request which a rule describes. If a rule misses such a request, that costs a few model calls. If it
catches a request of the user, that costs the team's answer. Every rule therefore names phrases in
places where a person's words do not stand, and there is no rule for a client whose requests cannot
be told apart. ``_admission.background`` applies the rules, and has the conditions that all share.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

OFF: Final = "off"
"""The ``background_agent`` of a team that answers background requests as a whole."""

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundRule:
    """A description of background requests. A request fits if it meets every condition that is set.

    Phrases are compared literally, with the text of a message without the space around it.
    ``system_starts_with`` is about the first system or developer message, ``user_starts_with``
    about the first user message, and ``user_ends_with`` about the last one. ``user_contains`` are
    phrases that all stand in the user's messages. ``stream`` is what the request asks for
    (``None``: either). ``max_tokens``: the request bounds its answer to this number or fewer.
    ``max_user_messages`` and ``max_characters`` bound the number of the user's messages, and the
    text of all messages. ``source`` says which client sends this, and how that is known.

    A rule that has the name of a built-in one replaces it; with ``enabled=False`` it removes it.
    Raises ``ValueError`` for a name that does not fit into a header, for a rule without a phrase,
    and for a phrase that is empty or has space around it.
    """

    name: str
    system_starts_with: str | None = None
    user_starts_with: str | None = None
    user_contains: tuple[str, ...] = ()
    user_ends_with: str | None = None
    stream: bool | None = None
    max_tokens: int | None = None
    max_user_messages: int = 1
    max_characters: int | None = None
    enabled: bool = True
    source: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                "a rule's name is 1 to 64 letters, digits, dots, dashes or underscores"
            )
        phrases = (
            self.system_starts_with,
            self.user_starts_with,
            *self.user_contains,
            self.user_ends_with,
        )
        given = [phrase for phrase in phrases if phrase is not None]
        if self.enabled and not given:
            raise ValueError("a rule needs a phrase: structure alone also fits what users write")
        if any(phrase != phrase.strip() or not phrase for phrase in given):
            raise ValueError("a phrase is not empty and has no space around it")


def rules_with(extra: Iterable[BackgroundRule]) -> tuple[BackgroundRule, ...]:
    """The rules in force: ``extra``, then the built-in rules that none of those replaces."""
    first = tuple(extra)
    replaced = {rule.name for rule in first}
    rest = (rule for rule in BACKGROUND_RULES if rule.name not in replaced)
    return tuple(rule for rule in (*first, *rest) if rule.enabled)


_OPEN_WEBUI: Final = "Open WebUI: `DEFAULT_{}_PROMPT_TEMPLATE`, `routers/tasks.py`; {}"
_RUN: Final = "request seen from 0.12.4"
_READ: Final = "read in 0.12.4, not run"

BACKGROUND_RULES: Final[tuple[BackgroundRule, ...]] = (
    BackgroundRule(
        name="open-webui-title",
        user_starts_with="### Task:\nGenerate a concise",
        user_contains=("summarizing the chat history", '{ "title":', "<chat_history>"),
        user_ends_with="</chat_history>",
        stream=False,
        source=_OPEN_WEBUI.format("TITLE_GENERATION", _RUN),
    ),
    BackgroundRule(
        name="open-webui-tags",
        user_starts_with="### Task:\nGenerate 1-3 broad tags categorizing the main themes",
        user_contains=('{ "tags":', "<chat_history>"),
        user_ends_with="</chat_history>",
        stream=False,
        source=_OPEN_WEBUI.format("TAGS_GENERATION", _RUN),
    ),
    BackgroundRule(
        name="open-webui-follow-ups",
        user_starts_with="### Task:",  # the words after it changed before 0.12.4
        user_contains=("user might naturally", '{ "follow_ups":', "<chat_history>"),
        user_ends_with="</chat_history>",
        stream=False,
        source=_OPEN_WEBUI.format("FOLLOW_UP_GENERATION", _RUN),
    ),
    BackgroundRule(
        name="open-webui-queries",
        user_starts_with="### Task:\nAnalyze the chat history to determine the necessity of "
        "generating search queries",
        user_contains=('{ "queries":', "<chat_history>"),
        user_ends_with="</chat_history>",
        stream=False,
        source=_OPEN_WEBUI.format("QUERY_GENERATION", _READ),
    ),
    BackgroundRule(
        name="open-webui-image-prompt",
        user_starts_with="### Task:\nGenerate a detailed prompt for",
        user_contains=("image generation task", '"prompt":', "<chat_history>"),
        user_ends_with="</chat_history>",
        stream=False,
        source=_OPEN_WEBUI.format("IMAGE_PROMPT_GENERATION", _READ),
    ),
    BackgroundRule(
        name="open-webui-autocomplete",
        user_starts_with="### Task:\nYou are an autocompletion system.",
        user_contains=("<chat_history>", "<type>", "<text>"),
        user_ends_with="#### Output:",
        stream=False,
        source=_OPEN_WEBUI.format("AUTOCOMPLETE_GENERATION", _READ),
    ),
    BackgroundRule(
        name="opencode-title",
        system_starts_with="You are a title generator. You output ONLY a thread title.",
        user_starts_with="Generate a title for this conversation:",
        max_user_messages=2,
        source="opencode and its forks (Kilo): `agent/prompt/title.txt`, `ensureTitle` in "
        "`session/prompt.ts`; request seen from 1.18.33 and Kilo 7.7.7",
    ),
    BackgroundRule(
        name="continue-title",
        user_starts_with="Given the following... please reply with a title for the chat",
        max_tokens=32,
        source="Continue in IDEs: `core/util/chatDescriber.ts`, 16 tokens; read, not run",
    ),
    BackgroundRule(
        name="librechat-title",
        user_starts_with="Provide a concise, 5-word-or-less title for the conversation",
        user_contains=("return the title itself", "Conversation:"),
        stream=False,
        source="LibreChat: `createCompletionTitleRunnable` of `@librechat/agents` 3.2.21; read, "
        "not run",
    ),
    BackgroundRule(
        name="goose-title",
        system_starts_with="Generate a short title (four words or less)",
        user_contains=("---BEGIN USER MESSAGES---", "---END USER MESSAGES---"),
        user_ends_with="Generate a short title for the above messages.",
        source="Goose: `generate_session_name` in `providers/base.rs`; read, not run",
    ),
    BackgroundRule(
        name="crush-title",
        system_starts_with="You will generate a short title based on the first message",
        user_starts_with="Generate a concise title for the following content:",
        source="Crush: `generateTitle` in `internal/agent/agent.go`; read, not run",
    ),
    BackgroundRule(
        name="cursor-key-check",
        system_starts_with="You are a test assistant.",
        user_starts_with="Testing. Just say hi and nothing else.",
        stream=False,
        max_characters=80,
        source="Cursor, when a key is verified: cursor/cursor#1640; read, not run",
    ),
)
"""The built-in rules; the first that matches names the request."""
