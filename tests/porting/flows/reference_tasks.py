"""Which tasks decide: the last ones, unless others are named."""

from prefect import Flow, task
from prefect.triggers import all_finished


@task
def work():
    raise RuntimeError("broken")


@task(trigger=all_finished)
def clean_up():
    return "clean"


def build_one(name, decides):
    with Flow(name) as made:
        worked = work()
        cleaned = clean_up(upstream_tasks=[worked])
        if decides == "work":
            made.set_reference_tasks([worked])
        if decides == "both":
            made.set_reference_tasks([worked, cleaned])
    return made


flow = build_one("reference", "work")


def look(states):
    green = build_one("terminal", "last")
    both = build_one("both", "both")
    restored = build_one("restored", "work")
    restored.set_reference_tasks([])
    return [
        [type(f.run()).__name__, sorted(t.name for t in f.reference_tasks())] for f in (green, both, restored)
    ]
