"""``pipe`` calls the next task with this one; ``|`` makes the next task wait for this one."""

from prefect import Flow, task

seen = []


@task
def first():
    seen.append("first")
    return 1


@task
def add(value, amount=1):
    seen.append(f"add {amount}")
    return value + amount


@task
def last():
    seen.append("last")


with Flow("piping") as flow:
    result = first().pipe(add, amount=5).pipe(add)
    result | last()


def look(states):
    return [states[0].result[result].result, sorted(flow.slugs[t] for t in flow.terminal_tasks())]
