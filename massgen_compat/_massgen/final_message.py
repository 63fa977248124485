"""The final message while MassGen's presenter writes it, as text or as arguments of a call. Pure.

Since 0.1.97 the presenter is told to submit its message through ``new_answer``; many models write
it as text all the same. Both are told token by token: of a call, what its arguments hold so far.
"""

from collections.abc import Iterator
from typing import cast

import jiter

from massgen_compat.events import MessageText


class Final:
    """What of the final message was told so far."""

    def __init__(self) -> None:
        self.quoted = False
        """Whether the message is an agent's answer as it stood: nobody presented."""
        self._told: list[str] = []
        self._blank = ""
        self._from_call = 0
        self._arguments: dict[int, bytearray] = {}

    @property
    def text(self) -> str:
        """The message as far as it was told."""
        return "".join(self._told)

    def say(self, text: str) -> Iterator[MessageText]:
        """The presenter writes text. Blanks in front of it are told with it, or not at all."""
        text, self._blank = self._blank + text, ""
        if not self._told and not text.strip():
            self._blank = text
        elif text:
            self._told.append(text)
            yield MessageText(text=text)

    def quote(self, answer: str) -> Iterator[MessageText]:
        """An agent's answer is the message, if the presenter has written none."""
        if not self._told and answer.strip():
            self.quoted, self._blank = True, ""
            yield from self.say(answer.strip())

    def argue(self, call: int, fragment: str) -> Iterator[MessageText]:
        """The presenter writes a fragment of the arguments of ``new_answer``.

        Half of a number or of an escape is not told before it is whole.
        """
        buffer = self._arguments.setdefault(call, bytearray())
        buffer += fragment.encode("utf-8", "replace")
        yield from self._continue(partial_content(bytes(buffer)))

    def submit(self, content: str) -> Iterator[MessageText]:
        """The whole message is known: tell what is missing of it.

        A text that differs from what was told already cannot be taken back; then nothing is added.
        """
        told = self.text.strip()
        if content.strip() == told or not content.strip():
            return
        if not told:
            yield from self.say(content)
        elif content.startswith(self.text):
            yield from self.say(content[len(self.text) :])

    def end_call(self) -> None:
        """The model call is over; a further one has calls of its own."""
        self._arguments.clear()
        self._from_call = 0

    def _continue(self, content: str) -> Iterator[MessageText]:
        new = content[self._from_call :]
        if not new:
            return
        if not self._from_call and self._told:
            new = f"\n\n{new}" if not self.text.endswith("\n") else new
        self._from_call = len(content)
        yield from self.say(new)


def partial_content(arguments: bytes) -> str:
    """The ``content`` of arguments that may be cut anywhere; empty where it has not begun."""
    try:
        value: object = jiter.from_json(arguments, partial_mode="trailing-strings")
    except ValueError:
        return ""
    if not isinstance(value, dict):
        return ""
    content = cast("dict[str, object]", value).get("content")
    return content if isinstance(content, str) else ""
