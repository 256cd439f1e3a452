"""Agents and keepers stay small: what they must not load, and that they do not."""

from __future__ import annotations

import subprocess
import sys

import pytest

FORBIDDEN = (
    "IPython",
    "cloudpickle",
    "ipykernel",
    "jsonschema",
    "jupyter_client",
    "nbclient",
    "nbformat",
    "papermill",
    "sqlalchemy",
    "tornado",
    "zmq",
)
PROBE = """
import sys
sys.argv = ["x"]
{imports}
print(",".join(sorted(name for name in {forbidden!r} if name in sys.modules)))
print(next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS")) // 1024)
"""


@pytest.mark.parametrize(
    ("who", "imports", "limit_mb"),
    [
        (
            "agent",
            (
                "import jupyter_flows.cli.agent, jupyter_flows.agent.loop as loop, jupyter_flows.agent.link, urllib3\n"
                "loop.installed_kernel_names()"
            ),
            45,
        ),
        ("keeper", "import jupyter_flows.agent.keeper, urllib3", 35),
    ],
)
def test_what_an_idle_process_carries(who: str, imports: str, limit_mb: int) -> None:
    """Neither loads what could load a flow, and each fits its budget."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(imports=imports, forbidden=FORBIDDEN)],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded, rss_mb = done.stdout.splitlines()
    assert "" == loaded, who
    assert int(rss_mb) <= limit_mb, f"the {who} takes {rss_mb} MB"
