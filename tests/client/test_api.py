"""The client has a method for each row of the table, and nothing else goes over the wire."""

import inspect

import pytest

from jupyter_flows.client.api import FlowsApi, _messages
from jupyter_flows.errors import InvalidRequest, NotFound
from jupyter_flows.schema.endpoints import ENDPOINTS
from jupyter_flows.schema.flows import FlowSpec, RegisterFlow, TaskSpec
from jupyter_flows.schema.refs import StorageRef
from jupyter_flows.schema.runs import CreateRun

OTHERS = {"at", "close", "events", "url", "with_token"}


def test_one_method_for_each_row():
    methods = {name for name in vars(FlowsApi) if not name.startswith("_")}
    assert methods - OTHERS == {row.name for row in ENDPOINTS}


@pytest.mark.parametrize("row", ENDPOINTS, ids=lambda row: row.name)
def test_a_method_takes_what_its_row_takes_and_gives_what_it_answers(row):
    signature = inspect.signature(getattr(FlowsApi, row.name), eval_str=True)
    parameters = {name: p for name, p in signature.parameters.items() if name != "self"}
    assert signature.return_annotation == row.answer
    assert set(row.query) <= set(parameters)
    kinds = [p.annotation for p in parameters.values()]
    if row.request is not None:
        assert row.request in kinds or (row.request | None) in kinds


def test_names_with_slashes_and_spaces_arrive_whole(server):
    spec = FlowSpec(
        name="a/b c?d#é%2f", tasks=(TaskSpec(slug="t", name="t"),), storage=StorageRef(kind="local")
    )
    server.api.register_flow(RegisterFlow(spec=spec))
    assert server.api.get_flow(spec.name).summary.name == spec.name
    assert server.api.get_flow(f"default/{spec.name}").summary.name == spec.name
    run = server.api.create_run(spec.name, CreateRun(name="x/y ü"))
    assert server.api.get_run("x/y ü").id == run.id


def test_a_record_that_breaks_a_limit_is_not_sent(server):
    with pytest.raises(InvalidRequest, match=r"\$.name"):
        server.api.create_run("etl", CreateRun(name="x" * 201))


def test_a_missing_flow_is_told_in_the_servers_words(server):
    with pytest.raises(NotFound, match="there is no flow 'none'; see `jupyter flows ls`"):
        server.api.get_flow("none")


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_events_are_read_however_the_bytes_are_cut(size):
    raw = b': connected\nretry: 2000\n\nid: 1\ndata: {"a":1}\n\n: still here\n\nid: 2\ndata: {"b":2}\n\nid: 3\ndata: {'
    pieces = iter([raw[n : n + size] for n in range(0, len(raw), size)])
    assert list(_messages(pieces)) == [b'{"a":1}', b'{"b":2}']
