"""The library's own engine. It runs teams in this process, by the rules of ``_coordination``.

``driver`` starts and cancels the turns of a run, ``conversations`` makes their requests, ``calls``
makes the model calls, and ``presenter`` writes the final messages.
"""
