"""A setup that fails: the tasks in the block do not run, neither does the cleanup."""

from prefect import Flow, resource_manager, task

seen = []


@resource_manager
class Cluster:
    def __init__(self, size):
        self.size = size

    def setup(self):
        raise ConnectionError("no room")

    def cleanup(self, size):
        seen.append("down")


@task
def compute(size):
    seen.append("compute")


@task
def aside():
    seen.append("aside")


with Flow("resource-setup-fails") as flow:
    with Cluster(2) as cluster:
        compute(cluster)
    aside()
