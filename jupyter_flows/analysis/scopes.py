"""Which names are local to a function, a class body or a comprehension. Syntax only, no values.

The rules are those of the language reference, *Naming and binding*: a name bound anywhere in a function
is local to all of it unless declared ``global`` or ``nonlocal``; a class body's names are invisible to
the functions in it; a walrus in a comprehension binds outside of it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Locals:
    """Names bound in one scope, and those declared to live elsewhere."""

    __slots__ = ("bound", "global_names", "is_generator", "nonlocal_names")

    def __init__(self) -> None:
        self.bound: set[str] = set()
        self.global_names: set[str] = set()
        self.nonlocal_names: set[str] = set()
        self.is_generator = False


_cache: dict[int, tuple[ast.AST, Locals]] = {}


def locals_of(node: FunctionNode | ast.ClassDef) -> Locals:
    r"""Names that the body of *node* binds, parameters included.

    Examples
    --------
    >>> tree = ast.parse("def f(a):\n    global g\n    g = b = a\n    return [i for i in b]")
    >>> sorted(locals_of(tree.body[0]).bound)
    ['a', 'b']
    """
    known = _cache.get(id(node))
    # The node is kept beside its answer, so that its id cannot be given to another node.
    if known is not None and known[0] is node:
        return known[1]
    found = Locals()
    if isinstance(node, _FUNCTIONS):
        arguments = node.args
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            found.bound.add(argument.arg)
        for star in (arguments.vararg, arguments.kwarg):
            if star is not None:
                found.bound.add(star.arg)
    body: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else list(node.body)
    for statement in body:
        _collect(statement, found)
    found.bound -= found.global_names | found.nonlocal_names
    if len(_cache) > 20_000:
        _cache.clear()
    _cache[id(node)] = (node, found)
    return found


def _collect(node: ast.AST, found: Locals, *, in_comprehension: bool = False) -> None:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        found.bound.add(node.name)
        for child in _outer_parts(node):
            _collect(child, found, in_comprehension=in_comprehension)
        return
    if isinstance(node, ast.Lambda):
        for child in _outer_parts(node):
            _collect(child, found, in_comprehension=in_comprehension)
        return
    if isinstance(node, _COMPREHENSIONS):
        for child in ast.iter_child_nodes(node):
            _collect(child, found, in_comprehension=True)
        return
    if isinstance(node, (ast.Yield, ast.YieldFrom)):
        found.is_generator = True
    elif isinstance(node, ast.NamedExpr):
        found.bound.add(node.target.id)
        _collect(node.value, found, in_comprehension=in_comprehension)
        return
    elif isinstance(node, ast.Name):
        if isinstance(node.ctx, (ast.Store, ast.Del)) and not in_comprehension:
            found.bound.add(node.id)
        return
    elif isinstance(node, ast.Global):
        found.global_names.update(node.names)
    elif isinstance(node, ast.Nonlocal):
        found.nonlocal_names.update(node.names)
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        found.bound.update(imported_names(node))
    elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
        if node.name:
            found.bound.add(node.name)
    elif isinstance(node, ast.MatchMapping):
        if node.rest:
            found.bound.add(node.rest)
    elif type(node).__name__ == "TypeAlias":  # Python 3.12
        found.bound.add(node.name.id)  # type: ignore[attr-defined]
    for child in ast.iter_child_nodes(node):
        _collect(child, found, in_comprehension=in_comprehension)


def _outer_parts(node: FunctionNode | ast.ClassDef) -> Iterator[ast.AST]:
    """Those parts of a definition that are evaluated in the scope around it."""
    if isinstance(node, ast.ClassDef):
        yield from node.decorator_list
        yield from node.bases
        yield from (keyword.value for keyword in node.keywords)
        return
    if not isinstance(node, ast.Lambda):
        yield from node.decorator_list
    yield from node.args.defaults
    yield from (default for default in node.args.kw_defaults if default is not None)


def imported_names(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Names that an import binds (``*`` gives none).

    Examples
    --------
    >>> imported_names(ast.parse("import os.path, numpy as np").body[0])
    ['os', 'np']
    """
    names = []
    for alias in node.names:
        if alias.name == "*":
            continue
        if alias.asname:
            names.append(alias.asname)
        else:
            names.append(alias.name.split(".")[0] if isinstance(node, ast.Import) else alias.name)
    return names


def target_names(node: ast.AST) -> Iterator[str]:
    """Names that an assignment target binds; items and attributes bind none."""
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Starred):
        yield from target_names(node.value)
    elif isinstance(node, (ast.Tuple, ast.List)):
        for element in node.elts:
            yield from target_names(element)


def terminates(statements: list[ast.stmt]) -> bool:
    """Whether control never reaches the end of *statements*."""
    if not statements:
        return False
    last = statements[-1]
    if isinstance(last, (ast.Return, ast.Raise, ast.Break, ast.Continue)):
        return True
    if isinstance(last, ast.If):
        return terminates(last.body) and terminates(last.orelse)
    if isinstance(last, (ast.With, ast.AsyncWith)):
        return terminates(last.body)
    return False
