"""Cells of a notebook to a graph of cell tasks, in document order. Reads no file, runs nothing."""

from __future__ import annotations

import ast
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import PurePath
from typing import Any, TypeVar

from jupyter_flows.analysis import CellInfo, TaskOptions, analyse, validate
from jupyter_flows.analysis.observed import Observed, with_observed
from jupyter_flows.core.edge import Edge
from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.core.serialize import make_parameter_spec
from jupyter_flows.core.triggers import BY_NAME
from jupyter_flows.errors import InvalidOption, NotebookWithoutTasks
from jupyter_flows.notebook.cell_task import CellTask
from jupyter_flows.notebook.flow_line import declaration, has_only_flow_lines
from jupyter_flows.notebook.headings import group_by_heading
from jupyter_flows.notebook.read import CodeCell, NotebookCells
from jupyter_flows.notebook.reasons import reason_of
from jupyter_flows.notebook.transform import body_of, plain_python
from jupyter_flows.schema.flows import ParameterSpec

_LARGEST = 2**53
"""What JSON's numbers carry exactly; infinity and what is no number are beyond it too."""
_UNPACKED = ast.Name(id="unpacked")
"""Stands for what is unpacked from something else than a tuple of constants."""
G = TypeVar("G", bound=FlowGraph)


def build_flow(
    notebook: NotebookCells,
    name: str | None = None,
    *,
    make: Callable[[str], G] | type[FlowGraph] = FlowGraph,
    all_cells: bool = False,
    by_heading: bool = False,
    observed: Mapping[str, Observed] | None = None,
) -> Any:
    """Return the graph of a notebook: a :class:`CellTask` for each code cell that is not skipped.

    Parameters
    ----------
    notebook : NotebookCells
    name : str, optional
        Default: what ``%flow NAME`` says, else the file's name.
    make : callable
        Makes the graph from a name; ``Flow`` where its verbs are wanted.
    all_cells : bool
        Every plain cell is a task, as ``%flow NAME --all-cells`` declares too.
    by_heading : bool
        The plain cells under one Markdown heading are one task, and all others are tasks too, as
        ``%flow NAME --by-heading`` declares too.
    observed : mapping, optional
        What cells did when they ran, by id: a kernel that ran them knows more edges than their source.

    Returns
    -------
    FlowGraph
        With edges (kind, names, reason), ``parameter_specs``, and what ``%flow`` declares as
        ``labels``, ``project`` and ``declared`` (schedule and storage as text); ``denied`` holds the edges
        that ``--not-after`` took away, which nobody waits for.

    Raises
    ------
    InvalidOption, DuplicateTaskName, FlowCycle, InvalidFlow : one sentence that names the cells.
    InvalidNotebook : it is written in another language.
    """
    notebook.require_python()
    declared = declaration(cell.source for cell in notebook.cells)
    by_heading = by_heading or declared.by_heading
    all_cells = all_cells or by_heading or declared.all_cells
    if by_heading:
        notebook = group_by_heading(notebook)
    analysis = analyse(notebook.plain(), plain_as_tasks=all_cells)
    validate(analysis)
    if observed:
        analysis = with_observed(analysis, _of_groups(notebook, observed))
    graph = make(name or declared.name or PurePath(notebook.path).stem or "notebook")
    graph.labels = declared.labels
    graph.project = declared.project
    graph.declared = declared
    by_index: dict[int, CellTask] = {}
    specs: list[ParameterSpec] = []
    for cell, info in zip(notebook.cells, analysis.cells, strict=True):
        if info.role == "skip" or not cell.source.strip() or has_only_flow_lines(cell.source):
            continue
        made = _cell_task(cell, info, analysis.shared if info.index in analysis.together else None)
        by_index[info.index] = made
        graph.add_task(made)
        if info.role == "parameters":
            specs.extend(parameters_of(plain_python(cell.source).source))
    for edge in analysis.edges:
        upstream, downstream = by_index.get(edge.source_index), by_index.get(edge.target_index)
        if upstream is not None and downstream is not None:
            graph.add_edge(upstream, downstream, kind=edge.kind, names=edge.names, reason=reason_of(edge))
    graph.denied = tuple(
        Edge(by_index[edge.source_index], by_index[edge.target_index], names=edge.names, reason=edge.reason)
        for edge in analysis.denied
        if {edge.source_index, edge.target_index} <= by_index.keys()
    )
    _let_defaults_stand(graph)
    graph.parameter_specs = tuple({spec.name: spec for spec in specs}.values())
    for info in analysis.cells:
        if info.index in by_index and info.options is not None:
            by_index[info.index].wrapping = _wrapping(
                by_index[info.index], info.options, graph, parameters=[spec.name for spec in specs]
            )
    return graph


def require_tasks(graph: FlowGraph, notebook: NotebookCells, *, all_cells: bool = False) -> None:
    """Refuse a notebook in which no cell is a task; *all_cells*: as it was asked for when *graph* was built.

    Raises
    ------
    NotebookWithoutTasks : what its author can do.
    """
    if any(getattr(task, "role", "task") == "task" for task in graph.tasks):
        return
    if not any(cell.source.strip() for cell in notebook.cells):
        msg = f"{notebook.path} has no task: it has no cell with code"
    elif all_cells or graph.declared.all_cells or graph.declared.by_heading:
        msg = f"{notebook.path} has no cell that could be a task: imports, definitions and constants are none"
    else:
        msg = (
            f"{notebook.path} has no task: begin at least one cell with %%task, "
            "or let every cell be one with --all-cells"
        )
    raise NotebookWithoutTasks(msg)


def _of_groups(notebook: NotebookCells, observed: Mapping[str, Observed]) -> dict[str, Observed]:
    """Return what cells did by the cell that stands for them."""
    found: dict[str, Observed] = {}
    for cell in notebook.cells:
        seen = [observed[member.id] for member in cell.members or (cell,) if member.id in observed]
        if seen:
            found[cell.id] = functools.reduce(Observed.joined, seen)
    return found


def map_wrapping(options: TaskOptions | None) -> dict[str, Any] | None:
    """Return what ``engine.cell_options`` is asked for ``--map``, or None."""
    if options is None or not options.map:
        return None
    return {
        "map": options.map,
        "out_map": options.out_map,
        "retries": options.retries,
        "retry_delay_s": options.retry_delay_s,
    }


def _wrapping(
    task: CellTask, options: TaskOptions, graph: FlowGraph, *, parameters: list[str]
) -> dict[str, Any] | None:
    """Return what ``engine.cell_options`` is asked for one cell, or None."""
    asked = map_wrapping(options) or {}
    if options.cache_for_s is not None:
        by = options.cache_by or "inputs"
        reads = sorted(task.reads)
        read = {name for edge in graph.edges_from(task) if edge.kind == "data" for name in edge.names}
        lines = task.source.lstrip().splitlines()
        magics = "\n".join(itertools.takewhile(lambda line: line.startswith("%%"), lines))
        asked["cache"] = {
            # The lines of %%time and %%capture are not in the plain Python, and change what is shown.
            "source": plain_python(task.source).source,
            "options": repr((magics, options.map, options.out_map, by)),
            "seconds": options.cache_for_s,
            "names": sorted(
                {*(reads if by != "parameters" else ()), *(parameters if by != "inputs" else ())}
            ),
            "code": reads,
            "writes": sorted(task.writes),
            "needed": sorted(read & task.writes),
            "files": list(options.cache_files),
            "told": options.cache_by is not None,
            "follows": by != "parameters",
            "shared": next(iter(sorted((task.shared or frozenset()) & task.writes)), ""),
            "run": "",
        }
    return asked or None


def _let_defaults_stand(graph: FlowGraph) -> None:
    """Let cells run after a skipped one (``--when``) if all that it gives them is there without it.

    As from top to bottom: what a cell above has set stands if the conditional one in between did not run.
    """
    may_be_skipped: set[Any] = set()
    for task in graph.tasks:
        needed = False
        defaulted = False
        for edge in graph.edges_to(task):
            if edge.upstream_task not in may_be_skipped or edge.kind != "data":
                continue
            others = {
                name
                for other in graph.edges_to(task)
                if other.upstream_task not in may_be_skipped
                for name in other.names
            }
            if set(edge.names) <= others:
                defaulted = True
            else:
                needed = True
        if defaulted and not needed:
            task.skip_on_upstream_skip = False
        if needed or getattr(task, "when", None) is not None:
            may_be_skipped.add(task)


def _cell_task(cell: CodeCell, info: CellInfo, shared: tuple[str, ...] | None) -> CellTask:
    options = info.options or TaskOptions()
    return CellTask(
        info.name,
        source=body_of(cell.source),
        cell_id=cell.id,
        index=(cell.members or (cell,))[0].index,
        members=[member.index for member in cell.members],
        role=info.role,
        reads=info.reads,
        writes=info.writes,
        defines=info.defines,
        shared=shared,
        warnings=info.warnings,
        is_barrier=info.is_opaque,
        auto_generated=info.role != "task",
        when=options.when,
        slug=info.name,
        tags=options.tags,
        # The retries of a mapped cell are its items'.
        max_retries=0 if options.map else options.retries,
        retry_delay=timedelta(seconds=options.retry_delay_s) if options.retries and not options.map else None,
        timeout=None if options.timeout_s is None else timedelta(seconds=options.timeout_s),
        trigger=_trigger(options, info),
    )


def _trigger(options: TaskOptions, info: CellInfo) -> Any:
    if options.trigger is None:
        return None
    try:
        return BY_NAME[options.trigger]
    except KeyError:
        msg = f"Cell {info.index} (%%task {info.name}): no trigger is called {options.trigger!r}"
        raise InvalidOption(msg) from None


def parameters_of(source: str) -> list[ParameterSpec]:
    r"""Return the parameters that a parameters cell declares: names bound to constants.

    A name bound to anything else can be overridden by a run too, but has no default that could be sent.

    Examples
    --------
    >>> [(spec.name, spec.default) for spec in parameters_of("city = 'Oslo'\nyears = [2014, 2015]")]
    [('city', 'Oslo'), ('years', [2014, 2015])]
    """
    specs: list[ParameterSpec] = []
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError):
        return specs  # the cell will fail when it runs, and say why
    for node in body:
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            continue
        for target in targets:
            specs += [
                make_parameter_spec(name, _sendable(_constant(bound)), required=False)
                for name, bound in _bindings(target, value)
            ]
    return specs


def _bindings(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """Yield names and the expressions they are bound to; ``a, b = 1, 2`` are two."""
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple | ast.List):
        items = value.elts if isinstance(value, ast.Tuple | ast.List) else []
        for place, item in enumerate(target.elts):
            yield from _bindings(item, items[place] if len(items) == len(target.elts) else _UNPACKED)


def _constant(value: ast.expr) -> Any:
    """Return the value of a literal; anything else has no default that could be sent."""
    try:
        return ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _sendable(default: Any) -> Any:
    """Return the default as JSON can carry it; one that it cannot is not sent at all."""
    if isinstance(default, list | tuple):
        return list(default) if all(item is None or _is_scalar(item) for item in default) else None
    return default if _is_scalar(default) else None


def _is_scalar(value: Any) -> bool:
    """Whether *value* is a JSON scalar that comes back as it was."""
    if isinstance(value, str):
        return value.isprintable() or not any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, bool):
        return True
    return isinstance(value, int | float) and abs(value) <= _LARGEST
