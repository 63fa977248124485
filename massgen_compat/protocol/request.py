"""What a parser makes of a body, whatever its wire: the run, and how its answer is to be written.

A parser (``chat.parse``) gives a ``ParsedRequest``; the admission decides which team answers it; an
``Answer`` (``answer``) is made by its ``rendering``. Pure.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from massgen_compat._run.request import RunRequest
from massgen_compat.errors import InvalidRequest
from massgen_compat.protocol.answer import Rendering


@dataclass(frozen=True, slots=True)
class BodyPlaces:
    """How errors name places of the body that the client sent.

    A body in the spelling of another API is translated before anything is checked, so what is
    checked has other paths. ``translations`` holds, for each step in its order, the path after the
    step and the path before it: ``{"messages[0]": "input[1]"}``. A path without a row of its own
    follows the row of the nearest path around it; one without any is the same before and after.
    """

    translations: tuple[Mapping[str, str], ...] = ()

    @contextmanager
    def named_in_errors(self) -> Generator[None]:
        """Let an ``InvalidRequest`` that passes name the place in the body that was sent.

        Its ``param`` is rewritten, and that path in its message, too, where it stands in quotes.
        """
        try:
            yield
        except InvalidRequest as error:
            if error.param:
                sent = self.sent(error.param)
                error.message = error.message.replace(f"'{error.param}", f"'{sent}", 1)
                error.param = sent
            raise

    def sent(self, path: str) -> str:
        """The path in the body that was sent, of a path in what was made of it."""
        for names in reversed(self.translations):
            path = _before(names, path)
        return path


def _before(names: Mapping[str, str], path: str) -> str:
    """The path before one step."""
    path = path.replace(".[", "[")
    for end in range(len(path), 0, -1):
        if (end == len(path) or path[end] in ".[") and path[:end] in names:
            return names[path[:end]] + path[end:]
    return path


AS_SENT: Final = BodyPlaces()
"""For a body that was not translated."""

RenderingT_co = TypeVar("RenderingT_co", bound=Rendering, covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedRequest(Generic[RenderingT_co]):
    """A request as its wire's parser understood it; no team has been looked at yet.

    ``stream``: the client reads events as they happen, else one body. ``ignored`` names parameters
    that are not honoured, fit for a header. ``rendering`` writes the answer. ``places`` names
    places of the body in errors, also in those that come later.
    """

    run: RunRequest
    rendering: RenderingT_co
    stream: bool = False
    ignored: tuple[str, ...] = ()
    places: BodyPlaces = AS_SENT
