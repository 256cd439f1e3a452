"""The book of who read and wrote what: global names, objects and hidden channels, cell by cell.

Turns reads into edges at the moment they happen (nearest writer above) and remembers who must not be
overtaken. Knows nothing of syntax.
"""

from __future__ import annotations

from jupyter_flows.analysis.knowledge import BUILTINS
from jupyter_flows.analysis.objects import (
    EMPTY,
    IMMUTABLE_KINDS,
    Binding,
    Change,
    Frame,
    Obj,
    Value,
    Write,
    closure_of,
)

HELD_DEPTH = 4
"""How deep what a name is bound to is looked into for the objects that its cell handles."""


class Ledger:
    """State of the namespace while the cells are walked from top to bottom."""

    def __init__(self) -> None:
        self.module = Frame("module", None)
        self.cell = 0
        self.line = 1
        self.through: list[str] = []
        """Names of the functions whose bodies are being walked, outermost first."""
        self.edges: dict[tuple[int, int, str], dict[str, str]] = {}
        """(source, target, kind) -> {name: reason}."""
        self.ancestors: dict[int, int] = {}
        """Cell -> bit mask of the cells it depends on."""
        self.overtaking: dict[int, list[tuple[int, str, str]]] = {}
        """Cell -> (bit mask of earlier readers, name, what the cell does to it)."""
        self.name_readers: dict[str, int] = {}
        """Name -> bit mask of the cells that read it from above."""
        self.together = 0
        """Bit mask of the cells that handle an object changed under one name and seen under another."""
        self.shared: set[str] = set()
        """The names of such objects."""
        self._published: dict[int, set[str]] = {}
        """Cell -> the names that it writes."""
        self.channels: dict[str, list[Write]] = {}
        self.channel_readers: dict[str, int] = {}
        self.catch_all: list[Write] = []
        """Cells that may have bound any name: star imports, opaque code."""
        self.outputs: list[Write] = []
        self.builtins: dict[str, Obj] = {}
        self.modules: dict[str, Obj] = {}
        self.members: dict[str, Obj] = {}
        self.begin(0)

    def begin(self, cell: int) -> None:
        """Open a cell's page."""
        self.cell = cell
        self.line = 1
        self.ancestors[cell] = 0
        self.reads: set[str] = set()
        self.writes: set[str] = set()
        self._published[cell] = self.writes
        self.mutates: set[str] = set()
        self.deletes: set[str] = set()
        self.defines: set[str] = set()
        self.missing: dict[str, int] = {}
        self.warnings: dict[str, None] = {}
        self.is_opaque = False
        self.touched: dict[str, tuple[set[Obj], dict[tuple[str, int], Change]]] = {}
        self._held: dict[tuple[str, int], int] = {}

    # -- edges -------------------------------------------------------------------------------------------

    def warn(self, sentence: str) -> None:
        """Put a sentence on the cell, once."""
        self.warnings.setdefault(sentence)

    def need(self, source: int, name: str, *, kind: str = "data", reason: str) -> None:
        """Note that the present cell needs *source*."""
        if source in {self.cell, 0}:
            return
        self.edges.setdefault((source, self.cell, kind), {}).setdefault(name, reason)
        self.ancestors[self.cell] |= self.ancestors[source] | 1 << source

    def not_before(self, readers: int, name: str, verb: str) -> None:
        """Note that the present cell overwrites what the cells in *readers* (a bit mask) had to read."""
        readers &= ~(1 << self.cell)
        if readers:
            self.overtaking.setdefault(self.cell, []).append((readers, name, verb))

    def _where(self) -> str:
        names = list(dict.fromkeys(self.through))
        return f" (in {' → '.join(names)})" if names else ""

    # -- global names ------------------------------------------------------------------------------------

    def read_name(self, name: str, *, quiet: bool = False) -> Value:
        """Read a global (or builtin) name and everything that can be reached through it."""
        binding = self.module.variables.get(name)
        if binding is None:
            return self._read_unbound(name, quiet=quiet)
        writers = {write.cell: write for write in binding.writers if write.cell != self.cell}
        if writers:
            self.name_readers[name] = self.name_readers.get(name, 0) | 1 << self.cell
        changes = self._touch(name, binding.value)
        if not writers and not changes:
            if not binding.writers and not name.startswith("__flows_"):
                self.reads.add(name)  # nobody gives it, as an earlier cell was told: a run may show who does
            return binding.value
        self.reads.add(name)
        above = 0
        for cell in writers:
            above |= self.ancestors[cell] | 1 << cell
        same = [change for label, change in changes if label == name]
        covered = 0
        for change in same:
            covered |= self.ancestors[change.cell]
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
            if name not in self._published.get(change.cell, ()):
                self._keep_together(self._held.get((label, change.cell), 0) | 1 << change.cell, {name, label})
        return binding.value

    def _keep_together(self, cells: int, names: set[str]) -> None:
        """Note that an object goes under several names, so that a copy for each would come apart."""
        cells |= 1 << self.cell
        for name in names:
            binding = self.module.variables.get(name)
            for write in binding.writers if binding is not None else ():
                cells |= 1 << write.cell
        if cells & cells - 1:
            self.together |= cells
            self.shared |= names

    def _touch(self, name: str, value: Value) -> list[tuple[str, Change]]:
        """Mark all that *name* reaches as read by this cell; return what others changed in it."""
        # What was found once stays found: a second mention in the cell must come to the same answer.
        seen, changes = self.touched.setdefault(name, (set(), {}))
        stack = [(obj, True) for obj in value]
        bit = 1 << self.cell
        while stack:
            obj, is_direct = stack.pop()
            if obj in seen:
                continue
            seen.add(obj)
            obj.readers |= bit
            obj.holders |= bit
            change = obj.change
            if change is not None and change.cell != self.cell:
                label = name if is_direct or change.label is None else change.label
                changes.setdefault((label, change.cell), change)
                held = self._held.get((label, change.cell), 0)
                self._held[label, change.cell] = held | obj.holders
            stack.extend((inner, False) for inner in obj.reachable() if inner not in seen)
        return [(label, change) for (label, _), change in sorted(changes.items())]

    def _read_unbound(self, name: str, *, quiet: bool) -> Value:
        if name not in BUILTINS:
            if self._read_history(name):
                return EMPTY
            if self.catch_all:
                for write in self.catch_all:
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
            self.module.variables[name] = Binding((), frozenset({stand_in}))
            return self.read_name(name, quiet=True)
        known = self.builtins.get(name)
        if known is None:
            known = self.builtins[name] = Obj("builtin", name)
        return frozenset({known})

    def _read_history(self, name: str) -> bool:
        """Follow ``_``, ``__``, ``_7``: the values of IPython's history."""
        if name.strip("_") == "" and len(name) <= 3:
            earlier = [write for write in self.outputs if write.cell != self.cell]
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
        for write in self.outputs:
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
            self.module.variables[name] = Binding((), value)
            return
        self.not_before(self.name_readers.get(name, 0), name, "rebinds")
        self.module.variables[name] = Binding((Write(self.cell, self.line, how),), value)
        for obj in value:
            obj.names.add(name)
        for obj in closure_of(value, depth=HELD_DEPTH):
            obj.holders |= 1 << self.cell
        self.writes.add(name)

    def delete_name(self, name: str) -> None:
        """Take a global name away."""
        self.not_before(self.name_readers.get(name, 0), name, "deletes")
        self.module.variables[name] = Binding(
            (Write(self.cell, self.line, "deleted"),), EMPTY, is_deleted=True
        )
        self.deletes.add(name)
        self.writes.discard(name)

    # -- objects -----------------------------------------------------------------------------------------

    def change(self, value: Value, how: str, *, label: str | None = None) -> None:
        """Note that the present cell changes these objects in place."""
        stack = list(value)
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
            self.not_before(obj.readers, via or "an object", "changes")
            obj.readers |= 1 << self.cell
            obj.change = Change(self.cell, self.line, how, via)
            changed = names if via is None or via in names else [via, *names]
            self.mutates.update(changed)
            self.writes.update(changed)
            if len(changed) > 1:
                self._keep_together(obj.holders, set(changed))
            stack.extend(obj.viewed)

    def _is_known_elsewhere(self, name: str) -> bool:
        """Whether *name* is one that other cells gave: a name of this cell's own says nothing to a reader."""
        binding = self.module.variables.get(name)
        return binding is not None and any(write.cell != self.cell for write in binding.writers)

    def _is_bound_to(self, name: str, obj: Obj) -> bool:
        binding = self.module.variables.get(name)
        return binding is not None and obj in binding.value

    # -- hidden channels ---------------------------------------------------------------------------------

    def read_channel(self, name: str) -> None:
        """Depend on whoever wrote the channel last."""
        for write in self.channels.get(name, ()):
            self.need(
                write.cell, name, kind="channel", reason=f"cell {self.cell} uses {name}, {_said(write)}"
            )
        self.channel_readers[name] = self.channel_readers.get(name, 0) | 1 << self.cell

    def write_channel(self, name: str, how: str, *, keeps_earlier: bool = False) -> None:
        """Write a hidden channel; *keeps_earlier* where readers see earlier writers too."""
        self.not_before(self.channel_readers.get(name, 0), name, "changes")
        earlier = self.channels.get(name, []) if keeps_earlier else []
        self.channels[name] = [
            *(write for write in earlier if write.cell != self.cell),
            Write(self.cell, self.line, how),
        ]

    def update_channel(self, name: str, how: str) -> None:
        """Read and write a channel: a random draw, an append."""
        self.read_channel(name)
        self.write_channel(name, how)

    # -- opaque code -------------------------------------------------------------------------------------

    def read_everything(self) -> None:
        """Depend on every name that is bound now."""
        for name in list(self.module.variables):
            self.read_name(name)

    def write_anything(self, how: str) -> None:
        """Add the present cell to the writers of every name, bound or not yet."""
        self.is_opaque = True
        write = Write(self.cell, self.line, how)
        for name, binding in list(self.module.variables.items()):
            self.not_before(self.name_readers.get(name, 0), name, "may change")
            if write not in binding.writers:
                self.module.variables[name] = binding._replace(writers=(*binding.writers, write))
        self.catch_all = [*(other for other in self.catch_all if other.cell != self.cell), write]


def _said(write: Write) -> str:
    return f"{write.how} in cell {write.cell}, line {write.line}"
