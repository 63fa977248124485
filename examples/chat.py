"""Ask a team a question and print its message, who wrote what, and what it cost.

python examples/chat.py                # offline: the team follows a script
python examples/chat.py my-team.yaml   # a team of yours, with its models
"""

import sys
from pathlib import Path

import anyio

from massgen_compat import MassGen

SCRIPTED = Path(__file__).with_name("team_scripted.yaml")


async def main(path: str | Path) -> None:
    """Ask the team of a file."""
    async with MassGen.from_yaml(path) as massgen:
        completion = await massgen.chat(
            {
                "model": next(iter(massgen.teams)),
                "messages": [{"role": "user", "content": "Why is the sky blue?"}],
            }
        )
    print(completion.choices[0].message.content)
    # `massgen` is this library's addition to OpenAI's completion.
    run = (completion.model_extra or {})["massgen"]
    print(f"winner: {run['winner']}")
    for agent in run["agents"]:
        print(f"{agent['id']}: {agent['calls']} calls")
    if completion.usage:
        print(f"tokens of the whole run: {completion.usage.total_tokens}")


if __name__ == "__main__":
    anyio.run(main, sys.argv[1] if len(sys.argv) > 1 else SCRIPTED)
