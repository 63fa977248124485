"""``prices`` of a config: what its models cost where nobody else knows. Pure."""

from collections.abc import Collection, Mapping

from massgen_compat.config.fields import Fields
from massgen_compat.run import Price

_KEYS = ("input_per_million", "output_per_million", "cached_per_million")


def prices(own: Fields, models: Collection[str]) -> dict[str, Price]:
    """The prices by model.

    Raises ``ConfigError`` for a model that no agent has, and for a price that is none.
    """
    node = own.node_of("prices")
    if node is None:
        return {}
    if not isinstance(node.value, Mapping):
        own.refuse("prices", "must be a mapping of models to their prices")
    listed = own.inner("prices")
    return {model: _price(listed, model, models) for model in node.fields}


def _price(listed: Fields, model: str, models: Collection[str]) -> Price:
    if model not in models:
        known = ", ".join(dict.fromkeys(models))
        listed.refuse(model, f"is the model of no agent; theirs are {known}")
    fields = listed.inner(model)
    for key in fields.node.fields:
        if key not in _KEYS:
            fields.refuse(key, f"is no part of a price; those are {', '.join(_KEYS)}")
    read, written, cached = (fields.dollars(key) for key in _KEYS)
    if read is None or written is None:
        missing = _KEYS[0] if read is None else _KEYS[1]
        listed.refuse(model, f"lacks `{missing}`: how many US dollars are a million tokens?")
    return Price(input_per_million=read, output_per_million=written, cached_per_million=cached)
