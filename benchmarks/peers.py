"""The peers of the benchmarks, in environments of their own: dask and Prefect 1.4.1, jupyter-scheduler.

``--peer-python PATH`` or JUPYTER_FLOWS_PREFECT1_PYTHON names its Python; else one is made under the user's
cache directory, once. ``--no-peers`` goes without.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROUNDS = 5
INSTALLED = (
    "prefect==1.4.1",
    "dask==2023.3.2",
    "distributed==2023.3.2",
    "click<8.1",
    "cloudpickle<3",
    "marshmallow<3.20",
    "marshmallow-oneofschema<3.1",
    "pendulum<3",
    "setuptools<70",
)
"""Prefect 1.4.1 with what it was written for: with newer ones it cannot serialize."""


def options(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options about peers."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--peer-python", help="a Python with dask and prefect 1.4.1")
    parser.add_argument("--no-peers", action="store_true", help="our figures only")
    return parser


def peer_python(chosen: argparse.Namespace) -> str | None:
    """Return the Python that has the peers; make its environment at the first call."""
    if chosen.no_peers:
        return None
    given = chosen.peer_python or os.environ.get("JUPYTER_FLOWS_PREFECT1_PYTHON")
    if given:
        return str(given)
    return private_python("bench-peers", INSTALLED)


def scheduler_python(chosen: argparse.Namespace) -> str | None:
    """Return a Python that has jupyter-scheduler; make its environment at the first call."""
    if chosen.no_peers:
        return None
    return private_python("bench-scheduler", ("jupyter-scheduler", "jupyterlab", "ipykernel"))


def private_python(directory: str, packages: tuple[str, ...]) -> str | None:
    """Return the Python of an environment with *packages*; None if it cannot be made."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jupyter-flows"
    cache = caches / directory
    python = cache / "bin" / "python"
    done = cache / ".installed"
    if done.exists():
        return str(python)
    print(f"    installing the peers into {cache} ...", flush=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(cache)], check=True, capture_output=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "-q", *packages], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"    the peers could not be installed ({type(error).__name__}); ours alone follows")
        return None
    done.touch()
    return str(python)


def measured(python: str | None, program: str, *arguments: object) -> Any:
    """Run *program* by that Python and return what its last line says in JSON; None if it cannot be had."""
    if python is None:
        return None
    # A peer's own configuration at home is not what is measured; nor does it find ours on its path.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-c", textwrap.dedent(program), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=environ,
    )
    if done.returncode:
        print(f"    a peer did not run: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
        return None
    return json.loads(done.stdout.splitlines()[-1])


def median(values: list[float] | None) -> float | None:
    """Return the median, or None of nothing."""
    return statistics.median(values) if values else None


def repeated(function: Callable[[], float]) -> float:
    """Return the median of several rounds, after one that warms up."""
    function()
    return statistics.median(function() for _ in range(ROUNDS))


def told(seconds: float | None, count: int) -> str:
    """Return a duration as microseconds a task."""
    return "-" if seconds is None else f"{seconds / count * 1e6:,.1f} µs"


def ratio(theirs: float | None, own: float) -> str:
    """Return how many times ours it is."""
    return "" if theirs is None else f" ({theirs / own:,.1f} x)"
