"""What each cell did to the user's namespace, by a look before and a look after it. Knows no graph.

A look is bounded in time: :data:`LOOK_S` before and as much after. Names that the cell mentions go first,
names that time did not suffice for are told. Between the looks nothing is held but ids, numbers and short
texts, so a cell can free what it likes.

What it cannot see: a name bound again to the very object it stood for; reads that leave nothing behind
(``exec("print(x)")``, ``globals()[name]``: the source makes such a cell wait for all above); what changes
inside modules, open files, connections and objects of compiled libraries; one number in the middle of a
large array or list (samples); what a thread changes later, which is told apart and given to no cell.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from time import perf_counter
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, NamedTuple

from jupyter_flows.analysis.observed import Observed
from jupyter_flows.magics.picture import Picture, looks_now, picture

LOOK_S = 0.0009
"""Seconds for one look; two of them and the names' ids stay below 2 ms."""
_WORD = re.compile(r"[^\W\d]\w*")
_LONGEST = 20_000
"""Characters of a cell in which names are looked for; a longer cell is data."""
_HISTORY = re.compile(r"_+|_i+|_i?\d+|__\w*|_exit_code")
"""What the shell itself binds, cell by cell."""
_COMPARED = (int, float, complex, str, bytes, bool, type(None))
"""What cannot change: another picture at the same address is another object."""
_SHARED = (*_COMPARED, type, FunctionType, BuiltinFunctionType, ModuleType)
"""What comes from anywhere: having the same one does not mean having it from that name."""


class _Seen(NamedTuple):
    number: int
    """``id()`` of the object."""
    kind: int
    picture: Picture | None
    """None: not looked at."""


class Tracer:
    """Watches one namespace, cell by cell.

    Parameters
    ----------
    namespace : dict
        The user's; it is read only.
    hidden : mapping
        Names that are the shell's, not the user's.

    Examples
    --------
    >>> names = {"scores": [1], "best": 1}
    >>> tracer = Tracer(names)
    >>> tracer.begin("scores.append(2)")
    >>> names["scores"].append(2); names["new"] = 3; del names["best"]
    >>> seen = tracer.end()
    >>> sorted(seen.changes), sorted(seen.binds), sorted(seen.deletes)
    (['scores'], ['new'], ['best'])
    """

    def __init__(self, namespace: dict[str, Any], hidden: Mapping[str, Any] | None = None) -> None:
        self._namespace = namespace
        self._hidden = hidden if hidden is not None else {}
        self._before: dict[str, _Seen] | None = None
        self._last: dict[str, _Seen] = {}
        self._restless: set[str] = set()
        self._words: frozenset[str] = frozenset()

    def begin(self, source: str) -> None:
        """Look before a cell runs."""
        self._words = frozenset(_WORD.findall(source[:_LONGEST]))
        self._before = self._look(self._in_order())
        for name, seen in self._before.items():
            last = self._last.get(name)
            if last is not None and _is_changed(last, seen):
                # It changed while no cell ran: a thread, a timer or a widget does that, and may go on.
                self._restless.add(name)

    def end(self) -> Observed | None:
        """Look after it ran; return what it did, None if that cannot be told (it ran other cells)."""
        before, self._before = self._before, None
        if before is None:
            return None
        after = self._look(self._in_order(), known=before)
        self._last = after
        binds = {name for name, seen in after.items() if _is_bound(before.get(name), seen)}
        changes = {
            name for name, seen in after.items() if name not in binds and _is_changed(before[name], seen)
        }
        changes -= self._restless
        missed = {
            name
            for name, seen in after.items()
            if name not in binds and (seen.picture is None or before[name].picture is None)
        }
        return Observed(
            binds=frozenset(binds),
            deletes=frozenset(before.keys() - after.keys()),
            changes=frozenset(changes),
            reads=frozenset({*self._aliased(binds, before, after), *self._changed_unnamed(changes, after)}),
            not_looked_at=frozenset(missed),
        )

    def _in_order(self) -> Iterator[tuple[str, Any]]:
        """Yield the user's names with their objects, those that the cell mentions first."""
        later = []
        # A copy: another thread may bind names meanwhile.
        for item in list(self._namespace.items()):
            name = item[0]
            if type(name) is not str or name in self._hidden or _HISTORY.fullmatch(name):
                continue
            if name in self._words:
                yield item
            else:
                later.append(item)
        yield from later

    def _look(
        self, items: Iterable[tuple[str, Any]], *, known: Mapping[str, _Seen] | None = None
    ) -> dict[str, _Seen]:
        """Look at all names; with *known*, take pictures only of what stayed the same object.

        A name whose picture is not needed has an empty one.
        """
        seen: dict[str, _Seen] = {}
        until = perf_counter() + LOOK_S
        looks = looks_now()
        for name, value in items:
            number, kind = id(value), id(type(value))
            earlier = known.get(name) if known is not None else None
            if known is not None and (earlier is None or earlier[:2] != (number, kind)):
                seen[name] = _Seen(number, kind, ())
            elif (earlier is not None and earlier.picture is None) or perf_counter() > until:
                seen[name] = _Seen(number, kind, None)
            else:
                seen[name] = _Seen(number, kind, _picture(value, looks))
        return seen

    def _changed_unnamed(self, changes: set[str], after: Mapping[str, _Seen]) -> Iterator[str]:
        """Yield names of changed objects that the cell got hold of without mentioning any of their names.

        Whoever only holds such an object (a list of lists, an iterator) shows the change as well, but the
        cell need not have had it from there.
        """
        groups: dict[int, set[str]] = {}
        for name in changes:
            groups.setdefault(after[name].number, set()).add(name)
        held = {number: frozenset(after[min(names)].picture or ()) for number, names in groups.items()}
        for number, names in groups.items():
            is_holder = any(
                other != number and other in held[number] and number not in held[other] for other in groups
            )
            if not is_holder and self._words.isdisjoint(names):
                yield from names

    def _aliased(
        self, binds: set[str], before: Mapping[str, _Seen], after: Mapping[str, _Seen]
    ) -> Iterator[str]:
        """Yield names whose object the cell bound to another name without mentioning any of them."""
        if not binds:
            return
        holders: dict[int, list[str]] = {}
        for name, seen in before.items():
            # Only what is alive: a freed address says nothing.
            if name not in binds and name in after and after[name].number == seen.number:
                holders.setdefault(seen.number, []).append(name)
        for name in binds:
            names = holders.get(after[name].number, ())
            if names and self._words.isdisjoint(names):
                kind = type(self._namespace.get(name))
                if not any(issubclass(kind, shared) for shared in _SHARED):
                    yield from names


def _picture(value: object, looks: Any) -> Picture | None:
    try:
        return picture(value, looks) or ()
    except Exception:  # noqa: BLE001 - another thread changes it meanwhile, a library does what none else does
        return None


def _is_bound(before: _Seen | None, after: _Seen) -> bool:
    if before is None or before[:2] != after[:2]:
        return True
    return after.kind in _COMPARED_KINDS and _is_changed(before, after)


def _is_changed(before: _Seen, after: _Seen) -> bool:
    """Whether the same object looks different; what was not looked at counts as unchanged."""
    return (
        before[:2] == after[:2]
        and bool(before.picture)
        and bool(after.picture)
        and before.picture != after.picture
    )


_COMPARED_KINDS = frozenset(id(kind) for kind in _COMPARED)
