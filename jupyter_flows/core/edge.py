"""An edge of a flow: upstream task to downstream task. Pure, frozen."""

from __future__ import annotations

import keyword
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from jupyter_flows.errors import InvalidFlow

if TYPE_CHECKING:
    from jupyter_flows.core.task import Task

EdgeKind = Literal["data", "order", "channel", "declared"]


class Edge(msgspec.Struct, frozen=True, eq=False):
    """Upstream to downstream; with a ``key`` the upstream's result becomes that argument.

    Parameters
    ----------
    upstream_task, downstream_task : Task
    key : str, optional
        Argument of the downstream's ``run`` that gets the result.
    mapped, flattened : bool
        Whether the downstream runs once for each item, and whether items are unnested first.
    kind : {"data", "order", "channel", "declared"}
        Why the edge is there, for edges between cells.
    names : tuple of str
        Variables that carry the data, for edges between cells.
    reason : str
        A sentence.

    Raises
    ------
    InvalidFlow : the key is no argument name, or the edge goes from a task to itself.
    """

    upstream_task: Task
    downstream_task: Task
    key: str | None = None
    mapped: bool = False
    flattened: bool = False
    kind: EdgeKind = "data"
    names: tuple[str, ...] = ()
    reason: str = ""

    def __post_init__(self) -> None:
        if self.key is not None and (not self.key.isidentifier() or keyword.iskeyword(self.key)):
            msg = f"edge to task {self.downstream_task.name!r}: {self.key!r} is no argument name"
            raise InvalidFlow(msg)
        if self.upstream_task is self.downstream_task:
            msg = f"task {self.upstream_task.name!r} cannot be upstream of itself"
            raise InvalidFlow(msg)

    def values(self) -> tuple[Any, ...]:
        """Return what it was made of, without what is as usual at the end: mostly two tasks and a key."""
        values = _VALUES(self)
        needed = len(values)
        for default in reversed(self.__struct_defaults__):
            if values[needed - 1] != default:
                break
            needed -= 1
        return values[:needed]

    def __reduce__(self) -> tuple[type[Edge], tuple[Any, ...]]:
        return type(self), self.values()

    def __repr__(self) -> str:
        key = f" as {self.key}" if self.key else ""
        return f"<Edge: {self.upstream_task.name} to {self.downstream_task.name}{key}>"


_VALUES: attrgetter[tuple[Any, ...]] = attrgetter(*Edge.__struct_fields__)
