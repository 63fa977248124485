"""A team inside a FastAPI application of yours, under a path of its own and behind a key.

    python examples/mount_fastapi.py
    curl http://127.0.0.1:8000/ai/v1/models -H 'Authorization: Bearer a-key-for-your-clients'

It works offline: the team follows a script.
"""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from massgen_compat import MassGen
from massgen_compat.asgi import create_app

massgen = MassGen.from_yaml(Path(__file__).with_name("team_scripted.yaml"))


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
    """A mounted app has no lifespan of its own, so this one closes the providers' connections."""
    async with massgen:
        yield


app = FastAPI(lifespan=lifespan)
app.mount("/ai", create_app(massgen, api_keys=["a-key-for-your-clients"]))


@app.get("/")
async def home() -> dict[str, str]:
    """Whatever the application does otherwise."""
    return {"models": "/ai/v1/models", "chat": "/ai/v1/chat/completions"}


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
