"""The settings of ``serving``, with defaults that are safe, and why they are what they are."""

import math
from dataclasses import dataclass, fields
from typing import Final

MAX_RUNS: Final = 100
"""Runs at once. Each asks every agent of its team at the same time, so this is what bounds money,
the providers' rate limits and connections: three agents make 300 calls."""

MAX_QUEUE: Final = 100
"""Requests that wait for a place. Clients see nothing while they wait, so a long queue only makes
them give up and come again; as many as run is one run's length of waiting."""

QUEUE_SECONDS: Final = 100.0
"""How long a request waits for a place. Some clients give up after 120 s without a header."""

FAILURE_MEMORY_SECONDS: Final = 10.0
"""How long a failed request is answered with its error. Clients post one up to nine times, most of
them within so long."""

WRITE_SECONDS: Final = 60.0
"""How long a client may read nothing while there is something to read, before it counts as gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How a server keeps its runs; ``create_app`` says what each setting does.

    Raises ``ValueError`` for numbers that make no sense.
    """

    max_runs: int = MAX_RUNS
    max_queue: int = MAX_QUEUE
    queue_seconds: float = QUEUE_SECONDS
    join_retries: bool = True
    retry_grace_seconds: float = 0.0
    failure_memory_seconds: float = FAILURE_MEMORY_SECONDS

    def __post_init__(self) -> None:
        if self.max_runs < 1:
            raise ValueError("max_runs has to be at least 1")
        for each in fields(self):
            value = getattr(self, each.name)
            if not 0 <= value < math.inf:
                raise ValueError(f"{each.name} has to be a number that is not negative")
