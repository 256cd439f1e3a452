"""One digest of a graph of objects, in work that grows as the graph does, not as the ways through it.

Each object is taken apart once, however many ways lead to it: what it holds is hashed for itself, and its
digest stands for it wherever it appears. Objects that lead back to each other have no digest before all of
them are done; they are found as Tarjan finds strongly connected components (SIAM J. Comput. 1, 1972), and
told by their places in the circle.

Runs where the cell runs, which may be a kernel without this package: it is sent this file's text. So it
imports nothing of ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

MOST_OBJECTS = 1_000_000
"""How many objects are taken apart for one key. Numbers, texts, small containers of such, and what
arrays and frames hold are none: they cost next to nothing each."""


class Incomparable(Exception):
    """A value has no digest that holds in another process, or none that is made in good time."""


class _Begun:
    """An object that is being taken apart.

    Attributes
    ----------
    place : int
        Among those that are begun and have no digest yet.
    first : int
        The first of those places that the object leads back to.
    back : list of int
        The places that it leads back to, in the order in which its hash says so.
    is_pure : bool
        Whether no circle of objects is behind it: then its digest is the same from wherever it is reached.
    """

    __slots__ = ("back", "first", "hash", "is_pure", "place", "value")

    def __init__(self, value: Any, place: int) -> None:
        self.value = value
        self.place = self.first = place
        self.back: list[int] = []
        self.hash = hashlib.sha256()
        self.is_pure = True


class GraphHash:
    """Hashes what is added, each object once: the digest of one that is met again is known.

    Equal objects have one digest, whether they are one or several. Only in circles do places count.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._here: _Begun | None = None
        self._begun: list[_Begun] = []
        self._begun_of: dict[int, _Begun] = {}
        self._known: dict[int, bytes] = {}
        self._held: list[Any] = []
        self._impure: set[int] = set()
        self._inner: dict[int, int] = {}
        self._sets: list[tuple[int, int]] = []
        self._objects = 0

    def mark(self, text: str) -> None:
        """Add a word of ours."""
        self._hash.update(f"<{text}>".encode("utf-8", "surrogatepass"))

    def _start(self) -> Any:
        """Begin a value; return the hash of all, to be given to ``_stop``."""
        # From where a circle is entered decides on the digests in it: each value starts anew.
        for each in self._impure:
            self._known.pop(each, None)
        self._impure.clear()
        self._inner.clear()
        return self._hash

    def _stop(self, whole: Any) -> None:
        self._hash, self._here = whole, None
        self._begun.clear()
        self._begun_of.clear()
        self._sets.clear()

    def _once(self, value: Any, take_apart: Callable[[Any], None]) -> None:
        """Add an object: by its digest if it has one, by its place if it is begun."""
        known = self._known.get(id(value))
        outer = self._here
        if known is not None:
            if outer is not None and id(value) in self._impure:
                outer.is_pure = False
            self._check_order(id(value))
            self._hash.update(known)
            return
        begun = self._begun_of.get(id(value))
        if begun is not None:
            self._lead_back(begun)
            return
        self._objects += 1
        if self._objects > MOST_OBJECTS:
            raise Incomparable(f"more than {MOST_OBJECTS:,} objects would have to be looked at")
        here = _Begun(value, len(self._begun))
        self._begun.append(here)
        self._begun_of[id(value)] = here
        outer_hash, self._hash, self._here = self._hash, here.hash, here
        take_apart(value)
        self._hash, self._here = outer_hash, outer
        if here.first == here.place:
            self._end(here)
            self._hash.update(self._known[id(value)])
        elif outer is not None:
            outer.first = min(outer.first, here.first)
            self._lead_back(here)
        if outer is not None and not here.is_pure:
            outer.is_pure = False

    def _lead_back(self, begun: _Begun) -> None:
        here = self._here
        self.mark("back")
        if here is not None:
            here.back.append(begun.place)
            here.first = min(here.first, begun.place)

    def _end(self, first: _Begun) -> None:
        """Give digests to an object and to those that lead to it and back."""
        circle = self._begun[first.place :]
        del self._begun[first.place :]
        if len(circle) == 1 and not first.back:
            digest = first.hash.digest()
        else:
            whole = hashlib.sha256(b"circle")
            for each in circle:
                whole.update(each.hash.digest())
                whole.update(repr([place - first.place for place in each.back]).encode())
            digest = whole.digest()
        if len(circle) > 1:
            first.is_pure = False
        for place, each in enumerate(circle):
            key = id(each.value)
            del self._begun_of[key]
            self._known[key] = hashlib.sha256(digest + b"%d" % place).digest() if place else digest
            self._held.append(each.value)  # an address that is free again would be taken for this one
            if not first.is_pure:
                self._impure.add(key)
            if place:
                self._inner[key] = self._objects

    def _check_order(self, key: int) -> None:
        """Refuse a digest that depends on which item of a set was first."""
        ended = self._inner.get(key)
        if ended is not None and any(begin < ended <= item for begin, item in self._sets):
            raise Incomparable("it holds a set of objects that lead to each other")
