"""What each cell did to the user's namespace, by a look at it after each cell. Knows no graph.

A look is bounded in time (:data:`LOOK_S`): names that the cell mentions go first, names that time did not
suffice for are told. The look after one cell is the look before the next one; only identities are compared
again when that begins. Between looks nothing is held but ids, numbers and short texts, so a cell can free
what it likes.

What it cannot see: a name bound again to the very object it stood for; reads that leave nothing behind
(``exec("print(x)")``, ``globals()[name]``: the source makes such a cell wait for all above); what changes
inside modules, open files, connections and objects of compiled libraries; one number in the middle of a
large array or list (samples).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from time import perf_counter, thread_time
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, NamedTuple

from jupyter_flows.analysis.observed import Observed
from jupyter_flows.magics.picture import Picture, looks_now, picture

LOOK_S = 0.0009
"""Seconds of work for a look at all names after a cell."""
SUSPECTS_S = 0.0003
"""Seconds of work before a cell, for the names that changed without being mentioned."""
_WORD = re.compile(r"[^\W\d]\w*")
_LONGEST = 20_000
"""Characters of a cell in which names are looked for; a longer cell is data."""
_HISTORY = re.compile(r"_+|_i+|_i?\d+|__\w*|_exit_code")
"""What the shell itself binds, cell by cell."""
_SCALARS = (int, float, complex, str, bytes, bool, type(None))
_UNCHANGEABLE = frozenset(map(id, _SCALARS))
"""Another picture at the same address is another object."""
_SHARED = (*_SCALARS, type, FunctionType, BuiltinFunctionType, ModuleType)
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
        self._last: dict[str, _Seen] | None = None
        self._suspects: set[str] = set()
        self._words: frozenset[str] = frozenset()
        self.restless: set[str] = set()
        """Names that change while no cell runs: no cell is to blame for their changes."""

    def begin(self, source: str) -> None:
        """See what there is before a cell runs."""
        self._words = frozenset(_WORD.findall(source[:_LONGEST]))
        items = list(self._in_order())
        if self._last is None:
            self._last = self._look(items, LOOK_S)
        else:
            self._find_restless(items, self._last)
        before = {}
        for name, value in items:
            number, kind = id(value), id(type(value))
            last = self._last.get(name)
            # Bound between the cells, by a callback: what it looks like is not known.
            before[name] = last if last and last[:2] == (number, kind) else _Seen(number, kind, None)
        self._before = before

    def _find_restless(self, items: list[tuple[str, Any]], last: Mapping[str, _Seen]) -> None:
        """Look again at what changed unmentioned: a thread or a widget changes it also between cells."""
        if self._suspects:
            now = self._look([item for item in items if item[0] in self._suspects], SUSPECTS_S)
            self.restless |= {
                name for name, seen in now.items() if name in last and _is_changed(last[name], seen)
            }

    def end(self) -> Observed | None:
        """Look after it ran; return what it did, None if that cannot be told (it ran other cells)."""
        before, self._before = self._before, None
        after = self._last = self._look(self._in_order(), LOOK_S)
        if before is None:
            return None
        binds: set[str] = set()
        changes: set[str] = set()
        missed: set[str] = set()
        for name, seen in after.items():
            earlier = before.get(name)
            if earlier is None or earlier.number != seen.number or earlier.kind != seen.kind:
                binds.add(name)
            elif earlier.picture is None or seen.picture is None:
                missed.add(name)
            elif earlier.picture != seen.picture:
                (binds if seen.kind in _UNCHANGEABLE else changes).add(name)
        self._suspects = changes - self._words
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
        hidden = self._hidden
        # A copy: another thread may bind names meanwhile.
        for item in list(self._namespace.items()):
            name = item[0]
            if type(name) is not str or name in hidden or (name[:1] == "_" and _HISTORY.fullmatch(name)):
                continue
            if name in self._words:
                yield item
            else:
                later.append(item)
        yield from later

    def _look(self, items: Iterable[tuple[str, Any]], seconds: float) -> dict[str, _Seen]:
        """Look at all names; when the time is over, only at what object each stands for."""
        seen: dict[str, _Seen] = {}
        until, until_worked = perf_counter() + seconds, thread_time() + seconds
        looks = looks_now()
        for name, value in items:
            # Asking for the work done costs more than asking for the time, and on a busy machine less time
            # than that was ours.
            is_left = perf_counter() < until or thread_time() < until_worked
            found = _picture(value, looks) if is_left else None
            seen[name] = _Seen(id(value), id(type(value)), found)
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


def _is_changed(before: _Seen, after: _Seen) -> bool:
    """Whether the same object looks different; what was not looked at counts as unchanged."""
    return (
        before[:2] == after[:2]
        and before.picture is not None
        and after.picture is not None
        and before.picture != after.picture
    )
