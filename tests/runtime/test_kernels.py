"""A kernel and the directory of its sockets."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from jupyter_flows.errors import KernelDidNotStart
from jupyter_flows.runtime.kernels import Kernel


@pytest.fixture
def deep(tmp_path):
    """A directory whose path no socket's address can hold."""
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    return deep


def test_a_kernel_starts_where_the_temporary_directory_has_a_long_path(deep, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    kernel = Kernel("python3", directory=deep / "kernel", cwd=str(deep), env=dict(os.environ))
    kernel.start()
    try:
        assert kernel.is_alive()
        places = Path(kernel.manager.connection_file).parent
        assert places.is_dir()
    finally:
        kernel.stop(now=True)
    assert not places.exists()
    assert [] == list(deep.iterdir())


def test_with_no_short_place_the_kernel_is_refused_in_a_sentence(deep, monkeypatch):
    monkeypatch.setattr("jupyter_flows.runtime.kernels.places_for_sockets", lambda: iter([deep]))
    with pytest.raises(KernelDidNotStart, match="set TMPDIR to a directory with a short path"):
        Kernel("python3", directory=deep / "kernel").launch()
