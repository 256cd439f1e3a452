"""Cells in one namespace of this process: what a kernel would do, without one."""

from __future__ import annotations

import builtins
import copy
import pickle
import subprocess
import sys
import textwrap
from datetime import timedelta

import pytest

from jupyter_flows import Flow
from jupyter_flows.engine import state
from jupyter_flows.engine.flow_runner import FlowRunner
from jupyter_flows.engine.limits import TaskTimedOut
from jupyter_flows.engine.namespace import NamespaceBackend
from jupyter_flows.engine.task_runner import CellFailed
from jupyter_flows.executors import ThreadExecutor
from jupyter_flows.notebook.cell_task import CellTask


def cell(source, *, name="here", writes=(), index=1, **options):
    return CellTask(
        name, source=textwrap.dedent(source), cell_id=f"id-{index}", index=index, writes=writes, **options
    )


@pytest.fixture
def run():
    """Run cells, one after the other, in one namespace; return what the last one wrote."""
    backend = NamespaceBackend()

    def call(*sources, writes=("x",), timeout_s=None):
        found = None
        for index, source in enumerate(sources, 1):
            found = backend.call(cell(source, writes=writes, index=index), {}, {}, timeout_s)
        return found

    call.backend = backend
    yield call
    backend.close()


def notebook(*cells, edges):
    """A flow of cells, in order, with edges by place."""
    flow = Flow("notebook")
    for own in cells:
        flow.add_task(own)
    for up, down in edges:
        flow.add_edge(cells[up], cells[down], names=("x",))
    return flow


def test_cells_share_names(run):
    assert run("x = 2", "x = x + 1") == {"x": 3}


def test_only_written_names_that_exist_are_results(run):
    assert run("if False:\n    y = 1\nx = 2", writes=("x", "y")) == {"x": 2}


def test_functions_see_later_changes_of_globals(run):
    assert run("k = 1\ndef f():\n    return k", "k = 5", "x = f()") == {"x": 5}


def test_the_name_is_main(run):
    assert run("x = __name__") == {"x": "__main__"}
    assert sys.modules["__main__"] is not run.backend.module


def test_classes_of_cells_can_be_pickled_within_the_run(run):
    """pickle looks a class up in ``sys.modules['__main__']``."""
    source = """
    import pickle
    from dataclasses import dataclass
    @dataclass
    class Point:
        a: int
    x = pickle.loads(pickle.dumps(Point(3))).a
    """
    assert run(textwrap.dedent(source)) == {"x": 3}


def test_future_imports_of_this_package_do_not_reach_cells(run):
    assert run("def f(a: 1): pass\nx = f.__annotations__['a']") == {"x": 1}


def test_future_imports_of_a_cell_reach_the_cells_below(run):
    assert run("from __future__ import annotations", "def f(a: 1): pass\nx = f.__annotations__['a']") == {
        "x": "1"
    }


def test_display_is_there_as_in_a_kernel(run, capsys):
    run("display('shown')")
    assert "shown" in capsys.readouterr().out


def test_top_level_await_works_and_cells_share_the_loop(run):
    assert run(
        "import asyncio\nloop = asyncio.get_running_loop()\nawait asyncio.sleep(0)",
        "x = (await asyncio.sleep(0, 7), loop is asyncio.get_running_loop())",
    ) == {"x": (7, True)}


def test_top_level_await_works_inside_a_running_loop(run):
    """As in a kernel, which runs ``flow.run()`` from its own loop."""
    import asyncio

    async def kernel():
        return run("import asyncio\nx = await asyncio.sleep(0, 7)")

    assert asyncio.run(kernel()) == {"x": 7}


def test_an_error_in_await_is_the_cells_error(run):
    import asyncio

    async def kernel():
        return run("import asyncio\nawait asyncio.sleep(0)\n1/0")

    with pytest.raises(CellFailed, match="ZeroDivisionError in cell here, line 3"):
        asyncio.run(kernel())


def test_shell_lines_and_magics_work_without_a_shell():
    """In a plain process, and without leaving a shell, a hook or another ``__main__`` behind."""
    program = """
    import sys
    from jupyter_flows.engine.namespace import NamespaceBackend
    from jupyter_flows.notebook.cell_task import CellTask
    before = sys.displayhook, sys.excepthook, sys.modules["__main__"]
    backend = NamespaceBackend()
    def run(source, *writes):
        return backend.call(CellTask("c", source=source, cell_id="c", index=1, writes=writes), {}, {}, None)
    print(run("name = 'you'\\nfiles = !echo hello {name}", "files"))
    run("%matplotlib inline")
    run("%load_ext autoreload\\n%autoreload 2")
    run("def list_files():\\n    return get_ipython().getoutput('echo a')")
    print(run("w = list_files()", "w"))
    print(run("%%time\\ny = name * 2", "y"))
    print(run("%%capture out\\nprint('caught')", "out")["out"].stdout)
    print(run("%env JUPYTER_FLOWS_TEST=3\\nimport os\\nz = os.environ['JUPYTER_FLOWS_TEST']", "z"))
    assert (sys.displayhook, sys.excepthook, sys.modules["__main__"]) == before
    import IPython
    assert IPython.get_ipython() is None
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    for wanted in ("{'files': ['hello you']}", "{'y': 'youyou'}", "caught", "{'z': '3'}", "{'w': ['a']}"):
        assert wanted in done.stdout


def test_a_running_shell_is_lent_and_given_back():
    """In a kernel, magics work on the cells' names; the open notebook's names stay as they are."""
    program = """
    from IPython.core.interactiveshell import InteractiveShell
    shell = InteractiveShell.instance()
    shell.user_ns["name"] = "theirs"
    from jupyter_flows.engine.namespace import NamespaceBackend
    from jupyter_flows.notebook.cell_task import CellTask
    backend = NamespaceBackend()
    backend.call(CellTask("c", source="name = 'ours'", cell_id="c", index=1), {}, {}, None)
    made = backend.call(CellTask("c", source="out = !echo {name}", cell_id="c", index=2, writes=["out"]), {}, {}, None)
    assert made == {"out": ["ours"]}, made
    assert shell.user_ns["name"] == "theirs" and "out" not in shell.user_ns
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


# -- parameters ------------------------------------------------------------------------------------


def test_parameters_replace_defaults_right_after_their_cell():
    flow = notebook(
        cell("x = 1\ny = x", name="parameters", role="parameters", writes=("x", "y")),
        cell("x = x * 10, y", name="use", writes=("x",), index=2),
        edges=[(0, 1)],
    )
    from jupyter_flows.schema.flows import ParameterSpec

    flow.parameter_specs = (ParameterSpec(name="x", required=False, default=1),)
    done = flow.run(x=5)
    assert [found.result for found in done.result.values()] == [{"x": 5, "y": 1}, {"x": (50, 1)}]


# -- failures ----------------------------------------------------------------------------------------


def test_a_failed_cell_is_told_by_class_and_line(run):
    with pytest.raises(CellFailed, match="^ValueError in cell here, line 3; its message") as caught:
        run("def f():\n    raise ValueError('secret')\nf()")
    assert "secret" not in str(caught.value)
    assert str(caught.value.cause) == "secret"


def test_leading_empty_lines_count(run):
    with pytest.raises(CellFailed, match="NameError in cell here, line 3;"):
        run("\n%env\nnope")


def test_a_cell_that_does_not_parse_is_told_with_its_line(run):
    with pytest.raises(CellFailed, match="SyntaxError in cell here, line 2;"):
        run("x = 1\nx = = 2")


def test_sys_exit_with_success_ends_the_cell_only(run):
    assert run("import sys\nx = 1\nsys.exit()\nx = 2") == {"x": 1}
    with pytest.raises(CellFailed, match="SystemExit in cell here, line 2"):
        run("import sys\nsys.exit(3)")


def test_a_cell_that_takes_too_long_is_stopped(run):
    with pytest.raises(TaskTimedOut, match="took longer than 0.05 s"):
        run("while True:\n    pass", timeout_s=0.05)


def test_signals_may_be_raised_in_cells():
    flow = notebook(
        cell("from jupyter_flows.engine.signals import SKIP\nraise SKIP('nothing new')"),
        cell("x = 1", index=2, name="after"),
        edges=[(0, 1)],
    )
    assert [type(found) for found in flow.run().result.values()] == [state.Skipped, state.Skipped]


def test_a_failed_cell_stops_what_reads_it_and_nothing_else():
    flow = notebook(
        cell("raise OSError", name="load"),
        cell("x = data", name="clean", index=2),
        cell("y = 1", name="other", index=3, writes=("y",)),
        edges=[(0, 1)],
    )
    done = flow.run()
    assert {own.name: type(found).__name__ for own, found in done.result.items()} == {
        "load": "Failed", "clean": "TriggerFailed", "other": "Success",
    }  # fmt: skip


# -- runs --------------------------------------------------------------------------------------------


def test_restored_cells_are_not_run_again():
    first, second = (
        cell("x = 1/0", name="load", writes=("x",)),
        cell("x = x + 1", name="next", writes=("x",), index=2),
    )
    flow = notebook(first, second, edges=[(0, 1)])
    done = FlowRunner(flow).run(task_states={first: state.Success(result={"x": 41})})
    assert done.result[second].result == {"x": 42}


@pytest.mark.parametrize("restored", range(16))
def test_restored_cells_give_what_they_made_where_they_stand(restored):
    """Whichever cells need not run: the others see the names as the cells above them left them."""
    sources = {"x": "x = [1]", "y": "y = x", "y_2": "y.append(2)\nx = [5]", "z": "z = (x, y)"}
    parts = [
        cell(source, name=name, index=index, writes=("x", "y") if name == "y_2" else (name,))
        for index, (name, source) in enumerate(sources.items(), 1)
    ]
    flow = notebook(*parts, edges=[(0, 1), (1, 2), (2, 3)])
    plain = [{"x": [1]}, {"y": [1]}, {"x": [5], "y": [1, 2]}, {"z": ([5], [1, 2])}]
    given = {
        part: state.Success(result=copy.deepcopy(made))
        for number, (part, made) in enumerate(zip(parts, plain, strict=True))
        if restored >> number & 1
    }
    done = FlowRunner(flow).run(task_states=given)
    assert done.result[parts[3]].result == plain[3]
    assert done.result[parts[1]].result["y"] in ([1], [1, 2])


def test_a_cell_that_is_tried_again_sees_nothing_of_restored_cells_below():
    """While it waits for its next try, a cell below runs, with what a restored one above that one made."""
    tried = (
        "if 'once' not in globals():\n    once = True\n    raise OSError\ny = (x, globals().get('w'))\nx = 7"
    )
    parts = [
        cell("x = 1", name="first", writes=("x",)),
        cell(
            tried,
            name="again",
            writes=("x", "y"),
            index=2,
            max_retries=1,
            retry_delay=timedelta(seconds=0.05),
        ),
        cell("x = w = 5", name="kept", writes=("w", "x"), index=3),
        cell("z = (x, w, 'y' in globals())", name="below", writes=("z",), index=4),
        cell("last = (x, y)", name="last", writes=("last",), index=5),
    ]
    flow = notebook(*parts, edges=[(0, 1), (2, 3), (1, 4), (3, 4)])
    done = FlowRunner(flow).run(task_states={parts[2]: state.Success(result={"x": 5, "w": 5})})
    assert [done.result[parts[at]].result for at in (1, 3, 4)] == [
        {"x": 7, "y": (1, None)},
        {"z": (5, 5, False)},
        {"last": (5, (1, None))},
    ]


def test_two_runs_share_nothing():
    own = cell("x = globals().get('x', 0) + 1", writes=("x",))
    flow = notebook(own, edges=[])
    assert [flow.run().result[own].result for _ in range(2)] == [{"x": 1}, {"x": 1}]


def test_cells_run_one_at_a_time_in_threads_too():
    source = "busy = globals().setdefault('busy', [0])\nbusy[0] += 1\nimport time\ntime.sleep(0.01)\nx = busy[0]\nbusy[0] -= 1"
    cells = [cell(source, name=f"c{index}", writes=("x",), index=index) for index in range(1, 5)]
    done = notebook(*cells, edges=[]).run(executor=ThreadExecutor(4))
    assert [found.result["x"] for found in done.result.values()] == [1, 1, 1, 1]


def test_a_pickled_flow_of_cells_runs_in_a_plain_process(tmp_path):
    """The pickle carries source text, not functions with frozen globals."""
    import cloudpickle

    first, second = (
        cell("x = 20", name="load", writes=("x",)),
        cell("x = x + 1", name="next", writes=("x",), index=2),
    )
    path = tmp_path / "flow.pickle"
    path.write_bytes(cloudpickle.dumps(notebook(first, second, edges=[(0, 1)])))
    program = f"import pickle; s = pickle.load(open({str(path)!r}, 'rb')).run(); print([r.result for r in s.result.values()])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[{'x': 20}, {'x': 21}]"


def test_plain_cells_do_not_load_ipython():
    program = (
        "import sys; from jupyter_flows.engine.namespace import NamespaceBackend;"
        "from jupyter_flows.notebook.cell_task import CellTask;"
        "NamespaceBackend().call(CellTask('c', source='x = 1', cell_id='c', index=1), {}, {}, None);"
        "assert 'IPython' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_builtins_are_left_as_they_were(run):
    run("x = 1")
    assert not hasattr(builtins, "get_ipython")
    assert pickle.loads(pickle.dumps(cell("x = 1"))).source == "x = 1"
