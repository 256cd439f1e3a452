"""The kept results of cells have a bound in all: what was used longest ago goes first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jupyter_flows.engine.cell_cache import CellCache
from jupyter_flows.engine.namespace import in_directory
from jupyter_flows.errors import InvalidSettings
from jupyter_flows.settings import load_settings

MB = 1 << 20


class Cells:
    """Cells of one megabyte each, run with a cache; ``ran`` names those that were not taken from it."""

    def __init__(self, directory: Path, limit_bytes: int) -> None:
        self.directory = directory
        self.limit_bytes = limit_bytes
        self.ran: list[str] = []

    def run(self, *names: str, size: int = MB) -> None:
        """Run cells."""
        for name in names:
            source = f"{name} = bytes({size})"
            asked: dict[str, Any] = {
                "directory": str(self.directory), "limit_bytes": self.limit_bytes, "seconds": 3600,
                "source": source, "options": "", "names": [], "code": [], "writes": [name], "needed": [name],
                "files": [], "told": True, "follows": False, "run": "", "shared": "",
            }  # fmt: skip
            namespace: dict[str, Any] = {}
            cache = CellCache(asked, namespace)
            if not cache.look_up():
                self.ran.append(name)
                exec(source, namespace)
                cache.keep()
            assert size == len(namespace[name])

    def size(self) -> int:
        """Bytes of all that is kept."""
        return sum(path.stat().st_size for path in self.directory.iterdir())


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    """Not what was made longest ago: a result that is taken again and again stays."""
    cells = Cells(tmp_path / "cells", 3 * MB + MB // 2)
    cells.run("a", "b", "c", "a", "d")
    assert ["a", "b", "c", "d"] == cells.ran
    assert cells.size() <= cells.limit_bytes
    cells.ran.clear()
    cells.run("a", "c", "d", "b")
    assert ["b"] == cells.ran


def test_a_result_larger_than_all_may_have_is_not_kept_and_said(tmp_path: Path, capsys) -> None:
    """Nothing else has to go for it."""
    cells = Cells(tmp_path / "cells", 3 * MB)
    cells.run("a")
    cells.run("b", size=4 * MB)
    said = capsys.readouterr().err
    assert (
        "(--cache-for: not kept, because it has 4 MB, and all results together may have 3 MB "
        "(setting cache_mb))\n" == said
    )
    cells.run("a", "b")
    assert ["a", "b", "b"] == cells.ran


def test_without_a_bound_all_stay(tmp_path: Path) -> None:
    cells = Cells(tmp_path / "cells", 0)
    cells.run(*"abcdef")
    cells.run(*"abcdef")
    assert list("abcdef") == cells.ran


def test_the_bound_is_a_setting(monkeypatch) -> None:
    monkeypatch.setenv("JUPYTER_FLOWS_CACHE_MB", "7")
    assert 7 * MB == in_directory({"cache": {}})["cache"]["limit_bytes"]
    with pytest.raises(InvalidSettings, match="^cache_mb is -1; use megabytes, or 0 for no limit$"):
        load_settings({"JUPYTER_FLOWS_CACHE_MB": "-1"})
