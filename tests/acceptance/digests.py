"""What a value is, as a short text that is the same in every process; and where tasks' values are noted.

Used inside kernels and run processes of these tests, so it imports nothing of the project at the top.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def digest(value: Any, depth: int = 0) -> str:
    """Say what *value* is; large ones by a hash of it."""
    text = _text(value, depth)
    return text if len(text) <= 200 else hashlib.sha256(text.encode()).hexdigest()


def _text(value: Any, depth: int) -> str:
    kind = type(value)
    name = kind.__qualname__
    if depth > 6:
        return name
    if value is None or kind in {bool, int, float, complex, str, bytes, range}:
        return f"{name}:{value!r}"
    if kind in {list, tuple} or name == "deque":
        return f"{name}:[{', '.join(digest(item, depth + 1) for item in value)}]"
    if kind in {set, frozenset}:
        return f"{name}:{{{', '.join(sorted(digest(item, depth + 1) for item in value))}}}"
    if kind.__module__ in {"threading", "_thread"}:
        return name  # how far it is differs from run to run
    if isinstance(value, Mapping) and "__builtins__" in value:
        return "namespace"
    if isinstance(value, Mapping):
        pairs = (f"{digest(key, depth + 1)}: {digest(item, depth + 1)}" for key, item in value.items())
        return f"{name}:{{{', '.join(pairs)}}}"
    if name == "ndarray":
        return f"ndarray:{value.dtype}:{value.shape}:{hashlib.sha256(value.tobytes()).hexdigest()}"
    if name in {"DataFrame", "Series"}:
        return f"{name}:{value.to_json(date_format='iso', orient='split', double_precision=15)}"
    if kind.__module__ in {"numpy", "datetime", "pathlib", "decimal", "fractions", "random"}:
        state = value.getstate() if hasattr(value, "getstate") else value
        return f"{name}:{state!r}"
    if name in {"StringIO", "BytesIO"}:
        return f"{name}:{value.getvalue()!r}"  # who listened to it meanwhile is no value
    if kind.__module__.startswith("matplotlib."):
        return name  # it remembers where it was drawn; what it shows is compared as its picture
    if name == "function":
        return f"function:{value.__name__}:{value.__code__.co_code.hex()}"
    if name == "module":
        return f"module:{value.__name__}"
    if isinstance(value, type):
        return f"class:{value.__qualname__}:{sorted(key for key in vars(value) if not key.startswith('__'))}"
    inner = getattr(value, "__dict__", None)
    if isinstance(inner, dict):
        # What pandas has computed once is no value.
        inner = {key: item for key, item in inner.items() if key != "_cache"}
    return f"{name}:{digest(inner, depth + 1)}" if inner else name


def note(label: str, values: Mapping[str, Any]) -> None:
    """Add a line to the file that ``SAME_VALUES_FILE`` names."""
    line = {"label": label, "values": {name: digest(value) for name, value in values.items()}}
    with Path(os.environ["SAME_VALUES_FILE"]).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")


def read(path: Path) -> dict[str, dict[str, str]]:
    """Return what was noted, by label; the last line wins."""
    if not path.exists():
        return {}
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return {line["label"]: line["values"] for line in lines}


def body_of(source: str) -> str:
    """Return a cell's text without the line that a front end's and a headless kernel's cell differ in."""
    first, _, rest = source.partition("\n")
    ours = first.removeprefix("# ").startswith(("%%task", "%%parameters", "%%skip")) or not first.strip()
    return (rest if ours else source).strip()


def watch(shell: Any) -> None:
    """In a kernel: note the whole namespace after every cell, under the cell's text."""
    before = set(shell.user_ns)

    def after_cell(result: Any) -> None:
        if result.info is not None and result.success:
            values = {
                name: value
                for name, value in shell.user_ns.items()
                if name not in before and not name.startswith("_")
            }
            note(body_of(result.info.raw_cell), values)

    shell.events.register("post_run_cell", after_cell)


def run_flow(flow: Any, labels: Mapping[str, str] | None = None) -> None:
    """Run a flow by the engine in this process; note each task's result at the moment it succeeds.

    *labels* are used in place of the tasks' slugs.
    """
    from jupyter_flows.engine.flow_runner import FlowRunner
    from jupyter_flows.engine.reporter import NullReporter

    class Notes(NullReporter):
        def task_run_state(self, *, slug: str, name: str, map_index: int, state: Any, attempt: int) -> None:
            del name, map_index, attempt
            if state.is_successful() and isinstance(state.result, dict):
                note(labels[slug] if labels else slug, state.result)

    state = FlowRunner(flow, reporter=Notes()).run()
    note("flow", {"state": type(state).__name__})


def run_notebook(path: str) -> None:
    """Run a notebook's flow by the engine in this process."""
    from jupyter_flows.notebook.build import build_flow
    from jupyter_flows.notebook.read import read_notebook

    run_flow(build_flow(read_notebook(path)))


def run_pickle(path: str) -> None:
    """Load a pickled flow and run it here."""
    import cloudpickle

    run_flow(cloudpickle.loads(Path(path).read_bytes()))


def run_cases(way: str, path: str) -> None:
    """Run each of many short notebooks in a child process of its own; note values by case and cell.

    Parameters
    ----------
    way : {"plain", "engine"}
        Cell by cell in IPython, or as a flow by the engine.
    path : str
        JSON: ``{name: [source, ...]}``.
    """
    cases = json.loads(Path(path).read_text("utf-8"))
    shell = None
    if way == "plain":
        from IPython.core.interactiveshell import InteractiveShell

        shell = InteractiveShell.instance()
    else:
        from jupyter_flows.engine import flow_runner  # noqa: F401 - imported once, before the children
        from jupyter_flows.notebook import build  # noqa: F401
    sink = os.environ["SAME_VALUES_FILE"]
    for number, (name, cells) in enumerate(cases.items()):
        sys.stdout.flush()
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            continue
        os.environ["SAME_VALUES_FILE"] = f"{sink}.{number}"
        directory = Path(path).parent / "work"  # the same for every way: cells may look
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        os.chdir(directory)
        try:
            if shell is not None:
                _plainly(shell, cells)
            else:
                _as_flow(cells)
        except BaseException as error:  # noqa: BLE001 - noted, and the child ends
            note("error", {"type": type(error).__name__, "case": name})
        sys.stdout.flush()
        os._exit(0)


def _plainly(shell: Any, cells: list[str]) -> None:
    before = set(shell.user_ns)
    for number, source in enumerate(cells, 1):
        result = shell.run_cell(source, store_history=True)
        if not result.success:
            note("error", {"cell": number})
            return
        names = {key: value for key, value in shell.user_ns.items() if key not in before and key[0] != "_"}
        note(str(number), names)


def _as_flow(cells: list[str]) -> None:
    from jupyter_flows.notebook.build import build_flow
    from jupyter_flows.notebook.read import CodeCell, NotebookCells

    made = tuple(
        CodeCell(id=f"c{number}", index=number, position=number - 1, source=source)
        for number, source in enumerate(cells, 1)
    )
    flow = build_flow(NotebookCells(path="case.ipynb", cells=made))
    numbers = {slug: str(task.index) for task, slug in flow.slugs.items()}
    run_flow(flow, numbers)


if __name__ == "__main__":
    if sys.argv[1] == "pickle":
        run_pickle(sys.argv[2])
    else:
        run_cases(sys.argv[1], sys.argv[2])
