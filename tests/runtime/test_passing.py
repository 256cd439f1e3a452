"""What has to be carried from cell to cell when each has a process to itself."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.core.task import Task
from jupyter_flows.notebook.build import build_flow
from jupyter_flows.notebook.read import CodeCell, NotebookCells
from jupyter_flows.runtime.passing import (
    Needs,
    apart,
    is_kept,
    is_of_the_world,
    needs_of,
    past_what_stands,
    sharing,
    without,
)


def flow_of(*sources: str, all_cells: bool = False) -> FlowGraph:
    """Return the graph of a notebook of these cells."""
    cells = tuple(
        CodeCell(id=f"c{n}", index=n, position=n - 1, source=source) for n, source in enumerate(sources, 1)
    )
    return build_flow(NotebookCells(path="n.ipynb", cells=cells), all_cells=all_cells)


def needs(*sources: str) -> dict[str, Needs]:
    """Return what the tasks of a notebook need."""
    return needs_of(flow_of(*sources))


def slugs(graph: FlowGraph, kind: str, *, upstream: str | None = None) -> list[tuple[str, str]]:
    """Return the edges of a kind as pairs of slugs."""
    pairs = [
        (graph.slugs[edge.upstream_task], graph.slugs[edge.downstream_task])
        for edge in graph.edges
        if edge.kind == kind
    ]
    return sorted(pair for pair in pairs if upstream is None or pair[0] == upstream)


def test_values_go_by_name_from_those_that_may_have_given_them() -> None:
    """A reader knows all that may have bound a name, in the notebook's order; givers what others read."""
    found = needs(
        "%%task one\nx = 1\nunread = 2",
        "%%task two\nif x:\n    x = 3",
        "%%task three\ny = x",
    )
    assert {"x": ("one", "two")} == found["three"].names
    assert [("x",), ("x",), ()] == [found[slug].gives for slug in ("one", "two", "three")]
    assert not any(need.is_pinned for need in found.values())


def test_setup_cells_are_run_again_where_they_are_needed() -> None:
    """Imports and functions are replayed, not passed; a setup cell that needs a task is not."""
    found = needs("import math\ndef f(x):\n    return math.floor(x)", "%%task one\nx = f(1.5)")
    setup = next(need for need in found.values() if need.slug != "one")
    assert setup.is_replayed
    assert {"f", "math"} <= setup.defines
    assert not found["one"].is_replayed


def test_objects_under_two_names_are_pinned_to_one_memory() -> None:
    """A list that two names share is changed in one memory; who only looks gets a copy from whoever changed it."""
    found = needs(
        "%%task one\nrows = []\nother = rows",
        "%%task two\nrows.append(1)",
        "%%task three\nseen = list(other)",
        "%%task free\nz = 1",
    )
    assert {"one": True, "two": True, "three": False, "free": False} == {
        slug: need.is_pinned for slug, need in found.items()
    }
    assert {"rows", "other"} <= found["one"].shared
    assert ("two",) == found["three"].names["other"]
    assert "other" in found["two"].gives


@pytest.mark.parametrize(
    ("first", "second", "channel"),
    [
        ("import random\nrandom.seed(1)", "import random\nx = random.random()", "rng:random"),
        ("import numpy as np\nnp.random.seed(1)", "import numpy as np\nx = np.random.rand()", "rng:numpy"),
        ("import os\nos.chdir('..')", "import os\nx = os.getcwd()", "cwd"),
        ("import os\nos.environ['A'] = '1'", "import os\nx = os.environ['A']", "env:A"),
    ],
)
def test_the_state_of_the_process_is_carried_by_channel(first: str, second: str, channel: str) -> None:
    """What a cell does to its process goes to whoever reads that, and pins nobody."""
    found = needs(f"%%task one\n{first}", f"%%task two\n{second}")
    assert {channel: ("one",)} == found["two"].channels
    assert (channel,) == found["one"].state
    assert channel in found["one"].changes
    assert [False, False] == [found[slug].is_pinned for slug in ("one", "two")]


def test_a_channel_that_cannot_be_written_down_pins_both_sides() -> None:
    """A figure that one cell begins and another goes on with is in one memory only."""
    found = needs(
        "%%task one\nimport matplotlib.pyplot as plt\nplt.plot([1])",
        "%%task two\nimport matplotlib.pyplot as plt\nplt.title('x')",
        "%%task three\nx = 1",
    )
    assert [True, True, False] == [found[slug].is_pinned for slug in ("one", "two", "three")]


def test_what_lies_outside_of_processes_pins_nobody() -> None:
    """A file is the same for every process; so it is waited for, not carried."""
    sources = ("%%task one\nopen('a.txt', 'w').write('1')", "%%task two\nx = open('a.txt').read()")
    found = needs(*sources)
    assert [False, False] == [found[slug].is_pinned for slug in ("one", "two")]
    assert {} == found["two"].channels
    assert [("one", "two")] == slugs(apart(flow_of(*sources), found), "channel")


def test_nobody_is_overtaken_in_a_memory_of_its_own() -> None:
    """A reader need not be done before the name is bound again: order edges of names go."""
    sources = ("%%task one\nx = 1", "%%task two\ny = x", "%%task three\nx = 2")
    graph = flow_of(*sources)
    assert ("two", "three") in slugs(graph, "order")
    assert [] == slugs(apart(graph, needs_of(graph)), "order")


def test_a_file_that_is_written_again_is_read_first() -> None:
    """An order edge of a file holds between processes too."""
    sources = (
        "%%task one\nopen('a.txt', 'w').write('1')",
        "%%task two\nx = open('a.txt').read()",
        "%%task three\nopen('a.txt', 'w').write('2')",
    )
    graph = flow_of(*sources)
    assert ("two", "three") in slugs(apart(graph, needs_of(graph)), "order")


def test_pinned_tasks_keep_the_notebooks_order() -> None:
    """The cells of the first kernel run one after the other, also those that have nothing in common."""
    graph = flow_of(
        "%%task one\na = []\nb = a",
        "%%task two\nc = []\nd = c",
        "%%task three\na.append(1); e = list(b)",
        "%%task four\nc.append(1); f = list(d)",
    )
    found = needs_of(graph)
    assert all(need.is_pinned for need in found.values())
    assert [("one", "two"), ("three", "four"), ("two", "three")] == slugs(apart(graph, found), "order")


def test_writers_of_one_name_wait_in_one_memory() -> None:
    """Two cells that use the same scratch name must not run at once where there is one namespace."""
    graph = flow_of(
        "%%task one\nfor i in range(2):\n    a = i",
        "%%task two\nfor i in range(3):\n    b = i",
        "%%task three\nc = 1",
    )
    assert ("one", "two") not in slugs(graph, "order")
    shared = sharing(graph)
    assert ("one", "two") in slugs(shared, "order")
    added = next(edge for edge in shared.edges if edge.kind == "order" and edge.names == ("i",))
    assert "both bind `i`" == added.reason
    assert not [pair for pair in slugs(shared, "order") if "three" in pair]


def names(tasks: Sequence[Task]) -> list[str]:
    """Return the names of tasks."""
    return [task.name for task in tasks]


def test_a_part_of_a_graph_ends_with_its_own_last_tasks() -> None:
    """Without some of its tasks the rest decides how the flow ends, and keeps its edges."""
    graph = flow_of("%%task one\nx = 1", "%%task two\ny = x", "%%task three\nz = y")
    part = without(graph, {"three"})
    assert ["one", "two"] == names(part.sorted_tasks())
    assert ["two"] == [task.name for task in part.reference_tasks()]
    assert [("one", "two")] == slugs(part, "data")


@pytest.mark.parametrize(
    ("channel", "kept", "outside"),
    [
        ("rng:random", True, False),
        ("cwd", True, False),
        ("env:HOME", True, False),
        ("mpl:style", True, False),
        ("option:pandas", True, False),
        ("file:a.txt", False, True),
        ("mpl:figure", False, False),
    ],
)
def test_each_channel_is_kept_or_outside_or_neither(channel: str, *, kept: bool, outside: bool) -> None:
    """What can be written down, what every process sees, and what only one memory has."""
    assert (kept, outside) == (is_kept(channel), is_of_the_world(channel))


def test_who_reads_an_older_value_runs_before_those_who_read_a_newer_one_that_stands() -> None:
    """In one memory, going on: the task that would keep them apart is not there to be waited for."""
    graph = flow_of("%%task a\nx = [1]", "%%task old\ny = x", "%%task b\nx = [2]", "%%task new\nz = x")
    found = slugs(past_what_stands(sharing(graph), ["a", "b"]), "order", upstream="old")
    assert [("old", "b"), ("old", "new")] == found
    assert [("old", "b")] == slugs(past_what_stands(sharing(graph), ["a"]), "order", upstream="old")
