"""The library as a server for measuring: ``python -m benchmarks.served URL`` prints its port."""

import socket
import sys

import uvicorn

from massgen_compat import Agent, Backend, MassGen, Team
from massgen_compat.asgi import create_app


def main() -> None:
    """Serve a team of three and a team of one on a free port until killed."""
    backend = Backend(type="chatcompletion", base_url=sys.argv[1], api_key="none")
    trio = [Agent(name, model="m", backend=backend) for name in ("a", "b", "c")]
    app = create_app(MassGen(Team("trio", trio)))
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    main()
