"""The engine on which the real MassGen executes the runs (``engine: massgen``).

``engine`` is the ``Engine``, and ``drive`` follows one run to its end. ``orchestration`` builds
MassGen's objects for a run and removes what they leave. ``translate`` turns what MassGen yields
into events. ``calls`` and ``exchange`` make the model calls in MassGen's place, and ``review``
holds models to their policies. No module imports ``massgen`` before a team needs it: the import
takes seconds.
"""
