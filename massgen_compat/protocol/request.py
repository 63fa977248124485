"""What a parser makes of a body, whatever its wire: the run, and how its answer is to be written.

A parser (``chat.request.parse``) gives a ``ParsedRequest``. The admission decides which team
answers it. Its ``rendering`` makes the ``Answer`` (``answer``). This module is pure.
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
    """Where the parts of a translated body stood in the body that the client sent, for errors.

    A body in the spelling of another API is translated before it is checked, so the checks see
    other paths than the client does. ``translations`` has a mapping for each step of the
    translation, in order, from paths after the step to paths before it, such as
    ``{"messages[0]": "input[1]"}``. It holds for the paths below, too, unless they have an entry of
    their own. A path that is not below any entry is the same before and after.
    """

    translations: tuple[Mapping[str, str], ...] = ()

    @contextmanager
    def named_in_errors(self) -> Generator[None]:
        """Inside this context, an ``InvalidRequest`` names the place in the body that was sent.

        Its ``param`` is rewritten; so is that path in its message, where it stands in quotes.
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
        """The path in the body that was sent, for a path in the translated one."""
        for names in reversed(self.translations):
            path = _before(names, path)
        return path


def _before(names: Mapping[str, str], path: str) -> str:
    """The path before one step."""
    path = path.replace(".[", "[")  # the real API writes ``messages.[0].role`` in some errors
    for end in range(len(path), 0, -1):
        if (end == len(path) or path[end] in ".[") and path[:end] in names:
            return names[path[:end]] + path[end:]
    return path


AS_SENT: Final = BodyPlaces()
"""For a body that was not translated."""

RenderingT_co = TypeVar("RenderingT_co", bound=Rendering, covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedRequest(Generic[RenderingT_co]):
    """A request as its wire's parser understood it. Whether a team can answer it is not known yet.

    ``stream``: the client reads events as they happen; otherwise it gets one body. ``ignored`` has
    the names of parameters that are not honoured, fit for a header. ``rendering`` makes the answer.
    ``places`` is for errors that are found later, see ``BodyPlaces``.
    """

    run: RunRequest
    rendering: RenderingT_co
    stream: bool = False
    ignored: tuple[str, ...] = ()
    places: BodyPlaces = AS_SENT
