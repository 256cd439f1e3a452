"""A secret that looks like a number, and one that looks like JSON."""

from prefect import Flow, task
from prefect.client import Secret
from prefect.tasks.secrets import PrefectSecret


@task
def kinds(given):
    return [type(given).__name__, type(Secret("PASSWORD").get()).__name__]


with Flow("secret-number") as flow:
    kinds(PrefectSecret("PIN"))

RUN = dict(context={"secrets": {"PIN": "0042", "PASSWORD": "42"}})


DIFFERS = {
    "runs/0/tasks/kinds-1/result/1": (
        "int",
        "str",
        "A secret is the text that was stored, whatever it looks like.",
    ),
}
