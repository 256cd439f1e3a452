"""Variables from one kernel to another by a file: what arrives, what cannot, and what it costs. Real kernels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_flows.runtime.kernel_backend import CellRunner, texts_of
from jupyter_flows.runtime.kernel_values import ALIGNED
from jupyter_flows.runtime.kernels import Kernel
from jupyter_flows.runtime.notebook_outputs import NotebookOutputs
from jupyter_flows.runtime.seats import VALUES, _values_source
from tests.runtime.test_several_kernels import notebook


class Namespace:
    """A kernel with the module of values in it."""

    def __init__(self, kernel: Kernel) -> None:
        self._runner = CellRunner(NotebookOutputs(notebook()), kernel)
        source = _values_source()
        self.value(
            f"(lambda names: (exec({source!r}, names), names['install']({source!r}).begin())[1])({{}})"
        )

    def run(self, code: str) -> None:
        """Run a cell's code."""
        assert "ok" == self._runner.execute(code, what="a test")["status"]

    def value(self, expression: str) -> str:
        """Return the text of an expression."""
        content = self._runner.execute("", f"str(({expression}))", what="a test")
        found = texts_of(content)
        assert "it" in found, content
        return found["it"]

    def give(self, file: Path, *names: str, **more: Any) -> dict[str, Any]:
        """Write variables to a file; return what is said of them."""
        asked = json.dumps({"file": str(file), "names": names, **more})
        return json.loads(self.value(f"{VALUES}.give({asked!r})"))

    def take(self, *load: dict[str, Any], **more: Any) -> dict[str, str]:
        """Load variables; return those that could not be had, and why."""
        asked = json.dumps({"load": load, **more})
        return json.loads(self.value(f"{VALUES}.take({asked!r})"))["failed"]


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> Iterator[tuple[Namespace, Namespace]]:
    """Two kernels."""
    place = tmp_path_factory.mktemp("values")
    kernels = [Kernel("python3", directory=place / f"k{n}", cwd=str(place)) for n in range(2)]
    try:
        for kernel in kernels:
            kernel.launch()
        for kernel in kernels:
            kernel.start()
        yield Namespace(kernels[0]), Namespace(kernels[1])
    finally:
        for kernel in kernels:
            kernel.stop(now=True)


def place_of(file: Path, name: str, told: dict[str, Any]) -> dict[str, Any]:
    """Return where a variable lies, as it is asked for."""
    entry = told["names"][name]
    assert "stored" == entry["kind"], entry
    return {
        "file": str(file),
        "names": [name],
        "joint": False,
        "pickle": entry["pickle"],
        "buffers": entry["buffers"],
    }


PASSED = {
    "numbers and texts": ("v = {'a': [1, 2.5, None], 'ü': (True, b'x')}", "v == {'a': [1, 2.5, None], 'ü': (True, b'x')}"),
    "an array": ("import numpy; v = numpy.arange(10_000).reshape(100, 100)", "v.shape, int(v.sum())"),
    "a frame": ("import pandas; v = pandas.DataFrame({'a': range(5), 'b': list('vwxyz')})", "v.to_dict()"),
    "a function": ("def v(x, k=3): return x * k", "v(2)"),
    "a closure": ("def make(n):\n    def inner(): return n\n    return inner\nv = make(5)", "v()"),
    "a function that calls itself": ("def outer():\n    def f(n): return 1 if n < 2 else n * f(n - 1)\n    return f\nv = outer()", "v(5)"),
    "a class and its object": ("class C:\n    def __init__(self): self.x = 7\nv = C()", "v.x, type(v).__name__"),
    "nothing": ("v = None", "v is None"),
}  # fmt: skip


@pytest.mark.parametrize("name", PASSED)
def test_what_arrives_is_what_was_given(both, tmp_path: Path, name: str) -> None:
    one, other = both
    make, look = PASSED[name]
    one.run(make)
    told = one.give(tmp_path / "f", "v")
    assert {} == other.take(place_of(tmp_path / "f", "v", told), keep=[])
    assert one.value(look) == other.value(look)


def test_a_function_reads_its_globals_where_it_is_called(both, tmp_path: Path) -> None:
    one, other = both
    one.run("factor = 2\ndef scale(x): return factor * x")
    told = one.give(tmp_path / "f", "scale")
    other.run("factor = 10")
    assert {} == other.take(place_of(tmp_path / "f", "scale", told))
    assert "30" == other.value("scale(3)")


def test_an_array_is_written_once_beside_its_pickle_and_mapped(both, tmp_path: Path) -> None:
    """Protocol 5 with buffers out of band: aligned, not copied into the pickle, private to each reader."""
    one, other = both
    one.run("import numpy; big = numpy.arange(1_000_000, dtype='i8')")
    told = one.give(tmp_path / "f", "big")
    entry = told["names"]["big"]
    ((at, size),) = entry["buffers"]
    assert (8_000_000, 0) == (size, at % ALIGNED)
    assert entry["pickle"][1] < 1000
    assert (tmp_path / "f").stat().st_size < 8_000_000 + 2000
    before = (tmp_path / "f").read_bytes()
    assert {} == other.take(place_of(tmp_path / "f", "big", told))
    other.run("big[0] = -1")
    assert "-1" == other.value("big[0]")
    assert before == (tmp_path / "f").read_bytes()
    assert "0" == one.value("big[0]")


def test_objects_that_share_memory_are_one_there_too(both, tmp_path: Path) -> None:
    """Two names of a list; a view and the array that it looks into."""
    one, other = both
    one.run("import numpy; rows = [1]; again = rows; whole = numpy.zeros(6); part = whole[2:4]")
    group = ["rows", "again", "whole", "part"]
    told = one.give(tmp_path / "f", joint=group)
    place = {
        "file": str(tmp_path / "f"),
        "joint": True,
        **{key: told["joint"][key] for key in ("names", "pickle", "buffers")},
    }
    assert {} == other.take(place)
    other.run("rows.append(2); part[:] = 9")
    assert "[1, 2] [0.0, 0.0, 9.0, 9.0, 0.0, 0.0]" == other.value("f'{again} {whole.tolist()}'")


LOST = {
    "a lock": ("import threading; v = threading.Lock()", "lost", "it cannot be pickled (TypeError)"),
    "a generator": ("v = (n for n in range(3))", "lost", "it cannot be pickled (TypeError)"),
    "an open file": ("v = open('/dev/null', 'w')", "lost", "it cannot be pickled ("),
    "what raises": ("class C:\n    def __reduce__(self): raise ValueError('secret')\nv = C()", "lost", "it cannot be pickled (ValueError)"),
    "what is gone": ("v = 1; del v", "absent", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", LOST)
def test_what_cannot_be_given_says_why_and_leaves_no_part(both, tmp_path: Path, name: str) -> None:
    """The class of an error, never its text; the next value stands where it would have been."""
    one, other = both
    make, kind, why = LOST[name]
    one.run(make + "\nafter = [1, 2]")
    told = one.give(tmp_path / "f", "v", "after")
    assert kind == told["names"]["v"]["kind"]
    assert told["names"]["v"].get("why", "").startswith(why)
    assert "secret" not in json.dumps(told)
    assert 0 == told["names"]["after"]["pickle"][0]
    assert {} == other.take(place_of(tmp_path / "f", "after", told))
    assert "[1, 2]" == other.value("after")


def test_a_bound_of_size_and_one_of_time_skip_a_value(both, tmp_path: Path) -> None:
    one, _ = both
    one.run("large = bytes(3_000_000); small = 1")
    told = one.give(tmp_path / "f", "large", "small", limit=1_000_000, seconds=60)
    assert {
        "kind": "skipped",
        "why": "it is larger than what is kept of one variable",
        "type": "bytes",
    } == told["names"]["large"]
    assert "stored" == told["names"]["small"]["kind"]
    told = one.give(tmp_path / "f", "large", seconds=0)
    assert "writing it would take more than its share of the run's time" == told["names"]["large"]["why"]
    assert 0 == (tmp_path / "f").stat().st_size


def test_a_full_disk_skips_a_value(both, tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands for the disk: the system refuses the same writes."""
    one, _ = both
    one.run(
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nlarge = bytes(3_000_000)"
    )
    one.run("resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))")
    try:
        told = one.give(tmp_path / "f", "large")
    finally:
        one.run("resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))")
    assert {"kind": "skipped", "why": "it could not be written: File too large", "type": "bytes"} == told[
        "names"
    ]["large"]
    assert 0 == (tmp_path / "f").stat().st_size


def test_a_file_that_is_torn_or_gone_fails_its_names_only(both, tmp_path: Path) -> None:
    one, other = both
    one.run("a = list(range(1000)); b = 2")
    told, more = one.give(tmp_path / "f", "a"), one.give(tmp_path / "g", "b")
    (tmp_path / "f").write_bytes((tmp_path / "f").read_bytes()[:20])
    other.run("a = 'old'")
    failed = other.take(place_of(tmp_path / "f", "a", told), place_of(tmp_path / "g", "b", more))
    assert {"a"} == set(failed)
    assert failed["a"].endswith(" when it was read")
    assert "old 2" == other.value("f'{a} {b}'")
    (tmp_path / "f").unlink()
    assert {"a": "FileNotFoundError when it was read"} == other.take(place_of(tmp_path / "f", "a", told))


def test_what_a_setup_cell_defines_goes_by_name(both, tmp_path: Path) -> None:
    """It runs in each kernel: an object of its class is one of the class that is there; a change is lost."""
    one, other = both
    for kernel in both:
        kernel.run("class Point:\n    def __init__(self, x): self.x = x")
        kernel.value(f"{VALUES}.know({json.dumps(['Point'])!r})")
    one.run("p = Point(3)")
    told = one.give(tmp_path / "f", "p", "Point")
    assert {"kind": "lost", "type": "type", "why": "it changes what a setup cell defines"} == told["names"][
        "Point"
    ]
    assert {} == other.take(place_of(tmp_path / "f", "p", told))
    assert "True 3" == other.value("f'{isinstance(p, Point)} {p.x}'")


def test_the_state_of_the_process_goes_along_and_back_to_the_beginning(both, tmp_path: Path) -> None:
    """Random numbers, the directory, a variable of the environment."""
    one, other = both
    began = other.value("__import__('os').getcwd()")
    one.run(
        f"import os, random; os.chdir({str(tmp_path)!r}); os.environ['MARK'] = 'set'; random.seed(5); random.random()"
    )
    told = one.give(tmp_path / "f", state=["cwd", "env:MARK", "rng:random"])
    state = {
        channel: {
            "file": str(tmp_path / "f"),
            "names": [channel],
            "joint": False,
            "pickle": entry["pickle"],
            "buffers": entry["buffers"],
        }
        for channel, entry in told["state"].items()
    }
    assert {} == other.take(state=state)
    look = (
        "f\"{__import__('os').getcwd()} {__import__('os').environ['MARK']} {__import__('random').random()}\""
    )
    assert one.value(look) == other.value(look)
    assert {} == other.take(state={"cwd": None})
    assert began == other.value("__import__('os').getcwd()")


def test_other_names_go_or_are_out_of_sight(both, tmp_path: Path) -> None:
    one, _ = both
    one.run("keep = 1; other = 2; hidden = 3")
    assert {} == one.take(keep=["keep", "hidden"], aside=["hidden"])
    assert "True False False" == one.value(
        "f\"{'keep' in globals()} {'other' in globals()} {'hidden' in globals()}\""
    )
    told = one.give(tmp_path / "f", "hidden")
    assert {"kind": "absent"} == told["names"]["hidden"]
    assert "3" == one.value("hidden")


def test_the_file_is_private(both, tmp_path: Path) -> None:
    one, _ = both
    one.run("x = 1")
    one.give(tmp_path / "f", "x")
    assert 0o600 == (tmp_path / "f").stat().st_mode & 0o777
