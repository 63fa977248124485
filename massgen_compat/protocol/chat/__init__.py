"""Chat Completions: ``request`` parses a payload, ``answer`` renders a run. Both are pure."""
