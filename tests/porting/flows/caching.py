"""``cache_for``: a later run in the same process takes the result of the earlier one, if the inputs agree."""

from datetime import timedelta

from prefect import Flow, Parameter, task
from prefect.engine.cache_validators import all_inputs, all_parameters, partial_inputs_only

noted = []


@task(cache_for=timedelta(hours=1))
def always(x):
    noted.append(f"always {x}")
    return x


@task(cache_for=timedelta(hours=1), cache_validator=all_inputs)
def by_inputs(x):
    noted.append(f"by_inputs {x}")
    return x


@task(cache_for=timedelta(hours=1), cache_validator=partial_inputs_only(validate_on=["x"]))
def by_one_input(x, y):
    noted.append(f"by_one_input {x} {y}")
    return [x, y]


@task(cache_for=timedelta(hours=1), cache_validator=all_parameters)
def by_parameters():
    noted.append("by_parameters")
    return "p"


with Flow("caching") as flow:
    x = Parameter("x", default=1)
    y = Parameter("y", default=1)
    always(x)
    by_inputs(x)
    by_one_input(x, y)
    by_parameters()

RUNS = [{}, {}, dict(x=2), dict(y=2), {}]


def look(states):
    return sorted(noted)
