"""What analysis takes and gives: cells in, cells with reads, writes and edges out. Data only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

Role = Literal["setup", "parameters", "task", "plain", "skip"]
EdgeKind = Literal["data", "order", "channel", "declared"]
Seen = Literal["static", "run", "both"]


class CellSource(msgspec.Struct, frozen=True, kw_only=True):
    """A code cell as plain Python.

    ``source`` has IPython's own syntax rewritten to calls of ``get_ipython()``; ``magic`` is the text
    behind ``%%task`` (empty for a bare ``%%task``), or None; ``index`` counts code cells from 1.
    """

    id: str
    index: int
    source: str
    tags: tuple[str, ...] = ()
    magic: str | None = None
    """The rest of the ``%%task`` line, None if the cell does not begin with ``%%task``."""
    marker: Literal["parameters", "skip"] | None = None
    """Set by ``%%parameters`` and ``%%skip``."""
    python: tuple[int, int] | None = None
    """Version of the notebook's kernel, where it is known."""


class TaskOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What stands on a ``%%task`` line."""

    name: str | None = None
    retries: int = 0
    retry_delay_s: float = 0.0
    timeout_s: float | None = None
    trigger: str | None = None
    after: tuple[str, ...] = ()
    not_after: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    mutates: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    when: str | None = None
    """An expression: the cell runs if it is true."""
    map: tuple[tuple[str, str], ...] = ()
    """Names and the expressions whose items they are bound to, one after the other."""
    out_map: tuple[str, ...] = ()
    cache_for_s: float | None = None
    cache_by: Literal["inputs", "parameters", "all"] | None = None
    """None: as ``inputs``, but a cell that has effects beside its values is not kept."""
    cache_files: tuple[str, ...] = ()
    """Patterns of files that must not have changed."""


class CellInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One cell, read: its role, its name, the names it takes from above and gives below."""

    index: int
    id: str
    name: str
    role: Role
    reads: tuple[str, ...] = ()
    """Names that come from other cells (or from nowhere: then a warning says so), sorted."""
    writes: tuple[str, ...] = ()
    """Names bound or changed in place, sorted."""
    mutates: tuple[str, ...] = ()
    """The part of ``writes`` that is changed in place, not bound."""
    deletes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    defines: tuple[str, ...] = ()
    """Names bound by import, def and class."""
    is_preamble: bool = False
    """Only imports, definitions, docstrings and configuring magics: replayed, never passed."""
    is_opaque: bool = False
    """Runs code that cannot be read (``exec``, ``%run``, …): waits for all above, all below wait."""
    options: TaskOptions | None = None
    option_error: str | None = None
    """Why the ``%%task`` line cannot be used, in one sentence."""


class CellEdge(msgspec.Struct, frozen=True, kw_only=True):
    """Cell ``target_index`` needs cell ``source_index``, and why, in words without source text."""

    source_index: int
    target_index: int
    names: tuple[str, ...]
    kind: EdgeKind
    reason: str
    seen: Seen = "static"
    """Whether the source shows it, a run did, or both."""


class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """All cells in document order and every edge between them."""

    cells: tuple[CellInfo, ...]
    edges: tuple[CellEdge, ...]
    denied: tuple[CellEdge, ...] = ()
    """Edges that ``--not-after`` takes away: kept to be shown, waited for by nobody."""
    together: tuple[int, ...] = ()
    """Cells that handle an object which is changed under one name and seen under another, or that run code
    which cannot be read: values passed from one process to another would come apart."""
    shared: tuple[str, ...] = ()
    """The names of such objects."""

    @property
    def dependencies(self) -> tuple[CellEdge, ...]:
        """Edges that make the later cell wait for a value or an effect (all but ``order``)."""
        return tuple(edge for edge in self.edges if edge.kind != "order")

    @property
    def order_edges(self) -> tuple[CellEdge, ...]:
        """Edges that matter only where tasks share memory."""
        return tuple(edge for edge in self.edges if edge.kind == "order")

    def cell(self, index: int) -> CellInfo:
        """Return the cell of that number (1-based among code cells)."""
        return self.cells[index - 1]

    def upstream(self, index: int) -> Iterator[CellEdge]:
        """Yield the edges that end in cell *index*."""
        return (edge for edge in self.edges if edge.target_index == index)
