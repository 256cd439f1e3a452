"""Two flows have a task of the same name that keeps its results."""

from datetime import timedelta

from prefect import Flow, task


def make(name, value):
    @task(name="load", cache_for=timedelta(hours=1))
    def load():
        return value

    with Flow(name) as made:
        loaded = load()
    return made, loaded


flow, first = make("north", "from the north")
other, second = make("south", "from the south")


def look(states):
    return other.run().result[second].result


DIFFERS = {
    "look": (
        "from the north",
        "from the south",
        "Caches are of a flow; those of two flows meet only if they are given the same cache_key.",
    ),
}
