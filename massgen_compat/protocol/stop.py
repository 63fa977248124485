"""Cutting the final message at the request's stop sequences.

Done here and not by the backends, because the Responses API has no such parameter and reasoning
models refuse it; so it holds for every team alike.
"""

from collections.abc import Sequence


class StopCut:
    """Passes text on up to the first stop sequence, however the text is divided into pieces.

    The sequence that is complete first ends the text, as in generation, and is not part of it.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.hit = False
        """Whether a stop sequence was found; everything after it is dropped."""

    def feed(self, text: str) -> str:
        """What may be shown now. The start of a possible stop sequence is held back."""
        if self.hit:
            return ""
        if not self._stops:
            return text
        self._held += text
        cut = self._first_cut()
        if cut is not None:
            self.hit = True
            shown, self._held = self._held[:cut], ""
            return shown
        keep = self._possible_start()
        shown = self._held[: len(self._held) - keep]
        self._held = self._held[len(shown) :]
        return shown

    def rest(self) -> str:
        """What was held back, at the end of the text."""
        held, self._held = self._held, ""
        return held

    def _first_cut(self) -> int | None:
        """Where the sequence that ends first begins."""
        found = [
            (start + len(stop), start)
            for stop in self._stops
            if (start := self._held.find(stop)) >= 0
        ]
        return min(found)[1] if found else None

    def _possible_start(self) -> int:
        """The length of the longest end of the text with which a stop sequence can begin."""
        return max(
            (
                size
                for stop in self._stops
                for size in range(min(len(stop) - 1, len(self._held)), 0, -1)
                if self._held.endswith(stop[:size])
            ),
            default=0,
        )
