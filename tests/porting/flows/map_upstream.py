"""State-only dependencies of a map: one for all, or one for each."""

from prefect import Flow, task, unmapped

seen = []


@task
def prepare():
    seen.append("prepare")


@task
def touch(number):
    seen.append(f"touch {number}")
    if number == 2:
        raise RuntimeError("stuck")


@task
def use(number):
    seen.append(f"use {number}")
    return number


@task
def numbers():
    return [1, 2, 3]


with Flow("map-upstream") as flow:
    listed = numbers()
    touched = touch.map(listed, upstream_tasks=[unmapped(prepare())])
    use.map(listed, upstream_tasks=[touched])


def look(states):
    return {"first": seen[0], "all": sorted(seen)}
