"""``from module import *`` of modules that are found: read, never run."""

from __future__ import annotations

import pytest

from jupyter_flows.analysis.stars import public_names
from tests.analysis.cases import graph, named


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module that can be found; running it would fail."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name, text):
        path = tmp_path / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\nraise RuntimeError('was run')\n")

    return write


def test_public_names_are_read_from_the_source(module):
    module(
        "helpers_a",
        "import os\nfrom math import pi as PI, tau\n_hidden = 1\nlimit, scale = 1, 2\n"
        "def f(): inner = 1\nclass C: member = 1\nif limit:\n    maybe = 1\nfor i in range(3): pass",
    )
    assert set(public_names("helpers_a")) == {"os", "PI", "tau", "limit", "scale", "f", "C", "maybe", "i"}


def test_a_plain_list_of_names_decides(module):
    module("helpers_b", "__all__ = ['f', '_g']\ndef f(): ...\ndef _g(): ...\ndef other(): ...")
    assert public_names("helpers_b") == ("_g", "f")


@pytest.mark.parametrize("text", ["__all__ = ['f']\n__all__ += ['g']", "__all__ = [n for n in dir()]"])
def test_a_list_that_is_computed_is_not_guessed(module, text):
    module("helpers_c", text)
    assert public_names("helpers_c") is None


def test_star_imports_of_star_imports_are_followed(module):
    module("package_d.__init__", "from .part import *\nfrom math import *\nown = 1")
    module("package_d.part", "brought = 1")
    assert {"brought", "own", "sqrt"} <= set(public_names("package_d"))
    module("helpers_e", "from no_such_module_at_all import *")
    assert public_names("helpers_e") is None


def test_edges_come_from_what_the_import_brings(module):
    module("helpers_f", "def scaled(x): return 2 * x")
    found = graph("from helpers_f import *", "y = scaled(3)", "z = other(3)")
    assert named(found) == {(1, 2): {"scaled"}}
    assert not found.cell(1).warnings
