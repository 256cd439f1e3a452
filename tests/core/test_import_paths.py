"""Names at the places where Prefect 1's users look for them."""

from __future__ import annotations

from importlib import import_module

import pytest

PLACES = {
    "jupyter_flows": "Flow Task task Parameter Edge tags context triggers",
    "jupyter_flows.context": "context",
    "jupyter_flows.core.edge": "Edge",
    "jupyter_flows.core.parameter": "Parameter",
    "jupyter_flows.core.task": "Task FunctionTask task",
    "jupyter_flows.engine.signals": "FAIL SUCCESS SKIP RETRY PAUSE TRIGGERFAIL VALIDATIONFAIL signal_from_state",
    "jupyter_flows.engine.state": (
        "State Pending Scheduled Paused Resume Retrying Queued Submitted Running Cancelling Finished Looped Cancelled "
        "Success Cached Mapped Skipped Failed TimedOut TriggerFailed ValidationFailed"
    ),
    "jupyter_flows.executors": "LocalExecutor",
    "jupyter_flows.tasks.core.collections": "List Tuple Set Dict",
    "jupyter_flows.tasks.core.constants": "Constant",
    "jupyter_flows.tasks.core.function": "FunctionTask",
    "jupyter_flows.tasks.core.operators": "Add Sub Mul Div Pow And Or Not Equal GetItem LessThan",
    "jupyter_flows.triggers": (
        "all_successful all_failed any_successful any_failed all_finished always_run manual_only not_all_skipped "
        "some_failed some_successful"
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_names_are_where_prefect_1_has_them(place):
    module = import_module(place)
    assert [name for name in PLACES[place].split() if not hasattr(module, name)] == []
