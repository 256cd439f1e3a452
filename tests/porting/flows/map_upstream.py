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


DEPTH_FIRST = (
    "A child starts when its own upstream child is done, with every executor; Prefect 1's local one waited."
)

DIFFERS = {
    "seen/2": ("touch 2", "use 1", DEPTH_FIRST),
    "seen/3": ("touch 3", "touch 2", DEPTH_FIRST),
    "seen/4": ("use 1", "touch 3", DEPTH_FIRST),
}
