"""What all tests share: the two event loops, and the way to the data beside the project."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# In a clean clone the first text that is drawn builds a table of Unicode, which takes seconds.
settings.register_profile("project", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Every test marked ``anyio`` runs on both."""
    return request.param


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """The path of a file or folder in ``../shared``; the test is skipped where it is absent."""

    def find(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"../shared/{name} is not here")
        return path

    return find
