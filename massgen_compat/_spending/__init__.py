"""What a run spends, for both engines.

``meter`` holds the limits of tokens and cost while the run goes on, ``clock`` those of time, and
``ledger`` adds up what the run has used for its result.
"""
