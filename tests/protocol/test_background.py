"""Background requests are known by their structure and words; what a user asks never is one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_compat._admission.background import matching_rule
from massgen_compat._run.background_rules import BACKGROUND_RULES, BackgroundRule, rules_with
from massgen_compat.protocol.chat.request import parse

TOOL = {"type": "function", "function": {"name": "read_file", "parameters": {"type": "object"}}}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.test/a.png"}}
FILE = {"type": "file", "file": {"file_id": "file-1"}}
HISTORY = "<chat_history>\nUSER: Why is the sky blue?\nASSISTANT: It scatters.\n</chat_history>"


def user(content: object) -> dict[str, Any]:
    return {"role": "user", "content": content}


def system(content: object, role: str = "system") -> dict[str, Any]:
    return {"role": role, "content": content}


def assistant(content: str) -> dict[str, Any]:
    return {"role": "assistant", "content": content}


def rule_of(messages: Sequence[Mapping[str, Any]], **more: object) -> str | None:
    """The name of the built-in rule that a body matches."""
    parsed = parse({"model": "team", "messages": messages, **more})
    rule = matching_rule(parsed.run, BACKGROUND_RULES, stream=parsed.stream)
    return rule.name if rule else None


@dataclass(frozen=True)
class Body:
    """What a client sends; ``source`` is where that is known from."""

    rule: str | None
    messages: list[dict[str, Any]]
    source: str = ""
    more: dict[str, Any] = field(default_factory=dict[str, Any])


def open_webui(task: str, output: str, end: str = f"### Chat History:\n{HISTORY}") -> list[Any]:
    return [user(f"### Task:\n{task}\n### Guidelines:\n- Be brief.\n### Output:\n{output}\n{end}")]


TITLE = open_webui(
    "Generate a concise title summarizing the chat history.", 'JSON format: { "title": "x" }'
)
OLD_TITLE = open_webui(
    "Generate a concise, 3-5 word title with an emoji summarizing the chat history.",
    'JSON format: { "title": "x" }',
)
TAGS = open_webui(
    "Generate 1-3 broad tags categorizing the main themes of the chat history, along with more.",
    'JSON format: { "tags": ["tag1"] }',
)
FOLLOW_UPS = open_webui(
    "Predict 3-5 useful messages this user might naturally send next to advance their objective.",
    'JSON format: { "follow_ups": ["Suggested next message 1"] }',
)
OLD_FOLLOW_UPS = open_webui(
    "Suggest 3-5 relevant follow-up questions or prompts that the user might naturally ask next.",
    'JSON format: { "follow_ups": ["Question 1?"] }',
)
QUERIES = open_webui(
    "Analyze the chat history to determine the necessity of generating search queries.",
    'in the format: { "queries": ["query1"] }',
    f"### Chat History:\n{HISTORY}\n",
)
IMAGE_PROMPT = open_webui(
    "Generate a detailed prompt for am image generation task based on the given language.",
    'Strictly return in JSON format:\n{\n    "prompt": "x"\n}',
)
AUTOCOMPLETE = open_webui(
    "You are an autocompletion system. Continue the text in `<text>`.",
    '{ "text": "" }',
    f"### Context:\n{HISTORY}\n<type>General</type>  \n<text>Why is</text>  \n#### Output:\n",
)
OPENCODE = [
    system("You are a title generator. You output ONLY a thread title. Nothing else.\n\n<task>…"),
    user("Generate a title for this conversation:\n"),
    user("Why is the sky blue?"),
]
CONTINUE = [
    user(
        "Given the following... please reply with a title for the chat that is 3-4 words in "
        "length, no additional text or explanation.\n\nWhy is the sky blue?"
    )
]
LIBRECHAT = [
    user(
        "Provide a concise, 5-word-or-less title for the conversation, using its same language, "
        "with no punctuation. Only return the title itself.\n\nConversation:\nUser: Why?\nAI: So."
    )
]
GOOSE = [
    system("Generate a short title (four words or less) that describes the topic.\nReply with it."),
    user(
        "---BEGIN USER MESSAGES---\nWhy is the sky blue?\n---END USER MESSAGES---\n\n"
        "Generate a short title for the above messages."
    ),
]
CRUSH = [
    system("You will generate a short title based on the first message a user begins with.\n…"),
    user("Generate a concise title for the following content:\n\nWhy?\n <think>\n\n</think>"),
]
CURSOR = [
    system("You are a test assistant."),
    user("Testing. Just say hi and nothing else."),
]

WEBUI = "Open WebUI 0.12.4 and its source"
STREAMED = {"stream": True, "stream_options": {"include_usage": True}}
BACKGROUND = {
    "Open WebUI, title": Body(
        "open-webui-title", TITLE, WEBUI, {"stream": False, "max_tokens": 1000}
    ),
    "Open WebUI, title for other providers": Body(
        "open-webui-title", TITLE, WEBUI, {"stream": False, "max_completion_tokens": 1000}
    ),
    "Open WebUI, title before 0.12": Body("open-webui-title", OLD_TITLE, "its docs of 2025"),
    "Open WebUI, title under a model's own system prompt": Body(
        "open-webui-title", [system("You are a pirate."), *TITLE], WEBUI
    ),
    "Open WebUI, tags": Body("open-webui-tags", TAGS, WEBUI, {"stream": False}),
    "Open WebUI, follow-ups": Body("open-webui-follow-ups", FOLLOW_UPS, WEBUI, {"stream": False}),
    "Open WebUI, follow-ups before 0.12": Body(
        "open-webui-follow-ups", OLD_FOLLOW_UPS, "its docs of 2025"
    ),
    "Open WebUI, search queries": Body("open-webui-queries", QUERIES, "source of 0.12.4"),
    "Open WebUI, image prompt": Body("open-webui-image-prompt", IMAGE_PROMPT, "source of 0.12.4"),
    "Open WebUI, autocomplete": Body("open-webui-autocomplete", AUTOCOMPLETE, "source of 0.12.4"),
    "opencode, title": Body(
        "opencode-title", OPENCODE, "opencode 1.18.33", {**STREAMED, "max_tokens": 32000}
    ),
    "opencode, title to a reasoning model": Body(
        "opencode-title",
        [{**OPENCODE[0], "role": "developer"}, *OPENCODE[1:]],
        "opencode 1.18.33 with a variant",
        {**STREAMED, "reasoning_effort": "low"},
    ),
    "opencode, title in one user message": Body(
        "opencode-title",
        [OPENCODE[0], user([{"type": "text", "text": t["content"]} for t in OPENCODE[1:]])],
        "opencode 1.18.33 and Kilo 7.7.7 have such a prompt beside the other",
        STREAMED,
    ),
    "Continue, title": Body("continue-title", CONTINUE, "its source", {"max_tokens": 16}),
    "Continue, title from a GPT-5 name": Body(
        "continue-title", CONTINUE, "its source", {"max_completion_tokens": 16, "stream": True}
    ),
    "LibreChat, title": Body(
        "librechat-title", LIBRECHAT, "its source", {"temperature": 1, "top_p": 1, "user": "u"}
    ),
    "Goose, title": Body("goose-title", GOOSE, "its source", STREAMED),
    "Crush, title": Body("crush-title", CRUSH, "its source", {**STREAMED, "max_tokens": 40}),
    "Cursor, key check": Body("cursor-key-check", CURSOR, "cursor/cursor#1640", {"stream": False}),
}


@pytest.mark.parametrize("body", BACKGROUND.values(), ids=BACKGROUND.keys())
def test_a_background_request_is_known_by_its_rule(body: Body) -> None:
    assert rule_of(body.messages, **body.more) == body.rule


def test_every_built_in_rule_has_a_request_and_a_source() -> None:
    names = [rule.name for rule in BACKGROUND_RULES]
    assert len(set(names)) == len(names)
    assert {body.rule for body in BACKGROUND.values()} == set(names)
    assert all(rule.source for rule in BACKGROUND_RULES)


TEMPLATE = TITLE[0]["content"]
USERS = {
    "asks for a title": Body(None, [user("Generate a title for my chat")], more={"stream": False}),
    "asks for a title with few tokens": Body(
        None, [user("Please reply with a title for the chat about my dog")], more={"max_tokens": 16}
    ),
    "pastes a template into a chat": Body(None, TITLE, more={"stream": True}),
    "asks about a template": Body(None, [user(f"What does this prompt do?\n\n{TEMPLATE}")]),
    "asks about a template afterwards": Body(None, [user(f"{TEMPLATE}\n\nIs this prompt good?")]),
    "quotes a template": Body(None, [user(f"> {TEMPLATE}")]),
    "has a template answered in a conversation": Body(
        None, [user("Hello"), assistant("Hello."), *TITLE]
    ),
    "has instructions in sections": Body(
        None, [user("### Task:\nGenerate a concise summary of this.\n### Output:\nOne line.")]
    ),
    "has an own prompt in Open WebUI's style": Body(
        None, open_webui("Name this support case.", '{ "title": "x", "summary": "y" }')
    ),
    "asks for follow-ups": Body(
        None, [user("### Task:\nWrite what a user might naturally ask next.\n### Output:\nA list.")]
    ),
    "has Open WebUI make a conversation shorter": Body(
        None,
        [user("### Task:\nSummarize the conversation history.\n### Recent Messages:\nUSER: Why?")],
        more={"stream": False, "max_tokens": 1000},
    ),
    "asks Open WebUI about a document": Body(
        None,
        [
            user(
                "### Task:\nRespond to the user query using the provided context.\n"
                f"### Output:\nA direct response.\n<context>\n{TEMPLATE}\n</context>\n\n"
                "<user_query>\nWhat is this?\n</user_query>"
            )
        ],
        more={"stream": False},
    ),
    "chats in Open WebUI": Body(None, [user("Why?")], more={"stream": True, "tools": [TOOL]}),
    "sends a template with tools": Body(None, TITLE, more={"tools": [TOOL]}),
    "sends a template with an image": Body(
        None, [user([{"type": "text", "text": TEMPLATE}, IMAGE])]
    ),
    "sends a template with a file": Body(None, [user([{"type": "text", "text": TEMPLATE}, FILE])]),
    "works in opencode": Body(
        None,
        [system("You are opencode, an interactive CLI tool."), user("Why?")],
        more={**STREAMED, "tools": [TOOL]},
    ),
    "works in opencode without tools": Body(
        None, [system("You are opencode, an interactive CLI tool."), OPENCODE[1]], more=STREAMED
    ),
    "runs a title generator": Body(
        None, [system("You are a title generator."), user("Generate a title for this: a dog")]
    ),
    "runs a title generator with opencode's words": Body(
        None, [OPENCODE[0], user("Ten titles for my novel, please.")], more=STREAMED
    ),
    "has opencode's title agent go on": Body(None, [*OPENCODE, assistant("Sky"), user("Longer")]),
    "has opencode's words in three messages": Body(None, [*OPENCODE, user("And the sea?")]),
    "has Continue's words without its bound": Body(None, CONTINUE),
    "has Continue's words and room": Body(None, CONTINUE, more={"max_tokens": 500}),
    "asks for a short title": Body(
        None,
        [user("Provide a concise, 5-word-or-less title for the conversation in this novel: …")],
    ),
    "pastes LibreChat's prompt into a chat": Body(None, LIBRECHAT, more={"stream": True}),
    "has an own prompt for short titles": Body(
        None, [GOOSE[0], user("Titles for these messages:\n- Why is the sky blue?")]
    ),
    "has Crush's system prompt": Body(None, [CRUSH[0], user("Why is the sky blue?")]),
    "tests with more": Body(None, [CURSOR[0], user(f"{CURSOR[1]['content']} Then explain why.")]),
    "has Cursor's words without its system prompt": Body(None, CURSOR[1:]),
    "asks for few tokens": Body(None, [user("Is the sky blue?")], more={"max_tokens": 1}),
    "uses Qwen Code, whose memory agent has tools": Body(
        None,
        [system("You are now acting as the managed memory extraction subagent"), user("…")],
        more={**STREAMED, "tools": [TOOL]},
    ),
    "uses Zed, whose title request is the conversation": Body(
        None,
        [
            user("Why is the sky blue?"),
            assistant("It scatters."),
            user("Generate a concise 3-7 word title for this conversation, omitting punctuation."),
        ],
        more=STREAMED,
    ),
}


@pytest.mark.parametrize("body", USERS.values(), ids=USERS.keys())
def test_what_a_user_asks_is_no_background_request(body: Body) -> None:
    assert rule_of(body.messages, **body.more) is None


STARTS = {
    name: body
    for name, body in BACKGROUND.items()
    if any(rule.name == body.rule and rule.user_starts_with for rule in BACKGROUND_RULES)
}


@given(st.sampled_from(list(STARTS.values())), st.text(min_size=1).filter(str.strip))
def test_words_before_a_template_make_it_a_question(body: Body, words: str) -> None:
    asked = [
        user(f"{words}\n{message['content']}") if message["role"] == "user" else message
        for message in body.messages
    ]
    assert rule_of(asked, **body.more) is None


@given(st.sampled_from(list(BACKGROUND.values())))
def test_tools_and_history_make_any_of_them_a_users_request(body: Body) -> None:
    assert rule_of(body.messages, **body.more, tools=[TOOL]) is None
    assert rule_of([*body.messages, assistant("Sky")], **body.more) is None
    call = {"id": "c", "type": "function", "function": {"name": "read_file", "arguments": "{}"}}
    used = [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "x"},
    ]
    assert rule_of([user("Read it"), *used, *body.messages], **body.more) is None


MINE = BackgroundRule(
    name="mine",
    system_starts_with="Name it",
    user_contains=("please", "now"),
    user_ends_with="!",
    stream=True,
    max_tokens=10,
    max_user_messages=2,
    max_characters=40,
)
ASKED: list[Any] = [system("  Name it."), user("please"), user("now!\n")]


@pytest.mark.parametrize(
    ("messages", "more", "matches"),
    [
        (ASKED, {"max_tokens": 10}, True),
        (ASKED, {"max_tokens": 99, "max_completion_tokens": 10}, True),
        (ASKED, {"max_tokens": 11}, False),
        (ASKED, {}, False),
        (ASKED, {"max_tokens": 10, "stream": False}, False),
        ([system("Do name it."), *ASKED[1:]], {"max_tokens": 10}, False),
        (ASKED[1:], {"max_tokens": 10}, False),
        (ASKED[:2], {"max_tokens": 10}, False),
        ([ASKED[0], ASKED[2]], {"max_tokens": 10}, False),
        ([ASKED[0], ASKED[2], ASKED[1]], {"max_tokens": 10}, False),
        ([*ASKED, user("!")], {"max_tokens": 10}, False),
        ([ASKED[0], user("x" * 40), user("please now!")], {"max_tokens": 10}, False),
        (ASKED[:1], {"max_tokens": 10}, False),
    ],
)
def test_a_rule_wants_all_that_it_says(
    messages: list[Any],
    more: dict[str, Any],
    matches: bool,  # noqa: FBT001
) -> None:
    request = parse({"model": "t", "messages": messages, "stream": True, **more})
    assert (matching_rule(request.run, [MINE], stream=request.stream) is MINE) is matches


def test_the_first_rule_that_matches_names_the_request() -> None:
    request = parse({"model": "t", "messages": ASKED, "stream": True, "max_tokens": 5})
    second = replace(MINE, name="second")
    assert matching_rule(request.run, [second, MINE], stream=True) is second
    assert matching_rule(request.run, [], stream=True) is None


def test_own_rules_come_first_and_take_the_place_of_built_in_ones() -> None:
    assert rules_with(()) == BACKGROUND_RULES
    assert rules_with([MINE]) == (MINE, *BACKGROUND_RULES)
    own = replace(MINE, name="open-webui-title")
    assert rules_with([own]) == (own, *BACKGROUND_RULES[1:])
    gone = BackgroundRule(name="open-webui-title", enabled=False)
    assert rules_with([gone]) == BACKGROUND_RULES[1:]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"name": "a b", "user_starts_with": "x"}, "letters, digits"),
        ({"name": "", "user_starts_with": "x"}, "letters, digits"),
        ({"name": "a\r\nb", "user_starts_with": "x"}, "letters, digits"),
        ({"name": "a" * 65, "user_starts_with": "x"}, "letters, digits"),
        ({"name": "a"}, "needs a phrase"),
        ({"name": "a", "stream": False, "max_tokens": 5}, "needs a phrase"),
        ({"name": "a", "user_starts_with": ""}, "not empty"),
        ({"name": "a", "user_contains": ("x", " ")}, "not empty"),
        ({"name": "a", "user_ends_with": "x "}, "no space around"),
    ],
)
def test_a_rule_that_could_match_anything_is_refused(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        BackgroundRule(**fields)
