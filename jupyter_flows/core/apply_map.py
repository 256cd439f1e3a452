"""``apply_map``: a function that builds tasks, mapped over items. Pure.

The function is called once, while the flow is built; what it builds becomes mapped tasks, so that ``case``
and ``merge`` can decide for each item.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jupyter_flows.core.current import current_case, current_flow, current_resource
from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.core.mapping import EdgeAnnotation, Meant, meant
from jupyter_flows.core.operators import Constant, collection, holds_task
from jupyter_flows.core.task import Task
from jupyter_flows.errors import InvalidFlow


def apply_map(func: Callable[..., Any], *args: Any, flow: Any = None, **kwargs: Any) -> Any:
    """Map a function that builds tasks over items; return what it returns.

    Parameters
    ----------
    func : callable
        Calls tasks with what it is given and returns a task, or several.
    args, kwargs : any
        Of the function: mapped over unless ``unmapped``.
    flow : Flow, optional
        Default: of the ``with`` block.

    Raises
    ------
    InvalidFlow : outside a flow.

    Examples
    --------
    >>> from jupyter_flows import Flow, case, merge, task
    >>> def step(x):
    ...     even = task(lambda x: x % 2 == 0, name="even")(x)
    ...     with case(even, True):
    ...         half = task(lambda x: x // 2, name="half")(x)
    ...     with case(even, False):
    ...         more = task(lambda x: 3 * x + 1, name="more")(x)
    ...     return merge(half, more)
    >>> with Flow("collatz") as flow:
    ...     steps = apply_map(step, [1, 2, 3])
    >>> flow.run().result[steps].result
    [4, 1, 10]
    """
    outer = flow if flow is not None else current_flow.get()
    if outer is None:
        msg = "apply_map was called outside a flow; use it inside 'with Flow(...)'"
        raise InvalidFlow(msg)
    if not callable(func):
        msg = f"apply_map: {func!r} is no function; give the function that builds tasks, then its arguments"
        raise InvalidFlow(msg)
    inner = FlowGraph("apply_map")
    inputs: dict[Task, Meant] = {}
    constants: dict[int, Task] = {}

    def given(argument: Any) -> Any:
        """Note how an argument is meant, and return what the function gets for it."""
        is_annotated = isinstance(argument, EdgeAnnotation)
        found = meant(argument, is_mapped=is_annotated or holds_task(argument) or _has_items(argument))
        value = found.value
        if not isinstance(value, Task) and holds_task(value):
            value, arguments = collection(value)
            outer.set_dependencies(value, keyword_tasks=arguments)
        if isinstance(value, Task):
            inputs[value] = found
            return value
        if found.mapped or found.flattened:
            # A constant that is mapped over becomes a task; it is found again by its identity.
            constants[id(value)] = one = Constant(value)
            inputs[one] = found
            return one
        return value

    tokens = current_case.set(None), current_resource.set(None)
    try:
        args = tuple(given(argument) for argument in args)
        kwargs = {name: given(argument) for name, argument in kwargs.items()}
        with inner:
            result = func(*args, **kwargs)
    finally:
        current_case.reset(tokens[0])
        current_resource.reset(tokens[1])
    _take_over(outer, inner, inputs)
    return result


def _take_over(outer: FlowGraph, inner: FlowGraph, inputs: dict[Task, Meant]) -> None:
    """Add what was built to the flow, mapped over the inputs."""
    made = [task for task in inner.tasks if task not in inputs]
    for task in made:
        outer.add_task(task)
    for edge in inner.edges:
        how = inputs.get(edge.upstream_task)
        outer.add_edge(
            edge.upstream_task,
            edge.downstream_task,
            edge.key,
            mapped=how is None or how.mapped,
            flattened=edge.flattened or (how is not None and how.flattened),
        )
    for task, values in inner.constants.items():
        for key, value in values.items():
            outer.set_dependencies(task, keyword_tasks={key: value})
    built = set(made)
    for task in made:
        upstreams = outer.upstream_tasks(task)
        if built.intersection(upstreams):
            continue
        # What begins the work for an item waits for all inputs, so that all agree how many items there are.
        for value, how in inputs.items():
            if value not in upstreams and (how.mapped or not isinstance(value, Constant)):
                outer.add_edge(value, task, mapped=how.mapped, flattened=how.flattened)


def _has_items(value: Any) -> bool:
    return isinstance(value, list | tuple | str) or (
        hasattr(value, "__getitem__") and hasattr(value, "__len__")
    )
