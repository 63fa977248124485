"""Runs as a server keeps them: so many at once, joined by retries, ended with their clients.

Nothing here knows HTTP. ``places``, ``matching`` and ``failures`` are pure bookkeeping; ``output``
and ``run`` wait and wake; ``runs`` ties them together for ``asgi``.
"""
