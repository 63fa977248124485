"""The official OpenAI SDK as the client of a team, with the server in the same program.

    python examples/sdk_client.py

Usually `massgen-compat serve` runs the server, and a client needs only its URL. Here both run in
one program, offline: the team follows a script.
"""

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from openai import OpenAI

from massgen_compat import MassGen
from massgen_compat.asgi import create_app

SCRIPTED = Path(__file__).with_name("team_scripted.yaml")


@contextmanager
def served() -> Generator[str]:
    """Serve the team on a free port of this machine; yields the URL."""
    app = create_app(MassGen.from_yaml(SCRIPTED))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            thread.join()


def main() -> None:
    """List the models, then ask one and stream its answer."""
    with served() as url, OpenAI(base_url=url, api_key="unused on loopback") as client:
        print("models:", ", ".join(model.id for model in client.models.list()))
        for chunk in client.chat.completions.create(
            model="team",
            messages=[{"role": "user", "content": "Why is the sky blue?"}],
            stream=True,
        ):
            delta = chunk.choices[0].delta
            # The deliberation comes where reasoning models show their reasoning.
            told = getattr(delta, "reasoning_content", None)
            print(f"  {told}" if told else delta.content or "", end="", flush=True)
        print()


if __name__ == "__main__":
    main()
