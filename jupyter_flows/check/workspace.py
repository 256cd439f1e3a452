"""A place where a notebook's cells may run and write without touching the notebook's own directory.

The copy holds the directory's small files; large ones, and what lies beside the directory further up, are
links to the originals, so that ``data/x.csv`` and ``../data/x.csv`` are found. (A link that a cell opens for
writing becomes a copy first; that is the kernel's side, ``probe.py``.)
"""

from __future__ import annotations

import os
import shutil
from collections import deque
from pathlib import Path

COPIED_BYTES = 16 * 1_048_576
"""How much is copied, small files first; the rest is linked."""
MAX_ENTRIES = 4_000
"""How many files and directories are made; directories beyond that are links."""
LEVELS_ABOVE = 3
_LEFT_OUT = frozenset({".git", ".ipynb_checkpoints", "__pycache__", ".venv", "node_modules"})


def make_workspace(source: Path, top: Path) -> Path:
    """Make a copy of the directory *source* somewhere below *top*; return it.

    Its parents have the names of the source's own, with links to what lies in them.
    """
    above = list(source.parents)[:LEVELS_ABOVE]
    place = top.resolve() / "copy"
    place.mkdir()
    inner = source
    chain = [*reversed([parent for parent in above if parent != Path(parent.anchor)]), source]
    for at, outer in enumerate(chain[:-1]):
        inner = chain[at + 1]
        place = place / (outer.name or "root")
        place.mkdir()
        _link_entries(outer, place, but=inner.name)
    place = place / (source.name or "root")
    _copy(source, place, but=top.resolve())
    return place


def _link_entries(source: Path, target: Path, *, but: str) -> None:
    try:
        names = [entry.name for entry in os.scandir(source)]
    except OSError:
        return
    for name in names[:MAX_ENTRIES]:
        if name != but:
            (target / name).symlink_to(source / name)


def _copy(source: Path, target: Path, *, but: Path) -> None:
    """Copy a directory without *but*, which holds the copy: the notebook may lie where temporary files do."""
    files: list[tuple[int, Path, Path]] = []
    target.mkdir()
    waiting = deque([(source, target)])
    count = 0
    while waiting:
        here, there = waiting.popleft()
        try:
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            count += 1
            made = there / entry.name
            if entry.name in _LEFT_OUT or (entry.name == but.name and Path(entry.path).resolve() == but):
                continue
            if entry.is_symlink() or count > MAX_ENTRIES:
                made.symlink_to(entry.path)
            elif entry.is_dir():
                made.mkdir()
                waiting.append((Path(entry.path), made))
            elif entry.is_file():
                files.append((entry.stat().st_size, Path(entry.path), made))
            else:
                made.symlink_to(entry.path)
    left = COPIED_BYTES
    for size, original, made in sorted(files):
        if size <= left:
            try:
                shutil.copyfile(original, made)
            except OSError:
                made.symlink_to(original)
            else:
                shutil.copystat(original, made)
                left -= size
        else:
            made.symlink_to(original)
