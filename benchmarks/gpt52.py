"""``make bench-gpt52``: GPT-5.2's immediate submissions, before and after the policy.

The model is *scripted*; no model is involved. It behaves as the recordings of GPT-5.2 do: at effort
``none`` a turn with tools opens with a call, at once; at other efforts one turn in three does, and
one evaluation in three is left out. Where nothing can be called it writes a message. Turned back,
it mends its ways, except one time in six. The effort is read from the very body that would be sent.
"""

import asyncio
import hashlib
import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from massgen_compat import Agent, Backend, MassGen, RunRequest, Team
from massgen_compat._agents.decisions import ToolNames, read_decisions, workflow_tools
from massgen_compat._coordination import Replied, Rules, begin, step
from massgen_compat._run.message import ToolCall, text_message
from massgen_compat._run.result import Usage
from massgen_compat._run.team import Api
from massgen_compat._run.turn import Hear, Phase, Reply, TurnRequest
from massgen_compat._upstream import chat, responses
from massgen_compat._upstream.backends import BACKENDS
from massgen_compat.events import Answered, RunCompleted, VoteCast
from massgen_compat.policies import Policy, resolve
from massgen_compat.policies.request import shape

RUNS = 20


def _backend(kind: str, *, api: Api | None = None) -> Backend:
    return Backend(type=kind, base_url="http://127.0.0.1:1", api_key="none", api=api)


def _agents(count: int, model: str, kind: str = "openai", **params: Any) -> list[Agent]:
    backend = _backend(kind)
    return [Agent(f"a{n}", model=model, backend=backend, params=params) for n in range(count)]


CONFIGURATIONS: dict[str, list[Agent]] = {
    "two gpt-5.2, Responses": _agents(2, "gpt-5.2"),
    "two gpt-5.2, Chat Completions": _agents(2, "gpt-5.2", "chatcompletion"),
    "three gpt-5.2": _agents(3, "gpt-5.2"),
    "gpt-5.2 and another model": [
        *_agents(1, "gpt-5.2"),
        Agent("b", model="careful-1", backend=_backend("chatcompletion")),
    ],
    "dated snapshot": _agents(2, "gpt-5.2-2025-12-11"),
    "openai/gpt-5.2 through OpenRouter": _agents(2, "openai/gpt-5.2", "openrouter"),
    "Azure deployment gpt-52": _agents(2, "gpt-52", "azure_openai"),
    "reasoning: {summary: auto}": _agents(2, "gpt-5.2", reasoning={"summary": "auto"}),
    "reasoning: {effort: none}": _agents(2, "gpt-5.2", reasoning={"effort": "none"}),
    "reasoning: {effort: high}": _agents(2, "gpt-5.2", reasoning={"effort": "high"}),
    "temperature: 0.7": _agents(2, "gpt-5.2", temperature=0.7),
}


@dataclass
class Counts:
    """What happened in all runs of a configuration."""

    made: int = 0
    accepted: int = 0
    unverified: int = 0
    careful_runs: int = 0
    calls: int = 0
    tokens: int = 0


@dataclass
class Gpt52:
    """The scripted model of one agent; ``rash`` holds the rounds that it last ended rashly."""

    agent: Agent
    policy: Policy
    question: str
    made: list[int]
    rash: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]])

    async def ask(self, request: TurnRequest, _: Hear, /) -> Reply:
        """Answer one turn with one reply."""
        return self._reply(request)

    def _reply(self, request: TurnRequest) -> Reply:
        effort = self._effort(request)
        rash = self._is_rash(request, effort)
        place = (request.agent, request.round)
        (self.rash.add if rash else self.rash.discard)(place)
        offered = {tool.name: tool.parameters for tool in request.tools}
        prompt = sum(len(message.text) for message in request.messages) // 4
        if request.phase is Phase.PRESENT or not offered:
            text = f"{self.agent.id} on {self.question}"
            return Reply(text=text, usage=_usage(prompt, 40), effort_asked=effort)
        self.made[0] += rash
        name = "vote" if "vote" in offered else "new_answer"
        arguments = _arguments(name, offered[name], rash=rash, said=f"{self.agent.id} answers")
        call = ToolCall(id="call_1", name=name, arguments=json.dumps(arguments))
        tokens = 20 if rash else 120
        return Reply(tool_calls=(call,), usage=_usage(prompt, tokens), effort_asked=effort)

    def _effort(self, request: TurnRequest) -> str | None:
        backend = self.agent.backend
        api = backend.api or BACKENDS[backend.type].api
        body = (responses if api == "responses" else chat).body(request, self.agent)
        return shape(self.policy, api, body).effort

    def _is_rash(self, request: TurnRequest, effort: str | None) -> bool:
        if not request.tools or request.phase is Phase.PRESENT or self.agent.model == "careful-1":
            return False
        if request.messages[-1].role == "tool":
            return self._dice(request, 6)
        return effort in {None, "none"} or self._dice(request, 3)

    def _dice(self, request: TurnRequest, sides: int) -> bool:
        seed = f"{self.question} {self.agent.id} {request.round} {len(request.messages)}"
        return hashlib.sha256(seed.encode()).digest()[0] % sides == 0


def _usage(prompt: int, completion: int) -> Usage:
    return Usage(prompt_tokens=prompt, completion_tokens=completion)


def _arguments(name: str, schema: Any, *, rash: bool, said: str) -> dict[str, Any]:
    properties = schema["properties"]
    arguments: dict[str, Any] = {}
    if "evaluations" in properties and not rash:
        labels = properties["evaluations"]["items"]["properties"]["agent_id"]["enum"]
        arguments["evaluations"] = [
            {"agent_id": label, "strengths": f"{label} is right", "weaknesses": f"{label} is short"}
            for label in labels
        ]
    elif "evaluations" in properties:
        arguments["evaluations"] = []
    if name == "vote":
        return {**arguments, "agent_id": properties["agent_id"]["enum"][0], "reason": "it is best"}
    return {**arguments, "content": said}


async def _measure(agents: list[Agent]) -> Counts:
    counts = Counts()
    for number in range(RUNS):
        await _run(agents, f"question {number}", counts)
    return counts


async def _run(agents: list[Agent], question: str, counts: Counts) -> None:
    made, careful = [0], True
    models: dict[str, Gpt52] = {}

    def connect(agent: Agent) -> Gpt52:
        models[agent.id] = Gpt52(agent, massgen.policy_of(agent), question, made)
        return models[agent.id]

    massgen = MassGen(Team("team", agents), env={}, connect=connect)
    request = RunRequest(team="team", messages=(text_message("user", question),))
    async with massgen.stream(request) as events:
        async for event in events:
            match event:
                case Answered(agent=agent) | VoteCast(voter=agent):
                    rash = (agent, event.round) in models[agent].rash
                    counts.accepted += rash and event.verified
                    counts.unverified += not event.verified
                    careful = careful and not rash
                case RunCompleted(result=result):
                    usage = result.usage
                    counts.tokens += usage.prompt_tokens + usage.completion_tokens if usage else 0
                    counts.calls += sum(row.calls for row in result.agents)
                case _:
                    pass
    counts.made += made[0]
    counts.careful_runs += careful


def table() -> Iterator[str]:
    """The table, line by line. It is the same every time."""
    columns = ("made", "accepted", "unverified", "runs with all work done", "calls", "tokens")
    yield f"| configuration | policy | immediate submissions {' | '.join(columns)} |"
    yield "|---" * (len(columns) + 2) + "|"
    for name, agents in CONFIGURATIONS.items():
        for policy in ("default", None):
            forced = [replace(agent, policy=policy) for agent in agents]
            c = asyncio.run(_measure(forced))
            cells = (
                f"{c.made} | {c.accepted} | {c.unverified} | {c.careful_runs} of {RUNS} | "
                f"{c.calls / RUNS:.2f} | {c.tokens // RUNS}"
            )
            yield f"| {name} | {policy or 'this one'} | {cells} |"


def gate_milliseconds() -> float:
    """What reading and reviewing a vote of three answers costs a turn, median of many."""
    policy = resolve("gpt-5.2")
    rules = Rules(agents=("a", "b", "c"), message_drafts=frozenset("abc"))
    state = begin(rules).state
    for agent in rules.agents:
        state = step(state, Replied(agent, 1, (), f"answer of {agent}")).state
    schema = workflow_tools(state, "a", ToolNames(), policy)[0].parameters
    arguments = _arguments("vote", schema, rash=False, said="")
    call = ToolCall(id="call_1", name="vote", arguments=json.dumps(arguments))
    times: list[float] = []
    for _ in range(1000):
        start = time.perf_counter()
        read_decisions([call], state, "a", ToolNames(), policy)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def main() -> None:
    """Print the table, and what the gate costs."""
    print(f"Scripted model, no model involved; {RUNS} runs a row, calls and tokens a run.\n")
    for line in table():
        print(line, flush=True)
    print(f"\nThe gate adds {gate_milliseconds():.3f} ms to a turn (goal: < 1 ms).")


if __name__ == "__main__":
    main()
