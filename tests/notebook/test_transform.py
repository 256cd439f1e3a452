"""IPython's syntax becomes Python without IPython running, line for line."""

from __future__ import annotations

import pytest

from jupyter_flows.notebook.transform import plain_python


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = 1 % 2", "x = 1 % 2"),
        ("!ls {p}", "get_ipython().system('ls {p}')\n"),
        ("x?", "get_ipython().run_line_magic('pinfo', 'x')\n"),
        ("%%time\n!ls\nx = 1", "\nget_ipython().system('ls')\nx = 1\n"),
        ("%%capture cap\nprint(1)", "cap = get_ipython().getoutput('')\nprint(1)"),
        ("# a comment\n%%time\nx = 1", "# a comment\n\nx = 1"),
        ("%%html\n<b>", "get_ipython().run_cell_magic('html', '', '<b>\\n')\n"),
        ("%%time\n%%capture c\nx = 1", "\nc = get_ipython().getoutput('')\nx = 1"),
        ("print 1", "print 1\n"),
        ("%%timeit\n", "\n"),
    ],
)
def test_rewriting(source, expected):
    assert plain_python(source).source == expected


def test_a_task_line_is_taken_off_and_the_lines_stay():
    plain = plain_python("%%task clean --retries 2\nx = 1\n!ls")
    assert plain.magic == "clean --retries 2"
    assert plain.source.splitlines()[1] == "x = 1"


@pytest.mark.parametrize("marker", ["parameters", "skip"])
def test_markers(marker):
    assert plain_python(f"%%{marker}\nx = 1").marker == marker
