"""A terminal state handler that returns a new state, and does not copy the results into it."""

from prefect import Flow, task
from prefect.engine.state import Success


def all_is_well(flow, state, reference_task_states):
    return Success("all is well")


@task
def bad():
    raise ValueError("no")


with Flow("all-is-well", terminal_state_handler=all_is_well) as flow:
    failed = bad()

RUNS = []


def look(states):
    try:
        state = flow.run()
    except TypeError:
        return ["TypeError"]
    return [type(state).__name__, state.message, type(state.result[failed]).__name__]


NO_RESULT_NEEDED = "The states of the tasks stay in the flow's result, whatever the handler returns."

DIFFERS = {
    "look/0": ("TypeError", "Success", NO_RESULT_NEEDED),
    "look/1": ("(absent)", "all is well", NO_RESULT_NEEDED),
    "look/2": ("(absent)", "Failed", NO_RESULT_NEEDED),
}
