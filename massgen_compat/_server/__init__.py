"""The HTTP server: its endpoints, and the runs that it keeps.

A request passes ``access`` (request id, key), ``endpoints`` (what each path answers) and
``requests`` (bytes to an ``Admitted``). ``runs`` then gives it a run: one that is alive, if the
request is a retry (``retries``), or a new one (``run``), as soon as there is a place (``queue``).
``response`` sends the run's ``output`` to the client, over a ``connection``. ``openapi`` and
``schemas`` describe all of it. ``queue`` and ``retries`` are pure.
"""
