"""A kind is found by its name: ours by their files, others' by entry points, nothing else at all."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from jupyter_flows.errors import UnknownKind
from jupyter_flows.plugins import kinds, load_kind


def test_each_file_of_a_family_is_a_kind():
    assert ("local", "notebook") == kinds("storage")
    assert ("local", "universal") == kinds("run_configs")


@pytest.mark.parametrize("family", ["storage", "run_configs"])
def test_every_kind_loads_and_knows_its_name(family):
    assert list(kinds(family)) == [load_kind(family, kind).kind for kind in kinds(family)]


def test_the_nearest_kind_is_named_else_all():
    with pytest.raises(UnknownKind, match=r"no storage is called 'notebok'; did you mean 'notebook'\?"):
        load_kind("storage", "notebok")
    with pytest.raises(UnknownKind, match="no run config is called 'zzz'; there are local, universal"):
        load_kind("run_configs", "zzz")


def test_a_family_that_is_none_has_no_kinds():
    with pytest.raises(UnknownKind, match="no nonsense is called 'x'; there are none"):
        load_kind("nonsense", "x")


def test_a_package_offers_a_kind_by_an_entry_point(tmp_path):
    """Another distribution's storage is found by name, without an import of ours."""
    info = tmp_path / "acme_flows-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-flows\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[jupyter_flows.storage]\nvault = acme_flows:Vault\n")
    (tmp_path / "acme_flows.py").write_text(
        "from typing import ClassVar\n"
        "from jupyter_flows.storage import Storage\n"
        "class Vault(Storage, frozen=True, kw_only=True):\n"
        "    kind: ClassVar[str] = 'vault'\n"
    )
    program = (
        "import sys\nfrom jupyter_flows.plugins import load_kind\n"
        "assert 'acme_flows' not in sys.modules\n"
        "print(load_kind('storage', 'vault').kind)\n"
        "try: load_kind('storage', 'vaul')\nexcept Exception as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ["vault", "no storage is called 'vaul'; did you mean 'vault'?"] == done.stdout.splitlines()
