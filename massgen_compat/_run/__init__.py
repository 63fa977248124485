"""The vocabulary of a run: what goes in, what comes out, and its turns. Values only."""
