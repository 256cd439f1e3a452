"""Cells of a notebook, executed in a kernel, their outputs put where they belong.

Answers: what came of cell *i* when its code was run, and how long it may take. Outputs (display ids,
``clear_output``, widgets, streams) go through nbclient's own machinery; the message loop is ours, since
it must notice a dead kernel at once, bound a cell's time for good, and cost little per cell.

Knows nothing of graphs, states or the server.
"""

from __future__ import annotations

import ast
import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import zmq
from nbclient.client import NotebookClient, timestamp
from nbclient.exceptions import CellExecutionComplete

from jupyter_flows.errors import KernelDied
from jupyter_flows.runtime.cell_code import code_for_kernel, line_offset
from jupyter_flows.runtime.kernels import Kernel
from jupyter_flows.runtime.redact import failure_message

POLL_MS = 200
"""How often a silent kernel is looked at."""
INTERRUPT_GRACE_S = 5.0
"""How long an interrupted cell may take to stop before its kernel is killed."""

IDLE_GRACE_S = 4.0
"""How long outputs may lag behind the answer to a cell."""
MESSAGES_AT_ONCE = 100
"""How many messages are taken before the clock is looked at."""
OUTPUT_LIMIT_BYTES = 64 * 1_048_576
"""Text and data that one executed notebook keeps."""

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_LINE = re.compile(r"(?:Cell )?In ?\[(\d+)\], line (\d+)|<ipython-input-(\d+)-[^>]*>, line (\d+)")


class CellFailed(Exception):
    """A cell raised. The text of this exception is safe to report: class, cell, line."""

    def __init__(self, class_name: str, *, where: str, line: int | None, traceback: str) -> None:
        self.class_name = class_name
        self.line = line
        self.traceback = traceback
        if class_name == "StdinNotImplementedError":
            text = f"{where} asked for input; a headless run has none: make it a parameter"
        else:
            text = failure_message(class_name, where, line)
        super().__init__(text)


class CellTimedOut(TimeoutError):
    """A cell took longer than it may."""


class CellOutputs(NotebookClient):
    """nbclient's output machinery over our kernel, with a limit and with streams joined."""

    def __init__(self, nb: Any, *, on_output: Any = None, **options: Any) -> None:
        super().__init__(nb, **options)
        self._left_bytes = OUTPUT_LIMIT_BYTES
        self._dropped_bytes: dict[int, int] = {}
        self._on_output = on_output

    def output(self, outs: Any, msg: Any, display_id: Any, cell_index: int) -> Any:
        """Put a message's output into its cell; what is over the limit is counted, not kept."""
        content = msg["content"]
        if msg["msg_type"] == "stream":
            size = len(content["text"])
        elif msg["msg_type"] in {"display_data", "execute_result"}:
            size = sum(len(value) if isinstance(value, str) else 200 for value in content["data"].values())
        else:
            size = 0
        if size > self._left_bytes:
            self._dropped_bytes[cell_index] = self._dropped_bytes.get(cell_index, 0) + size
            return None
        self._left_bytes -= size
        hooked = self.output_hook_stack[msg["parent_header"].get("msg_id")]
        if (
            msg["msg_type"] == "stream"
            and outs
            and not hooked
            and not self.clear_before_next_output
            and outs[-1]["output_type"] == "stream"
            and outs[-1]["name"] == content["name"]
        ):
            outs[-1]["text"] += content["text"]
            out: Any = {"output_type": "stream", "name": content["name"], "text": content["text"]}
        else:
            out = super().output(outs, msg, display_id, cell_index)
        if out is not None and self._on_output is not None:
            self._on_output(out)
        return out

    def close_cell(self, cell: Any, index: int) -> None:
        """Say in the cell how much of its output was dropped."""
        dropped = self._dropped_bytes.pop(index, 0)
        if dropped:
            text = (
                f"… {dropped / 1_048_576:.1f} MB of output dropped: the executed notebook is over its limit\n"
            )
            cell["outputs"].append(_stream("stderr", text))


def _stream(name: str, text: str) -> Any:
    from nbformat import from_dict

    return from_dict({"output_type": "stream", "name": name, "text": text})


class CellRunner:
    """Runs cells of one notebook in one kernel, one at a time.

    Parameters
    ----------
    nb : NotebookNode
        The notebook; its cells get their outputs and execution counts.
    kernel : Kernel
        A started kernel.
    allow_errors : bool
        Errors of cells are outputs, not failures (papermill's and nbclient's option).
    on_output : callable, optional
        Called with each output as it arrives.
    on_change : callable, optional
        Called when a cell got an output: with its index, with None when it may be another's too.
    on_silence : callable, optional
        Called a few times a second while a cell says nothing.
    """

    def __init__(
        self,
        nb: Any,
        kernel: Kernel,
        *,
        allow_errors: bool = False,
        on_output: Callable[[Any], None] | None = None,
        on_change: Callable[[int | None], None] = lambda _index: None,
        on_silence: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_silence = on_silence
        self._on_change = on_change
        self._nb = nb
        self._kernel = kernel
        self._allow_errors = allow_errors
        self.outputs = CellOutputs(nb, on_output=on_output, km=kernel.manager)
        self.outputs.kc = kernel.client
        self._died: str | None = None
        self._reply: dict[str, Any] | None = None

    @property
    def dead(self) -> bool:
        """Whether the kernel is known to be gone."""
        return self._died is not None

    def language_info(self) -> dict[str, Any]:
        """Return what the kernel says of its language."""
        client = self._kernel.client
        message_id = client.kernel_info()
        while True:
            message = client.shell_channel.get_msg(timeout=10)
            if message["parent_header"].get("msg_id") == message_id:
                info: dict[str, Any] = message["content"].get("language_info", {})
                return info

    def ask(self, expression: str) -> tuple[bool | None, str]:
        """Evaluate *expression* in the kernel, between cells.

        Returns
        -------
        Whether it is true, and the class of the exception if it raised (then the truth is None).

        Raises
        ------
        KernelDied : the kernel's process is gone.
        """
        if self._died is not None:
            raise KernelDied(self._died)
        client = self._kernel.client
        message_id = client.execute(
            "", silent=True, store_history=False, allow_stdin=False,
            user_expressions={"it": f"bool({expression}\n)"},
        )  # fmt: skip
        poller = zmq.Poller()
        poller.register(client.shell_channel.socket, zmq.POLLIN)
        while True:
            ready = poller.poll(POLL_MS)
            for message in self._waiting(client.shell_channel.socket) if ready else ():
                if message["parent_header"].get("msg_id") == message_id:
                    found = message["content"].get("user_expressions", {}).get("it", {})
                    if found.get("status") != "ok":
                        return None, str(found.get("ename") or "Error")
                    return found.get("data", {}).get("text/plain") == "True", ""
            if not ready and not self._kernel.is_alive():
                self._died = f"the kernel died: {self._kernel.ending()}"
                raise KernelDied(self._died)

    def call(
        self,
        index: int,
        *,
        name: str,
        timeout_s: float | None = None,
        expressions: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        """Run cell *index*; return when it and its outputs are through.

        Parameters
        ----------
        name : str
            The task's name, for messages.
        expressions : mapping, optional
            Evaluated in the kernel once the cell has run well, on the same way there and back; each gives
            a text.

        Returns
        -------
        dict
            The texts; empty if the cell ended early (``sys.exit()``, an expected error).

        Raises
        ------
        CellFailed : the code raised.
        CellTimedOut : it took longer than *timeout_s*.
        KernelDied : the kernel's process is gone, now or since an earlier cell.
        KeyboardInterrupt : we were interrupted; so was the cell.
        """
        where = name if name.startswith("cell-") else f"cell {name}"
        if self._died is not None:
            msg = f"{where} was not run: {self._died}"
            raise KernelDied(msg)
        cell = self._nb.cells[index]
        code = code_for_kernel(cell.source)
        allows_errors = self._allow_errors or "raises-exception" in cell.metadata.get("tags", [])
        cell.outputs = []
        cell.execution_count = None
        cell.metadata["execution"] = {}
        self.outputs.clear_before_next_output = False
        self.outputs.clear_display_id_mapping(index)
        client = self._kernel.client
        self._reply = None
        message_id = client.execute(
            code,
            store_history=True,
            stop_on_error=False,
            allow_stdin=False,
            user_expressions=dict(expressions or {}),
        )
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        try:
            timed_out = self._pump(message_id, cell, index, deadline)
        except KeyboardInterrupt:
            # However the cell ends now, the interrupt is the news.
            self._kernel.interrupt()
            with contextlib.suppress(BaseException):
                self._pump(message_id, cell, index, time.monotonic(), interrupted=True)
            raise
        except KernelDied:
            self._died = f"the kernel died in {where}: {self._kernel.ending()}"
            msg = f"the kernel died: {self._kernel.ending()} (in {where})"
            raise KernelDied(msg) from None
        finally:
            self.outputs.close_cell(cell, index)
        reply = self._reply
        if timed_out:
            if reply is None:
                self._died = f"its kernel had to be killed when {where} did not stop"
            msg = f"{where} took longer than {timeout_s:g} s"
            raise CellTimedOut(msg)
        assert reply is not None
        content = reply["content"]
        cell.execution_count = content.get("execution_count", cell.execution_count)
        if content["status"] == "ok" or allows_errors:
            return texts_of(content)
        if content["status"] == "aborted":
            msg = f"{where} was aborted by the kernel"
            raise CellFailed("Aborted", where=where, line=None, traceback=msg)
        if content.get("ename") == "SystemExit" and str(content.get("evalue")) in {"", "0", "None"}:
            # papermill's convention: sys.exit() and quit() end a cell, they do not fail it.
            return {}
        traceback = _ANSI.sub("", "\n".join(content.get("traceback", [])))
        line = _line_of(traceback, cell.execution_count)
        raise CellFailed(
            str(content.get("ename") or "Error"),
            where=where,
            line=None if line is None else line + line_offset(cell.source, code),
            traceback=traceback,
        )

    def _pump(
        self, message_id: str, cell: Any, index: int, deadline: float | None, *, interrupted: bool = False
    ) -> bool:
        """Serve the sockets until the cell is through; its reply is then in ``_reply``.

        Returns
        -------
        Whether time ran out (without a reply: the kernel was killed because it would not stop).
        """
        client = self._kernel.client
        iopub, shell = client.iopub_channel, client.shell_channel
        poller = zmq.Poller()
        poller.register(iopub.socket, zmq.POLLIN)
        poller.register(shell.socket, zmq.POLLIN)
        idle = False
        timed_out = interrupted
        kill_at: float | None = time.monotonic() + INTERRUPT_GRACE_S if interrupted else None
        idle_until: float | None = None
        while self._reply is None or not idle:
            ready = dict(poller.poll(POLL_MS))
            for message in self._waiting(iopub.socket) if iopub.socket in ready else ():
                if message["parent_header"].get("msg_id") == message_id:
                    try:
                        self.outputs.process_message(message, cell, index)
                    except CellExecutionComplete:
                        idle = True
                    else:
                        self._on_change(None if message["msg_type"] == "update_display_data" else index)
                if idle_until is not None:
                    idle_until = time.monotonic() + IDLE_GRACE_S
            for message in self._waiting(shell.socket) if shell.socket in ready else ():
                if message["parent_header"].get("msg_id") == message_id:
                    self._reply = message
                    cell.metadata["execution"]["shell.execute_reply"] = timestamp(message)
                    idle_until = time.monotonic() + IDLE_GRACE_S
            now = time.monotonic()
            if not ready:
                self._on_silence()
                if not self._kernel.is_alive():
                    msg = "the kernel died"
                    raise KernelDied(msg)
                if idle_until is not None and now > idle_until:
                    break
            if kill_at is not None and now > kill_at and self._reply is None:
                self._kernel.kill()
                return True
            if deadline is not None and now > deadline and not timed_out and self._reply is None:
                timed_out = True
                kill_at = now + INTERRUPT_GRACE_S
                self._kernel.interrupt()
        return timed_out

    def _waiting(self, socket: Any) -> Iterator[dict[str, Any]]:
        """Messages that are there already, but not so many that a flood keeps us from the clock."""
        receive = self._kernel.client.session.recv
        for _ in range(MESSAGES_AT_ONCE):
            _, message = receive(socket)
            if message is None:
                return
            yield message


def texts_of(content: Mapping[str, Any]) -> dict[str, str]:
    """Return what user expressions of a reply gave; those that failed are left out."""
    return {
        name: str(ast.literal_eval(found["data"]["text/plain"]))
        for name, found in content.get("user_expressions", {}).items()
        if found.get("status") == "ok"
    }


def _line_of(traceback: str, execution_count: int | None) -> int | None:
    """Line of the cell in which the error arose (of the cell's own frame, not of what it called)."""
    for found in _LINE.finditer(traceback):
        number, line = (found[1], found[2]) if found[1] else (found[3], found[4])
        if execution_count is None or int(number) == execution_count:
            return int(line)
    return None
