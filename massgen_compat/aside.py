"""Work that takes long, beside the event loop, so that the streams of others go on meanwhile."""

from collections.abc import Callable
from typing import Final, TypeVar

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

_Result = TypeVar("_Result")

_LIMITER: Final = RunVar[anyio.CapacityLimiter]("massgen_compat.aside")


async def aside(work: Callable[[], _Result]) -> _Result:
    """Do the work in a thread, one at a time for each event loop.

    Several threads at once would all keep the interpreter's lock from the loop, 5 ms each.
    """
    limiter = _LIMITER.get(None)
    if limiter is None:
        limiter = anyio.CapacityLimiter(1)
        _LIMITER.set(limiter)
    return await anyio.to_thread.run_sync(work, limiter=limiter)
