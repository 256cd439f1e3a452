"""Results that are unpacked: by ``nout``, by the return annotation, by index."""

from prefect import Flow, task


@task(nout=2)
def split(text):
    return text.split(" ", 1)


@task
def minmax(values) -> tuple[int, int]:
    return min(values), max(values)


@task
def join(a, b):
    return f"{a}-{b}"


with Flow("nout") as flow:
    head, tail = split("hello wide world")
    low, high = minmax([3, 1, 2])
    join(head, tail)
    join(low, high)
    join(split("a b")[0], "x")
