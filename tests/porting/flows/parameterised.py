"""Parameters with and without a default; the same flow run twice."""

from prefect import Flow, Parameter, task


@task
def multiply(value, factor):
    return value * factor


with Flow("parameterised") as flow:
    value = Parameter("value")
    factor = Parameter("factor", default=10)
    product = multiply(value, factor)

RUNS = [dict(parameters={"value": 3}), dict(parameters={"value": 3, "factor": 2}), dict(value=5)]


def look(states):
    refused = []
    for parameters in ({}, {"value": 1, "colour": "red"}):
        try:
            flow.run(parameters)
        except ValueError:
            refused.append(sorted(parameters))
    return {
        "refused": refused,
        "parameters": sorted((p.name, p.required, p.default) for p in flow.parameters()),
        "results": [state.result[product].result for state in states],
    }
