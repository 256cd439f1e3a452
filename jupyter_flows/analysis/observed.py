"""Static says, run says: edges that a run of the cells showed, beside those that their source shows.

Pure, as all of the analysis: what was observed comes in as names. A run can confirm an edge and can add
one; it takes none away, since it saw one way through the cells only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Literal

import msgspec

from jupyter_flows.analysis.model import Analysis, CellEdge, CellInfo


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """What one cell did to the namespace when it ran, as far as was looked."""

    binds: frozenset[str] = frozenset()
    """Names that stood for another object afterwards."""
    deletes: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()
    """Names of all objects that were changed in place, or something behind them was."""
    reads: frozenset[str] = frozenset()
    """Names whose object the cell used (changed, or bound to another name) without mentioning them."""
    not_looked_at: frozenset[str] = frozenset()
    """Names whose objects there was no time to look at."""

    def joined(self, other: Observed) -> Observed:
        """Return what two runs of the same source showed together.

        Examples
        --------
        >>> first = Observed(binds=frozenset("a"), not_looked_at=frozenset("b"))
        >>> both = first.joined(Observed(changes=frozenset("b")))
        >>> both.binds, both.changes, both.not_looked_at
        (frozenset({'a'}), frozenset({'b'}), frozenset())
        """
        return Observed(
            binds=self.binds | other.binds,
            deletes=self.deletes | other.deletes,
            changes=self.changes | other.changes,
            reads=self.reads | other.reads,
            not_looked_at=self.not_looked_at & other.not_looked_at,
        )

    def without_changes(self, names: Collection[str]) -> Observed:
        """Return the same without what was done to these names in place: somebody else did it."""
        if self.changes.isdisjoint(names) and self.reads.isdisjoint(names):
            return self
        return msgspec.structs.replace(
            self, changes=self.changes.difference(names), reads=self.reads.difference(names)
        )

    @property
    def writes(self) -> frozenset[str]:
        """All names that stood for something else afterwards."""
        return self.binds | self.deletes | self.changes


class _Writer(msgspec.Struct, frozen=True):
    """Who gave a name what it stands for: the last that bound it, or one that changed it since."""

    index: int
    verb: Literal["bound", "deleted", "changed"]
    is_in_source: bool


def with_observed(analysis: Analysis, observed: Mapping[str, Observed]) -> Analysis:
    """Return *analysis* with the edges that a run adds, and with those it confirms marked.

    Parameters
    ----------
    analysis : Analysis
        Of the source text.
    observed : mapping
        By cell id; cells that did not run as they are now are not in it.

    Notes
    -----
    An added edge is of kind ``data`` with ``seen="run"``; where a path of other edges says the same
    already, none is added. Facts belong to cells, not to the order in which a person ran them: the writer
    of a name is the nearest one above in the document.

    Examples
    --------
    >>> from jupyter_flows.analysis import CellSource, analyse
    >>> sources = ["import library", "library.fill()", "print(total)"]
    >>> read = analyse([CellSource(id=str(i), index=i, source=s) for i, s in enumerate(sources, 1)])
    >>> seen = with_observed(read, {"2": Observed(binds=frozenset({"total"}))})
    >>> [edge.reason for edge in seen.edges if edge.seen == "run"]
    ['cell 3 reads `total`, which cell 2 bound when it ran (not visible in its source)']
    """
    if not observed:
        return analysis
    edges = list(_confirmed(analysis, observed))
    upstream: dict[int, list[int]] = {}
    for edge in analysis.dependencies:
        upstream.setdefault(edge.target_index, []).append(edge.source_index)
    denied = {(edge.source_index, edge.target_index) for edge in analysis.denied}
    ancestors: dict[int, int] = {}
    writers: dict[str, list[_Writer]] = {}
    cells = []
    for cell in analysis.cells:
        facts = observed.get(cell.id, Observed()) if cell.role != "skip" else Observed()
        above = 0
        for source in upstream.get(cell.index, ()):
            above |= ancestors.get(source, 0) | 1 << source
        found = {
            source: reasons
            for source, reasons in _needed(cell, facts, writers).items()
            if (source, cell.index) not in denied
        }
        for source in sorted(found, reverse=True):
            # Nearest first: what it needs itself need not be said again.
            if above >> source & 1:
                continue
            above |= ancestors[source] | 1 << source
            edges.append(_edge(source, cell.index, found[source]))
        ancestors[cell.index] = above
        if cell.role != "skip":
            _note_writes(cell, facts, writers)
        cells.append(_with_warning(cell, facts))
    edges.sort(key=lambda edge: (edge.target_index, edge.source_index, edge.kind))
    return msgspec.structs.replace(analysis, cells=tuple(cells), edges=tuple(edges))


def hints(analysis: Analysis) -> list[str]:
    """Return a sentence for each edge that only a run showed: what is so, and what to write.

    A registered notebook is read, not watched: it knows such an edge only if it is written down.
    """
    said = []
    for edge in analysis.edges:
        if edge.seen == "run":
            upstream, cell = analysis.cell(edge.source_index), analysis.cell(edge.target_index)
            said.append(f"{edge.reason}; write --after {_word(upstream.name)} behind %%task {cell.name}")
    return said


def _word(name: str) -> str:
    return f'"{name}"' if " " in name else name


def _confirmed(analysis: Analysis, observed: Mapping[str, Observed]) -> Iterator[CellEdge]:
    for edge in analysis.edges:
        facts = observed.get(analysis.cell(edge.source_index).id)
        if edge.kind == "data" and facts is not None and not facts.writes.isdisjoint(edge.names):
            yield msgspec.structs.replace(edge, seen="both")
        else:
            yield edge


def _needed(
    cell: CellInfo, facts: Observed, writers: Mapping[str, list[_Writer]]
) -> dict[int, dict[str, str]]:
    """Return what the cell needs of which cells by what was seen: {source: {name: reason}}."""
    found: dict[int, dict[str, str]] = {}
    in_source = {*cell.reads, *cell.mutates, *cell.deletes}
    for name in sorted({*in_source, *facts.reads}):
        for writer in writers.get(name, ()):
            # Where source shows both ends, source has the edge, or has a reason for none.
            if writer.index != cell.index and not (writer.is_in_source and name in in_source):
                found.setdefault(writer.index, {})[name] = _reason(cell, facts, name, writer)
    return found


def _reason(cell: CellInfo, facts: Observed, name: str, writer: _Writer) -> str:
    when = "" if writer.is_in_source else " when it ran (not visible in its source)"
    if name in cell.reads or name in cell.mutates or name in cell.deletes:
        return f"cell {cell.index} reads `{name}`, which cell {writer.index} {writer.verb}{when}"
    verb = "changed" if name in facts.changes else "got hold of"
    return (
        f"cell {cell.index} {verb} `{name}` when it ran (not visible in its source), "
        f"which cell {writer.index} {writer.verb}{when}"
    )


def _note_writes(cell: CellInfo, facts: Observed, writers: dict[str, list[_Writer]]) -> None:
    in_source = {*cell.writes, *cell.deletes}
    for name in sorted(in_source | facts.writes):
        is_in_source = name in in_source
        verb: Literal["bound", "deleted", "changed"] = "bound"
        if name in facts.deletes or (name in cell.deletes and name not in cell.writes):
            verb = "deleted"
        elif name in cell.mutates or (name in facts.changes and name not in facts.binds and not is_in_source):
            verb = "changed"
        # A binding that may not have happened (under an `if`) leaves the earlier writers standing.
        is_certain = verb != "changed" and (name in facts.writes or facts == Observed())
        earlier = [] if is_certain else writers.get(name, [])
        writers[name] = [*earlier, _Writer(cell.index, verb, is_in_source)]


def _edge(source: int, target: int, reasons: Mapping[str, str]) -> CellEdge:
    said = list(reasons.values())
    reason = "; ".join(said[:3]) + (f"; and {len(said) - 3} more names" if len(said) > 3 else "")
    return CellEdge(
        source_index=source,
        target_index=target,
        names=tuple(reasons),
        kind="data",
        reason=reason,
        seen="run",
    )


def _with_warning(cell: CellInfo, facts: Observed) -> CellInfo:
    """Say what was not looked at, of the names that matter to this cell."""
    missed = sorted(facts.not_looked_at & {*cell.reads, *cell.writes})
    if not missed:
        return cell
    names = ", ".join(f"`{name}`" for name in missed[:3]) + (
        f" and {len(missed) - 3} more" if len(missed) > 3 else ""
    )
    warning = f"when it ran, there was no time to look at {names}: a change in place may have gone unseen"
    return msgspec.structs.replace(cell, warnings=(*cell.warnings, warning))
