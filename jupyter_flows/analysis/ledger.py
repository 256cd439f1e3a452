"""The book of who read and wrote what: global names, objects and hidden channels, cell by cell.

Turns reads into edges at the moment they happen (nearest writer above) and remembers who must not be
overtaken. Knows nothing of syntax.
"""

from __future__ import annotations

from typing import Any

from jupyter_flows.analysis.knowledge import BUILTINS
from jupyter_flows.analysis.objects import (
    EMPTY,
    IMMUTABLE_KINDS,
    Binding,
    Change,
    ModuleFrame,
    Obj,
    Value,
    Write,
    closure_of,
    in_order,
    next_place,
)
from jupyter_flows.analysis.pages import Marks, Shelf, current, turn_to

_CODE = frozenset({"function", "class", "module", "member", "builtin"})
ANY_CHANNEL = "any"
"""Stands for the channels that code which cannot be read may write."""
UNKNOWN_FILE = "file:?"
HELD_DEPTH = 4
"""How deep what a name is bound to is looked into for the objects that its cell handles."""


class Ledger:
    """State of the namespace while the cells are walked from top to bottom."""

    def __init__(self) -> None:
        self.module = ModuleFrame("module", None)
        self.names: Shelf[str, Binding] = Shelf("name", is_retraced=True)
        self.module.variables = self.names
        self.cell = 0
        self.line = 1
        self.through: list[str] = []
        """Names of the functions whose bodies are being walked, outermost first."""
        self.edges: dict[int, dict[tuple[int, str], dict[str, str]]] = {}
        """Target -> (source, kind) -> {name: reason}."""
        self.ancestors: dict[int, int] = {}
        """Cell -> bit mask of the cells it depends on."""
        self.overtaking: dict[int, list[tuple[int, str, str]]] = {}
        """Cell -> (bit mask of earlier readers, name, what the cell does to it)."""
        self.name_readers = Marks()
        """Who reads a name from above."""
        self.together: dict[int, tuple[int, set[str]]] = {}
        """Cell -> what it showed to be changed under one name and seen under another: bit mask of the cells
        that handle such objects, and their names."""
        self.published: dict[int, set[str]] = {}
        """Cell -> the names that it writes."""
        self.channels: Shelf[str, list[Write]] = Shelf("channel")
        self.channel_readers = Marks()
        self.catch_all: Shelf[int, Write] = Shelf("catch-all")
        """Cells that may have bound any name: star imports, opaque code."""
        self.outputs: Shelf[int, Write] = Shelf("output")
        self.builtins: Shelf[str, Obj] = Shelf("builtin")
        self.modules: Shelf[str, Obj] = Shelf("module")
        self.members: Shelf[str, Obj] = Shelf("member")
        self.settings: Shelf[str, bool] = Shelf("setting")
        self._made: dict[tuple[str, str], Obj] = {}
        self.begin(0)

    def shelves(self) -> dict[str, Shelf[Any, Any]]:
        """Return all shelves by their labels."""
        return {shelf.label: shelf for shelf in vars(self).values() if isinstance(shelf, Shelf)}

    def one(self, kind: str, qual: str) -> Obj:
        """Return the one object of that kind and name: the same again if its first cell is walked anew."""
        made = self._made.get((kind, qual))
        if made is None:
            outer = current()
            turn_to(None)  # so that what its first cell does to it can be undone
            made = self._made[kind, qual] = Obj(kind, qual)
            turn_to(outer)
        made.order = next_place()
        return made

    def begin(self, cell: int) -> None:
        """Open a cell's page."""
        self.cell = cell
        self.line = 1
        self.ancestors[cell] = 0
        self.edges[cell] = {}
        self.overtaking[cell] = []
        self.together.pop(cell, None)
        self.through = []
        self.names.trail.clear()
        self.reads: set[str] = set()
        self.writes: set[str] = set()
        self.published[cell] = self.writes
        self.mutates: set[str] = set()
        self.deletes: set[str] = set()
        self.defines: set[str] = set()
        self.missing: dict[str, int] = {}
        self.warnings: dict[str, None] = {}
        self.is_opaque = False
        self.states_read = 0
        """Grows whenever something is read that is no function, class or module."""
        self.touched: dict[str, tuple[set[Obj], dict[tuple[str, int], Change]]] = {}
        self._held: dict[tuple[str, int], int] = {}

    def depend_on_disk(self) -> None:
        """Note that the cell has to be walked again each time: a file that it was read with may change."""
        page = current()
        if page is not None:
            page.is_volatile = True

    # -- edges -------------------------------------------------------------------------------------------

    def warn(self, sentence: str) -> None:
        """Put a sentence on the cell, once."""
        self.warnings.setdefault(sentence)

    def need(self, source: int, name: str, *, kind: str = "data", reason: str) -> None:
        """Note that the present cell needs *source*."""
        if source in {self.cell, 0}:
            return
        self.edges[self.cell].setdefault((source, kind), {}).setdefault(name, reason)
        self.ancestors[self.cell] |= self._above(source) | 1 << source

    def _above(self, cell: int) -> int:
        """Return the bit mask of the cells that *cell* depends on."""
        page = current()
        if page is not None:
            page.above |= 1 << cell
        return self.ancestors[cell]

    def _names_of(self, cell: int) -> set[str]:
        """Return the names that *cell* writes."""
        page = current()
        if page is not None:
            page.consulted.add(("names of", cell))
        return self.published.get(cell, set())

    def not_before(self, readers: int, name: str, verb: str) -> None:
        """Note that the present cell overwrites what the cells in *readers* (a bit mask) had to read."""
        readers &= ~(1 << self.cell)
        if readers:
            self.overtaking[self.cell].append((readers, name, verb))

    def _where(self) -> str:
        names = list(dict.fromkeys(self.through))
        return f" (in {' → '.join(names)})" if names else ""

    # -- global names ------------------------------------------------------------------------------------

    def read_name(self, name: str, *, quiet: bool = False) -> Value:
        """Read a global (or builtin) name and everything that can be reached through it."""
        binding: Binding | None = self.names.get(name)
        if binding is None:
            return self._read_unbound(name, quiet=quiet)
        if any(obj.kind not in _CODE for obj in binding.value) or not binding.value:
            self.states_read += 1
        writers = {write.cell: write for write in binding.writers if write.cell != self.cell}
        if writers:
            self.name_readers.mark(name, self.cell)
        changes = self._touch(name, binding.value)
        if not writers and not changes:
            if not binding.writers and not name.startswith("__flows_"):
                self.reads.add(name)  # nobody gives it, as an earlier cell was told: a run may show who does
            return binding.value
        self.reads.add(name)
        above = 0
        for cell in writers:
            above |= self._above(cell) | 1 << cell
        same = [change for label, change in changes if label == name]
        covered = 0
        for change in same:
            covered |= self._above(change.cell)
        verb = "reads" if not binding.is_deleted else "looks for"
        for cell, write in writers.items():
            # Whoever changed the object since had it from this writer: that edge says it all.
            if not covered >> cell & 1:
                self.need(
                    cell, name, reason=f"cell {self.cell} {verb} `{name}`{self._where()}, {_said(write)}"
                )
        for label, change in changes:
            if covered >> change.cell & 1 or (label != name and above >> change.cell & 1):
                continue
            through = "" if label == name else f" through `{name}`"
            reason = (
                f"cell {self.cell} reads `{label}`{through}{self._where()}, changed in cell {change.cell}"
            )
            self.need(change.cell, label, reason=f"{reason}, line {change.line}: {change.how}")
            if name not in self._names_of(change.cell):
                self._keep_together(self._held.get((label, change.cell), 0) | 1 << change.cell, {name, label})
        return binding.value

    def _keep_together(self, cells: int, names: set[str]) -> None:
        """Note that an object goes under several names, so that a copy for each would come apart."""
        cells |= 1 << self.cell
        for name in names:
            binding = self.names.get(name)
            for write in binding.writers if binding is not None else ():
                cells |= 1 << write.cell
        if cells & cells - 1:
            earlier, others = self.together.get(self.cell, (0, set()))
            self.together[self.cell] = (earlier | cells, others | names)

    def _touch(self, name: str, value: Value) -> list[tuple[str, Change]]:
        """Mark all that *name* reaches as read by this cell; return what others changed in it."""
        # What was found once stays found: a second mention in the cell must come to the same answer.
        seen, changes = self.touched.setdefault(name, (set(), {}))
        stack = in_order(value)
        while stack:
            obj = stack.pop()
            if obj in seen:
                continue
            seen.add(obj)
            obj.mark(self.cell)
            obj.hold(self.cell)
            change = obj.change
            if change is not None and change.cell != self.cell:
                label = name if obj in value or change.label is None else change.label
                known = changes.get((label, change.cell), change)
                changes[label, change.cell] = max(known, change, key=_place)
                held = self._held.get((label, change.cell), 0)
                self._held[label, change.cell] = held | obj.holders(self.cell)
            stack.extend(inner for inner in obj.reachable() if inner not in seen)
        return [(label, change) for (label, _), change in sorted(changes.items())]

    def _read_unbound(self, name: str, *, quiet: bool) -> Value:
        if name not in BUILTINS:
            if self._read_history(name):
                return EMPTY
            if self.catch_all:
                for cell in self.catch_all:
                    write = self.catch_all[cell]
                    self.need(
                        write.cell,
                        name,
                        reason=f"cell {self.cell} reads `{name}`{self._where()}, {_said(write)}",
                    )
                self.reads.add(name)
                return EMPTY
            if not quiet:
                self.missing.setdefault(name, self.line)
            # Later cells that change and read it are linked through this stand-in.
            stand_in = Obj()
            self.names[name] = Binding((), frozenset({stand_in}))
            return self.read_name(name, quiet=True)
        known = self.builtins.get(name)
        if known is None:
            known = self.builtins[name] = self.one("builtin", name)
        return frozenset({known})

    def _read_history(self, name: str) -> bool:
        """Follow ``_``, ``__``, ``_7``: the values of IPython's history."""
        if name.strip("_") == "" and len(name) <= 3:
            earlier = [self.outputs[cell] for cell in self.outputs if cell != self.cell]
            if len(earlier) >= len(name):
                write = earlier[-len(name)]
                self.need(
                    write.cell,
                    name,
                    kind="channel",
                    reason=f"cell {self.cell} reads `{name}`: the output of cell {write.cell}",
                )
            self.reads.add(name)
            self.warn(f"reads `{name}`, the output history: it depends on the order in which cells are run")
            return True
        if name.startswith("_") and name[1:].isdigit():
            self.read_output(int(name[1:]), name)
            return True
        return False

    def read_output(self, number: int | None, name: str) -> None:
        """Follow ``Out[7]``; None stands for a number that is not known."""
        for cell in self.outputs:
            write = self.outputs[cell]
            if number in (None, write.cell):
                self.need(
                    write.cell,
                    name,
                    kind="channel",
                    reason=f"cell {self.cell} reads the output of cell {write.cell}",
                )
        self.warn(f"reads `{name}`, the output history: it depends on the order in which cells are run")

    def bind_name(self, name: str, value: Value, how: str) -> None:
        """Give a global name a value."""
        if name.startswith("__flows_"):
            self.names[name] = Binding((), value)
            return
        if self.catch_all and name not in self.names:
            # Code that cannot be seen may look for the name, or bind it too: later than this, in a thread.
            self.not_before(sum(1 << cell for cell in self.catch_all), name, "binds")
        self.not_before(self.name_readers.of(name, self.cell), name, "rebinds")
        self.names[name] = Binding((Write(self.cell, self.line, how),), value)
        for obj in value:
            obj.names.add(name)
        for obj in closure_of(value, depth=HELD_DEPTH):
            obj.hold(self.cell)
        self.writes.add(name)

    def delete_name(self, name: str) -> None:
        """Take a global name away."""
        self.not_before(self.name_readers.of(name, self.cell), name, "deletes")
        self.names[name] = Binding((Write(self.cell, self.line, "deleted"),), EMPTY, is_deleted=True)
        self.deletes.add(name)
        self.writes.discard(name)

    # -- objects -----------------------------------------------------------------------------------------

    def change(self, value: Value, how: str, *, label: str | None = None) -> None:
        """Note that the present cell changes these objects in place."""
        stack = in_order(value)
        seen: set[Obj] = set()
        while stack:
            obj = stack.pop()
            if obj in seen or obj.kind in IMMUTABLE_KINDS:
                continue
            seen.add(obj)
            names = sorted(name for name in obj.names if self._is_bound_to(name, obj))
            via = label or (names[0] if names else None)
            if via is not None and not self._is_known_elsewhere(via):
                via = None
            # Readers stay on the list: nothing orders two later writers of one object but this.
            self.not_before(obj.readers(self.cell), via or "an object", "changes")
            obj.mark(self.cell)
            obj.change = Change(self.cell, self.line, how, via)
            changed = names if via is None or via in names else [via, *names]
            self.mutates.update(changed)
            self.writes.update(changed)
            if len(changed) > 1:
                self._keep_together(obj.holders(self.cell), set(changed))
            stack.extend(in_order(obj.viewed))

    def _is_known_elsewhere(self, name: str) -> bool:
        """Whether *name* is one that other cells gave: a name of this cell's own says nothing to a reader."""
        binding = self.names.get(name)
        return binding is not None and any(write.cell != self.cell for write in binding.writers)

    def _is_bound_to(self, name: str, obj: Obj) -> bool:
        binding = self.names.get(name)
        return binding is not None and obj in binding.value

    # -- hidden channels ---------------------------------------------------------------------------------

    def read_channel(self, name: str) -> None:
        """Depend on whoever wrote the channel last."""
        self.states_read += 1
        for write in self._channel_writers(name):
            self.need(
                write.cell, name, kind="channel", reason=f"cell {self.cell} uses {name}, {_said(write)}"
            )
        self.channel_readers.mark(name, self.cell)

    def write_channel(self, name: str, how: str, *, keeps_earlier: bool = False) -> None:
        """Write a hidden channel; *keeps_earlier* where readers see earlier writers too."""
        self.not_before(self.channel_readers.of(name, self.cell), name, "changes")
        earlier = self._channel_writers(name) if keeps_earlier else []
        self.channels[name] = [
            *(write for write in earlier if write.cell != self.cell),
            Write(self.cell, self.line, how),
        ]

    def _channel_writers(self, name: str) -> list[Write]:
        """Return who wrote a channel: where nobody is known to, code that cannot be read may have."""
        known = self.channels.get(name)
        return known if known is not None else self.channels.get(ANY_CHANNEL) or []

    def update_any_channel(self, how: str) -> None:
        """Read all channels and write any, written before or not."""
        for name in sorted({*self.channels, ANY_CHANNEL, UNKNOWN_FILE}):
            self.read_channel(name)
            self.write_channel(name, how, keeps_earlier=True)

    def update_channel(self, name: str, how: str) -> None:
        """Read and write a channel: a random draw, an append."""
        self.read_channel(name)
        self.write_channel(name, how)

    # -- opaque code -------------------------------------------------------------------------------------

    def read_everything(self) -> None:
        """Depend on every name that is bound now."""
        for name in self.names:
            self.read_name(name)

    def write_anything(self, how: str) -> None:
        """Add the present cell to the writers of every name, bound or not yet."""
        self.is_opaque = True
        write = Write(self.cell, self.line, how)
        for name in self.names:
            binding = self.names[name]
            self.not_before(self.name_readers.of(name, self.cell), name, "may change")
            if write not in binding.writers:
                self.names[name] = binding._replace(writers=(*binding.writers, write))
        self.catch_all[self.cell] = write


def _place(change: Change) -> tuple[int, str]:
    return change.line, change.how


def _said(write: Write) -> str:
    return f"{write.how} in cell {write.cell}, line {write.line}"
