"""Retried for some exceptions only; a subclass counts."""

from datetime import timedelta

from prefect import Flow, task

attempts = {"network": 0, "typing": 0, "subclass": 0}


@task(max_retries=2, retry_delay=timedelta(0), retry_on=(OSError,))
def network():
    attempts["network"] += 1
    raise OSError("cable")


@task(max_retries=2, retry_delay=timedelta(0), retry_on=OSError)
def typing():
    attempts["typing"] += 1
    raise TypeError("mistake")


@task(max_retries=2, retry_delay=timedelta(0), retry_on=OSError)
def subclass():
    attempts["subclass"] += 1
    if attempts["subclass"] < 2:
        raise ConnectionResetError("again")
    return "fine"


with Flow("retry-on") as flow:
    network()
    typing()
    subclass()


def look(states):
    return attempts
