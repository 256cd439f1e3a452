"""What a flow run or task run is in, by Prefect 1's names. Pure; knows no clock but its own moment.

A state carries a ``result`` in memory only; the record that is sent (``schema.runs.StateRecord``) has
no field for one. Source of names and classes: Prefect 1's states.
"""

from __future__ import annotations

from datetime import UTC, datetime
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
    context : dict, optional
        What else is to be known of it; never leaves this process either.
    at : aware datetime, optional
        When the state was entered; default now, in UTC.

    Examples
    --------
    >>> Skipped("no new data").is_successful()
    True
    """

    __slots__ = ("_context", "at", "message", "result")
    finished: ClassVar[bool] = False
    color: ClassVar[str] = "#696969"

    def __init__(
        self,
        message: str | None = None,
        result: Any = None,
        context: dict[str, Any] | None = None,
        *,
        at: datetime | None = None,
    ) -> None:
        self.message = message
        self.result = result
        self._context = context
        self.at = at or utc_now()

    @property
    def context(self) -> dict[str, Any]:
        """What else is to be known of it; a dictionary of its own."""
        if self._context is None:
            self._context = {}
        return self._context

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

    @classmethod
    def children(cls, include_self: bool = False, names_only: bool = False) -> list[Any]:  # noqa: FBT001, FBT002
        """Return the kinds of this state, all the way down.

        Examples
        --------
        >>> Failed.children(names_only=True)
        ['TimedOut', 'TriggerFailed', 'ValidationFailed']
        """
        found = [cls] if include_self and not cls.__name__.startswith("_") else []
        for kind in cls.__subclasses__():
            found.extend(kind.children(include_self=True))
        return [kind.__name__ for kind in found] if names_only else found

    @classmethod
    def parents(cls, include_self: bool = False, names_only: bool = False) -> list[Any]:  # noqa: FBT001, FBT002
        """Return what this state is a kind of, all the way up."""
        found = [
            kind
            for kind in cls.__mro__
            if issubclass(kind, State) and kind.__name__[0] != "_" and (include_self or kind is not cls)
        ]
        return [kind.__name__ for kind in found] if names_only else found

    def is_meta_state(self) -> bool:
        """Stands before another state, its ``state``: waits for an agent or for room."""
        return isinstance(self, _Before)

    def is_pending(self) -> bool:
        """Not begun."""
        return isinstance(self, Pending)

    def is_queued(self) -> bool:
        """Waits for room."""
        return isinstance(self, Queued)

    def is_scheduled(self) -> bool:
        """Begins at a time, or waits for room."""
        return isinstance(self, Scheduled | Queued)

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
    color = "#7ebdff"


def _moment(start_time: Any, kind: type[State]) -> datetime | None:
    """Return a time with a zone; one without is UTC, as in Prefect 1.

    Raises
    ------
    TypeError : it is no time.
    """
    if start_time is None:
        return None
    if not isinstance(start_time, datetime):
        msg = f"start_time of a state {kind.__name__} is {start_time!r}; give a datetime"
        raise TypeError(msg)
    return start_time if start_time.tzinfo is not None else start_time.replace(tzinfo=UTC)


class Scheduled(Pending):
    """Begins at ``start_time``."""

    __slots__ = ("start_time",)
    color = "#ffab00"

    def __init__(
        self,
        message: str | None = None,
        result: Any = None,
        start_time: datetime | None = None,
        *,
        context: dict[str, Any] | None = None,
        at: datetime | None = None,
    ) -> None:
        super().__init__(message, result, context, at=at)
        self.start_time: datetime | None = _moment(start_time, type(self)) or self.at


class Paused(Scheduled):
    """Waits for a person (``start_time`` is None), or until ``start_time``."""

    __slots__ = ()
    color = "#99a8e8"

    def __init__(
        self,
        message: str | None = None,
        result: Any = None,
        start_time: datetime | None = None,
        *,
        context: dict[str, Any] | None = None,
        at: datetime | None = None,
    ) -> None:
        super().__init__(message, result, start_time, context=context, at=at)
        self.start_time = _moment(start_time, type(self))


class Resume(Scheduled):
    """A paused task that a person lets run: ``flow.run(task_states={task: Resume()})``."""

    __slots__ = ()
    color = "#f58c0c"


class Retrying(Scheduled):
    """Failed, and is tried again at ``start_time``; ``run_count`` attempts have been made."""

    __slots__ = ("run_count",)
    color = "#f66a0a"

    def __init__(
        self,
        message: str | None = None,
        result: Any = None,
        start_time: datetime | None = None,
        *,
        run_count: int = 1,
        context: dict[str, Any] | None = None,
        at: datetime | None = None,
    ) -> None:
        super().__init__(message, result, start_time, context=context, at=at)
        self.run_count = run_count


class _Before(Pending):
    """Stands before ``state``: what the run was in and will be in again."""

    __slots__ = ("state",)

    def __init__(
        self,
        message: str | None = None,
        result: Any = None,
        state: State | None = None,
        *,
        context: dict[str, Any] | None = None,
        at: datetime | None = None,
    ) -> None:
        super().__init__(message, result, context, at=at)
        # They never nest.
        self.state: State | None = state.state if isinstance(state, _Before) else state


class Queued(_Before):
    """Waits for room, until ``start_time`` if that is known."""

    __slots__ = ("start_time",)
    color = "#ffea7f"

    def __init__(
        self,
        message: str | None = None,
        result: Any = None,
        state: State | None = None,
        start_time: datetime | None = None,
        *,
        context: dict[str, Any] | None = None,
        at: datetime | None = None,
    ) -> None:
        super().__init__(message, result, state, context=context, at=at)
        self.start_time: datetime | None = _moment(start_time, type(self)) or self.at


class Submitted(_Before):
    """An agent took it."""

    __slots__ = ()
    color = "#ffdf5d"


class Running(State):
    """Executes now."""

    __slots__ = ()
    color = "#3d67ff"


class Cancelling(Running):
    """Executes, and is being stopped."""

    __slots__ = ()
    color = "#E8E8E8"


class Finished(State):
    """Has ended."""

    __slots__ = ()
    color = "#003ccb"
    finished = True


class Looped(Finished):
    """Runs again at once with its own result."""

    __slots__ = ("loop_count",)
    color = "#003ccb"

    def __init__(
        self,
        message: str | None = None,
        result: Any = None,
        loop_count: int = 1,
        *,
        context: dict[str, Any] | None = None,
        at: datetime | None = None,
    ) -> None:
        super().__init__(message, result, context, at=at)
        self.loop_count = loop_count


class Success(Finished):
    """Ended well."""

    __slots__ = ()
    color = "#28a745"


class Cached(Success):
    """Took its result from an earlier run, or left it for a later one.

    ``hashed_inputs`` and ``cached_parameters`` are what it was made of, until ``cached_result_expiration``.
    """

    __slots__ = ("cached_parameters", "cached_result_expiration", "hashed_inputs")
    color = "#34d058"

    def __init__(
        self,
        message: str | None = None,
        result: Any = None,
        *,
        hashed_inputs: dict[str, str] | None = None,
        cached_parameters: dict[str, Any] | None = None,
        cached_result_expiration: datetime | None = None,
        context: dict[str, Any] | None = None,
        at: datetime | None = None,
    ) -> None:
        super().__init__(message, result, context, at=at)
        self.hashed_inputs = hashed_inputs
        self.cached_parameters = cached_parameters
        self.cached_result_expiration = cached_result_expiration


class Mapped(Success):
    """Its children ran; ``map_states`` are theirs, ``result`` is the list of their results."""

    __slots__ = ("map_states",)
    color = "#003ccb"

    def __init__(
        self,
        message: str | None = None,
        result: Any = None,
        map_states: list[State] | None = None,
        *,
        context: dict[str, Any] | None = None,
        at: datetime | None = None,
    ) -> None:
        super().__init__(message, result, context, at=at)
        self.map_states = map_states or []

    @property
    def n_map_states(self) -> int:
        """How many children there are."""
        return len(self.map_states)


class Skipped(Success):
    """Was left out; counts as successful."""

    __slots__ = ()
    color = "#62757f"


class Failed(Finished):
    """Ended badly."""

    __slots__ = ()
    color = "#eb0000"


class TimedOut(Failed):
    """Took longer than its timeout."""

    __slots__ = ()
    color = "#ff4e33"


class TriggerFailed(Failed):
    """Did not begin: its trigger refused the states of its upstreams."""

    __slots__ = ()
    color = "#ff5131"


class ValidationFailed(Failed):
    """Its result did not pass a check."""

    __slots__ = ()
    color = "#ff5131"


class Cancelled(Finished):
    """Was stopped; neither successful nor failed."""

    __slots__ = ()
    color = "#bdbdbd"


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
