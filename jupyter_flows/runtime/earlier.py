"""An earlier run of a notebook, found again: its executed notebook, its book, the outputs of its cells."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any

import msgspec

from jupyter_flows.core.near import listed
from jupyter_flows.errors import CannotResume, CheckpointUnreadable, InvalidNotebook
from jupyter_flows.notebook.read import notebook_cells, notebook_content, read_text
from jupyter_flows.notebook.write import KEY
from jupyter_flows.runtime.book import Gift, read_book, whole


class Earlier(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of a run.

    Parameters
    ----------
    directory : Path
        Where its book is.
    name : str
        What it is called in the notebook of the run that goes on from it.
    cells : mapping
        Code cells of its executed notebook, by their ids.
    parameters : mapping
        What it ran with.
    is_forced : bool
        Take results of tasks whose code has changed since.
    path : Path, optional
        Its executed notebook, where a person named that.
    source : str
        The notebook that was executed, as its run named it; empty if that is not known.
    """

    directory: Path
    name: str = "the run before"
    cells: Mapping[str, Any] = {}
    parameters: Mapping[str, Any] = {}
    is_forced: bool = False
    path: Path | None = None
    source: str = ""

    def gifts(self) -> dict[str, Gift]:
        """Return what its tasks gave, as far as it is still whole.

        Raises
        ------
        CheckpointUnreadable : there is no book.
        """
        return whole(self.directory, read_book(self.directory))

    def require_same(self, *, source: str, names: Collection[str], digests: Mapping[str, str]) -> None:
        """Refuse the run of another notebook than *source*, with its tasks and the digests of their code.

        A notebook may have been renamed and edited since: another one has none of its tasks, or has another
        name and of what the run gave not a single task's code.

        Raises
        ------
        CannotResume : naming both.
        """
        if self.path is None:
            return
        theirs = dict.fromkeys(
            str(entry["task"])
            for cell in self.cells.values()
            if isinstance(entry := cell.get("metadata", {}).get(KEY), dict) and entry.get("task")
        )
        was = PurePath(self.source).name
        if theirs and not theirs.keys() & set(names):
            why = f"none of its tasks ({listed(theirs, most=5)}) is in this one"
        elif was and was != PurePath(source).name and not self.is_forced:
            gifts = self.gifts()
            if not gifts or any(gift.code == digests.get(slug) for slug, gift in gifts.items()):
                return
            why = "no task of it has the code that it has in this one"
        else:
            return
        msg = (
            f"{self.path}: executed from {was or 'another notebook'}, not from {PurePath(source).name}: "
            f"{why}; name a run of this notebook, or run without --resume"
        )
        raise CannotResume(msg)

    def hand_over(self, gifts: Iterable[Gift], directory: Path) -> None:
        """Make the files of *gifts* files of another run's directory too."""
        if directory == self.directory:
            return
        for gift in gifts:
            source, target = self.directory / gift.file, directory / gift.file
            if gift.file and source.exists() and not target.exists():
                try:
                    os.link(source, target)
                except OSError:
                    shutil.copyfile(source, target)


def checkpoint_beside(path: Path) -> Path:
    """Return where the checkpoint of an executed notebook lies.

    Examples
    --------
    >>> checkpoint_beside(Path("out/report.ipynb")).as_posix()
    'out/.report.ipynb.checkpoint'
    """
    return path.with_name(f".{path.name}.checkpoint")


def earlier_run(
    path: Path,
    *,
    is_forced: bool = False,
    then: str = "run without --resume",
    otherwise: str = "so there is nothing to go on from",
) -> Earlier:
    """Return the run that wrote the executed notebook *path*.

    Parameters
    ----------
    path : Path
    is_forced : bool
    then, otherwise : str
        For messages: what follows if nothing is left of the run, and if there was none.

    Raises
    ------
    InvalidNotebook : it is no notebook, or was not executed by us.
    CheckpointUnreadable : its checkpoint is gone.
    """
    content = notebook_content(read_text(path), path=str(path))
    notebook_cells(content, path=str(path))  # refuses what are no cells
    path = path.absolute()
    facts = content.get("metadata", {}).get(KEY)
    if not isinstance(facts, dict) and checkpoint_beside(path).is_dir():
        facts = {}  # the run was killed: what it was is written at its end, what it gave as it goes
    if not isinstance(facts, dict):
        msg = f"{path}: not an executed notebook of jupyter flows, {otherwise}"
        raise InvalidNotebook(msg)
    named = facts.get("checkpoint")
    places = [checkpoint_beside(path), *([Path(named)] if isinstance(named, str) else [])]
    directory = next((place for place in places if place.is_dir()), None)
    if directory is None:
        if facts.get("state") in {"Success", "Skipped"}:
            msg = f"{path}: that run succeeded, so nothing of it was kept; {then}"
        else:
            msg = f"{path}: the checkpoint of that run is not there ({places[-1]}); {then}"
        raise CheckpointUnreadable(msg)
    parameters = content["metadata"].get("papermill", {}).get("parameters", {})
    return Earlier(
        directory=directory,
        name=f"run {facts['run']}" if isinstance(facts.get("run"), str) else path.name,
        cells=_code_cells(content),
        parameters=parameters if isinstance(parameters, dict) else {},
        is_forced=is_forced,
        path=path,
        source=str(content["metadata"].get("papermill", {}).get("input_path") or facts.get("flow") or ""),
    )


def earlier_attempt(directory: Path, notebooks: Iterable[Path]) -> Earlier:
    """Return an earlier attempt of a run, with the cells of the first of *notebooks* that can be read.

    Raises
    ------
    CheckpointUnreadable : its book is not there.
    """
    read_book(directory)
    cells: dict[str, Any] = {}
    for path in notebooks:
        with contextlib.suppress(InvalidNotebook):
            cells = _code_cells(notebook_content(read_text(path), path=str(path)))
            break
    return Earlier(directory=directory, name="the attempt before", cells=cells)


def _code_cells(content: Mapping[str, Any]) -> dict[str, Any]:
    return {
        cell["id"]: cell
        for cell in content["cells"]
        if cell.get("cell_type") == "code" and isinstance(cell.get("id"), str)
    }


def durations(path: Path, names: Iterable[str]) -> dict[str, float]:
    """Return how long tasks took when *path* was executed, in seconds; empty if that is not known."""
    wanted = set(names)
    found: dict[str, float] = {}
    with contextlib.suppress(InvalidNotebook):
        for cell in notebook_content(read_text(path), path=str(path))["cells"]:
            entry = cell.get("metadata", {}).get(KEY)
            if isinstance(entry, dict) and entry.get("task") in wanted:
                seconds = entry.get("duration_s")
                if isinstance(seconds, int | float):
                    found[str(entry["task"])] = max(found.get(str(entry["task"]), 0.0), float(seconds))
    return found
