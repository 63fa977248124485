"""Teams on the real MassGen: its package executes the run, this one drives it and tells of it.

``translate`` turns what MassGen yields into the events of a run, ``calls`` stands between MassGen
and the models, ``engine`` is the ``Engine``. Nothing here imports ``massgen`` before a team needs
it.
"""
