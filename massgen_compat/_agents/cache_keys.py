"""Keys for the prompt caches of providers: requests that begin alike have the same key. Pure.

A provider that takes such a key sends requests with the same key and the same beginning to the same
machine, where the beginning is cached. So each agent of a team has a key of its own for each
conversation, and keeps it in all rounds of a run and in all follow-ups of the conversation
(``docs/costs.md``, "Prompt caches").
"""

from hashlib import blake2b
from typing import Final

from massgen_compat._run.request import RunRequest
from massgen_compat._run.team import Team

_BYTES: Final = 16


def cache_keys(team: Team, request: RunRequest) -> dict[str, str]:
    """Return a key for each agent, by agent id: 32 hex digits (OpenAI takes up to 64 characters).

    The key is a digest of the client's own key or, without one, of the conversation up to its first
    user message: this part is the same in every follow-up. A digest does not show the client's key
    to the provider, and says nothing that the request itself does not say.
    """
    conversation = blake2b(digest_size=_BYTES)
    if request.cache_key is not None:
        _add(conversation, "key", request.cache_key)
    else:
        for message in request.messages:
            _add(conversation, message.role, message.text)
            if message.role == "user":
                break
    keys: dict[str, str] = {}
    for agent in team.agents:
        own = conversation.copy()
        _add(own, team.name, agent.id)
        keys[agent.id] = own.hexdigest()
    return keys


def _add(digest: blake2b, *texts: str) -> None:
    for text in texts:
        # The length before each text keeps ("ab", "c") and ("a", "bc") apart. A lone surrogate is
        # legal in JSON, and must not raise here.
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
