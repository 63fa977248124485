"""Model-specific coordination policies."""
