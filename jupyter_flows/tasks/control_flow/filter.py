"""A filter of results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jupyter_flows.core import triggers
from jupyter_flows.core.task import Task

__all__ = ["FilterTask"]


def _is_worth_keeping(value: Any) -> bool:
    return value is not None and not isinstance(value, BaseException)


class FilterTask(Task):
    """Keeps those of a list of results that are worth keeping; runs however they came about.

    Parameters
    ----------
    filter_func : callable, optional
        Of a result; default: neither None nor an exception.
    log_func : callable, optional
        Of the list of results that were left out; what it returns is logged.
    kwargs : any
        Of :class:`~jupyter_flows.Task`.

    Examples
    --------
    >>> FilterTask().run([1, None, ValueError(), 4])
    [1, 4]
    """

    def __init__(
        self,
        filter_func: Callable[[Any], bool] | None = None,
        log_func: Callable[[list[Any]], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("skip_on_upstream_skip", False)
        kwargs.setdefault("trigger", triggers.all_finished)
        self.filter_func = filter_func or _is_worth_keeping
        self.log_func = log_func
        super().__init__(**kwargs)

    def run(self, task_results: list[Any]) -> list[Any]:
        """Return the results to keep."""
        if self.log_func is not None:
            from jupyter_flows.core.context import context

            left_out = [value for value in task_results if not self.filter_func(value)]
            if left_out:
                context.logger.info("%s", self.log_func(left_out))
        return [value for value in task_results if self.filter_func(value)]
