"""Kind -> class: our module of that name, else an entry point, else a helpful error. Stands on nothing.

A new kind is one file, ``<family>/<kind>.py``; other packages offer kinds by the entry point group
``jupyter_flows.<family>``. A name that comes from a server is looked up among these only: it never
becomes an import by itself.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jupyter_flows.errors import UnknownKind

NOT_KINDS = frozenset({"__init__", "base", "parse"})


@cache
def kinds(family: str) -> tuple[str, ...]:
    """Return the names of our kinds of a family, e.g. ``storage``."""
    spec = find_spec(f"jupyter_flows.{family}")
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    names = {path.stem for place in places for path in Path(place).glob("*.py")}
    return tuple(sorted(name for name in names - NOT_KINDS if not name.startswith("_")))


def load_kind(family: str, kind: str) -> Any:
    """Return the class of a kind: the one in its module whose ``kind`` is that name.

    Raises
    ------
    UnknownKind : nobody provides it; the nearest is named.
    """
    if kind in kinds(family):
        module = import_module(f"jupyter_flows.{family}.{kind}")
        for value in vars(module).values():
            if (
                isinstance(value, type)
                and getattr(value, "kind", None) == kind
                and value.__module__ == module.__name__
            ):
                return value
    for entry in entry_points(group=f"jupyter_flows.{family}"):
        if entry.name == kind:
            return entry.load()
    known = sorted({*kinds(family), *(entry.name for entry in entry_points(group=f"jupyter_flows.{family}"))})
    near = get_close_matches(kind, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known) or 'none'}"
    raise UnknownKind(f"no {family.replace('_', ' ').removesuffix('s')} is called {kind!r}; {hint}")
