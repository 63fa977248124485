"""Every key of MassGen's configs and what it means here. Pure data, and the only place of it.

The rules by which a key gets its level:

- ``honoured``: it does here what it does in MassGen.
- ``ignored``: the answer comes about in the same way without it. It is about MassGen's terminal,
  files or prompts, or it is a detail of something that is itself refused or absent. Tools that a
  provider hosts are here too where its OpenAI-compatible endpoint has none.
- ``needs_massgen``: it lets agents *do* something (run tools or commands, work on files, make
  media, start other agents), feeds them something (files, memories), or changes who decides.
  Switched off, such a key is ignored.
- ``error``: it cannot mean anything here, or not in this version.

Sources: ``docs`` and source of MassGen 0.1.97, and the 276 configs that it ships.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from massgen_compat.config.findings import (
    ERROR,
    HONOURED,
    IGNORED,
    NEEDS_MASSGEN,
    Level,
    ValueCheck,
    check_answer_cap,
    check_backend_type,
    check_coordination_mode,
    check_hosted_tool,
    check_memory,
    check_scripted_only,
    check_sensitivity,
)


@dataclass(frozen=True, slots=True)
class Row:
    """What a key means here: its level, one short sentence, and a check of its value, if any."""

    level: Level
    note: str
    check_value: ValueCheck | None = None


def _rows(level: Level, note: str, names: str) -> dict[str, Row]:
    return {name: Row(level, note) for name in names.split()}


_NLIP: Final = _rows(NEEDS_MASSGEN, "agents talk through NLIP, with tools", "nlip enable_nlip")
_CONVERSATION: Final = "the conversation that the client sends is the memory"
_MEMORY: Final = Row(IGNORED, _CONVERSATION, check_memory)
_VOTING: Final = Row(HONOURED, "when an answer counts as good enough", check_sensitivity)
_HOSTED: Final = Row(HONOURED, "a tool that OpenAI runs for the agent", check_hosted_tool)
_TIMED: Final = "bounds a model call of an agent's first or of a later round, in seconds"

_TOP: Final = {
    **_rows(IGNORED, "MassGen's terminal and logs", "ui display logging"),
    **_rows(IGNORED, "the task is what the client asks", "task"),
    **_rows(NEEDS_MASSGEN, "runs commands at points of a run", "hooks"),
    **_rows(NEEDS_MASSGEN, "delegates to a second team during the run", "checkpoint"),
    **_NLIP,
    **_rows(
        ERROR,
        "MassGen's first config format: list `agents`, each with an `id` and a `backend`",
        "models model_configs num_agents max_rounds consensus_threshold voting_enabled "
        "enable_voting",
    ),
    "memory": _MEMORY,
}

_AGENT: Final = {
    **_rows(HONOURED, "names the agent; its peers never see it", "id"),
    **_rows(HONOURED, "opens the agent's system message", "system_message"),
    **_rows(IGNORED, "for Claude Code; use `system_message`", "append_system_prompt"),
    **_rows(IGNORED, "a detail of decomposition or checkpoints", "subtask main_agent"),
    **_rows(NEEDS_MASSGEN, "starts other agents during the run", "subagent_agents"),
    **_NLIP,
    "voting_sensitivity": _VOTING,
    "memory": _MEMORY,
}

_PARAMETERS: Final = _rows(
    HONOURED,
    "sent with every request of this agent",
    "temperature top_p top_k min_p max_tokens max_completion_tokens max_output_tokens reasoning "
    "reasoning_effort text verbosity presence_penalty frequency_penalty repetition_penalty seed "
    "stop logit_bias parallel_tool_calls extra_body chat_template_kwargs service_tier metadata "
    "user safety_identifier prompt_cache_key prompt_cache_retention truncation provider thinking",
)
PARAMETERS: Final = frozenset(_PARAMETERS)
"""Keys of ``backend`` that go to the model as they are. No other key is ever sent."""

_BACKEND: Final = {
    **_PARAMETERS,
    **_rows(HONOURED, "the model that answers", "model"),
    **_rows(HONOURED, "where the model is served", "base_url api_version"),
    **_rows(HONOURED, "the provider's key; never shown", "api_key"),
    **_rows(
        IGNORED,
        "the workflow sets it for every request",
        "messages input instructions tools tool_choice functions function_call stream "
        "stream_options n response_format store include previous_response_id conversation "
        "background",
    ),
    **_rows(
        NEEDS_MASSGEN,
        "gives the agent tools that only MassGen runs",
        "mcp_servers custom_tools auto_discover_custom_tools enable_code_based_tools "
        "enable_multimodal_tools",
    ),
    **_rows(NEEDS_MASSGEN, "lets the agent run commands", "enable_mcp_command_line"),
    **_rows(
        NEEDS_MASSGEN,
        "the agent makes media or files",
        "enable_image_generation enable_audio_generation enable_video_generation "
        "enable_file_generation",
    ),
    **_rows(NEEDS_MASSGEN, "files given to the agent with every task", "upload_files"),
    **_rows(NEEDS_MASSGEN, "an agent of another framework", "agent_config group_config"),
    **_rows(
        IGNORED,
        "Claude and Gemini host this tool, but not on their OpenAI-compatible endpoints",
        "enable_code_execution",
    ),
    **_rows(
        IGNORED,
        "a folder for file tools, which agents do not have here",
        "cwd agent_temporary_workspace shared_tools_directory exclude_file_operation_mcps",
    ),
    **_rows(
        IGNORED,
        "guards tools that agents do not have here",
        "permissions permission_mode allowed_tools disallowed_tools exclude_tools "
        "exclude_custom_tools",
    ),
    **_rows(IGNORED, "a detail of command line execution", "command_line_* command_execution_*"),
    **_rows(
        IGNORED,
        "a detail of tools that agents do not have here",
        "direct_mcp_servers concurrent_tool_execution enable_programmatic_flow "
        "enable_strict_tool_use enable_tool_search tool_search_variant betas "
        "max_thinking_tokens system_prompt",
    ),
    **_rows(IGNORED, "answers over HTTP are the same", "websocket_mode"),
    **_rows(IGNORED, "slows MassGen down for debugging", "debug_delay_*"),
    **_rows(IGNORED, "no client-side rate limit; providers' limits are respected", "rate_limit*"),
    "type": Row(HONOURED, "reached through an OpenAI-compatible endpoint", check_backend_type),
    "script": Row(
        HONOURED, "what the scripted model says; no model is involved", check_scripted_only
    ),
    "enable_web_search": _HOSTED,
    "enable_code_interpreter": _HOSTED,
}

_ORCHESTRATOR: Final = {
    **_rows(HONOURED, "bounds the answers of all agents together", "max_new_answers_global"),
    **_rows(HONOURED, "how different a further answer must be", "answer_novelty_requirement"),
    **_rows(HONOURED, "how far an agent may lead", "fairness_enabled fairness_lead_cap_answers"),
    **_rows(
        HONOURED,
        "whether voting waits until everybody has answered",
        "defer_voting_until_all_answered",
    ),
    **_rows(HONOURED, "whether the first agent with an answer wins without votes", "skip_voting"),
    **_rows(HONOURED, "whether the first agent answers alone", "skip_coordination_rounds"),
    **_rows(
        HONOURED,
        "who writes the final message",
        "final_answer_strategy skip_final_presentation",
    ),
    **_rows(
        IGNORED,
        "folders for files that are not written here",
        "agent_temporary_workspace snapshot_storage session_storage",
    ),
    **_rows(NEEDS_MASSGEN, "files that the agents read or write", "context_paths"),
    **_rows(NEEDS_MASSGEN, "the question is rephrased for each agent", "dspy"),
    **_NLIP,
    **_rows(NEEDS_MASSGEN, "tools that read and make media", "enable_multimodal_tools"),
    **_rows(
        IGNORED,
        "a detail of tools that agents do not have here",
        "image_generation_backend video_generation_backend audio_generation_backend "
        "image_generation_model video_generation_model audio_generation_model "
        "multimodal_config multimodal nlip_config docker skills_directory",
    ),
    **_rows(
        IGNORED,
        "running turns are never given peers' answers",
        "disable_injection max_midstream_injections_per_round "
        "defer_peer_updates_until_restart "
        "allow_midstream_peer_updates_before_checklist_submit",
    ),
    **_rows(
        IGNORED,
        "a detail of sensitivities that are not available",
        "voting_threshold max_checklist_calls_per_round checklist_first_answer "
        "checklist_require_gap_report gap_report_mode",
    ),
    **_rows(IGNORED, "the winner presents", "presenter_agent"),
    **_rows(IGNORED, "MassGen's own test aid", "debug_final_answer"),
    **_rows(IGNORED, "a client keeps the conversation", "type max_turns interactive_mode"),
    **_rows(IGNORED, "not read there; use top-level `timeout_settings`", "timeout"),
    "voting_sensitivity": _VOTING,
    "max_new_answers_per_agent": Row(HONOURED, "bounds an agent's answers", check_answer_cap),
    "coordination_mode": Row(HONOURED, "agents vote", check_coordination_mode),
}

_COORDINATION: Final = {
    **_rows(NEEDS_MASSGEN, "agents plan actions and one of them acts", "enable_planning_mode"),
    **_rows(
        IGNORED,
        "notes between rounds; agents here see the whole conversation in every round",
        "enable_memory_filesystem_mode",
    ),
    **_rows(
        NEEDS_MASSGEN, "agents load skills from files", "use_skills load_previous_session_skills"
    ),
    **_rows(
        NEEDS_MASSGEN,
        "starts other agents during the run",
        "enable_subagents subagent_orchestrator background_subagents "
        "orchestrator_managed_round_evaluator round_evaluator_before_checklist "
        "enable_execution_trace_analyzer auto_trace_analysis",
    ),
    **_rows(NEEDS_MASSGEN, "agents ask each other, or a person, during the run", "broadcast"),
    **_rows(
        NEEDS_MASSGEN,
        "delegates to a second team during the run",
        "checkpoint_enabled standalone_checkpoint",
    ),
    **_rows(NEEDS_MASSGEN, "goes on from the files of an earlier run", "resume_from_log"),
    **_rows(
        IGNORED,
        "a task list for long tool work, which agents do not have here",
        "enable_agent_task_planning task_planning_filesystem_mode max_tasks_per_plan plan_depth "
        "target_steps target_chunks planning_mode_instruction",
    ),
    **_rows(
        IGNORED,
        "the final message is not judged again",
        "max_orchestration_restarts pre_collab_voting_threshold",
    ),
    **_rows(
        IGNORED,
        "no model call besides the agents' own prepares or rates their prompts",
        "persona_generator evaluation_criteria_generator prompt_improver task_decomposer "
        "evolving_criteria* enable_evaluator_personas criteria_mode checklist_criteria_* "
        "bootstrap_max_* improvements",
    ),
    **_rows(
        IGNORED,
        "how files and workspaces are treated; there are none",
        "write_mode drift_conflict_policy use_two_tier_workspace learning_capture_mode "
        "disable_final_only_round_capture_fallback web_review compression_target_ratio",
    ),
    **_rows(
        IGNORED,
        "wording of MassGen's prompts",
        "enable_changedoc enable_quality_rethink enable_quality_rethink_on_iteration "
        "enable_novelty_on_iteration novelty_injection fast_iteration_mode "
        "max_verifications_per_round max_internal_fix_loops skip_redundant_scaffolding",
    ),
    **_rows(
        IGNORED,
        "a detail of a feature that needs MassGen",
        "subagent_* round_evaluator_* checkpoint_* broadcast_* max_broadcasts_per_agent "
        "response_depth skills_directory massgen_skills",
    ),
}

_TIMEOUTS: Final = {
    **_rows(HONOURED, "bounds the run, in seconds", "orchestrator_timeout_seconds"),
    **_rows(HONOURED, _TIMED, "initial_round_timeout_seconds subsequent_round_timeout_seconds"),
    **_rows(IGNORED, "a timeout here ends the call at once", "round_timeout_grace_seconds"),
}

_OWN: Final = {
    **_rows(HONOURED, "the name that clients ask for", "model"),
    **_rows(HONOURED, "how much of the deliberation clients see", "trace"),
    **_rows(HONOURED, "whether turns that nobody watches are streamed", "stream_turns"),
    **_rows(HONOURED, "how long stragglers have once a majority agrees", "straggler_grace_seconds"),
    **_rows(
        HONOURED,
        "whether the message is begun when a majority agrees, while stragglers finish",
        "speculate",
    ),
    **_rows(HONOURED, "whether a decision without its evaluations counts at last", "unverified"),
    **_rows(HONOURED, "the wire to all agents that do not choose one", "api"),
    **_rows(HONOURED, "the model policy of all agents that do not name one", "policy"),
    **_rows(HONOURED, "what all agents take that do not say so themselves", "inputs"),
    **_rows(
        HONOURED,
        "whether requests carry a key for the provider's prompt cache; unset: at OpenAI",
        "prompt_cache_key",
    ),
    **_rows(HONOURED, "what executes a run: this library, or MassGen itself", "engine"),
    **_rows(HONOURED, "who goes on with the results of client tools", "tool_rounds"),
    **_rows(
        HONOURED,
        "who answers clients' background requests (titles, tags) alone, or `off`",
        "background_agent",
    ),
    **_rows(IGNORED, "no rules of its own", "background_rules"),
    **_rows(HONOURED, "what models cost, where it is not known or not true", "prices"),
}

_OWN_RULE: Final = {
    **_rows(HONOURED, "names the rule, in `x-massgen-background` and the log", "name"),
    **_rows(
        HONOURED,
        "a phrase that the request has in this place",
        "system_starts_with user_starts_with user_contains user_ends_with",
    ),
    **_rows(HONOURED, "whether the request is a stream", "stream"),
    **_rows(
        HONOURED,
        "bounds a request that the rule is about",
        "max_tokens max_user_messages max_characters",
    ),
    **_rows(HONOURED, "`false` takes back the rule of that name", "enabled"),
}

_OWN_LIMITS: Final = {
    **_rows(HONOURED, "bounds the model calls of a run", "max_calls"),
    **_rows(HONOURED, "bounds the tokens of a run, read and written", "max_tokens"),
    **_rows(HONOURED, "bounds the cost of a run, in US dollars", "max_cost"),
    **_rows(HONOURED, "bounds the run, in seconds", "deadline_seconds"),
}

_OWN_ESCALATION: Final = {
    **_rows(HONOURED, "the agent, or the agents, that are asked first", "first"),
    **_rows(HONOURED, "whether all of them have to agree, or a majority, to decide alone", "until"),
}

_OWN_TIMEOUTS: Final = {
    **_rows(HONOURED, "bounds each try to connect to a provider, in seconds", "connect_seconds"),
    **_rows(
        HONOURED, "bounds a provider's silence before it answers, in seconds", "first_token_seconds"
    ),
    **_rows(HONOURED, "bounds its silence within an answer, in seconds", "between_tokens_seconds"),
    **_rows(HONOURED, "bounds a model call, in seconds", "turn_seconds"),
}

SECTIONS: Final[Mapping[str, Mapping[str, Row]]] = {
    "": _TOP,
    "agents[]": _AGENT,
    "agents[].backend": _BACKEND,
    "agents[].massgen_compat": {
        **_rows(HONOURED, "the wire to this agent's model", "api"),
        **_rows(HONOURED, "the model policy, where the model's name does not tell", "policy"),
        **_rows(
            HONOURED,
            "what the model takes (text, image, audio, file), whatever its name tells",
            "inputs",
        ),
        **_rows(
            HONOURED,
            "whether its requests carry a key for the provider's prompt cache",
            "prompt_cache_key",
        ),
    },
    "orchestrator": _ORCHESTRATOR,
    "orchestrator.coordination": _COORDINATION,
    "timeout_settings": _TIMEOUTS,
    "massgen_compat": _OWN,
    "massgen_compat.limits": _OWN_LIMITS,
    "massgen_compat.timeouts": _OWN_TIMEOUTS,
    "massgen_compat.escalation": _OWN_ESCALATION,
    "massgen_compat.background_rules[]": _OWN_RULE,
}
"""Mappings whose keys are looked up one by one; ``[]`` stands for any item of a list.

A name with ``*`` at its end is a prefix; whole names come first.
"""

OWN_SECTIONS: Final = frozenset(
    {
        "massgen_compat",
        "massgen_compat.limits",
        "massgen_compat.timeouts",
        "massgen_compat.escalation",
        "massgen_compat.background_rules[]",
        "agents[].massgen_compat",
    }
)
"""Sections of this library, which MassGen does not read: an unknown key is an error there."""
