"""Handlers see every change of state, and may put another state in its place."""

from datetime import timedelta

from prefect import Flow, task
from prefect.engine.state import Failed, Success

noted = []


def watch(task, old, new):
    noted.append([task.name, type(old).__name__, type(new).__name__])


def forgive(task, old, new):
    if new.is_failed():
        return Success("never mind", result="instead")
    return new


def refuse_small(task, old, new):
    if new.is_successful() and new.result < 10:
        return Failed("too small")
    return None


def watch_flow(flow, old, new):
    noted.append([flow.name, type(old).__name__, type(new).__name__])


@task(state_handlers=[watch])
def fine():
    return 1


@task(max_retries=1, retry_delay=timedelta(0), state_handlers=[watch])
def retried():
    raise ValueError("no")


@task(state_handlers=[forgive])
def forgiven():
    raise ValueError("no")


@task(state_handlers=[refuse_small])
def small():
    return 3


@task(state_handlers=[watch])
def after(value):
    return value


with Flow("handlers", state_handlers=[watch_flow]) as flow:
    fine()
    retried()
    after(forgiven())
    after(small())


def look(states):
    return {
        "after": sorted(step[1:] for step in noted if step[0] == "after"),
        **{name: [step[1:] for step in noted if step[0] == name] for name in ("fine", "retried", "handlers")},
    }


DIFFERS = {
    "look/handlers/0/0": (
        "Scheduled",
        "Pending",
        "flow.run() runs now; only runs that a schedule or a person planned are Scheduled first.",
    ),
}
