"""The built wheel is the product: installed elsewhere, without Node, it walks the whole path."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The directory of executables of an environment that has the wheel, not the checkout."""
    base = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(base), str(ROOT)],
        check=True,
        stdin=subprocess.DEVNULL,
        timeout=280,
    )
    (wheel,) = base.glob("jupyter_flows-*.whl")
    environment = base / "venv"
    venv.create(environment, with_pip=False)
    executable = environment / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(executable), "install", "-q", "--no-deps", str(wheel)],
        check=True,
        timeout=120,
    )
    # What the wheel depends on is taken from this environment; the wheel itself comes first on the path.
    (own,) = environment.glob("lib/python*/site-packages")
    (own / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    kernels = environment / "share" / "jupyter" / "kernels" / "python3"
    shutil.copytree(Path(sysconfig.get_path("data")) / "share" / "jupyter" / "kernels" / "python3", kernels)
    return environment / "bin"


def test_the_wheel_brings_the_front_end_and_switches_the_server_part_on(installed):
    share = installed.parent / "share" / "jupyter" / "labextensions" / "jupyter-flows"
    assert (share / "package.json").is_file()
    assert (share / "static" / "style.js").is_file()
    assert list(share.glob("static/remoteEntry.*.js"))
    assert not list(share.glob("**/*.map"))
    assert (installed.parent / "etc" / "jupyter" / "jupyter_server_config.d" / "jupyter_flows.json").is_file()


def test_the_wheel_walks_the_whole_path_without_node(installed, tmp_path):
    """Two scheduled headless runs and a pickled one, with nothing on the path but the environment itself."""
    notebooks = tmp_path / "notebooks"
    shutil.copytree(ROOT / "notebooks", notebooks)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "uname"):
        (tools / name).symlink_to(shutil.which(name))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "PYTHON"))}
    done = subprocess.run(
        [
            str(installed / "jupyter-flows"),
            "demo",
            str(notebooks / "quickstart.ipynb"),
            "--home",
            str(tmp_path / "demo"),
        ],
        env={**kept, "HOME": str(tmp_path), "PATH": f"{installed}:{tools}"},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "executed.ipynb" in done.stdout
    where = subprocess.run(
        [str(installed / "python"), "-c", "import jupyter_flows; print(jupyter_flows.__file__)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert str(installed.parent) in where.stdout
