"""Which cells are out of date at the desk, and why; which to run so that none is. Pure: no shell, no clock.

A cell is *stale* if its source is not what ran, if it failed, or if something that it needs ran or was
edited later, or is itself stale or not run. A cell that never ran is *not run*.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from jupyter_flows.analysis import Analysis, CellInfo

Status = Literal["up to date", "stale", "not run"]


class LastRun(msgspec.Struct, frozen=True, kw_only=True):
    """How a cell ran the last time."""

    number: int
    """Grows with every cell that begins."""
    source: str
    has_failed: bool = False


class Standing(msgspec.Struct, frozen=True):
    """Whether a cell is up to date, and if not, why, in words."""

    status: Status
    reason: str = ""


class Step(msgspec.Struct, frozen=True):
    """A cell to run, and why although it is not stale."""

    index: int
    reason: str = ""


def standings(
    analysis: Analysis, sources: Mapping[str, str], runs: Mapping[str, LastRun]
) -> dict[str, Standing]:
    """Return how each cell stands.

    Parameters
    ----------
    analysis : Analysis
        Of the notebook as it is now.
    sources : mapping
        Source by cell id; cells that are not in it are no part of the flow.
    runs : mapping
        The last run by cell id.

    Examples
    --------
    >>> from jupyter_flows.analysis import CellSource, analyse
    >>> texts = {"a": "x = 1", "b": "y = x"}
    >>> read = analyse([CellSource(id=i, index=n, source=texts[i]) for n, i in enumerate(texts, 1)])
    >>> ran = {"a": LastRun(number=3, source="x = 1"), "b": LastRun(number=2, source="y = x")}
    >>> standings(read, texts, ran)["b"]
    Standing(status='stale', reason='cell 1 ran after cell 2 last ran')
    """
    upstream = _upstream(analysis)
    found: dict[str, Standing] = {}
    for cell in analysis.cells:
        if cell.role == "skip" or cell.id not in sources:
            continue
        run = runs.get(cell.id)
        if run is None:
            found[cell.id] = Standing("not run", f"{spoken(cell)} has not run")
        elif run.source != sources[cell.id]:
            found[cell.id] = Standing("stale", f"{spoken(cell)} changed after it last ran")
        elif run.has_failed:
            found[cell.id] = Standing("stale", f"{spoken(cell)} failed when it last ran")
        else:
            above = [analysis.cell(index) for index in upstream.get(cell.index, ())]
            reason = next(
                filter(None, (_because(other, cell, found, runs) for other in above if other.id in found)), ""
            )
            found[cell.id] = Standing("stale", reason) if reason else Standing("up to date")
    return found


def _because(
    above: CellInfo, cell: CellInfo, found: Mapping[str, Standing], runs: Mapping[str, LastRun]
) -> str:
    """Return why *cell* is out of date, as far as *above* is to blame: the first cause, not the last."""
    standing = found[above.id]
    if standing.status != "up to date":
        return standing.reason
    if runs[above.id].number > runs[cell.id].number:
        return f"{spoken(above)} ran after {spoken(cell)} last ran"
    return ""


def _upstream(analysis: Analysis) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for edge in analysis.dependencies:
        if edge.source_index < edge.target_index:
            found.setdefault(edge.target_index, []).append(edge.source_index)
    return found


def spoken(cell: CellInfo) -> str:
    """Return what to call a cell in a sentence."""
    return f"cell {cell.index}" if cell.name == f"cell-{cell.index}" else cell.name


def remark(cell: CellInfo, analysis: Analysis, standing: Mapping[str, Standing]) -> str:
    """Return the sentence for a person who runs *cell* on old values; empty if they are not.

    Examples
    --------
    >>> from jupyter_flows.analysis import CellSource, analyse
    >>> texts = {"a": "x = 1", "b": "print(x)"}
    >>> read = analyse([CellSource(id=i, index=n, source=texts[i]) for n, i in enumerate(texts, 1)])
    >>> remark(read.cell(2), read, {"a": Standing("stale", "cell 1 changed after it last ran")})
    '(flow: cell 1 changed after it last ran; its values here are old: %flow run --stale)'
    """
    for index in _upstream(analysis).get(cell.index, ()):
        above = analysis.cell(index)
        found = standing.get(above.id, Standing("up to date"))
        if found.status == "not run":
            return f"(flow: {spoken(above)} has not run here: %flow run --stale)"
        if found.status == "stale":
            whose = "its" if found.reason.startswith(f"{spoken(above)} ") else f"{spoken(above)}'s"
            return f"(flow: {found.reason}; {whose} values here are old: %flow run --stale)"
    return ""


def plan(
    analysis: Analysis,
    standing: Mapping[str, Standing],
    runs: Mapping[str, LastRun],
    *,
    writes: Mapping[str, frozenset[str]],
) -> list[Step]:
    """Return the cells to run, in document order: the stale and the not run, and what these need besides.

    A stale cell may need a value that is no longer there, because a later cell (or itself: ``x = x + 1``)
    put another one under the same name. Then the cell that made it runs again too, and what follows it.

    Parameters
    ----------
    writes : mapping
        By cell id the names that it binds, changes or deletes.
    """
    reasons = {
        cell.index: ""
        for cell in analysis.cells
        if standing.get(cell.id, Standing("up to date")).status != "up to date"
    }
    while True:
        lost = _first_lost(analysis, reasons, runs, writes, known=standing)
        if not lost:
            return [Step(index, reasons[index]) for index in sorted(reasons)]
        reasons.update(lost)
        for edge in sorted(analysis.dependencies, key=lambda edge: edge.source_index):
            target = analysis.cell(edge.target_index)
            if (
                edge.source_index in reasons
                and edge.source_index < edge.target_index
                and target.index not in reasons
                and target.id in standing
            ):
                above = spoken(analysis.cell(edge.source_index))
                reasons[target.index] = f"{spoken(target)} too, for it needs {above}"


def _first_lost(
    analysis: Analysis,
    chosen: Mapping[int, str],
    runs: Mapping[str, LastRun],
    writes: Mapping[str, frozenset[str]],
    *,
    known: Mapping[str, Standing],
) -> dict[int, str]:
    """Go through the cells to run; return the makers of the first value that will not be there."""
    last: dict[str, int] = {}
    for cell in sorted(
        (cell for cell in analysis.cells if cell.id in runs and cell.id in known),
        key=lambda cell: runs[cell.id].number,
    ):
        last.update(dict.fromkeys(writes.get(cell.id, ()), cell.index))
    for index in sorted(chosen):
        cell = analysis.cell(index)
        makers: dict[str, list[int]] = {}
        for edge in analysis.upstream(index):
            if edge.kind == "data" and edge.source_index < index:
                for name in edge.names:
                    makers.setdefault(name, []).append(edge.source_index)
        for name, needed in makers.items():
            other = last.get(name)
            if other is None or other in needed or all(maker in chosen for maker in needed):
                continue
            culprit = spoken(analysis.cell(other))
            lost = {
                maker: f"{spoken(analysis.cell(maker))} too, for its `{name}` was overwritten by {culprit}"
                for maker in needed
                if maker not in chosen and analysis.cell(maker).id in known
            }
            if lost:
                return lost
        last.update(dict.fromkeys(writes.get(cell.id, ()), index))
    return {}
