"""``massgen-compat demo``: two teams answer a chat request offline, over real sockets.

Only the models are not real. Scripts take their place, and ``ScriptedServer`` serves them over
loopback HTTP in OpenAI's wire format. The teams are served as ``serve`` does it, and the official
``openai`` SDK is their client. The demo says all this on the screen.
"""

import argparse
import sys
from typing import TYPE_CHECKING, Any, TextIO

import massgen_compat
from massgen_compat._run.team import Agent, Backend, Team
from massgen_compat.cli.parser import Commands
from massgen_compat.testing import ScriptedServer

if TYPE_CHECKING:
    from openai import OpenAI

QUESTION = "Why is the sky blue, and why are sunsets red?"

_CODES = {"dim": "\033[2m", "bold": "\033[1m"}

_FIRST = "Air scatters blue light more than red light."
_SECOND = (
    "Sunlight holds all colours. Air molecules scatter short wavelengths most (Rayleigh "
    "scattering, as 1/wavelength^4), so blue reaches us from all over the sky."
)
_BETTER = (
    f"{_SECOND} At sunset the light crosses far more air: most of the blue is scattered out of "
    "the beam on the way, and what is left is red."
)
_PACE = {"delay_seconds": 0.4, "token_delay_seconds": 0.03}

SCRIPTS: dict[str, dict[str, Any]] = {
    "scripted-ada": {
        "draft": _FIRST,
        "evaluate": [
            {"vote": "agent2", "reason": "It names the law and explains it."},
            {"vote": "agent2", "reason": "Only this one answers both halves of the question."},
        ],
        **_PACE,
    },
    "scripted-ben": {
        "draft": _SECOND,
        "evaluate": [
            {"new_answer": _BETTER, "delay_seconds": 1.2},
            {"vote": "agent2", "reason": "Complete: the sky and the sunset."},
        ],
        "present": _BETTER,
        **_PACE,
    },
    "scripted-cleo": {
        "draft": "Because of the ozone layer.",
        "evaluate": {"vote": "agent2", "reason": "My own answer is wrong; this one is right."},
        **_PACE,
    },
    "scripted-eli": {
        "draft": "Blue light is scattered most by the air.",
        "evaluate": {"vote": "agent1", "reason": "It says why, and mine forgets the sunsets."},
        **_PACE,
    },
    "scripted-dora": {
        "draft": _BETTER,
        "evaluate": {"vote": "agent1", "reason": "It covers both parts."},
        "present": _BETTER,
        **_PACE,
    },
}


_ABOUT = """\
Watch two teams answer a request, offline and without a key: the models are
scripts, the rest (the coordination, the server, and the official openai SDK as
its client) is real.
"""


def add(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "demo",
        help="watch two teams answer a request offline (scripted: no model is involved)",
        description=_ABOUT,
        epilog="example:\n  massgen-compat demo\n",
    )
    parser.set_defaults(command=_demo)


def _demo(_arguments: argparse.Namespace) -> int:
    show_demo(sys.stdout)
    return 0


def show_demo(screen: TextIO) -> None:
    """Ask both teams one question, and show on ``screen`` what a client receives."""
    from openai import OpenAI  # noqa: PLC0415 - half a second, which the other commands save

    from massgen_compat.asgi import create_app  # noqa: PLC0415 - the [server] extra
    from massgen_compat.cli.server import serving  # noqa: PLC0415 - the same

    screen.write(
        "No model is involved: the agents follow scripts, served over loopback HTTP in OpenAI's "
        "wire format.\nThe rest is real: the coordination, the server, and the official openai "
        "SDK as its client.\n"
    )
    with serving(ScriptedServer(SCRIPTS)) as upstream:
        massgen = massgen_compat.MassGen(*_teams(f"{upstream}/v1"), env={})
        with (
            serving(create_app(massgen)) as url,
            OpenAI(base_url=f"{url}/v1", api_key="none needed here") as client,
        ):
            for model in ("pair", "trio"):
                _ask(client, model, screen)


def _teams(upstream: str) -> tuple[Team, Team]:
    def agent(name: str, kind: str) -> Agent:
        backend = Backend(type=kind, base_url=upstream, api_key="scripted")
        return Agent(name, model=f"scripted-{name}", backend=backend)

    ada, ben = agent("ada", "openai"), agent("ben", "openai")
    cleo, dora = agent("cleo", "chatcompletion"), agent("dora", "chatcompletion")
    eli = agent("eli", "openai")
    return Team("pair", [dora, eli]), Team("trio", [ada, ben, cleo])


def _ask(client: "OpenAI", model: str, screen: TextIO) -> None:
    screen.write(f"\n{_styled('bold', f'{model} is asked: {QUESTION}', screen)}\n")
    chunks = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": QUESTION}],
        stream=True,
        stream_options={"include_usage": True},
        extra_body={"massgen": {"trace": "full"}},
    )
    answering = False
    for chunk in chunks:
        for choice in chunk.choices:
            told = getattr(choice.delta, "reasoning_content", None)
            said = choice.delta.content
            if told:
                screen.write(_styled("dim", told, screen))
            if said:
                screen.write(said if answering else f"\n{said}")
                answering = True
            screen.flush()
        if chunk.usage:
            spent = f"{chunk.usage.total_tokens} tokens in the whole run"
            screen.write(f"\n{_styled('dim', spent, screen)}\n")


def _styled(style: str, text: str, screen: TextIO) -> str:
    return f"{_CODES[style]}{text}\033[0m" if screen.isatty() else text
