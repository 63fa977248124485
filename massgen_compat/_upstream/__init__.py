"""Calls of the agents' models: each wire, read and written, and the OpenAI SDK that carries it."""
