"""Which turns may come in one piece: those of which nobody needs a piece before the end."""

from dataclasses import replace

import anyio
import pytest

from massgen_compat._client.massgen import MassGen
from massgen_compat._local.engine import LocalEngine
from massgen_compat._run.team import Agent, Backend, Limits, Team, TeamSettings, Timeouts, Trace
from massgen_compat._run.turn import Phase, TurnRequest
from tests.fakes import QUESTION, Model, agreeable, reading

pytestmark = pytest.mark.anyio
AGENTS = [Agent("a", model="m"), Agent("b", model="m")]
SEARCHING = Backend(hosted_tools=("web_search",))


async def turns(team: Team, trace: Trace | None = None) -> list[TurnRequest]:
    models = {agent.id: Model(agreeable) for agent in team.agents}
    engine = LocalEngine(lambda agent: models[agent.id])
    request = replace(QUESTION, trace=trace)
    with anyio.fail_after(5):
        async with reading(engine, team, request) as events:
            async for _ in events:
                pass
    return [request for model in models.values() for request in model.requests]


async def test_drafts_and_evaluations_come_in_one_piece_and_the_message_is_streamed() -> None:
    asked = await turns(Team("team", AGENTS))
    assert {(turn.phase, turn.whole) for turn in asked} == {
        (Phase.DRAFT, True),
        (Phase.EVALUATE, True),
        (Phase.PRESENT, False),
    }


async def test_a_reply_in_one_piece_has_no_first_token_before_its_end() -> None:
    default = Timeouts()
    for turn in await turns(Team("team", AGENTS)):
        first = default.turn_seconds if turn.whole else default.first_token_seconds
        assert turn.timeouts == replace(default, first_token_seconds=first)


@pytest.mark.parametrize(
    "settings",
    [
        TeamSettings(stream_turns="always"),
        TeamSettings(limits=Limits(max_tokens=100_000)),
        TeamSettings(timeouts=Timeouts(first_token_seconds=30)),
        TeamSettings(timeouts=Timeouts(between_tokens_seconds=30)),
    ],
    ids=["always", "tokens", "first", "between"],
)
async def test_where_a_piece_is_of_use_everything_is_streamed(settings: TeamSettings) -> None:
    asked = await turns(Team("team", AGENTS, settings=settings))
    assert len(asked) == 5
    assert not any(turn.whole for turn in asked)
    assert {turn.timeouts for turn in asked} == {settings.timeouts}


async def test_a_request_that_wants_to_see_the_agents_write_gets_them_streamed() -> None:
    assert not any(turn.whole for turn in await turns(Team("team", AGENTS), trace="full"))


async def test_a_team_that_is_to_be_seen_writing_gets_its_agents_streamed() -> None:
    model = Model()
    team = Team("team", AGENTS, settings=TeamSettings(trace="full"))
    async with MassGen(team, connect=lambda _: model) as massgen:
        await massgen.chat({"model": "team", "messages": [{"role": "user", "content": "Why?"}]})
    assert len(model.requests) == 5
    assert not any(turn.whole for turn in model.requests)


async def test_agents_whose_provider_runs_tools_are_streamed_and_the_others_are_not() -> None:
    team = Team("team", [AGENTS[0], Agent("b", model="m", backend=SEARCHING)])
    asked = await turns(team)
    assert {turn.agent for turn in asked if turn.whole} == {"a"}
