"""IPython's syntax, hidden state and code that cannot be seen: linked, or said so on the cell."""

from __future__ import annotations

import pytest

from tests.analysis.cases import graph, pairs

LINKED: dict[str, tuple[list[str], set[tuple[int, int]]]] = {
    "capture with a body that changes": (["xs = []", "%%capture out\nxs.append(1)", "print(xs, out)"], {(1, 2), (2, 3)}),
    "time body": (["x = 1", "%%time\ny = x", "print(y)"], {(1, 2), (2, 3)}),
    "time line": (["x = 1", "%time y = x", "print(y)"], {(1, 2), (2, 3)}),
    "timeit binds nothing": (["x = 1", "%%timeit\ny = x", "y = 2", "print(y)"], {(1, 2), (3, 4)}),
    "prun line": (["x = 1", "%prun y = x", "print(y)"], {(1, 2), (2, 3)}),
    "timeit line": (["def f(): return k", "k = 1", "%timeit -n 3 -r 2 f()"], {(1, 3), (2, 3)}),
    "shell expression": (["p = {'a': 1}", "!echo {p['a']} $HOME ${p}"], {(1, 2)}),
    "awk is not interpolation": (["x = 1", "!awk '{print $1}' f.txt"], set()),
    "shell captured and used in a loop": (["d = '.'", "for f in !ls {d}:\n    print(f)"], {(1, 2)}),
    "line magic with a variable": (["lib = 'x'", "%pip install $lib"], {(1, 2)}),
    "write a module, import it": (["%%writefile helper_x.py\nk = 1", "import helper_x", "print(helper_x.k)"], {(1, 2), (2, 3)}),
    "search path, then import": (["import sys\nsys.path.append('lib')", "import own_module", "import numpy"], {(1, 2)}),
    "copy in the shell": (["open('a.txt', 'w').write('1')", "!cp a.txt b.txt", "print(open('b.txt').read())"], {(1, 2), (2, 3)}),
    "pathlib": (["from pathlib import Path\np = Path('d') / 'x.txt'", "p.write_text('1')", "print(Path('d/x.txt').read_text())"], {(1, 2), (2, 3), (1, 3)}),
    "pandas file": (["import pandas as pd\ndf = pd.DataFrame()", "df.to_csv('o.csv')", "pd.read_csv('o.csv')"], {(1, 2), (1, 3), (2, 3)}),
    "glob": (["open('a.csv', 'w').close()", "open('b.txt', 'w').close()", "import glob\nglob.glob('*.csv')"], {(1, 3)}),
    "f-string path": (["n = 'a'", "open(f'{n}.txt', 'w').close()", "open('a.txt').read()", "open('b.txt').read()"], {(1, 2), (2, 3)}),
    "working directory": (["import os\nos.chdir('/tmp')", "open('x.txt').read()", "open('/etc/hosts').read()"], {(1, 2)}),
    "environment": (["import os\nos.environ['A'] = '1'", "import os\nos.getenv('A')", "import os\nos.getenv('B')"], {(1, 2)}),
    "numpy generator": (["import numpy as np\nnp.random.seed(0)", "a = np.random.rand()", "b = np.random.rand()"], {(1, 2), (2, 3), (1, 3)}),
    "random state that is None": (["import numpy as np\nfrom sklearn.cluster import KMeans\nm = KMeans(random_state=None)\nown = KMeans(random_state=0)", "np.random.seed(0)", "m.fit([[1]])", "own.fit([[1]])"], {(1, 2), (1, 3), (2, 3), (1, 4)}),
    "sample with and without a random state": (["import numpy as np, pandas as pd\ndf = pd.DataFrame()", "np.random.seed(0)", "a = df.sample(1, random_state=None)", "b = df.sample(1, random_state=1)"], {(1, 2), (1, 3), (2, 3), (1, 4)}),
    "split without a random state": (["import numpy as np\nfrom sklearn.model_selection import train_test_split", "np.random.seed(0)", "a = train_test_split([1], random_state=None)"], {(1, 2), (1, 3), (2, 3)}),
    "imported by a name given as text": (["import sys, importlib\nsys.path.append('lib')", "m = importlib.import_module('own_module')", "n = importlib.import_module('numpy')"], {(1, 2), (1, 3)}),
    "own generator": (["import numpy as np\nr = np.random.default_rng(0)", "a = r.normal()", "b = r.normal()"], {(1, 2), (2, 3)}),
    "open figure": (["import matplotlib.pyplot as plt", "plt.plot([1])", "plt.title('t')"], {(1, 2), (1, 3), (2, 3)}),
    "figures of their own": (["import matplotlib.pyplot as plt", "fig, ax = plt.subplots()\nax.plot([1])", "fig, ax = plt.subplots()\nax.plot([2])"], {(1, 2), (1, 3)}),
    "axes drawn, figure saved": (["import matplotlib.pyplot as plt\nfig, ax = plt.subplots()", "ax.plot([1])", "fig.savefig('x.png')"], {(1, 2), (2, 3)}),
    "titled through pyplot, figure saved by its name": (["import matplotlib.pyplot as plt\nfig, ax = plt.subplots()", "ax.plot([1])", "plt.title('x')", "fig.savefig('a.png')"], {(1, 2), (1, 3), (2, 3), (3, 4)}),
    "axes drawn, saved through pyplot": (["import matplotlib.pyplot as plt\nfig, ax = plt.subplots()", "ax.plot([1])", "plt.savefig('a.png')"], {(1, 2), (1, 3), (2, 3)}),
    "axes of another cell chosen, drawn into below": (["import matplotlib.pyplot as plt\nfig, ax = plt.subplots()", "plt.sca(ax)", "plt.plot([1])", "fig.savefig('a.png')"], {(1, 2), (1, 3), (2, 3), (3, 4)}),
    "figure of another cell chosen, drawn into there and below": (["import matplotlib.pyplot as plt\nfig, ax = plt.subplots()", "plt.figure(fig)\nplt.plot([1])", "plt.plot([2])", "print(ax.lines)"], {(1, 2), (1, 3), (2, 3), (3, 4)}),
    "figures that stay open": (["import matplotlib.pyplot as plt\n%config InlineBackend.close_figures = False\nfig, ax = plt.subplots()", "plt.plot([1])", "print(ax.lines)"], {(1, 2), (2, 3)}),
    "figures that are closed by themselves": (["import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nplt.sca(ax)", "plt.plot([1])", "print(ax.lines)"], {(1, 2), (1, 3)}),
    "module out of the table of modules": (["import sys, json", "m = sys.modules['json']\nm.x = 1", "print(json.x)"], {(1, 2), (2, 3)}),
    "module taken out of the table, imported again": (["import sys, own", "m = sys.modules.pop('own')", "m.x = 1", "print(own.x)", "import own"], {(1, 2), (2, 3), (3, 4), (2, 5)}),
    "own namespace out of the table of modules": (["import sys\nx = 1", "sys.modules['__main__'].x = 2", "print(x)"], {(1, 2), (2, 3), (1, 3)}),
    "shown, then titled": (["import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nplt.show()", "plt.title('x')", "fig.savefig('a.png')"], {(1, 2), (1, 3)}),
    "database handle": (["import sqlite3\ncon = sqlite3.connect(':memory:')", "cur = con.cursor()", "cur.execute('create table t(a)')", "con.execute('select * from t')"], {(1, 2), (2, 3), (3, 4), (1, 4)}),
    "sql over frames": (["import pandas as pd, duckdb\nt1 = pd.DataFrame()", "duckdb.sql('select * from t1')"], {(1, 2)}),
    "out history": (["40 + 2", "x = 1", "print(Out[1])", "print(_1)"], {(1, 3), (1, 4)}),
    "run of code given as text": (["x = 1", "get_ipython().run_cell('y = x')", "print(y)"], {(1, 2), (2, 3)}),
    "extension of an unknown magic": (["%load_ext memory_profiler", "%memit 1"], set()),
    "store": (["x = 1\n%store x", "%store -r x", "print(x)"], {(1, 2), (2, 3)}),
    "user_ns": (["get_ipython().user_ns['q'] = 1", "print(q)"], {(1, 2)}),
    "inputs in a fit": (["X = [[1]]\ny = [1]\nfrom sklearn.svm import SVC\nm = SVC()", "m.fit(X, y)", "m.predict(X)"], {(1, 2), (1, 3), (2, 3)}),
    "fit that is assigned": (["from sklearn.svm import SVC\nm = SVC()", "fitted = m.fit([[1]], [1])", "m.predict([[1]])"], {(1, 2), (2, 3)}),
    "torch style": (["import own_nn\nm = own_nn.Net()\nopt = own_nn.Adam(m.parameters())", "opt.step()", "m.eval()"], {(1, 2), (2, 3)}),
    "newer syntax": (["type V = list[int]\nk = 2", "class Box[T]:\n    def get(self, x: T) -> V: return k", "print(Box().get(1))"], {(1, 2), (1, 3), (2, 3)}),
    "python 2": (["x = 1", "print x, 'a'", "print x"], {(1, 2), (1, 3)}),
    "python 2 exception": (["x = 1", "try:\n    print x\nexcept Exception, e:\n    pass"], {(1, 2)}),
    "barrier reads files": (["open('a.txt', 'w').write('1')", "%run script.py"], {(1, 2)}),
    "barrier writes files": (["x = 1", "%run script.py", "print(open('b.txt').read())"], {(1, 2), (2, 3)}),
    "barrier draws random numbers": (["import random\nrandom.seed(1)", "%run script.py", "import numpy as np\na = np.random.rand()"], {(1, 2), (2, 3)}),
    "barrier changes the directory and the environment": (["import os\nos.chdir('d')", "exec(x)", "del os\nimport os\nprint(os.environ['A'])"], {(1, 2), (1, 3), (2, 3)}),
    "broken cell in the middle": (["x = 1", "y = x +", "print(x)", "print(y)"], {(1, 2), (1, 3), (2, 4)}),
}  # fmt: skip


@pytest.mark.parametrize("name", LINKED)
def test_exact_pairs(name):
    cells, expected = LINKED[name]
    assert pairs(graph(*cells)) == expected


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("exec(open('x.py').read())", "only known when it runs"),
        ("%run other.ipynb", "%run"),
        ("%%julia_x\nx", "%%julia_x"),
        ("%%bash\nls", "process of its own"),
        ("%%R -o y\ny <- 1", "another language"),
        ("from own_things import *", "imports every name of own_things"),
        ("print undefined", "Python 2"),
        ("x = (", "cannot be read as Python"),
        ("%reset -f", "changes the namespace"),
        ("for k in list(globals()): pass", "namespace"),
        ("eval(input())", "asks for input"),
        ("print(never_given)", "no cell above gives a value"),
        ("open(str(1), 'w').close()", "only known when it runs"),
    ],
)
def test_what_cannot_be_seen_is_said(cell, words):
    warnings = graph("x = 1", cell, "print(x)").cells[1].warnings
    assert any(words in warning for warning in warnings), warnings


@pytest.mark.parametrize(
    "cell", ["exec(open('x.py').read())", "%run a.py", "%%julia_x\nx", "globals()[str(1)] = 2"]
)
def test_opaque_code_is_a_barrier(cell):
    """It waits for all above, and all below that reads anything waits for it."""
    analysis = graph("x = 1", "y = 2", cell, "print(x)", "print(new_name)", "import math")
    assert pairs(analysis) >= {(1, 3), (2, 3), (3, 4), (3, 5)}
    assert (3, 6) not in pairs(analysis)
    assert analysis.cells[2].is_opaque


def test_a_new_name_does_not_overtake_opaque_code():
    """Such code may bind the name, too: where cells share memory, the later cell has to be the last."""
    analysis = graph("exec(open('x.py').read())", "b = 2", "print(b)")
    assert [(edge.source_index, edge.target_index) for edge in analysis.order_edges] == [(1, 2)]
    assert pairs(analysis) == {(2, 3)}


def test_a_star_import_gives_the_names_that_nobody_else_gives():
    analysis = graph("from own_things import *", "x = 1", "print(x, thing)", "print(x)")
    assert pairs(analysis) == {(1, 3), (2, 3), (2, 4)}
