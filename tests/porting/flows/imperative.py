"""The imperative way: tasks are made, added and connected by hand."""

from prefect import Flow, Task, task


class Extract(Task):
    def run(self):
        return 20


class Add(Task):
    def __init__(self, amount, **kwargs):
        self.amount = amount
        super().__init__(**kwargs)

    def run(self, value, more=0):
        return value + self.amount + more


class Tell(Task):
    def run(self):
        return "told"


@task
def one():
    return 1


flow = Flow("imperative")
extract, add, tell, late, last = (
    Extract(),
    Add(5, name="add five"),
    Tell(),
    Tell(name="late"),
    Tell(name="last"),
)
number = one.copy()
flow.add_task(extract)
add.set_upstream(extract, key="value", flow=flow)
flow.add_edge(upstream_task=number, downstream_task=add, key="more")
tell.set_upstream(add, flow=flow)
tell.set_downstream(late, flow=flow)
flow.set_dependencies(last, upstream_tasks=[late, tell])
first_of_chain, second_of_chain = Tell(name="chain 1"), Tell(name="chain 2")
flow.chain(last, first_of_chain, second_of_chain)


def look(states):
    return {
        "order": [t.name for t in flow.sorted_tasks() if t.name != "one" and t.name != "Extract"],
        "roots": sorted(t.name for t in flow.root_tasks()),
        "terminal": sorted(t.name for t in flow.terminal_tasks()),
        "up": sorted(t.name for t in flow.upstream_tasks(last)),
        "down": sorted(t.name for t in flow.downstream_tasks(tell)),
        "edges": sorted([e.upstream_task.name, e.downstream_task.name, str(e.key)] for e in flow.edges),
    }
