"""Real clients, each in a process of its own, against real servers (make test-clients)."""
