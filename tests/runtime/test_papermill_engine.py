"""The engine by itself: papermill's conventions, and what it does better."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.runtime.conftest import Executed, write_notebook


def test_parameters_are_injected_as_papermill_does(papermill_run) -> None:
    """The tagged cell is followed by an injected one, and papermill's metadata is there."""
    done: Executed = papermill_run("n = 1", "print(n)", tags={0: ["parameters"]}, parameters={"n": 42})
    assert done.error is None
    assert "42\n" == done.text(2)
    assert ["injected-parameters"] == done.code[1].metadata.tags
    assert "completed" == done.code[2].metadata.papermill.status
    assert {"n": 42} == done.nb.metadata.papermill.parameters


def test_states_times_and_attempts_are_in_the_cells(papermill_run) -> None:
    """Each cell tells how it went, under one key."""
    done = papermill_run("1 + 1")
    entry = done.code[0].metadata["jupyter_flows"]
    assert "Success" == entry["state"]
    assert 1 == entry["attempts"]
    assert entry["started_at"] < entry["ended_at"]


def test_a_failure_is_told_by_class_and_line_and_raised(papermill_run) -> None:
    """The message has no text of the exception; the notebook has the traceback."""
    done = papermill_run("x = 1", "%%task clean\n\nraise ValueError('canary')")
    assert done.error is not None
    assert "Failed" == done.states[1]
    assert "ValueError in cell clean, line 3" == done.message(1)
    assert "canary" in "".join(done.code[1].outputs[0].traceback)


def test_a_kernel_that_exits_is_a_failed_cell_with_its_cause(papermill_run) -> None:
    done = papermill_run("import os\nos._exit(3)")
    assert done.error is not None
    assert "the kernel died: exit code 3" in done.message(0)


def test_a_kernel_that_is_killed_is_told_with_the_signal(papermill_run) -> None:
    done = papermill_run("import os\nos.kill(os.getpid(), 9)")
    assert "the kernel died: killed by signal 9" in done.message(0)


def test_input_fails_at_once(papermill_run) -> None:
    done = papermill_run("input('name?')")
    assert "Failed" == done.states[0]
    assert "asked for input; a headless run has none: make it a parameter" in done.message(0)


def test_a_cell_over_its_time_is_interrupted(papermill_run) -> None:
    done = papermill_run("while True:\n    pass", execution_timeout=1)
    assert ["TimedOut"] == done.states
    assert "took longer than 1 s" in done.message(0)


def test_errors_that_are_expected_are_outputs(papermill_run) -> None:
    """The tag ``raises-exception`` makes an error part of the document."""
    done = papermill_run("raise ValueError", "'still here'", tags={0: ["raises-exception"]})
    assert ["Success", "Success"] == done.states
    assert "'still here'" == done.text(1)


def test_sys_exit_ends_a_cell_well(papermill_run) -> None:
    done = papermill_run("import sys\nsys.exit(0)", "'next'")
    assert done.error is None
    assert ["Success", "Success"] == done.states


def test_outputs_land_where_they_belong(papermill_run) -> None:
    """Streams are joined, displays updated from other cells, cleared output is gone."""
    done = papermill_run(
        "from IPython.display import clear_output, display, update_display\ndisplay('one', display_id='d');",
        "update_display('two', display_id='d')",
        "print(1)\nclear_output()\nprint(2)\nprint(3)",
    )
    assert "'two'" == done.text(0)
    assert [] == done.code[1].outputs
    assert "2\n3\n" == done.text(2)
    assert 1 == len(done.code[2].outputs)


def test_skipped_cells_do_not_run(papermill_run) -> None:
    done = papermill_run("%%skip\nraise ValueError", "1")
    assert done.error is None
    assert [] == done.code[0].outputs


def test_a_notebook_that_does_not_parse_runs_from_top_to_bottom(papermill_run) -> None:
    """A cell with a syntax error fails where it stands; what is before it has run."""
    done = papermill_run("print('ran')", "def f(:")
    assert "ran\n" == done.text(0)
    assert "Failed" == done.states[1]
    assert "SyntaxError" in done.message(1)


def test_the_notebook_on_disk_follows_a_long_cell(tmp_path: Path) -> None:
    """While a cell runs, the file has its output so far, and is whole at every look."""
    waiting = (
        "import time, pathlib, json\nprint('so far', flush=True)\nout = pathlib.Path('out.ipynb')\n"
        "for _ in range(600):\n"
        "    time.sleep(0.05)\n"
        "    if out.exists() and 'so far' in json.dumps([c.get('outputs') for c in json.loads(out.read_text())['cells']]):\n"
        "        break\n"
        "else:\n    raise TimeoutError"
    )
    write_notebook(tmp_path / "in.ipynb", waiting)
    code = (
        "import sys; sys.modules['rfc3987_syntax'] = None\n"
        "import papermill\nfrom papermill.engines import papermill_engines as engines\n"
        "from jupyter_flows.runtime.papermill_engine import FlowsEngine\n"
        "engines.register('flows', FlowsEngine)\n"
        "papermill.execute_notebook('in.ipynb', 'out.ipynb', engine_name='flows', progress_bar=False)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=60)


def test_no_process_and_no_file_is_left(papermill_run, tmp_path: Path) -> None:
    """Kernel, sockets and temporary files are gone when papermill returns."""
    done = papermill_run("import os\nprint(os.getpid())")
    assert not Path(f"/proc/{done.text(0).strip()}").exists()
    assert {"in.ipynb", "out.ipynb"} == {path.name for path in tmp_path.iterdir()}
