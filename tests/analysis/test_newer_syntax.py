"""Text of a newer Python than the one that reads it: the same edges, and a sentence where its kernel refuses it."""

from __future__ import annotations

import sys

import pytest

from jupyter_flows.analysis import analyse
from jupyter_flows.analysis.newer_syntax import in_older_words
from jupyter_flows.analysis.syntax import parse
from tests.analysis.cases import graph, named, sources

# The examples of PEP 701, 695, 696, 750 and 758, as cell 3 under `d = {}` and `k = 1`: the names it reads, and the version.
READS: dict[str, tuple[str, set[str], int]] = {
    "same quotes": ('s = f"{d["a"]}"', {"d"}, 12),
    "same quotes, thrice": ('s = f"{f"{f"{k}"}"}"', {"k"}, 12),
    "backslash": ("s = f\"{'\\n'.join(d)} {k}\"", {"d", "k"}, 12),
    "comment and lines": ('s = f"{\n    d  # the "rows"\n} {k}"', {"d", "k"}, 12),
    "lines of a call": ('s = f"x {max(\n    k,\n    2,\n)}"\nr = d', {"d", "k"}, 12),
    "triple quotes": ('s = f"""{d["""a"""]}\n{k}"""', {"d", "k"}, 12),
    "format that nests": ('s = f"{k:{d["w"]}.2f}"', {"d", "k"}, 12),
    "conversion and equals": ('s = f"{d["a"]!r:>{k}} {k = }"', {"d", "k"}, 12),
    "not equal": ('s = f"{d["a"] != k}"', {"d", "k"}, 12),
    "lambda and slice": ('s = f"{(lambda x: x[1:k])(d["a"])}"', {"d", "k"}, 12),
    "beside plain strings": ('s = ("a" f"{d["a"]}" \'b{k}\')', {"d"}, 12),
    "in a call": ('print("k {k}", f"{d["a"]:>10}", sep="")', {"d"}, 12),
    "braces doubled": ('s = f"{{k}} {d["k"]}"', {"d"}, 12),
    "raw": ('s = rf"\\d{d["k"]}"', {"d"}, 12),
    "dict display": ('s = f"{ {"a": k}["a"] }"', {"k"}, 12),
    "walrus": ('s = f"{(n := d["a"])}"\nprint(n)', {"d"}, 12),
    "type statement": ("type V = list[int]\nr = k", {"k"}, 12),
    "type statement with bounds": ("type V[T: (int, str), *Ts, **P] = dict[T, k]\nr = d", {"d"}, 12),
    "type statement over lines": ("type V = (\n    list[int]\n    | None\n)\nr = k", {"k"}, 12),
    "generic function": ("def f[T: list[int]](x: T) -> T: return k\nf(d)", {"d", "k"}, 12),
    "generic class": ("class A[T, *Ts, **P]:\n    x: T\n    def m[U](self, u: U): return k\nA().m(d)", {"d", "k"}, 12),
    "generic coroutine": ("async def f[T](x: T): return k\nawait f(d)", {"d", "k"}, 12),
    "default of a type parameter": ("class A[T = int]:\n    def m(self): return k\nA().m()", {"k"}, 13),
    "default of an alias": ("type V[T = dict[str, int]] = list[T]\nr = k", {"k"}, 13),
    "t-string": ('s = t"{d} and {k:>3}"', {"d", "k"}, 14),
    "exceptions without brackets": ("try:\n    r = d\nexcept ValueError, KeyError:\n    r = k", {"d", "k"}, 14),
}  # fmt: skip


@pytest.mark.parametrize("name", READS)
def test_it_is_read_exactly(name):
    """Every name it reads, by any Python."""
    cell, names, _ = READS[name]
    found = named(graph("d = {}", "k = 1", cell, "print(1)"))
    assert {("d", "k")[source - 1] for source, target in found if target == 3} == names


@pytest.mark.parametrize("name", READS)
def test_it_says_which_python_it_needs(name):
    cell, _, minor = READS[name]
    if sys.version_info >= (3, minor):
        pytest.skip("this Python reads it as it is")
    needs = in_older_words(cell).needs
    assert needs is not None
    assert needs.minor == minor
    (warning,) = graph(cell, "d = k = 1").cells[0].warnings[:1]
    assert warning.startswith(f"needs Python 3.{minor} or newer (")


def test_a_kernel_that_knows_it_needs_no_sentence():
    """The notebook says which Python ran it."""
    cell = sources(['type V = int\nd = {}\ns = f"{d["a"]}"'])[0]
    newer, older = (
        analyse([type(cell)(id="a", index=1, source=cell.source, python=python)]).cells[0].warnings
        for python in ((3, 14), (3, 11))
    )
    assert newer == ()
    assert older == () if sys.version_info >= (3, 12) else "kernel, Python 3.11, refuses it" in older[0]


def test_what_a_newer_kernel_may_understand_is_a_barrier():
    """Syntax of a Python that this one knows nothing of: the cell waits for all above, and all below for it."""
    cells = [
        type(cell)(id=cell.id, index=cell.index, source=cell.source, python=(3, 99))
        for cell in sources(["a = 1", "lazily import of the future", "b = a", "print(b)"])
    ]
    found = analyse(cells)
    assert found.cells[1].is_opaque
    assert "Python 3.99" in " ".join(found.cells[1].warnings)
    assert {(1, 2), (2, 3), (3, 4)} <= {(edge.source_index, edge.target_index) for edge in found.edges}


def test_lines_stay():
    source = 's = f"""{d["""a"""]}\n\n{d["x"]}"""\ntype V = int\nr = k'
    assert parse(source).tree.body[-1].lineno == 5


@pytest.mark.parametrize(
    "source",
    ['f"{', "f'{a!", 'x = f"{a', "type X", "def f[", 'f"{a:{b}', "t'", "'", 'f"\\', "except A, B:"],
)
def test_what_does_not_end_is_left_as_it_is(source):
    """Never an exception."""
    assert parse(source).tree is None
