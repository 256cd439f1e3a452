"""Cells under one heading become one task; what says what it is stays by itself; order stays."""

from __future__ import annotations

import json

from jupyter_flows.analysis import analyse
from jupyter_flows.notebook.build import build_flow
from jupyter_flows.notebook.headings import group_by_heading
from jupyter_flows.notebook.read import parse_notebook


def book(*cells: str):
    """Texts that begin with ``#`` are Markdown."""
    content = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {},
        "cells": [
            {"cell_type": "markdown" if text.startswith(("#", "text")) else "code", "id": f"c{n}", "source": text,
             "metadata": {}, "outputs": []}
            for n, text in enumerate(cells)
        ],
    }  # fmt: skip
    return parse_notebook(json.dumps(content), path="book.ipynb")


def shape(notebook) -> list[list[str]]:
    """Ids of the cells that each cell stands for."""
    return [[member.id for member in cell.members] or [cell.id] for cell in notebook.cells]


def test_the_cells_under_a_heading_are_one_task_named_after_it():
    grouped = group_by_heading(
        book(
            "import math",
            "# Load: the *data*",
            "x = math.pi * 1",
            "text between",
            "y = x * 2",
            "## Show",
            "print(y)",
        )
    )
    assert [["c0"], ["c2", "c4"], ["c6"]] == shape(grouped)
    assert [1, 2, 3] == [cell.index for cell in grouped.cells]
    analysis = analyse(grouped.plain())
    assert ["cell-1", "load-the-data", "show"] == [cell.name for cell in analysis.cells]
    assert [(1, 2), (2, 3)] == [(edge.source_index, edge.target_index) for edge in analysis.edges]


def test_tasks_parameters_and_skipped_cells_stay_and_part_the_others():
    grouped = group_by_heading(
        book(
            "# A",
            "x = f()",
            "%%task mine\ny = x",
            "z = y + 1",
            "w = z + 1",
            "%%skip\n1 / 0",
            "v = w + 1",
            "%flow a",
        )
    )
    assert [["c1"], ["c2"], ["c3", "c4"], ["c5"], ["c6"], ["c7"]] == shape(grouped)
    assert ["a", "mine", "a-2", "cell-4", "a-3"] == [cell.name for cell in analyse(grouped.plain()).cells[:5]]


def test_setup_cells_are_taken_in_between_but_not_at_the_ends():
    grouped = group_by_heading(
        book(
            "# A",
            "import os",
            "x = os.getcwd()",
            "def f():\n    return x",
            "y = f()",
            "import re",
            "# B",
            "z = y * 2",
        )
    )
    assert [["c1"], ["c2", "c3", "c4"], ["c5"], ["c7"]] == shape(grouped)


def test_headings_of_one_name_are_two_tasks_and_code_in_markdown_is_no_heading():
    grouped = group_by_heading(
        book(
            "# Data",
            "x = f()",
            "text\n```\n# not one\n```",
            "y = x + 1",
            "# Data",
            "z = y + 1",
            "# Ä/ö",
            "w = z + 1",
        )
    )
    assert [["c1", "c3"], ["c5"], ["c7"]] == shape(grouped)
    assert ["data", "data-2", "ä-ö"] == [task.name for task in build_flow(grouped).tasks]


def test_above_the_first_heading_nothing_is_grouped():
    assert [["c0"], ["c1"]] == shape(group_by_heading(book("x = f()", "y = x + 1")))


def test_ipython_syntax_stays_valid_in_a_group():
    """A cell magic that is not the first line of its cell would be a syntax error."""
    grouped = group_by_heading(
        book("# A", "names = !ls", "%%time\nn = len(names)", "%%bash\necho hi", "print(n)")
    )
    (cell,) = analyse(grouped.plain()).cells
    assert ({"names", "n"}, ()) == (set(cell.writes), cell.reads)
    assert not any("cannot be read" in warning for warning in cell.warnings)
