"""``make choosing``: how well the rules choose among a team's drafts, by simulation.

No model is involved: the readers are numbers with the noise and the biases that papers measured in
real ones (docs/choosing.md names them). What is measured is the rules of ``_coordination.ballots``,
which the program first holds against the core, on every set of votes of two and three agents.
"""
