"""The log of one run: the flow's logger of the standard library, and who hears it.

Nothing is formatted unless something is logged. Where the program has set up no logging and nobody
listens, lines of the flow go to standard error, as Prefect 1's did.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

from jupyter_flows.core.context import context
from jupyter_flows.engine.reporter import SafeReporter

FLOW_LOGGER = "jupyter_flows.flow"


def flow_logger(name: str) -> logging.Logger:
    """Return the logger of the flow *name*; its runs' ``context.logger``."""
    return logging.getLogger(f"{FLOW_LOGGER}.{name}")


@contextlib.contextmanager
def heard(logger: logging.Logger, reporter: SafeReporter | None, flow_run_id: str) -> Iterator[None]:
    """Carry what the run logs to *reporter*; without one, to standard error if nothing else is set up."""
    handler: logging.Handler
    if reporter is not None:
        handler = LogBridge(reporter, flow_run_id)
    elif logger.hasHandlers():
        yield
        return
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    level = logger.level
    logger.addHandler(handler)
    if logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class LogBridge(logging.Handler):
    """Carries what one run writes to the flow's logger to a reporter."""

    def __init__(self, reporter: SafeReporter, flow_run_id: str) -> None:
        super().__init__()
        self._reporter = reporter
        self._flow_run_id = flow_run_id

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a line on, without a traceback: that would quote source."""
        # A thread that a task started has no context; its lines are taken for this run's.
        if context.get("flow_run_id", self._flow_run_id) != self._flow_run_id:
            return
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - arguments that do not fit the text, as logging itself forgives
            message = str(record.msg)
        self._reporter.log(
            level=record.levelname,
            logger=record.name,
            message=message,
            task=context.get("task_name"),
            at=datetime.fromtimestamp(record.created, UTC),
        )
