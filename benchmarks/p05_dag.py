"""P5: a notebook whose cells form a graph, in processes, beside its critical path, nbclient and papermill.

``wait``: three branches of two tasks that sleep, and one that joins them. ``work``: two branches that
compute, one for each free core. What is measured is what the user waits for: kernels are started within it.
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
from nbclient import NotebookClient  # noqa: E402

from jupyter_flows.runtime.execute_alone import execute_alone  # noqa: E402
from jupyter_flows.runtime.run_options import RunOptions  # noqa: E402

ROUNDS = 3
SLEEP_S = 1.0
COUNT = 6_000_000
WAIT = (
    "import time",
    *(f"a{n} = {n}; time.sleep({SLEEP_S})" for n in range(3)),
    *(f"b{n} = a{n} + 1; time.sleep({SLEEP_S})" for n in range(3)),
    f"c = b0 + b1 + b2; time.sleep({SLEEP_S}); print(c)",
)
WORK = (
    f"""def work(seed):
    found = seed
    for n in range({COUNT}):
        found = (found * 31 + n) % 1000003
    return found""",
    "a0 = work(0)",
    "a1 = work(1)",
    "b0 = work(a0)",
    "b1 = work(a1)",
    "print(b0, b1)",
)


def notebook(path: Path, sources: tuple[str, ...]) -> Path:
    """Write the notebook."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nb = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    nb.cells = [nbformat.v4.new_code_cell(source, id=f"cell-{n}") for n, source in enumerate(sources)]
    nbformat.write(nb, path)
    return path


def by_nbclient(source: Path, _target: Path) -> None:
    """Run with nbclient."""
    NotebookClient(nbformat.reads(source.read_text("utf-8"), as_version=4), kernel_name="python3").execute()


def by_papermill(source: Path, target: Path) -> None:
    """Run with papermill."""
    papermill.execute_notebook(source, target, progress_bar=False)


def by_flows(source: Path, target: Path) -> None:
    """Run in processes."""
    done = execute_alone(source, str(target), options=RunOptions(parallel="processes"), all_cells=True)
    if done.state != "Success":
        raise SystemExit(done.message)


def start_s(directory: Path) -> float:
    """Time a notebook of one empty task: what starting and ending cost by themselves."""
    return seconds(by_flows, notebook(directory / "empty.ipynb", ("print(1)",)))


def seconds(run: Any, source: Path) -> float:
    """Time one run."""
    began = time.perf_counter()
    run(source, source.with_suffix(".out.ipynb"))
    return time.perf_counter() - began


def path_s(sources: tuple[str, ...]) -> float:
    """Return the critical path: known of what waits, measured in this process of what computes."""
    if sources is WAIT:
        return 3 * SLEEP_S
    names: dict[str, Any] = {}
    exec(sources[0], names)
    began = time.perf_counter()
    names["work"](names["work"](0))
    return time.perf_counter() - began


def main() -> None:
    """Print the table."""
    print(f"P5  a graph of cells in processes, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        start_s(directory)
        for title, sources, factor, more in (("wait", WAIT, 1.05, 0.3), ("work", WORK, 1.15, 0.0)):
            source = notebook(directory / f"{title}.ipynb", sources)
            found: dict[str, list[float]] = {}
            for _ in range(ROUNDS):  # in turns, so that a busy machine is unfair to all
                found.setdefault("path", []).append(path_s(sources))
                found.setdefault("start", []).append(start_s(directory))
                for run in (by_flows, by_nbclient, by_papermill):
                    found.setdefault(run.__name__, []).append(seconds(run, source))
            path, start, own, nbclient, slow = (statistics.median(values) for values in found.values())
            print(
                f"    {title}: ours {own:.2f} s · nbclient {nbclient:.2f} s · papermill {slow:.2f} s "
                f"· critical path {path:.2f} s"
            )
            past = own - start
            print(
                f"      {past / path:.2f} x the path past start and end of a run ({start:.2f} s); with them "
                f"{own - path:.2f} s over it (promise: <= {factor} x path + {more} s = "
                f"{factor * path + more:.2f} s)"
            )
            print(f"      nbclient / ours = {nbclient / own:.2f}, papermill / ours = {slow / own:.2f}")


if __name__ == "__main__":
    main()
