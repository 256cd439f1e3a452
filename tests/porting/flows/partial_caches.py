"""Caches that are valid whatever they were made of, if nothing is named."""

from datetime import timedelta

from prefect import Flow, Parameter, task
from prefect.engine.cache_validators import (
    all_inputs,
    all_parameters,
    partial_inputs_only,
    partial_parameters_only,
)

calls = []
kinds = {
    "all inputs": all_inputs,
    "all parameters": all_parameters,
    "no input": partial_inputs_only(),
    "no parameter": partial_parameters_only(),
    "x": partial_inputs_only(validate_on=["x"]),
    "neither": partial_parameters_only(["not there"]),
}

with Flow("partial-caches") as flow:
    x = Parameter("x")
    for name, kind in kinds.items():

        @task(name=name, cache_for=timedelta(days=1), cache_validator=kind, cache_key=f"partial {name}")
        def work(x, name=name):
            calls.append(name)
            return x

        work(x)

RUNS = [{"parameters": {"x": 1}}, {"parameters": {"x": 2}}, {"parameters": {"x": 2}}]


def look(states):
    return {name: calls.count(name) for name in kinds}
