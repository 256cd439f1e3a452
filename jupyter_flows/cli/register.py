"""``jupyter flows register``: a notebook, a script, or a module's flow."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from jupyter_flows.errors import FlowNotFoundInFile, InvalidOption


@click.command()
@click.argument("target")
@click.option("--project", default=None, help="Project to register under; default: the setting 'project'.")
@click.option("--name", default=None, help="Name of the flow; for a script: which of its flows.")
@click.option("-l", "--label", "labels", multiple=True, help="A label that runs ask for (repeatable).")
@click.option(
    "--schedule", default=None, help="E.g. 'every 10 minutes', '0 6 * * *', '0 6 * * * Europe/Berlin'."
)
@click.option(
    "--storage",
    default=None,
    help="notebook, pickle or script. Default: a notebook as itself, a script as itself.",
)
@click.option(
    "--all-cells", is_flag=True, help="Every plain cell of a notebook is a task; no %%task is needed."
)
@click.option("--by-heading", is_flag=True, help="The plain cells under one Markdown heading are one task.")
@click.option("--no-schedule", is_flag=True, help="Register, but do not begin to run by the schedule.")
@click.option("--json", "as_json", is_flag=True, help="Print the receipt as JSON.")
def command(
    target: str,
    project: str | None,
    name: str | None,
    labels: tuple[str, ...],
    schedule: str | None,
    storage: str | None,
    all_cells: bool,
    by_heading: bool,
    no_schedule: bool,
    as_json: bool,
) -> None:
    """Register TARGET: PATH.ipynb, PATH.py, or dotted.module:flow. Prints the receipt."""
    from jupyter_flows.registering import Source, register, register_notebook, register_script

    options: dict[str, Any] = {
        "project": project,
        "labels": labels,
        "schedule": schedule,
        "storage": storage,
        "set_schedule_active": not no_schedule,
    }
    if target.endswith(".ipynb"):
        receipt = register_notebook(target, name=name, all_cells=all_cells, by_heading=by_heading, **options)
    elif all_cells or by_heading:
        msg = f"--all-cells and --by-heading are for notebooks; {target!r} is none"
        raise InvalidOption(msg)
    elif target.endswith(".py") or Path(target).exists():
        receipt = register_script(target, name=name, **options)
    else:
        flow, file = _flow_of_module(target)
        receipt = register(flow, source=Source(path=file), **options)
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(receipt.to_json(), indent=2).decode())
        return
    click.echo(receipt.text)


def _flow_of_module(target: str) -> tuple[Any, Path | None]:
    """Return the flow that ``dotted.module:name`` is, and the module's file."""
    from jupyter_flows.core.graph import FlowGraph

    module_name, colon, attribute = target.partition(":")
    if not colon or not all(part.isidentifier() for part in module_name.split(".")):
        msg = f"{target!r} is no .ipynb or .py file, nor dotted.module:flow"
        raise FlowNotFoundInFile(msg)
    sys.path.insert(0, str(Path.cwd()))
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        msg = f"there is no module {error.name!r} here (asked for by {target!r})"
        raise FlowNotFoundInFile(msg) from error
    except Exception as error:
        msg = f"module {module_name} raised {type(error).__name__} when it was imported"
        raise FlowNotFoundInFile(msg) from error
    finally:
        sys.path.remove(str(Path.cwd()))
    flow = getattr(module, attribute, None)
    if not isinstance(flow, FlowGraph):
        flows = [name for name, value in vars(module).items() if isinstance(value, FlowGraph)]
        msg = f"module {module_name} has no flow {attribute!r}; it has {', '.join(flows) or 'none'}"
        raise FlowNotFoundInFile(msg)
    file = getattr(module, "__file__", None)
    return flow, Path(file).absolute() if file else None
