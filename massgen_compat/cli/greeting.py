"""What a server says when it starts: what it serves, where, and how to try it. Pure."""

import json
import shlex

import massgen_compat

KEY = "${MASSGEN_COMPAT_API_KEYS%%,*}"
"""The first of the keys, as a shell reads it from the variable. A key itself is never shown."""

_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing binds here


def greeting(massgen: "massgen_compat.MassGen", host: str, port: int, *, with_keys: bool) -> str:
    """The teams, each with engine, models and policies, and a ``curl`` line that works as it is."""
    url = base_url(host, port)
    lines = [f"massgen-compat serves at {url}"]
    for name, team in massgen.teams.items():
        lines.append(f"  {name}, engine {team.settings.engine}")
        for agent in team.agents:
            policy = massgen.policy_of(agent).name
            lines.append(f"    {agent.id} ({agent.model}), policy {policy}")
    lines.append(
        "Clients need one of the keys in MASSGEN_COMPAT_API_KEYS."
        if with_keys
        else "Clients need no key."
    )
    lines += ["Try it:", f"  {curl(next(iter(massgen.teams)), url, with_keys=with_keys)}"]
    return "\n".join(lines) + "\n"


def base_url(host: str, port: int) -> str:
    """Where a client of this machine finds a server that is bound to ``host``."""
    host = _EVERY_ADDRESS.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"


def curl(model: str, url: str, *, with_keys: bool) -> str:
    """A command that asks the model for a stream."""
    hello = {
        "model": model,
        "stream": True,
        "messages": [{"role": "user", "content": "Hello"}],
    }
    key = f'-H "Authorization: Bearer {KEY}" ' if with_keys else ""
    json_of = "-H 'Content-Type: application/json'"
    return f"curl -N {url}/chat/completions {key}{json_of} -d {shlex.quote(json.dumps(hello))}"
