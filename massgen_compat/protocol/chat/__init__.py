"""Chat Completions: a payload parsed (``request``), a run rendered (``answer``). Pure."""
