"""What the server's process loads: nothing that could open code, and SQL only where it lives."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "jupyter_flows"
NEVER = (
    "alembic", "cloudpickle", "dill", "ipykernel", "jupyter_server", "nbclient", "nbformat", "papermill", "pickle5",
    "yaml", "jupyter_flows.analysis", "jupyter_flows.engine", "jupyter_flows.environment", "jupyter_flows.executors",
    "jupyter_flows.flow", "jupyter_flows.magics", "jupyter_flows.notebook", "jupyter_flows.registering",
    "jupyter_flows.run_configs", "jupyter_flows.runtime", "jupyter_flows.storage", "jupyter_flows.tasks",
)  # fmt: skip

PROGRAM = """
import sys
from jupyter_flows.settings import load_settings
from jupyter_flows.server.standalone import start_server_thread
from jupyter_flows.schema.base import to_json
import json, urllib.request

settings = load_settings()
server = start_server_thread(settings, port=0)
before = set(sys.modules)

def ask(path, body=None, role="admin"):
    token = (settings.home / "tokens" / f"{role}.token").read_text().strip()
    request = urllib.request.Request(
        server.url + "/flows/api/v1" + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)

spec = {"name": "etl", "tasks": [{"slug": "a", "name": "a", "type": "os.system", "trigger": "subprocess.Popen"}],
        "storage": {"kind": "pickle", "location": "antigravity"},
        "run_config": {"kind": "antigravity", "options": {"image": "this"}},
        "schedules": [{"kind": "cron", "options": {"cron": "0 6 * * *"}}]}
ask("/flows", {"spec": spec})
run = ask("/flows/etl/runs", {})
agent = ask("/agents", {"name": "lab"}, role="agent")
claim = ask(f"/agents/{agent['id']}/claim", {"wait_s": 0}, role="agent")["claims"][0]
assert claim["run"]["id"] == run["id"]
ask("/flows/etl/explain")
server.stop()
print(" ".join(sorted(sys.modules)))
"""


def test_the_running_server_has_not_imported_what_could_load_code(tmp_path):
    """A server that registered a flow, scheduled it and gave its run to an agent: seen from its modules."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={
            "JUPYTER_FLOWS_HOME": str(tmp_path / "home"),
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(PACKAGE.parent),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "jupyter_flows.server.standalone" in loaded
    found = {name for name in NEVER for module in loaded if module == name or module.startswith(name + ".")}
    assert found == set()
    # Names that came as data were not imported either.
    assert {"antigravity", "this"} & loaded == set()


def sources(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "labextension" not in path.parts)


@pytest.mark.parametrize("path", sources(PACKAGE), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_sql_is_never_written_as_text(path):
    """Bound parameters only: ``text()`` of SQLAlchemy nowhere, its driver's SQL only for pragmas."""
    if "migrations" in path.parts:
        return
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        where = f"{path.name}:{node.lineno}"
        name, owner = node.func.attr, node.func.value
        is_sa = isinstance(owner, ast.Name) and owner.id in {"sa", "sqlalchemy"}
        assert not (is_sa and name in {"text", "literal_column"}), where
        if name == "exec_driver_sql":
            assert path.name == "database.py", where
            assert all(isinstance(argument, ast.Constant) for argument in node.args), where


@pytest.mark.parametrize("path", sources(PACKAGE / "server"), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_server_opens_nothing_but_json(path):
    """No pickle, YAML, eval, exec, or import by a name that came as data."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", "") or ""}
            assert not names & {"pickle", "marshal", "shelve", "yaml", "importlib", "runpy"}, path.name
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"eval", "exec", "compile", "__import__"}, path.name
