"""Runs sequences of cells inside the notebook's kernel, each in a process forked from it.

Executed by the kernel from its source text, where this package need not be installed: standard library and
IPython only. A request is a forest: each node is a cell that runs after those on the way to it. Sequences
that begin alike share that beginning, and the process forks where they part; every branch has the working
directory to itself, under the same path, as it was at the fork. What each cell did goes, a line of JSON
each, into a file. The kernel's own process runs no cell, so that every tree begins from nothing.
"""

from __future__ import annotations

import contextlib
import io
import json
import mmap
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
from typing import Any

# Put here by whoever executes this text: the namespace of digest.py.
_digest: Any = None
# Likewise: the namespace of the engine's cell_options.py.
_options: Any = None

_SHELL_NAMES = {
    "In", "Out", "exit", "quit", "get_ipython", "open",
    "_", "_i", "_ii", "_iii", "_ih", "_oh", "_dh", "_exit_code",
}  # fmt: skip
_OWN_FILES = (".pyc", ".pyo", ".lock")
_CACHES = (
    "/.cache/",
    "/.config/",
    "/.local/",
    "/.ipython/",
    "/.jupyter/",
    "/site-packages/",
    "/__pycache__/",
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_POLL_S = 0.005


def serve(path: str) -> None:
    """Run the request in the file at *path*, tree after tree."""
    with open(path, encoding="utf-8") as file:
        request = json.load(file)
    probe = Probe(request)
    for root in request["roots"]:
        probe.branch(request["nodes"][root])


class Probe:
    """The state of one process of a check; a fork inherits it.

    Parameters
    ----------
    request : dict
        ``cells`` (number to what is run and looked at), ``nodes`` and ``roots`` (the forest), ``root`` (the
        working directory), ``results`` (the file for observations), ``deadline`` (of ``time.time()``; no
        branch is begun later), ``cell_limit_s`` (a fork whose cell takes longer is ended), ``tries_passing``
        (whether to see what of the values would be lost between processes).
    """

    def __init__(self, request: dict[str, Any]) -> None:
        self._cells = request["cells"]
        self._nodes = request["nodes"]
        self._root = request["root"]
        self._results = request["results"]
        self._deadline = request.get("deadline")
        self._cell_limit_s = request.get("cell_limit_s")
        self._tries_passing = request.get("tries_passing")
        self._clock: Any = None
        self._shell: Any = None
        self._display: list[Any] = []
        self._raw: Any = None
        self._raw_at = 0
        self._outside: set[str] = set()
        self._depth = 0
        self._has_begun = False

    # -- processes ---------------------------------------------------------------------------------

    def branch(self, node: dict[str, Any]) -> None:
        """Run the tree *node* in a fork, in a copy of the working directory; wait for its end."""
        if self._deadline is not None and time.time() > self._deadline:
            return
        aside = f"{self._root}.aside-{self._depth}"
        here = _directory()
        os.rename(self._root, aside)
        try:
            shutil.copytree(aside, self._root, symlinks=True)
            # When the fork's present cell began: shared, for a cell that never ends cannot tell it itself.
            clock = mmap.mmap(-1, 8)
            chance = random.getstate()
            pid = os.fork()
            if pid == 0:
                self._clock = clock
                # Python seeds its generator anew in a fork; the cells before have seeded or used this one.
                random.setstate(chance)
                self._child(node, here)
            ended = self._wait(pid, node["limit_s"], clock)
        finally:
            shutil.rmtree(self._root, ignore_errors=True)
            os.rename(aside, self._root)
            with contextlib.suppress(OSError):
                os.chdir(here)
        if ended:
            self._tell({"key": None, "died": ended})
        self._remove_outside()

    def _wait(self, pid: int, limit_s: float | None, clock: Any) -> str:
        """Wait for a fork; return how it died, or nothing if it ended as it should."""
        until = None if limit_s is None else time.monotonic() + limit_s
        try:
            while True:
                found, status = os.waitpid(pid, os.WNOHANG)
                if found:
                    break
                if until is not None and time.monotonic() > until:
                    _kill(pid)
                    os.waitpid(pid, 0)
                    return f"took longer than {limit_s:.0f} s"
                (began,) = struct.unpack("d", clock[:])
                if self._cell_limit_s and began and time.monotonic() - began > self._cell_limit_s:
                    _kill(pid)
                    os.waitpid(pid, 0)
                    return (
                        f"was ended after {self._cell_limit_s:g} s, the limit for one cell (--cell-timeout)"
                    )
                time.sleep(_POLL_S)
        except BaseException:
            _kill(pid)
            raise
        # Processes that cells started and left behind.
        _kill(pid, also=False)
        if os.WIFSIGNALED(status):
            return f"was killed by signal {os.WTERMSIG(status)}"
        return "" if os.WEXITSTATUS(status) == 0 else f"ended with code {os.WEXITSTATUS(status)}"

    def _child(self, node: dict[str, Any], here: str) -> None:
        code = 70
        try:
            os.setpgid(0, 0)
            _die_with_parent()
            self._depth += 1
            os.chdir(here if os.path.isdir(here) else self._root)
            if self._has_begun:
                self._own_streams()
            else:
                self._begin()
            self._walk(node)
            code = 0
        except BaseException:  # noqa: BLE001 - a fork must end here, whatever happens
            self._tell({"key": None, "broken": traceback.format_exc()[-2000:]})
        finally:
            with contextlib.suppress(Exception):
                self._tell_outside()
            os._exit(code)

    def _begin(self) -> None:
        """Make the fork of a kernel a shell of its own, which speaks to nobody."""
        import asyncio
        import warnings

        from IPython import get_ipython
        from IPython.core.displayhook import DisplayHook
        from IPython.core.displaypub import DisplayPublisher

        self._has_begun = True
        found = self._display
        shell = self._shell = get_ipython()

        class Publisher(DisplayPublisher):
            def publish(self, data: Any, *args: Any, **options: Any) -> None:
                del args, options
                found.append(data)

            def clear_output(self, wait: bool = False) -> None:  # noqa: FBT001, FBT002 - IPython's signature
                del wait
                found.clear()

        class Hook(DisplayHook):
            def write_output_prompt(self) -> None:
                pass

            def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
                del md_dict
                found.append(format_dict)

            def finish_displayhook(self) -> None:
                pass

        publisher: Any = Publisher
        hook: Any = Hook
        shell.display_pub = publisher(parent=shell)
        shell.displayhook = hook(parent=shell, shell=shell)
        # The trap is set already, by the execution that this fork is part of.
        shell.display_trap.hook = sys.displayhook = shell.displayhook
        shell.history_manager.enabled = False
        shell._showtraceback = lambda *_: None  # noqa: SLF001 - what failed is told by the result
        asyncio._set_running_loop(None)  # noqa: SLF001 - the kernel's loop stayed with the kernel
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        shell.loop_runner = loop.run_until_complete
        # Else a warning is shown by whichever cell comes first, and cells would differ by their order.
        warnings.simplefilter("always")
        if self._root not in sys.path and "" not in sys.path:
            sys.path.insert(0, "")
        self._own_streams()
        sys.addaudithook(self._audit)

    def _own_streams(self) -> None:
        """Let what C code and child processes print go into a file of this process."""
        self._raw = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process lives
        self._raw_at = 0
        for number in (1, 2):
            os.dup2(self._raw.fileno(), number)

    # -- cells -------------------------------------------------------------------------------------

    def _walk(self, node: dict[str, Any]) -> None:
        """Run the node's cell and go on: in forks, but for the last way."""
        while True:
            self._tell({"key": node["key"], "began": True})
            self._clock[:] = struct.pack("d", time.monotonic())
            self._run(node)
            self._clock[:] = struct.pack("d", 0.0)
            following = [self._nodes[key] for key in node["then"]]
            if not following:
                return
            for other in following[:-1]:
                self.branch(other)
            node = following[-1]

    def _run(self, node: dict[str, Any]) -> None:
        cell = self._cells[str(node["cell"])]
        names = self._shell.user_ns
        seen: dict[str, str] = {}
        shown: dict[str, str] = {}
        began = time.perf_counter()
        if cell["when"] is not None:
            try:
                holds = bool(eval(cell["when"], names))  # noqa: S307 - the user's expression, on purpose
            except Exception as failure:  # noqa: BLE001 - the user's error is an observation
                name = type(failure).__name__
                self._say(node, {"error": name}, {}, began=began, error=name)
                return
            if not holds:
                self._say(node, {"skipped": "yes"}, {}, began=began)
                return
        before = {name: id(value) for name, value in names.items()}
        keep = list(names.values())  # so that no id is given to something new
        self._display.clear()
        out, err = io.StringIO(), io.StringIO()
        if cell["wrapping"] is not None:
            _options.install(self._shell, cell["wrapping"])
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            result = self._shell.run_cell(cell["code"], store_history=True)
            sys.stdout.flush()
        raised = result.error_before_exec or result.error_in_exec
        seconds = time.perf_counter() - began
        printed = out.getvalue() + self._raw_text()
        self._outputs(seen, printed, err.getvalue())
        error = ""
        if raised is not None and not (isinstance(raised, SystemExit) and raised.code in {None, 0}):
            error = type(raised).__name__
            seen["error"] = _digest.masked(f"{error}: {raised}")[:2000]
        wanted = set(cell["names"])
        for name, value in list(names.items()):
            if name in wanted or (before.get(name) != id(value) and _is_users(name)):
                seen[f"name:{name}"] = _digest.digest(value)
                shown[name] = _digest.short(value)
        del keep
        lost = {}
        for name in cell["passed"] if self._tries_passing else ():
            if name in names:
                found = _digest.lost(names[name])
                if found is not None:
                    lost[name] = found
        error = "" if cell["may_raise"] else error
        self._say(node, seen, shown, began=began, seconds=seconds, error=error, lost=lost)

    def _outputs(self, seen: dict[str, str], printed: str, complained: str) -> None:
        if printed:
            seen["stdout"] = _digest.digest(_digest.masked(printed))
        if complained:
            seen["stderr"] = _digest.digest(_digest.masked(complained))
        if self._display:
            kinds = [sorted(data) for data in self._display]
            texts = [_digest.masked(str(data.get("text/plain", ""))) for data in self._display]
            seen["display"] = _digest.digest([kinds, texts])
            images = [
                [data[kind] for kind in sorted(data) if kind.startswith("image/")] for data in self._display
            ]
            if any(images):
                seen["image"] = _digest.digest(images)

    def _raw_text(self) -> str:
        """Return what was printed past Python since the last cell."""
        end = os.lseek(self._raw.fileno(), 0, os.SEEK_CUR)
        if end <= self._raw_at:
            return ""
        text = os.pread(self._raw.fileno(), min(end - self._raw_at, 1_000_000), self._raw_at)
        self._raw_at = end
        return text.decode("utf-8", "replace")

    def _say(
        self,
        node: dict[str, Any],
        seen: dict[str, str],
        shown: dict[str, str],
        *,
        began: float,
        seconds: float | None = None,
        error: str = "",
        lost: dict[str, list[str]] | None = None,
    ) -> None:
        spent = time.perf_counter() - began if seconds is None else seconds
        outside = sorted(self._outside)
        self._tell(
            {
                "key": node["key"],
                "seen": seen,
                "shown": shown,
                "seconds": spent,
                "error": error,
                "lost": lost or {},
                "outside": outside,
            }
        )
        self._tell_outside()

    def _tell(self, line: dict[str, Any]) -> None:
        data = (json.dumps(line) + "\n").encode()
        handle = os.open(self._results, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, data)
        finally:
            os.close(handle)

    # -- files -------------------------------------------------------------------------------------

    def _audit(self, event: str, arguments: Any) -> None:
        """Before a file is opened for writing: a link into the notebook's directory becomes a copy."""
        if event == "open":
            path, mode, flags = (*arguments, None, None)[:3]
            writes = any(letter in mode for letter in "wax+") if isinstance(mode, str) else False
            if not writes and not (isinstance(flags, int) and flags & _WRITING):
                return
        elif event == "sqlite3.connect":
            path, flags = arguments[0], 0
        else:
            return
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        with contextlib.suppress(Exception):
            self._before_writing(os.path.abspath(os.fsdecode(path)))

    def _before_writing(self, path: str) -> None:
        if path.startswith(self._root + os.sep) and os.path.realpath(path).startswith(self._root + os.sep):
            return
        if path.startswith(self._root + os.sep) and os.path.islink(path):
            target = os.path.realpath(path)
            os.unlink(path)
            shutil.copyfile(target, path)
            return
        top = os.path.dirname(self._results)
        is_ours = path.startswith((top + os.sep, "/dev/", "/proc/", "/sys/"))
        if is_ours or path.endswith(_OWN_FILES) or any(part in path for part in _CACHES):
            return
        if os.path.basename(path).startswith("tmp") or "/ipykernel_" in path:
            return
        is_new = not os.path.lexists(path)
        self._outside.add(("new " if is_new else "old ") + os.path.realpath(path))

    def _tell_outside(self) -> None:
        """Tell the parent processes which files are new, so that they are taken away again."""
        fresh = [item[4:] for item in self._outside if item.startswith("new ")]
        if fresh:
            with open(f"{self._results}.outside", "a", encoding="utf-8") as file:
                file.writelines(json.dumps(path) + "\n" for path in fresh)

    def _remove_outside(self) -> None:
        """Remove files that a branch made in the system's directory for temporary files."""
        made = f"{self._results}.outside"
        if not os.path.exists(made):
            return
        with open(made, encoding="utf-8") as file:
            paths = [json.loads(line) for line in file]
        os.unlink(made)
        mine = {item[4:] for item in self._outside}
        places = {os.path.realpath(tempfile.gettempdir()), os.path.realpath("/tmp")}  # noqa: S108 - compared, not used
        for path in paths:
            if path not in mine and any(path.startswith(place + os.sep) for place in places):
                with contextlib.suppress(OSError):
                    os.unlink(path)


def _is_users(name: str) -> bool:
    """Whether a name of the namespace is the notebook's, not the shell's own."""
    is_numbered = name.startswith("_") and name.lstrip("_i").isdigit()
    return not (name in _SHELL_NAMES or is_numbered or name.startswith("__"))


def _directory() -> str:
    try:
        return os.getcwd()
    except OSError:
        return "/"


def _kill(pid: int, *, also: bool = True) -> None:
    """Kill a fork's process group, and (*also*) the fork itself."""
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    if also:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def _die_with_parent() -> None:
    if sys.platform.startswith("linux"):
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)
