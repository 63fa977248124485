"""Bodies of other APIs on the chat path, as bodies of Chat Completions.

Some clients post what they have in hand, whatever the path says: Cursor sends bodies of the
Responses API, flat and freeform tools, and for some model names Anthropic's messages, and reads
nothing but chat chunks in return (public reports: litellm#34029, CLIProxyAPI#3805, archestra#7375).
They are told apart by their structure, never by who sends them. What is translated here is checked
afterwards like any other request; what is not of a foreign shape passes as it is. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from massgen_compat.protocol.foreign import anthropic, responses, tools
from massgen_compat.protocol.request import AS_SENT, BodyPlaces


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """A chat payload, and what is left to say about the body that it was made of.

    ``as_functions``: custom tools whose calls the client reads as those of functions. ``ignored``
    names what was left out. ``places`` names places of the body that the client sent.
    """

    payload: dict[str, Any]
    as_functions: frozenset[str] = frozenset()
    ignored: tuple[str, ...] = ()
    places: BodyPlaces = AS_SENT


def translate(payload: Mapping[str, Any]) -> Translation:
    """The body as one of Chat Completions.

    Raises ``InvalidRequest`` for a body of another API that asks for what is not to be had here.
    """
    body, of_responses = responses.as_chat(payload)
    body, of_anthropic = anthropic.as_chat(body)
    hosted_ignored = "messages" in of_responses
    body, as_functions, ignored, of_tools = tools.as_chat(body, hosted_ignored=hosted_ignored)
    steps = (of_responses, of_anthropic, of_tools)
    places = BodyPlaces(tuple(step for step in steps if step))
    return Translation(payload=body, as_functions=as_functions, ignored=ignored, places=places)
