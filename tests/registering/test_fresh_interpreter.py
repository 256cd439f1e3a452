"""A pickle is loaded back where its flow was not made."""

from __future__ import annotations

import sys

import pytest

from jupyter_flows import Flow, task
from jupyter_flows.errors import CannotPickle
from jupyter_flows.registering import fresh_interpreter
from jupyter_flows.registering.fresh_interpreter import loaded_in_fresh_interpreter
from jupyter_flows.registering.pickling import modules_in, pickle_flow


def test_good_pickle_loads_in_a_fresh_interpreter():
    @task
    def one():
        return 1

    with Flow("one") as flow:
        one()
    with loaded_in_fresh_interpreter(pickle_flow(flow), flow_name="one"):
        pass


def test_module_that_is_only_here_is_told(tmp_path, monkeypatch):
    """The health check meets what an agent would meet."""
    (tmp_path / "only_here.py").write_text("def f():\n    return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import only_here

    with Flow("etl") as flow:
        task(only_here.f, name="f")()
    data = pickle_flow(flow)
    assert "only_here" in modules_in(data)
    with pytest.raises(CannotPickle, match="only_here") as raised:
        with loaded_in_fresh_interpreter(data, flow_name="etl"):
            pass
    assert "\n" not in str(raised.value)
    sys.modules.pop("only_here", None)


def test_modules_beside_the_source_are_found_as_an_agent_finds_them(tmp_path, monkeypatch):
    (tmp_path / "beside_it.py").write_text("def f():\n    return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import beside_it

    from jupyter_flows import task

    with Flow("etl") as flow:
        task(beside_it.f, name="f")()
    data = pickle_flow(flow)
    try:
        with loaded_in_fresh_interpreter(data, flow_name="etl", beside=tmp_path):
            pass
        with pytest.raises(CannotPickle, match="No module named 'beside_it'"):
            with loaded_in_fresh_interpreter(data, flow_name="etl"):
                pass
    finally:
        sys.modules.pop("beside_it", None)


def test_a_pickle_that_takes_for_ever_to_load_is_one_sentence(monkeypatch):
    monkeypatch.setattr(fresh_interpreter, "LIMIT_S", 0.5)
    monkeypatch.setattr(fresh_interpreter, "_LOAD", "import signal; signal.pause()")
    with pytest.raises(CannotPickle, match=r"a fresh interpreter needed over 0\.5 s to load it"):
        with loaded_in_fresh_interpreter(b"", flow_name="etl"):
            pass


def test_what_goes_wrong_meanwhile_ends_the_other_process(monkeypatch):
    monkeypatch.setattr(fresh_interpreter, "_LOAD", "import signal; signal.pause()")
    with pytest.raises(KeyboardInterrupt), loaded_in_fresh_interpreter(b"", flow_name="etl"):
        raise KeyboardInterrupt
