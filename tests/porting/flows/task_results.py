"""The final state holds the state and the result of every task."""

from prefect import Flow, task


@task
def ok():
    return {"rows": 3}


@task
def bad():
    raise KeyError("missing")


@task
def after(value):
    return value


with Flow("task-results") as flow:
    good = ok()
    failed = bad()
    behind = after(failed)


def look(states):
    result = states[0].result
    return {
        "ok": [result[good].is_successful(), result[good].is_finished(), result[good].result],
        "bad": [result[failed].is_failed(), repr(result[failed].result)],
        "behind": [result[behind].is_failed(), result[behind].is_skipped(), result[behind].is_pending()],
        "flow": [states[0].is_failed(), states[0].is_running(), states[0].is_mapped()],
        "by name": sorted(task.name for task in result),
    }
