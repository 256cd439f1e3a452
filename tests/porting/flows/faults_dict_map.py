"""A map over a dictionary."""

from prefect import Flow, task


@task
def settings():
    return {"a": 1, "b": 2}


@task
def same(value):
    return value


@task
def aside():
    return "ran"


with Flow("dict-map") as flow:
    same.map(settings())
    aside()


ONE_TASK = (
    "Only the task that cannot be mapped fails; in Prefect 1 the whole run crashed, with no task's state."
)

DIFFERS = {
    "runs/0/message": ("Unexpected error: KeyError(0)", "Some reference tasks failed.", ONE_TASK),
    "runs/0/result/exception": ("KeyError", "(absent)", ONE_TASK),
    "runs/0/result/message": ("0", "(absent)", ONE_TASK),
    "runs/0/tasks/aside-1/result": ("(absent)", "ran", ONE_TASK),
    "runs/0/tasks/aside-1/state": ("(absent)", "Success", ONE_TASK),
    "runs/0/tasks/same-1/result": ("(absent)", None, ONE_TASK),
    "runs/0/tasks/same-1/state": ("(absent)", "Failed", ONE_TASK),
    "runs/0/tasks/settings-1/result/a": ("(absent)", 1, ONE_TASK),
    "runs/0/tasks/settings-1/result/b": ("(absent)", 2, ONE_TASK),
    "runs/0/tasks/settings-1/state": ("(absent)", "Success", ONE_TASK),
}
