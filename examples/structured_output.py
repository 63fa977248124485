"""JSON of a given shape from a team: checked, repaired once, never sent if it does not fit.

    python examples/structured_output.py

It works offline: the agents follow scripts. The presenter's first message lacks a key, so it is
asked once more.
"""

import anyio
from pydantic import BaseModel

from massgen_compat import Agent, Backend, MassGen, Team


class Verdict(BaseModel):
    """What the program wants to know."""

    cause: str
    confidence: float


ADA = {
    "draft": "Rayleigh scattering; I am rather sure.",
    "present": [
        '{"cause": "Rayleigh scattering"}',
        '{"cause": "Rayleigh scattering", "confidence": 0.9}',
    ],
}
BEN = {"draft": "The ozone layer.", "evaluate": {"vote": "agent1", "reason": "It is right."}}


async def main() -> None:
    """Ask for a ``Verdict``."""
    agents = [
        Agent("ada", model="scripted", backend=Backend(type="scripted", script=ADA)),
        Agent("ben", model="scripted", backend=Backend(type="scripted", script=BEN)),
    ]
    schema = {"name": "verdict", "schema": Verdict.model_json_schema()}
    async with MassGen(Team("pair", agents)) as massgen:
        completion = await massgen.chat(
            {
                "model": "pair",
                "messages": [{"role": "user", "content": "Why is the sky blue?"}],
                "response_format": {"type": "json_schema", "json_schema": schema},
            }
        )
    verdict = Verdict.model_validate_json(completion.choices[0].message.content or "")
    print(f"{verdict.cause}, {verdict.confidence:.0%} sure")
    agents_told = (completion.model_extra or {})["massgen"]["agents"]
    print(f"ada's calls: {agents_told[0]['calls']} (a draft, a vote, a message, its repair)")


if __name__ == "__main__":
    anyio.run(main)
