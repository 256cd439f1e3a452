"""A flow's code on its way to storage: pickled, tried, written, and taken away again."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from types import ModuleType

from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.errors import NotebookNotSaved
from jupyter_flows.notebook.cell_task import CellTask
from jupyter_flows.notebook.read import read_notebook
from jupyter_flows.notebook.transform import plain_python
from jupyter_flows.registering.fresh_interpreter import loaded_in_fresh_interpreter
from jupyter_flows.registering.modules import imported_modules, local_modules
from jupyter_flows.registering.pickling import modules_in, pickle_flow
from jupyter_flows.registering.source import Source
from jupyter_flows.schema.refs import StorageRef
from jupyter_flows.storage import Local, Notebook, Storage
from jupyter_flows.storage.base import slug


class Written:
    """The file that a registering wrote anew, so that it, and nothing else, can be taken away again."""

    def __init__(self) -> None:
        self._directory: Path | None = None
        self._was_there = True
        self._before: frozenset[str] = frozenset()
        self._path: Path | None = None
        self._identity = (0, 0)

    def watch(self, directory: Path) -> None:
        """Note what is in *directory* before the code is written into it."""
        self._directory = directory
        self._was_there = directory.is_dir()
        self._before = (
            frozenset(path.name for path in directory.iterdir()) if self._was_there else frozenset()
        )

    def wrote(self, path: Path) -> None:
        """Note which file has the code now."""
        if path.name not in self._before:
            self._path, self._identity = path, _identity(path)

    def take_back(self) -> None:
        """Remove the file, unless another registering uses it meanwhile: storage touches what it finds."""
        with suppress(OSError):
            if self._path is not None and _identity(self._path) == self._identity:
                self._path.unlink()
        if self._directory is not None and not self._was_there:
            with suppress(OSError):  # not empty: somebody else's
                self._directory.rmdir()


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns


def pickled_code(store: Storage, flow: FlowGraph, source: Source) -> bytes | None:
    """Return the flow as a pickle, if that is what *store* keeps."""
    if isinstance(store, Notebook) or (isinstance(store, Local) and store.stored_as_script):
        return None
    return pickle_flow(flow, by_value=(source.module,) if source.module is not None else ())


def loaded_elsewhere(
    data: bytes | None, flow: FlowGraph, source: Source
) -> AbstractContextManager[None, bool | None]:
    """Load a pickle in a fresh interpreter while the body runs; what is no pickle needs no trial."""
    if data is None:
        return nullcontext()
    return loaded_in_fresh_interpreter(data, flow_name=flow.name, beside=source.directory)


def _script(store: Storage, source: Source) -> Path | None:
    """Return the script that *store* keeps, if it keeps one."""
    if not (isinstance(store, Local) and store.stored_as_script):
        return None
    return Path(store.path).expanduser() if store.path else source.path


def only_here(store: Storage, source: Source, data: bytes | None, modules: list[str]) -> list[str]:
    """Return a warning for each module that an agent on another machine does not have."""
    script = _script(store, source)
    if script is not None:
        return _warn(imported_modules([_read(script)]), script.absolute().parent)
    return _warn(sorted({*(modules_in(data) if data is not None else ()), *modules}), source.directory)


def put_code(
    store: Storage, flow: FlowGraph, source: Source, data: bytes | None, written: Written
) -> StorageRef:
    """Write the code; return where it is."""
    assert isinstance(store, Notebook | Local)
    written.watch(store.root / slug(flow.name))
    script = _script(store, source)
    if isinstance(store, Notebook):
        assert source.path is not None
        ref = store.put_notebook(
            source.path, flow_name=flow.name, all_cells=source.all_cells, by_heading=source.by_heading
        )
    elif script is not None:
        ref = store.put_script(script, flow_name=flow.name)
    else:
        assert data is not None
        origin = str(source.path) if source.path is not None else None
        ref = store.put_pickle(data, flow_name=flow.name, source=origin)
    written.wrote(Path(ref.location))
    _check_unchanged(source, ref, store)
    return ref


def _check_unchanged(source: Source, ref: StorageRef, store: Storage) -> None:
    """Refuse code that is not what the graph was made of: its file was saved meanwhile."""
    if isinstance(store, Notebook) and source.notebook is not None:
        stored = read_notebook(ref.location).cells
        same = [(c.source, c.tags) for c in stored] == [(c.source, c.tags) for c in source.notebook.cells]
    elif isinstance(store, Local) and store.stored_as_script and store.path is None:
        same = source.sha256 in {None, ref.sha256}
    else:
        return
    if not same:
        msg = f"{source.path} was saved while it was being registered; register it again"
        raise NotebookNotSaved(msg)


def _warn(modules: Iterable[str], beside: Path | None) -> list[str]:
    return [
        f"module {name} exists only here ({file}); an agent on another machine needs it installed, "
        "or its directory as --import-path"
        for name, file in local_modules(modules, beside=beside).items()
    ]


def _read(path: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text("utf-8")
    return ""


def imports_of(flow: FlowGraph, source: Source) -> list[str]:
    """Return the modules that the flow's code imports or uses."""
    cells = [plain_python(task.source).source for task in flow.tasks if isinstance(task, CellTask)]
    if cells:
        return imported_modules(cells)
    if source.path is not None and source.path.suffix == ".py":
        return imported_modules([_read(source.path)])
    used: set[str] = set()
    # A thousand tasks are mostly copies of a few: each function is looked at once.
    runs = {id(run): run for run in [task.run for task in flow.tasks]}
    functions = {id(found): found for found in [getattr(run, "__func__", run) for run in runs.values()]}
    for function in functions.values():
        code, space = getattr(function, "__code__", None), getattr(function, "__globals__", {})
        for name in code.co_names if code is not None else ():
            value = space.get(name)
            module = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
            if module:
                used.add(str(module).split(".")[0])
    return sorted(used - {"__main__", "builtins", "jupyter_flows"})
