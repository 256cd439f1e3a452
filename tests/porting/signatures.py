"""What Prefect 1's users call, and how: ``prefect1-python tests/porting/signatures.py`` writes signatures.json.

Standard library only, so that Prefect 1's Python can run it.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

PLACES = {
    "": (
        "Flow Task task Parameter case apply_map unmapped mapped flatten tags context triggers "
        "resource_manager"
    ),
    "core": "Edge Flow Parameter Task",
    "core.edge": "Edge",
    "core.flow": "Flow",
    "core.parameter": "DateTimeParameter Parameter",
    "core.task": "Task",
    "client": "Secret",
    "client.secrets": "Secret",
    "engine.cache_validators": (
        "all_inputs all_parameters duration_only never_use partial_inputs_only partial_parameters_only"
    ),
    "engine.result": "Result",
    "engine.results": (
        "AzureResult ConstantResult GCSResult LocalResult PrefectResult S3Result SecretResult"
    ),
    "engine.runner": "ENDRUN",
    "engine.serializers": (
        "CompressedSerializer DateTimeSerializer JSONSerializer PandasSerializer PickleSerializer Serializer"
    ),
    "engine.signals": (
        "ENDRUN FAIL LOOP PAUSE RETRY SKIP SUCCESS TRIGGERFAIL VALIDATIONFAIL PrefectStateSignal signal_from_state"
    ),
    "engine.state": (
        "Cached Cancelled Cancelling Failed Finished Looped Mapped Paused Pending Queued Resume Retrying Running "
        "Scheduled Skipped State Submitted Success TimedOut TriggerFailed ValidationFailed"
    ),
    "executors": "DaskExecutor Executor LocalDaskExecutor LocalExecutor",
    "run_configs": "LocalRun UniversalRun",
    "schedules": "CronSchedule IntervalSchedule RRuleSchedule Schedule adjustments clocks filters",
    "schedules.adjustments": "add next_weekday",
    "schedules.clocks": "CronClock DatesClock IntervalClock RRuleClock",
    "schedules.filters": (
        "at_time between_dates between_datetimes between_times is_day_of_week is_month_end is_month_start is_weekday "
        "is_weekend on_date on_datetime"
    ),
    "schedules.schedules": "CronSchedule IntervalSchedule RRuleSchedule Schedule",
    "storage": "Local",
    "tasks.control_flow": "FilterTask case ifelse merge switch",
    "tasks.control_flow.case": "case",
    "tasks.control_flow.conditional": "CompareValue Merge ifelse merge switch",
    "tasks.control_flow.filter": "FilterTask",
    "tasks.core.collections": "Dict List Set Tuple",
    "tasks.core.constants": "Constant",
    "tasks.core.function": "FunctionTask",
    "tasks.core.operators": (
        "Add And Div Equal FloorDiv GetItem GreaterThan GreaterThanOrEqual LessThan LessThanOrEqual Mod Mul Not NotEqual "
        "Or Pow Sub"
    ),
    "tasks.core.resource_manager": "resource_manager",
    "tasks.prefect": "CancelFlowRun StartFlowRun create_flow_run wait_for_flow_run",
    "tasks.secrets": "EnvVarSecret PrefectSecret",
    "tasks.secrets.base": "PrefectSecret SecretBase",
    "tasks.secrets.env_var": "EnvVarSecret",
    "triggers": (
        "all_failed all_finished all_successful always_run any_failed any_successful manual_only not_all_skipped "
        "some_failed some_successful"
    ),
    "utilities.debug": "raise_on_exception",
    "utilities.edges": "flatten mapped unmapped",
    "utilities.logging": "get_logger",
    "utilities.notifications": "callback_factory",
    "utilities.tasks": "apply_map as_task defaults_from_attrs pause_task tags task",
}
"""Names by module, as Prefect 1's users import them."""

MEMBERS = {
    "core.flow:Flow": (
        "add_edge add_task all_downstream_edges all_upstream_edges chain copy diagnostics downstream_tasks edges_from "
        "edges_to get_tasks load parameters reference_tasks replace root_tasks run save serialize serialized_hash "
        "set_dependencies set_reference_tasks sorted_tasks terminal_tasks update upstream_tasks validate visualize"
    ),
    "core.parameter:Parameter": "copy",
    "core.task:Task": (
        "bind copy inputs is_equal is_not_equal map not_ or_ outputs pipe set_dependencies set_downstream set_upstream"
    ),
    "engine.result:Result": "copy exists format from_value read write",
    "engine.serializers:Serializer": "deserialize serialize",
    "engine.state:State": (
        "children is_cached is_failed is_finished is_looped is_mapped is_meta_state is_pending is_queued is_retrying "
        "is_running is_scheduled is_skipped is_submitted is_successful parents"
    ),
    "schedules:Schedule": "next",
    "tasks.core.operators:Add": "run",
    "tasks.core.operators:GetItem": "run",
    "tasks.core.operators:Not": "run",
    "tasks.prefect:CancelFlowRun": "run",
    "tasks.prefect:StartFlowRun": "run",
    "tasks.prefect:create_flow_run": "run",
    "tasks.prefect:wait_for_flow_run": "run",
    "tasks.secrets:EnvVarSecret": "run",
    "tasks.secrets:PrefectSecret": "run",
}
"""What is called on them."""


def arguments(found: Any) -> list[list[str]] | None:
    """Return ``[name, kind]`` of what a callable takes; None if it says nothing."""
    try:
        signature = inspect.signature(found)
    except (NameError, TypeError, ValueError):
        return None
    return [[one.name, one.kind.name] for one in signature.parameters.values()]


def signatures(package: str) -> dict[str, list[list[str]] | None]:
    """Return the arguments of everything in PLACES and MEMBERS."""
    record = {}
    for place, names in PLACES.items():
        module = importlib.import_module(f"{package}.{place}".rstrip("."))
        for name in names.split():
            # As "from module import name" finds it.
            is_there = hasattr(module, name)
            found = (
                getattr(module, name) if is_there else importlib.import_module(f"{module.__name__}.{name}")
            )
            record[f"{place}:{name}"] = arguments(found)
            for member in MEMBERS.get(f"{place}:{name}", "").split():
                record[f"{place}:{name}.{member}"] = arguments(getattr(found, member))
    return record


if __name__ == "__main__":
    sys.path = [path for path in sys.path if Path(path or ".").resolve() != HERE]
    text = json.dumps(signatures("prefect"), indent=1, sort_keys=True)
    (HERE / "signatures.json").write_text(text + "\n", "utf-8")
