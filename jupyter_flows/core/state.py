"""What a flow run or task run is in, by Prefect 1's names. Pure; knows no clock but its own moment.

A state carries a ``result`` in memory only; the record that is sent (``schema.runs.StateRecord``) has
no field for one. Source of names and classes: Prefect 1's states.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from jupyter_flows.schema.base import utc_now
from jupyter_flows.schema.runs import StateRecord

MESSAGE_LIMIT = 1000


class State:
    """Base of all states.

    Parameters
    ----------
    message : str, optional
        A sentence for people.
    result : any
        The value, the exception, or for a flow the states of its tasks. Never leaves this process.
    at : aware datetime, optional
        When the state was entered; default now, in UTC.

    Examples
    --------
    >>> Skipped("no new data").is_successful()
    True
    """

    __slots__ = ("at", "message", "result")
    finished: ClassVar[bool] = False

    def __init__(self, message: str | None = None, result: Any = None, *, at: datetime | None = None) -> None:
        self.message = message
        self.result = result
        self.at = at or utc_now()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.message!r}>"

    # Equality is identity: results are users' data, and comparing a table with == gives a table.

    def to_record(self) -> StateRecord:
        """Return what may leave this process: name, message and time, never the result."""
        known = next(kind.__name__ for kind in type(self).__mro__ if kind.__name__ in STATES)
        return StateRecord(
            type=known,  # type: ignore[arg-type]
            message=(self.message or "")[:MESSAGE_LIMIT],
            at=self.at,
        )

    def is_pending(self) -> bool:
        """Not begun."""
        return isinstance(self, Pending)

    def is_queued(self) -> bool:
        """Waits for room."""
        return isinstance(self, Queued)

    def is_scheduled(self) -> bool:
        """Begins at a time."""
        return isinstance(self, Scheduled)

    def is_submitted(self) -> bool:
        """An agent took it."""
        return isinstance(self, Submitted)

    def is_retrying(self) -> bool:
        """Failed, and will be tried again."""
        return isinstance(self, Retrying)

    def is_running(self) -> bool:
        """Executes now."""
        return isinstance(self, Running)

    def is_finished(self) -> bool:
        """Has ended, well or not."""
        return isinstance(self, Finished)

    def is_looped(self) -> bool:
        """Is about to run again with its own result."""
        return isinstance(self, Looped)

    def is_skipped(self) -> bool:
        """Was left out."""
        return isinstance(self, Skipped)

    def is_cached(self) -> bool:
        """Took its result from an earlier run."""
        return isinstance(self, Cached)

    def is_mapped(self) -> bool:
        """Has children, which ran."""
        return isinstance(self, Mapped)

    def is_successful(self) -> bool:
        """Ended well; being skipped counts."""
        return isinstance(self, Success)

    def is_failed(self) -> bool:
        """Ended badly."""
        return isinstance(self, Failed)


class Pending(State):
    """Not begun."""

    __slots__ = ()


class Scheduled(Pending):
    """Begins at ``start_time``."""

    __slots__ = ("start_time",)

    def __init__(
        self,
        message: str | None = None,
        result: Any = None,
        *,
        start_time: datetime | None = None,
        at: datetime | None = None,
    ) -> None:
        super().__init__(message, result, at=at)
        self.start_time: datetime | None = start_time or self.at


class Paused(Scheduled):
    """Waits for a person (``start_time`` is None), or until ``start_time``."""

    __slots__ = ()

    def __init__(
        self,
        message: str | None = None,
        result: Any = None,
        *,
        start_time: datetime | None = None,
        at: datetime | None = None,
    ) -> None:
        super().__init__(message, result, start_time=start_time, at=at)
        self.start_time = start_time


class Resume(Scheduled):
    """A paused task that a person lets run: ``flow.run(task_states={task: Resume()})``."""

    __slots__ = ()


class Retrying(Scheduled):
    """Failed, and is tried again at ``start_time``; ``run_count`` attempts have been made."""

    __slots__ = ("run_count",)

    def __init__(
        self,
        message: str | None = None,
        result: Any = None,
        *,
        start_time: datetime | None = None,
        run_count: int = 1,
        at: datetime | None = None,
    ) -> None:
        super().__init__(message, result, start_time=start_time, at=at)
        self.run_count = run_count


class Queued(Pending):
    """Waits for room."""

    __slots__ = ()


class Submitted(Pending):
    """An agent took it."""

    __slots__ = ()


class Running(State):
    """Executes now."""

    __slots__ = ()


class Cancelling(Running):
    """Executes, and is being stopped."""

    __slots__ = ()


class Finished(State):
    """Has ended."""

    __slots__ = ()
    finished = True


class Looped(Finished):
    """Runs again at once with its own result."""

    __slots__ = ("loop_count",)

    def __init__(
        self,
        message: str | None = None,
        result: Any = None,
        *,
        loop_count: int = 1,
        at: datetime | None = None,
    ) -> None:
        super().__init__(message, result, at=at)
        self.loop_count = loop_count


class Success(Finished):
    """Ended well."""

    __slots__ = ()


class Cached(Success):
    """Took its result from an earlier run, or left it for a later one.

    ``hashed_inputs`` and ``cached_parameters`` are what it was made of, until ``cached_result_expiration``.
    """

    __slots__ = ("cached_parameters", "cached_result_expiration", "hashed_inputs")

    def __init__(
        self,
        message: str | None = None,
        result: Any = None,
        *,
        hashed_inputs: dict[str, str] | None = None,
        cached_parameters: dict[str, Any] | None = None,
        cached_result_expiration: datetime | None = None,
        at: datetime | None = None,
    ) -> None:
        super().__init__(message, result, at=at)
        self.hashed_inputs = hashed_inputs
        self.cached_parameters = cached_parameters
        self.cached_result_expiration = cached_result_expiration


class Mapped(Success):
    """Its children ran; ``map_states`` are theirs, ``result`` is the list of their results."""

    __slots__ = ("map_states",)

    def __init__(
        self,
        message: str | None = None,
        result: Any = None,
        *,
        map_states: list[State] | None = None,
        at: datetime | None = None,
    ) -> None:
        super().__init__(message, result, at=at)
        self.map_states = map_states or []

    @property
    def n_map_states(self) -> int:
        """How many children there are."""
        return len(self.map_states)


class Skipped(Success):
    """Was left out; counts as successful."""

    __slots__ = ()


class Failed(Finished):
    """Ended badly."""

    __slots__ = ()


class TimedOut(Failed):
    """Took longer than its timeout."""

    __slots__ = ()


class TriggerFailed(Failed):
    """Did not begin: its trigger refused the states of its upstreams."""

    __slots__ = ()


class ValidationFailed(Failed):
    """Its result did not pass a check."""

    __slots__ = ()


class Cancelled(Finished):
    """Was stopped; neither successful nor failed."""

    __slots__ = ()


def expanded(state: State) -> list[State]:
    """Return the states of a mapped task's children in its place; any other state by itself."""
    return list(state.map_states) if isinstance(state, Mapped) else [state]


STATES: dict[str, type[State]] = {
    kind.__name__: kind
    for kind in (
        Pending, Scheduled, Paused, Resume, Retrying, Queued, Submitted, Running, Cancelling, Success, Cached,
        Mapped, Skipped, Looped, Failed, TimedOut, TriggerFailed, ValidationFailed, Cancelled,
    )
}  # fmt: skip
"""State classes by name."""
