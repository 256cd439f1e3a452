"""Analysis after edits: whatever was edited, the result is that of a fresh analysis."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_flows.analysis import CellSource, analyse
from jupyter_flows.analysis.reader import Reader
from tests.analysis import generated, typed_notebooks

BESIDE_NAMES = (
    "import numpy as np\nr = np.random.default_rng(1)\na = [r]", "r.normal()", "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()", "c = [fig]", "plt.savefig('p.png')", "import random; b = (random.Random(2), 1)", "b[0].random()",
    "import numpy as np\nnp.random.seed(1)", "import numpy as np\na = np.random.rand(3)", "import random; b = random.random()",
    "import os\nos.environ['K'] = '1'", "import os\nprint(os.environ['K'])", "import os; os.chdir('x')",
    "open('f.txt', 'w').write('x')", "c = open('f.txt').read()", "import pandas as pd\npd.set_option('a', 1)",
    "import pandas as pd\na = pd.read_csv('f.txt')\na", "a['x'] = 1", "b = a[a.x > 1]\nb", "import matplotlib.pyplot as plt\nplt.plot(a)",
    "plt.title('t')", "plt.show()", "from math import *", "from nowhere_to_be_found import *", "print(sqrt(2), pi)", "exec(a)",
    "exec('a = b')", "_", "b = Out[3]", "_3", "a", "a;", "k = 3", "k = 4", "x = (", "print a, b", "globals()[a] = 1", "d = globals()['a']",
    "from __future__ import annotations\ndef f(v: Unknown = None, n=0): return v", "def g(v: list = None, n: Other = 0): return v",
    "for n in globals(): print(n)", "get_ipython().run_line_magic('load_ext', 'thing')", "get_ipython().run_line_magic('thing', 'a')",
    "import numpy", "import numpy.linalg as la\nla.norm(a)", "from numpy import linalg\nlinalg.norm(b)", "np.linalg.norm(a)", "print(not_there)",
    "not_there.append(1)", "try:\n    a = 1\nexcept Exception as e:\n    b = e", "if a:\n    del b\nelse:\n    b = 2",
    "match a:\n    case [x, *y]:\n        b = x\n    case {'k': b}:\n        c = b", "for a in b:\n    if a: break\nelse:\n    c = a",
    "with open('f.txt') as h:\n    c = h.read()", "h.write('x')", "while b:\n    b = b[1:]\n    if a: continue", "", "# only a remark",
)  # fmt: skip
MAGICS = (
    None, None, None, None, None, None, "", "--name a", "one", "two --after one", "three --not-after one", "--in a --out b",
    "--mutates a", "--when a", "four --map x=b --out-map c", "--nonsense",
)  # fmt: skip
texts = st.one_of(generated.cell, typed_notebooks._cell(), st.sampled_from(BESIDE_NAMES))
cell = st.builds(
    lambda source, magic, marker, tags: {"source": source, "magic": magic, "marker": marker, "tags": tags},
    texts,
    st.sampled_from(MAGICS),
    st.sampled_from((None,) * 9 + ("parameters", "skip")),
    st.sampled_from(((),) * 9 + (("skip",), ("task",))),
)
edit = st.tuples(
    st.sampled_from(
        (
            "replace",
            "replace",
            "replace",
            "append",
            "prepend",
            "blank line",
            "drop line",
            "insert",
            "delete",
            "move",
            "swap",
            "undo",
        )
    ),
    st.integers(0, 99),
    st.integers(0, 99),
    cell,
)
FIRST = [
    {"source": generated.FIRST},
    {"source": typed_notebooks.FIRST},
]


def given_as(cells: list[dict]) -> list[CellSource]:
    return [CellSource(id=f"c{n}", index=n, **cell) for n, cell in enumerate(cells, 1)]


def edited(cells: list[dict], how: str, one: int, other: int, new: dict) -> list[dict]:
    """Return the notebook after one edit."""
    cells = list(cells)
    if how == "insert" or not cells:
        cells.insert(one % (len(cells) + 1), new)
        return cells
    one, other = one % len(cells), other % len(cells)
    if how == "replace":
        cells[one] = new
    elif how == "append":
        cells[one] = {**cells[one], "source": f"{cells[one]['source']}\n{new['source']}"}
    elif how == "prepend":
        cells[one] = {**cells[one], "source": f"{new['source']}\n{cells[one]['source']}"}
    elif how in ("blank line", "drop line"):
        lines = cells[one]["source"].split("\n")
        at = other % len(lines)
        lines[at : at + (how == "drop line")] = [""] if how == "blank line" else []
        cells[one] = {**cells[one], "source": "\n".join(lines)}
    elif how == "delete":
        del cells[one]
    elif how == "move":
        cells.insert(other, cells.pop(one))
    elif how == "swap":
        cells[one], cells[other] = cells[other], cells[one]
    return cells


def assert_same(reader: Reader, cells: list[dict], **how: bool) -> None:
    found = msgspec.to_builtins(reader.analyse(given_as(cells)))
    fresh = msgspec.to_builtins(analyse(given_as(cells), **how))
    assert found["cells"] == fresh["cells"]
    assert found["edges"] == fresh["edges"]
    assert found == fresh


@pytest.mark.parametrize(
    "how", [{}, {"plain_as_tasks": True}, {"all_cells": True}], ids=["plain", "plain as tasks", "all"]
)
def test_after_any_edits_it_says_what_a_fresh_analysis_says(how):
    @settings(max_examples=150, deadline=None, report_multiple_bugs=False)
    @given(st.lists(cell, min_size=1, max_size=12), st.lists(edit, min_size=1, max_size=8), st.booleans())
    def edits(cells, changes, is_full):
        cells = [*(FIRST if is_full else []), *cells]
        reader = Reader(**how)
        assert_same(reader, cells, **how)
        before = [cells]
        for change in changes:
            cells = before[-2] if change[0] == "undo" and len(before) > 1 else edited(cells, *change)
            before.append(cells)
            assert_same(reader, cells, **how)

    edits()


SHARED = "import pandas as pd\ndf = pd.DataFrame({'a': range(9)})\nlimits = [1, 2]\ndef scaled(x):\n    return x * limits[0]"
BELOW = ("a = df[df.a > 1]", "b = scaled(3)", "c = [limits, df]", "print(a, b, c)")


@pytest.mark.parametrize(
    ("source", "walked"),
    [
        (SHARED + "\nmore = {}", 1),
        (SHARED.replace("range(9)", "range(10, 19)"), 1),
        (SHARED + "\ndf['b'] = 2", 4),
        (SHARED.replace("x * limits[0]", "x * limits[1]"), 2),
        ("\n" + SHARED, 4),
    ],
    ids=["a line more", "other numbers", "a change in place", "another function", "lines moved"],
)
def test_only_cells_that_use_what_an_edit_changed_are_walked_again(source, walked):
    """An edit in the cell that all others use touches no other, unless it gives them something else."""
    reader = Reader()
    assert_same(reader, [{"source": text} for text in (SHARED, *BELOW)])
    assert_same(reader, [{"source": text} for text in (source, *BELOW)])
    assert walked == reader.walked
