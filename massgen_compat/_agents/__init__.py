"""What agents are told, and how their replies are read. Pure.

``prompts`` has the texts, ``decisions`` the tools that end a round, ``inputs`` the kinds of input
that a model takes; ``call_ids`` and ``cache_keys`` make the ids and keys that providers see.
"""
