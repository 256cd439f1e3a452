"""``python -m jupyter_flows.runtime``: the process of one run, started by its keeper."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType


def main() -> int:
    """Execute the claim that the keeper left for us; return 0 if the end was reported.

    A process that was started before its run is known waits for it first.
    """
    os.umask(0o077)
    from jupyter_flows.runtime.processes import die_with_parent

    die_with_parent(int(os.environ.get("JUPYTER_FLOWS_KEEPER_PID", "0")))
    fd = int(os.environ.pop("JUPYTER_FLOWS_REPORT_FD"))
    # Only this process speaks; a kernel or a child of the user's must not hold the pipe open.
    os.set_inheritable(fd, False)
    # jsonschema imports this one if it is there and builds a grammar for 1.5 s; nothing here checks IRIs.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    spare = None
    wanted = os.environ.pop("JUPYTER_FLOWS_SPARE", "")
    if wanted:
        from jupyter_flows.runtime.waiting import wait_for_run

        spare = wait_for_run(wanted, report_fd=fd)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _terminate)
    # The keeper starts us with -P, so that no file of the user's hides a module of ours. The directories
    # in which the user's own modules are found come last.
    sys.path.append(str(Path.cwd()))

    import msgspec

    from jupyter_flows.runtime.execute import execute
    from jupyter_flows.runtime.report_pipe import ReportPipe
    from jupyter_flows.schema.agents import Claim
    from jupyter_flows.settings import load_settings

    pipe = ReportPipe(fd)
    with open(os.environ["JUPYTER_FLOWS_CLAIM"], "rb") as stream:  # noqa: PTH123
        claim = msgspec.json.decode(stream.read(), type=Claim)
    try:
        ended = execute(claim, pipe=pipe, settings=load_settings(), spare=spare)
    except KeyboardInterrupt:
        pipe.finish("Cancelled", "interrupted")
        return 0
    pipe.finish(ended.state, ended.message)
    return 0


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
