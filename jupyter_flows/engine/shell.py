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


_INJECTED = ("__IPYTHON__", "display", "get_ipython")
"""What a shell puts into ``builtins`` when it is made."""


class Shell:
    """What stands behind ``get_ipython()`` and ``display`` in the namespace of *module*."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._own: Any = None
        # In a kernel these two are there without an import.
        module.__dict__.update(get_ipython=self.get, display=_display)

    def get(self) -> Any:
        """Return the shell that runs in this process, else one of our own, made at the first call."""
        shell = _running()
        if shell is None:
            shell = self._own = self._own or _make(self._module)
        return shell

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let the shell that runs in this process, if there is one, work on our namespace in the block."""
        shell = _running()
        if shell is None:
            yield
            return
        before = shell.user_ns, shell.user_module
        shell.user_ns, shell.user_module = self._module.__dict__, self._module
        try:
            yield
        finally:
            shell.user_ns, shell.user_module = before

    def kernel_shell(self) -> Any:
        """Return the shell of the kernel that this process is, if it is one."""
        shell = _running()
        return shell if getattr(shell, "kernel", None) is not None else None

    def show(self, value: Any) -> None:
        """Show the value of a cell's last line where there is somebody to see it; set ``_``."""
        self._module.__dict__["_"] = value
        if getattr(_running(), "kernel", None) is not None:
            _display(value)


def _display(*values: Any, **options: Any) -> Any:
    """Show *values* as IPython does."""
    from IPython.display import display

    show: Any = display
    return show(*values, **options)


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
    before = sys.displayhook, sys.excepthook, sys.modules.get("__main__")
    kept = {name: vars(builtins)[name] for name in _INJECTED if name in vars(builtins)}
    base: Any = InteractiveShell

    class QuietShell(base):  # type: ignore[misc]
        """Without the event loop of a window system: ``%matplotlib inline`` asks for one and needs none."""

        def enable_gui(self, gui: str | None = None) -> None:
            """Nothing."""

    try:
        shell = QuietShell(config=quiet, user_module=module, user_ns=module.__dict__)
    finally:
        sys.displayhook, sys.excepthook = before[0], before[1]
        if before[2] is not None:
            sys.modules["__main__"] = before[2]
        for name in _INJECTED:
            vars(builtins).pop(name, None)
        vars(builtins).update(kept)
    return shell
