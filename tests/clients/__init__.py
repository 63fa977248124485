"""Other clients than the Python SDK of this environment, each in a process of its own."""
