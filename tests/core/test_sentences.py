"""Every mistake in building a flow is told in one sentence: which, where, what to do. Here each with its exact words."""

from __future__ import annotations

import warnings

import pytest

from jupyter_flows import Edge, Flow, Parameter, Task, apply_map, case, resource_manager, tags, task
from jupyter_flows.core.mapping import unmapped
from jupyter_flows.core.parameter import DateTimeParameter
from jupyter_flows.engine.results import LocalResult
from jupyter_flows.engine.serializers import CompressedSerializer, JSONSerializer
from jupyter_flows.errors import FlowsError
from jupyter_flows.executors import ThreadExecutor
from jupyter_flows.tasks.control_flow import merge
from jupyter_flows.tasks.prefect import CancelFlowRun, StartFlowRun


@task
def one():
    return 1


@task
def add(x, y=0):
    return x + y


def flow_of(build):
    with Flow("etl") as flow:
        build(flow)
    return flow


def cycle(flow):
    a, b = one(), one()
    a.set_upstream(b)
    b.set_upstream(a)
    flow.validate()


def with_run(text):
    space = {"Task": Task}
    exec(f"class Bad(Task):\n    def run({text}):\n        pass", space)  # noqa: S102 - signatures as a person types them
    return space["Bad"]


def twice(flow):
    first = one()
    made = add(first)
    made.set_upstream(first, key="x")


def replaced_by_itself(flow):
    first = one()
    flow.replace(first, first)


SENTENCES = [
    (lambda: Flow(""), "a flow needs a name, e.g. Flow('etl')"),
    (lambda: Flow("etl", on_lost="retry"), "flow 'etl': on_lost is 'retry'; use 'fail' or 'rerun'"),
    (lambda: flow_of(cycle), "flow 'etl' has a cycle: one -> one -> one; remove one of these dependencies"),
    (lambda: flow_of(twice), "argument 'x' of task 'add' is fed twice"),
    (
        lambda: flow_of(lambda flow: Parameter("x")().set_upstream(one())),
        "parameter 'x' cannot wait for task 'one'",
    ),
    (
        lambda: flow_of(lambda flow: (Parameter("x")(), Parameter("x")())),
        "flow 'etl' already has a parameter 'x'; use that one, or another name",
    ),
    (
        lambda: flow_of(lambda flow: (Task(slug="a")(), flow.add_task(Task(slug="a-copy")))),
        "flow 'etl' already has a task with the slug 'a-copy'; use that one, or another name",
    ),
    (
        lambda: flow_of(lambda flow: flow.add_task(5)),
        "flow 'etl': 5 is not a task; decorate the function with @task",
    ),
    (
        lambda: flow_of(lambda flow: flow.set_reference_tasks([Task(name="other")])),
        "flow 'etl': reference task 'other' is not in the flow",
    ),
    (
        lambda: flow_of(lambda flow: flow.replace(Task(name="other"), Task())),
        "flow 'etl': task 'other' is not in the flow, so it cannot be replaced",
    ),
    (
        lambda: flow_of(replaced_by_itself),
        "flow 'etl': task 'one' is in the flow already; give a copy of it",
    ),
    (
        lambda: flow_of(lambda flow: flow.add_edge(one(), add(1), "z")).validate(),
        "task 'add' takes no argument 'z'; it takes x, y",
    ),
    (lambda: Edge(one, add, "not an argument"), "edge to task 'add': 'not an argument' is no argument name"),
    (lambda: Edge(one, one), "task 'one' cannot be upstream of itself"),
    (
        lambda: flow_of(lambda flow: flow.run()),
        "flow 'etl' is still being built; call run() after the 'with' block",
    ),
    (
        lambda: flow_of(lambda flow: flow.register()),
        "flow 'etl' is still being built; call register() after the 'with' block",
    ),
    (
        lambda: flow_of(lambda flow: one()).run(run_on_schedule=True),
        "flow 'etl' has no schedule to run on; give it one, or leave run_on_schedule out",
    ),
    (
        lambda: flow_of(lambda flow: Parameter("city")()).run(),
        "flow 'etl' needs a value for its parameter 'city', which has no default",
    ),
    (
        lambda: flow_of(lambda flow: Parameter("city", default=1)()).run(ctiy=2),
        "flow 'etl' has no parameter 'ctiy'; did you mean 'city'?",
    ),
    (lambda: flow_of(lambda flow: one()).run(x=1), "flow 'etl' has no parameter 'x'; it has none"),
    (
        one,
        (
            "task 'one' was called outside a flow; use it inside 'with Flow(...)', or call one.run(...) to run it as a "
            "plain function"
        ),
    ),
    (
        lambda: flow_of(lambda flow: add()),
        "task 'add': missing a required argument: 'x'; it takes (x, y=0)",
    ),
    (
        lambda: flow_of(lambda flow: add.map(5)),
        (
            "task 'add' cannot be mapped over argument 'x': it is of type int, which has no items to take one by one; wrap it in "
            "unmapped(...) to give it to every child, or make it a list"
        ),
    ),
    (
        lambda: flow_of(lambda flow: list(one())),
        "task 'one' cannot be unpacked; give it nout=N, the number of its results",
    ),
    (
        lambda: flow_of(lambda flow: bool(one())),
        "task 'one' has no value while the flow is built; decide inside a task",
    ),
    (
        lambda: flow_of(lambda flow: f"s3://{Parameter('bucket')()}/rows"),
        "task 'bucket' has no value while the flow is built; make the text inside a task",
    ),
    (
        lambda: flow_of(lambda flow: one(task_args={"colour": "red"})),
        "task 'one' has no attribute 'colour' to set by task_args",
    ),
    (lambda: Task(name="t", tags="nightly"), "task 't': tags is the text 'nightly'; give a list of words"),
    (lambda: Task(name="t", max_retries=2), "task 't': max_retries=2 needs a retry_delay"),
    (lambda: Task(name="t", max_retries=-1), "task 't': max_retries is -1; it cannot be negative"),
    (
        lambda: Task(name="t", retry_delay=5),
        "task 't': retry_delay without max_retries does nothing; give max_retries",
    ),
    (
        lambda: Task(name="t", retry_on=OSError),
        "task 't': retry_on without max_retries does nothing; give max_retries",
    ),
    (
        lambda: Task(name="t", max_retries=1, retry_delay=1, retry_on="OSError"),
        "task 't': retry_on has 'OSError'; give classes of exceptions, such as OSError",
    ),
    (lambda: Task(name="t", timeout=0), "task 't': timeout is 0; give more than that, or none"),
    (lambda: Task(name="t", timeout="1m"), "task 't': timeout is '1m'; give a timedelta or seconds"),
    (lambda: Task(name="t", cache_for="1d"), "task 't': cache_for is '1d'; give a timedelta or seconds"),
    (lambda: Task(name="t", target=5), "task 't': target is 5; give a template or a function"),
    (
        lambda: Task(name="t", trigger="all_successful"),
        "task 't': trigger is 'all_successful'; give a function of jupyter_flows.triggers",
    ),
    (
        lambda: with_run("self, *rows")(name="t"),
        "task 't': run may not take *rows; arguments become named edges",
    ),
    (
        lambda: with_run("self, x, /")(name="t"),
        "task 't': 'x' of run is positional only; arguments are named",
    ),
    (
        lambda: with_run("self, mapped")(name="t"),
        "task 't': run may not take 'mapped'; that name is reserved",
    ),
    (
        lambda: Task(name="t", state_handlers=len),
        "task 't': state_handlers is <built-in function len>; give a list of functions (task or flow, old, new)",
    ),
    (
        lambda: Flow("etl", state_handlers=5),
        "flow 'etl': state_handlers is 5; give a list of functions (task or flow, old, new)",
    ),
    (
        lambda: add.set_upstream(one, "x"),
        "task 'add': flow is 'x', which is no flow",
    ),
    (
        lambda: task(max),
        "task 'max': no signature found for builtin <built-in function max>; wrap it in a function of its own",
    ),
    (
        lambda: flow_of(lambda flow: one()).run(task_contexts={}),
        "flow 'etl': run() takes no task_contexts, Prefect 1's option for its own runner",
    ),
    (
        lambda: flow_of(lambda flow: one()).serialize(build=True),
        "flow 'etl': serialize writes no code; register() writes it to storage",
    ),
    (
        lambda: flow_of(lambda flow: one()).visualize(format="pdf"),
        "visualize: the picture is written as svg, not as pdf; 'jupyter flows graph --dot FILE' writes DOT for Graphviz",
    ),
    (
        lambda: flow_of(lambda flow: one()).visualize(horizontal=True),
        "visualize: the picture runs from top to bottom; 'jupyter flows graph --dot FILE' writes DOT for Graphviz",
    ),
    (
        lambda: CompressedSerializer(JSONSerializer(), "rar"),
        "CompressedSerializer: format is 'rar'; use bz2, gzip, lzma, zlib",
    ),
    (
        lambda: CompressedSerializer(JSONSerializer(), compress=bytes),
        "CompressedSerializer takes either a format, or both compress and decompress",
    ),
    (
        lambda: StartFlowRun("etl", run_config="big"),
        "StartFlowRun: a run's run_config is that of its flow; give parameters instead",
    ),
    (
        lambda: CancelFlowRun().run(),
        "CancelFlowRun needs the id of a run: CancelFlowRun()(flow_run_id=...)",
    ),
    (lambda: task(5), "@task was put on 5, which is not a function"),
    (
        lambda: flow_of(lambda flow: case(one(), one())),
        "case(..., one): the value is a task; compare with a plain value",
    ),
    (
        lambda: case(True, 1),
        "case(True, ...): what is compared must be a task; decide about plain values with if",
    ),
    (
        lambda: flow_of(lambda flow: merge(one(), skip_on_upstream_skip=True)),
        "merge: skip_on_upstream_skip cannot be true; it would skip with each branch that is skipped",
    ),
    (
        lambda: Flow("etl", executor="threads").run(),
        "flow 'etl': executor is 'threads'; give one of jupyter_flows.executors",
    ),
    (
        lambda: Flow("etl").run(executor=ThreadExecutor),
        "flow 'etl': executor is the class ThreadExecutor; make one of it: ThreadExecutor()",
    ),
    (lambda: Flow("etl").run([1]), "flow 'etl': parameters is [1]; run() takes a dictionary"),
    (lambda: Flow("etl").run(context=5), "flow 'etl': context is 5; run() takes a dictionary"),
    (
        lambda: flow_of(lambda flow: one()).run(task_states={"one-1": "Success"}),
        "flow 'etl': task_states has 'Success' for task 'one'; give a state",
    ),
    (
        lambda: Flow("etl", schedule=5).run(run_on_schedule=True),
        "flow 'etl': schedule is 5; give one of jupyter_flows.schedules",
    ),
    (
        lambda: Flow("etl", terminal_state_handler=5),
        "flow 'etl': terminal_state_handler is 5; give a function (flow, state, reference states)",
    ),
    (
        lambda: Flow("etl", on_failure="mail"),
        "flow 'etl': on_failure is 'mail'; give a function (task or flow, state)",
    ),
    (
        lambda: Flow("etl", state_handlers=[5]),
        "flow 'etl': state_handlers has 5; give functions (task or flow, old, new)",
    ),
    (
        lambda: Flow("etl", edges=[5]),
        "flow 'etl': 5 is no edge; give Edge(upstream task, downstream task, key)",
    ),
    (
        lambda: Flow("etl").set_reference_tasks(one),
        "flow 'etl': reference tasks are a list of tasks, not <Task: one>",
    ),
    (lambda: Flow("etl").update(5), "flow 'etl': update takes another flow, not 5"),
    (
        lambda: flow_of(lambda flow: one(upstream_tasks=one())),
        "task 'one': upstream_tasks is <Task: one>; give a list: upstream_tasks=[...]",
    ),
    (
        lambda: flow_of(lambda flow: one(task_args=["red"])),
        "task 'one': task_args is ['red']; give a dictionary: task_args=dict(name='other')",
    ),
    (
        lambda: Task(name="t", max_retries="2", retry_delay=1),
        "task 't': max_retries is '2'; give a whole number",
    ),
    (
        lambda: Task(name="t", result=LocalResult),
        (
            "task 't': result is <class 'jupyter_flows.engine.results.local.LocalResult'>; "
            "give one of jupyter_flows.engine.results"
        ),
    ),
    (
        lambda: LocalResult(serializer=5),
        "LocalResult: serializer is 5; give one of jupyter_flows.engine.serializers",
    ),
    (
        lambda: flow_of(lambda flow: one(task_args={"tags": "red"})),
        "task 'one': tags is the text 'red'; give a list of words",
    ),
    (lambda: Task(name="t", nout=-1), "task 't': nout is -1; it cannot be negative"),
    (
        lambda: Task(name="t", cache_for=1, cache_validator="all_inputs"),
        "task 't': cache_validator is 'all_inputs'; give a function of jupyter_flows.engine.cache_validators",
    ),
    (
        lambda: flow_of(lambda flow: apply_map(5, [1])),
        "apply_map: 5 is no function; give the function that builds tasks, then its arguments",
    ),
    (lambda: apply_map(one, [1]), "apply_map was called outside a flow; use it inside 'with Flow(...)'"),
    (
        lambda: resource_manager(type("Folder", (), {})),
        "@resource_manager: Folder has no method cleanup(self, resource)",
    ),
    (lambda: tags("a", 5).__enter__(), "tags takes words, not int; write tags('nightly', 'slow')"),
]


@pytest.mark.parametrize(("mistake", "sentence"), SENTENCES, ids=[words[:60] for _, words in SENTENCES])
def test_a_mistake_is_this_sentence(mistake, sentence):
    with warnings.catch_warnings(), pytest.raises(FlowsError) as caught:
        warnings.simplefilter("ignore")
        mistake()
    assert sentence == str(caught.value)


def test_a_time_that_is_none_is_told_when_the_flow_runs():
    with Flow("etl") as flow:
        at = DateTimeParameter("at")()
    assert (
        "parameter 'at' is a time such as 2030-01-31T06:00+01:00, not 'soon'"
        == flow.run(at="soon").result[at].message
    )


def test_annotations_show_what_they_are():
    assert "unmapped([1, 2])" == repr(unmapped([1, 2]))
