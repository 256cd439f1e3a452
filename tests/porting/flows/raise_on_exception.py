"""For debugging: exceptions come out of ``flow.run()``."""

from prefect import Flow, task
from prefect.utilities.debug import raise_on_exception


@task
def bad():
    raise LookupError("here it is")


with Flow("debugging") as flow:
    bad()


def look(states):
    try:
        with raise_on_exception():
            flow.run()
    except LookupError as error:
        return [type(error).__name__, str(error)]
    return "nothing came out"
