"""A ``terminal_state_handler`` has the last word on the flow's state."""

from prefect import Flow, task
from prefect.engine.state import Failed, Success

noted = []


def tolerate_one(flow, state, reference_task_states):
    failed = [each for each in reference_task_states if each.is_failed()]
    noted.append([type(state).__name__, len(reference_task_states), len(failed)])
    if len(failed) == 1:
        return Success("one may fail", result=state.result)
    if failed:
        return Failed("too many", result=state.result)
    return None


@task
def part(number, broken):
    if number < broken:
        raise ValueError(number)
    return number


def build_one(broken):
    with Flow(f"broken-{broken}", terminal_state_handler=tolerate_one) as made:
        for number in range(3):
            part(number, broken)
    return made


flow = build_one(1)


def look(states):
    ended = [build_one(0).run(), build_one(2).run()]
    return {"noted": noted, "others": [[type(state).__name__, state.message] for state in ended]}
