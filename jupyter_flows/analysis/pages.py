"""What one cell's walk looked at and what it left behind, kept so that it need not be walked again.

While a :class:`Page` is open, everything that outlives a cell notes its own use on it: the slots of objects
(:func:`watch`), shelves (:class:`Shelf`), marks of readers (:class:`Marks`). With no page open nothing is
noted. Knows nothing of syntax and nothing of what the things mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, ClassVar, TypeVar

_T = TypeVar("_T")
_K = TypeVar("_K", str, int)
_O = TypeVar("_O", bound="Watched")
_MOST_MADE = 500
"""Objects of one cell that are kept to come again."""
_AHEAD = 16
"""How far one is looked for among those that the cell made before."""


class _Missing:
    """Stands for no entry; equal to itself only."""


MISSING: Any = _Missing()


class Watched:
    """Something whose slots note their use."""

    __slots__ = ("page",)
    is_watched: ClassVar[bool] = True
    fields: ClassVar[tuple[tuple[Callable[[Any], Any], Callable[[Any, Any], None]], ...]] = ()
    """How each of the slots that are kept is read and set, unnoticed."""
    fixed: ClassVar[tuple[int, ...]] = ()
    """Places among the fields of those whose reading is not noted."""

    page: Page | None
    """The page on which it is noted already."""

    def begin(self) -> None:
        """Set what goes on if the object comes again."""


class Page:
    """The footprint of one cell. A key is an object, or the label of a shelf with a key of it."""

    __slots__ = (
        "above", "again", "all_of", "at", "before", "cell", "changed", "consulted", "is_volatile", "made",
        "marked", "read", "wrote",
    )  # fmt: skip

    def __init__(self, cell: int, again: Sequence[tuple[Any, Any]] = ()) -> None:
        self.cell = cell
        self.made: list[tuple[Any, Any]] = []
        """Its first objects in the order in which it made them, each with what it was made as."""
        self.again = again
        """What the cell made when it was walked before; None for an object that must not come again."""
        self.at = 0
        self.read: set[Any] = set()
        self.all_of: set[str] = set()
        """Labels of the shelves that it looked through as a whole."""
        self.before: dict[Watched, tuple[Any, ...]] = {}
        self.changed: dict[Watched, tuple[tuple[Any, ...], tuple[Any, ...]]] = {}
        """Objects -> their slots before and after."""
        self.wrote: dict[tuple[str, Any], tuple[Any, Any]] = {}
        """Entries of shelves -> what they were before and after."""
        self.marked: set[tuple[Any, str]] = set()
        self.consulted: set[tuple[Any, Any]] = set()
        """Whose marks it asked for, and which cells' names."""
        self.above = 0
        """Bit mask of the cells whose ancestors it asked for."""
        self.is_volatile = False
        """Whether it depends on something beside the cells: a module's source on disk."""

    def make(self, cls: type[_O], made_as: Any) -> _O:
        """Return an object to be filled: the one that the cell made at this place before, if there is one.

        Then the cells below need not be walked again for nothing but another identity. The order of what
        comes again is the order of before, since cells below may go by it.
        """
        found = None
        again = self.again
        for place in range(self.at, min(self.at + _AHEAD, len(again))):
            if again[place][1] == made_as:
                found = again[place][0]
                self.at = place + 1
                break
        if found is None:
            found = object.__new__(cls)
            found.begin()
        if len(self.made) < _MOST_MADE:
            self.made.append((found, made_as))
        return found

    def open(self, thing: Watched) -> None:
        """Note the first use of *thing*."""
        thing.page = self
        if thing.is_watched:
            self.before[thing] = state_of(thing)

    def close(self, shelves: dict[str, Shelf[Any, Any]]) -> None:
        """Keep what has changed; of the rest, that it was looked at."""
        for thing, before in self.before.items():
            for (get, _), value in zip(thing.fields, before, strict=True):
                if get(thing) != value:
                    self.changed[thing] = (before, state_of(thing))
                    break
        self.read.update(self.before)
        self.before = {}
        self.again = ()
        for key, (was, _) in list(self.wrote.items()):
            self.wrote[key] = (was, shelves[key[0]].raw(key[1]))


_open: ContextVar[Page | None] = ContextVar("page", default=None)
current = _open.get
turn_to = _open.set


def state_of(thing: Watched) -> tuple[Any, ...]:
    """Return a copy of the slots of *thing*."""
    return tuple([_copied(get(thing)) for get, _ in thing.fields])


def put_state(thing: Watched, state: tuple[Any, ...]) -> None:
    """Give *thing* the slots it had."""
    for (_, put), value in zip(thing.fields, state, strict=True):
        put(thing, _copied(value))


def _copied(value: Any) -> Any:
    return value.copy() if type(value) is set or type(value) is dict else value


def watch(cls: type[Watched], *, unnoticed: frozenset[str], left_out: frozenset[str] = frozenset()) -> None:
    """Make the slots of *cls* note their use.

    Parameters
    ----------
    cls : class with slots.
    unnoticed : slots that are set while their object is made, or hardly ever after: reading them is not
        worth a note, setting them is.
    left_out : slots that look after themselves.
    """
    slots = [name for name in cls.__dict__["__slots__"] if name not in left_out]
    members = {name: cls.__dict__[name] for name in slots}
    cls.fields = tuple((member.__get__, member.__set__) for member in members.values())
    cls.fixed = tuple(place for place, name in enumerate(slots) if name in unnoticed)
    for name, member in members.items():
        setattr(cls, name, _noting(member, notes_reading=name not in unnoticed))


def _noting(member: Any, *, notes_reading: bool) -> property:
    get, put = member.__get__, member.__set__

    def read(thing: Watched) -> Any:
        page = current()
        if page is not None and thing.page is not page:
            page.open(thing)
        return get(thing)

    def write(thing: Watched, value: Any) -> None:
        page = current()
        if page is not None and thing.page is not page:
            page.open(thing)
        put(thing, value)

    return property(read if notes_reading else get, write)


class Shelf(dict[_K, _T]):
    """A dictionary that notes which of its entries are used, and can go back to where it was."""

    def __init__(self, label: str, *, is_retraced: bool = False) -> None:
        super().__init__()
        self.label = label
        self.is_retraced = is_retraced
        self.trail: list[tuple[_K, Any]] = []
        """Entries as they were before each write of this cell; on a shelf that goes back."""

    def _read(self, key: _K) -> None:
        page = current()
        if page is not None:
            name = (self.label, key)
            if name not in page.wrote:
                page.read.add(name)

    def raw(self, key: _K) -> Any:
        """Return an entry or ``MISSING``, unnoticed."""
        return dict.get(self, key, MISSING)

    def put(self, key: _K, value: Any) -> None:
        """Set an entry, or take it away with ``MISSING``, unnoticed."""
        if value is MISSING:
            dict.pop(self, key, None)
        else:
            dict.__setitem__(self, key, value)

    def _write(self, key: _K, value: Any) -> None:
        old = self.raw(key)
        if self.is_retraced:
            self.trail.append((key, old))
        page = current()
        if page is not None:
            page.wrote.setdefault((self.label, key), (old, MISSING))
        self.put(key, value)

    def get(self, key: _K, default: Any = None) -> Any:
        """Return an entry."""
        self._read(key)
        return dict.get(self, key, default)

    def __getitem__(self, key: _K) -> _T:
        self._read(key)
        return dict.__getitem__(self, key)

    def __contains__(self, key: object) -> bool:
        self._read(key)  # type: ignore[arg-type]
        return dict.__contains__(self, key)

    def __setitem__(self, key: _K, value: _T) -> None:
        self._write(key, value)

    def pop(self, key: _K, default: Any = None) -> Any:
        """Take an entry away."""
        found = self.get(key, default)
        self._write(key, MISSING)
        return found

    def _look_through(self) -> None:
        page = current()
        if page is not None:
            page.all_of.add(self.label)

    def __iter__(self) -> Iterator[_K]:
        self._look_through()
        return iter(sorted(dict.keys(self)))

    def __len__(self) -> int:
        self._look_through()
        return super().__len__()

    def keys(self) -> Any:
        """Return all keys."""
        self._look_through()
        return super().keys()

    def values(self) -> Any:
        """Return all entries."""
        self._look_through()
        return super().values()

    def items(self) -> Any:
        """Return all entries with their keys."""
        self._look_through()
        return super().items()

    def __bool__(self) -> bool:
        return any(True for _ in self)

    # -- ways through the code ---------------------------------------------------------------------------

    def since(self, position: int) -> dict[_K, Any]:
        """Return the entries written since *position* of the trail, as they were there."""
        entries: dict[_K, Any] = {}
        for key, old in self.trail[position:]:
            entries.setdefault(key, old)
        return entries

    def go_back(self, position: int) -> None:
        """Be again what it was at *position* of the trail."""
        page = current()
        for key, old in self.since(position).items():
            if self.raw(key) is old:
                continue
            self._write(key, old)
            if page is not None and page.wrote[self.label, key][0] is old:
                del page.wrote[self.label, key]

    def join(self, position: int, both: Callable[[_T, _T], _T]) -> None:
        """Be what it is or was at *position*: *both* joins two entries that differ."""
        page = current()
        for key, old in self.since(position).items():
            mine = self.raw(key)
            if mine is old:
                continue
            if page is not None:
                page.read.add((self.label, key))  # that there was none is seen, too
            if old is MISSING:
                continue
            self._write(key, old if mine is MISSING else both(mine, old))


class Marks:
    """Which cells have read what, a bit mask by name; a cell sees the marks of those above it only."""

    def __init__(self) -> None:
        self.masks: dict[str, int] = {}

    def mark(self, name: str, cell: int) -> None:
        """Note that *cell* reads *name*."""
        self.masks[name] = self.masks.get(name, 0) | 1 << cell
        page = current()
        if page is not None:
            page.marked.add((self, name))

    def of(self, name: str, cell: int) -> int:
        """Return who above *cell* reads *name*."""
        page = current()
        if page is not None:
            page.consulted.add((self, name))
        return self.masks.get(name, 0) & (1 << cell) - 1

    def erase(self, name: str, cell: int) -> None:
        """Take the mark of *cell* away."""
        self.masks[name] &= ~(1 << cell)
