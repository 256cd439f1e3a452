"""An inferred flow as lines of text, the same in a terminal and in a notebook."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import PurePath

from jupyter_flows.notebook.infer import Inferred, InferredTask

_MAX_NAMES = 5


def inferred_lines(found: Inferred, *, is_in_notebook: bool = False) -> Iterator[str]:
    """Yield the tasks with what they need, what can run at once, what is in the way, and how to keep it.

    Parameters
    ----------
    found : Inferred
    is_in_notebook : bool
        Who reads it is in that notebook: the way on is a magic, not a command.
    """
    tasks = [task for task in found.tasks if task.role == "task"]
    if not tasks:
        yield f"{found.path}: no cell does more than import, define and set constants: there is no flow in it"
        return
    width = max(len(task.name) for task in found.tasks)
    number = max(len(_cells(task)) for task in found.tasks)
    for task in found.tasks:
        sources = [edge.source for edge in found.edges if edge.target == task.index]
        needs = ", ".join(found.task(source).name for source in sorted(set(sources)))
        mark = "" if task.role == "task" else f"({task.role})"
        what = ", ".join(filter(None, (mark, f"needs {needs}" if needs else "")))
        yield f"{_cells(task):>{number}}  {task.name:<{width}}  {what}".rstrip()
    yield ""
    yield f"{_counted(len(tasks), 'task')}, {_counted(len(found.edges), 'edge')}."
    widest = [found.task(index).name for index in found.widest]
    if len(widest) > 1:
        yield f"At once: up to {len(widest)} ({_few(widest)})."
    else:
        yield "At once: one" + ("; each task needs the one before." if len(tasks) > 1 else ".")
    chain = " → ".join(found.task(index).name for index in found.critical_path)
    yield f"Critical path: {_counted(len(found.critical_path), 'task')}: {chain}."
    if found.shared_levels != found.levels:
        widest = [found.task(index).name for index in max(found.shared_levels, key=len)]
        chain = " → ".join(found.task(index).name for index in found.shared_critical_path)
        at_once = f"up to {len(widest)} ({_few(widest)})" if len(widest) > 1 else "one"
        yield (
            f"Where tasks share memory (--parallel threads), at once: {at_once}; critical path: "
            f"{_counted(len(found.shared_critical_path), 'task')}: {chain}."
        )
        for edge in found.order:
            upper, lower = found.task(edge.source).name, found.task(edge.target).name
            yield f"  {lower} must not overtake {upper}: {edge.reason}."
    for task in found.barriers:
        why = "; ".join(task.warnings) or "waits for all above, and all below for it"
        yield f"Barrier: {task.name} (cell {_cells(task)}) {why}."
    for task in found.tasks:
        if not task.is_barrier:
            for warning in task.warnings:
                yield f"Cell {_cells(task)} ({task.name}) {warning}."
    heading = " --by-heading" if found.by_heading else " --all-cells"
    heading = "" if found.is_declared else heading
    if is_in_notebook:
        kept = (
            ""
            if found.is_declared
            else f"a cell with %flow {shlex.quote(PurePath(found.path).stem)}{heading}, then "
        )
        yield f"To keep it: {kept}%flow register. To prove it: %flow check."
        return
    # As it was typed, so that it can be typed again.
    path = shlex.quote(found.path)
    if found.path.endswith(".py"):
        # What is registered of a script is the flow that it makes, not its cells.
        yield f"To run it: jupyter flows execute {path}{heading}. To prove it: jupyter flows check {path}."
        return
    yield f"To keep it: jupyter flows register {path}{heading}. To prove it: jupyter flows check {path}."


def _cells(task: InferredTask) -> str:
    """Return the numbers of a task's cells as one would say them.

    Examples
    --------
    >>> _cells(InferredTask(index=1, name="a", role="task", cells=(4, 5, 6)))
    '4-6'
    """
    first, last = task.cells[0], task.cells[-1]
    if len(task.cells) == 1:
        return str(first)
    is_run = len(task.cells) == last - first + 1
    return f"{first}-{last}" if is_run else ",".join(map(str, task.cells))


def _few(names: list[str]) -> str:
    more = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {more} more" if more > 0 else "")


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
