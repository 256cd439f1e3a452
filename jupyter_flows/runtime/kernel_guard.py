"""What runs in a headless kernel of IPython's before any cell: none can flood the run or outlive it.

The source of this module is sent to the kernel, which need not have this package: it uses the standard
library and what IPython gives. A cell that prints 500 MB would otherwise make 500 MB of messages, and the
run's process would have to hold them to count them; here what is over a cell's limit is counted where it is
made, and only the number is sent. Texts go out in pieces: no message is large, and a fast printer waits
for its reader.
"""

from __future__ import annotations

from typing import Any

DROPPED_MIME = "application/vnd.jupyter-flows.dropped+json"
PIECE = 1_000_000
SEND_EVERY = 4_000_000
MOST_MESSAGES = 20_000
"""Displays of one cell, as many as an executed notebook keeps in all; each waits in memory for its reader."""


class Count:
    """What one cell has sent so far."""

    def __init__(self, limit: int) -> None:
        self.left = limit
        self.left_messages = MOST_MESSAGES
        self.dropped = 0


class Guard:
    """Counts what a cell sends, and stands before the kernel's ways to send.

    Cells may run at once, each in a thread of its own.

    Parameters
    ----------
    limit : int
        What a cell may send: bytes of data, characters of streams.
    """

    def __init__(self, shell: Any, limit: int) -> None:
        self.limit = limit
        self.counts: dict[int, Count] = {}
        self.newest = Count(limit)
        self.unsent = 0
        self.guarded: list[Any] = []
        self.publish = shell.display_pub.publish
        self.clear = shell.display_pub.clear_output
        self.write_format_data = shell.displayhook.write_format_data

    def count(self) -> Count:
        """Return the count of the cell that runs in this thread; in a thread that one made, the newest."""
        import threading

        return self.counts.get(threading.get_ident(), self.newest)

    def before_cell(self) -> None:
        """Start counting."""
        import sys
        import threading

        self.newest = self.counts[threading.get_ident()] = Count(self.limit)
        for stream in (sys.stdout, sys.stderr):
            if stream not in self.guarded and hasattr(stream, "pub_thread"):
                self.guarded.append(stream)
                stream.write = self.writer(stream)  # type: ignore[method-assign]

    def after_cell(self) -> None:
        """Tell what was not sent."""
        import threading

        # None: an empty cell, as we send between cells, ends without having begun.
        count = self.counts.pop(threading.get_ident(), None)
        if count is not None and count.dropped:
            self.publish({DROPPED_MIME: {"bytes": count.dropped}, "text/plain": ""}, {})

    def writer(self, stream: Any) -> Any:
        """Return a ``write`` for a stream of the kernel."""
        write = stream.write

        def limited(string: str) -> int:
            if not isinstance(string, str) or not string:
                return write(string)  # type: ignore[no-any-return]
            size = len(string)
            count = self.count()
            if size > count.left:
                count.dropped += size - count.left
                string = string[: count.left]
            count.left -= len(string)
            for begin in range(0, len(string), PIECE):
                part = string[begin : begin + PIECE]
                write(part)
                self.unsent += len(part)
                if self.unsent >= SEND_EVERY:
                    self.unsent = 0
                    stream.flush()
            return size

        return limited

    def limited_publish(self, data: Any, metadata: Any = None, *args: Any, **kwargs: Any) -> None:
        """Display; an update takes the place of what was there, so it is measured by itself."""
        if isinstance(data, dict):
            if not kwargs.get("update"):
                data = self.kept(data)
            elif _size(data) > self.limit:
                self.count().dropped += _size(data)
                data = {}
        if data:
            self.publish(data, metadata, *args, **kwargs)

    def limited_clear(self, *args: Any, **kwargs: Any) -> None:
        """Clear; what was there counts no more."""
        count = self.count()
        count.left, count.left_messages = self.limit, MOST_MESSAGES
        self.clear(*args, **kwargs)

    def limited_result(self, format_dict: Any, md_dict: Any = None) -> None:
        """Send the value of a cell's last expression."""
        self.write_format_data(self.kept(format_dict), md_dict)

    def kept(self, data: Any) -> Any:
        """Return data if there is room for it, else the beginning of its text."""
        size = _size(data)
        count = self.count()
        if size <= count.left and count.left_messages > 0:
            count.left -= size
            count.left_messages -= 1
            return data
        count.dropped += size
        if count.left_messages <= 0:
            return {}
        text = data.get("text/plain")
        return {"text/plain": text[:1000]} if isinstance(text, str) else {}


def _size(data: Any) -> int:
    size = 0
    for value in data.values():
        if isinstance(value, bytes):
            size += len(value) * 4 // 3
        elif isinstance(value, str):
            size += len(value)
    return size


def end_with(parent: int) -> None:
    """Have the system kill this kernel when *parent*, which started it, is killed.

    ipykernel looks for its parent by itself, but not while a cell is inside a C function.
    """
    import ctypes
    import os
    import signal
    import sys

    if sys.platform.startswith("linux") and os.getppid() == parent:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG


def lose_nothing(shell: Any) -> None:
    """Have messages wait for a slow reader.

    As it comes, a socket forgets all above a thousand, and says nothing. What waits is bounded by what a cell
    may send.
    """
    import zmq

    thread = shell.kernel.iopub_thread
    # A socket belongs to its thread.
    thread.schedule(lambda: thread.socket.setsockopt(zmq.SNDHWM, 0))


def end_at_once(shell: Any) -> None:
    """Keep a kernel that was asked to end from waiting for itself.

    ipykernel's control thread flushes the streams after the request, by way of a thread that may have ended
    already, and waits 10 s for it.
    """
    import sys

    streams: list[Any] = [stream for stream in (sys.stdout, sys.stderr) if hasattr(stream, "pub_thread")]
    do_shutdown = shell.kernel.do_shutdown

    def end(restart: bool) -> Any:  # noqa: FBT001 - ipykernel's signature
        for stream in streams:
            # What was said is on its way once more; whoever asked listens no longer to what is said after it.
            stream.pub_thread.schedule(stream._flush)  # noqa: SLF001 - what its flush does, without waiting
            stream.flush = lambda: None
        return do_shutdown(restart)

    shell.kernel.do_shutdown = end


def install(shell: Any, limit: int, parent: int) -> None:
    """Limit what each cell of a kernel sends, and the kernel's life to that of *parent*.

    Each part is put in place also if another cannot be: a kernel of a version that we do not know is better
    bounded in part than not at all.
    """
    failed = []
    for part, arguments in (
        (bound_cells, (shell, limit)),
        (end_with, (parent,)),
        (lose_nothing, (shell,)),
        (end_at_once, (shell,)),
    ):
        try:
            part(*arguments)
        except Exception as error:  # noqa: BLE001 - told, and the other parts come first
            failed.append(f"{part.__name__}: {type(error).__name__}: {error}")
    if failed:
        import sys

        # The kernel's own stderr, not a cell's: this is for who looks into what the kernel logged.
        print("headless kernel is not guarded in full:", *failed, sep="\n  ", file=sys.__stderr__)


def bound_cells(shell: Any, limit: int) -> None:
    """Limit what each cell sends."""
    import contextlib

    guard = Guard(shell, limit)
    shell.display_pub.publish = guard.limited_publish
    shell.display_pub.clear_output = guard.limited_clear
    shell.displayhook.write_format_data = guard.limited_result
    if hasattr(shell, "_tee"):
        # IPython 9 keeps all that cells print a second time, in the kernel's memory, for %history.
        # It also puts back the streams' own ``write`` after each cell, so ours comes before the next one.
        shell._tee = lambda *_args, **_kwargs: contextlib.nullcontext()  # noqa: SLF001
    shell.events.register("pre_execute", guard.before_cell)
    shell.events.register("post_execute", guard.after_cell)
