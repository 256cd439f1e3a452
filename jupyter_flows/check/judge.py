"""What differs between what cells did, and whose fault it is. Pure: observations in, findings out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec

from jupyter_flows.check.kernel import Seen
from jupyter_flows.check.plan import GraphView

_OUTPUTS = frozenset({"stdout", "stderr", "display", "image", "error", "skipped"})


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What of a cell is another than it should be."""

    names: tuple[str, ...] = ()
    has_other_output: bool = False
    raised: str = ""


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """What each cell does from top to bottom, and what of that is the same each time."""

    seen: Mapping[int, Seen]
    unstable: Mapping[int, frozenset[str]]
    """Facets of each cell that were not the same."""
    failed: Mapping[int, str]
    """Cells that raised, with the class."""
    writes: Mapping[int, frozenset[str]]
    """Names that each cell binds or changes, as far as its source shows."""

    def change(self, cell: int, seen: Seen) -> Change | None:
        """Return what of *seen* is not as from top to bottom, or None."""
        expected = self.seen[cell]
        return change_between(
            expected, seen, aside=self.unstable.get(cell, frozenset()), writes=self.writes[cell]
        )

    def is_steady(self, cell: int) -> bool:
        """Whether all that the cell gives is the same each time."""
        return cell not in self.failed and not self.unstable.get(cell)

    def can_tell(self, cell: int) -> bool:
        """Whether the cell gives anything that could differ."""
        return bool(set(self.seen[cell].facets) - self.unstable.get(cell, frozenset()))


def change_between(
    expected: Seen, seen: Seen, *, aside: Collection[str], writes: Collection[str]
) -> Change | None:
    """Compare what a cell did twice.

    Names that its source does not show count only where both times they were bound: whether an equal value
    is a new one is not seen.

    Examples
    --------
    >>> change_between(Seen(facets={"name:x": "1"}), Seen(facets={"name:x": "2"}), aside=(), writes={"x"})
    Change(names=('x',), has_other_output=False, raised='')
    """
    differing = []
    for facet in sorted({*expected.facets, *seen.facets} - set(aside)):
        if expected.facets.get(facet) == seen.facets.get(facet):
            continue
        is_hidden_name = facet.startswith("name:") and facet[5:] not in writes
        if is_hidden_name and not (facet in expected.facets and facet in seen.facets):
            continue
        differing.append(facet)
    if not differing and not seen.has_died:
        return None
    return Change(
        names=tuple(facet[5:] for facet in differing if facet.startswith("name:")),
        has_other_output=any(facet in _OUTPUTS for facet in differing),
        raised=seen.error if seen.error != expected.error else "",
    )


def unstable_facets(first: Seen, second: Seen, *, writes: Collection[str]) -> frozenset[str]:
    """Return which facets of a cell differ between two runs that were alike."""
    facets = {*first.facets, *second.facets}
    return frozenset(
        facet
        for facet in facets
        if first.facets.get(facet) != second.facets.get(facet)
        and (
            not facet.startswith("name:")
            or facet[5:] in writes
            or (facet in first.facets and facet in second.facets)
        )
    )


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """A pair that the graph should have: *target* differs without *source*."""

    source: int
    target: int
    change: Change


def missing_pairs(
    view: GraphView, changes: Mapping[tuple[int, int], Change], *, judged: Collection[int]
) -> list[Missing]:
    """Return the pairs that the graph lacks and that do not follow from another such pair.

    Parameters
    ----------
    changes : by (cell left out, later cell): what of the later one changed.
    judged : cells that may be blamed.
    """
    found: list[Missing] = []
    lacking: dict[int, set[int]] = {}
    for source, target in sorted(changes, key=lambda pair: (pair[1], -pair[0])):
        if target not in judged or view.is_needed(source, target):
            continue
        if source not in reached(view, target, lacking):
            found.append(Missing(source=source, target=target, change=changes[source, target]))
            lacking.setdefault(target, set()).add(source)
    return found


def reached(view: GraphView, target: int, lacking: Mapping[int, Collection[int]]) -> set[int]:
    """Return all cells that *target* needs by the graph together with the edges it lacks."""
    found: set[int] = set()
    waiting = [target]
    while waiting:
        cell = waiting.pop()
        for source in {*view.ancestors[cell], *lacking.get(cell, ())} - found:
            found.add(source)
            waiting.append(source)
    return found


def unused_edges(
    edges: Iterable[tuple[int, int]],
    changes: Mapping[tuple[int, int], Change],
    *,
    left_out: Collection[int],
    reference: Reference,
) -> list[tuple[int, int]]:
    """Return the edges whose upper cell was left out while the lower one stayed what it is.

    Only where all of both cells was compared: of the rest nobody knows whether it mattered.
    """
    return [
        (source, target)
        for source, target in sorted(set(edges))
        if source in left_out
        and (source, target) not in changes
        and reference.can_tell(target)
        and reference.is_steady(source)
        and reference.is_steady(target)
    ]
