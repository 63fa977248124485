"""Watch a team deliberate: the events of a run, as they happen, before and while it answers.

python examples/streaming.py                # offline: the team follows a script
python examples/streaming.py my-team.yaml   # a team of yours, with its models
"""

import sys
from pathlib import Path

import anyio

from massgen_compat import MassGen, RunRequest, text_message
from massgen_compat.events import (
    Answered,
    MessageText,
    RunCompleted,
    TurnStarted,
    VoteCast,
    VotesVoided,
    WinnerChosen,
)

SCRIPTED = Path(__file__).with_name("team_scripted.yaml")


async def main(path: str | Path) -> None:
    """Print what the team of a file does."""
    async with MassGen.from_yaml(path) as massgen:
        request = RunRequest(
            team=next(iter(massgen.teams)),
            messages=(text_message("user", "Why is the sky blue?"),),
        )
        # Leaving this block early would cancel every model call of the run.
        async with massgen.stream(request) as events:
            async for event in events:
                match event:
                    case TurnStarted():
                        print(f"[{event.agent} starts to {event.phase}]")
                    case Answered():
                        print(f"{event.agent} ({event.label}), answer {event.number}:")
                        print(f"  {event.content}")
                    case VoteCast():
                        print(f"{event.voter} votes for {event.target}: {event.reason}")
                    case VotesVoided():
                        print(f"a new answer: {event.votes} votes count no more")
                    case WinnerChosen():
                        print(f"the winner is {event.winner}\n")
                    case MessageText():
                        print(event.text, end="", flush=True)
                    case RunCompleted():
                        print(f"\n\n{event.result.usage}")
                    case _:
                        pass  # there are more, and new ones may come in minor releases


if __name__ == "__main__":
    anyio.run(main, sys.argv[1] if len(sys.argv) > 1 else SCRIPTED)
