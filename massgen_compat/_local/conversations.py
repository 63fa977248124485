"""The conversations of the agents of a run, and the requests that are made of them. No tasks here.

The request of a turn is made before anything is sent, so that its cost can be estimated.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from massgen_compat._agents.cache_keys import cache_keys
from massgen_compat._agents.decisions import ToolNames, corrected, read_reply, workflow_tools
from massgen_compat._agents.prompts import (
    longest_fence,
    resumed_messages,
    solo_conversation,
    team_conversation,
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
    """What ends a model call: anyio's ``CancelScope``, of which this module needs no more."""

    def cancel(self) -> None:
        """End the call."""
        ...


@dataclass
class Conversation:
    """The conversation of one agent, and its model call while one goes on.

    ``stable``: the beginning, which is the same in all rounds. ``messages``: the whole conversation
    of the current round. ``reply``: the last reply. ``text``: the last text of the round that was
    not blank. ``effort``: a reasoning effort that was raised for the round's last try. ``request``:
    the last request. ``scope`` ends the call that goes on.
    """

    stable: tuple[Message, ...]
    messages: tuple[Message, ...] = ()
    reply: Reply = field(default_factory=Reply)
    text: str = ""
    effort: str | None = None
    request: TurnRequest | None = None
    scope: Scope | None = None

    def cancel(self) -> None:
        """End the agent's model call, if one goes on."""
        if self.scope is not None:
            self.scope.cancel()


class Conversations:
    """The conversations of one run, by agent id.

    ``policies``: by agent id. ``resumed``: one agent goes on alone with the results of its tool
    calls. ``watched``: observers are told the text of drafts and evaluations as it is written.
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
        self._names = ToolNames.avoiding(request.tools)
        self._longest_fence = longest_fence(request.messages)
        self._conversations: dict[str, Conversation] = {}

    def __getitem__(self, agent: str) -> Conversation:
        return self._conversations[agent]

    def cancel(self) -> None:
        """End all model calls."""
        for conversation in self._conversations.values():
            conversation.cancel()

    def set_up(self, agent: Agent, *, solo: bool) -> None:
        """Make the conversation of one agent. For a long one this can take milliseconds."""
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
        """Return the request of the turn that an effect starts, and keep it in the conversation.

        A repair repeats the request before: the presenter adds what is wrong with each message.
        ``None`` is returned only for a repair of what was never asked for.
        """
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
        """Keep a reply in its agent's conversation, and return the decisions that it makes."""
        conversation = self._conversations[agent]
        conversation.reply = reply
        conversation.text = reply.text if reply.text.strip() else conversation.text
        policy = self._policies[agent]
        said = self._request.messages
        return read_reply(reply, state, agent, self._names, policy, conversation=said)

    def _open_round(self, conversation: Conversation, agent: str, state: State) -> None:
        conversation.text, conversation.effort = "", None
        asked = self._request
        if self._resumed:
            conversation.messages = resumed_messages(
                conversation.stable, asked.tools, asked.decision, longest=self._longest_fence
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
                longest=self._longest_fence,
            )

    def _request_of(self, effect: StartTurn | CorrectTurn, state: State) -> TurnRequest:
        """Make the request of a turn from the conversation as it is."""
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
            # The last try of a gated model gets only the tool that was meant, and one step more
            # effort (docs/gpt-5.2.md, "What it does").
            meant = {"vote": self._names.vote, "new_answer": self._names.new_answer}
            tools = tuple(t for t in tools if effect.meant and t.name == meant[effect.meant])
            conversation.effort = stronger(policy, conversation.reply.effort_asked)
        # An effort that the request names wins over the raised one.
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
    """Return the ids of the agents whose drafts and evaluations may come in one piece.

    A reply in one piece is cheaper to read (``docs/faults.md``, "Turns in one piece"). It is not
    asked for where pieces are of use before the end of the reply: they are shown (``watched``),
    count towards a limit, are the sign of life that a timeout waits for, or tell of a tool that the
    provider runs.
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
    """Return the timeouts of a reply in one piece, which has no token before its end."""
    return replace(timeouts, first_token_seconds=timeouts.turn_seconds)
