"""Brings the model names that providers use to OpenAI's spelling."""

import re

_DATE = re.compile(r"-(\d{4}-\d{2}-\d{2}|20\d{6})$")
_GPT5_MINOR = re.compile(r"^gpt-?5[._-]?([1-9])(?!\d)")
_GPT5 = re.compile(r"^gpt-?5(?!\d)")


def canonical(model: str) -> str:
    """Return the model's name without provider, variant and date, in lower case.

    ``openai/gpt-5.2:online``, ``gpt-5.2-2025-12-11``, ``databricks-gpt-5-2`` and an Azure
    deployment called ``gpt-52`` are all ``gpt-5.2``. A name that does not tell its model, as that
    of an Azure deployment may, stays as it is: its agent needs ``massgen_compat: {policy: NAME}``.

    >>> canonical("openai/gpt-5.2:online"), canonical("databricks-gpt-5-2")
    ('gpt-5.2', 'gpt-5.2')
    >>> canonical("our-deployment")
    'our-deployment'
    """
    name = model.strip().lower().rsplit("/", 1)[-1].split(":", 1)[0]
    name = name.removeprefix("openai.").removeprefix("databricks-")
    name = _DATE.sub("", name)
    return _GPT5.sub("gpt-5", _GPT5_MINOR.sub(r"gpt-5.\1", name))
