"""A flow as a record: everything the server needs, and nothing of code or data."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest

from jupyter_flows import Flow, Parameter, Task, task, triggers
from jupyter_flows.core import state
from jupyter_flows.core.serialize import from_state_record, to_flow_spec, to_state_record
from jupyter_flows.errors import InvalidParameters
from jupyter_flows.notebook.cell_task import CellTask
from jupyter_flows.schema.base import canonical_digest, check, to_json
from jupyter_flows.schema.refs import StorageRef

STORAGE = StorageRef(kind="local", location="/somewhere")


def spec_of(flow, **more):
    return check(to_flow_spec(flow, storage=STORAGE, **more))


def test_tasks_edges_and_rules_are_sent():
    @task(
        max_retries=2,
        retry_delay=timedelta(seconds=10),
        timeout=60,
        tags=["b", "a"],
        trigger=triggers.all_finished,
    )
    def clean(rows):
        """Canary docstring."""
        return "canary constant", rows

    with Flow("etl") as flow:
        first = task(lambda: 1, name="load")()
        made = clean(first, upstream_tasks=[task(lambda: 1, name="wait")()])
    flow.set_reference_tasks([made])
    spec = spec_of(flow, labels=["gpu", "gpu"], project="p", on_lost="rerun")
    by_slug = {own.slug: own for own in spec.tasks}
    own = by_slug["clean-a-b-1"]
    assert (own.max_retries, own.retry_delay_s, own.timeout_s, own.trigger) == (2, 10, 60, "all_finished")
    assert (own.tags, own.role, own.type) == (("a", "b"), "task", "jupyter_flows.core.task.FunctionTask")
    assert {(edge.upstream, edge.downstream, edge.key) for edge in spec.edges} == {
        ("load-1", "clean-a-b-1", "rows"), ("wait-1", "clean-a-b-1", None),
    }  # fmt: skip
    assert (spec.reference_tasks, spec.labels, spec.on_lost) == (("clean-a-b-1",), ("gpu",), "rerun")
    assert b"anary" not in to_json(spec)


def test_constants_are_not_sent():
    with Flow("canary") as flow:
        made = task(lambda x, key=None: x, name="use")(["canary"], key="canary")
        made["canary"]
        made + "canary"
        task(lambda x: x, name="again")([made, "canary", {"canary": made}], upstream_tasks=["canary"])
    assert b"canary" not in to_json(spec_of(flow)).replace(b'"name":"canary"', b"")


def test_cells_are_sent_by_role_and_id_not_by_source():
    flow = Flow("notebook")
    cell = CellTask(
        "load", source="canary = 1", cell_id="abc", index=2, role="setup", reads=["x"], slug="load"
    )
    flow.add_task(cell)
    own = spec_of(flow).tasks[0]
    assert (own.slug, own.role, own.cell_id) == ("load", "setup", "abc")
    assert b"canary" not in to_json(own)


def test_parameters_are_sent_with_their_defaults():
    with Flow("parameters") as flow:
        for parameter in (
            Parameter("x"),
            Parameter("y", default=[1, None, "a"]),
            Parameter("z", default=None),
        ):
            parameter()
    spec = spec_of(flow)
    assert [(own.name, own.required, own.default) for own in spec.parameters] == [
        ("x", True, None), ("y", False, [1, None, "a"]), ("z", False, None),
    ]  # fmt: skip
    assert {own.type for own in spec.tasks} == {"Parameter"}


@pytest.mark.parametrize(
    ("default", "sentence"),
    [
        ({"a": 1}, "parameter 'x' has a dict as default"),
        (datetime(2030, 1, 1, tzinfo=UTC), "parameter 'x' has a datetime as default"),
        ([[1]], "parameter 'x' has a list as default"),
        ("a" * 3000, "parameter 'x' has a default of more than 2 kB"),
        (float("nan"), "parameter 'x' has a default that JSON cannot carry"),
        (2**60, "parameter 'x' has a default that JSON cannot carry"),
    ],
)
def test_a_default_that_cannot_be_sent_is_named(default, sentence):
    with Flow("parameters") as flow:
        Parameter("x", default=default)()
    with pytest.raises(InvalidParameters, match=sentence):
        to_flow_spec(flow, storage=STORAGE)


def test_the_same_flow_has_the_same_digest():
    def build():
        with Flow("same") as flow:
            made = [task(lambda: 1, name=name, tags=["z", "a", "m"])() for name in "abc"]
            task(lambda x: x, name="all")(made)
        return flow

    assert canonical_digest(spec_of(build())) == canonical_digest(spec_of(build()))


def test_a_state_travels_without_its_result():
    record = to_state_record(state.Failed("m" * 2000, result=ValueError("canary")))
    assert (record.type, len(record.message)) == ("Failed", 1000)
    assert b"canary" not in to_json(record)
    back = from_state_record(record)
    assert (type(back), back.result, back.at) == (state.Failed, None, record.at)


def test_a_state_class_of_ones_own_travels_as_what_it_is():
    class Tired(state.Failed):
        pass

    assert Tired("zzz").to_record().type == "Failed"


def test_every_state_has_a_record_and_comes_back():
    for name, kind in state.STATES.items():
        assert type(from_state_record(kind("m").to_record())).__name__ == name


def test_a_thousand_tasks_make_a_record_of_a_thousand():
    with Flow("long") as flow:
        flow.chain(*[Task(name="t") for _ in range(1000)])
    assert len(spec_of(flow).tasks) == 1000


def test_the_digest_is_that_of_plain_sorted_json():
    """Whoever has the record as JSON finds the same digest; those that are stored stay what they are."""
    with Flow("etl") as flow:
        task(lambda x: x, name="größe", max_retries=1, retry_delay=2.5, tags=["b", "a"])(
            Parameter("x", default=1)
        )
    spec = spec_of(flow)
    plain = json.dumps(json.loads(to_json(spec)), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(plain.encode()).hexdigest() == canonical_digest(spec)
