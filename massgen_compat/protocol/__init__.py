"""OpenAI's wire protocol: requests are parsed and answers rendered here. No I/O, and no engine.

A body goes through ``body`` (bytes to JSON), ``foreign`` (spellings of other APIs) and
``chat.request`` (a ``ParsedRequest``). A run's events become an ``Answer`` (``answer``,
``chat.answer``), which ``sse`` frames. ``errors`` says which module makes which error.
"""
