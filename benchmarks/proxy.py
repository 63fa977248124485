"""A pass-through by Starlette and the openai SDK: ``python -m benchmarks.proxy typed|bytes URL``.

``typed``: as everyone writes it, typed chunks in and JSON out. ``bytes``: about the least that can
be done with the SDK, its bytes in, each chunk parsed and written again. Prints its port.
"""

import json
import socket
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import openai
import uvicorn
from openai import AsyncOpenAI, AsyncStream
from openai.types.chat import ChatCompletionChunk
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

DONE = b"data: [DONE]\n\n"
_sdks: list[AsyncOpenAI] = []


def _sdk(**options: Any) -> AsyncOpenAI:
    """The one client, made within the event loop."""
    if not _sdks:
        _sdks.append(AsyncOpenAI(base_url=sys.argv[2], api_key="none", **options))
    return _sdks[0]


async def typed(asked: dict[str, Any]) -> AsyncGenerator[bytes]:
    """Chunks as the SDK's objects."""
    create: Any = _sdk().chat.completions.create
    stream: AsyncStream[ChatCompletionChunk] = await create(**asked)
    async for chunk in stream:
        yield f"data: {chunk.model_dump_json()}\n\n".encode()
    yield DONE


async def raw(asked: dict[str, Any]) -> AsyncGenerator[bytes]:
    """Chunks as bytes; what arrives together goes on together."""
    sdk = _sdks[0] if _sdks else _sdk(http_client=openai.DefaultAioHttpClient())
    create: Any = sdk.chat.completions.with_streaming_response.create
    rest = b""
    async with create(**asked) as response:
        chunks: AsyncIterator[bytes] = response.iter_bytes()
        async for data in chunks:
            *events, rest = (rest + data).split(b"\n\n")
            told = [json.loads(each[6:]) for each in events if each.startswith(b"data: {")]
            yield b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in told)
    yield DONE


WAYS: dict[str, Callable[[dict[str, Any]], AsyncGenerator[bytes]]] = {"typed": typed, "bytes": raw}


def main() -> None:
    """Serve on a free port until killed."""
    events = WAYS[sys.argv[1]]

    async def chat(request: Request) -> StreamingResponse:
        return StreamingResponse(events(await request.json()), media_type="text/event-stream")

    app = Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])])
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    main()
