"""P14: what checkpoints cost, and what going on after a failure takes, beside papermill from the start.

Ten tasks, each computing and giving an array of 8 MB that the next one reads; the ninth fails once.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# The grammar for checking IRIs costs 1.5 s of everybody's start; nobody here checks IRIs.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

import nbformat  # noqa: E402
import papermill  # noqa: E402
from papermill.exceptions import PapermillExecutionError  # noqa: E402

from jupyter_flows.runtime.execute_alone import execute_alone  # noqa: E402
from jupyter_flows.runtime.run_options import RunOptions  # noqa: E402

TASKS = 10
FAILS = 8
ROUNDS = 3
STEP_S = 0.6
SWITCH = "P14_FAILS"


def notebook(path: Path) -> Path:
    """Write the notebook."""
    sources = ["import os, time\nimport numpy as np\na0 = np.arange(1_000_000.0)"]
    for n in range(1, TASKS + 1):
        failing = f"assert not os.environ.get({SWITCH!r})\n" if n == FAILS + 1 else ""
        sources.append(f"{failing}a{n} = a{n - 1} * 1.01\ntime.sleep({STEP_S})")
    sources.append(f"print(a{TASKS}.sum())")
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nb = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    nb.cells = [nbformat.v4.new_code_cell(source, id=f"cell-{n}") for n, source in enumerate(sources)]
    nbformat.write(nb, path)
    return path


def by_flows(source: Path, *, keeps: bool = True, resume: Path | None = None) -> tuple[float, str]:
    """Run; return the seconds and the state."""
    began = time.perf_counter()
    done = execute_alone(
        source,
        str(source.with_suffix(".out.ipynb")),
        options=RunOptions(),
        all_cells=True,
        keeps=keeps,
        resume=resume,
    )
    return time.perf_counter() - began, done.state


def by_papermill(source: Path) -> float:
    """Run with papermill, which begins again."""
    began = time.perf_counter()
    try:
        papermill.execute_notebook(source, source.with_suffix(".theirs.ipynb"), progress_bar=False)
    except PapermillExecutionError:
        if SWITCH not in os.environ:
            raise
    return time.perf_counter() - began


def expect(state: str, found: tuple[float, Any]) -> float:
    """Return the seconds of a run that must have ended so."""
    if found[1] != state:
        raise SystemExit(f"ended {found[1]}, not {state}")
    return found[0]


def main() -> None:
    """Print the table."""
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        source = notebook(Path(name) / "in.ipynb")
        out = source.with_suffix(".out.ipynb")
        empty = Path(name) / "empty.ipynb"
        nb = nbformat.read(source, as_version=4)
        nb.cells = nb.cells[:1]
        nbformat.write(nb, empty)
        by_flows(empty)
        for _ in range(ROUNDS):  # in turns, so that a busy machine is unfair to all
            found.setdefault("start", []).append(expect("Success", by_flows(empty)))
            found.setdefault("bare", []).append(expect("Success", by_flows(source, keeps=False)))
            found.setdefault("kept", []).append(expect("Success", by_flows(source)))
            os.environ[SWITCH] = "1"
            found.setdefault("failed", []).append(expect("Failed", by_flows(source)))
            del os.environ[SWITCH]
            found.setdefault("resumed", []).append(expect("Success", by_flows(source, resume=out)))
            found.setdefault("papermill", []).append(by_papermill(source))
    middle = {key: statistics.median(values) for key, values in found.items()}
    rest = STEP_S * (TASKS - FAILS)
    bare, kept, resumed, theirs = (middle[key] for key in ("bare", "kept", "resumed", "papermill"))
    load = os.getloadavg()[0]
    print(f"P14 {TASKS} tasks of {STEP_S} s that give 8 MB each; the {FAILS + 1}th fails; load {load:.1f}")
    print(
        f"    run without checkpoints {bare:.2f} s, with {kept:.2f} s: {100 * (kept - bare) / bare:+.1f} % "
        "(promise: <= 5 %)"
    )
    print(
        f"    resumed {resumed:.2f} s = start of a run {middle['start']:.2f} s + the rest {rest:.2f} s "
        f"+ {resumed - rest - middle['start']:.2f} s for what is restored"
    )
    print(f"    papermill from the start {theirs:.2f} s; papermill / resumed = {theirs / resumed:.1f}")


if __name__ == "__main__":
    main()
