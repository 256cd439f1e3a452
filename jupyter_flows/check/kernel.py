"""A kernel that runs sequences of cells and tells what each cell did.

The kernel is the notebook's own, started as for a headless run; its process only forks (``probe.py``). What
cells did is read from a file, so that a fork that dies takes nothing with it.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from jupyter_flows.check.plan import Forest
from jupyter_flows.engine import cell_options
from jupyter_flows.errors import KernelDied
from jupyter_flows.runtime.kernels import Kernel

_HERE = Path(__file__).parent
_POLL_S = 0.2


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """What is run of a cell, and what is looked at afterwards."""

    code: str
    names: tuple[str, ...] = ()
    when: str | None = None
    wrapping: dict[str, Any] | None = None
    """What ``--map`` asks for; a kept result (``--cache-for``) would prove nothing."""
    may_raise: bool = False
    passed: tuple[str, ...] = ()
    """Names whose values later cells get, in processes of their own as copies."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a cell did in one sequence.

    ``facets`` are digests by what they are of: ``stdout``, ``stderr``, ``display``, ``image``, ``error``,
    ``skipped``, ``name:x``.
    """

    facets: dict[str, str] = {}
    shown: dict[str, str] = {}
    """The values of names in a few words."""
    seconds: float = 0.0
    error: str = ""
    """Class of the exception, or how the process died."""
    has_died: bool = False
    lost: dict[str, tuple[str, ...]] = {}
    """By name: which attributes a pickled copy of the value lacks; empty if it is another one altogether."""
    outside: tuple[str, ...] = ()
    """Files elsewhere that were opened for writing, with ``new`` or ``old`` before the path."""


class ProbeKernel:
    """A started kernel of a check.

    Parameters
    ----------
    name : str
        The kernelspec.
    root : Path
        The working directory of the cells; every branch runs in a copy under this same path.
    directory : Path
        For sockets, requests and results.
    cells : mapping
        What is run, by number.
    cell_limit_s : float
        A cell that takes longer is ended, and its process with it.

    Raises
    ------
    KernelNotFound, KernelDidNotStart
    """

    def __init__(
        self, name: str, *, root: Path, directory: Path, cells: Mapping[int, Cell], cell_limit_s: float
    ) -> None:
        self._cell_limit_s = cell_limit_s
        self._root = root
        self._directory = directory
        self._cells = {str(number): msgspec.to_builtins(cell) for number, cell in cells.items()}
        self._count = 0
        self._kernel = Kernel(name, directory=directory / "kernel", cwd=str(root))
        self._kernel.launch()

    def wait_until_ready(self) -> None:
        """Wait until the kernel answers; it was launched before.

        Raises
        ------
        KernelDidNotStart
        """
        self._kernel.start()

    def stop(self) -> None:
        """End the kernel and every process that it has made."""
        for process in self._descendants():
            with contextlib.suppress(Exception):
                process.kill()
        self._kernel.stop(now=True)

    def run(
        self, forest: Forest, *, seconds: Mapping[int, float] | None, deadline_s: float | None = None
    ) -> dict[int, Seen]:
        """Run all sequences of *forest*.

        Parameters
        ----------
        seconds : what each cell takes, as far as known; None: as long as it takes.
        deadline_s : after so many seconds no further branch is begun.

        Returns
        -------
        dict : what was seen, by the forest's keys; a branch that was not begun or that died is not there,
            but for the cell in which it died.

        Raises
        ------
        KernelDied : the kernel's own process is gone.
        """
        self._count += 1
        results = self._directory / f"results-{self._count}.jsonl"
        request = forest.request(seconds or {})
        if seconds is None:
            for node in request["nodes"]:
                node["limit_s"] = None
        request |= {
            "cells": self._cells,
            "root": str(self._root),
            "cell_limit_s": self._cell_limit_s,
            "tries_passing": seconds is None,
            "results": str(results),
            "deadline": None if deadline_s is None else time.time() + deadline_s,
        }
        asked = results.with_suffix(".request")
        asked.write_text(json.dumps(request), encoding="utf-8")
        self._execute(_call(str(asked)))
        return _read(results)

    def _execute(self, code: str) -> None:
        client = self._kernel.client
        message_id = client.execute(code, silent=True, store_history=False, allow_stdin=False)
        while True:
            if client.shell_channel.socket.poll(_POLL_S * 1000):
                reply = client.shell_channel.get_msg(timeout=_POLL_S)
                if reply["parent_header"].get("msg_id") == message_id:
                    break
            elif not self._kernel.is_alive():
                msg = f"the kernel of the check died: {self._kernel.ending()}"
                raise KernelDied(msg)
        if reply["content"]["status"] != "ok":
            said = f"{reply['content'].get('ename')}: {reply['content'].get('evalue')}"
            if "fork" in said:
                said = "it cannot fork, which this needs (Linux and macOS can)"
            msg = f"the kernel {self._kernel.name!r} cannot run a check: {said}"
            raise KernelDied(msg)

    def _descendants(self) -> list[Any]:
        import psutil

        process = getattr(getattr(self._kernel.manager, "provisioner", None), "process", None)
        if process is None:
            return []
        with contextlib.suppress(psutil.Error):
            found: list[Any] = psutil.Process(process.pid).children(recursive=True)
            return found
        return []


def _call(request: str) -> str:
    """Return code that executes the probe and leaves no name behind."""
    digest, probe = str(_HERE / "digest.py"), str(_HERE / "probe.py")
    options = cell_options.__file__
    return f"""
(lambda read, ours, wrapped, theirs: (
    exec(compile(read({digest!r}), "<digest>", "exec"), ours),
    exec(compile(read({options!r}), "<options>", "exec"), wrapped),
    exec(compile(read({probe!r}), "<probe>", "exec"), theirs),
    theirs.update(
        _digest=__import__("types").SimpleNamespace(**ours),
        _options=__import__("types").SimpleNamespace(**wrapped)),
    theirs["serve"]({request!r}),
))(lambda path: open(path, encoding="utf-8").read(), {{"__name__": "digest"}}, {{"__name__": "options"}},
  {{"__name__": "probe"}});
"""


def _read(results: Path) -> dict[int, Seen]:
    """Return what was seen; a cell that began and told nothing died, for the reason that was told."""
    seen: dict[int, Seen] = {}
    began: list[int] = []
    if not results.exists():
        return seen
    for text in results.read_text("utf-8").splitlines():
        line = json.loads(text)
        if line["key"] is not None:
            if "began" in line:
                began.append(line["key"])
            else:
                seen[line["key"]] = Seen(
                    facets=line["seen"],
                    shown=line["shown"],
                    seconds=line["seconds"],
                    error=line["error"],
                    lost={name: tuple(attributes) for name, attributes in line["lost"].items()},
                    outside=tuple(line["outside"]),
                )
            continue
        how = line.get("died") or "failed"
        open_ones = [key for key in began if key not in seen]
        for key in open_ones[-1:]:
            seen[key] = Seen(facets={"error": how}, error=f"its process {how}", has_died=True)
    return seen
