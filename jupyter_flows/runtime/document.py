"""The notebook of a run as registered and as parameterised: papermill may have put a cell in between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jupyter_flows.notebook.cell_task import CellTask
from jupyter_flows.notebook.read import CodeCell, notebook_cells
from jupyter_flows.runtime.cell_code import code_for_kernel, is_skipped

if TYPE_CHECKING:
    from jupyter_flows.core.task import Task


class Document:
    """An open notebook.

    Parameters
    ----------
    nb : NotebookNode
    name : str
        For messages.

    Attributes
    ----------
    positions : list of int
        Place in the notebook of each registered code cell.
    injected : list of int
        Places of the cells that papermill has put in.
    """

    def __init__(self, nb: Any, name: str) -> None:
        code = [(place, cell) for place, cell in enumerate(nb.cells) if cell.cell_type == "code"]
        self.nb = nb
        self.positions = [place for place, cell in code if not _is_injected(cell)]
        self.injected = [place for place, cell in code if _is_injected(cell)]
        registered = [cell for cell in nb.cells if not _is_injected(cell)]
        self.registered = notebook_cells({**nb, "cells": registered}, path=name)
        self.language = self.registered.language
        self._all = notebook_cells(nb, path=name)

    def plain_cells(self) -> list[CodeCell]:
        """Every cell that would run from top to bottom."""
        return [cell for cell in self._all.cells if cell.source.strip() and not is_skipped(cell.source)]

    def places_by_task(self, slugs: Mapping[Task, str]) -> dict[str, tuple[int, ...]]:
        """Return the places of each task's cells; an injected cell belongs to the one that it stands below.

        What is injected above all cells belongs to the first.
        """
        found = {
            slug: [self.positions[number - 1] for number in task.members]
            for task, slug in slugs.items()
            if isinstance(task, CellTask)
        }
        for place in self.injected:
            above = [slug for slug, places in found.items() if places[0] < place]
            if above:
                found[max(above, key=lambda slug: found[slug][0])].append(place)
            elif found:
                found[min(found, key=lambda slug: found[slug][0])].insert(0, place)
        return {slug: tuple(places) for slug, places in found.items()}

    def own_places(self, slugs: Mapping[Task, str]) -> dict[str, tuple[int, ...]]:
        """Return the places of each task's own cells."""
        return {
            slug: tuple(self.positions[number - 1] for number in task.members)
            for task, slug in slugs.items()
            if isinstance(task, CellTask)
        }

    def codes(self, places: tuple[int, ...]) -> tuple[str, ...]:
        """Return what a kernel is sent of the cells at *places*."""
        return tuple(code_for_kernel(self.nb.cells[place].source) for place in places)

    def number(self, place: int, count: int) -> None:
        """Give a cell its number in this run; each kernel counts for itself."""
        cell = self.nb.cells[place]
        if cell.execution_count is not None:
            cell.execution_count = count
        for output in cell.outputs:
            if output["output_type"] == "execute_result":
                output["execution_count"] = count


def _is_injected(cell: Any) -> bool:
    return "injected-parameters" in cell.metadata.get("tags", [])
