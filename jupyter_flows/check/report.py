"""What a check found, as records and as sentences. Holds names and numbers of cells, never a value."""

from __future__ import annotations

from typing import Literal

import msgspec


class CellRef(msgspec.Struct, frozen=True, kw_only=True):
    """A cell, as people speak of it."""

    index: int
    """Its number among code cells, from 1."""
    name: str

    def __str__(self) -> str:
        """Return ``cell 5 (report)``, or ``cell 5`` where the name says no more."""
        return (
            f"cell {self.index}" if self.name == f"cell-{self.index}" else f"cell {self.index} ({self.name})"
        )


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A cell that gives something else when it is run by the graph."""

    cell: CellRef
    names: tuple[str, ...] = ()
    """Variables that got another value."""
    has_other_output: bool = False
    raised: str = ""
    """Class of the exception that it raised instead."""
    kind: Literal["missing edge", "order", "unexplained"] = "missing edge"
    source: CellRef | None = None
    """The cell that it needs, and the graph does not know."""
    sentence: str = ""


class UnusedEdge(msgspec.Struct, frozen=True, kw_only=True):
    """An edge whose upper cell could be left out, and the lower one did not notice."""

    source: CellRef
    target: CellRef
    names: tuple[str, ...] = ()
    kind: str = "data"


class Unstable(msgspec.Struct, frozen=True, kw_only=True):
    """A cell that gave something else in the second of two runs from top to bottom."""

    cell: CellRef
    names: tuple[str, ...] = ()
    has_other_output: bool = False
    because_of: tuple[int, ...] = ()
    """Cells that are so themselves and that it needs."""


class FailedCell(msgspec.Struct, frozen=True, kw_only=True):
    """A cell that raised when the notebook was run from top to bottom."""

    cell: CellRef
    raised: str


class NotCompared(msgspec.Struct, frozen=True, kw_only=True):
    """A cell of which nothing could be compared."""

    cell: CellRef
    why: str


class LostInPassing(msgspec.Struct, frozen=True, kw_only=True):
    """A value that is not the same in another process."""

    cell: CellRef
    name: str
    attributes: tuple[str, ...] = ()
    """What a copy lacks; empty if it is not equal otherwise."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What :func:`check_notebook` found."""

    path: str
    cells: int
    """How many cells were run."""
    runs: int
    seed: int
    left_out: int = 0
    """How many cells were left out in turn."""
    could_be_left_out: int = 0
    differences: tuple[Difference, ...] = ()
    failed: tuple[FailedCell, ...] = ()
    unstable: tuple[Unstable, ...] = ()
    unused: tuple[UnusedEdge, ...] = ()
    not_compared: tuple[NotCompared, ...] = ()
    """Cells of which nothing was compared, neither value nor output, and why."""
    lost: tuple[LostInPassing, ...] = ()
    """Values that tasks in processes of their own would get changed."""
    notes: tuple[str, ...] = ()
    duration_s: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether each cell that was compared gave by the graph what it gives from top to bottom.

        Where cells were run and none could be compared, nothing is proved.
        """
        return not self.differences and not self.failed and (not self.cells or self.compared > 0)

    @property
    def compared(self) -> int:
        """How many cells were compared, wholly or in part."""
        return self.cells - len(self.not_compared)

    @property
    def lines(self) -> tuple[str, ...]:
        """The report as sentences, the gravest first."""
        said = [f"{_first_up(failed_sentence(item))}" for item in self.failed]
        said += [_first_up(item.sentence) for item in self.differences]
        said += [_first_up(unstable_sentence(item)) for item in self.unstable]
        said += [lost_sentence(item) for item in self.lost]
        said += [unused_sentence(item) for item in self.unused]
        return (*said, *self.notes, self.summary)

    @property
    def summary(self) -> str:
        """One sentence: what was done, and what came of it."""
        if not self.cells:
            return "There is nothing to prove: no code cell of this notebook is part of a flow."
        orders = f"{self.runs} shuffled order{'' if self.runs == 1 else 's'}"
        done = f"{self.cells} cells from top to bottom, alone with what the graph gives them in {orders}"
        if self.left_out:
            done += f", and with each of {self.left_out} left out"
        aside = ""
        if self.not_compared:
            left = len(self.not_compared)
            aside = f"; {left} {'was' if left == 1 else 'were'} not compared: {self._why_not()}"
        if self.holds and not aside:
            return f"The graph holds: {done}; no cell differs."
        if self.holds:
            return f"The graph holds for {self.compared} of {self.cells} cells ({done}){aside}."
        if not self.differences and not self.failed:
            return f"The graph is not proved: no cell could be compared: {self._why_not()}."
        found = [
            f"{len(items)} {word}{'' if len(items) == 1 else 's'}"
            for items, word in ((self.differences, "difference"), (self.failed, "failed cell"))
            if items
        ]
        return f"The graph is not proved: {' and '.join(found)} ({done}){aside}."

    def _why_not(self) -> str:
        reasons: dict[str, list[int]] = {}
        for item in self.not_compared:
            reasons.setdefault(item.why, []).append(item.cell.index)
        return "; ".join(
            f"cell{'' if len(cells) == 1 else 's'} {', '.join(map(str, cells))} ({why})"
            for why, cells in reasons.items()
        )

    @property
    def text(self) -> str:
        """The report as it is printed."""
        return "\n".join(self.lines)


def failed_sentence(failed: FailedCell) -> str:
    """Say which cell failed."""
    why = "it asks for input" if failed.raised == "StdinNotImplementedError" else failed.raised
    return f"{failed.cell} fails from top to bottom ({why}); what needs it was not judged"


def unstable_sentence(unstable: Unstable) -> str:
    """Say what differed between two runs that were alike."""
    what = things(unstable.names, has_output=unstable.has_other_output)
    if unstable.because_of:
        *most, last = map(str, unstable.because_of)
        cells = f"cells {', '.join(most)} and {last}" if most else f"cell {last}"
        rest = f"differ{_s(unstable)} with it, and {_was(unstable)} left aside"
        return f"{unstable.cell} follows {cells}: {what} {rest}"
    return (
        f"{unstable.cell} is not deterministic: {what} differ{_s(unstable)} between two runs from top to "
        f"bottom (time, random numbers without a seed, something outside?), and {_was(unstable)} left aside"
    )


def lost_sentence(lost: LostInPassing) -> str:
    """Say what of a value is lost between processes, and what to do."""
    names = " and ".join(f"`{name}`" for name in lost.attributes[:3])
    what = f"{names} of it is lost" if len(lost.attributes) == 1 else f"{names} of it are lost"
    return (
        f"Warning: `{lost.name}` of {lost.cell} does not survive being passed between processes "
        f"({what if names else 'its copy is another value'}): run with --parallel threads or off, or keep it "
        "in a variable of its own"
    )


def unused_sentence(edge: UnusedEdge) -> str:
    """Say which edge made no difference."""
    names = ", ".join(f"`{name}`" for name in edge.names[:3])
    why = "declared by --after" if edge.kind == "declared" else f"{edge.kind}{': ' + names if names else ''}"
    return (
        f"Hint: the edge from {edge.source} to {edge.target} ({why}) never mattered: without the one, the "
        "other gave the same"
    )


def difference_sentence(difference: Difference, *, advice: str, order: tuple[int, ...] = ()) -> str:
    """Say what differs, without which cell, and what to do."""
    what = _does(difference)
    if difference.source is not None and difference.kind == "missing edge":
        return (
            f"{difference.cell} {what} when {difference.source} is not run before it, and the graph has no "
            f"edge between them; {advice}"
        )
    run = ", ".join(map(str, order))
    if difference.kind == "order":
        return f"{difference.cell} {what} when cells are run in the order {run}, which the graph allows"
    return (
        f"{difference.cell} {what} when only the cells that it needs by the graph are run before it ({run}); "
        "which other it needs could not be found"
    )


def things(names: tuple[str, ...], *, has_output: bool) -> str:
    """Return what differs as words.

    Examples
    --------
    >>> things(("total", "x"), has_output=True)
    '`total`, `x` and its output'
    """
    shown = [f"`{name}`" for name in names[:4]] + ([f"{len(names) - 4} more names"] if len(names) > 4 else [])
    shown += ["its output"] if has_output else []
    *most, last = shown or ["its output"]
    return f"{', '.join(most)} and {last}" if most else last


def _does(difference: Difference) -> str:
    if difference.raised:
        return (
            f"raises {difference.raised}"
            if difference.raised.isidentifier()
            else f"fails ({difference.raised})"
        )
    names = tuple(difference.names)
    if names:
        return f"gives another {things(names, has_output=difference.has_other_output)}"
    return "shows another output"


def _s(unstable: Unstable) -> str:
    return "s" if len(unstable.names) + unstable.has_other_output <= 1 else ""


def _was(unstable: Unstable) -> str:
    return "was" if _s(unstable) else "were"


def _first_up(text: str) -> str:
    return text[:1].upper() + text[1:]
