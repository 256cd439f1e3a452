"""A resource is set up before the tasks in its block and cleaned up after them."""

from prefect import Flow, resource_manager, task

noted = []


@resource_manager
class Database:
    def __init__(self, name):
        self.name = name

    def setup(self):
        noted.append(f"open {self.name}")
        return {"name": self.name}

    def cleanup(self, connection):
        noted.append(f"close {connection['name']}")


@task
def write(connection, value):
    noted.append(f"write {value} to {connection['name']}")
    return value


@task
def tell(value):
    noted.append(f"tell {value}")


with Flow("resource") as flow:
    with Database("db") as connection:
        written = write(connection, 1)
        again = write(connection, 2, upstream_tasks=[written])
    tell(again)


def look(states):
    return {
        "reference": sorted(t.name for t in flow.reference_tasks()),
        "closed after the writing": noted.index("close db") > noted.index("write 2 to db"),
    }
