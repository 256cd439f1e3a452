"""What a flow file does, as plain data: the same program looks at it under Prefect 1 and under jupyter_flows.

It imports neither: the package's name is given. Standard library only, so that Prefect 1's Python can run it.

A flow file is a module as a person wrote it for Prefect 1. It says, at module level:

``flow``
    the flow
``RUN`` or ``RUNS``
    what ``flow.run()`` is called with: ``parameters``, ``context``; ``approve=True``: every pause is approved.
    Default one run without anything; ``RUNS = []`` for a flow that is looked at, not run.
``seen``
    a list that its tasks and handlers write to
``look(states)``
    more that is worth comparing, as plain data, after the runs
``LOGGED``
    texts of which is recorded whether a log line contains them
``DIFFERS``
    where ours is different on purpose: ``{path: (Prefect 1's, ours, why)}``
"""

from __future__ import annotations

import builtins
import datetime as dt
import importlib
import logging
import re
import sys
import types
import warnings
from pathlib import Path
from typing import Any

ABSENT = "(absent)"
"""Stands for a value which one of the two records does not have."""


def load(path: Path, package: str) -> types.ModuleType:
    """Execute a flow file with ``prefect`` in its import lines, and nowhere else, replaced by *package*."""
    text = path.read_text("utf-8")
    if package != "prefect":
        text = re.sub(r"^(\s*from )prefect\b", rf"\g<1>{package}", text, flags=re.MULTILINE)
        text = re.sub(r"^(\s*import )prefect$", rf"\g<1>{package} as prefect", text, flags=re.MULTILINE)
    module = types.ModuleType(f"ported_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    with warnings.catch_warnings():
        # Both warn of tasks that a flow leaves out, each in its own words.
        warnings.simplefilter("ignore")
        # Not this file's future features: with them annotations would be text.
        exec(compile(text, str(path), "exec", dont_inherit=True), module.__dict__)
    return module


def observe(path: Path, package: str) -> dict[str, Any]:
    """Run a flow file in the current directory and return its record."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lines = _Lines()
        logger = logging.getLogger(package)
        level, logger.level = logger.level, logging.INFO
        logger.addHandler(lines)
        try:
            return _observe(load(path, package), package, lines)
        finally:
            logger.removeHandler(lines)
            logger.level = level


def _observe(module: Any, package: str, lines: _Lines) -> dict[str, Any]:
    flow = module.flow
    runs = module.RUNS if hasattr(module, "RUNS") else [getattr(module, "RUN", {})]
    states = [_run(flow, package, **options) for options in runs]
    record: dict[str, Any] = {"runs": [_run_record(flow, state) for state in states]}
    if hasattr(module, "seen"):
        record["seen"] = plain(module.seen)
    if hasattr(module, "look"):
        record["look"] = plain(module.look(states))
    if hasattr(module, "LOGGED"):
        record["logged"] = {text: any(text in line for line in lines.texts) for text in module.LOGGED}
    return record


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def _run(flow: Any, package: str, approve: bool = False, **options: Any) -> Any:
    """Run; a person who approves says "y" to Prefect 1's question, and resumes the run with ours."""
    if not approve:
        return flow.run(**options)
    if package == "prefect":
        asked, builtins.input = builtins.input, lambda *_: "y"
        try:
            return flow.run(**options)
        finally:
            builtins.input = asked
    state = flow.run(**options)
    known = importlib.import_module(f"{package}.engine.state")
    while any(isinstance(task_state, known.Paused) for task_state in state.result.values()):
        resumed = {
            task: known.Resume("Approved.") if isinstance(task_state, known.Paused) else task_state
            for task, task_state in state.result.items()
        }
        state = flow.run(task_states=resumed, **options)
    return state


def _run_record(flow: Any, state: Any) -> dict[str, Any]:
    record = {"state": type(state).__name__, "message": state.message}
    if isinstance(state.result, dict):
        tasks = {flow.slugs[task]: _state_record(own) for task, own in state.result.items()}
        record["tasks"] = dict(sorted(tasks.items()))
    else:
        record["result"] = plain(state.result)
    return record


def _state_record(state: Any) -> dict[str, Any]:
    name = type(state).__name__
    if name == "Mapped":
        return {"state": name, "children": [_state_record(child) for child in state.map_states]}
    return {"state": name, "result": plain(state.result)}


def plain(value: Any) -> Any:
    """Return a result as JSON can say it. Sentences of the library's own exceptions are left out."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dt.datetime):
        return {"datetime": value.astimezone(dt.UTC).isoformat()}
    if isinstance(value, dt.date | dt.timedelta):
        return {type(value).__name__: str(value)}
    if isinstance(value, BaseException):
        known = type(value).__module__ == "builtins"
        return {"exception": type(value).__name__, **({"message": str(value)} if known else {})}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [plain(item) for item in value]}
    if isinstance(value, set | frozenset):
        return {"set": sorted((plain(item) for item in value), key=repr)}
    return {"object": type(value).__name__}


def flat(record: Any, path: str = "") -> dict[str, Any]:
    """Return ``{path: value}``; an empty list or dictionary is a value."""
    if isinstance(record, dict) and record:
        items = list(record.items())
    elif isinstance(record, list) and record:
        items = list(enumerate(record))
    else:
        return {path: record}
    found: dict[str, Any] = {}
    for key, item in items:
        found.update(flat(item, f"{path}/{key}" if path else str(key)))
    return found


def differences(theirs: Any, ours: Any) -> dict[str, tuple[Any, Any]]:
    """Return where two records differ: ``{path: (theirs, ours)}``."""
    left, right = flat(theirs), flat(ours)
    return {
        path: (left.get(path, ABSENT), right.get(path, ABSENT))
        for path in sorted({*left, *right})
        if left.get(path, ABSENT) != right.get(path, ABSENT)
    }
