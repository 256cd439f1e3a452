"""What starting each part may load: counted in modules, because seconds depend on the machine."""

from __future__ import annotations

import subprocess
import sys
from typing import NamedTuple

import pytest

HEAVY = (
    "alembic", "cloudpickle", "ipywidgets", "jsonschema", "jupyter_server", "jupyterlab", "matplotlib", "nbclient",
    "nbformat", "numpy", "pandas", "papermill", "requests", "rich", "sqlalchemy", "tornado", "urllib3",
)  # fmt: skip


class Budget(NamedTuple):
    """A way to start, and the heavy packages it may load."""

    name: str
    code: str
    may_load: frozenset[str]


CASES = (
    Budget("import", "import jupyter_flows", frozenset()),
    Budget(
        "load_ext",
        "import IPython.core.interactiveshell as i; s = i.InteractiveShell(); before = set(__import__('sys').modules);"
        "s.run_line_magic('load_ext', 'jupyter_flows')",
        # what IPython itself had loaded is not ours; cloudpickle is light (6 ms)
        frozenset({"cloudpickle"}),
    ),
    Budget(
        "help",
        "from jupyter_flows.cli import run_command; run_command(['--help'])",
        frozenset(),
    ),
    Budget("agent", "import jupyter_flows.agent.loop", frozenset({"urllib3"})),
    Budget("keeper", "import jupyter_flows.agent.keeper", frozenset({"urllib3"})),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_start_loads_no_more_than_it_needs(case):
    """A part loads only the heavy packages that its budget names."""
    program = (
        f"import sys; before = set()\n{case.code}\n"
        "print('\\n' + ' '.join(sorted({m.split('.')[0] for m in set(sys.modules) - before})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.splitlines()[-1].split())
    assert loaded & set(HEAVY) <= case.may_load


def test_a_kernel_knows_the_package_without_importing_its_parts():
    """``import jupyter_flows`` loads the package and nothing below it."""
    program = "import jupyter_flows, sys; print([m for m in sys.modules if m.startswith('jupyter_flows.')])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
