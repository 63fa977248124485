"""The one admission of a request: which team answers it, on which engine, and whether it can."""
