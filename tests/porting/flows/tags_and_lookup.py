"""Tags on tasks, tags for a block, and how tasks are found."""

from prefect import Flow, tags, task


@task(tags=["io"])
def read():
    return 1


@task
def compute(value):
    return value + 1


with Flow("tags") as flow:
    first = read()
    with tags("heavy", "gpu"):
        second = compute(first)
        third = read()
    compute(second)


def look(states):
    return {
        "tags": {slug: sorted(task.tags) for task, slug in flow.slugs.items()},
        "heavy": sorted(flow.slugs[t] for t in flow.get_tasks(tags=["heavy"])),
        "io and gpu": sorted(flow.slugs[t] for t in flow.get_tasks(tags=["io", "gpu"])),
        "named": sorted(flow.slugs[t] for t in flow.get_tasks(name="compute")),
        "by slug": [t.name for t in flow.get_tasks(slug="read-io-1")],
    }


DIFFERS = {
    "look/by slug": ([], "(absent)", "A task is found by the slug that it has in the flow."),
    "look/by slug/0": ("(absent)", "read", "A task is found by the slug that it has in the flow."),
}
