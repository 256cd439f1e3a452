"""Which names ``from module import *`` brings, for modules of the standard library.

Other modules are not asked: finding out would mean running their code. Source: the module itself,
imported once; modules that do something visible when imported are left out.
"""

from __future__ import annotations

import importlib
import sys
from functools import lru_cache

_NEVER = frozenset(
    {"antigravity", "this", "idlelib", "turtle", "turtledemo", "tkinter", "__main__", "lib2to3", "test"}
)


@lru_cache(maxsize=256)
def public_names(module: str) -> tuple[str, ...] | None:
    """Names that a star import binds, or None if they cannot be known without running code.

    Examples
    --------
    >>> "sqrt" in public_names("math")
    True
    >>> public_names("numpy") is None
    True
    """
    top = module.split(".", 1)[0]
    if top not in sys.stdlib_module_names or top in _NEVER:
        return None
    try:
        found = importlib.import_module(module)
    except ImportError:
        return None
    listed = getattr(found, "__all__", None)
    if listed is not None:
        return tuple(sorted(listed))
    return tuple(sorted(name for name in vars(found) if not name.startswith("_")))
