"""The vocabulary of a run: frozen values for what goes in, what comes out, and its turns.

Other rooms speak in these words; ``docs/glossary.md`` explains them. The functions here only make
or check such values, without I/O.
"""
