"""Abstract objects: what a name may refer to, who changed it last, and what can be reached through it.

This is a points-to model. Every expression that makes something makes one :class:`Obj`; a value is the
set of objects that it may be; two names whose values share an object are aliases. Numbers and texts
have no identity that matters, so a plain number is the empty value. No rules of Python live here.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

from jupyter_flows.analysis.pages import Page, Watched, current, watch

if TYPE_CHECKING:
    import ast

    from jupyter_flows.analysis.scopes import FunctionNode


class Write(NamedTuple):
    """A cell gave a name a value: which, on which of its lines, by what."""

    cell: int
    line: int
    how: str


class Change(NamedTuple):
    """A cell changed an object in place; ``label`` is the global name it went through, if any."""

    cell: int
    line: int
    how: str
    label: str | None


_count = itertools.count()


def next_place() -> tuple[int, int]:
    """Return where the next object stands among all: those of a cell walked anew stand where it stands."""
    page = current()
    return (page.cell if page is not None else 0), next(_count)


class Obj(Watched):
    """One abstract object. Identity is what counts; two are never equal."""

    __slots__ = (
        "attrs", "bases", "change", "cls", "const", "defaults", "frame", "held", "kind", "marks", "names",
        "node", "order", "parts", "qual", "receiver", "thunk", "viewed",
    )  # fmt: skip

    def __new__(cls, kind: str = "unknown", qual: str = "", *, const: str | None = None) -> Self:
        """Return a new object, or the one that its cell made here when it was walked before."""
        page = current()
        if page is not None:
            return page.make(cls, (kind, qual, const))
        made = object.__new__(cls)
        made.begin()
        return made

    def begin(self) -> None:
        """Set what goes on if the object comes again: the marks of the cells below."""
        self.marks = 0
        """Bit mask of the cells that read it, also of those below; see ``readers``."""
        self.held = 0
        """Bit mask of the cells that bound or read a name through which it could be reached."""

    def __init__(self, kind: str = "unknown", qual: str = "", *, const: str | None = None) -> None:
        self.page: Page | None = current()
        self.order = next_place()
        self.kind = kind
        self.qual = qual
        """Dotted name where one is known: ``numpy.random.seed``."""
        self.const = const
        self.parts: set[Obj] = set()
        """What it holds, without saying where."""
        self.attrs: dict[str, Value] = {}
        self.viewed: set[Obj] = set()
        """Objects whose memory it shares: changing it changes them."""
        self.change: Change | None = None
        self.names: set[str] = set()
        self.node: FunctionNode | ast.ClassDef | ast.GeneratorExp | None = None
        self.frame: Frame | None = None
        self.cls: Obj | None = None
        self.bases: tuple[Obj, ...] = ()
        self.receiver: Value = EMPTY
        self.thunk: Callable[[], Value] | None = None
        """Work that is done when somebody consumes it: a generator, a coroutine, a ``map``."""
        self.defaults: dict[str, Value] | None = None
        """What a function's parameters are when they are not given."""

    def mark(self, cell: int) -> None:
        """Note that *cell* reads it."""
        self.marks |= 1 << cell
        page = current()
        if page is not None:
            page.marked.add((self, "marks"))

    def hold(self, cell: int) -> None:
        """Note that *cell* has a name through which it can be reached."""
        self.held |= 1 << cell
        page = current()
        if page is not None:
            page.marked.add((self, "held"))

    def erase(self, what: str, cell: int) -> None:
        """Take what *cell* noted away."""
        setattr(self, what, getattr(self, what) & ~(1 << cell))

    def readers(self, cell: int) -> int:
        """Return the bit mask of the cells above *cell* that read it."""
        page = current()
        if page is not None:
            page.consulted.add((self, "marks"))
        return self.marks & (1 << cell) - 1

    def holders(self, cell: int) -> int:
        """Return the bit mask of the cells down to *cell* that had a name through which it can be reached."""
        page = current()
        if page is not None:
            page.consulted.add((self, "held"))
        return self.held & (2 << cell) - 1

    def __repr__(self) -> str:
        return f"<{self.kind} {self.qual or sorted(self.names)}>"

    def reachable(self) -> list[Obj]:
        """Return what is one step away."""
        found = [*self.parts, *self.viewed, *self.receiver, *self.bases]
        for value in self.attrs.values():
            found += value
        if self.cls is not None:
            found.append(self.cls)
        frame = self.frame
        while frame is not None and frame.kind != "module":
            found.append(frame.owner)
            for binding in frame.variables.values():
                found += binding.value
            frame = frame.parent
        return found


Value = frozenset[Obj]
EMPTY: Value = frozenset()
IMMUTABLE_KINDS = frozenset({"str", "builtin"})


class Binding(NamedTuple):
    """What a name is bound to and by whom; several writers where control flow leaves it open."""

    writers: tuple[Write, ...]
    value: Value
    is_deleted: bool = False


class Frame(Watched):
    """One scope at work: the module, a call of a function, a class body, a comprehension."""

    __slots__ = (
        "function",
        "global_names",
        "kind",
        "locals",
        "nonlocal_names",
        "owner",
        "parent",
        "returns",
        "variables",
    )

    def __init__(self, kind: str, parent: Frame | None) -> None:
        self.page: Page | None = current()
        self.kind = kind
        self.parent = parent
        self.variables: dict[str, Binding] = {}
        self.locals: set[str] = set()
        self.global_names: set[str] = set()
        self.nonlocal_names: set[str] = set()
        self.returns: set[Obj] = set()
        self.function: Obj | None = None
        self.owner = Obj("frame")
        """Stands for the variables themselves, which inner functions may change through nonlocal."""


class ModuleFrame(Frame):
    """The module's scope; its names note their use one by one."""

    __slots__ = ()
    is_watched: ClassVar[bool] = False


watch(
    Obj,
    unnoticed=frozenset({"bases", "const", "defaults", "frame", "kind", "node", "qual", "receiver"}),
    left_out=frozenset({"held", "marks", "order"}),
)
watch(
    Frame,
    unnoticed=frozenset({"function", "global_names", "kind", "locals", "nonlocal_names", "owner", "parent"}),
)


def merge(left: dict[str, Binding], right: dict[str, Binding]) -> dict[str, Binding]:
    """Join what two ways through the code leave behind."""
    if left is right:
        return left
    joined = dict(left)
    for name, other in right.items():
        mine = joined.get(name)
        if mine is None:
            joined[name] = other
        elif mine is not other:
            joined[name] = both(mine, other)
    return joined


def both(mine: Binding, other: Binding) -> Binding:
    """Join two things that a name may be bound to."""
    writers = tuple(dict.fromkeys((*mine.writers, *other.writers)))
    return Binding(writers, mine.value | other.value, mine.is_deleted and other.is_deleted)


def in_order(value: Collection[Obj]) -> list[Obj]:
    """Return objects in the order in which they were made: a set's own order is that of the memory."""
    return list(value) if len(value) < 2 else sorted(value, key=_order)


_order = operator.attrgetter("order")


def union(values: list[Value]) -> Value:
    """Everything that any of *values* may be."""
    if len(values) == 1:
        return values[0]
    return frozenset().union(*values)


def contents(value: Value) -> Value:
    """What iterating over or indexing *value* may give; makes an inner object where nothing is known."""
    found: set[Obj] = set()
    for obj in in_order(value):
        if obj.kind in IMMUTABLE_KINDS or obj.kind == "numbers":
            continue
        if obj.kind == "view":
            found |= contents(frozenset(obj.viewed))
        if obj.parts:
            found |= obj.parts
        elif obj.kind in {"unknown", "instance", "pandas", "parameter", "rng"}:
            inner = Obj(obj.kind if obj.kind in {"pandas", "parameter"} else "unknown")
            obj.parts.add(inner)
            found.add(inner)
    return frozenset(found)


def paired(value: Value) -> Value:
    """Return what a dictionary holds that is made of such pairs: ``dict(zip(…))``."""
    return contents(frozenset(obj for obj in value if obj.kind in {"tuple", "list"}))


def closure_of(value: Value, *, depth: int) -> Iterator[Obj]:
    """Yield the objects within *depth* steps of *value*, each once."""
    seen: set[Obj] = set()
    level = set(value)
    for _ in range(depth + 1):
        level -= seen
        if not level:
            return
        yield from in_order(level)
        seen |= level
        level = {inner for obj in level for inner in obj.reachable()}
