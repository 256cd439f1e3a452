"""Signals raised in tasks decide their states; a sentence and a result may come along."""

from datetime import timedelta

import prefect
from prefect import Flow, task
from prefect.engine import signals

noted = []


@task
def skip():
    raise signals.SKIP("no new data", result=None)


@task
def succeed():
    raise signals.SUCCESS("enough", result=42)


@task
def fail():
    raise signals.FAIL("no good", result="partial")


@task(max_retries=1, retry_delay=timedelta(0))
def fail_again():
    noted.append("fail_again")
    raise signals.FAIL("no good", result=None)


@task
def retry():
    noted.append("retry")
    if prefect.context.task_run_count < 4:
        raise signals.RETRY("again, though nobody allowed retries")
    return prefect.context.task_run_count


@task
def invalid():
    raise signals.VALIDATIONFAIL("not the right shape", result=None)


@task
def not_swallowed():
    try:
        raise signals.SUCCESS("through", result=1)
    except Exception:
        return "swallowed"


@task
def after(value):
    return value


with Flow("signals") as flow:
    made = [skip(), succeed(), fail(), fail_again(), retry(), invalid(), not_swallowed()]
    for each in made:
        after(each)


def look(states):
    return {
        "messages": [states[0].result[each].message for each in made if each.name != "retry"],
        "noted": sorted(noted),
    }
