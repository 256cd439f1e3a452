"""Analysis of a notebook that is being edited: what an edit cannot have touched is not walked again.

A :class:`Reader` keeps a page of each cell (:mod:`jupyter_flows.analysis.pages`). After an edit it takes
back what the cells from the first edited one on left behind, and goes down again: a cell is walked if it was
edited or if its page names something that is not as it was; the others have done again what their pages
say. A cell that is walked again makes the same objects again where it can, so that an edit which leaves alone
what others use of a cell touches no other cell. The result is that of a fresh analysis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jupyter_flows.analysis.edges import Told, assemble, read_cell
from jupyter_flows.analysis.ledger import Ledger
from jupyter_flows.analysis.model import Analysis, CellInfo, CellSource
from jupyter_flows.analysis.names import Statements
from jupyter_flows.analysis.pages import Page, current, put_state, state_of, turn_to
from jupyter_flows.analysis.syntax import keep_statements

_TRIES = 4
"""How often a cell is walked for the sake of those below; the last time all that it makes is new."""


class Reader:
    """Analyses one notebook again and again.

    Parameters
    ----------
    all_cells : treat every cell as a task, also those marked to be skipped.
    plain_as_tasks : treat plain cells as tasks, as :func:`~jupyter_flows.analysis.analyse` does.

    Examples
    --------
    >>> def cells(*sources):
    ...     return [CellSource(id=str(i), index=i, source=s) for i, s in enumerate(sources, 1)]
    >>> reader = Reader()
    >>> [edge.names for edge in reader.analyse(cells("k = 2", "j = k", "print(j)")).edges]
    [('k',), ('j',)]
    >>> [edge.names for edge in reader.analyse(cells("k = 2", "j = k", "print(k)")).edges]
    [('k',), ('k',)]
    >>> reader.walked
    1
    """

    def __init__(self, *, all_cells: bool = False, plain_as_tasks: bool = False) -> None:
        self.all_cells = all_cells
        self.plain_as_tasks = plain_as_tasks
        self.walked = 0
        """Cells that the last analysis had to walk."""
        self._forget()

    def _forget(self) -> None:
        self._walker = Statements(Ledger())
        self._shelves = self._walker.ledger.shelves()
        self._cells: list[CellSource] = []
        self._pages: list[Page] = []
        self._infos: list[CellInfo] = []
        self._told = Told()

    def analyse(self, cells: Sequence[CellSource]) -> Analysis:
        """Read *cells*, code cells in document order, numbered from 1, and find every edge between them."""
        try:
            return self._analyse(list(cells))
        except BaseException:
            # Broken off halfway, by an interrupt say: the pages are no longer what happened.
            self._forget()
            raise

    def _analyse(self, cells: list[CellSource]) -> Analysis:
        self.walked = 0
        old = self._cells
        common = min(len(old), len(cells))
        for was, cell in zip(old, cells, strict=False):
            if was.source != cell.source:
                keep_statements(was.source, cell.source)
        edited = {
            number
            for number in range(common)
            if self._pages[number].is_volatile or old[number] != cells[number]
        }
        first = min(edited, default=common)
        for page in reversed(self._pages[first:]):
            self._take_back(page)
        if len(old) == len(cells):
            self._go_down(cells, first, edited)
        else:
            # Where a cell came or went, all below have other numbers.
            for number in range(first, len(old)):
                self._erase(number)
            del self._pages[first:], self._infos[first:]
            for cell in cells[first:]:
                page, info = self._walk(cell)
                self.walked += 1
                self._pages.append(page)
                self._infos.append(info)
        self._cells = cells
        return assemble(self._walker.ledger, self._infos, self._told)

    # -- pages -------------------------------------------------------------------------------------------

    def _walk(self, cell: CellSource, again: Sequence[tuple[Any, Any]] = ()) -> tuple[Page, CellInfo]:
        """Walk one cell with a page open; the objects in *again* are made again where they were made."""
        page = Page(cell.index, again)
        outer = current()
        turn_to(page)
        try:
            info = read_cell(self._walker, cell, all_cells=self.all_cells, plain_as_tasks=self.plain_as_tasks)
        finally:
            turn_to(outer)
        page.close(self._shelves)
        return page, info

    def _walk_again(
        self, number: int, cell: CellSource, page: Page
    ) -> tuple[Page, CellInfo, dict[Any, tuple[Any, ...]]]:
        """Walk a cell whose *page* is out of date; return also what it made before, and as what."""
        again = page.made
        before = {thing: state_of(thing) for thing, _ in again}
        for tries in range(_TRIES):
            self._erase(number)
            new, info = self._walk(cell, again if tries < _TRIES - 1 else ())
            come_again = {thing: state for thing, _ in new.made if (state := before.get(thing)) is not None}
            # Nobody below noted that he looked at these slots: with other ones it is another object.
            others = {
                thing
                for thing, state in come_again.items()
                if any(thing.fields[place][0](thing) != state[place] for place in thing.fixed)
            }
            if not others:
                break
            self._take_back(new)
            self._pages[number] = new
            again = [(None if thing in others else thing, made_as) for thing, made_as in again]
        self.walked += 1
        return new, info, come_again

    def _take_back(self, page: Page) -> None:
        for (label, key), (before, _) in page.wrote.items():
            self._shelves[label].put(key, before)
        for thing, (state, _) in page.changed.items():
            put_state(thing, state)

    def _do_again(self, page: Page) -> None:
        for name, (_, after) in page.wrote.items():
            shelf = self._shelves[name[0]]
            # What it writes without looking may be other than it was: that is what to go back to from now on.
            page.wrote[name] = (shelf.raw(name[1]), after)
            shelf.put(name[1], after)
        for thing, (_, state) in page.changed.items():
            put_state(thing, state)

    def _erase(self, number: int) -> None:
        """Forget what a cell read and needed."""
        index = number + 1
        for thing, what in self._pages[number].marked:
            thing.erase(what, index)
        ledger = self._walker.ledger
        del ledger.ancestors[index], ledger.edges[index], ledger.overtaking[index], ledger.published[index]
        ledger.together.pop(index, None)

    # -- the way down ------------------------------------------------------------------------------------

    def _go_down(self, cells: list[CellSource], first: int, edited: set[int]) -> None:
        """Bring all cells from *first* on up to date."""
        ledger = self._walker.ledger
        # What is not what it was when the cells were read before, and what it was then.
        differing: dict[Any, Any] = {}
        marks: set[Any] = set()
        above = 0
        for number in range(first, len(cells)):
            page = self._pages[number]
            if number not in edited and not _meets(page, differing, marks, above):
                self._do_again(page)
                for key in page.wrote:
                    differing.pop(key, None)
                continue
            index = number + 1
            ancestors, names = ledger.ancestors[index], ledger.published[index]
            new, self._infos[number], made_before = self._walk_again(number, cells[number], page)
            self._pages[number] = new
            marks |= page.marked ^ new.marked
            if ledger.ancestors[index] != ancestors:
                above |= 1 << index
            if ledger.published[index] != names:
                marks.add(("names of", index))
            for key in {**page.wrote, **new.wrote}:
                entry = page.wrote[key][1] if key in page.wrote else differing.get(key, new.wrote[key][0])
                _note(differing, key, entry, self._shelves[key[0]].raw(key[1]))
            for thing in {**page.changed, **new.changed}:
                if thing in page.changed:
                    state = page.changed[thing][1]
                else:
                    state = differing.get(thing, new.changed[thing][0])
                _note(differing, thing, state, state_of(thing))
            for thing, state in made_before.items():
                _note(differing, thing, state, state_of(thing))


def _note(differing: dict[Any, Any], key: Any, was: Any, now: Any) -> None:
    """Note whether something is other than it was after the same cell before."""
    if was == now:
        differing.pop(key, None)
    else:
        differing[key] = was


def _meets(page: Page, differing: dict[Any, Any], marks: set[Any], above: int) -> bool:
    """Whether a cell looked at anything that is other than it was."""
    return (
        bool(page.above & above)
        or not page.consulted.isdisjoint(marks)
        or not differing.keys().isdisjoint(page.read)
        or (bool(page.all_of) and any(type(key) is tuple and key[0] in page.all_of for key in differing))
    )
