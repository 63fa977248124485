"""What a config's values become in a ``Team``, and which values are refused."""

from dataclasses import dataclass
from typing import Any

import pytest

from massgen_compat._run.team import Agent, Backend, Limits, Price, Team, TeamSettings, Timeouts
from massgen_compat.config import parse
from massgen_compat.errors import ConfigError

ONE = "agents: [{id: a, backend: {type: openai, model: m}}]\n"


def team(text: str, env: dict[str, str] | None = None) -> Team:
    return parse(text, env or {}, "folder/team.yaml").team


def backend(text: str, env: dict[str, str] | None = None) -> Agent:
    """The one agent of a config whose ``backend`` is ``text``, in flow style."""
    return team(f"agent: {{id: a, backend: {{{text}}}}}", env).agents[0]


@dataclass(frozen=True, slots=True)
class Setting:
    text: str
    field: str
    value: object


@pytest.mark.parametrize(
    "case",
    [
        Setting("orchestrator: {voting_sensitivity: strict}", "voting_sensitivity", "strict"),
        Setting("orchestrator: {voting_sensitivity: roi}", "voting_sensitivity", "balanced"),
        Setting(
            "orchestrator: {voting_sensitivity: checklist_gated}", "voting_sensitivity", "strict"
        ),
        Setting("orchestrator: {max_new_answers_per_agent: 5}", "max_new_answers_per_agent", 5),
        Setting("orchestrator: {max_new_answers_per_agent: null}", "max_new_answers_per_agent", 3),
        Setting("orchestrator: {max_new_answers_global: 4}", "max_new_answers_global", 4),
        Setting(
            "orchestrator: {answer_novelty_requirement: balanced}",
            "answer_novelty_requirement",
            "balanced",
        ),
        Setting("orchestrator: {fairness_lead_cap_answers: 1}", "fairness_lead_cap_answers", 1),
        Setting("orchestrator: {fairness_enabled: false}", "fairness_lead_cap_answers", None),
        Setting("orchestrator: {fairness_enabled: true}", "fairness_lead_cap_answers", 2),
        Setting(
            "orchestrator: {defer_voting_until_all_answered: false}",
            "defer_voting_until_all_answered",
            value=False,
        ),
        Setting("orchestrator: {skip_voting: true}", "skip_voting", value=True),
        Setting(
            "orchestrator: {skip_coordination_rounds: yes}", "skip_coordination_rounds", value=True
        ),
        Setting(
            "orchestrator: {final_answer_strategy: synthesize}",
            "final_answer_strategy",
            "synthesize",
        ),
        Setting(
            "orchestrator: {skip_final_presentation: true}", "final_answer_strategy", "winner_reuse"
        ),
        Setting(
            "orchestrator: {skip_final_presentation: false}",
            "final_answer_strategy",
            "winner_present",
        ),
        Setting(
            "timeout_settings: {initial_round_timeout_seconds: 60}",
            "initial_round_timeout_seconds",
            60.0,
        ),
        Setting(
            "timeout_settings: {subsequent_round_timeout_seconds: 0.5}",
            "subsequent_round_timeout_seconds",
            0.5,
        ),
        Setting(
            "timeout_settings: {orchestrator_timeout_seconds: 30}",
            "limits",
            Limits(deadline_seconds=30.0),
        ),
        Setting(
            "timeout_settings: {orchestrator_timeout_seconds: 30}\n"
            "massgen_compat: {limits: {deadline_seconds: 20}}",
            "limits",
            Limits(deadline_seconds=20.0),
        ),
        Setting(
            "massgen_compat: {limits: {max_tokens: 5000, max_cost: 0.25}}",
            "limits",
            Limits(max_tokens=5000, max_cost=0.25),
        ),
        Setting(
            "massgen_compat: {limits: {deadline_seconds: null, max_calls: 9}}",
            "limits",
            Limits(deadline_seconds=None, max_calls=9),
        ),
        Setting(
            "massgen_compat: {timeouts: {first_token_seconds: 20, turn_seconds: 90.5}}",
            "timeouts",
            Timeouts(first_token_seconds=20.0, turn_seconds=90.5),
        ),
        Setting(
            "massgen_compat: {timeouts: {connect_seconds: 2, between_tokens_seconds: 30}}",
            "timeouts",
            Timeouts(connect_seconds=2.0, between_tokens_seconds=30.0),
        ),
        Setting("massgen_compat: {trace: full}", "trace", "full"),
        Setting("massgen_compat: {stream_turns: always}", "stream_turns", "always"),
        Setting("massgen_compat: {straggler_grace_seconds: 0}", "straggler_grace_seconds", 0.0),
        Setting("massgen_compat: {unverified: discard}", "unverified", "discard"),
        Setting("massgen_compat: {tool_rounds: presenter}", "tool_rounds", None),
        Setting("massgen_compat: {tool_rounds: team}", "tool_rounds", 1),
        Setting("massgen_compat: {tool_rounds: 'every_n:3'}", "tool_rounds", 3),
    ],
    ids=lambda case: case.text,
)
def test_a_setting_is_honoured(case: Setting) -> None:
    settings = team(ONE + case.text).settings
    assert getattr(settings, case.field) == case.value


def test_without_settings_the_defaults_hold() -> None:
    assert team(ONE).settings == TeamSettings()


def test_a_team_is_named_by_its_file_or_by_its_own_key() -> None:
    assert team(ONE).name == "team"
    assert team(ONE + "massgen_compat: {model: council}").name == "council"


def test_one_agent_needs_no_list_and_no_id() -> None:
    assert team("agent: {backend: {type: openai}}").agents == (Agent("agent1", model="gpt-5.2"),)


def test_agents_without_ids_are_numbered() -> None:
    listed = "agents: [{backend: {type: openai}}, {id: 7, backend: {type: openai}}, "
    agents = team(listed + "{backend: {type: openai}}]").agents
    assert [agent.id for agent in agents] == ["agent1", "7", "agent3"]


def test_an_agent_has_its_own_message_and_sensitivity() -> None:
    text = """
    agents:
    - id: critic
      backend: {type: openai, model: m}
      system_message: |
        Find ${FAULTS}.
      voting_sensitivity: adversarial
    """
    agent = team(text, {"FAULTS": "secret"}).agents[0]
    assert agent.system_message == "Find ${FAULTS}.\n"
    assert agent.voting_sensitivity == "strict"


def test_parameters_of_the_model_are_kept_as_they_are_and_nothing_else_is() -> None:
    agent = backend(
        "type: vllm, model: m, temperature: 0.5, stop: [a, b], logit_bias: {50256: -100}, "
        "chat_template_kwargs: {enable_thinking: true}, seed: null, cwd: x, tools: [t], made_up: 1"
    )
    assert agent.params == {
        "temperature": 0.5,
        "stop": ["a", "b"],
        "logit_bias": {"50256": -100},
        "chat_template_kwargs": {"enable_thinking": True},
    }


@dataclass(frozen=True, slots=True)
class Hosted:
    text: str
    tools: tuple[str, ...]


@pytest.mark.parametrize(
    "case",
    [
        Hosted("type: openai, enable_web_search: true", ("web_search",)),
        Hosted("type: openai, enable_code_interpreter: true", ("code_interpreter",)),
        Hosted("type: openai, enable_web_search: false", ()),
        Hosted("type: gemini, model: m, enable_web_search: true", ()),
        Hosted("type: azure_openai, model: m, enable_code_interpreter: true", ()),
    ],
    ids=lambda case: case.text,
)
def test_hosted_tools_are_those_of_openai(case: Hosted) -> None:
    assert backend(case.text).backend.hosted_tools == case.tools


def test_hosted_tools_need_the_responses_api() -> None:
    text = "agent: {backend: {type: openai, enable_web_search: true}, massgen_compat: {api: chat}}"
    agent = team(text).agents[0]
    assert agent.backend == Backend(api="chat")


def test_a_team_chooses_a_wire_and_an_agent_can_choose_another() -> None:
    text = (
        "agents:\n- {id: a, backend: {type: openai}}\n"
        "- {id: b, backend: {type: openai}, massgen_compat: {api: responses}}\n"
        "massgen_compat: {api: chat}"
    )
    assert [agent.backend.api for agent in team(text).agents] == ["chat", "responses"]


def test_an_agent_names_its_policy() -> None:
    text = "agent: {backend: {type: openai, model: m}, massgen_compat: {policy: gpt-5.2}}"
    assert team(text).agents[0].policy == "gpt-5.2"


def test_a_scripted_agent_needs_no_model() -> None:
    agent = backend("type: scripted, script: {draft: 'A ${B}'}")
    assert agent.model == "scripted"
    assert agent.backend.script == {"draft": "A ${B}"}


def test_a_script_of_another_type_is_left_out() -> None:
    assert backend("type: openai, script: {draft: x}").backend.script is None


def test_variables_are_filled_in_where_a_backend_uses_them() -> None:
    env = {"HOST": "example.test", "KEY": "k-${HOST}", "MODEL": "m", "EFFORT": "high"}
    agent = backend(
        "type: chatcompletion, model: '${MODEL}', base_url: 'https://${HOST}/v1', "
        "api_key: '${KEY}', reasoning: {effort: '${EFFORT}'}, stop: ['${MODEL}', '$MODEL']",
        env,
    )
    assert agent.model == "m"
    assert agent.backend.base_url == "https://example.test/v1"
    assert agent.backend.api_key == "k-${HOST}"
    assert agent.params == {"reasoning": {"effort": "high"}, "stop": ["m", "$MODEL"]}


def test_variables_that_nothing_uses_need_not_be_set() -> None:
    text = "orchestrator: {snapshot_storage: '${NOWHERE}'}\n" + ONE
    assert team(text).name == "team"


@dataclass(frozen=True, slots=True)
class Refused:
    text: str
    says: str
    key: str | None


BACKEND = "agents:\n- id: a\n  backend:\n    type: openai\n    "


@pytest.mark.parametrize(
    "case",
    [
        Refused("ui: {}", "team.yaml:1: not a team config", None),
        Refused("agents: []", "team.yaml:1: `agents`: must be a list of agents", "agents"),
        Refused("agents: {id: a}", "`agents`: must be a list", "agents"),
        Refused("agent: a", "`agent`: must be a mapping", "agent"),
        Refused("agents: [a]", "`agents[0]`: must be a mapping", "agents[0]"),
        Refused(f"{ONE}agent: {{id: a}}", "team.yaml:2: `agent` stands beside `agents`", "agent"),
        Refused("agent: {backend: 5}", "`agent.backend`: must be a mapping", "agent.backend"),
        Refused("agent: {id: a}", "`agent.backend.type` is missing", "agent.backend.type"),
        Refused("agent: {backend: }", "`agent.backend.type` is missing", "agent.backend.type"),
        Refused("agent: {backend: {type: opnai}}", "did you mean `openai`?", "agent.backend.type"),
        Refused("agent: {backend: {type: [a]}}", "must be one of", "agent.backend.type"),
        Refused(
            "agents:\n- backend:\n    type: gemini",
            "team.yaml:2: `agents[0].backend.model` is missing: which model of `gemini` answers?",
            "agents[0].backend.model",
        ),
        Refused(
            f"{BACKEND}model: [m]",
            "team.yaml:5: `agents[0].backend.model` must be text",
            "agents[0].backend.model",
        ),
        Refused(
            f"{BACKEND}enable_web_search: maybe",
            "`agents[0].backend.enable_web_search` must be true or false",
            "agents[0].backend.enable_web_search",
        ),
        Refused(
            f"{BACKEND}api_key: '${{OPENAI_KEY_2}}'",
            "team.yaml:5: `agents[0].backend.api_key` uses ${OPENAI_KEY_2}, which is not set",
            "agents[0].backend.api_key",
        ),
        Refused(
            f"{BACKEND}reasoning: {{effort: '${{EMPTY}}'}}",
            "`agents[0].backend.reasoning` uses ${EMPTY}",
            "agents[0].backend.reasoning",
        ),
        Refused(
            "agents:\n- {id: a, backend: {type: openai}}\n- {id: a, backend: {type: openai}}",
            "team.yaml:3: `agents[1].id` must be unique, and agents[0] has the same",
            "agents[1].id",
        ),
        Refused('agent: {id: "a\\nb", backend: {type: openai}}', "must be printable", "agent.id"),
        Refused(
            "agent: {backend: {type: openai}, system_message: [a]}",
            "must be text",
            "agent.system_message",
        ),
        Refused(
            "agent: {backend: {type: scripted, script: {drafts: x}}}",
            "team.yaml:1: agent.backend.script: unknown key 'drafts'",
            "agent.backend.script",
        ),
        Refused(
            f"{ONE}orchestrator:\n  voting_sensitivity: strickt",
            "team.yaml:3: `orchestrator.voting_sensitivity` must be one of",
            "orchestrator.voting_sensitivity",
        ),
        Refused(
            f"{ONE}orchestrator: {{max_new_answers_per_agent: 0}}",
            "must be a whole number, 1 or more",
            "orchestrator.max_new_answers_per_agent",
        ),
        Refused(
            f"{ONE}orchestrator: {{max_new_answers_per_agent: true}}",
            "must be a whole number",
            "orchestrator.max_new_answers_per_agent",
        ),
        Refused(
            f"{ONE}orchestrator: {{skip_final_presentation: true, "
            "final_answer_strategy: synthesize}",
            "contradicts `skip_final_presentation: true`",
            "orchestrator.final_answer_strategy",
        ),
        Refused(
            f"{ONE}orchestrator: {{coordination_mode: chaos}}",
            "must be one of voting, decomposition",
            "orchestrator.coordination_mode",
        ),
        Refused(f"{ONE}orchestrator: 5", "`orchestrator`: must be a mapping", "orchestrator"),
        Refused(
            f"{ONE}timeout_settings: {{orchestrator_timeout_seconds: 0}}",
            "must be from 0.001 to 1e+09 seconds",
            "timeout_settings.orchestrator_timeout_seconds",
        ),
        Refused(
            f"{ONE}timeout_settings: {{orchestrator_timeout_seconds: soon}}",
            "must be a number of seconds",
            "timeout_settings.orchestrator_timeout_seconds",
        ),
        Refused(
            f"{ONE}massgen_compat: {{model: {'m' * 129}}}",
            "`massgen_compat.model` cannot be served",
            "massgen_compat.model",
        ),
        Refused(
            f"{ONE}massgen_compat: {{engine: rocket}}",
            "must be one of local, massgen",
            "massgen_compat.engine",
        ),
        Refused(f"{ONE}massgen_compat: {{api: soap}}", "must be one of", "massgen_compat.api"),
        Refused(
            f"{ONE}massgen_compat:\n  inputs: [image, images]",
            "team.yaml:3: `massgen_compat.inputs` must be a list of text, image, audio, file; "
            "did you mean `image`?",
            "massgen_compat.inputs",
        ),
        Refused(
            "agent: {backend: {type: openai}, massgen_compat: {inputs: image}}",
            "must be a list of text, image, audio, file",
            "agent.massgen_compat.inputs",
        ),
        Refused(
            "agent: {backend: {type: openai}, massgen_compat: {inputs: [{image: true}]}}",
            "must be a list of text, image, audio, file",
            "agent.massgen_compat.inputs",
        ),
        Refused(
            "agent: {backend: {type: openai}, massgen_compat: {inputs: []}}\n"
            "massgen_compat: {inputs: [pictures]}",
            "must be a list of text, image, audio, file",
            "massgen_compat.inputs",
        ),
        Refused(
            f"{ONE}massgen_compat:\n  limts: {{}}",
            "team.yaml:3: `massgen_compat.limts`: unknown key; did you mean `limits`?",
            "massgen_compat.limts",
        ),
        Refused(
            f"{ONE}massgen_compat: {{limits: {{max_tokens: 0.5}}}}",
            "must be a whole number, 1 or more",
            "massgen_compat.limits.max_tokens",
        ),
        Refused(
            f"{ONE}massgen_compat: {{limits: {{max_cost: 0}}}}",
            "must be from 1e-06 to 1e+09 US dollars",
            "massgen_compat.limits.max_cost",
        ),
        Refused(
            f"{ONE}massgen_compat: {{limits: {{max_cost: cheap}}}}",
            "must be a number of US dollars",
            "massgen_compat.limits.max_cost",
        ),
        Refused(
            f"{ONE}massgen_compat: {{prices: cheap}}",
            "must be a mapping of models to their prices",
            "massgen_compat.prices",
        ),
        Refused(
            f"{ONE}massgen_compat: {{prices: {{gpt-5: {{}}}}}}",
            "is the model of no agent; theirs are m",
            "massgen_compat.prices.gpt-5",
        ),
        Refused(
            f"{ONE}massgen_compat: {{prices: {{m: {{input_per_million: 1}}}}}}",
            "lacks `output_per_million`",
            "massgen_compat.prices.m",
        ),
        Refused(
            f"{ONE}massgen_compat: {{prices: {{m: {{output: 1}}}}}}",
            "is no part of a price; those are input_per_million",
            "massgen_compat.prices.m.output",
        ),
        Refused(
            f"{ONE}massgen_compat: {{prices: {{m: {{input_per_million: -1}}}}}}",
            "must be from 0 to 1e+09 US dollars",
            "massgen_compat.prices.m.input_per_million",
        ),
        Refused(
            f"{ONE}massgen_compat: {{limits: {{calls_at_most: 3}}}}",
            "known are deadline_seconds, max_calls, max_cost, max_tokens",
            "massgen_compat.limits.calls_at_most",
        ),
        Refused(
            f"{ONE}massgen_compat: {{timeouts: {{turn: 3}}}}",
            "known are between_tokens_seconds, connect_seconds, first_token_seconds, turn_seconds",
            "massgen_compat.timeouts.turn",
        ),
        Refused(
            f"{ONE}massgen_compat: {{timeouts: {{turn_seconds: 0}}}}",
            "must be from 0.001 to 1e+09 seconds",
            "massgen_compat.timeouts.turn_seconds",
        ),
        Refused(
            "agent: {backend: {type: openai}, massgen_compat: {ap: chat}}",
            "did you mean `api`?",
            "agent.massgen_compat.ap",
        ),
    ],
    ids=lambda case: case.says,
)
def test_a_wrong_value_is_refused_with_file_line_and_key(case: Refused) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(case.text, {"EMPTY": ""}, "team.yaml")
    assert case.says in caught.value.message
    assert caught.value.message.startswith("team.yaml:")
    assert caught.value.key == case.key


def test_no_error_shows_a_value_of_the_environment_or_a_key() -> None:
    env: dict[str, Any] = {"KEY": "sk-of-the-environment"}
    text = "agent: {backend: {type: openai, api_key: ['${KEY}', sk-of-the-file]}}"
    with pytest.raises(ConfigError) as caught:
        parse(text, env, "team.yaml")
    assert "sk-" not in caught.value.message


def test_an_agent_says_what_it_takes_and_a_team_for_all_that_do_not() -> None:
    text = """
    agents:
    - {id: a, backend: {type: openai, model: ours}}
    - {id: b, backend: {type: openai, model: ours}, massgen_compat: {inputs: [audio, image]}}
    - {id: c, backend: {type: openai, model: ours}, massgen_compat: {inputs: [text]}}
    - {id: d, backend: {type: openai, model: ours}, massgen_compat: {inputs: []}}
    - {id: e, backend: {type: openai, model: ours}, massgen_compat: {inputs: null}}
    """
    assert [agent.inputs for agent in team(text).agents] == [
        None,
        ("image", "audio"),
        (),
        (),
        None,
    ]
    shared = team(f"{text}massgen_compat: {{inputs: [file]}}").agents
    assert [agent.inputs for agent in shared] == [("file",), ("image", "audio"), (), (), ("file",)]


def test_a_team_names_a_policy_for_all_agents_that_name_none() -> None:
    text = """
    agents:
    - {id: a, backend: {type: openai, model: ours}}
    - {id: b, backend: {type: openai, model: ours}, massgen_compat: {policy: default}}
    massgen_compat: {policy: gpt-5.2}
    """
    assert [agent.policy for agent in team(text).agents] == ["gpt-5.2", "default"]


def test_tool_rounds_of_another_form_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"tool_rounds.*every_n"):
        team(f"{ONE}massgen_compat: {{tool_rounds: sometimes}}")


def test_prices_are_by_model() -> None:
    own = "{input_per_million: 1, output_per_million: 2.5, cached_per_million: 0.1}"
    settings = team(f"{ONE}massgen_compat: {{prices: {{m: {own}}}}}").settings
    assert settings.prices == {
        "m": Price(input_per_million=1, output_per_million=2.5, cached_per_million=0.1)
    }
    assert team(f"{ONE}massgen_compat: {{prices: null}}").settings.prices == {}
