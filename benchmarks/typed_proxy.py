"""A pass-through as everyone writes it: Starlette, the openai SDK, typed chunks in and JSON out.

``python -m benchmarks.typed_proxy URL`` prints its port.
"""

import socket
import sys
from collections.abc import AsyncGenerator
from typing import Any

import uvicorn
from openai import AsyncOpenAI, AsyncStream
from openai.types.chat import ChatCompletionChunk
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route


def main() -> None:
    """Serve on a free port until killed."""
    create: Any = AsyncOpenAI(base_url=sys.argv[1], api_key="none").chat.completions.create

    async def chat(request: Request) -> StreamingResponse:
        asked = await request.json()

        async def events() -> AsyncGenerator[str]:
            stream: AsyncStream[ChatCompletionChunk] = await create(**asked)
            async for chunk in stream:
                yield f"data: {chunk.model_dump_json()}\n\n"
            yield "data: [DONE]\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    app = Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])])
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    main()
