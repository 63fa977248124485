"""OpenAI's wire protocol: pure parsing and rendering, no I/O and no engine."""
