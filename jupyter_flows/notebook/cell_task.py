"""A notebook cell as a task. Holds its source as text, so a pickle of it carries no frozen globals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jupyter_flows.core.task import Task


class CellTask(Task):
    """A code cell; executed by a backend that knows how to run cells, never by ``run``.

    Parameters
    ----------
    name : str
    source : str
        The cell's body without its ``%%task`` line, in IPython's syntax.
    cell_id : str
        The nbformat id.
    index : int
        Place among the code cells, from 1; of a group, that of its first cell.
    members : iterable of int
        Places of the cells that it stands for, where cells are grouped; default: its own.
    role : {"task", "plain", "setup", "parameters"}
    reads, writes : iterable of str
        Variables that it takes and makes.
    defines : iterable of str
        The part of *writes* that import, def and class bind.
    shared : iterable of str, optional
        Names of objects that go under several names: the cell must run where the others run that handle
        them. None: its values can be passed from one process to another.
    warnings : iterable of str
        What analysis could not see.
    is_barrier : bool
        Whether it runs code that cannot be read: it waits for all cells above, and all below wait for it.
    when : str, optional
        An expression of Python: the cell is skipped if it is false.
    wrapping : dict, optional
        What ``--map`` and ``--cache-for`` ask for, as ``engine.cell_options`` wants it.
    options : any
        Of :class:`~jupyter_flows.core.task.Task`.
    """

    def __init__(
        self,
        name: str,
        *,
        source: str,
        cell_id: str,
        index: int,
        members: Iterable[int] = (),
        role: str = "task",
        reads: Any = (),
        writes: Any = (),
        defines: Any = (),
        shared: Iterable[str] | None = None,
        warnings: Any = (),
        is_barrier: bool = False,
        auto_generated: bool = False,
        when: str | None = None,
        wrapping: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(name, **options)
        self.source = source
        self.cell_id = cell_id
        self.index = index
        self.members = tuple(members) or (index,)
        self.role = role
        self.reads = frozenset(reads)
        self.writes = frozenset(writes)
        self.defines = frozenset(defines)
        self.shared = None if shared is None else frozenset(shared)
        self.warnings = tuple(warnings)
        self.is_barrier = is_barrier
        self.auto_generated = auto_generated
        self.when = when
        self.wrapping = wrapping

    def __repr__(self) -> str:
        return f"<CellTask: {self.name}, cell {self.index}>"
