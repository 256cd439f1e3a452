"""Exceptions that a task raises to set its own state (Prefect 1's signals). Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from jupyter_flows.core import state as states


class PrefectStateSignal(Exception):
    """Base of the signals; ``state`` is what the task will be in."""

    kind: type[states.State] = states.State

    def __init__(self, message: str | None = None, result: Any = None, **kwargs: Any) -> None:
        super().__init__(message)
        self.state = self.kind(message or None, result, **kwargs)


class FAIL(PrefectStateSignal):
    """The task failed."""

    kind = states.Failed


class TRIGGERFAIL(FAIL):
    """The task's trigger refused."""

    kind = states.TriggerFailed


class VALIDATIONFAIL(FAIL):
    """The task's result is not valid."""

    kind = states.ValidationFailed


class SUCCESS(PrefectStateSignal):
    """The task succeeded; nothing more to do."""

    kind = states.Success


class SKIP(PrefectStateSignal):
    """The task has nothing to do."""

    kind = states.Skipped


class RETRY(PrefectStateSignal):
    """Try the task again, at ``start_time`` or at once, whatever its ``max_retries``."""

    kind = states.Retrying

    def __init__(
        self, message: str | None = None, result: Any = None, *, start_time: datetime | None = None
    ) -> None:
        super().__init__(message, result, start_time=start_time)
