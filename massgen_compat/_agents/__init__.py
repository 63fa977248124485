"""What an agent is told and what it answers with: prompts, decisions, inputs, ids. Pure."""
