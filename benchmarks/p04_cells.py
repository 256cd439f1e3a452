"""P4: a headless notebook of 400 one-line cells, beside nbclient and papermill."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# The grammar for checking IRIs costs 1.5 s of everybody's start; nobody here checks IRIs.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

import nbformat  # noqa: E402
import papermill  # noqa: E402
from nbclient import NotebookClient  # noqa: E402

from jupyter_flows.runtime.papermill_engine import FlowsEngine  # noqa: E402

CELLS = 400
ROUNDS = 3


def notebook(path: Path) -> Path:
    """Write the notebook: each cell one line, each reading the one before."""
    lines = ["x0 = 0", *(f"x{n} = x{n - 1} + 1; x{n}" for n in range(1, CELLS))]
    cells: list[Any] = [
        {
            "cell_type": "code",
            "id": f"cell-{n}",
            "metadata": {},
            "source": line,
            "outputs": [],
            "execution_count": None,
        }
        for n, line in enumerate(lines)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    text = json.dumps(
        {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    )
    path.write_text(text, encoding="utf-8")
    return path


def by_nbclient(source: Path, _target: Path) -> None:
    """Run with nbclient; it saves nothing while it runs."""
    NotebookClient(nbformat.reads(source.read_text("utf-8"), as_version=4), kernel_name="python3").execute()


def by_flows(source: Path, target: Path) -> None:
    """Run with our engine, through papermill's own door."""
    papermill.execute_notebook(source, target, engine_name="flows", progress_bar=False)


def by_papermill(source: Path, target: Path) -> None:
    """Run with papermill."""
    papermill.execute_notebook(source, target, progress_bar=False)


def seconds(run: Callable[[Path, Path], None], directory: Path) -> float:
    """Time one run."""
    source = notebook(directory / "in.ipynb")
    began = time.perf_counter()
    run(source, directory / "out.ipynb")
    return time.perf_counter() - began


def main() -> None:
    """Print the table."""
    papermill.engines.papermill_engines.register("flows", FlowsEngine)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        ours, theirs = [], []
        for _ in range(ROUNDS):  # in turns, so that a busy machine is unfair to both
            theirs.append(seconds(by_nbclient, directory))
            ours.append(seconds(by_flows, directory))
        slow = seconds(by_papermill, directory)
    own, nbclient = statistics.median(ours), statistics.median(theirs)
    print(
        f"P4  {CELLS} one-line cells: ours {own:.2f} s · nbclient {nbclient:.2f} s · papermill {slow:.2f} s"
    )
    print(f"    ours / nbclient = {own / nbclient:.2f} (promise: <= 1.15)")
    print(f"    papermill / ours = {slow / own:.1f} (promise: >= 10)")


if __name__ == "__main__":
    main()
