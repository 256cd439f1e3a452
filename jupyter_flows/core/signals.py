"""Exceptions that a task raises to set its own state (Prefect 1's signals). Pure.

They are not ``Exception``s, so that ``except Exception`` in a task's body does not swallow them.
A signal without a ``result`` leaves the state without one (for FAIL: the signal itself), so that a
downstream never computes with a signal by accident.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from jupyter_flows.core import state as states

ITSELF: Any = object()
"""The result of a failure that was given none, not even None: its signal."""


class PrefectStateSignal(BaseException):
    """Base of the signals; ``state`` is what the task will be in.

    Parameters
    ----------
    message : str, optional
        The state's message. It is sent to the server as you wrote it.
    result : any
        The state's result.
    kwargs : any
        Of the state's class.
    """

    kind: ClassVar[type[states.State]] = states.State

    def __init__(self, message: str | None = None, result: Any = None, **kwargs: Any) -> None:
        super().__init__(message)
        self.state = self.kind(None if message is None else str(message), result, **kwargs)


class FAIL(PrefectStateSignal):
    """The task failed; it is retried if it has retries left.

    Examples
    --------
    >>> FAIL("no rows").state
    <Failed: 'no rows'>
    """

    kind = states.Failed

    def __init__(self, message: str | None = None, result: Any = ITSELF, **kwargs: Any) -> None:
        super().__init__(message, self if result is ITSELF else result, **kwargs)


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


class LOOP(PrefectStateSignal):
    """Run the task again at once; the next time ``context.task_loop_result`` is this ``result``.

    Examples
    --------
    >>> LOOP(result=2).state.result
    2
    """

    kind = states.Looped


class PAUSE(PrefectStateSignal):
    """Wait for a person, or until ``start_time``; then the task runs from its beginning."""

    kind = states.Paused

    def __init__(
        self, message: str | None = None, result: Any = None, *, start_time: datetime | None = None
    ) -> None:
        super().__init__(message, result, start_time=start_time)


class ENDRUN(Exception):
    """Raised by a state handler: the task ends in *state*, is not called, and is not tried again.

    Examples
    --------
    >>> ENDRUN(states.Success("nothing to do")).state
    <Success: 'nothing to do'>
    """

    def __init__(self, state: states.State) -> None:
        super().__init__(state.message)
        self.state = state


def signal_from_state(state: states.State) -> type[PrefectStateSignal]:
    """Return the signal that leaves the task that raises it in a state like *state*.

    Raises
    ------
    ValueError : no signal stands for such a state.

    Examples
    --------
    >>> signal_from_state(states.TimedOut())
    <class 'jupyter_flows.core.signals.FAIL'>
    """
    for kind in type(state).__mro__:
        for signal in (FAIL, TRIGGERFAIL, VALIDATIONFAIL, SUCCESS, SKIP, RETRY, LOOP, PAUSE):
            if signal.kind is kind:
                return signal
    msg = f"no signal stands for a state {type(state).__name__}"
    raise ValueError(msg)
