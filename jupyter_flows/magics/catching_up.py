"""``%flow run --stale``: run what is out of date, among the user's own variables, and nothing else."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jupyter_flows.analysis import Analysis
from jupyter_flows.errors import CellsStillStale


def catch_up(shell: Any) -> None:
    """Run the cells that are out of date, in the notebook's order, and say which and why.

    Raises
    ------
    CellsStillStale : some of them failed, or can only be run by hand; what needs those was not run.
    """
    from jupyter_flows.magics.staleness import spoken

    desk = shell.jupyter_flows_desk
    notebook = desk.recorder.notebook()
    analysis = desk.analysis(notebook)
    standings = desk.standings(notebook)
    steps = desk.plan()
    if not steps:
        print(f"nothing is stale: all {len(standings)} cells ran as they are now")  # noqa: T201
        return
    stopped: list[str] = []
    left: set[int] = set()
    desk.is_catching_up = True
    try:
        for step in steps:
            cell, name = notebook.cells[step.index - 1], spoken(analysis.cell(step.index))
            # What shares memory must not overtake it either.
            if any(edge.source_index in left for edge in analysis.upstream(step.index)):
                left.add(step.index)
                continue
            if _awaits(shell, cell.source):
                left.add(step.index)
                stopped.append(f"{name} awaits, so it must be run by hand")
                continue
            why = step.reason or standings[cell.id].reason
            print(f"▶ {name} ({why.removeprefix(f'{name} too, for ')})")  # noqa: T201
            with _unshadowed(shell.user_ns, analysis, step.index):
                error = _run(shell, cell)
            if isinstance(error, KeyboardInterrupt):
                msg = f"{name} was interrupted; the cells after it were not run"
                raise CellsStillStale(msg)
            if error is not None:
                left.add(step.index)
                stopped.append(f"{name} failed")
    finally:
        desk.is_catching_up = False
    if stopped:
        more = _and_more(len(left) - len(stopped))
        msg = f"{'; '.join(stopped)}{more}; see to that, then %flow run --stale again"
        raise CellsStillStale(msg)
    print(f"ran {len(steps)} of {len(standings)} cells; {_outlook(desk)}")  # noqa: T201


@contextmanager
def _unshadowed(namespace: dict[str, Any], analysis: Analysis, index: int) -> Iterator[None]:
    """Let a cell see the builtins that only cells below it cover with names of their own (``sum = 0``)."""
    above = {name for cell in analysis.cells[:index] for name in cell.writes}
    below = {name for cell in analysis.cells[index:] for name in cell.writes}
    covered = {
        name: namespace.pop(name) for name in below - above if hasattr(builtins, name) and name in namespace
    }
    try:
        yield
    finally:
        for name, value in covered.items():
            namespace.setdefault(name, value)


def _run(shell: Any, cell: Any) -> BaseException | None:
    """Run one cell as a person would; return its error, which the shell has shown."""
    desk, lines = shell.jupyter_flows_desk, shell.jupyter_flows_lines
    execution = object()
    desk.begin(cell.source, cell.id, execution=execution)
    error: BaseException | None = None
    try:
        result = shell.run_cell(cell.source, store_history=False)
        error = result.error_before_exec or result.error_in_exec
    except BaseException as raised:
        error = raised
        raise
    finally:
        desk.end(error, execution=execution, skipped=lines.skipped)
    return error


def _awaits(shell: Any, source: str) -> bool:
    """Whether a cell has a top-level ``await``: a cell that runs cannot wait for the loop it runs on."""
    transformed = shell.transform_cell(source)
    try:
        return bool(shell.should_run_async(source, transformed_cell=transformed))
    except Exception:  # noqa: BLE001 - a cell that cannot be compiled says so when it runs
        return False


def _and_more(count: int) -> str:
    if not count:
        return ""
    return f"; {count} cells that need it not run" if count > 1 else "; 1 cell that needs it not run"


def _outlook(desk: Any) -> str:
    left = [cell for cell in desk.standings().values() if cell.status != "up to date"]
    if not left:
        return "nothing is stale"
    return f"still stale, {left[0].reason}: %flow run --stale again"
