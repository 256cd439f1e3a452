"""Which modules a flow needs that another machine may not have."""

from __future__ import annotations

import sys

import pytest

from jupyter_flows.registering.modules import imported_modules, local_modules


def test_imports_are_found_wherever_they_stand():
    source = (
        "import os.path, pandas as pd\nfrom matplotlib.figure import Figure\n"
        "def f():\n    import scipy\n    from . import sibling\n    from .other import x\n"
        "if True:\n    from a.b.c import *\n"
    )
    assert ["a", "matplotlib", "os", "pandas", "scipy"] == imported_modules([source, "def broken(:"])


def test_installed_and_standard_modules_are_not_local():
    assert {} == local_modules(
        ["os", "pytest", "msgspec.json", "jupyter_flows", "no_such_module_at_all", "__main__"]
    )


def test_files_and_packages_beside_the_notebook_are_local(tmp_path):
    (tmp_path / "cleaning.py").write_text("")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "namespace").mkdir()
    (tmp_path / "namespace" / "part.py").write_text("")
    found = local_modules(["cleaning", "package.part", "namespace.part"], beside=tmp_path)
    assert {
        "cleaning": str(tmp_path / "cleaning.py"),
        "namespace": str(tmp_path / "namespace"),
        "package": str(tmp_path / "package" / "__init__.py"),
    } == found


def test_a_module_on_the_path_is_local(tmp_path, monkeypatch):
    (tmp_path / "on_the_path.py").write_text("raise RuntimeError('imported!')")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert {"on_the_path": str(tmp_path / "on_the_path.py")} == local_modules(["on_the_path.sub"])


def test_a_file_beside_that_hides_an_installed_module_is_local(tmp_path):
    """The notebook's directory comes first on the path, so this is the one that it imports."""
    (tmp_path / "pytest.py").write_text("")
    assert {"pytest": str(tmp_path / "pytest.py")} == local_modules(["pytest"], beside=tmp_path)


def test_nothing_is_imported_by_asking(tmp_path):
    (tmp_path / "asked_only.py").write_text("raise RuntimeError('imported!')")
    local_modules(["asked_only"], beside=tmp_path)
    assert "asked_only" not in sys.modules


@pytest.mark.parametrize("name", ["", ".", "a b", "1", "os.path.no", "sys", "\0"])
def test_odd_names_are_no_modules(name):
    assert {} == local_modules([name])
