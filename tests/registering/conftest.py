"""Registering as users do it: from here, and from processes that know nothing of each other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def notebook(path: Path, *sources: str, parameters: str | None = None) -> Path:
    """Write a notebook without needing nbformat; ids are stable."""
    cells = [("code", f"c{n}", source, []) for n, source in enumerate(sources)]
    if parameters is not None:
        cells.insert(0, ("code", "p", parameters, ["parameters"]))
    content = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "cells": [
            {"cell_type": kind, "id": own, "source": source, "metadata": {"tags": tags}, "outputs": [], "execution_count": None}
            for kind, own, source, tags in cells
        ],
    }  # fmt: skip
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture
def stored(server) -> Callable[[], list[str]]:
    """Names of the files in storage."""

    def names() -> list[str]:
        root = server.settings.storage_path
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())

    return names


@pytest.fixture
def fresh(server) -> Callable[..., Any]:
    """Register from a fresh process: ``fresh(path, "--storage", "pickle", seed=1)``; return the receipt."""

    def register(*arguments: Any, seed: int = 0, **env: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "jupyter_flows", "register", *map(str, arguments), "--json"],
            env={
                **os.environ,
                "JUPYTER_FLOWS_HOME": str(server.settings.home),
                "PYTHONHASHSEED": str(seed),
                **env,
            },
            cwd="/",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return register
