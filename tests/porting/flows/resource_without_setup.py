"""A resource without a setup."""

from prefect import Flow, resource_manager, task

seen = []


@resource_manager
class Folder:
    def __init__(self, name):
        self.name = name

    def cleanup(self, resource):
        seen.append(f"remove {self.name}, given {type(resource).__name__}")


@task
def fill():
    seen.append("fill")


with Flow("resource-without-setup") as flow:
    with Folder("scratch"):
        fill()
