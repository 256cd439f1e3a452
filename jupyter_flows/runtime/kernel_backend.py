"""Cells of a notebook, executed in a kernel, their outputs put where they belong.

Answers: what came of cell *i* when its code was run, how long it may take and how much memory it needed.
Outputs (display ids, ``clear_output``, widgets, streams) go through nbclient's own machinery
(``notebook_outputs``); the message loop is ours, since it must notice a dead kernel at once, bound a cell's
time for good, and cost little per cell.

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
from nbclient.client import timestamp
from nbclient.exceptions import CellExecutionComplete

from jupyter_flows.errors import KernelDied
from jupyter_flows.runtime.cell_code import code_for_kernel, line_offset
from jupyter_flows.runtime.kernel_answers import Unanswered
from jupyter_flows.runtime.kernel_memory import MB
from jupyter_flows.runtime.kernel_messages import waiting_messages
from jupyter_flows.runtime.kernels import Kernel
from jupyter_flows.runtime.notebook_outputs import CellOutputs, NotebookOutputs
from jupyter_flows.runtime.redact import failure_message

POLL_MS = 200
"""How often a silent kernel is looked at."""
INTERRUPT_GRACE_S = 5.0
"""How long an interrupted cell may take to stop before its kernel is killed."""

IDLE_GRACE_S = 4.0
"""How long outputs may lag behind the answer to a cell."""
MESSAGES_AT_ONCE = 100
"""How many messages are taken before the clock is looked at."""
LOOK_EVERY_S = 0.2
"""How often memory is looked at while a cell runs; a limit is looked after more often."""
LIMIT_LOOK_MS = 20

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_LINE = re.compile(r"(?:Cell )?In ?\[(\d+)\], line (\d+)|<ipython-input-(\d+)-[^>]*>, line (\d+)")


class CellFailed(Exception):
    """A cell raised. The text of this exception is safe to report: class, cell, line."""

    def __init__(
        self,
        class_name: str,
        *,
        where: str,
        line: int | None,
        traceback: str,
        exit_code: str = "",
        said: str = "",
    ) -> None:
        self.class_name = class_name
        self.said = said
        """What the exception itself said; for people at this machine, never for the server."""
        self.line = line
        self.traceback = traceback
        if class_name == "StdinNotImplementedError":
            text = f"{where} asked for input; a headless run has none: make it a parameter"
        else:
            text = failure_message(class_name, where, line)
            if class_name == "SystemExit" and exit_code:
                # A number, unlike the text of an exception, is nothing to hide.
                text = text.replace(class_name, f"{class_name}: {exit_code}", 1)
        super().__init__(text)


class CellTimedOut(TimeoutError):
    """A cell took longer than it may."""


class RunTimeOver(CellTimedOut):
    """The time of the whole run was over before the cell had ended, or before it began."""


class CellStopped(Exception):
    """Another thread asked that the cell be stopped (:meth:`CellRunner.stop`)."""


class CellRunner:
    """Runs cells of one notebook in one kernel, one at a time.

    Several runners, each with a kernel and a thread of its own, may run cells of one notebook at once: they
    share its outputs.

    Parameters
    ----------
    outputs : NotebookOutputs
        The notebook's outputs; its cells get theirs, and execution counts, and what was measured.
    kernel : Kernel
        A started kernel.
    allow_errors : bool
        Errors of cells are outputs, not failures (papermill's and nbclient's option).
    say : callable
        Told what a person may want to know of a cell that ran well.
    """

    def __init__(
        self,
        outputs: NotebookOutputs,
        kernel: Kernel,
        *,
        allow_errors: bool = False,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._say = say
        self._shared = outputs
        self._kernel = kernel
        self._allow_errors = allow_errors
        self._outputs = CellOutputs(outputs, km=kernel.manager)
        self._outputs.kc = kernel.client
        self._died: str | None = None
        self._cause = ""
        self._reply: dict[str, Any] | None = None
        self._stop: str | None = None
        self._looked_at = 0.0

    @property
    def dead(self) -> bool:
        """Whether the kernel is gone, by what this runner saw or another that shares it."""
        return self._died is not None or not self._kernel.is_alive()

    def stop(self, message: str = "interrupted") -> None:
        """Ask, from any thread, that the cell under way be stopped, and that no other begins."""
        self._stop = message

    def kernelspec(self) -> dict[str, str]:
        """Return what a notebook says of its kernel, in JupyterLab's words."""
        spec = self._kernel.manager.kernel_spec
        return {"display_name": spec.display_name, "language": spec.language, "name": self._kernel.name}

    def language_info(self) -> dict[str, Any]:
        """Return what the kernel says of its language."""
        client = self._kernel.client
        message_id = client.kernel_info()
        while True:
            message = client.shell_channel.get_msg(timeout=10)
            if message["parent_header"].get("msg_id") == message_id:
                info: dict[str, Any] = message["content"].get("language_info", {})
                return info

    def ask(
        self, expression: str, *, timeout_s: float | None = None, deadline_at: float | None = None
    ) -> tuple[bool | None, str]:
        """Evaluate *expression* in the kernel, between cells.

        Returns
        -------
        Whether it is true, and the class of the exception if it raised (then the truth is None).

        Raises
        ------
        KernelDied : the kernel's process is gone.
        CellTimedOut : it took longer than it may; the kernel was interrupted, or killed if that did not help.
        CellStopped : :meth:`stop` was called.
        """
        content = self.execute(
            "", f"bool({expression}\n)", what="a condition", timeout_s=timeout_s, deadline_at=deadline_at
        )
        found = content.get("user_expressions", {}).get("it", {})
        if found.get("status") != "ok":
            return None, str(found.get("ename") or "Error")
        return found.get("data", {}).get("text/plain") == "True", ""

    def execute(
        self,
        code: str,
        expression: str | None = None,
        *,
        what: str,
        timeout_s: float | None = None,
        deadline_at: float | None = None,
    ) -> dict[str, Any]:
        """Run code between cells, silently; return the kernel's reply.

        Parameters
        ----------
        code : str
        expression : str, optional
            Evaluated after it, and given in the reply under ``it``.
        what : str
            What this is, for messages.

        Raises
        ------
        KernelDied, CellTimedOut, CellStopped : as for :meth:`ask`.
        """
        if self._died is not None:
            raise KernelDied(self._died, cause=self._cause)
        client = self._kernel.client
        message_id = client.execute(
            code, silent=True, store_history=False, allow_stdin=False,
            user_expressions={} if expression is None else {"it": expression},
        )  # fmt: skip
        limit, unanswered, is_idle = _Limit(timeout_s, deadline_at), Unanswered(), False
        poller = zmq.Poller()
        poller.register(client.shell_channel.socket, zmq.POLLIN)
        while True:
            ready = poller.poll(POLL_MS)
            for message in self._messages(client.shell_channel.socket) if ready else ():
                if message["parent_header"].get("msg_id") == message_id:
                    if limit.interrupted:
                        raise limit.error(limit.words(what))
                    content: dict[str, Any] = message["content"]
                    return content
            now = time.monotonic()
            if not ready:
                is_idle = is_idle or self._says_idle(message_id)
                if unanswered.is_lost(now, can_come=not is_idle and self._kernel.is_connected()):
                    self._kernel.give_up()
                if not self._kernel.is_alive():
                    self._cause = self._kernel.ending()
                    self._died = _with_lead(self._cause)
                    raise KernelDied(self._died, cause=self._cause)
            if self._stop is not None and not limit.interrupted:
                limit.stopped = self._stop
            if self._past(limit):
                self._cause = "killed: it did not stop when it was interrupted"
                self._died = f"its kernel had to be killed when {what} did not stop"
                raise limit.error(limit.words(what))

    def _says_idle(self, message_id: str) -> bool:
        """Whether the kernel says that it is through with a silent request; what else it said is dropped."""
        return any(
            message["parent_header"].get("msg_id") == message_id
            and message["msg_type"] == "status"
            and message["content"].get("execution_state") == "idle"
            for message in list(self._messages(self._kernel.client.iopub_channel.socket))
        )

    def call(
        self,
        index: int,
        *,
        name: str,
        timeout_s: float | None = None,
        deadline_at: float | None = None,
        expressions: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        """Run cell *index*; return when it and its outputs are through.

        Parameters
        ----------
        name : str
            The task's name, for messages.
        timeout_s : float, optional
            How long this cell may take.
        deadline_at : float, optional
            When the time of the whole run is over (``time.monotonic``).
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
        CellTimedOut : it took longer than *timeout_s*; RunTimeOver if it was *deadline_at*.
        CellStopped : :meth:`stop` was called.
        KernelDied : the kernel's process is gone, now or since an earlier cell.
        KeyboardInterrupt : we were interrupted; so was the cell.
        """
        where = name if name.startswith("cell-") else f"cell {name}"
        self._check_may_begin(where, deadline_at)
        cell = self._shared.begin(index)
        code = code_for_kernel(cell.source)
        allows_errors = self._allow_errors or "raises-exception" in cell.metadata.get("tags", [])
        self._outputs.forget_cell()
        self._reply = None
        memory = self._kernel.memory
        if memory is not None:
            memory.begin()
        limit = _Limit(timeout_s, deadline_at)
        message_id = self._kernel.client.execute(
            code,
            store_history=True,
            stop_on_error=False,
            allow_stdin=False,
            user_expressions=dict(expressions or {}),
        )
        try:
            self._pump(message_id, cell, index, limit)
        except KeyboardInterrupt:
            # However the cell ends now, the interrupt is the news.
            if not limit.interrupted:
                self._kernel.interrupt()
            with contextlib.suppress(BaseException):
                self._pump(message_id, cell, index, _Limit(None, None, interrupted=True))
            if self._reply is None:
                self._gone("killed: it did not stop when it was interrupted", where)
            raise
        except KernelDied:
            self._gone(self._kernel.ending(), where)
            msg = f"{_with_lead(self._cause)} (in {where})"
            raise KernelDied(msg, cause=self._cause) from None
        finally:
            self._measure(index)
            self._shared.end(index)
        reply = self._reply
        if reply is None:
            self._gone("killed: it did not stop when it was interrupted", where)
            self._died = f"its kernel had to be killed when {where} did not stop"
        if limit.interrupted:
            raise limit.error(limit.words(where))
        assert reply is not None
        content = reply["content"]
        with self._shared.lock:
            cell.execution_count = content.get("execution_count", cell.execution_count)
        if content["status"] == "ok" or allows_errors:
            return texts_of(content)
        if content.get("ename") == "SystemExit" and str(content.get("evalue")) in {"", "0", "None"}:
            # papermill's convention: sys.exit() and quit() end a cell, they do not fail it.
            self._say(f"{where} ended by {content['ename']}, not at its last line")
            return {}
        raise self._failure(content, cell, code, where)

    def _failure(self, content: dict[str, Any], cell: Any, code: str, where: str) -> CellFailed:
        if content["status"] == "aborted":
            msg = f"{where} was aborted by the kernel"
            return CellFailed("Aborted", where=where, line=None, traceback=msg)
        traceback = _ANSI.sub("", "\n".join(content.get("traceback", [])))
        line = _line_of(traceback, cell.execution_count)
        evalue = str(content.get("evalue"))
        return CellFailed(
            str(content.get("ename") or "Error"),
            where=where,
            line=None if line is None else line + line_offset(cell.source, code),
            traceback=traceback,
            exit_code=evalue if evalue.isdecimal() and len(evalue) < 10 else "",
            said=evalue,
        )

    def _check_may_begin(self, where: str, deadline_at: float | None) -> None:
        if self._died is not None:
            msg = f"{where} was not run: {self._died}"
            raise KernelDied(msg, cause=self._cause)
        if self._stop is not None:
            msg = f"{where} was not run: {self._stop}"
            raise CellStopped(msg)
        if deadline_at is not None and time.monotonic() >= deadline_at:
            msg = f"{where} was not run: the time limit of the run was over"
            raise RunTimeOver(msg)

    def _gone(self, cause: str, where: str) -> None:
        self._cause = cause
        self._died = f"the kernel died in {where}: {cause}"

    def _measure(self, index: int) -> None:
        memory = self._kernel.memory
        if memory is None:
            return
        if self._died is None:
            used = memory.end()
            self._shared.measured[index] = {
                "memory_peak_mb": round(used.peak_bytes / MB, 1),
                "memory_growth_mb": round(used.growth_bytes / MB, 1),
            }
        else:
            # The process is gone with its counters; what was seen of it last is known.
            self._shared.measured[index] = {"memory_peak_mb": round(memory.seen_bytes / MB, 1)}

    def _pump(self, message_id: str, cell: Any, index: int, limit: _Limit) -> None:
        """Serve the sockets until the cell is through; its reply is then in ``_reply``.

        Without a reply the kernel was killed because it would not stop.
        """
        client = self._kernel.client
        iopub, shell = client.iopub_channel, client.shell_channel
        poller = zmq.Poller()
        poller.register(iopub.socket, zmq.POLLIN)
        poller.register(shell.socket, zmq.POLLIN)
        poll_ms = POLL_MS if self._kernel.memory_limit_bytes is None else LIMIT_LOOK_MS
        idle = False
        idle_until: float | None = None
        unanswered = Unanswered()
        while self._reply is None or not idle:
            ready = dict(poller.poll(poll_ms))
            for message in self._messages(iopub.socket) if iopub.socket in ready else ():
                if message["parent_header"].get("msg_id") == message_id:
                    try:
                        self._outputs.process_message(message, cell, index)
                    except CellExecutionComplete:
                        idle = True
                if idle_until is not None:
                    idle_until = time.monotonic() + IDLE_GRACE_S
            for message in self._messages(shell.socket) if shell.socket in ready else ():
                if message["parent_header"].get("msg_id") == message_id:
                    self._reply = message
                    with self._shared.lock:
                        cell.metadata["execution"]["shell.execute_reply"] = timestamp(message)
                    idle_until = time.monotonic() + IDLE_GRACE_S
            now = time.monotonic()
            can_come = self._reply is not None or (not idle and self._kernel.is_connected())
            if unanswered.is_lost(now, can_come=can_come):
                self._kernel.give_up()
            if self._look(now) or (not ready and not self._kernel.is_alive()):
                msg = "the kernel died"
                raise KernelDied(msg)
            if not ready and idle_until is not None and now > idle_until:
                return
            if self._stop is not None and not limit.interrupted:
                limit.stopped = self._stop
            if self._reply is None and self._past(limit):
                return

    def _look(self, now: float) -> bool:
        """Look at the kernel's memory if it is time; whether it was over its limit and was killed."""
        every = LOOK_EVERY_S if self._kernel.memory_limit_bytes is None else LIMIT_LOOK_MS / 1000
        if now - self._looked_at < every:
            return False
        self._looked_at = now
        return self._kernel.over_limit(now)

    def _messages(self, socket: Any) -> Iterator[dict[str, Any]]:
        return waiting_messages(self._kernel.client.session, socket, most=MESSAGES_AT_ONCE)

    def _past(self, limit: _Limit) -> bool:
        """Interrupt a kernel whose time is over; kill it if that did not help; whether it was killed."""
        now = time.monotonic()
        if limit.kill_at is not None and now > limit.kill_at:
            self._kernel.kill()
            return True
        if limit.over(now):
            limit.interrupted = True
            limit.kill_at = now + INTERRUPT_GRACE_S
            self._kernel.interrupt()
        return False


class _Limit:
    """When what a kernel does must end, and what came of it."""

    def __init__(
        self, timeout_s: float | None, deadline_at: float | None, *, interrupted: bool = False
    ) -> None:
        now = time.monotonic()
        self._timeout_s = timeout_s
        own = None if timeout_s is None else now + timeout_s
        self._is_run = deadline_at is not None and (own is None or deadline_at < own)
        self._at = deadline_at if self._is_run else own
        self.interrupted = interrupted
        self.stopped: str | None = None
        self.kill_at: float | None = now + INTERRUPT_GRACE_S if interrupted else None

    def over(self, now: float) -> bool:
        """Whether it is time to interrupt."""
        return not self.interrupted and (
            self.stopped is not None or (self._at is not None and now > self._at)
        )

    def error(self, message: str) -> Exception:
        """Return the exception for it."""
        if self.stopped is not None:
            return CellStopped(message)
        return RunTimeOver(message) if self._is_run else CellTimedOut(message)

    def words(self, where: str) -> str:
        """Say it."""
        if self.stopped is not None:
            return f"{where} was stopped: {self.stopped}"
        if self._is_run:
            return f"{where} was stopped: the time limit of the run was over"
        return f"{where} took longer than {self._timeout_s:g} s"


def _with_lead(cause: str) -> str:
    # "killed: memory limit ..." says by itself what died.
    return cause if cause.startswith("killed: ") else f"the kernel died: {cause}"


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
