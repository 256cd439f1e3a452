"""The cleanup runs although a task in the block failed, and the flow is failed all the same."""

from prefect import Flow, resource_manager, task

seen = []


@resource_manager
class Cluster:
    def __init__(self, size):
        self.size = size

    def setup(self):
        seen.append("up")
        return self.size

    def cleanup(self, size):
        seen.append("down")


@task
def compute(size):
    raise RuntimeError("out of memory")


@task
def more(value):
    return value


with Flow("resource-body-fails") as flow:
    with Cluster(2) as cluster:
        more(compute(cluster))
