"""The command line ``jupyter flows``: one module a command, loaded when it is called.

A mistake of the user ends with one sentence on stderr and exit code 2, never with a traceback.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from jupyter_flows.errors import Bug, FlowsError

COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("jupyter_flows.cli.up:command", "Server, scheduler and one agent in one process."),
    "ls": ("jupyter_flows.cli.flows:ls", "List flows, their schedules and last runs."),
    "show": ("jupyter_flows.cli.flows:show", "Show a flow: tasks, edges, storage, runs."),
    "explain": ("jupyter_flows.cli.flows:explain", "Where is its code, who runs it, why does it not start?"),
    "pause": ("jupyter_flows.cli.flows:pause", "Stop making scheduled runs of a flow."),
    "resume": ("jupyter_flows.cli.flows:resume", "Make scheduled runs of a flow again."),
    "delete": ("jupyter_flows.cli.flows:delete", "Forget a flow, its versions and ended runs."),
    "runs": ("jupyter_flows.cli.runs:runs", "List runs, or show one with its tasks."),
    "logs": ("jupyter_flows.cli.runs:logs", "Print a run's log; -f follows it."),
    "run": ("jupyter_flows.cli.runs:run", "Run a flow now."),
    "cancel": ("jupyter_flows.cli.runs:cancel", "Stop a run."),
    "retry": ("jupyter_flows.cli.runs:retry", "Run an ended run again."),
    "register": ("jupyter_flows.cli.register:command", "Metadata to the server, code to storage."),
    "graph": (
        "jupyter_flows.cli.graph:command",
        "Read the graph of notebooks or scripts without running them.",
    ),
    "why": ("jupyter_flows.cli.why:command", "Why does one task wait for another?"),
    "infer": (
        "jupyter_flows.cli.infer:command",
        "Show the flow that a notebook already is, without an edit.",
    ),
    "check": ("jupyter_flows.cli.check:command", "Prove a notebook's graph by running its cells by it."),
    "execute": (
        "jupyter_flows.cli.execute:command",
        "Run a notebook headless, here and now, with no server.",
    ),
    "debug": ("jupyter_flows.cli.debug:command", "A failed run's variables, before the cell that failed."),
    "agent": ("jupyter_flows.cli.agent:command", "Start, list and install agents."),
    "server": ("jupyter_flows.cli.server:command", "Start a server, see its state, manage its tokens."),
    "demo": (
        "jupyter_flows.cli.demo:command",
        "Walk the whole path once, headless, and print what happened.",
    ),
}
"""Name -> where it is, and its line in ``--help`` (kept here so that help imports no command)."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order in which one meets them."""
        del ctx
        return [name for name in COMMANDS if name != "demo"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table alone."""
        rows = [(name, COMMANDS[name][1]) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the nearest one."""
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            from difflib import get_close_matches

            near = get_close_matches(name, list(COMMANDS), n=1)
            hint = f"; did you mean '{near[0]}'?" if near else "; see 'jupyter flows --help'"
            ctx.fail(f"no command '{name}'{hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="jupyter-flows", prog_name="jupyter flows")
def group() -> None:
    """Notebooks as scheduled workflows: the notebook is the flow, an agent runs it headless.

    Begin with 'jupyter flows up' in one terminal, and 'jupyter flows register NOTEBOOK' in another.
    """


def main(argv: list[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(run_command(argv))


def run_command(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code.

    Returns
    -------
    int
        0 done; 1 the run that was watched did not succeed; 2 a mistake, told in a sentence; 130 interrupted.
    """
    try:
        result: Any = group.main(args=argv, prog_name="jupyter flows", standalone_mode=False)
    except click.exceptions.Abort:
        return 130
    except KeyboardInterrupt:
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.exceptions.Exit as error:
        return error.exit_code
    except BrokenPipeError:
        # The reader of a pipe (head, less) has had enough; not an error of ours.
        sys.stdout = None
        return 0
    except Bug:
        raise
    except FlowsError as error:
        click.echo(f"Error: {error}", err=True)
        return 2
    return result if isinstance(result, int) else 0
