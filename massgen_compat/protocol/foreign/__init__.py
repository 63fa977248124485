"""Translates bodies of other APIs that are posted to the chat path into chat bodies. Pure.

Cursor posts bodies of the Responses API there, with flat and freeform tools, and for some model
names Anthropic's messages; it reads only chat chunks in return (public reports: litellm#34029,
CLIProxyAPI#3805, archestra#7375). Such bodies are recognised by their structure and never by the
client that sends them. What has no foreign structure is left as it is, and every body is checked
afterwards like any other chat request.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from massgen_compat.protocol.foreign import anthropic, responses, tools
from massgen_compat.protocol.request import AS_SENT, BodyPlaces


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """A chat payload, and what has to be known about the body that it was made of.

    ``as_functions`` are the names of custom tools whose calls the client reads as those of
    functions. ``ignored`` has the names of what was left out. ``places`` is for errors.
    """

    payload: dict[str, Any]
    as_functions: frozenset[str] = frozenset()
    ignored: tuple[str, ...] = ()
    places: BodyPlaces = AS_SENT


def translate(payload: Mapping[str, Any]) -> Translation:
    """The body as one of Chat Completions.

    Raises ``InvalidRequest`` for a body of another API that cannot be translated, for example
    because it refers to something that is stored at OpenAI.
    """
    body, of_responses = responses.as_chat(payload)
    body, of_anthropic = anthropic.as_chat(body)
    hosted_ignored = "messages" in of_responses
    body, as_functions, ignored, of_tools = tools.as_chat(body, hosted_ignored=hosted_ignored)
    steps = (of_responses, of_anthropic, of_tools)
    places = BodyPlaces(tuple(step for step in steps if step))
    return Translation(payload=body, as_functions=as_functions, ignored=ignored, places=places)
