"""The port through which states and log lines leave a run. A reporter that fails never breaks the run."""

from __future__ import annotations

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
        self._reporters = [SafeReporter(reporter) for reporter in reporters]

    def flow_run_state(self, state: State) -> None:
        """Pass on."""
        for reporter in self._reporters:
            reporter.flow_run_state(state)

    def task_run_state(self, *, slug: str, name: str, map_index: int, state: State, attempt: int) -> None:
        """Pass on."""
        for reporter in self._reporters:
            reporter.task_run_state(slug=slug, name=name, map_index=map_index, state=state, attempt=attempt)

    def log(self, *, level: str, logger: str, message: str, task: str | None, at: datetime) -> None:
        """Pass on."""
        for reporter in self._reporters:
            reporter.log(level=level, logger=logger, message=message, task=task, at=at)


class SafeReporter:
    """Passes on to a reporter and takes its failures: the first is told as a warning, the run goes on."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._has_failed = False

    def flow_run_state(self, state: State) -> None:
        """Pass on."""
        try:
            self._reporter.flow_run_state(state)
        except Exception as error:  # noqa: BLE001 - a reporter never breaks a run
            self._failed(error)

    def task_run_state(self, *, slug: str, name: str, map_index: int, state: State, attempt: int) -> None:
        """Pass on."""
        try:
            self._reporter.task_run_state(
                slug=slug, name=name, map_index=map_index, state=state, attempt=attempt
            )
        except Exception as error:  # noqa: BLE001 - a reporter never breaks a run
            self._failed(error)

    def log(self, *, level: str, logger: str, message: str, task: str | None, at: datetime) -> None:
        """Pass on."""
        try:
            self._reporter.log(level=level, logger=logger, message=message, task=task, at=at)
        except Exception as error:  # noqa: BLE001 - a reporter never breaks a run
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        if not self._has_failed:
            self._has_failed = True
            logging.getLogger("jupyter_flows.engine").warning(
                "%s failed with %s; the run goes on, its report may have gaps",
                type(self._reporter).__name__,
                type(error).__name__,
            )
