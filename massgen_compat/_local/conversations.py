"""What the agents of a run are asked: each one's conversation, and its next request. No tasks here.

A turn's request is made before anything is sent, so that what it will cost is known.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from massgen_compat._agents.cache_keys import cache_keys
from massgen_compat._agents.decisions import ToolNames, corrected, read_decisions, workflow_tools
from massgen_compat._agents.prompts import (
    conversation as team_conversation,
)
from massgen_compat._agents.prompts import (
    longest_run,
    resumed_messages,
    solo_conversation,
    turn_messages,
)
from massgen_compat._coordination import (
    CallEffect,
    CorrectTurn,
    Decision,
    RepairMessages,
    StartTurn,
    State,
)
from massgen_compat._run.message import Message
from massgen_compat._run.output_format import parameter
from massgen_compat._run.request import RunRequest
from massgen_compat._run.team import Agent, Team, Timeouts
from massgen_compat._run.turn import HOP_HEADER, Phase, Reply, TurnRequest
from massgen_compat.policies import Policy
from massgen_compat.policies.request import stronger


class Scope(Protocol):
    """What ends a call."""

    def cancel(self) -> None:
        """End it."""
        ...


@dataclass
class Conversation:
    """What an agent is busy with: the conversation of its round, and the scope of its call."""

    stable: tuple[Message, ...]
    messages: tuple[Message, ...] = ()
    reply: Reply = field(default_factory=Reply)
    text: str = ""
    effort: str | None = None
    request: TurnRequest | None = None
    scope: Scope | None = None

    def cancel(self) -> None:
        """End its call, if there is one."""
        if self.scope is not None:
            self.scope.cancel()


class Conversations:
    """The conversations of one run, by agent.

    ``resumed``: an agent goes on with the results of its calls.
    """

    def __init__(
        self,
        team: Team,
        request: RunRequest,
        policies: Mapping[str, Policy],
        *,
        resumed: bool,
        watched: bool,
    ) -> None:
        self._team = team
        self._request = request
        self._policies = policies
        self._resumed = resumed
        self._cache_keys = cache_keys(team, request)
        self._whole = whole_replies(team, watched=watched)
        self._names = ToolNames.beside(request.tools)
        self._runs = longest_run(request.messages)
        self._conversations: dict[str, Conversation] = {}

    def __getitem__(self, agent: str) -> Conversation:
        return self._conversations[agent]

    def cancel(self) -> None:
        """End all calls."""
        for conversation in self._conversations.values():
            conversation.cancel()

    def set_up(self, agent: Agent, *, solo: bool) -> None:
        """Make the conversation of one agent; a long conversation takes a while."""
        asked = self._request
        if solo and not self._resumed:
            stable = solo_conversation(agent, asked.messages)
        else:
            policy = self._policies[agent.id]
            stable = team_conversation(
                self._team, agent, asked.messages, policy, asked.tools, asked.format
            )
        self._conversations[agent.id] = Conversation(stable)

    def next_request(self, effect: CallEffect, state: State) -> TurnRequest | None:
        """The request that an effect asks for; a repair repeats the one before."""
        conversation, policy = self._conversations[effect.agent], self._policies[effect.agent]
        match effect:
            case StartTurn():
                self._open_round(conversation, effect.agent, state)
                conversation.request = self._request_of(effect, state)
            case CorrectTurn():
                conversation.messages = corrected(
                    conversation.messages, conversation.reply, effect, state, self._names, policy
                )
                conversation.request = self._request_of(effect, state)
            case RepairMessages():
                pass
        return conversation.request

    def read(self, agent: str, reply: Reply, state: State) -> tuple[Decision, ...]:
        """Add a reply to its agent's conversation; returns the decisions in it."""
        conversation = self._conversations[agent]
        conversation.reply = reply
        conversation.text = reply.text if reply.text.strip() else conversation.text
        policy = self._policies[agent]
        return read_decisions(reply.tool_calls, state, agent, self._names, policy)

    def _open_round(self, conversation: Conversation, agent: str, state: State) -> None:
        conversation.text, conversation.effort = "", None
        asked = self._request
        if self._resumed:
            conversation.messages = resumed_messages(
                conversation.stable, asked.tools, asked.decision, runs=self._runs
            )
        elif state.rules.solo:
            conversation.messages = conversation.stable
        else:
            conversation.messages = turn_messages(
                conversation.stable,
                self._team,
                state,
                agent,
                self._names,
                self._policies[agent],
                asked.tools,
                runs=self._runs,
            )

    def _request_of(self, effect: StartTurn | CorrectTurn, state: State) -> TurnRequest:
        """A turn as a request."""
        agent, phase, asked = effect.agent, effect.phase, self._request
        conversation, policy = self._conversations[agent], self._policies[agent]
        tools = workflow_tools(state, agent, self._names, policy)
        params = dict(asked.agent_params)
        presenting, timeouts = phase is Phase.PRESENT, self._team.settings.timeouts
        whole = agent in self._whole and not presenting
        if presenting:
            params |= asked.presenter_params
            if asked.format is not None:
                params["response_format"] = parameter(asked.format)
            tools = asked.tools
        if isinstance(effect, CorrectTurn) and effect.last and effect.objection is not None:
            # The last try: only the tool that was meant, and one step more effort (gpt-5.2.md, L3).
            meant = {"vote": self._names.vote, "new_answer": self._names.new_answer}
            tools = tuple(t for t in tools if effect.meant and t.name == meant[effect.meant])
            conversation.effort = stronger(policy, conversation.reply.effort_asked)
        if conversation.effort is not None:
            params.setdefault("reasoning_effort", conversation.effort)
        serial = False if policy.serial_decisions and tools else None
        request = TurnRequest(
            agent=agent,
            round=effect.round,
            phase=phase,
            messages=conversation.messages,
            tools=tools,
            tool_choice=asked.tool_choice if presenting else None,
            parallel_tool_calls=asked.parallel_tool_calls if presenting else serial,
            params=params,
            timeouts=without_first_token(timeouts) if whole else timeouts,
            whole=whole,
            cache_key=self._cache_keys[agent],
            headers={HOP_HEADER: str(asked.hops + 1)},
        )
        return request if policy.prepare is None else policy.prepare(request)


def whole_replies(team: Team, *, watched: bool) -> frozenset[str]:
    """The agents whose drafts and evaluations may come in one piece.

    Not where a piece is of use before the end: it is shown (``watched``), counts towards a limit,
    is the sign of life that a timeout waits for, or tells of a tool that the provider runs.
    """
    settings, default = team.settings, Timeouts()
    timed = (
        settings.timeouts.first_token_seconds != default.first_token_seconds
        or settings.timeouts.between_tokens_seconds != default.between_tokens_seconds
    )
    limited = settings.limits.max_tokens is not None or settings.limits.max_cost is not None
    if settings.stream_turns == "always" or watched or limited or timed:
        return frozenset()
    return frozenset(agent.id for agent in team.agents if not agent.backend.hosted_tools)


def without_first_token(timeouts: Timeouts) -> Timeouts:
    """The timeouts of a whole reply: it has no token before its end."""
    return replace(timeouts, first_token_seconds=timeouts.turn_seconds)
