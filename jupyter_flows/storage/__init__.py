"""Where a registered flow's code is and how to get it back; one file each kind."""

from __future__ import annotations

import sys
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from jupyter_flows.core.context import context
from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.errors import FlowNotFoundInFile, FlowsError
from jupyter_flows.plugins import load_kind
from jupyter_flows.schema.refs import StorageRef
from jupyter_flows.storage.base import Storage
from jupyter_flows.storage.local import Local
from jupyter_flows.storage.notebook import Notebook

__all__ = ["Local", "Notebook", "Storage", "flows_of_script", "load_script", "storage_from_ref"]


def storage_from_ref(ref: StorageRef) -> Storage:
    """Return the storage that can fetch what *ref* points to."""
    made: Storage = load_kind("storage", ref.kind)()
    return made


def load_script(path: Path, flow_name: str | None = None) -> Any:
    """Execute the script and return its flow.

    Raises
    ------
    FlowNotFoundInFile : it holds none of that name, or several and none was named.
    """
    flows = flows_of_script(path)
    if flow_name is not None:
        for flow in flows:
            if flow.name == flow_name:
                return flow
        names = ", ".join(flow.name for flow in flows) or "no flow at all"
        raise FlowNotFoundInFile(f"{path} has no flow called {flow_name!r}; it has {names}")
    if len(flows) != 1:
        names = ", ".join(flow.name for flow in flows)
        what = (
            f"several flows ({names}); choose one with --name"
            if flows
            else "no flow; write 'with Flow(...) as flow:'"
        )
        raise FlowNotFoundInFile(f"{path} has {what}")
    return flows[0]


def flows_of_script(path: Path) -> list[FlowGraph]:
    """Execute the script (not as ``__main__``) and return the flows among its globals, in order.

    Meanwhile ``flow.run()`` and ``flow.register()`` at its top level do nothing but warn.

    Raises
    ------
    FlowNotFoundInFile : the script raised, told by class and line.
    """
    module = ModuleType("__flow_script__")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    directory = str(path.parent.absolute())
    sys.path.insert(0, directory)
    try:
        code = _compile(path)
        with context(loading_flow=True):
            exec(code, module.__dict__)  # noqa: S102 - executing the user's script is the purpose
    except FlowsError:
        raise
    except OSError as error:
        raise FlowNotFoundInFile(f"script {path} cannot be read: {error.strerror}") from error
    except (Exception, SystemExit) as error:
        raise FlowNotFoundInFile(
            f"script {path} raised {type(error).__name__}{_line(error, path)}; run it to see why"
        ) from error
    finally:
        if directory in sys.path:
            sys.path.remove(directory)
    found = [value for value in module.__dict__.values() if isinstance(value, FlowGraph)]
    return list({id(flow): flow for flow in found}.values())


def _compile(path: Path) -> CodeType:
    source = path.read_bytes()
    if b"\0" in source:
        # Python before 3.11.4 calls this a ValueError.
        msg = "source code cannot contain null bytes"
        raise SyntaxError(msg)
    # Without inheriting: this file's own "from __future__ import annotations" is not the script's.
    return compile(source, str(path), "exec", dont_inherit=True)


def _line(error: BaseException, path: Path) -> str:
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f" in line {error.lineno}"
    traceback = error.__traceback__
    line = None
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == str(path):
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return f" in line {line}" if line else ""
