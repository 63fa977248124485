"""Bodies of other APIs on the chat path, as bodies of Chat Completions.

Some clients post what they have in hand, whatever the path says: Cursor sends bodies of the
Responses API, flat and freeform tools, and for some model names Anthropic's messages, and reads
nothing but chat chunks in return (public reports: litellm#34029, CLIProxyAPI#3805, archestra#7375).
They are told apart by their structure, never by who sends them. What is translated here is checked
afterwards like any other request; what is not of a foreign shape passes as it is. Pure.
"""

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from massgen_compat.errors import InvalidRequest
from massgen_compat.protocol.foreign import anthropic, responses, tools

_PLACE = re.compile(r"messages(\.?\[(\d+)\])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """A chat payload, and what is left to say about the body that it was made of.

    ``as_functions``: custom tools whose calls the client reads as those of functions. ``ignored``
    names what was left out. ``origin`` holds the place in ``input`` of each message, for a body
    that had an ``input``.
    """

    payload: dict[str, Any]
    as_functions: frozenset[str] = frozenset()
    ignored: tuple[str, ...] = ()
    origin: tuple[int, ...] | None = None

    @contextmanager
    def errors_in_its_terms(self) -> Generator[None]:
        """Let errors name the place in the body that the client sent."""
        try:
            yield
        except InvalidRequest as error:
            if self.origin is not None and error.param:
                error.param = _PLACE.sub(self._place, error.param, count=1)
            raise

    def _place(self, found: re.Match[str]) -> str:
        if found[2] is None or self.origin is None:
            return "input"
        index = min(int(found[2]), len(self.origin) - 1)
        return f"input[{self.origin[index]}]" if index >= 0 else "input"


def translate(payload: Mapping[str, Any]) -> Translation:
    """The body as one of Chat Completions.

    Raises ``InvalidRequest`` for a body of another API that asks for what is not to be had here.
    """
    body, origin = responses.as_chat(payload)
    body = anthropic.as_chat(body)
    body, as_functions, ignored = tools.as_chat(body, hosted_ignored=origin is not None)
    return Translation(payload=body, as_functions=as_functions, ignored=ignored, origin=origin)
