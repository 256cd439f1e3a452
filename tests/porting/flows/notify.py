"""A handler made from a function and a condition, put on several tasks."""

from prefect import Flow, task
from prefect.utilities.notifications import callback_factory

seen = []


def note(obj, state):
    seen.append([obj.name, type(state).__name__])


on_success = callback_factory(note, check=lambda state: state.is_successful())


@task(state_handlers=[on_success])
def good():
    return 1


@task(state_handlers=[on_success])
def bad():
    raise ValueError("no")


with Flow("notify", state_handlers=[on_success]) as flow:
    good()
    bad()
