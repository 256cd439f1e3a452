"""Classes of tasks that log with self.logger, and take what they are not given from themselves."""

from prefect import Flow, Task
from prefect.utilities.logging import get_logger
from prefect.utilities.tasks import defaults_from_attrs


class Load(Task):
    def __init__(self, table=None, **kwargs):
        self.table = table
        super().__init__(**kwargs)

    @defaults_from_attrs("table")
    def run(self, rows, table=None):
        self.logger.info("%d rows to %s", len(rows), table)
        get_logger("load").info("by a logger of its own")
        return table


with Flow("class-logger") as flow:
    Load("people", name="load", tags=None, max_retries=None, state_handlers=None)([1, 2])
    Load(name="load elsewhere")([1], table="places")

LOGGED = ["2 rows to people", "1 rows to places", "by a logger of its own"]


def look(states):
    (load, _) = sorted(flow.tasks, key=lambda task: len(task.name))
    inputs = load.inputs()
    return {name: inputs[name]["required"] for name in sorted(inputs)}
