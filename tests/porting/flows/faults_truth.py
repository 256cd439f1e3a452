"""``if task:`` while the flow is built."""

from prefect import Flow, task


@task
def is_ready():
    return False


@task
def go():
    return "went"


def build_by_if():
    with Flow("truth") as made:
        ready = is_ready()
        if ready:
            go()
    return made


flow = Flow("truth")
RUNS = []


def look(states):
    try:
        return sorted(build_by_if().slugs.values())
    except Exception as error:
        return isinstance(error, (TypeError, ValueError))


SILENT = "A task has no truth value while the flow is built: the branch would be taken in every run."

DIFFERS = {
    "look": ("(absent)", True, SILENT),
    "look/0": ("go-1", "(absent)", SILENT),
    "look/1": ("is_ready-1", "(absent)", SILENT),
}
