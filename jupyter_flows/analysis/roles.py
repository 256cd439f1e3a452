"""Which role a cell plays and what it is called. Syntax, tags and the first line only."""

from __future__ import annotations

import ast
from collections.abc import Container

from jupyter_flows.analysis.knowledge import words
from jupyter_flows.analysis.model import CellSource, Role
from jupyter_flows.analysis.scopes import target_names

_CONFIGURING_MAGICS = words("""
matplotlib load_ext reload_ext autoreload config precision pip conda flow aimport xmode pdb colors
logstart autosave alias
""")
_CONFIGURING_CALLS = words("""
set_option set_printoptions filterwarnings simplefilter set set_theme set_style set_palette set_context
use basicConfig setLevel seterr init_notebook_mode output_notebook set_config load_dotenv extension
disable_max_rows register_matplotlib_converters set_loglevel setrecursionlimit set_matplotlib_formats
""")


def role_of(cell: CellSource, tree: ast.Module | None, *, bound: Container[str]) -> Role:
    r"""Decide the role of *cell*; *bound* are the names that cells above have bound.

    Examples
    --------
    >>> source = "import math\nk = 2"
    >>> role_of(CellSource(id="a", index=1, source=source), ast.parse(source), bound=frozenset())
    'setup'
    """
    if cell.marker is not None:
        return cell.marker
    if "skip" in cell.tags:
        return "skip"
    if cell.magic is not None or "task" in cell.tags:
        return "task"
    if "parameters" in cell.tags:
        return "parameters"
    if tree is not None and tree.body and all(_sets_up(statement, bound) for statement in tree.body):
        return "setup"
    return "plain"


def is_preamble(tree: ast.Module | None) -> bool:
    """Whether the cell holds nothing but imports, definitions and configuring magics."""
    return tree is not None and bool(tree.body) and all(_only_defines(statement) for statement in tree.body)


def default_name(cell: CellSource, tree: ast.Module | None) -> str:
    """Name a task cell that has no name: after what it defines or binds first, else by its number."""
    for statement in tree.body if tree is not None else ():
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            return statement.name
        targets: list[ast.expr] = []
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, (ast.AnnAssign, ast.AugAssign)):
            targets = [statement.target]
        for target in targets:
            for name in target_names(target):
                if name.strip("_"):
                    return name
    return f"cell-{cell.index}"


def _only_defines(statement: ast.stmt) -> bool:
    if isinstance(
        statement, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Pass)
    ):
        return True
    if isinstance(statement, ast.Expr):
        if isinstance(statement.value, ast.Constant):
            return True
        return _is_configuring_magic(statement.value)
    if isinstance(statement, ast.Try):
        parts = [
            *statement.body,
            *statement.orelse,
            *statement.finalbody,
            *(s for h in statement.handlers for s in h.body),
        ]
        return all(_only_defines(part) or _is_constant_assignment(part) for part in parts) and any(
            isinstance(part, (ast.Import, ast.ImportFrom)) for part in statement.body
        )
    if isinstance(statement, ast.If):
        return isinstance(statement.test, ast.Name) and statement.test.id == "TYPE_CHECKING"
    return type(statement).__name__ == "TypeAlias"


def _sets_up(statement: ast.stmt, bound: Container[str]) -> bool:
    if _only_defines(statement):
        return True
    if _is_constant_assignment(statement):
        assert isinstance(statement, (ast.Assign, ast.AnnAssign))
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        # A constant that is given again below is a step of the work, not a setting.
        return not any(name in bound for target in targets for name in target_names(target))
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        function = statement.value.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        return name in _CONFIGURING_CALLS
    if isinstance(statement, ast.Assign):
        return all("rcParams" in ast.unparse(target) for target in statement.targets)
    return False


def _is_constant_assignment(statement: ast.stmt) -> bool:
    if not isinstance(statement, (ast.Assign, ast.AnnAssign)) or statement.value is None:
        return False
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    if not all(isinstance(target, (ast.Name, ast.Tuple, ast.List)) for target in targets):
        return False
    try:
        ast.literal_eval(statement.value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _is_configuring_magic(node: ast.expr) -> bool:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    if node.func.attr != "run_line_magic" or not node.args or not isinstance(node.args[0], ast.Constant):
        return False
    return node.args[0].value in _CONFIGURING_MAGICS
