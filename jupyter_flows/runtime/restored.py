"""The state of a failed run in a living kernel: variables as they were before the cell that failed.

Runs in that kernel. The executed notebook says which cell failed, the checkpoint of its run has the values;
setup cells are run again. What cannot be restored is named with the task that makes it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import msgspec

from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.errors import InvalidNotebook, InvalidOption
from jupyter_flows.notebook.build import build_flow
from jupyter_flows.notebook.cell_task import CellTask
from jupyter_flows.notebook.read import notebook_content, read_text
from jupyter_flows.notebook.write import KEY
from jupyter_flows.runtime import kernel_values
from jupyter_flows.runtime.book import BOOK, Book, newest_joint, place_for_kernel
from jupyter_flows.runtime.checkpoints import NAME
from jupyter_flows.runtime.document import Document
from jupyter_flows.runtime.earlier import Earlier, earlier_attempt, earlier_run
from jupyter_flows.runtime.passing import Needs, needs_of, slugs_above
from jupyter_flows.runtime.resume import no_task

_FAILED = frozenset({"Failed", "TimedOut", "Cancelled"})
_DONE = frozenset({"Success", "Cached", "Mapped"})


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What a kernel has now."""

    task: str
    cell: int
    """The number of the task's first cell among the code cells."""
    source: str
    place: int
    """Place of that cell among all cells of the notebook; of several cells, the one that raised."""
    cell_id: str
    """Its id; empty if the notebook's format has none."""
    above: tuple[str, ...]
    """Sources of the cells above that went well in the run."""
    names: tuple[str, ...]
    missing: Mapping[str, str]
    """Variable -> why it is not there, and what makes it."""
    setup: tuple[str, ...]
    """Setup cells that were run again."""


def restorable(path: Path, *, task: str | None = None) -> str:
    """Return the name of the task before which :func:`restore` would bring the variables.

    Raises
    ------
    InvalidNotebook, CheckpointUnreadable, InvalidOption : as :func:`restore` does.
    """
    _, earlier, _, chosen = _found(path, task)
    earlier.gifts()
    return chosen.name


def restore(path: Path, shell: Any, *, task: str | None = None) -> Restored:
    """Bring the variables of a failed run into the namespace of *shell*.

    Parameters
    ----------
    path : Path
        The executed notebook.
    shell : InteractiveShell
        The kernel's.
    task : str, optional
        The task before which; default: the first that failed.

    Notes
    -----
    The process works in the run's directory afterwards: files and modules are found as the run found them.

    Raises
    ------
    InvalidNotebook, CheckpointUnreadable : there is nothing to restore.
    InvalidOption : there is no such task.
    """
    document, earlier, graph, chosen = _found(path, task)
    _work_in(document.nb.metadata.get(KEY, {}).get("directory"))
    needs = needs_of(graph)
    need = needs[graph.slugs[chosen]]
    book = Book(earlier.directory, keeps=False)
    for gift in earlier.gifts().values():
        book.restore(gift)
    sys.modules["_jupyter_flows_values"] = kernel_values
    places = document.own_places(graph.slugs)
    setup, missing = _run_setup(shell, document, needs, places, above=need)
    loads, lost = _loads(book, needs, need, ran=setup, without=missing.keys())
    missing |= lost
    state = {}
    for channel, providers in need.channels.items():
        keeper = book.keeper_of(channel, providers)
        kept = book.gift(keeper) if keeper is not None and keeper not in setup else None
        if kept is not None:
            state[channel] = place_for_kernel(book.path(kept), kept.channels[channel], name=channel)
    failed = json.loads(kernel_values.take(json.dumps({"load": loads, "state": state})))["failed"]
    names = {name for place in loads for name in place["names"]} - set(failed)
    place = _raised(document, places[need.slug])
    return Restored(
        task=chosen.name,
        cell=chosen.index,
        place=place,
        cell_id=document.nb.cells[place].get("id", ""),
        above=tuple(
            document.nb.cells[other].source
            for other in document.positions
            if other < places[need.slug][0] and _state(document, other) in _DONE
        ),
        source="\n\n".join(document.nb.cells[place].source for place in places[need.slug]),
        names=tuple(sorted(names)),
        missing={**missing, **failed},
        setup=tuple(setup),
    )


def _found(path: Path, task: str | None) -> tuple[Document, Earlier, FlowGraph, CellTask]:
    """Return the executed notebook, its run, its graph, and the task that is looked at."""
    from nbformat import from_dict

    content = notebook_content(read_text(path), path=str(path))
    document = Document(from_dict(content), path.stem)
    earlier = _earlier(path)
    facts = content.get("metadata", {}).get(KEY, {})
    graph = build_flow(
        document.registered,
        path.stem,
        all_cells=facts.get("all_cells") is True,
        by_heading=facts.get("by_heading") is True,
    )
    return document, earlier, graph, _chosen(graph, document, task, path=path)


def _earlier(path: Path) -> Earlier:
    beside = path.absolute().parent / NAME
    if (beside / BOOK).is_file():
        return earlier_attempt(beside, [path])
    return earlier_run(
        path,
        then="its variables cannot be restored",
        otherwise="so no variables of it were kept; name the one that a run has written",
    )


def _work_in(directory: Any) -> None:
    if isinstance(directory, str) and Path(directory).is_dir():
        os.chdir(directory)


def _state(document: Document, place: int) -> str:
    return str(document.nb.cells[place].metadata.get(KEY, {}).get("state", ""))


def _raised(document: Document, places: tuple[int, ...]) -> int:
    """Return the place of the cell that raised, of a task's cells."""
    for place in places:
        if any(output["output_type"] == "error" for output in document.nb.cells[place].outputs):
            return place
    return places[0]


def _chosen(graph: FlowGraph, document: Document, task: str | None, *, path: Path) -> CellTask:
    tasks = [one for one in graph.slugs if isinstance(one, CellTask)]
    if task is not None:
        found = next((one for one in tasks if task in {one.name, graph.slugs[one]}), None)
        if found is None:
            raise InvalidOption(no_task(graph, task))
        return found
    for one in tasks:
        if _state(document, document.positions[one.index - 1]) in _FAILED:
            return one
    msg = f"{path}: no task of that run failed; name the one to look at"
    raise InvalidNotebook(msg)


def _run_setup(
    shell: Any,
    document: Document,
    needs: Mapping[str, Needs],
    places: Mapping[str, tuple[int, ...]],
    *,
    above: Needs,
) -> tuple[list[str], dict[str, str]]:
    """Run setup cells; return the slugs of those that went well, and the names that others did not make."""
    ran, missing = [], {}
    for code in document.codes(tuple(document.injected)):
        shell.run_cell(code, store_history=False, silent=True)
    for other in sorted(needs.values(), key=lambda one: one.index):
        if other.is_replayed and other.index < above.index:
            results = [
                shell.run_cell(code, store_history=False, silent=True)
                for code in document.codes(places[other.slug])
            ]
            error = next(filter(None, (one.error_before_exec or one.error_in_exec for one in results)), None)
            if error is None:
                ran.append(other.slug)
            else:
                why = f"{type(error).__name__} when setup cell {other.slug} was run again"
                missing.update(dict.fromkeys(sorted(other.defines), why))
            kernel_values.know(json.dumps(sorted(other.defines)))
    return ran, missing


def _loads(
    book: Book, needs: Mapping[str, Needs], need: Needs, *, ran: list[str], without: AbstractSet[str]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    loads: list[dict[str, Any]] = []
    missing: dict[str, str] = {}
    wanted: dict[str, str] = {}
    for slug in reversed(slugs_above(needs, need)):
        # Not only what the cell reads: whoever looks for a fault wants to see what stood around it.
        gift = book.gift(slug)
        if gift is not None and slug not in ran:
            wanted.update(
                {name: slug for name, place in gift.names.items() if place.kind == "stored" and place.bytes}
            )
    for name, providers in need.names.items():
        giver = book.giver(name, providers)
        wanted.pop(name, None)
        if giver is None:
            if providers[-1] not in ran:
                missing[name] = f"{providers[-1]} did not give it"
        elif giver not in ran:
            wanted[name] = giver
    joint = newest_joint(map(book.gift, slugs_above(needs, need))) if set(wanted) & need.shared else None
    if joint is not None:
        gift, place = joint
        loads.append(place_for_kernel(book.path(gift), place))
        wanted = {name: giver for name, giver in wanted.items() if place.versions.get(name) != giver}
    for name, giver in wanted.items():
        if name in without:
            continue
        given = book.gift(giver)
        assert given is not None
        place = given.names[name]
        if place.kind == "stored":
            loads.append(place_for_kernel(book.path(given), place, name=name))
        else:
            missing[name] = f"{place.why}; {giver} makes it"
    return loads, missing
