"""What every client is taken through, and how a run is judged."""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from massgen_compat._run.message import Json
from massgen_compat._run.team import Trace
from massgen_compat._run.turn import Phase
from tests.clients.harness import Call, Client
from tests.clients.stage import KEY, MEMBERS, VOTE, Post, Stage

FIRST: Final = 2 * len(MEMBERS) + 1
"""The model calls of a request to the team: a draft and a vote of each agent, and the message."""

MOST_POSTS: Final = 10
MOST_RUNS: Final = 2
"""Runs that a failing request may cost; a client that asks on and on beyond the seconds for which
the server remembers may start one for every second POST."""

"""How often a program may ask again before it tells its user of an error."""

HEARTBEAT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Output:
    """How a program ended and what it printed."""

    code: int
    out: str
    err: str


class Scenario:
    """One run: what the models say, and what has to be seen of it at the client.

    ``judge`` raises ``AssertionError`` for what was not as it should be, and returns what the
    table of the clients says about the run.
    """

    name: ClassVar[str]
    tries: ClassVar[str]
    """What is tried and what counts as passed, in a sentence."""
    trace: ClassVar[Trace] = "status"
    hold: ClassVar[Phase | None] = None
    silent_seconds: ClassVar[float] = 0
    key: ClassVar[str] = KEY

    def __init__(self, client: Client, work: Path) -> None:
        self.client = client
        self.work = work
        self.prompt = "Why is the sky blue?"
        self.answer = f"Air scatters blue light most: “Rayleigh”, λ⁻⁴, {secrets.token_hex(8)}."

    def scripts(self) -> dict[str, Json]:
        """The script of each agent."""
        pause = self.silent_seconds / 2  # of each model call: no provider is silent for 300 s
        return {
            name: {
                "draft": {"text": "Air scatters blue light.", "delay_seconds": pause},
                "evaluate": {**VOTE, "delay_seconds": pause},
                "present": list(self.present()),
            }
            for name in MEMBERS
        }

    def present(self) -> Sequence[Json]:
        """What the presenter says, step by step."""
        return [*({"calls": list(map(_scripted, calls))} for calls in self.steps()), self._end()]

    def steps(self) -> Sequence[Sequence[Call]]:
        """The calls of each step."""
        return ()

    def judge(self, stage: Stage, output: Output) -> str:
        steps = len(self.steps())
        said = self.client.said(output.out)
        assert output.code == 0, f"exit code {output.code}"
        assert said == self.answer, f"the user sees {said!r} instead of {self.answer!r}"
        assert len(stage.posts) == 1 + steps, f"{_listed(stage.posts)} instead of {1 + steps} POSTs"
        assert len(stage.calls) == FIRST + steps, f"{len(stage.calls)} model calls"
        return ""

    def _end(self) -> Json:
        return {"text": self.answer}

    def _file(self, name: str) -> tuple[Path, str]:
        """A file for the client to read, and the nonce in it."""
        path, nonce = self.work / name, secrets.token_hex(8)
        path.write_text(f"The password is {nonce}.\n", encoding="utf-8")
        return path, nonce


class Question(Scenario):
    name = "question"
    tries = "A plain question. The user sees the team's message, to the character."


class Silence(Scenario):
    name = "silence"
    tries = "20 s of nothing but heartbeats (no trace): no second request, then the message."
    trace = "off"
    silent_seconds = 20.5

    def judge(self, stage: Stage, output: Output) -> str:
        told = super().judge(stage, output)
        (post,) = stage.posts
        if self.client.streams:
            silence = post.longest_silence
            assert silence < HEARTBEAT_SECONDS + 2, f"{silence:.0f} s without a heartbeat"
            empty = sum(not any(delta.values()) for delta in post.deltas)
            assert empty >= self.silent_seconds // HEARTBEAT_SECONDS, f"{empty} heartbeats"
            assert not any(delta.get("reasoning_content") for delta in post.deltas)
        return told


class LongSilence(Silence):
    name = "long silence"
    tries = "The same for 310 s, longer than the idle timers of undici and Bun."
    silent_seconds = 310.5


class Tools(Scenario):
    name = "tools"
    tries = (
        "Two steps with the client's own tools: it reads a file with a random password, which a "
        "model then sees, and writes a file with another."
    )

    def __init__(self, client: Client, work: Path) -> None:
        super().__init__(client, work)
        self.prompt = "Copy the password from the notes and store the new one."
        self._notes, self._nonce = self._file("notes.txt")
        self._written = work / "stored.txt"
        self._content = f"stored {secrets.token_hex(8)}"
        if client.edit is not None:
            self.answer += f"\n\n{client.edit(self._written, self._content)}"

    def steps(self) -> Sequence[Sequence[Call]]:
        if self.client.edit is not None:
            return ()
        write = self.client.write(self._written, self._content)
        return (self.client.read(self._notes),), (write,)

    def judge(self, stage: Stage, output: Output) -> str:
        told = super().judge(stage, output)
        seen = stage.tool_results if self.client.edit is None else stage.sent
        assert self._nonce in seen, "what was read did not reach a model"
        assert self._written.exists(), "nothing was written"
        assert self._written.read_text(encoding="utf-8").strip() == self._content
        return told if self.client.edit is None else "by an edit in its text"


class Parallel(Scenario):
    name = "parallel"
    tries = "Two calls in one message: both files are read, and a model sees both."

    def __init__(self, client: Client, work: Path) -> None:
        super().__init__(client, work)
        self.prompt = "Compare the two passwords."
        self._files = [self._file("one.txt"), self._file("two.txt")]

    def steps(self) -> Sequence[Sequence[Call]]:
        return ([self.client.read(path) for path, _ in self._files],)

    def judge(self, stage: Stage, output: Output) -> str:
        told = super().judge(stage, output)
        results = stage.tool_results
        assert all(nonce in results for _, nonce in self._files), f"the model saw {results}"
        return told


class Failure(Scenario):
    """A run that fails; the user has to be told why, after a bounded number of requests."""

    message: ClassVar[str]
    own_words: ClassVar[str] = r"(?!)"
    """How programs say the same in words of their own."""
    calls_per_run: ClassVar[int]

    def judge(self, stage: Stage, output: Output) -> str:
        posts = len(stage.posts)
        told = " ".join(f"{output.out} {output.err}".split())
        in_own_words = re.search(self.own_words, told) is not None
        assert self.message in told or in_own_words, f"the user is not told: {self.message}"
        assert 1 <= posts <= MOST_POSTS, f"{posts} POSTs"
        # The server remembers a failure for some seconds, so most repetitions cost no run.
        most = self.calls_per_run * min(posts, max(MOST_RUNS, (posts + 1) // 2))
        assert len(stage.calls) <= most, f"{len(stage.calls)} model calls, more than {most}"
        assert bool(stage.calls) == bool(self.calls_per_run), f"{len(stage.calls)} model calls"
        words = "" if self.message in told else ", in its own words"
        return f"{posts} POST{'s' * (posts > 1)}, exit {output.code}{words}"


class Error(Failure):
    name = "error"
    tries = (
        "The providers refuse the server's key: an error inside the stream, or a 502 where nothing "
        "is streamed. The user sees why."
    )
    message = "the provider refused the key; check the key of this agent's backend"
    calls_per_run = len(MEMBERS)

    def scripts(self) -> dict[str, Json]:
        refusal: dict[str, Any] = {
            "status": 401,
            "message": "No such key.",
            "code": "invalid_api_key",
        }
        return {name: {"draft": {"fail": refusal}} for name in MEMBERS}


class WrongKey(Failure):
    name = "wrong key"
    tries = "The client's key is wrong. The user sees that, and no model is asked."
    key = "a-wrong-key-0123456789"
    message = "Incorrect API key provided"
    own_words = r"Authentication failed .* \(HTTP 401\)"
    calls_per_run = 0


class Cancel(Scenario):
    name = "cancel"
    tries = "The user stops it in mid-stream: all open model calls end, and nothing is sent again."
    hold = Phase.EVALUATE

    def judge(self, stage: Stage, output: Output) -> str:
        assert stage.provider.aborted == len(MEMBERS), f"{stage.provider.aborted} calls ended"
        assert stage.provider.open_streams == 0, "model calls outlived the client"
        assert len(stage.posts) == 1, _listed(stage.posts)
        if self.client.library:
            assert "cancelled" in output.out, "the driver did not cancel"
            assert output.code == 0, f"exit code {output.code}"
        return ""


ALL: Final[tuple[type[Scenario], ...]] = (
    Question,
    Silence,
    LongSilence,
    Tools,
    Parallel,
    Error,
    WrongKey,
    Cancel,
)


def _scripted(call: Call) -> Json:
    return {"name": call.name, "arguments": dict(call.arguments)}


def _listed(posts: Sequence[Post]) -> str:
    return ", ".join(f"{post.path} ({post.status or 'no answer'})" for post in posts) or "no POST"
