"""The settings of a server's runs, with defaults that are safe, and the reasons for them."""

import math
from dataclasses import dataclass, fields
from typing import Final

MAX_RUNS: Final = 100
"""Runs at once. Each of them asks every agent of its team at the same time: a team of three makes
300 model calls. So this bounds the money, the rate limits and the connections that are used."""

MAX_QUEUE: Final = 100
"""Requests that wait for a place. Clients see nothing while they wait, and in a long queue they
give up and come again. With as many as there are places, the last one waits for about one run."""

QUEUE_SECONDS: Final = 100.0
"""Seconds that a request waits for a place. Some clients give up after 120 without a header."""

FAILURE_MEMORY_SECONDS: Final = 10.0
"""Seconds for which a failed request is answered with the same error. Clients send a failed request
up to nine times, and most of these come within this time."""

WRITE_SECONDS: Final = 60.0
"""Seconds for which a client may read nothing of a write before it counts as gone."""


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
