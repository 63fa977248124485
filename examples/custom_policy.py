"""A model policy of your own: what its agents are told, and which decisions of theirs count.

    python examples/custom_policy.py

Here a vote counts only with a reason that has some words; one without is turned back, at most twice
a round. It works offline: the agents follow scripts, and the first of them votes without a reason.
"""

import anyio

from massgen_compat import Agent, Backend, MassGen, RunRequest, Team, text_message
from massgen_compat.events import SubmissionRejected, VoteCast, WinnerChosen
from massgen_compat.policies import Objection, Policy, Submission

LEAST_WORDS = 4


def wants_a_reason(submission: Submission) -> Objection | None:
    """Object to a vote whose reason is too short. Hooks are pure: no I/O, no state."""
    reason = str(submission.arguments.get("reason", ""))
    if submission.kind != "vote" or len(reason.split()) >= LEAST_WORDS:
        return None
    return Objection("no_reason", f"Not counted: give a reason of {LEAST_WORDS} words or more.")


REASONED = Policy(
    name="reasoned",
    models=("small-*",),  # patterns of model names; an agent can also ask for it by name
    summary="votes need reasons",
    section="In this team a vote without a reason does not count.",
    review=wants_a_reason,
)

HASTY = {
    "draft": "Air scatters blue light most.",
    "evaluate": {
        "vote": "agent1",
        "reason": "Mine.",
        "on_correction": [{"vote": "agent1", "reason": "It names the cause, the other does not."}],
    },
}
CAREFUL = {
    "draft": "The sky is blue.",
    "evaluate": {"vote": "agent1", "reason": "Mine only repeats the question."},
}


async def main() -> None:
    """Let two agents decide under the policy."""
    agents = [
        Agent("hasty", model="small-1", backend=Backend(type="scripted", script=HASTY)),
        Agent("careful", model="small-2", backend=Backend(type="scripted", script=CAREFUL)),
    ]
    massgen = MassGen(Team("pair", agents), policies=[REASONED])
    request = RunRequest(team="pair", messages=(text_message("user", "Why is the sky blue?"),))
    async with massgen, massgen.stream(request) as events:
        async for event in events:
            match event:
                case SubmissionRejected():
                    print(f"{event.agent} is turned back ({event.reason}), try {event.attempt}")
                case VoteCast():
                    print(f"{event.voter} votes for {event.target}: {event.reason}")
                case WinnerChosen():
                    print(f"the winner is {event.winner}")
                case _:
                    pass


if __name__ == "__main__":
    anyio.run(main)
