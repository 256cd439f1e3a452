"""A cheap picture of a value: two that differ mean that the value was changed in place. Runs no user code.

Bounded in depth, in objects and in bytes, so equal pictures mean *unchanged as far as was looked*: one
number in the middle of a large array may change unseen. Pictures hold ids, numbers and short texts, never
the objects themselves. Types come from ``type()``, attributes from the dictionary behind an object, items
by the methods of the builtin base: no method that a user wrote is called, no library is imported.
"""

from __future__ import annotations

import functools
import gc
import sys
from array import array
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from types import (
    AsyncGeneratorType,
    CellType,
    CodeType,
    CoroutineType,
    FunctionType,
    GeneratorType,
    GetSetDescriptorType,
    MethodType,
)
from typing import Any

DEPTH = 5
OBJECTS = 200
"""How many objects behind one name are looked at, at most."""
ITEMS = 32
"""How many items of a container are looked at: half from the front, half from the back."""
BYTES = 16_384
"""Below this an array is looked at whole, above by a sample of an eighth of this."""
TEXT = 64
COLUMNS = 32

Picture = tuple[object, ...]
_Look = Callable[["_Viewer", Any, int], None]
Looks = Mapping[int, _Look]
"""How to look at objects of a type, by the id of the type."""

_mro: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
_namespace: Callable[[type], Any] = type.__dict__["__dict__"].__get__
"""As they are, whatever the metaclass says."""
_CLASS_NOISE = frozenset(
    {
        *("__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "_abc_impl"),
        # What Python itself keeps on a class at the first pickle of an instance, or look at its annotations.
        *("__slotnames__", "__annotations_cache__"),
    }
)


def picture(value: object, looks: Looks | None = None) -> Picture | None:
    """Return the picture of *value*; None if nothing in it can be looked at.

    Parameters
    ----------
    value : any
    looks : mapping, optional
        What :func:`looks_now` gives, where many pictures are taken at once.

    Examples
    --------
    >>> scores = {"a": [1]}
    >>> before = picture(scores)
    >>> scores["a"].append(2)
    >>> picture(scores) == before
    False
    """
    scalar = _SCALARS.get(id(type(value)))
    if scalar is not None:
        return scalar(value)
    viewer = _Viewer(looks_now() if looks is None else looks)
    viewer.see(value, DEPTH)
    return tuple(viewer.parts) if not viewer.is_blind else None


class _Viewer:
    """Collects what is seen behind one name."""

    def __init__(self, looks: Looks) -> None:
        self._looks = looks
        self.parts: list[Any] = []
        self.left = OBJECTS
        self.is_blind = False
        """Whether the value itself, not something inside it, has nothing that can be looked at."""
        self._seen: set[int] = set()

    def see(self, value: Any, depth: int, *, is_inside_foreign: bool = False) -> None:
        """Add *value* and what it holds, down to *depth*."""
        kind = type(value)
        scalar = _SCALARS.get(id(kind))
        if scalar is not None:
            self.parts += scalar(value)
            return
        number = id(value)
        self.parts.append(number)
        if depth == 0 or self.left <= 0 or number in self._seen:
            return
        self._seen.add(number)
        self.left -= 1
        # An object that died may have left its address to another one, which rarely is of its kind.
        self.parts.append(id(kind))
        look = self._looks.get(id(kind))
        if look is not None:
            look(self, value, depth - 1)
            return
        # A class of its own on top of a builtin one: as that one, then its attributes.
        look = next((self._looks[id(base)] for base in _mro(kind) if id(base) in self._looks), None)
        if look is not None:
            look(self, value, depth - 1)
        is_own = _is_own(kind)
        if is_own or not is_inside_foreign:
            self._see_attributes(value, depth - 1, is_own=is_own, is_known=look is not None)

    def _see_attributes(self, value: Any, depth: int, *, is_own: bool, is_known: bool) -> None:
        attributes = attributes_of(value)
        if attributes is not None:
            self.parts.append(len(attributes))
            for name, item in islice(attributes.items(), ITEMS):
                # What libraries keep in private attributes is mostly a cache, which reading fills.
                if type(name) is str and (is_own or not name.startswith("_")):
                    self.parts.append(name)
                    self.see(item, depth, is_inside_foreign=not is_own)
        elif is_own:
            self.see_all((item for item in gc.get_referents(value) if not _is_a(item, type)), depth)
        elif not is_known and depth == DEPTH - 1:
            self.is_blind = True

    def see_items(self, items: list[Any], depth: int) -> None:
        """Add the items of a container: at once if they are all numbers or all texts, as most are."""
        kinds = set(map(id, map(type, items)))
        if kinds <= _NUMBERS:
            self.parts += (*sorted(kinds), *items)
        elif kinds == _TEXTS:
            self.parts += (*map(id, items), *map(len, items))
        else:
            self.see_all(items, depth)

    def see_all(self, items: Iterable[Any], depth: int) -> None:
        """Add each of *items*."""
        for item in items:
            self.see(item, depth)


def attributes_of(value: object) -> dict[str, Any] | None:
    """Return the dictionary behind an object, past any ``__getattribute__`` and any property of that name."""
    for base in _mro(type(value)):
        found = _namespace(base).get("__dict__")
        if type(found) is GetSetDescriptorType:
            attributes = found.__get__(value)
            return attributes if type(attributes) is dict else None
    return None


def _is_a(value: object, kind: type) -> bool:
    """Like ``isinstance``, which would ask the object for a ``__class__`` of its own."""
    return issubclass(type(value), kind)


def _is_own(kind: type) -> bool:
    """Whether a class was written in the notebook."""
    module = _namespace(kind).get("__module__")
    return type(module) is str and module == "__main__"


# -- scalars: the value itself is the picture -----------------------------------------------------------


def _int(value: int) -> tuple[object, ...]:
    return (value,) if value.bit_length() <= 4096 else (id(value), value.bit_length())


def _float(value: float) -> tuple[object, ...]:
    return ("float", value if value == value else "nan")  # noqa: PLR0124 - the test for nan


def _text(value: Any) -> tuple[object, ...]:
    return (value,) if len(value) <= TEXT else (id(value), len(value), value[:16], value[-16:])


_SCALARS: dict[int, Callable[[Any], tuple[object, ...]]] = {
    id(int): _int,
    id(float): _float,
    id(str): _text,
    id(bytes): _text,
    id(bool): lambda value: ("bool", value),
    id(type(None)): lambda value: (value,),
}
"""By the id of the type: a dictionary of types would hash them, which a metaclass may define."""

_NUMBERS = frozenset(map(id, (int, float, bool, type(None))))
_TEXTS = frozenset({id(str)})


# -- builtin containers ---------------------------------------------------------------------------------


def _ends(length: int, front: Iterable[Any], back: Iterable[Any]) -> list[Any]:
    """Return what is looked at of so many items: all of them, or some from both ends."""
    if length <= ITEMS:
        return list(islice(front, ITEMS))
    return [*islice(front, ITEMS // 2), *islice(back, ITEMS // 2)]


def _look_at_list(viewer: _Viewer, value: list[Any], depth: int) -> None:
    length = list.__len__(value)
    viewer.parts.append(length)
    viewer.see_items(_ends(length, list.__iter__(value), list.__reversed__(value)), depth)
    if length > ITEMS:
        # Addresses cost little: what was replaced in the middle is found more often than not.
        step = -(-length // ITEMS)
        viewer.parts += map(id, list.__getitem__(value, slice(None, None, step)))


def _look_at_tuple(viewer: _Viewer, value: tuple[Any, ...], depth: int) -> None:
    viewer.see_items(list(islice(tuple.__iter__(value), ITEMS)), depth)


def _look_at_dict(viewer: _Viewer, value: dict[Any, Any], depth: int) -> None:
    length = dict.__len__(value)
    viewer.parts.append(length)
    keys, values = dict.keys(value), dict.values(value)
    # The keys of an ordered one cannot be gone through from behind without calling its own methods.
    back = (keys, values) if _is_a(value, OrderedDict) else (reversed(keys), reversed(values))
    viewer.see_items(_ends(length, keys, back[0]), 1)
    viewer.see_items(_ends(length, values, back[1]), depth)


def _look_at_set(viewer: _Viewer, value: Any, depth: int) -> None:
    base = set if _is_a(value, set) else frozenset
    viewer.parts.append(base.__len__(value))
    viewer.see_items(list(islice(base.__iter__(value), ITEMS)), min(depth, 1))


def _look_at_deque(viewer: _Viewer, value: deque[Any], depth: int) -> None:
    length = deque.__len__(value)
    viewer.parts.append(length)
    viewer.see_items(_ends(length, deque.__iter__(value), deque.__reversed__(value)), depth)


def _look_at_bytes(viewer: _Viewer, value: bytearray | array[Any], depth: int) -> None:
    del depth
    with memoryview(value) as memory, memory.cast("B") as flat:
        viewer.parts.append(flat.nbytes)
        step = 1 if flat.nbytes <= BYTES else -(-flat.nbytes // (BYTES // 8))
        viewer.parts.append(hash(bytes(flat[::step]) + bytes(flat[-16:])))


def _look_at_nothing(viewer: _Viewer, value: Any, depth: int) -> None:
    """Stand for what cannot change, or whose changes mean nothing to a cell."""


# -- functions, classes, iterators ----------------------------------------------------------------------


def _look_at_function(viewer: _Viewer, value: FunctionType, depth: int) -> None:
    viewer.parts.append(id(value.__code__))
    for cell in value.__closure__ or ():
        _look_at_cell(viewer, cell, depth)
    for given in (value.__defaults__, value.__kwdefaults__, value.__dict__):
        if given:
            viewer.see(given, depth)


def _look_at_cell(viewer: _Viewer, value: CellType, depth: int) -> None:
    try:
        content = value.cell_contents
    except ValueError:
        return  # not filled yet
    viewer.see(content, depth)


def _look_at_method(viewer: _Viewer, value: MethodType, depth: int) -> None:
    viewer.see(value.__self__, depth)


def _look_at_partial(viewer: _Viewer, value: functools.partial[Any], depth: int) -> None:
    viewer.see_all((value.func, value.args, value.keywords), depth)


def _look_at_class(viewer: _Viewer, value: type, depth: int) -> None:
    if _is_own(value):
        names = _namespace(value)
        viewer.parts.append(len(names) - len(_CLASS_NOISE.intersection(names)))
        for name, item in islice(names.items(), ITEMS):
            if name not in _CLASS_NOISE:
                viewer.parts.append(name)
                viewer.see(item, depth)


def _look_at_generator(viewer: _Viewer, value: GeneratorType[Any, Any, Any], depth: int) -> None:
    frame = value.gi_frame
    viewer.parts.append(None if frame is None else frame.f_lasti)
    if frame is not None:
        # Its locals, without making the dictionary that f_locals is.
        viewer.see_all((item for item in gc.get_referents(value) if type(item) is not type(frame)), depth)


def _look_at_iterator(viewer: _Viewer, value: Any, depth: int) -> None:
    del depth
    viewer.parts.append(value.__length_hint__())
    viewer.parts += [id(item) for item in gc.get_referents(value)]


def _look_at_wrapper(viewer: _Viewer, value: Any, depth: int) -> None:
    viewer.see_all(gc.get_referents(value), depth)


_ITERABLES: tuple[Any, ...] = (
    [],
    (),
    {},
    {}.values(),
    {}.items(),
    set(),
    range(0),
    range(2**70),
    reversed([]),
)
_LOOKS: dict[int, _Look] = {
    id(list): _look_at_list,
    id(tuple): _look_at_tuple,
    id(dict): _look_at_dict,
    id(set): _look_at_set,
    id(frozenset): _look_at_set,
    id(deque): _look_at_deque,
    id(bytearray): _look_at_bytes,
    id(array): _look_at_bytes,
    id(FunctionType): _look_at_function,
    id(MethodType): _look_at_method,
    id(CellType): _look_at_cell,
    id(functools.partial): _look_at_partial,
    id(type): _look_at_class,
    id(GeneratorType): _look_at_generator,
    **{id(type(iter(given))): _look_at_iterator for given in _ITERABLES},
    **{id(kind): _look_at_wrapper for kind in (map, zip, filter, enumerate)},
    **{
        id(kind): _look_at_nothing
        for kind in (complex, range, slice, CodeType, CoroutineType, AsyncGeneratorType, type(len), type(sys))
    },
}
"""By the id of the type; all of these live as long as the process."""


# -- libraries, where they are imported already ---------------------------------------------------------


def looks_now() -> Looks:
    """Return how to look at what: the builtin types, and those of libraries that are imported by now."""
    looks = dict(_LOOKS)
    for module, names, look in _LIBRARIES:
        loaded = sys.modules.get(module)
        for name in names if loaded is not None else ():
            kind = vars(loaded).get(name)
            if kind is not None:
                looks[id(kind)] = look
    return looks


def _look_at_array(viewer: _Viewer, value: Any, depth: int) -> None:
    del depth
    numpy = sys.modules["numpy"]
    plain = value if type(value) is numpy.ndarray else numpy.ndarray.view(value, numpy.ndarray)
    viewer.parts += (plain.shape, plain.dtype.str)
    if plain is not value and _is_a(value, numpy.memmap):
        return  # looking would read from the disk
    if plain.nbytes > BYTES and plain.ndim == 1:
        # A column, of which there are many: in as few steps as can be.
        step = -(-plain.shape[0] // (BYTES // 8 // (plain.itemsize or 1) or 1))
        viewer.parts.append(hash(plain[::step].tobytes() + plain[-1:].tobytes()))
        return
    if plain.nbytes > BYTES:
        # A stride for each axis, so that nothing is copied but the sample.
        wanted = BYTES // 8 // max(plain.itemsize, 1) or 1
        each = max(int(wanted ** (1 / plain.ndim)), 1)
        corner = plain[tuple(slice(-1, None) for _ in plain.shape)]
        viewer.parts.append(hash(corner.tobytes()))
        plain = plain[tuple(slice(None, None, -(-length // each) or 1) for length in plain.shape)]
    viewer.parts.append(hash(plain.tobytes()))


def _look_at_frame(viewer: _Viewer, value: Any, depth: int) -> None:
    attributes = attributes_of(value) or {}
    manager = attributes.get("_mgr")
    if manager is None:
        manager = object.__getattribute__(value, "_mgr")
    # Axes are replaced, never changed; the blocks are not told apart, since reading may merge them.
    viewer.parts += [id(axis) for axis in manager.axes]
    viewer.parts.append(tuple(len(axis) for axis in manager.axes))
    name = attributes.get("_name")
    viewer.parts.append(name if type(name) is str else id(name))
    if len(manager.axes) == 1:
        columns = [manager.internal_values()]
    else:
        width = len(manager.axes[0])
        step = -(-width // COLUMNS) or 1
        columns = [manager.iget_values(place) for place in range(0, width, step)]
    for column in columns:
        _look_at_column(viewer, column, depth)


def _look_at_column(viewer: _Viewer, column: Any, depth: int) -> None:
    numpy = sys.modules["numpy"]
    if _is_a(column, numpy.ndarray):
        _look_at_array(viewer, column, depth)
        return
    viewer.parts.append(id(type(column)))
    for name in ("_ndarray", "_data", "_mask", "_pa_array"):
        try:
            inner = object.__getattribute__(column, name)
        except AttributeError:
            continue
        if _is_a(inner, numpy.ndarray):
            _look_at_array(viewer, inner, depth)
        else:
            viewer.parts.append(id(inner))


_LIBRARIES: tuple[tuple[str, tuple[str, ...], _Look], ...] = (
    ("numpy", ("ndarray",), _look_at_array),
    ("pandas", ("DataFrame", "Series"), _look_at_frame),
    # An index fills its caches when it is used, and cannot be changed otherwise.
    ("pandas", ("Index", "RangeIndex", "DatetimeIndex", "MultiIndex"), _look_at_nothing),
)
