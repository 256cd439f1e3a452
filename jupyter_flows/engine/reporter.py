"""The port through which states and log lines leave a run. A reporter that fails never breaks the run."""

from __future__ import annotations

import contextlib
import logging
from datetime import datetime
from typing import Protocol

from jupyter_flows.core.state import State


class Reporter(Protocol):
    """Hears of everything that happens in a run."""

    def flow_run_state(self, state: State) -> None:
        """The run entered *state*."""

    def task_run_state(self, *, slug: str, name: str, map_index: int, state: State, attempt: int) -> None:
        """A task entered *state*."""

    def log(self, *, level: str, logger: str, message: str, task: str | None, at: datetime) -> None:
        """The flow's logger was written to."""


class NullReporter:
    """Tells nobody."""

    def flow_run_state(self, state: State) -> None:
        """Nothing."""

    def task_run_state(self, *, slug: str, name: str, map_index: int, state: State, attempt: int) -> None:
        """Nothing."""

    def log(self, *, level: str, logger: str, message: str, task: str | None, at: datetime) -> None:
        """Nothing."""


class LogReporter(NullReporter):
    """Writes states to a logger of the standard library."""

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logger or logging.getLogger("jupyter_flows.engine")

    def flow_run_state(self, state: State) -> None:
        """Write the run's state."""
        self._logger.info("flow run: %s %s", type(state).__name__, state.message or "")

    def task_run_state(self, *, slug: str, name: str, map_index: int, state: State, attempt: int) -> None:
        """Write a task's state."""
        del slug, attempt
        where = name if map_index < 0 else f"{name}[{map_index}]"
        self._logger.info("task %s: %s %s", where, type(state).__name__, state.message or "")


class Tee:
    """Tells several reporters; one that fails does not keep the others from hearing."""

    def __init__(self, *reporters: Reporter) -> None:
        self._reporters = reporters

    def flow_run_state(self, state: State) -> None:
        """Pass on."""
        for reporter in self._reporters:
            with contextlib.suppress(Exception):
                reporter.flow_run_state(state)

    def task_run_state(self, *, slug: str, name: str, map_index: int, state: State, attempt: int) -> None:
        """Pass on."""
        for reporter in self._reporters:
            with contextlib.suppress(Exception):
                reporter.task_run_state(
                    slug=slug, name=name, map_index=map_index, state=state, attempt=attempt
                )

    def log(self, *, level: str, logger: str, message: str, task: str | None, at: datetime) -> None:
        """Pass on."""
        for reporter in self._reporters:
            with contextlib.suppress(Exception):
                reporter.log(level=level, logger=logger, message=message, task=task, at=at)


class LogBridge(logging.Handler):
    """Carries what is written to the flow's logger to a reporter."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__()
        self._reporter = reporter

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a line on, without a traceback: that would quote source."""
        from datetime import UTC

        from jupyter_flows.core.context import context

        with contextlib.suppress(Exception):
            self._reporter.log(
                level=record.levelname,
                logger=record.name,
                message=record.getMessage(),
                task=context.get("task_name"),
                at=datetime.fromtimestamp(record.created, UTC),
            )
