"""A flow that starts other flows: which tasks and edges it has. (To run it takes a server.)"""

from prefect import Flow, Parameter, task
from prefect.tasks.prefect import create_flow_run, wait_for_flow_run


@task
def choose(day):
    return {"day": day}


with Flow("parent") as flow:
    parameters = choose(Parameter("day", default="monday"))
    child = create_flow_run(flow_name="child", project_name="examples", parameters=parameters)
    done = wait_for_flow_run(child, raise_final_state=True)
    later = create_flow_run(flow_name="report", upstream_tasks=[done])

RUNS = []


def look(states):
    return {
        "tasks": sorted(flow.slugs.values()),
        "edges": sorted(
            [flow.slugs[e.upstream_task], flow.slugs[e.downstream_task], str(e.key)] for e in flow.edges
        ),
        "constants": sorted(
            [flow.slugs[task], key, value]
            for task, given in flow.constants.items()
            for key, value in given.items()
        ),
    }
