"""Looking things up in classes of the notebook: attributes by inheritance, methods, special methods."""

from __future__ import annotations

from collections.abc import Iterator

from jupyter_flows.analysis.objects import EMPTY, Obj, Value

_LIFECYCLE = {
    "__init__",
    "__new__",
    "__init_subclass__",
    "__class_getitem__",
    "__set_name__",
    "__post_init__",
    "__del__",
}


def lookup(cls: Obj, name: str) -> Value:
    """Find a class attribute, nearest class first."""
    seen: set[Obj] = set()
    level = [cls]
    while level:
        following: list[Obj] = []
        for one in level:
            if one in seen:
                continue
            seen.add(one)
            if name in one.attrs:
                return one.attrs[name]
            following.extend(one.bases)
        level = following
    return EMPTY


def methods(cls: Obj) -> Iterator[tuple[str, Value]]:
    """Yield all functions of a class and its bases."""
    seen: set[Obj] = set()
    stack = [cls]
    while stack:
        one = stack.pop()
        if one in seen:
            continue
        seen.add(one)
        for name, value in list(one.attrs.items()):
            functions = frozenset(obj for obj in value if obj.kind == "function")
            if functions:
                yield name, functions
        stack.extend(one.bases)


def special_methods(cls: Obj) -> Iterator[tuple[str, Value]]:
    """Yield the methods that operators call."""
    for name, functions in methods(cls):
        if name.startswith("__") and name.endswith("__") and name not in _LIFECYCLE and name != "__call__":
            yield name, functions
