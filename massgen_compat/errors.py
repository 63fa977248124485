"""Every error that this library raises on purpose, as one tree.

MassGenError
├── InvalidRequest              the payload; names the parameter and what to do
│   ├── ModelNotFound           no team of that name
│   ├── UnsupportedParameter    known to the API, refused here
│   ├── ContextLengthExceeded   an upstream model's window is too small
│   └── LimitExceeded           a limit of the run left no room for an answer
├── ConfigError                 a YAML file or a Team; names file, line and key
│   └── EngineUnavailable       the config needs an engine that is not installed
├── Overloaded                  this server is full, or shuts down
└── UpstreamError               a model's provider; names the agent
    ├── UpstreamAuthentication  the provider refused *our* key
    ├── UpstreamRateLimited     with the provider's ``retry_after``, in seconds
    ├── UpstreamTimeout         no answer in time
    ├── UpstreamUnreachable     no connection, or it broke
    ├── UpstreamRejected        the provider refused the request
    └── UpstreamMalformed       the provider's reply cannot be used (incl. an empty one)

Messages never hold a key, a path of the server, a traceback or another client's text.
"""

import difflib
from collections.abc import Iterable
from typing import ClassVar


class MassGenError(Exception):
    """The base of every error of this library.

    ``message`` is the text of the error. ``spent``: model calls had been paid for when it was
    raised, so that a retry pays again. ``brief`` says in a few words what happened; the trace and
    events show it.
    """

    spent: bool = False
    brief: ClassVar[str] = "failed"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidRequest(MassGenError):
    """The request cannot be understood or honoured.

    ``param`` is the path of the wrong parameter, such as ``messages[0].content``, and ``code`` the
    word for the error, both as OpenAI's API has them.
    """

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.code = code


class ModelNotFound(InvalidRequest):
    """No team is served under the name ``model``. ``served`` has the names that are."""

    def __init__(self, model: str, served: Iterable[str] = ()) -> None:
        shown = model if len(model) <= 128 else model[:128] + "…"
        hint = did_you_mean(shown, served) or "."
        super().__init__(
            f"The model `{shown}` does not exist or you do not have access to it{hint}",
            code="model_not_found",
        )


class UnsupportedParameter(InvalidRequest):
    """The API has the parameter and this server does not.

    It is refused, and not ignored, because without it the answer would be another one.
    """

    def __init__(self, message: str, *, param: str) -> None:
        super().__init__(message, param=param, code="unsupported_parameter")


class ContextLengthExceeded(InvalidRequest):
    """The conversation does not fit the context window of an agent's model."""

    brief = "context window too small"

    def __init__(self, message: str) -> None:
        super().__init__(message, param="messages", code="context_length_exceeded")


class LimitExceeded(InvalidRequest):
    """The run reached its ``limit``, of tokens or cost, before any agent had given an answer."""

    brief = "limit of the run reached"

    def __init__(self, limit: str) -> None:
        super().__init__(
            f"No agent gave an answer before the run's limit ({limit}). Ask for less at once, or "
            "have the limit raised.",
            code="limit_exceeded",
        )


class ConfigError(MassGenError):
    """A team cannot be built. ``where`` is ``file:line``, ``key`` the key of the config, if
    known."""

    def __init__(self, message: str, *, where: str | None = None, key: str | None = None) -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where
        self.key = key


class EngineUnavailable(ConfigError):
    """The team needs an engine that is not installed."""


class Overloaded(MassGenError):
    """The server has no place for the run, or shuts down; ``retry_after`` is in seconds."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UpstreamError(MassGenError):
    """An agent's provider failed.

    ``agent`` is the agent's id, which the engine sets. ``status`` is the provider's HTTP status, if
    there was one, and ``retry_after`` the time that it asks its clients to wait, in seconds.
    """

    def __init__(
        self,
        message: str,
        *,
        agent: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.agent = agent
        self.status = status
        self.retry_after = retry_after


class UpstreamAuthentication(UpstreamError):
    """The provider refused the key that this server holds (its 401 or 403)."""

    brief = "key refused by its provider"


class UpstreamRateLimited(UpstreamError):
    """The provider answered 429 until the SDK's retries ran out."""

    brief = "rate-limited by its provider"


class UpstreamTimeout(UpstreamError):
    """The provider did not answer, or stopped answering, in time."""

    brief = "no answer from its provider in time"


class UpstreamUnreachable(UpstreamError):
    """The provider could not be reached, or the connection broke."""

    brief = "provider not reached"


class UpstreamRejected(UpstreamError):
    """The provider refused the request itself (its 400, 404 or 422)."""

    brief = "request refused by its provider"


class UpstreamMalformed(UpstreamError):
    """The provider's reply cannot be used: broken stream, no content, failed response."""

    brief = "unusable reply"


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """A hint for an error about an unknown word: the nearest known one; ``""`` if none is near.

    >>> did_you_mean("opnai", ["openai", "ollama"])
    '; did you mean `openai`?'
    >>> did_you_mean("claude", ["openai", "ollama"])
    ''
    """
    close = difflib.get_close_matches(str(word), tuple(known), n=1)
    return f"; did you mean `{close[0]}`?" if close else ""
