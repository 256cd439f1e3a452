"""``jupyter flows graph``: the graph of notebooks and scripts, read without running them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from jupyter_flows.cli.present import console, counted, plain, print_json, table
from jupyter_flows.errors import FlowsError

_MAX_NAMES = 6
_MARKS = {
    "channel": ("~", "through a hidden channel"),
    "declared": ("!", "declared by --after"),
    "order": ("<", "not to be overtaken, where cells share memory"),
}
"""Kinds of edges -> their marks before the number of a cell, and what these say."""


@click.command("graph")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--all-cells", is_flag=True, help="Treat every code cell as a task.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, one object a path.")
@click.option("--dot", metavar="FILE", help="Write the graph as DOT text ('-': stdout).")
@click.option("--svg", metavar="FILE", help="Draw the graph as SVG ('-': stdout).")
def command(paths: tuple[str, ...], all_cells: bool, as_json: bool, dot: str | None, svg: str | None) -> int:
    """Read the graph of notebooks (.ipynb) or scripts (.py) without running them.

    Each cell with what it reads and writes, each edge with its reason. With several paths, --dot and --svg
    take one file a path: a number is put before the suffix.
    """
    from jupyter_flows.notebook.outline import analyse_notebook
    from jupyter_flows.notebook.outline import as_json as outline
    from jupyter_flows.notebook.read import read_notebook

    outlines: list[dict[str, Any]] = []
    exit_code = 0
    for path in paths:
        try:
            notebook = read_notebook(path)
            analysis = analyse_notebook(notebook, all_cells=all_cells)
        except FlowsError as error:
            click.echo(f"Error: {error}", err=True)
            exit_code = 2
            continue
        outlined = outline(notebook, analysis)
        outlines.append(outlined)
        barriers = {cell.index for cell in analysis.cells if cell.is_opaque}
        for place, write in ((dot, _dot_text), (svg, _svg_text)):
            if place is not None:
                text = write(outlined, barriers)
                exit_code = max(exit_code, _save(place, text, number=len(outlines), count=len(paths)))
    if as_json:
        print_json(outlines)
    elif "-" not in (dot, svg):
        for outlined in outlines:
            _show(outlined)
    return exit_code


def _save(place: str, text: str, *, number: int, count: int) -> int:
    if place == "-":
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        return 0
    target = Path(place)
    if count > 1:
        target = target.with_name(f"{target.stem}-{number}{target.suffix}")
    if target.suffix.lower() in {".ipynb", ".py"}:
        click.echo(f"Error: {target}: is a notebook's or script's name; the picture needs another", err=True)
        return 2
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        click.echo(f"Error: {target}: cannot be written: {error.strerror or error}", err=True)
        return 2
    click.echo(f"wrote {target}", err=True)
    return 0


def _dot_text(outlined: dict[str, Any], barriers: set[int]) -> str:
    from jupyter_flows.notebook.dot import to_dot

    return to_dot(outlined, barriers=barriers)


def _svg_text(outlined: dict[str, Any], barriers: set[int]) -> str:
    from jupyter_flows.widget.svg import Link, Node, draw_svg

    nodes = [
        Node(
            str(cell["index"]),
            f"{cell['index']}  {cell['name']}",
            hint="\n".join([cell["role"], *cell["warnings"]]),
            is_barrier=cell["index"] in barriers,
        )
        for cell in outlined["cells"]
    ]
    links = [
        Link(str(edge["from"]), str(edge["to"]), hint=edge["reason"], is_dashed=edge["kind"] != "data")
        for edge in outlined["edges"]
        if edge["kind"] != "order"
    ]
    links += [
        Link(
            str(edge["from"]),
            str(edge["to"]),
            hint=f"denied by --not-after: {edge['reason']}",
            is_denied=True,
        )
        for edge in outlined["denied"]
    ]
    return draw_svg(nodes, links, title=str(outlined["path"]))


def _show(outlined: dict[str, Any]) -> None:
    out = console()
    upstream: dict[int, list[str]] = {}
    for edge in outlined["edges"]:
        mark = _MARKS.get(edge["kind"], ("", ""))[0]
        upstream.setdefault(edge["to"], []).append(f"{mark}{edge['from']}")
    shown = table("#", "cell", "role", "needs cells", "reads", "writes")
    for cell in outlined["cells"]:
        sources = sorted(
            dict.fromkeys(upstream.get(cell["index"], ())), key=lambda word: int(word.lstrip("~!<"))
        )
        shown.add_row(
            str(cell["index"]),
            plain(cell["name"]),
            cell["role"],
            " ".join(sources),
            plain(_few(cell["reads"])),
            plain(_few(cell["writes"])),
        )
    out.print(plain(outlined["path"], "bold"))
    out.print(shown)
    warned = [(cell["index"], warning) for cell in outlined["cells"] for warning in cell["warnings"]]
    for index, warning in warned:
        out.print(
            plain(
                f"  cell {index} {warning}" if not warning.startswith("Cell ") else f"  {warning}", "yellow"
            )
        )
    names = {cell["index"]: cell["name"] for cell in outlined["cells"]}
    for edge in outlined["edges"]:
        ends = f"  {names[edge['from']]} → {names[edge['to']]}: "
        note = " (only where cells share memory)" if edge["kind"] == "order" else ""
        out.print(plain(ends), plain(edge["reason"] + note, "bright_black"), sep="")
    for edge in outlined["denied"]:
        ends = f"  {names[edge['from']]} ↛ {names[edge['to']]}: "
        out.print(plain(ends), plain(f"denied by --not-after: {edge['reason']}", "bright_black"), sep="")
    kinds = {edge["kind"] for edge in outlined["edges"]}
    notes = [f"{mark} {text}" for kind, (mark, text) in _MARKS.items() if kind in kinds]
    edges, cells = len(outlined["edges"]), len(outlined["cells"])
    summary = f"{counted(cells, 'cell')}, {counted(edges, 'edge')}" + (
        f"  ({', '.join(notes)})" if notes else ""
    )
    out.print(plain(summary, "bright_black"))
    out.print()


def _few(names: list[str]) -> str:
    more = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" … {more} more" if more > 0 else "")
