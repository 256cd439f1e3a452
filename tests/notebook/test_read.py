"""Notebooks and scripts of every kind to code cells, and one sentence for what is not one."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from jupyter_flows.errors import InvalidNotebook
from jupyter_flows.notebook.read import notebook_cells, parse_notebook, read_notebook


def notebook(*cells: dict, **metadata) -> str:
    return json.dumps({"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def code(source, **more) -> dict:
    return {
        "cell_type": "code",
        "source": source,
        "metadata": {},
        "outputs": [],
        "execution_count": None,
        **more,
    }


def test_code_cells_are_numbered_from_one_without_the_texts(tmp_path):
    place = tmp_path / "n.ipynb"
    place.write_text(
        notebook({"cell_type": "markdown", "source": "# t", "metadata": {}}, code(["a = 1\n", "b"], id="x"))
    )
    (cell,) = read_notebook(place).cells
    assert (cell.index, cell.position, cell.id, cell.source) == (1, 1, "x", "a = 1\nb")


def test_missing_and_double_ids_come_from_the_content():
    text = notebook(code("x = 1"), code("x = 1"), code("y", id="same"), code("z", id="same"))
    first = [cell.id for cell in parse_notebook(text, path="n").cells]
    assert first == [cell.id for cell in parse_notebook(text, path="n").cells]
    assert len(set(first)) == 4
    assert first[2] == "same"


def test_kernel_and_tags_are_read():
    text = notebook(
        code("x", metadata={"tags": ["parameters", 3]}),
        kernelspec={"name": "py"},
        language_info={"name": "python"},
    )
    found = parse_notebook(text, path="n")
    assert (found.kernel, found.language, found.cells[0].tags) == ("py", "python", ("parameters",))


def test_a_notebook_of_format_3_is_brought_up(tmp_path):
    old = {
        "metadata": {"name": ""}, "nbformat": 3, "nbformat_minor": 0,
        "worksheets": [{"cells": [{"cell_type": "code", "input": ["print(1)"], "outputs": [], "language": "python", "collapsed": False}]}],
    }  # fmt: skip
    first = parse_notebook(json.dumps(old), path="n")
    assert first.cells[0].source == "print(1)"
    assert first.cells[0].id == parse_notebook(json.dumps(old), path="n").cells[0].id


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "n: the file is empty; is the notebook saved?"),
        ("{", "n: not a notebook: the file is not JSON (it ends too early, in line 1)"),
        ('{"a": 1,\n', "n: not a notebook: the file is not JSON (it ends too early, in line 1)"),
        ('{\n  "a" 1}', "n: not a notebook: the file is not JSON (line 2, column 7)"),
        ("[]", "n: not a notebook: the JSON has no nbformat number"),
        ('{"nbformat": 4}', "n: not a notebook: it has no list of cells"),
        (
            '{"nbformat": 4, "metadata": []}',
            "n: not a notebook: its metadata are no JSON object",
        ),
        ('{"nbformat": 9, "cells": []}', "n: format 9 is newer than this program knows (4); upgrade it"),
        ('{"nbformat": 4, "cells": [3]}', "n: cell 1 of the file is not a notebook cell"),
        (
            '{"nbformat": 4, "cells": [{"cell_type": "code", "source": 3}]}',
            "n: cell 1 of the file has no source text",
        ),
        (
            '{"nbformat": 3}',
            "n: cannot be brought from format 3 to 4 (ValidationError); open and save it in JupyterLab",
        ),
    ],
)
def test_what_is_not_a_notebook_is_said_in_one_sentence(text, sentence):
    with pytest.raises(InvalidNotebook) as caught:
        parse_notebook(text, path="n")
    assert str(caught.value) == sentence


def test_a_merge_conflict_is_named():
    with pytest.raises(InvalidNotebook, match="merge conflict"):
        parse_notebook("<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> b\n", path="n")


def test_files_that_are_not_there_or_not_text(tmp_path):
    with pytest.raises(InvalidNotebook, match="there is no such file"):
        read_notebook(tmp_path / "no.ipynb")
    (tmp_path / "b.ipynb").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidNotebook, match="not a text file"):
        read_notebook(tmp_path / "b.ipynb")
    with pytest.raises(InvalidNotebook, match="cannot be read"):
        read_notebook(tmp_path)


def test_a_script_is_split_at_percent_lines(tmp_path):
    place = tmp_path / "s.py"
    place.write_text(
        'import os\n# %% tags=["parameters"]\nk = 1\n# %% [markdown]\n# text\n# %%task go\nprint(k)\n'
    )
    assert [(cell.source, cell.tags) for cell in read_notebook(place).cells] == [
        ("import os\n", ()),
        ("k = 1\n", ("parameters",)),
        ("%%task go\nprint(k)\n", ()),
    ]


def test_a_notebook_in_memory_needs_no_file():
    assert notebook_cells(json.loads(notebook(code("x = 1"))), path="n").plain()[0].source == "x = 1"


def test_reading_a_present_day_notebook_imports_no_nbformat(tmp_path):
    """nbformat costs most of a second; format 4 is read without it."""
    place = tmp_path / "n.ipynb"
    place.write_text(notebook(code("x = 1")))
    program = (
        "import sys; from jupyter_flows.notebook.outline import outline; outline(sys.argv[1]);"
        "print(sorted({'nbformat', 'jsonschema', 'IPython'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(place)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
