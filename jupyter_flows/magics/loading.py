"""What ``%load_ext jupyter_flows`` puts into a shell, and takes out again."""

from __future__ import annotations

import os
from types import FunctionType
from typing import Any

from jupyter_flows.magics.badges import CellBadges, open_comm
from jupyter_flows.magics.cells import CellRecorder
from jupyter_flows.magics.desk import Desk
from jupyter_flows.magics.task_magic import TaskLines

HELP = {
    "task": """Make this cell a task of the notebook's flow; it runs as the ordinary cell it is.

    %%task [NAME] [--retries N] [--retry-delay 10s] [--timeout 5m] [--trigger NAME]
           [--when EXPRESSION] [--map NAME=ITEMS]… [--out-map NAME,…] [--cache-for 1d]
           [--cache-by inputs|parameters|all] [--after TASK,…] [--not-after TASK,…]
           [--in NAME,…] [--out NAME,…]
           [--mutates NAME,…] [--tags WORD,…]

    Which task needs which is read from the variables that cells read and write; --after, --not-after, --in,
    --out and --mutates say what cannot be read. %flow shows the flow.
    """,
    "parameters": """Make the names that this cell binds the flow's parameters.

    Their values are defaults: a run may set others (%flow run -p NAME=VALUE).
    """,
    "skip": """Run this cell here, and leave it out of headless runs.""",
}
"""What ``%%task?`` shows."""


def load_ipython_extension(shell: Any) -> None:
    """Make ``%%task``, ``%%parameters``, ``%%skip`` and ``%flow`` known to *shell*."""
    if getattr(shell, "jupyter_flows_recorder", None) is not None:
        return
    headless = bool(os.environ.get("JUPYTER_FLOWS_RUN_ID"))
    recorder = CellRecorder()
    shell.jupyter_flows_recorder = recorder
    desk = Desk(
        recorder,
        namespace=shell.user_ns,
        hidden=shell.user_ns_hidden,
        is_tracing=not headless and _is_trace_wanted(),
    )
    shell.jupyter_flows_desk = desk
    lines = TaskLines(shell)
    shell.jupyter_flows_lines = lines
    shell.input_transformers_cleanup.append(lines)
    shell.ast_transformers.append(lines)

    def flow(line: str) -> None:
        """Declare the flow, show it, or act on it: ``%flow [NAME | run | register | runs | …]``."""
        from jupyter_flows.magics.flow_magic import flow_line

        flow_line(shell, line, headless=headless)

    def body(line: str, cell: str) -> None:
        del line
        shell.run_cell(cell)

    shell.register_magic_function(flow, "line", "flow")
    # Cells that begin with these are rewritten before magics are looked for; they are registered so that
    # completion, %lsmagic and help know them, and so that a call from code works.
    for name, text in HELP.items():
        magic = FunctionType(body.__code__, body.__globals__, name, closure=body.__closure__)
        magic.__doc__ = text
        shell.register_magic_function(magic, "cell", name)
    shell.register_magic_function(lines.refuse, "line", "_flows_refuse")
    if headless:
        return

    if getattr(shell, "kernel", None) is not None:
        recorder.watchers.append(CellBadges(desk, open_comm))

    history = getattr(shell, "history_manager", None)
    recorder.assume(source for source in getattr(history, "input_hist_raw", ()) if source)

    def pre_run_cell(info: Any) -> None:
        lines.begins(info)
        if info.raw_cell and info.store_history and not info.silent:
            desk.begin(info.raw_cell, getattr(info, "cell_id", None), execution=info)

    def post_run_cell(result: Any) -> None:
        error = result.error_before_exec or result.error_in_exec
        lines.ended(result.info, well=error is None)
        desk.end(error, execution=result.info, skipped=lines.skipped)

    shell.jupyter_flows_events = (("pre_run_cell", pre_run_cell), ("post_run_cell", post_run_cell))
    for event, function in shell.jupyter_flows_events:
        shell.events.register(event, function)


def _is_trace_wanted() -> bool:
    from jupyter_flows.errors import InvalidSettings
    from jupyter_flows.settings import load_settings

    try:
        return load_settings().trace
    except InvalidSettings:
        return False  # whoever needs a setting says what is wrong with it; loading must not fail


def unload_ipython_extension(shell: Any) -> None:
    """Forget everything that :func:`load_ipython_extension` did."""
    if getattr(shell, "jupyter_flows_recorder", None) is None:
        return
    shell.input_transformers_cleanup.remove(shell.jupyter_flows_lines)
    shell.ast_transformers.remove(shell.jupyter_flows_lines)
    for event, function in getattr(shell, "jupyter_flows_events", ()):
        shell.events.unregister(event, function)
    for kind, name in (
        ("line", "flow"),
        ("line", "_flows_refuse"),
        ("cell", "task"),
        ("cell", "parameters"),
        ("cell", "skip"),
    ):
        shell.magics_manager.magics[kind].pop(name, None)
    for watcher in shell.jupyter_flows_recorder.watchers:
        stop = getattr(watcher, "stop", None)
        if stop is not None:
            stop()
    shell.jupyter_flows_recorder = None
    shell.jupyter_flows_desk = None
    shell.jupyter_flows_events = ()
