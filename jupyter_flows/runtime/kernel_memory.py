"""The memory of a kernel: what a cell needed at most, a limit, and whether the system killed for memory.

Linux answers exactly for the kernel's own process (the high-water mark of its resident memory, set back
before each cell); its children are added as they are when looked at. Elsewhere both are looked at by psutil.
Whether the system's own killer of processes without memory was at work is read from the counters of the
process's control group, never guessed from a signal.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import msgspec

MB = 1_048_576
CGROUPS = Path("/sys/fs/cgroup")
CHILDREN_EVERY_S = 0.5
"""How often children are looked for; finding them means a look at all processes."""
_UNLIMITED = 1 << 60
_LINUX = sys.platform.startswith("linux")


class MemoryUse(msgspec.Struct, frozen=True, kw_only=True):
    """What a cell needed: the most that was resident at once, and how much more there was after it."""

    peak_bytes: int
    growth_bytes: int


class MemoryMeter:
    """Measures one kernel process and its children, cell by cell.

    Parameters
    ----------
    pid : int
        The kernel.

    Examples
    --------
    >>> meter = MemoryMeter(os.getpid())
    >>> meter.begin()
    >>> used = bytearray(50_000_000)
    >>> meter.end().peak_bytes > 50_000_000
    True
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._before = 0
        self._seen = 0
        self._resets = _LINUX
        self._children: tuple[int, ...] = ()
        self._children_at = 0.0

    def begin(self) -> None:
        """Start measuring a cell."""
        if self._resets:
            try:
                Path(f"/proc/{self._pid}/clear_refs").write_text("5", "ascii")
            except OSError:
                # Not permitted here: then what is seen now and then is what we know.
                self._resets = False
        self._before = self._seen = self.now()

    def sample(self, clock_s: float) -> int:
        """Look at the kernel and its children; return what they have together."""
        if clock_s - self._children_at >= CHILDREN_EVERY_S:
            self._children_at = clock_s
            self._children = descendants(self._pid)
        total = self.now() + sum(_resident(pid) for pid in self._children)
        self._seen = max(self._seen, total)
        return total

    @property
    def seen_bytes(self) -> int:
        """The most that was seen since the cell began."""
        return self._seen

    def now(self) -> int:
        """Return what the kernel alone has."""
        return _resident(self._pid)

    def end(self) -> MemoryUse:
        """Return what the cell needed."""
        after = self.now()
        mark = _status(self._pid, "VmHWM:") if self._resets else 0
        return MemoryUse(peak_bytes=max(mark, self._seen, after), growth_bytes=after - self._before)


def _resident(pid: int) -> int:
    if not _LINUX:
        import psutil

        try:
            return int(psutil.Process(pid).memory_info().rss)
        except psutil.Error:
            return 0
    try:
        with open(f"/proc/{pid}/statm", "rb") as stream:  # noqa: PTH123 - called for each cell
            return int(stream.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def _status(pid: int, key: str) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text("utf-8", "replace").splitlines():
            if line.startswith(key):
                return int(line.split()[1]) * 1024
    return 0


def descendants(pid: int) -> tuple[int, ...]:
    """Return the children of a process, and theirs."""
    if not _LINUX:
        import psutil

        try:
            return tuple(child.pid for child in psutil.Process(pid).children(recursive=True))
        except psutil.Error:
            return ()
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - called twice a second
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                text = Path(f"/proc/{name}/stat").read_bytes()
                parents.setdefault(int(text[text.rfind(b")") + 2 :].split()[1]), []).append(int(name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return tuple(found)


class OomWatch:
    """Tells whether the system killed a process for memory since this was made.

    Parameters
    ----------
    pid : int
        A living process.
    """

    def __init__(self, pid: int) -> None:
        self._group = _memory_group(pid)
        self._before = self._kills()

    def killed(self) -> str | None:
        """Return how, in words, or None if the system killed nothing in the process's group."""
        if self._group is None or self._kills() <= self._before:
            return None
        limit, peak = self._limit(), self._peak()
        facts = [
            f"limit {limit / MB:.0f} MB" if limit is not None else "no limit of its group",
            *([f"peak {peak / MB:.0f} MB"] if peak is not None else []),
        ]
        return f"killed by the system for memory ({', '.join(facts)})"

    def _kills(self) -> int:
        if self._group is None:
            return 0
        for name in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError):
                for line in (self._group / name).read_text("ascii").splitlines():
                    if line.startswith("oom_kill "):
                        return int(line.split()[1])
        return 0

    def _limit(self) -> int | None:
        assert self._group is not None
        found: list[int] = []
        for group in (self._group, *self._group.parents):
            for name in ("memory.max", "memory.limit_in_bytes"):
                with contextlib.suppress(OSError, ValueError):
                    found.append(int((group / name).read_text("ascii")))
            if group == CGROUPS:
                break
        limit = min(found, default=_UNLIMITED)
        return limit if limit < _UNLIMITED else None

    def _peak(self) -> int | None:
        assert self._group is not None
        for name in ("memory.peak", "memory.max_usage_in_bytes"):
            with contextlib.suppress(OSError, ValueError):
                return int((self._group / name).read_text("ascii"))
        return None


class LimitedGroup:
    """A control group with a memory limit and one process tree in it, where such a group can be made.

    Version 1 of control groups lets root make one; version 2 also whoever was given the subtree.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def around(cls, pid: int, limit_bytes: int) -> LimitedGroup | None:
        """Put a process into a group of its own; None where that is not allowed."""
        parent = _memory_group(pid)
        if parent is None:
            return None
        group = cls(parent / f"jupyter-flows-{pid}")
        try:
            group._path.mkdir()
            group._set(limit_bytes)
            (group._path / "cgroup.procs").write_text(str(pid), "ascii")
        except OSError:
            group.remove()
            return None
        return group

    def peak_bytes(self) -> int | None:
        """Return the most that the group had."""
        for name in ("memory.peak", "memory.max_usage_in_bytes"):
            with contextlib.suppress(OSError, ValueError):
                return int((self._path / name).read_text("ascii"))
        return None

    def remove(self) -> None:
        """Remove the group; its processes have ended."""
        with contextlib.suppress(OSError):
            self._path.rmdir()

    def _set(self, limit_bytes: int) -> None:
        version_2 = (self._path / "memory.max").exists()
        (self._path / ("memory.max" if version_2 else "memory.limit_in_bytes")).write_text(
            str(limit_bytes), "ascii"
        )
        # No way out into swap, where the machine accounts for it.
        swap = self._path / ("memory.swap.max" if version_2 else "memory.memsw.limit_in_bytes")
        if swap.exists():
            swap.write_text("0" if version_2 else str(limit_bytes), "ascii")


def _memory_group(pid: int) -> Path | None:
    """Directory of the control group that accounts for a process's memory (version 1, version 2, both)."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text("utf-8").splitlines()
    except OSError:
        return None
    places: list[Path] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        name = path.lstrip("/")
        if "memory" in controllers.split(","):
            places.insert(0, CGROUPS / "memory" / name)
        elif controllers == "":
            places += [CGROUPS / name, CGROUPS / "unified" / name]
    for place in places:
        if (place / "memory.events").is_file() or (place / "memory.oom_control").is_file():
            return place
    return None
