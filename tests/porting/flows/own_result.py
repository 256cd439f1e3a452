"""A kind of result of one's own: where values go is one's own business."""

import prefect
from prefect import Flow, task
from prefect.engine.result import Result

kept = {}
seen = []


class Shelf(Result):
    def read(self, location):
        new = self.copy()
        new.location = location
        new.value = kept[location]
        return new

    def write(self, value_, **kwargs):
        new = self.format(**kwargs)
        new.value = value_
        kept[new.location] = value_
        return new

    def exists(self, location, **kwargs):
        return location.format(**kwargs) in kept


@task(result=Shelf(), target="{task_name}-{value}")
def square(value):
    seen.append(value)
    return value * value


@task(result=Result())
def kept_nowhere(value):
    return value


@task
def numbers():
    return [2, 3]


with Flow("own-result") as flow:
    kept_nowhere(square.map(numbers()))

RUNS = [{"context": {"checkpointing": True}}, {"context": {"checkpointing": True}}]


def look(states):
    with prefect.context(checkpointing=True):
        again = flow.run()
    return {"kept": sorted(kept), "by the block's context": again.is_successful(), "calls": len(seen)}
