"""The kept results of cells with ``--cache-for``: one store for runs by hand and headless ones.

An entry holds the values that the cell bound, what it showed, the run that made it, and the state of each
file that it depends on. Entries of one key differ in the files only.

Runs where the cell runs, which may be a kernel without this package: it is sent this file's text, after
those of ``cell_graph``, ``cell_modules``, ``cell_key`` and ``cell_watch``.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import os
import pickle
import re
import sys
import time
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

if __name__ == "jupyter_flows.engine.cell_cache":
    # In a kernel these names are there already.
    from jupyter_flows.engine.cell_graph import Incomparable
    from jupyter_flows.engine.cell_key import _SHELL, FORM, Digester
    from jupyter_flows.engine.cell_modules import tidy
    from jupyter_flows.engine.cell_watch import Watch, is_scratch, show, stamp, was_temporary

MOST_KEPT = 20
"""How many results of one cell are kept."""
_ALL_THE_SAME = "say --cache-by inputs to keep it all the same"
STALE_S = 3600
"""A file half written is left over if it is so old."""
_LIKE_A_FILE = re.compile(r"[^\n\r\t\0<>|{}]{1,300}")
_NOT_FILES = frozenset({"", ".", "..", "/", "~", "./", "*", "?"})
_UNSEEDED = frozenset(
    {"default_rng", "RandomState", "Random", "SystemRandom", "uuid4", "token_hex", "urandom"}
)


class CellCache:
    """The kept results of one cell, for one run of it.

    Parameters
    ----------
    asked : dict
        ``directory``, ``seconds``; ``limit_bytes``: of all results there, 0: none; ``source``, ``options``:
        what is run; ``names``: whose values are compared; ``code``: names of which only functions, classes
        and modules are; ``writes``: what is kept, ``needed``: the part of it that other cells read;
        ``files``: patterns of declared files; ``told``: whether effects that are not kept do not matter;
        ``follows``: whether files count that are not declared; ``run``: a run's name, empty by hand;
        ``shared``: a name that stands for the object of another.
    namespace : dict
    shell : any
        IPython's, or None.
    """

    def __init__(self, asked: dict[str, Any], namespace: dict[str, Any], shell: Any = None) -> None:
        self._asked = asked
        self._namespace = namespace
        self._shell = shell
        self._directory = Path(asked["directory"])
        self._family = hashlib.sha256(tidy(asked["source"]).encode("utf-8", "surrogatepass")).hexdigest()[:16]
        self._key = ""
        self._places: dict[str, str] = {}
        self._watch: Watch | None = None
        self.hit = ""
        """From where what stands for this run is: ``run NAME`` or ``by hand at TIME``; empty if it ran."""

    # -- before ---------------------------------------------------------------------------------------

    def look_up(self) -> bool:
        """Take over an earlier run of the same cell, if nothing has changed; else watch this one."""
        asked = self._asked
        if asked.get("shared") and not asked["told"]:
            self._say(f"not kept, because {asked['shared']} stands for an object with another name too")
            return False
        digester = Digester()
        digester.mark(f"{FORM} {sys.version_info[:2]}")
        digester.mark(asked["options"])
        digester.add_source(asked["source"])
        names = set(asked["names"])
        for name in sorted((names | set(asked["code"])) - _SHELL):
            value = self._namespace.get(name)
            if name in names or isinstance(value, FunctionType | type | ModuleType):
                digester.mark(f"{name}=" if name in self._namespace else f"no {name}")
                try:
                    digester.add(value)
                except Incomparable as error:
                    self._say(
                        f"not kept, because {name} ({_named(type(value))}), which the cell reads, "
                        f"cannot be compared: {error}"
                    )
                    return False
        self._key = digester.hexdigest()[:32]
        if self._take_over():
            return True
        mentioned = {text for text in digester.texts if _may_be_file(text)} if asked["follows"] else set()
        self._places = {place: stamp(place) for place in sorted({*mentioned, *asked["files"]})}
        self._watch = Watch(self._shell)
        self._watch.begin()
        return False

    def _take_over(self) -> bool:
        try:
            found = sorted(
                self._directory.glob(f"{self._family}-{self._key}-*"), key=lambda path: -path.stat().st_mtime
            )
        except OSError:
            return False  # another process just cleaned up
        for path in found:
            entry = _read(path)
            if entry is None or entry["until"] <= time.time():
                continue
            # Patterns that are declared now count, also those that were not when it was kept.
            if set(self._asked["files"]) - set(entry["files"]):
                continue
            if any(stamp(place) != was for place, was in entry["files"].items()):
                continue
            try:
                values = pickle.loads(entry["values"])  # noqa: S301 - our own file, in the user's own directory
            except Exception:  # noqa: BLE001, S112 - no cache is as good as one that cannot be read
                continue
            if not set(values) >= set(self._asked["needed"]):
                continue
            self._namespace.update(values)
            _note_use(path)
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry["made"]))
            self.hit = f"run {entry['run']}" if entry["run"] else f"by hand at {when}"
            print(f"(from cache, {self.hit}{f', {when}' if entry['run'] else ''})", flush=True)  # noqa: T201
            show(entry["shown"], self._shell)
            if entry["dropped"]:
                self._say("more was shown than is kept")
            return True
        return False

    # -- after ----------------------------------------------------------------------------------------

    def stop(self) -> None:
        """The cell has ended, well or not."""
        if self._watch is not None:
            self._watch.end()

    def keep(self) -> None:
        """The cell has run without an error: keep what it made."""
        self.stop()
        watch, self._watch = self._watch, None
        if watch is None or self.hit:
            return
        files, written = self._files(watch)
        if not self._asked["told"]:
            why = self._effects(watch, written)
            if why:
                self._say(why)
                return
        values = {name: self._namespace[name] for name in self._asked["writes"] if name in self._namespace}
        try:
            # A figure or a connection that no other cell reads is no reason not to keep the rest.
            kept = {
                name: value
                for name, value in values.items()
                if name in self._asked["needed"] or _can_be_kept(value)
            }
            self._write(_pickled(kept), watch, files)
        except Exception as error:  # noqa: BLE001 - that it is not kept is no reason to fail
            said = ", ".join(sorted(values))
            self._say(f"{said} cannot be kept: {type(error).__name__}")

    def _files(self, watch: Watch) -> tuple[dict[str, str], list[str]]:
        """Return the files that the result depends on as they are now, and those that the cell wrote."""
        files: dict[str, str] = {}
        written: set[str] = set()
        declared = set(self._asked["files"])
        known: set[str] = set()
        for place, before in self._places.items():
            after = stamp(place)
            known.add(os.path.abspath(place))  # noqa: PTH100
            if place in declared:
                files[place] = after
            elif after != before:
                written.add(place)
            elif after:
                files[place] = after
        own = str(self._directory.parent.parent)
        covered = {os.path.abspath(each) for pattern in declared for each in _matches(pattern)} | {  # noqa: PTH100
            os.path.abspath(place)  # noqa: PTH100
            for place in declared
        }
        for path in sorted(watch.written):
            if path not in covered and not is_scratch(path, own) and not was_temporary(path):
                written.add(_short(path))
        if self._asked["follows"]:
            for path in sorted(watch.read - watch.written - known - covered):
                if not is_scratch(path, own):
                    now = stamp(path)
                    if now:
                        files[_short(path)] = now
        return files, sorted(written - declared)

    def _effects(self, watch: Watch, written: list[str]) -> str:
        """Say why a result is not kept, or nothing."""
        if written:
            more = f" and {len(written) - 3} more files" if len(written) > 3 else ""
            names = ",".join(written[:3])
            return (
                f"not kept, because the cell writes {', '.join(written[:3])}{more}; "
                f"declare that by --cache-files {names}, or say --cache-by inputs"
            )
        if watch.has_drawn or _draws(self._asked["source"]):
            return f"not kept, because the cell draws random numbers; {_ALL_THE_SAME}"
        if watch.programs:
            return f"not kept, because the cell runs another program; {_ALL_THE_SAME}"
        return ""

    def _write(self, values: bytes, watch: Watch, files: dict[str, str]) -> None:
        now = time.time()
        shown = json.dumps(watch.shown).encode("utf-8", "surrogatepass")
        head = {
            "made": now,
            "until": now + self._asked["seconds"],
            "run": self._asked["run"],
            "files": files,
            "dropped": watch.dropped,
            "shown": len(shown),
            "sha256": hashlib.sha256(shown + values).hexdigest(),
        }
        of_files = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:16]
        limit = self._asked.get("limit_bytes") or 0
        size = len(shown) + len(values)
        if limit and size > limit:
            self._say(
                f"not kept, because it has {size / 1048576:.0f} MB, and all results together may have "
                f"{limit / 1048576:.0f} MB (setting cache_mb)"
            )
            return
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._directory / f"{self._family}-{self._key}-{of_files}"
        beside = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
        try:
            with open(beside, "xb", opener=_private) as stream:
                stream.write(json.dumps(head).encode() + b"\n" + shown + values)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        self._clean_up(now)

    def _clean_up(self, now: float) -> None:
        """Remove what is too old or too much; another process may do the same at the same time."""
        own: list[tuple[float, Path]] = []
        found: list[tuple[float, int, Path]] = []
        for path in self._directory.iterdir():
            with contextlib.suppress(OSError):
                is_now = path.stat()
                age = now - is_now.st_mtime
                if path.name.startswith("."):
                    if age > STALE_S:
                        path.unlink()
                    continue
                found.append((is_now.st_atime, is_now.st_size, path))
                if path.name.startswith(f"{self._family}-"):
                    own.append((age, path))
        too_many = {path for _, path in sorted(own)[MOST_KEPT:]}
        limit = self._asked.get("limit_bytes") or 0
        used = 0
        for _, size, path in sorted(found, reverse=True):
            if path not in too_many:
                used += size
            if path in too_many or (limit and used > limit):
                path.unlink(missing_ok=True)

    def _say(self, text: str) -> None:
        print(f"(--cache-for: {text})", file=sys.stderr)  # noqa: T201


def _named(kind: type) -> str:
    return (
        kind.__qualname__
        if kind.__module__ in {"builtins", "__main__"}
        else f"{kind.__module__}.{kind.__qualname__}"
    )


def _note_use(path: Path) -> None:
    """Note in an entry's time of access that it was used: many file systems do not note it by themselves."""
    with contextlib.suppress(OSError):
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))


def _read(path: Path) -> dict[str, Any] | None:
    """Return an entry; None if it is torn, or not one."""
    try:
        line, _, rest = path.read_bytes().partition(b"\n")
        entry: dict[str, Any] = json.loads(line)
        if hashlib.sha256(rest).hexdigest() != entry["sha256"]:
            return None
        size = entry["shown"]
        entry["shown"] = json.loads(rest[:size].decode("utf-8", "surrogatepass"))
        entry["values"] = rest[size:]
        entry["until"] + entry["made"], dict(entry["files"]), entry["run"], entry["dropped"]
    except Exception:  # noqa: BLE001 - no cache is as good as one that cannot be read
        return None
    return entry


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _may_be_file(text: str) -> bool:
    if text in _NOT_FILES or not _LIKE_A_FILE.fullmatch(text) or "://" in text:
        return False
    name = text.rpartition("/")[2]
    return os.path.exists(text) or (  # noqa: PTH110
        re.fullmatch(r"[\w\-. *?\[\]]*\.\w{1,8}", name) is not None and not text.isspace()
    )


def _matches(pattern: str) -> list[str]:
    from glob import glob

    return glob(pattern, recursive=True)  # noqa: PTH207 - relative and absolute patterns alike


def _short(path: str) -> str:
    """Return a path below the working directory as relative to it: so it means the same elsewhere."""
    base = os.getcwd() + os.sep  # noqa: PTH109
    return path.removeprefix(base)


def _draws(source: str) -> bool:
    """Whether a cell makes a generator that nothing seeds; what the shared ones did is seen when it runs."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return False
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in {"uuid4", "token_hex", "urandom", "SystemRandom"}:
                return True
            if name in _UNSEEDED and not node.args and not node.keywords:
                return True
    return False


def _pickled(value: Any) -> bytes:
    try:
        import cloudpickle
    except ImportError:
        return pickle.dumps(value)
    found: bytes = cloudpickle.dumps(value)
    return found


def _can_be_kept(value: Any) -> bool:
    try:
        pickle.loads(_pickled(value))  # noqa: S301 - what was pickled here just now
    except Exception:  # noqa: BLE001 - whatever a class's own pickling raises
        return False
    return True
