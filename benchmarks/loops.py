"""The event loop of the tools that measure: uvloop where it is installed, so that they cost less
of the machine than what they measure."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

loop_factory: Callable[[], asyncio.AbstractEventLoop] | None
try:
    import uvloop
except ImportError:
    loop_factory = None
else:
    loop_factory = uvloop.new_event_loop


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """As ``asyncio.run``."""
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(main)
