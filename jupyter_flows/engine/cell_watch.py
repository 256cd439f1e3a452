"""What a cell does while it runs, beside binding names: what it shows, which files it opens, if it draws.

Runs where the cell runs, which may be a kernel without this package: it is sent this file's text. So it
imports nothing of ours.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
import tempfile
from collections.abc import Callable
from glob import glob
from pathlib import Path
from typing import Any

MOST_SHOWN_BYTES = 8 << 20
"""Of a cell's outputs, what is kept."""
SMALL_FILE_BYTES = 16 << 20
"""Files up to here are compared by their content, larger ones by size and time."""
_KINDS = frozenset({"stream", "display_data", "execute_result", "update_display_data", "clear_output"})
_active: list[Watch] = []
_hooked: list[bool] = []


class Watch:
    """Watches one cell in this process.

    Attributes
    ----------
    shown : list of dict
        Its outputs, as a notebook has them.
    dropped : bool
        Whether it showed more than is kept.
    read, written : set of str
        Files that Python opened, by absolute path.
    has_drawn : bool
        Whether a generator of random numbers that all cells share moved on.
    """

    def __init__(self, shell: Any) -> None:
        self._session: Any = getattr(getattr(shell, "kernel", None), "session", None)
        self._parent = _id_of(shell.get_parent()) if self._session is not None else ""
        self.shown: list[dict[str, Any]] = []
        self.dropped = False
        self._bytes = 0
        self._clears = False
        self.read: set[str] = set()
        self.written: set[str] = set()
        self.programs = False
        self.has_drawn = False
        self._restore: Callable[[], None] = lambda: None
        self._drawn: tuple[str, ...] = ()
        self._closed = False

    def begin(self) -> None:
        """Look and listen from now on."""
        if not _hooked:
            # An audit hook stays for good: one, which does nothing while no cell is watched.
            _hooked.append(True)
            sys.addaudithook(_audit)
        self._drawn = _generators()
        self._restore = self._tee() if self._session is None else self._listen()
        _active.append(self)

    def end(self) -> None:
        """Stop."""
        if self._closed:
            return
        self._closed = True
        if self in _active:
            _active.remove(self)
        sys.stdout.flush()
        sys.stderr.flush()
        self._restore()
        # A library that the cell itself imported has a state that nothing can be compared with.
        self.has_drawn = _is_numpy_drawn_since_import(self._drawn) or any(
            before and before != after for before, after in zip(self._drawn, _generators(), strict=True)
        )

    def _listen(self) -> Callable[[], None]:
        session = self._session
        send = session.send
        own = "send" in session.__dict__

        def heard(stream: Any, message: Any, *args: Any, **options: Any) -> Any:
            try:
                if isinstance(message, dict):
                    kind, content, parent = message["msg_type"], message["content"], message["parent_header"]
                else:
                    kind = message
                    content = options.get("content", args[0] if args else {})
                    parent = options.get("parent") or {}
                if kind in _KINDS and _id_of(parent) in {"", self._parent}:
                    self.note(kind, content)
            except Exception:  # noqa: BLE001 - what is not understood is not kept, but is shown
                self.dropped = True
            return send(stream, message, *args, **options)

        session.send = heard

        def restore() -> None:
            if own:
                session.send = send
            else:
                session.__dict__.pop("send", None)

        return restore

    def _tee(self) -> Callable[[], None]:
        """Without a kernel, what is shown is what is printed."""
        before = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = (
            _Tee(stream, name, self)
            for stream, name in zip(before, ("stdout", "stderr"), strict=True)
        )  # fmt: skip
        tees = sys.stdout, sys.stderr

        def restore() -> None:
            if sys.stdout is tees[0]:
                sys.stdout = before[0]
            if sys.stderr is tees[1]:
                sys.stderr = before[1]

        return restore

    def note(self, kind: str, content: dict[str, Any]) -> None:
        """Keep one output, as a front end would show it."""
        if kind == "clear_output":
            self._clears = bool(content.get("wait"))
            if not self._clears:
                self.shown.clear()
            return
        if self._clears:
            self.shown.clear()
            self._clears = False
        size = len(content["text"]) if kind == "stream" else len(str(content.get("data")))
        self._bytes += size
        if self._bytes > MOST_SHOWN_BYTES:
            self.dropped = True
            return
        if kind == "stream":
            last = self.shown[-1] if self.shown else {}
            if last.get("output_type") == "stream" and last["name"] == content["name"]:
                last["text"] += content["text"]
            else:
                self.shown.append({"output_type": "stream", "name": content["name"], "text": content["text"]})
            return
        display_id = (content.get("transient") or {}).get("display_id")
        made = {"data": dict(content["data"]), "metadata": dict(content.get("metadata") or {})}
        if kind == "update_display_data":
            for output in self.shown:
                if display_id is not None and output.get("display_id") == display_id:
                    output.update(made)
            return
        self.shown.append(
            {"output_type": kind, **made, **({"display_id": display_id} if display_id is not None else {})}
        )


class _Tee:
    """A stream that is heard."""

    def __init__(self, stream: Any, name: str, watch: Watch) -> None:
        self._stream, self._name, self._watch = stream, name, watch

    def write(self, text: str) -> Any:
        self._watch.note("stream", {"name": self._name, "text": text})
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def show(shown: list[dict[str, Any]], shell: Any) -> None:
    """Show outputs again, as those of the cell that runs now."""
    for output in shown:
        kind = output["output_type"]
        if kind == "stream":
            (sys.stderr if output["name"] == "stderr" else sys.stdout).write(output["text"])
            continue
        sys.stdout.flush()
        sys.stderr.flush()
        hook: Any = getattr(shell, "displayhook", None)
        if kind == "execute_result" and getattr(hook, "session", None) is not None:
            content = {"data": output["data"], "metadata": output["metadata"]}
            content["execution_count"] = shell.execution_count
            hook.session.send(
                hook.pub_socket, "execute_result", content, parent=hook.parent_header, ident=hook.topic
            )
        elif shell is not None:
            options = {"transient": {"display_id": output["display_id"]}} if "display_id" in output else {}
            shell.display_pub.publish(output["data"], output["metadata"], **options)
        else:
            print(output["data"].get("text/plain", ""))  # noqa: T201
    sys.stdout.flush()
    sys.stderr.flush()


def stamp(place: str) -> str:
    """Return what a file, or all files of a pattern, are compared by; empty if there is none.

    A directory counts by the names in it.
    """
    if any(letter in place for letter in "*?["):
        found = sorted(glob(place, recursive=True))[:10_000]  # noqa: PTH207 - relative and absolute patterns alike
        return _digest("".join(f"{name} {_stamp_of(name)};" for name in found)) if found else ""
    return _stamp_of(place)


def _stamp_of(path: str) -> str:
    try:
        if os.path.isdir(path):  # noqa: PTH112
            return "directory " + _digest("/".join(sorted(os.listdir(path))))  # noqa: PTH208
        status = os.stat(path)  # noqa: PTH116
        if status.st_size > SMALL_FILE_BYTES:
            return f"{status.st_size} {status.st_mtime_ns}"
        return f"{status.st_size} {hashlib.sha256(Path(path).read_bytes()).hexdigest()}"
    except (OSError, ValueError):
        return ""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _id_of(parent: Any) -> str:
    header = parent.get("header", parent) if isinstance(parent, dict) else {}
    return str(header.get("msg_id") or "")


def _generators() -> tuple[str, ...]:
    """Return digests of the random generators that every cell shares."""
    found = [_digest(repr(random.getstate())), "", ""]
    numpy: Any = sys.modules.get("numpy")
    if hasattr(numpy, "random"):  # numpy 2 imports it when it is asked for
        _, words, at, *gauss = numpy.random.get_state()
        found[1] = _digest(repr((words.tobytes(), at, gauss)))
    torch: Any = sys.modules.get("torch")
    if hasattr(torch, "random"):
        found[2] = _digest(str(torch.random.get_rng_state().tolist()))
    return tuple(found)


def _is_numpy_drawn_since_import(before: tuple[str, ...]) -> bool:
    """Whether a cell that imported numpy has drawn: what is new stands at the end of its first words."""
    numpy: Any = sys.modules.get("numpy")
    if before[1] or not hasattr(numpy, "random"):
        return False
    state = numpy.random.get_state()
    return bool(state[2] != len(state[1]))


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if not _active or event not in _EVENTS:
        return
    try:
        watch = _active[-1]
        if event == "open":
            path, mode, flags = args
            if not isinstance(path, str | bytes):
                return
            writes = (
                any(letter in mode for letter in "wax+")
                if isinstance(mode, str)
                else bool(flags & (os.O_WRONLY | os.O_RDWR))
            )
            (watch.written if writes else watch.read).add(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100
        elif event in {"subprocess.Popen", "os.system", "os.posix_spawn", "os.forkpty"}:
            watch.programs = True
        else:
            watch.written.update(
                os.path.abspath(os.fsdecode(each)) for each in args[:2] if isinstance(each, str | bytes)  # noqa: PTH100
            )  # fmt: skip
    except Exception:  # noqa: BLE001, S110 - an error here would be one of the user's open()
        pass


_EVENTS = frozenset(
    {
        "open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.symlink", "os.link",
        "subprocess.Popen", "os.system", "os.posix_spawn", "os.forkpty",
    }
)  # fmt: skip


def is_scratch(path: str, own: str) -> bool:
    """Whether a file is no effect of a cell: caches of libraries, compiled modules, devices."""
    home = os.path.expanduser("~")  # noqa: PTH111
    places = [own, os.path.join(home, ".cache"), "/dev", "/proc", "/sys"]  # noqa: PTH118
    places += [os.environ[name] for name in _CACHES if os.environ.get(name)]
    if "__pycache__" in path or path.endswith((".py", ".pyc", ".so", ".dist-info/METADATA")):
        return True
    if any(path == place or path.startswith(place.rstrip("/") + "/") for place in places):
        return True
    return path.startswith((f"{sys.prefix}/", f"{sys.base_prefix}/lib/", "/usr/share/"))


_CACHES = ("XDG_CACHE_HOME", "MPLCONFIGDIR", "IPYTHONDIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")


def was_temporary(path: str) -> bool:
    """Whether a file was a temporary one, and is gone."""
    return path.startswith(tempfile.gettempdir()) and not os.path.lexists(path)
