"""Sends requests to an endpoint: the doctor's only I/O.

It does not follow redirects, and does not read proxies from the environment.
"""

import json
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import aiohttp

from massgen_compat.cli.doctor.observed import (
    TIME_IS_UP,
    Frame,
    FrameReader,
    Reply,
    Seen,
    StreamReply,
    Unreachable,
)

Clock: TypeAlias = Callable[[], float]

CONNECT_SECONDS: Final = 10.0
QUICK_SECONDS: Final = 30.0
"""For requests that start no model."""

MAX_BYTES: Final = 8 * 1024 * 1024
"""How much of a reply is read at most."""


class Probe:
    """Requests to one server, with ``key`` where a method is not given another one."""

    def __init__(
        self, session: aiohttp.ClientSession, *, key: str | None, chat_seconds: float, clock: Clock
    ) -> None:
        self._session = session
        self._key = key
        self._chat_seconds = chat_seconds
        self._clock = clock

    async def get(self, url: str, *, key: str | None = None) -> Seen:
        """Send a ``GET``, with ``key`` in place of the probe's own if it is given."""
        headers = _bearer(key or self._key)
        return _whole(await self._send("GET", url, headers, None, QUICK_SECONDS))

    async def preflight(self, url: str, origin: str) -> Seen:
        """Ask what a browser asks before it lets a page of this origin ``POST``."""
        headers = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,x-stainless-lang",
        }
        return _whole(await self._send("OPTIONS", url, headers, None, QUICK_SECONDS))

    async def post_broken(self, url: str, *, with_key: bool = True) -> Seen:
        """``POST`` a body that is not JSON: no server can start anything for it."""
        headers = {"Content-Type": "application/json", **_bearer(self._key if with_key else None)}
        return _whole(await self._send("POST", url, headers, b'{"model": ', QUICK_SECONDS))

    async def chat(self, url: str, body: Mapping[str, Any]) -> Seen:
        """Send a chat request that is answered as a whole."""
        return _whole(await self._post(url, body))

    async def stream(self, url: str, body: Mapping[str, Any]) -> StreamReply | Unreachable:
        """Send a chat request that is answered as a stream."""
        return await self._post(url, {**body, "stream": True})

    async def _post(self, url: str, body: Mapping[str, Any]) -> StreamReply | Unreachable:
        headers = {"Content-Type": "application/json", **_bearer(self._key)}
        return await self._send("POST", url, headers, json.dumps(body).encode(), self._chat_seconds)

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, seconds: float
    ) -> StreamReply | Unreachable:
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS)
        sent = self._clock()
        try:
            async with self._session.request(
                method, url, headers=headers, data=body, timeout=timeout, allow_redirects=False
            ) as response:
                return await self._read(response, sent)
        except (aiohttp.ClientError, OSError) as error:  # a TimeoutError is an OSError
            return _unreachable(error)

    async def _read(self, response: aiohttp.ClientResponse, sent: float) -> StreamReply:
        reader = FrameReader()
        body = bytearray()
        pieces: list[float] = []
        broken: str | None = None
        frames: list[Frame] = []
        try:
            async for piece in response.content.iter_any():
                at = self._clock() - sent
                pieces.append(at)
                body += piece
                frames += reader.feed(piece, at)
                if len(body) > MAX_BYTES:
                    broken = f"more than {MAX_BYTES} bytes"
                    break
        except TimeoutError:
            broken = TIME_IS_UP
        except (aiohttp.ClientError, OSError) as error:
            broken = str(error) or type(error).__name__
        reply = Reply(
            status=response.status,
            headers={name.lower(): value for name, value in response.headers.items()},
            body=bytes(body),
            seconds=self._clock() - sent,
            broken=broken,
        )
        return StreamReply(reply=reply, frames=frames, pieces=pieces)


@asynccontextmanager
async def open_probe(
    *, key: str | None, chat_seconds: float, clock: Clock
) -> AsyncGenerator[Probe]:
    """A probe, for the time of an ``async with``; a chat request may take ``chat_seconds``."""
    headers = {"User-Agent": "massgen-compat-doctor", "Accept-Encoding": "gzip, deflate"}
    async with aiohttp.ClientSession(headers=headers) as session:
        yield Probe(session, key=key, chat_seconds=chat_seconds, clock=clock)


def _bearer(key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


def _whole(seen: StreamReply | Unreachable) -> Seen:
    return seen.reply if isinstance(seen, StreamReply) else seen


def _unreachable(error: Exception) -> Unreachable:
    detail = str(getattr(error, "os_error", None) or error) or type(error).__name__
    match error:
        case aiohttp.ClientConnectorDNSError():
            return Unreachable(trouble="dns", detail=detail)
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return Unreachable(trouble="tls", detail=detail)
        case TimeoutError():
            return Unreachable(trouble="timeout", detail=detail)
        case aiohttp.ClientConnectorError(os_error=ConnectionRefusedError()):
            return Unreachable(trouble="refused", detail=detail)
        case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError():
            return Unreachable(trouble="not_http", detail=detail)
        case _:
            return Unreachable(trouble="closed", detail=detail)
