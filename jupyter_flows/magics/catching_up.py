"""``%flow run --stale``: run what is out of date, among the user's own variables, and nothing else."""

from __future__ import annotations

from typing import Any

from jupyter_flows.errors import CellsStillStale


def catch_up(shell: Any) -> None:
    """Run the cells that are out of date, in the notebook's order, and say which and why.

    Raises
    ------
    CellsStillStale : one of them failed, or can only be run by hand; those after it were not run.
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
    desk.is_catching_up = True
    try:
        for done, step in enumerate(steps):
            cell, name = notebook.cells[step.index - 1], spoken(analysis.cell(step.index))
            rest = _and_more(len(steps) - done - 1)
            if _awaits(shell, cell.source):
                msg = f"{name} awaits, so it must be run by hand: run it, then %flow run --stale again{rest}"
                raise CellsStillStale(msg)
            why = step.reason or standings[cell.id].reason
            print(f"▶ {name} ({why})")  # noqa: T201
            if not _run(shell, cell):
                msg = f"{name} failed{rest}"
                raise CellsStillStale(msg)
    finally:
        desk.is_catching_up = False
    print(f"ran {len(steps)} of {len(standings)} cells; {_outlook(desk)}")  # noqa: T201


def _run(shell: Any, cell: Any) -> bool:
    """Run one cell as a person would; return whether it went well. The shell shows its error."""
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
    return error is None


def _awaits(shell: Any, source: str) -> bool:
    """Whether a cell has a top-level ``await``: a cell that runs cannot wait for the loop it runs on."""
    transformed = shell.transform_cell(source)
    try:
        return bool(shell.should_run_async(source, transformed_cell=transformed))
    except Exception:  # noqa: BLE001 - a cell that cannot be compiled says so when it runs
        return False


def _and_more(count: int) -> str:
    return f"; {count} cell{'s' if count != 1 else ''} after it not run" if count else ""


def _outlook(desk: Any) -> str:
    left = [cell for cell in desk.standings().values() if cell.status != "up to date"]
    if not left:
        return "nothing is stale"
    return f"still stale, {left[0].reason}: %flow run --stale again"
