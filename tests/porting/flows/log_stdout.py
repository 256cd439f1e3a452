"""``log_stdout`` puts what a task prints into its log; the context has the logger."""

import prefect
from prefect import Flow, task


@task(log_stdout=True)
def noisy():
    print("printed in a task")
    return 1


@task
def logs():
    prefect.context.get("logger").info("logged in a task")


@task(log_stdout=True)
def failing():
    print("printed before it failed")
    raise ValueError("no")


with Flow("log-stdout") as flow:
    noisy()
    logs()
    failing()

LOGGED = ["printed in a task", "logged in a task", "printed before it failed", "never printed"]
