"""The live picture: shown once, updated where it stands, never more often than can be seen."""

from __future__ import annotations

import threading

from IPython.core.interactiveshell import InteractiveShell

from jupyter_flows import Flow, task
from jupyter_flows.engine.flow_runner import FlowRunner
from jupyter_flows.widget import live as live_module
from jupyter_flows.widget import show
from jupyter_flows.widget.dag import DAG_TYPE
from jupyter_flows.widget.live import LiveDag, LiveReporter

from .conftest import notebook_flow


def states(published) -> list[dict[str, str]]:
    return [{slug: s["state"] for slug, s in data[DAG_TYPE]["states"].items()} for data, _, _ in published]


def test_it_is_displayed_once_and_updated_in_place(published, flow):
    live = LiveDag(flow)
    live.show()
    live.set_state("load-1", {"state": "Running"})
    live.refresh(now=True)
    (_, first, is_update), *updates = published
    assert not is_update
    assert first
    assert all(identity == first and update for _, identity, update in updates)
    assert {"load-1": "Running"} == states(published)[-1]


def test_nothing_is_sent_before_it_is_shown(published, flow):
    live = LiveDag(flow)
    live.set_state("load-1", {"state": "Running"})
    live.refresh(now=True)
    assert [] == published
    live.show()
    assert [{"load-1": "Running"}] == states(published)


def test_a_storm_of_states_is_a_handful_of_updates_and_the_last_one_arrives(published, flow, monkeypatch):
    """A thousand states in a moment: few updates, and the last of them with the last states."""
    monkeypatch.setattr(live_module, "SMALLEST_GAP_S", 0.05)
    sent = threading.Event()
    live = LiveDag(flow)
    live.show()
    shell = InteractiveShell.instance()
    publish = shell.display_pub.publish

    def watched(data, *arguments, **options):
        publish(data, *arguments, **options)
        if data[DAG_TYPE]["states"].get("save-1", {}).get("state") == "Success":
            sent.set()

    shell.display_pub.publish = watched
    for number in range(1000):
        live.set_state("load-1", {"state": "Running", "attempt": number})
    live.set_state("save-1", {"state": "Success"})
    assert sent.wait(10)
    assert {"load-1": "Running", "save-1": "Success"} == states(published)[-1]
    assert len(published) < 50


def test_an_edited_graph_forgets_states_of_tasks_that_are_gone(published):
    live = LiveDag(
        notebook_flow("%%task a\nx = 1", "%%task b\ny = x"),
        states={"a": {"state": "Success"}, "b": {"state": "Failed"}},
    )
    live.show()
    live.set_graph(notebook_flow("%%task a\nx = 1", "%%task c\ny = x"))
    live.refresh(now=True)
    assert [{"a": "Success", "b": "Failed"}, {"a": "Success"}] == states(published)


def test_a_run_is_told_state_by_state(published, flow, monkeypatch):
    monkeypatch.setattr(live_module, "SMALLEST_GAP_S", 0.0)
    live = LiveDag(flow)
    live.show()
    heard: list[tuple[str, str]] = []
    reporter = LiveReporter(live, also=lambda slug, state: heard.append((slug, type(state).__name__)))
    FlowRunner(flow, reporter=reporter).run()
    assert {"Running", "Success"} <= {state for found in states(published) for state in found.values()}
    last = published[-1][0][DAG_TYPE]
    assert {"load-1": "Success", "clean-1": "Success", "save-1": "Success"} == states(published)[-1]
    assert "Success" == last["run"]["state"]
    assert all({"started_at", "ended_at", "duration_s", "attempt"} <= set(s) for s in last["states"].values())
    assert ("load-1", "Running") in heard


def test_attempts_and_failures_are_seen(published):
    tries = []

    @task(max_retries=1, retry_delay=0)
    def flaky():
        tries.append(1)
        if len(tries) < 2:
            raise ValueError
        return 1

    @task
    def broken():
        raise KeyError("secret")

    with Flow("f") as flow:
        flaky()
        broken()
    live = LiveDag(flow)
    live.show()
    FlowRunner(flow, reporter=LiveReporter(live)).run()
    last = published[-1][0][DAG_TYPE]["states"]
    assert ("Success", 2) == (last["flaky-1"]["state"], last["flaky-1"]["attempt"])
    assert "Failed" == last["broken-1"]["state"]


def test_a_display_that_fails_does_not_break_the_run(published, flow):
    """The front end went away: the run goes on."""
    live = LiveDag(flow)
    live.show()

    def gone(*_, **__):
        raise OSError("the channel is closed")

    InteractiveShell.instance().display_pub.publish = gone
    assert FlowRunner(flow, reporter=LiveReporter(live)).run().is_successful()


def test_states_may_be_set_from_many_threads(published, flow, monkeypatch):
    monkeypatch.setattr(live_module, "SMALLEST_GAP_S", 0.001)
    live = LiveDag(flow)
    live.show()
    errors = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: errors.append(arguments.exc_value))

    def work(slug: str) -> None:
        for number in range(200):
            live.set_state(slug, {"state": "Running", "attempt": number})

    threads = [threading.Thread(target=work, args=(slug,)) for slug in flow.slugs.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    live.refresh(now=True)
    assert [] == errors
    assert dict.fromkeys(flow.slugs.values(), "Running") == states(published)[-1]


def test_show_is_the_flow_as_last_expression(published, flow):
    """A Flow at the end of a cell draws itself; with a state in its colours."""
    flow._ipython_display_()
    show(flow, flow.run())
    assert [{}, dict.fromkeys(flow.slugs.values(), "Success")] == states(published)
