"""The checkup: which requests are sent to an endpoint, in which order, and what they cost."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias
from urllib.parse import quote

from massgen_compat.cli.doctor import address, completions, listing, refusals, streams
from massgen_compat.cli.doctor.address import Address
from massgen_compat.cli.doctor.findings import Finding, problem
from massgen_compat.cli.doctor.listing import ORIGIN, check_browsers, check_headers
from massgen_compat.cli.doctor.observed import Reply, Unreachable
from massgen_compat.cli.doctor.probe import Clock, Probe, open_probe
from massgen_compat.errors import ConfigError

CHATS: Final = 5
"""The chat requests of a whole checkup: one without streaming, a stream, a stream with a tool, one
with the tool's result, and one with a model that does not exist, which costs nothing unless the
server takes any name."""

CHAT_SECONDS: Final = 300.0
"""The longest time for one of them."""

NO_MODEL: Final = "massgen-compat-doctor-no-such-model"
NO_PATH: Final = "massgen-compat-doctor-no-such-path"

Tell: TypeAlias = Callable[[Finding], object]
Verdict: TypeAlias = Literal["well", "unwell", "unreachable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What to examine. Without ``chat`` no request is made that could cost money.

    ``model`` is the model to chat with; by default the first that is listed. ``chat_seconds``
    is the longest time for one chat request.
    """

    address: Address
    key: str | None = None
    model: str | None = None
    chat: bool = True
    chat_seconds: float = CHAT_SECONDS


def read_key(text: str | None) -> str | None:
    """The key without spaces around it, ``None`` for none.

    Raises ``ConfigError``, which does not show the key, for one that no header can carry.
    """
    key = (text or "").strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError("the key has a blank or a character that no header can carry")
    return key or None


async def examine(target: Target, tell: Tell, *, clock: Clock = time.perf_counter) -> Verdict:
    """Examine an endpoint; ``tell`` is called with each finding as soon as it is made.

    Needs an event loop of asyncio, because aiohttp does.
    """
    unwell = False

    def note_and_tell(finding: Finding) -> None:
        nonlocal unwell
        unwell = unwell or finding.level == "problem"
        tell(finding)

    async with open_probe(key=target.key, chat_seconds=target.chat_seconds, clock=clock) as probe:
        reached = await _Checkup(target, probe, note_and_tell).run()
    if not reached:
        return "unreachable"
    return "unwell" if unwell else "well"


class _Checkup:
    """One examination: its requests, and their order."""

    def __init__(self, target: Target, probe: Probe, tell: Tell) -> None:
        self._target = target
        self._probe = probe
        self._tell = tell
        self._base = target.address.base

    async def run(self) -> bool:
        """Examine; returns whether there was an API to examine."""
        for finding in self._target.address.findings:
            self._tell(finding)
        listed = await self._find()
        if listed is None:
            return False
        key = refusals.check_key(listed, with_key=self._target.key is not None)
        self._tell(key)
        await self._ask_strangers()
        self._tell(check_headers(listed))
        self._tell(check_browsers(await self._probe.preflight(self._chats, ORIGIN)))
        if key.level == "problem":
            return True
        await self._ask_wrongly()
        model = await self._look_at_models(listed)
        if self._target.chat and model is not None:
            await self._converse(model)
        return True

    @property
    def _chats(self) -> str:
        return f"{self._base}/chat/completions"

    async def _find(self) -> Reply | None:
        """The list of models, from the form of the URL that has it; ``None`` if neither has one."""
        where = self._target.address
        here = await self._probe.get(f"{where.base}/models")
        if isinstance(here, Unreachable):
            self._tell(address.check_reach(here))
            return None
        there = await self._probe.get(f"{where.other}/models")
        found = address.check_base(where, here, there)
        reach = address.check_reach(found.reply or here)
        self._tell(reach)
        if found.reply is not None or reach.level == "ok":
            self._tell(found.finding)
        self._base = found.url
        return found.reply

    async def _ask_strangers(self) -> None:
        without = await self._probe.post_broken(self._chats, with_key=False)
        found = refusals.check_without_key(without, self._target.address)
        self._tell(found)
        wrong = await self._probe.get(f"{self._base}/models", key=refusals.WRONG_KEY)
        asks = isinstance(without, Reply) and without.status in {401, 403}
        self._tell(refusals.check_wrong_key(wrong, asks_for_key=asks))

    async def _ask_wrongly(self) -> None:
        malformed = await self._probe.post_broken(self._chats)
        self._tell(refusals.check_malformed(malformed))
        path = await self._probe.get(f"{self._base}/{NO_PATH}")
        self._tell(refusals.check_unknown_path(path))
        if self._target.chat:
            unknown = await self._probe.chat(self._chats, _asking(NO_MODEL, "Hello"))
        else:
            unknown = await self._probe.get(f"{self._base}/models/{NO_MODEL}")
        self._tell(refusals.check_unknown_model(unknown))

    async def _look_at_models(self, listed: Reply) -> str | None:
        """Check the list of models; returns the model to chat with, if there is one."""
        self._tell(listing.check_list(listed))
        names = listing.names_of(listed)
        model = listing.choose(names, self._target.model)
        if model is None:
            self._tell(problem("model", "There is no model to chat with.", "Say --model NAME."))
            return None
        self._tell(
            listing.check_model(
                model, names, await self._probe.get(f"{self._base}/models/{quote(model)}")
            )
        )
        responses = await self._probe.post_broken(f"{self._base}/responses")
        self._tell(listing.check_names(names or [model], responses))
        single = listing.check_single(listing.models_of(listed))
        if single is not None:
            self._tell(single)
        return model

    async def _converse(self, model: str) -> None:
        whole = completions.check_chat(
            await self._probe.chat(self._chats, _asking(model, "Reply with the word: ready"))
        )
        self._tell(whole)
        if whole.level == "problem":
            return
        asked = _asking(model, "Count from 1 to 30 in words, one a line, and say nothing else.")
        usage = {"stream_options": {"include_usage": True}}
        streamed = await self._probe.stream(self._chats, {**asked, **usage})
        for finding in streams.check_stream(streamed):
            self._tell(finding)
        tools = {"tools": completions.TOOLS, "tool_choice": "required"}
        with_tools = {**_asking(model, completions.QUESTION), **tools}
        called = await self._probe.stream(self._chats, with_tools)
        finding, call = completions.check_tools(called)
        self._tell(finding)
        unasked = streams.check_unasked_usage(called)
        if unasked is not None:
            self._tell(unasked)
        if call is None:
            return
        body = {
            "model": model,
            "messages": completions.with_result(call),
            "tools": completions.TOOLS,
        }
        result = await self._probe.chat(self._chats, body)
        self._tell(completions.check_tool_results(result))


def _asking(model: str, question: str) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": question}]}
