"""Which cells are out of date at the desk, and why; which to run so that none is. Pure: no shell, no clock.

A cell is *stale* if its source is not what ran, if it failed, if something that it needs ran or was edited
later, or is itself stale or not run, if it ran with a name of another cell than the notebook says, or if a
cell above has put something else under its names since. A cell that never ran is *not run*. Imports and
definitions that run again as they were make nothing stale.
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
    since: int = 0
    """Number of the first of the runs in a row that had this source and went well."""
    source: str
    has_failed: bool = False
    got: Mapping[str, str] = {}
    """Names that it reads, and the id of the cell that had written each last when it began."""


class Standing(msgspec.Struct, frozen=True):
    """Whether a cell is up to date, and if not, why, in words."""

    status: Status
    reason: str = ""


class Step(msgspec.Struct, frozen=True):
    """A cell to run, and why although it is not stale."""

    index: int
    reason: str = ""


def standings(
    analysis: Analysis,
    sources: Mapping[str, str],
    runs: Mapping[str, LastRun],
    *,
    writes: Mapping[str, frozenset[str]] | None = None,
    wrote: Mapping[str, str] | None = None,
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
    writes : mapping
        By cell id the names that it binds, changes or deletes.
    wrote : mapping
        By name the id of the cell that did so last.

    Examples
    --------
    >>> from jupyter_flows.analysis import CellSource, analyse
    >>> texts = {"a": "x = 1", "b": "y = x"}
    >>> read = analyse([CellSource(id=i, index=n, source=texts[i]) for n, i in enumerate(texts, 1)])
    >>> ran = {"a": LastRun(number=3, source="x = 1"), "b": LastRun(number=2, source="y = x")}
    >>> standings(read, texts, ran)["b"]
    Standing(status='stale', reason='cell 1 ran after cell 2 last ran')
    """
    upstream, makers = _needs_of(analysis).upstream, _needs_of(analysis).makers
    lost = _lost(analysis, writes or {}, wrote or {})
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
            causes = (_because(other, cell, found, runs) for other in above if other.id in found)
            reason = (
                next(filter(None, causes), "")
                or _mixed_up(cell, analysis, makers.get(cell.index, {}), run.got, verb="ran with")
                or lost.get(cell.id, "")
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
    run = runs[above.id]
    if (run.since if above.is_preamble else run.number) > runs[cell.id].number:
        return f"{spoken(above)} ran after {spoken(cell)} last ran"
    return ""


def _lost(
    analysis: Analysis, writes: Mapping[str, frozenset[str]], wrote: Mapping[str, str]
) -> dict[str, str]:
    """Return by cell id that something else stands under a name whose last word is that cell's."""
    last: dict[str, CellInfo] = {}
    for cell in analysis.cells:
        last.update(dict.fromkeys(writes.get(cell.id, ()), cell))
    return {
        cell.id: f"{_spoken_of(analysis, wrote[name])} overwrote the `{name}` of {spoken(cell)}"
        for name, cell in sorted(last.items(), key=lambda item: item[0])
        if wrote.get(name, cell.id) != cell.id
    }


def _spoken_of(analysis: Analysis, cell_id: str) -> str:
    found = next((cell for cell in analysis.cells if cell.id == cell_id), None)
    return spoken(found) if found is not None else "a cell that is gone"


def mixed_up(cell: CellInfo, analysis: Analysis, got: Mapping[str, str], *, verb: str) -> str:
    """Return that a name came from another cell than the notebook says, or nothing.

    Examples
    --------
    >>> from jupyter_flows.analysis import CellSource, analyse
    >>> texts = {"a": "x = 1", "b": "print(x)", "c": "x = 2"}
    >>> read = analyse([CellSource(id=i, index=n, source=texts[i]) for n, i in enumerate(texts, 1)])
    >>> mixed_up(read.cell(2), read, {"x": "c"}, verb="ran with")
    'cell 2 ran with `x` of cell 3, not of cell 1'
    """
    return _mixed_up(cell, analysis, _needs_of(analysis).makers.get(cell.index, {}), got, verb=verb)


def _mixed_up(
    cell: CellInfo, analysis: Analysis, needed: Mapping[str, list[int]], got: Mapping[str, str], *, verb: str
) -> str:
    # Whose values a cell gets that it does not wait for (--not-after) is the same to its author.
    denied = _needs_of(analysis).denied.get(cell.index, ())
    for name, makers in needed.items() if got else ():
        ids = [analysis.cell(index).id for index in (*makers, *denied)]
        # Its own: it is being written, and run again and again.
        if name in got and got[name] not in {*ids, cell.id}:
            whose = _spoken_of(analysis, got[name])
            return f"{spoken(cell)} {verb} `{name}` of {whose}, not of {spoken(analysis.cell(makers[-1]))}"
    return ""


class _Needs:
    """What each cell of one analysis needs, made once: it is asked for at every cell that runs."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self.upstream: dict[int, list[int]] = {}
        self.makers: dict[int, dict[str, list[int]]] = {}
        """By cell, by name: the cells above that make it."""
        self.denied: dict[int, set[int]] = {}
        for edge in analysis.denied:
            self.denied.setdefault(edge.target_index, set()).add(edge.source_index)
        for edge in analysis.edges:
            if edge.kind != "order" and edge.source_index < edge.target_index:
                self.upstream.setdefault(edge.target_index, []).append(edge.source_index)
            if edge.kind == "data" and edge.source_index < edge.target_index:
                makers = self.makers.setdefault(edge.target_index, {})
                for name in edge.names:
                    makers.setdefault(name, []).append(edge.source_index)


_last_needs = _Needs(Analysis(cells=(), edges=()))


def _needs_of(analysis: Analysis) -> _Needs:
    global _last_needs  # noqa: PLW0603 - the one analysis that a desk has
    if _last_needs.analysis is not analysis:
        _last_needs = _Needs(analysis)
    return _last_needs


def spoken(cell: CellInfo) -> str:
    """Return what to call a cell in a sentence."""
    return f"cell {cell.index}" if cell.name == f"cell-{cell.index}" else cell.name


def remark(
    cell: CellInfo, analysis: Analysis, standing: Mapping[str, Standing], got: Mapping[str, str] | None = None
) -> str:
    """Return the sentence for a person who runs *cell* on old or wrong values; empty if they are not.

    Examples
    --------
    >>> from jupyter_flows.analysis import CellSource, analyse
    >>> texts = {"a": "x = 1", "b": "print(x)"}
    >>> read = analyse([CellSource(id=i, index=n, source=texts[i]) for n, i in enumerate(texts, 1)])
    >>> remark(read.cell(2), read, {"a": Standing("stale", "cell 1 changed after it last ran")})
    '(flow: cell 1 changed after it last ran; its values here are old: %flow run --stale)'
    """
    for index in _needs_of(analysis).upstream.get(cell.index, ()):
        above = analysis.cell(index)
        found = standing.get(above.id, Standing("up to date"))
        if found.status == "not run":
            return f"(flow: {spoken(above)} has not run here: %flow run --stale)"
        if found.status == "stale":
            whose = "its" if found.reason.startswith(f"{spoken(above)} ") else f"{spoken(above)}'s"
            return f"(flow: {found.reason}; {whose} values here are old: %flow run --stale)"
    mixed = mixed_up(cell, analysis, got or {}, verb="gets")
    return f"(flow: {mixed}: %flow run --stale)" if mixed else ""


def plan(
    analysis: Analysis,
    standing: Mapping[str, Standing],
    runs: Mapping[str, LastRun],
    *,
    writes: Mapping[str, frozenset[str]],
) -> list[Step]:
    """Return the cells to run, in document order: the stale and the not run, and what these need besides.

    A stale cell may need a value that is no longer there, because a later cell (or itself: ``x = x + 1``)
    put another one under the same name. Then the cell that made it runs again too, and what follows it. In
    the end every name stands for what it would stand for had all the cells been run from the top.

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
        lost = _first_lost(analysis, reasons, runs, writes, known=standing) or _overwritten(
            analysis, reasons, writes, known=standing
        )
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
    makers = _needs_of(analysis).makers
    last: dict[str, int] = {}
    for cell in sorted(
        (cell for cell in analysis.cells if cell.id in runs and cell.id in known),
        key=lambda cell: runs[cell.id].number,
    ):
        last.update(dict.fromkeys(writes.get(cell.id, ()), cell.index))
    for index in sorted(chosen):
        cell = analysis.cell(index)
        for name, needed in makers.get(index, {}).items():
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


def _overwritten(
    analysis: Analysis,
    chosen: Mapping[int, str],
    writes: Mapping[str, frozenset[str]],
    *,
    known: Mapping[str, Standing],
) -> dict[int, str]:
    """Return the cells below whose names the chosen ones put another value under."""
    first: dict[str, int] = {}
    found: dict[int, str] = {}
    for cell in analysis.cells:
        own = writes.get(cell.id, frozenset())
        if cell.index in chosen:
            first.update({name: cell.index for name in own if name not in first})
        elif cell.id in known:
            name = next((name for name in sorted(own) if name in first), None)
            if name is not None:
                above = spoken(analysis.cell(first[name]))
                found[cell.index] = f"{spoken(cell)} too, for {above} overwrites its `{name}`"
    return found
