"""Whether a pickle can be loaded where its flow was not made: tried in another process, as an agent will."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from jupyter_flows.errors import CannotPickle

LIMIT_S = 120
_LOAD = (
    "import sys, cloudpickle; sys.path[:0] = sys.argv[1:]; cloudpickle.load(sys.stdin.buffer).sorted_tasks()"
)


@contextmanager
def loaded_in_fresh_interpreter(data: bytes, *, flow_name: str, beside: Path | None = None) -> Iterator[None]:
    """Load a pickle back in another process while the body runs; wait for it at the body's end.

    Parameters
    ----------
    data : bytes
    flow_name : str
    beside : Path, optional
        Directory of the flow's source, where an agent of this machine finds modules too.

    Raises
    ------
    CannotPickle : with the class of what went wrong there.
    """
    # Files, not pipes: nobody has to read or write here while the body runs.
    with TemporaryFile() as given, TemporaryFile() as said:
        given.write(data)
        given.seek(0)
        with subprocess.Popen(  # noqa: S603 - our own interpreter, a constant program
            [sys.executable, "-c", _LOAD, *([str(beside)] if beside is not None else [])],
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=said,
            cwd="/",
        ) as process:
            try:
                yield
                _wait(process, said, flow_name)
            except BaseException:
                process.kill()
                raise


def _wait(process: subprocess.Popen[bytes], said: IO[bytes], flow_name: str) -> None:
    try:
        # Ends when its output does; to wait for the process alone is to look again and again.
        process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired as error:
        msg = (
            f"flow {flow_name!r} was pickled, but a fresh interpreter needed over {LIMIT_S} s "
            "to load it; what does it import, or hold, that takes so long?"
        )
        raise CannotPickle(msg) from error
    if process.returncode == 0:
        return
    said.seek(0)
    lines = said.read().decode(errors="replace").strip().splitlines()
    msg = (
        f"flow {flow_name!r} was pickled, but a fresh interpreter cannot load it: "
        f"{lines[-1] if lines else 'it died'}; "
        "what its tasks use must be importable there, or defined in the notebook or script"
    )
    raise CannotPickle(msg)
