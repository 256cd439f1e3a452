"""From cells to graph: walk all cells from top to bottom, collect what each needs of the ones above.

The reference is one run of all cells in document order in one namespace. An edge goes from the last
cell that bound or changed a name (or an object behind it) to the cell that reads it. What cannot be
seen makes a warning on the cell, never silence. :func:`analyse` reports and never raises for what a
notebook contains; :func:`validate` is for those who want to build a flow of it.
"""

from __future__ import annotations

import ast
import difflib
import sys
from collections.abc import Iterator, Sequence

import msgspec

from jupyter_flows.analysis.ledger import Ledger
from jupyter_flows.analysis.model import Analysis, CellEdge, CellInfo, CellSource, EdgeKind, TaskOptions
from jupyter_flows.analysis.names import Statements
from jupyter_flows.analysis.objects import EMPTY, Obj, Write
from jupyter_flows.analysis.options import parse_task_line
from jupyter_flows.analysis.roles import default_name, is_preamble, role_of
from jupyter_flows.analysis.syntax import Parsed, parse
from jupyter_flows.errors import DuplicateTaskName, FlowCycle, InvalidFlow, InvalidOption


def analyse(
    cells: Sequence[CellSource], *, all_cells: bool = False, plain_as_tasks: bool = False
) -> Analysis:
    r"""Read *cells* and find every edge between them.

    Parameters
    ----------
    cells : code cells in document order, numbered from 1.
    all_cells : treat every cell as a task, also those marked to be skipped.
    plain_as_tasks : treat plain cells as tasks, named after what they bind; setup, parameters and skipped
        cells stay what they are.

    Examples
    --------
    >>> sources = ["k = 2", "def f(x):\n    return k * x", "print(f(3))"]
    >>> cells = [CellSource(id=str(i), index=i, source=s) for i, s in enumerate(sources, 1)]
    >>> [(e.source_index, e.target_index, e.names) for e in analyse(cells).dependencies]
    [(1, 3, ('k',)), (2, 3, ('f',))]
    """
    walker = Statements(Ledger())
    infos = [read_cell(walker, cell, all_cells=all_cells, plain_as_tasks=plain_as_tasks) for cell in cells]
    return assemble(walker.ledger, infos, Told())


class Told:
    """Edges as they were put into words the last time, cell by cell."""

    def __init__(self) -> None:
        self.found: dict[int, tuple[dict[tuple[int, str], dict[str, str]], list[CellEdge]]] = {}
        """Target -> what the ledger says, and its edges."""
        self.order: dict[int, tuple[list[tuple[int, str, str]], dict[int, CellEdge]]] = {}
        """Target -> what the ledger says, and its edges by their sources."""


def assemble(ledger: Ledger, infos: list[CellInfo], told: Told) -> Analysis:
    """Return what the walk over all cells has found; *told* keeps what need not be said anew."""
    infos = _named_apart(infos)
    edges = [*_found_edges(ledger, told), *_declared_edges(infos)]
    edges.sort(key=lambda edge: (edge.target_index, edge.source_index, edge.kind))
    denied = _denied(infos)
    kept: list[CellEdge] = [] if denied else edges
    taken: list[CellEdge] = []
    for edge in edges if denied else ():
        (taken if (edge.source_index, edge.target_index) in denied else kept).append(edge)
    if taken:
        kept += _in_place_of(taken, kept, infos, denied)
        kept.sort(key=lambda edge: (edge.target_index, edge.source_index, edge.kind))
    for edge in taken:
        info = infos[edge.target_index - 1]
        said = f"does not wait for cell {edge.source_index} (--not-after), although {edge.reason}"
        infos[edge.target_index - 1] = msgspec.structs.replace(info, warnings=(*info.warnings, said))
    together = 0
    for info in infos:
        if info.is_opaque:
            together |= 1 << info.index
    shared: set[str] = set()
    for cells, names in ledger.together.values():
        together |= cells
        shared |= names
    return Analysis(
        cells=tuple(infos),
        edges=tuple(kept),
        denied=tuple(taken),
        together=tuple(_bits(together)),
        shared=_sorted(shared),
    )


def _denied(infos: list[CellInfo]) -> set[tuple[int, int]]:
    """Return the ends of the edges that ``--not-after`` takes away."""
    by_name = {info.name: info.index for info in reversed(infos)}
    return {
        (by_name[name], info.index)
        for info in infos
        for name in (info.options.not_after if info.options else ())
        if name in by_name
    }


def _in_place_of(
    taken: list[CellEdge], kept: list[CellEdge], infos: list[CellInfo], denied: set[tuple[int, int]]
) -> list[CellEdge]:
    """Return edges to whoever gave the names before the denied cells did: their reader needs one."""
    above: dict[int, int] = {}
    for edge in kept:
        if edge.kind != "order" and edge.source_index < edge.target_index:
            # Sorted by target: all that is above the source is known by now.
            reached = above.get(edge.source_index, 0) | 1 << edge.source_index
            above[edge.target_index] = above.get(edge.target_index, 0) | reached
    found: dict[tuple[int, int], dict[str, str]] = {}
    for edge in taken:
        source, target = edge.source_index, edge.target_index
        for name in edge.names if edge.kind == "data" else ():
            # Nearest first: it stands below whoever it had the object from itself.
            for earlier in reversed(infos[: source - 1]):
                maker = earlier.index
                if (
                    name not in earlier.writes
                    or (maker, target) in denied
                    or above.get(target, 0) >> maker & 1
                ):
                    continue
                reason = f"cell {target} reads `{name}`, as it is before cell {source} (--not-after)"
                found.setdefault((maker, target), {})[name] = f"{reason}: from cell {maker}"
                above[target] = above.get(target, 0) | above.get(maker, 0) | 1 << maker
    return [_edge(source, target, "data", reasons) for (source, target), reasons in found.items()]


def read_cell(walker: Statements, cell: CellSource, *, all_cells: bool, plain_as_tasks: bool) -> CellInfo:
    """Walk one cell and return what it reads and writes; the edges to it are in the ledger then."""
    ledger = walker.ledger
    ledger.begin(cell.index)
    walker.begin_cell()
    parsed = parse(cell.source)
    role = role_of(cell, parsed.tree, bound=ledger.names)
    if (plain_as_tasks or all_cells) and role == "plain":
        role = "task"
    options, option_error = _options(cell)
    if option_error is not None:
        ledger.warn(option_error)
    if role != "skip" or all_cells:
        if parsed.needs is not None and (said := parsed.needs.said(cell.python)) is not None:
            ledger.warn(said)
        _walk(walker, parsed, options)
        if parsed.tree is None and cell.python is not None and cell.python > sys.version_info[:2]:
            reader, kernel = (".".join(map(str, version)) for version in (sys.version_info[:2], cell.python))
            walker.opaque(f"may be right for its kernel, Python {kernel}, which Python {reader} cannot tell")
    name = (options.name if options else None) or (
        default_name(cell, parsed.tree) if role == "task" else f"cell-{cell.index}"
    )
    for missing, line in sorted(ledger.missing.items()):
        ledger.reads.add(missing)
        ledger.warn(f"reads `{missing}` (line {line}), which no cell above gives a value")
    if _shows_output(parsed, cell.source):
        ledger.outputs[cell.index] = Write(cell.index, 1, "shown")
    return CellInfo(
        index=cell.index,
        id=cell.id,
        name=name,
        role="task" if all_cells else role,
        reads=_sorted(ledger.reads),
        writes=_sorted(ledger.writes),
        mutates=_sorted(ledger.mutates),
        deletes=_sorted(ledger.deletes),
        warnings=tuple(ledger.warnings),
        defines=_sorted(ledger.defines),
        is_preamble=is_preamble(parsed.tree) and role == "setup",
        is_opaque=ledger.is_opaque,
        options=options,
        option_error=option_error,
    )


def _walk(walker: Statements, parsed: Parsed, options: TaskOptions | None) -> None:
    ledger = walker.ledger
    declared = options or TaskOptions()
    for name in declared.inputs:
        ledger.through = ["--in"]
        ledger.read_name(name)
        ledger.through = []
    if parsed.warning is not None:
        ledger.warn(parsed.warning)
    if parsed.tree is None:
        for word in parsed.words:
            if word in ledger.names:
                ledger.read_name(word)
        for target in parsed.targets:
            earlier = ledger.names.get(target)
            ledger.bind_name(target, earlier.value if earlier else EMPTY, "bound, as far as can be guessed,")
            if earlier is not None:
                kept = ledger.names[target]
                ledger.names[target] = kept._replace(writers=(*earlier.writers, *kept.writers))
    else:
        walker.type_parameters = parsed.type_parameters
        try:
            walker.walk_cell(_conditional(_mapped(parsed.tree.body, declared), declared.when))
        except RecursionError:
            walker.frame = ledger.module
            ledger.through = []
            walker.opaque("is nested too deeply to be followed")
    for name in declared.outputs:
        if name not in ledger.writes:
            ledger.bind_name(name, frozenset({Obj()}), "declared by --out")
    for name in declared.mutates:
        ledger.change(ledger.read_name(name), "declared by --mutates", label=name)


def _mapped(body: list[ast.stmt], options: TaskOptions) -> list[ast.stmt]:
    """Return a cell's statements as they are with ``--map``: a loop, and what it collects."""
    if not options.map:
        return body
    pairs = [(ast.Name(name, ast.Store()), ast.parse(items, mode="eval").body) for name, items in options.map]
    target = ast.Tuple([name for name, _ in pairs], ast.Store())
    source = ast.Call(ast.Name("zip", ast.Load()), [items for _, items in pairs], [])
    # No item at all is no reason to keep what an earlier cell bound: the names are lists in any case.
    loop: list[ast.stmt] = [ast.Assign([_stored(name)], ast.List([], ast.Load())) for name in options.out_map]
    loop.append(ast.For(target, source, body or [ast.Pass()], []))
    loop += [
        ast.Assign([_stored(name)], ast.List([ast.Name(name, ast.Load())], ast.Load()))
        for name in options.out_map
    ]
    where = body[0] if body else ast.Pass(lineno=1, col_offset=0)
    for made in loop:
        for node in ast.walk(made):
            if not hasattr(node, "lineno"):
                ast.copy_location(node, where)
    return loop


def _stored(name: str) -> ast.expr:
    return ast.Name(name, ast.Store())


def _conditional(body: list[ast.stmt], when: str | None) -> list[ast.stmt]:
    """Return a cell's statements as they are with ``--when``: what they write, they may write."""
    if when is None:
        return body
    test = ast.parse(when, mode="eval").body
    return [
        ast.copy_location(ast.If(test=test, body=body or [ast.Pass(lineno=1, col_offset=0)], orelse=[]), test)
    ]


def _options(cell: CellSource) -> tuple[TaskOptions | None, str | None]:
    if cell.magic is None:
        return None, None
    try:
        return parse_task_line(cell.magic, where=f"Cell {cell.index}"), None
    except InvalidOption as error:
        return None, str(error)


def _shows_output(parsed: Parsed, source: str) -> bool:
    if parsed.tree is None or not parsed.tree.body or source.rstrip().endswith(";"):
        return False
    last = parsed.tree.body[-1]
    return isinstance(last, ast.Expr) and not (
        isinstance(last.value, ast.Constant) and last.value.value is None
    )


def _sorted(names: set[str]) -> tuple[str, ...]:
    return tuple(sorted(names))


def _named_apart(infos: list[CellInfo]) -> list[CellInfo]:
    """Give cells whose name was only made up another one where it is taken."""
    given = {info.options.name for info in infos if info.options is not None and info.options.name}
    taken = set(given)
    apart = []
    for info in infos:
        named = info
        is_given = info.options is not None and info.options.name is not None
        if not is_given and info.name in taken:
            name = f"cell-{info.index}"
            while name in taken:
                name += "-"
            named = msgspec.structs.replace(info, name=name)
        taken.add(named.name)
        apart.append(named)
    return apart


def _found_edges(ledger: Ledger, told: Told) -> list[CellEdge]:
    edges: list[CellEdge] = []
    upstream: dict[int, int] = {}
    for target, found in ledger.edges.items():
        known = told.found.get(target)
        if known is None or known[0] is not found:
            said = [
                _edge(source, target, "data" if kind == "data" else "channel", reasons)
                for (source, kind), reasons in found.items()
            ]
            known = told.found[target] = (found, said)
        for source, _ in found:
            upstream[target] = upstream.get(target, 0) | 1 << source
        edges += known[1]
    return edges + _order_edges(ledger, upstream, told)


def _order_edges(ledger: Ledger, upstream: dict[int, int], told: Told) -> list[CellEdge]:
    """Say who must not be overtaken, where no path of other edges says it already."""
    edges = []
    behind: dict[int, int] = {}
    for target in sorted(ledger.ancestors):
        reached = ledger.ancestors[target]
        for source in _bits(upstream.get(target, 0)):
            reached |= behind[source] | 1 << source
        overtaken = ledger.overtaking[target]
        known = told.order.get(target)
        if known is None or known[0] is not overtaken:
            known = told.order[target] = (overtaken, {})
        readers = 0
        for mask, _, _ in overtaken:
            readers |= mask
        # Nearest first: whoever is ordered before a nearer one is ordered already.
        for source in reversed(list(_bits(readers & ~reached))):
            if reached >> source & 1:
                continue
            edge = known[1].get(source)
            if edge is None:
                reasons = {
                    name: f"cell {target} {verb} `{name}`, which cell {source} reads as it was"
                    for mask, name, verb in overtaken
                    if mask >> source & 1
                }
                edge = known[1][source] = _edge(source, target, "order", reasons)
            edges.append(edge)
            reached |= behind[source] | 1 << source
        behind[target] = reached
    return edges


def _bits(mask: int) -> Iterator[int]:
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


def _edge(source: int, target: int, kind: EdgeKind, reasons: dict[str, str]) -> CellEdge:
    names = tuple(sorted(reasons))
    said = [reasons[name] for name in names]
    # A barrier reads everything: a hundred sentences would say less than three.
    reason = "; ".join(said[:3]) + (f"; and {len(said) - 3} more names" if len(said) > 3 else "")
    return CellEdge(source_index=source, target_index=target, names=names, kind=kind, reason=reason)


def _declared_edges(infos: list[CellInfo]) -> list[CellEdge]:
    by_name: dict[str, CellInfo] = {}
    for info in infos:
        by_name.setdefault(info.name, info)
    edges = []
    for info in infos:
        for name in info.options.after if info.options else ():
            upstream = by_name.get(name)
            if upstream is None or upstream.index == info.index:
                continue
            reason = f"cell {info.index} says --after {name}"
            edges.append(
                CellEdge(
                    source_index=upstream.index,
                    target_index=info.index,
                    names=(),
                    kind="declared",
                    reason=reason,
                )
            )
    return edges


def validate(analysis: Analysis) -> None:
    """Refuse what cannot become a flow, in one sentence that names the cells.

    Raises
    ------
    InvalidOption : a ``%%task`` line that cannot be read, or ``--after`` with a name that no cell has.
    DuplicateTaskName : two tasks of one name.
    FlowCycle : tasks that wait for one another through ``--after``.
    InvalidFlow : ``--after`` with a task that stands further down.
    """
    tasks: dict[str, CellInfo] = {}
    for cell in analysis.cells:
        if cell.option_error is not None:
            raise InvalidOption(cell.option_error)
        if cell.role == "skip":
            continue
        twin = tasks.get(cell.name)
        if twin is not None:
            raise DuplicateTaskName(
                f"Cells {twin.index} and {cell.index} are both the task {cell.name!r}; "
                "give one of them another name"
            )
        tasks[cell.name] = cell
    for cell in analysis.cells:
        options = cell.options if cell.role != "skip" else None
        for name in options.after if options else ():
            _check_after(analysis, tasks, cell, name)
        for name in options.not_after if options else ():
            _named_task(tasks, cell, name, "--not-after")


def _check_after(analysis: Analysis, tasks: dict[str, CellInfo], cell: CellInfo, name: str) -> None:
    where = f"Cell {cell.index} (%%task {cell.name})"
    upstream = _named_task(tasks, cell, name, "--after")
    if upstream.index == cell.index:
        raise FlowCycle(f"{where}: --after {name}: a task cannot wait for itself")
    way = _path(analysis, cell.index, upstream.index)
    if way is not None:
        names = " → ".join(analysis.cell(index).name for index in (*way, cell.index))
        cells = ", ".join(str(index) for index in sorted(set(way)))
        raise FlowCycle(
            f"{where}: --after {name} makes a cycle of the cells {cells}: {names}; drop one of these edges"
        )
    if upstream.index > cell.index:
        raise InvalidFlow(
            f"{where}: --after {name} names cell {upstream.index}, which stands below it; "
            "move one of the two, a notebook's tasks run from top to bottom"
        )


def _named_task(tasks: dict[str, CellInfo], cell: CellInfo, name: str, option: str) -> CellInfo:
    found = tasks.get(name)
    if found is not None:
        return found
    near = difflib.get_close_matches(name, tasks, n=1)
    hint = f"did you mean {near[0]}?" if near else "name a task of this notebook"
    where = f"Cell {cell.index} (%%task {cell.name})"
    raise InvalidOption(f"{where}: {option} {name}: there is no such task; {hint}")


def _path(analysis: Analysis, start: int, end: int) -> list[int] | None:
    """Return the cells of a path along the edges, or None."""
    following: dict[int, list[int]] = {}
    for edge in analysis.dependencies:
        following.setdefault(edge.source_index, []).append(edge.target_index)
    paths = [[start]]
    seen = {start}
    while paths:
        path = paths.pop(0)
        if path[-1] == end:
            return path
        for step in following.get(path[-1], ()):
            if step not in seen:
                seen.add(step)
                paths.append([*path, step])
    return None
