"""Edges of real notebooks against the truth, which leaving out each cell in turn shows; ``make edges``.

Beside marimo, whose graph of the same cells is read from its own compiler where it can be installed. Names of
notebooks as arguments run only those.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.analysis.leave_out import NOTEBOOKS, Pair, Proof, closure, prove

MARIMO = "0.25.2"
ASKED = """
import json, sys
from marimo._ast.compiler import compile_cell
from marimo._runtime.dataflow import DirectedGraph
cells = json.load(sys.stdin)
graph = DirectedGraph()
try:
    for number, source in enumerate(cells, 1):
        graph.register_cell(str(number), compile_cell(source, cell_id=str(number)))
except Exception as error:
    print(json.dumps({"refused": type(error).__name__}))
    raise SystemExit
multiple = sorted(graph.get_multiply_defined())
edges = [[int(a), int(b)] for a in graph.cells for b in graph.children.get(a, ())]
print(json.dumps({"edges": edges, "refused": "several definitions" if multiple else ""}))
"""


def peer() -> str | None:
    """Return the Python of an environment with marimo; make it at the first call."""
    top = Path.home() / ".cache" / "jupyter-flows" / "edges-peer"
    python = top / "bin" / "python"
    if (top / ".installed").exists():
        return str(python)
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(top)], check=True, capture_output=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "-q", f"marimo=={MARIMO}"], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"marimo could not be installed ({type(error).__name__}); ours alone follows")
        return None
    (top / ".installed").touch()
    return str(python)


def marimo_says(python: str | None, proof: Proof) -> str:
    """Return a column about marimo's graph of the same cells."""
    if python is None:
        return "-"
    done = subprocess.run(
        [python, "-c", ASKED],
        input=json.dumps(proof.sources),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return "failed: " + (done.stderr.strip().splitlines() or ["?"])[-1][:60]
    answer = json.loads(done.stdout.splitlines()[-1])
    if "edges" not in answer:
        return f"refused ({answer['refused']})"
    edges: set[Pair] = {(a, b) for a, b in answer["edges"] if a < b}
    said = f"missing {len(proof.missing(edges))}, extra {len(proof.extra(edges))}"
    return f"refused ({answer['refused']}); {said}" if answer["refused"] else said


def main(names: list[str]) -> int:
    """Print the table."""
    python = peer()
    print(
        f"{'notebook':16} cells  true found missing announced extra  moved/sequences     s  marimo {MARIMO}"
    )
    sums = [0] * 6
    for path in NOTEBOOKS:
        if names and path.stem not in names:
            continue
        began = time.monotonic()
        proof = prove(path)
        missing = proof.missing(proof.edges)
        silent = {pair for pair in missing if not set(pair) & proof.warned}
        true = proof.counted(proof.true)
        found = len(true & closure(proof.edges))
        extra = len(proof.extra(proof.edges))
        moved = len({order for order, _, _ in proof.moved})
        row = [len(proof.sources), len(true), found, len(silent), len(missing - silent), extra]
        sums = [a + b for a, b in zip(sums, row, strict=True)]
        print(
            f"{proof.name:16} {row[0]:5} {row[1]:5} {row[2]:5} {row[3]:7} {row[4]:9} {row[5]:5} "
            f"{moved:6}/{proof.sequences:<9} {time.monotonic() - began:5.0f}  {marimo_says(python, proof)}",
            flush=True,
        )
    print(f"{'together':16} {sums[0]:5} {sums[1]:5} {sums[2]:5} {sums[3]:7} {sums[4]:9} {sums[5]:5}")
    return 1 if sums[3] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
