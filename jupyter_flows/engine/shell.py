"""IPython for cells that run in this process: their syntax, their magics, what they show.

Where a shell runs (a kernel), it is lent the cells' namespace for a moment; elsewhere one is made for the
run, which leaves the process's ``get_ipython()``, hooks, history and ``__main__`` as they are.
"""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


def as_python(source: str) -> str:
    r"""Return a cell as Python, line numbers kept; Python passes untouched.

    Examples
    --------
    >>> as_python("files = !ls")
    "files = get_ipython().getoutput('ls')\n"
    """
    if _is_python(source):
        return source
    # Imported here: 0.1 s that plain notebooks need not pay.
    from IPython.core.inputtransformer2 import TransformerManager

    # The transformer drops empty lines at the top, which would shift every line number below.
    body = source.lstrip("\n")
    transform: Any = TransformerManager
    text: str = transform().transform_cell(body)
    return "\n" * (len(source) - len(body)) + text


def _is_python(source: str) -> bool:
    if source.lstrip().startswith(("%", "!", "?")):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


class Shell:
    """What stands behind ``get_ipython()`` in the namespace of *module*."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._own: Any = None

    @contextmanager
    def lent(self, *, needed: bool) -> Iterator[None]:
        """Let the shell work on our namespace within the block.

        A running shell always does, since functions that cells call may ask for it; one of our own is
        made when the first cell needs it.
        """
        shell = _running() or self._own
        if shell is None and needed:
            shell = self._own = _make(self._module)
        if shell is None:
            yield
            return
        namespace = self._module.__dict__
        namespace.setdefault("get_ipython", lambda: shell)
        before = shell.user_ns, shell.user_module
        shell.user_ns, shell.user_module = namespace, self._module
        try:
            yield
        finally:
            shell.user_ns, shell.user_module = before

    def show(self, value: Any) -> None:
        """Show the value of a cell's last line where there is somebody to see it; set ``_``."""
        self._module.__dict__["_"] = value
        shell = _running()
        if shell is not None and getattr(shell, "kernel", None) is not None:
            from IPython.display import display

            show: Any = display
            show(value)


def _running() -> Any:
    """Return the shell that runs in this process, without importing IPython for the question."""
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython

    return get_ipython()


def _make(module: ModuleType) -> Any:
    """Make a shell that is nobody's ``get_ipython()`` and writes no history."""
    import builtins

    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    quiet = Config()
    quiet.HistoryManager.enabled = False
    quiet.HistoryManager.hist_file = ":memory:"
    quiet.InteractiveShell.colors = "nocolor"
    hooks = sys.displayhook, sys.excepthook, sys.modules.get("__main__")
    had_display = hasattr(builtins, "display")
    try:
        kind: Any = InteractiveShell
        shell = kind(config=quiet, user_module=module, user_ns=module.__dict__)
    finally:
        sys.displayhook, sys.excepthook = hooks[0], hooks[1]
        if hooks[2] is not None:
            sys.modules["__main__"] = hooks[2]
        if not had_display:
            module.__dict__.setdefault("display", getattr(builtins, "display", None))
    return shell
