"""Arguments that are given by their place: of tasks, parameters, edges and dependencies."""

from prefect import Flow, Parameter, Task
from prefect.core.edge import Edge
from prefect.core.flow import Flow as TheSame


class Numbers(Task):
    def run(self):
        return [1, 2, 3]


class Add(Task):
    def run(self, x, y=0):
        return x + y


numbers = Numbers("numbers", None, ["made by hand"])
add, again, total = Add(name="add"), Add(name="again"), Add(name="total")
start = Parameter("start", 10, False, ["input"])

flow = Flow("by-place", None, None, None, None, [numbers, start], [Edge(start, total, "x")])
flow.add_edge(numbers, add, "x", True)
add.set_upstream(start, flow, "y")
add.set_downstream(again, flow, "x", True)
again.set_upstream(task=numbers, flow=flow)
flow.set_dependencies(total, [again], None, {"y": start}, False, True)


def look(states):
    return {
        "one class": TheSame is Flow,
        "into": sorted(len(edges) for edges in flow.all_upstream_edges().values()),
        "from": sorted(len(edges) for edges in flow.all_downstream_edges().values()),
        "after": [task.name for task in flow.sorted_tasks([again])],
        "tags": sorted([*numbers.tags, *start.tags]),
        "copied": start.copy("begin").slug,
    }
