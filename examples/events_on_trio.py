"""A run under trio, ended as soon as there is a winner: nobody waits for the final message.

    python examples/events_on_trio.py

The library runs on asyncio and trio. Leaving a stream cancels the model calls that are still open.
It works offline: the team follows a script.
"""

from pathlib import Path

import trio

from massgen_compat import MassGen, RunRequest, text_message
from massgen_compat.events import Answered, WinnerChosen

SCRIPTED = Path(__file__).with_name("team_scripted.yaml")


async def main() -> None:
    """Print the winner's answer."""
    answers: dict[str, str] = {}
    request = RunRequest(team="team", messages=(text_message("user", "Why is the sky blue?"),))
    with trio.fail_after(60):
        async with MassGen.from_yaml(SCRIPTED) as massgen, massgen.stream(request) as events:
            async for event in events:
                print(event.type)
                if isinstance(event, Answered):
                    answers[event.agent] = event.content
                if isinstance(event, WinnerChosen):
                    print(f"{event.winner}: {answers[event.winner]}")
                    break


if __name__ == "__main__":
    trio.run(main)
