"""One kernel that is started before anybody needs it: ready, with modules imported, and not one cell run.

Answers: whether it is what a fresh kernel would be for a run that comes, and makes it so. Whoever takes it
has it for good; a kernel in which a cell ran is never one of these.
"""

from __future__ import annotations

import ast
import functools
import inspect
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import zmq

from jupyter_flows.errors import FlowsError
from jupyter_flows.runtime import in_spare_kernel
from jupyter_flows.runtime.kernels import Kernel
from jupyter_flows.runtime.started_ahead import (
    OURS,
    Stamp,
    cells_change_imports,
    changes,
    installation,
    is_read_at_start,
    shadowed,
)

READY_LIMIT_S = 60.0
MODULE_LIMIT_S = 60.0
ADOPT_LIMIT_S = 2.0
POLL_MS = 200
TRIES = 4
"""How often a kernel is made anew without the module that turned out not to be importable ahead."""


class NotAsFresh(Exception):
    """A fresh kernel would be another one; the text says why."""


class SpareKernel:
    """A kernel made ready in a thread of its own, to be taken once.

    Parameters
    ----------
    name : str
        The kernelspec.
    directory : Path
        Private directory for its sockets.
    modules : tuple of str
        What to import in it, where that is installed.
    cwd, env
        Where it starts, and its environment.
    on_ready : callable, optional
        Called in the thread, when it can be taken, or is known to be of no use.
    """

    def __init__(
        self,
        name: str,
        *,
        directory: Path,
        modules: tuple[str, ...] = (),
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        on_ready: Callable[[SpareKernel], None] = lambda _spare: None,
    ) -> None:
        self.name = name
        self.modules: list[str] = []
        """Modules that were imported ahead."""
        self._wanted = modules
        self._directory = directory
        self._cwd = cwd or str(Path.cwd())
        self._env = dict(os.environ if env is None else env)
        self._on_ready = on_ready
        self._loaded: set[str] = set()
        self._excluded: set[str] = set()
        self._stamp = Stamp()
        self._has_own_env = False
        self._kernel: Kernel | None = None
        self._usable = False
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._make, name=f"spare-{name}", daemon=True)

    @property
    def pid(self) -> int | None:
        """The kernel's process, once there is one."""
        return None if self._kernel is None else self._kernel.pid

    def start(self) -> None:
        """Begin to make it, without waiting."""
        self._thread.start()

    def why_gone(self) -> str | None:
        """Why it can no more be taken (its process died, the environment changed); None: it can, or will."""
        if self._thread.is_alive() or not self._usable:
            return None
        if self._kernel is None or not self._kernel.is_alive():
            return "it died"
        changed = self._stamp.changed()
        return f"{changed} changed since it started" if changed else None

    def take(
        self, name: str, *, cwd: str, env: Mapping[str, str], source: str = "", patience_s: float = 1.0
    ) -> Kernel:
        """Hand the kernel over, as a fresh one of *name* in *cwd* with *env* would be.

        Parameters
        ----------
        source : str
            The notebook's code, to see whether it needs to import by itself.
        patience_s : float
            How long to wait for a kernel that is not ready yet.

        Raises
        ------
        NotAsFresh : it is not; :meth:`stop` it.
        """
        if name != self.name:
            msg = f"it is a kernel {self.name}"
            raise NotAsFresh(msg)
        self._hurry.set()
        self._thread.join(patience_s)
        if self._thread.is_alive():
            msg = "it was not ready yet"
            raise NotAsFresh(msg)
        gone = self.why_gone()
        if gone or self._kernel is None or not self._usable:
            msg = gone or "it could not be made ready"
            raise NotAsFresh(msg)
        changed = changes(self._env, env)
        self._require_same(changed, cwd=cwd, source=source)
        answer, noise = ask(
            self._kernel,
            f"names['adopt'](get_ipython(), {cwd!r}, {json.dumps(changed)!r})",
            limit_s=ADOPT_LIMIT_S,
        )
        if answer is None or noise:
            msg = "it did not answer"
            raise NotAsFresh(msg)
        kernel, self._kernel = self._kernel, None
        kernel.was_ready = True
        return kernel

    def stop(self) -> None:
        """End it, ready or not."""
        self._usable = False
        self._hurry.set()
        if self._kernel is not None:
            self._kernel.kill()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            # It learns of the kernel's death by itself; its sockets are its own until then.
            self._thread.join(READY_LIMIT_S)
        if self._kernel is not None:
            self._kernel.stop(now=True)

    # -- taking ------------------------------------------------------------------------------------

    def _require_same(self, changed: Mapping[str, str | None], *, cwd: str, source: str) -> None:
        own = sorted(set(changed) - OURS)
        at_start = [name for name in own if is_read_at_start(name)]
        if at_start:
            msg = f"variables that count at the start differ: {', '.join(at_start[:5])}"
            raise NotAsFresh(msg)
        if own and self._has_own_env:
            msg = f"its kernelspec sets variables, and the run sets {', '.join(own[:5])}"
            raise NotAsFresh(msg)
        if not self._loaded:
            return
        if own:
            msg = f"modules were imported with other variables: {', '.join(own[:5])}"
            raise NotAsFresh(msg)
        if cells_change_imports(source):
            msg = "the notebook may change what its imports give"
            raise NotAsFresh(msg)
        hidden = shadowed(self._loaded, Path(cwd))
        if hidden is not None:
            msg = f"{cwd} has a {hidden} of its own"
            raise NotAsFresh(msg)
        if "matplotlib" in self._loaded and Path(cwd, "matplotlibrc").exists():
            msg = f"{cwd} has a matplotlibrc of its own"
            raise NotAsFresh(msg)

    # -- making ------------------------------------------------------------------------------------

    def _make(self) -> None:
        try:
            for _ in range(TRIES):
                if self._hurry.is_set() or self._made():
                    break
            self._usable = self._kernel is not None
        except (FlowsError, OSError) as error:
            # A run that needs this kernel says the same, as its own end.
            print(f"no kernel {self.name} ahead: {error}", flush=True)  # noqa: T201 - the process's own log
            self._drop()
        self._on_ready(self)

    def _made(self) -> bool:
        """Start a kernel and import what is wanted; False: again, without what turned out wrong."""
        from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

        try:
            spec = KernelSpecManager().get_kernel_spec(self.name)
        except NoSuchKernel:
            return True
        if spec.language.lower() != "python":
            # Nothing can be given to it once it has started.
            return True
        self._has_own_env = bool(spec.env)
        self._stamp = Stamp()
        self._stamp.add([spec.resource_dir, f"{spec.resource_dir}/kernel.json"])
        self._loaded, self.modules = set(), []
        self._kernel = Kernel(
            self.name,
            directory=self._directory,
            cwd=self._cwd,
            env=self._env,
            start_timeout_s=READY_LIMIT_S,
        )
        self._kernel.start()
        answer, noise = ask(self._kernel, "names['about'](get_ipython())", limit_s=ADOPT_LIMIT_S)
        if answer is None or noise or answer["runs_own_code"]:
            # No kernel of IPython's, or one that runs a person's own files when it starts.
            self._drop()
            return True
        self._stamp.add([*installation(answer["path"]), *answer["files"]])
        return self._import_wanted(self._kernel)

    def _import_wanted(self, kernel: Kernel) -> bool:
        for module in self._wanted:
            if self._hurry.is_set():
                return True
            if module in self._excluded:
                continue
            answer, noise = ask(kernel, f"names['load']({module!r})", limit_s=MODULE_LIMIT_S)
            if answer is None or noise or answer["outside"]:
                # It failed, printed something that belongs into a cell, or ran a file of the user's.
                self._excluded.add(module)
                self._drop()
                return False
            if answer["loaded"]:
                self._loaded.update(answer["loaded"])
                self.modules.append(module)
        return True

    def _drop(self) -> None:
        if self._kernel is not None:
            kernel, self._kernel = self._kernel, None
            kernel.stop(now=True)


def ask(kernel: Kernel, expression: str, *, limit_s: float) -> tuple[Any, bool]:
    """Evaluate *expression* in a kernel that runs nothing; ``names`` are those of in_spare_kernel.

    Returns
    -------
    What it gives (None: it raised, or took too long), and whether anything was printed or displayed.
    """
    client = kernel.client
    whole = f"(lambda names: (exec({_source()!r}, names), {expression})[1])({{'__name__': 'spare'}})"
    message_id = client.execute(
        "", silent=True, store_history=False, allow_stdin=False, user_expressions={"it": whole}
    )
    poller = zmq.Poller()
    for channel in (client.shell_channel, client.iopub_channel):
        poller.register(channel.socket, zmq.POLLIN)
    noise, idle, reply = False, False, None
    deadline = time.monotonic() + limit_s
    while reply is None or not idle:
        ready = dict(poller.poll(POLL_MS))
        for channel in (client.shell_channel, client.iopub_channel):
            if channel.socket not in ready:
                continue
            _, message = client.session.recv(channel.socket)
            if message is None or message["parent_header"].get("msg_id") != message_id:
                continue
            if channel is client.shell_channel:
                reply = message["content"]
            elif message["msg_type"] == "status":
                idle = idle or message["content"]["execution_state"] == "idle"
            else:
                noise = True
        if time.monotonic() > deadline or not (ready or kernel.is_alive()):
            return None, noise
    found = reply.get("user_expressions", {}).get("it", {})
    if found.get("status") != "ok":
        return None, noise
    return json.loads(ast.literal_eval(found["data"]["text/plain"])), noise


@functools.cache
def _source() -> str:
    return inspect.getsource(in_spare_kernel)
