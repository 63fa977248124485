"""The script language: a small mapping that says what a scripted model does. Pure.

No model is involved anywhere in this package: a script is text that somebody wrote beforehand.

A script is a mapping (Python, or parsed YAML); every key is optional::

    draft: "text"             # or a list: the n-th entry answers the n-th attempt of the round
    evaluate: "vote agent1"   # or a list: the n-th entry answers the n-th evaluation round
    present: "text"           # or a list, as in draft; without it, the winning answer is repeated
    delay_seconds: 0          # before the first token of every step
    token_delay_seconds: 0    # before every token

The last entry of a list repeats. An entry is text (in ``evaluate``: ``vote LABEL``), or a mapping
with any of the keys of ``Step``. ``language`` reads it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from massgen_compat._run.message import Json
from massgen_compat._run.result import FinishReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """The request is refused with an HTTP status.

    With ``after_tokens`` a streamed reply breaks off with an error event instead. With
    ``when_sent`` only a request that has this parameter is refused, as providers do with
    parameters that a model does not take. ``retry_after`` is in seconds.
    """

    status: int
    message: str = "[scripted model, no model involved] The script says that this fails."
    code: str | None = None
    param: str | None = None
    retry_after: float | None = None
    when_sent: str | None = None
    after_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The connection breaks after so many tokens."""

    after_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """After so many tokens nothing comes any more, until the caller gives up."""

    after_tokens: int = 0


Failure: TypeAlias = Refuse | Cut | Stall


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedCall:
    """A function call; ``arguments`` is an object, or text that is sent as it stands."""

    name: str
    arguments: Json | str = field(default_factory=dict[str, Any], hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What the model does in one turn.

    - ``text``: in a draft it is submitted with ``new_answer`` where that tool is offered and the
      step says nothing else; anywhere else it is the message.
    - ``vote``, ``new_answer``: called even where the tool is not offered, as models do. ``vote``
      is a label, ``first`` or ``longest``; a label that cannot be voted for becomes the first
      that can. ``evaluations`` fills that argument of both tools, where their schema has it
      (default: a made-up one for every answer).
    - ``calls``: any other calls; ``hosted``: the provider's own tools that it used.
    - ``reasoning``: visible as a summary where the wire has one; it counts as reasoning tokens.
    - ``usage``: numbers that replace the counted ones; ``None``: the provider reports no usage.
    - ``on_correction``: the steps after this one was turned back; the last repeats.
    """

    text: str = ""
    reasoning: str | None = None
    refusal: str | None = None
    vote: str | None = None
    reason: str | None = None
    new_answer: str | None = None
    evaluations: Sequence[Json] | None = field(default=None, hash=False)
    calls: tuple[ScriptedCall, ...] = ()
    hosted: tuple[str, ...] = ()
    usage: Mapping[str, int] | None = field(default_factory=dict[str, int], hash=False)
    finish_reason: FinishReason | None = None
    delay_seconds: float | None = None
    token_delay_seconds: float | None = None
    fail: Failure | None = None
    on_correction: "tuple[Step, ...]" = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A parsed script. Durations are seconds; no entries for a phase mean its default."""

    draft: tuple[Step, ...] = ()
    evaluate: tuple[Step, ...] = ()
    present: tuple[Step, ...] = ()
    delay_seconds: float = 0.0
    token_delay_seconds: float = 0.0
