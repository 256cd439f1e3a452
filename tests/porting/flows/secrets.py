"""Secrets from the environment and from the run's context; their values reach the tasks."""

import os

from prefect import Flow, task
from prefect.client import Secret
from prefect.tasks.secrets import EnvVarSecret, PrefectSecret

os.environ["PORTING_TOKEN"] = "t0ken"


@task
def sign(token, key):
    return len(token) + len(key)


@task
def look_up():
    return len(Secret("API_KEY").get())


with Flow("secrets") as flow:
    sign(EnvVarSecret("PORTING_TOKEN"), PrefectSecret("API_KEY"))
    look_up()
    missing = EnvVarSecret("PORTING_NO_SUCH_VARIABLE", raise_if_missing=True)
    flow.add_task(missing)

RUN = dict(context={"secrets": {"API_KEY": "abc"}})


def look(states):
    return [type(states[0].result[missing]).__name__, type(states[0].result[missing].result).__name__]
