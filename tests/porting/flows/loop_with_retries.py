"""A loop whose third round fails once: the retry goes on with that round."""

from datetime import timedelta

import prefect
from prefect import Flow, task
from prefect.engine.signals import LOOP

seen = []


@task(max_retries=2, retry_delay=timedelta(0))
def fetch_pages():
    page = prefect.context.get("task_loop_count", 1)
    total = prefect.context.get("task_loop_result", 0)
    seen.append([page, total])
    if page == 3 and seen.count([3, 3]) == 1:
        raise ConnectionError("page 3")
    if page == 4:
        return total
    raise LOOP(result=total + page)


with Flow("loop-with-retries") as flow:
    fetch_pages()
