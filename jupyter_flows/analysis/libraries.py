"""What is made of calls into code that cannot be seen: functions of modules, methods of their objects.

A method that nothing is known of changes its object if its value is thrown away; a function of an unknown
module may change its arguments if its value is.
"""

from __future__ import annotations

import ast
import re

from jupyter_flows.analysis.aliases import constant_text
from jupyter_flows.analysis.builtin_calls import Builtins
from jupyter_flows.analysis.channels import has_random_state
from jupyter_flows.analysis.knowledge import (
    CV2_DRAWS,
    DATASET_LOADERS,
    ELEMENT_FUNCTIONS,
    FRAME_METHODS,
    FRAME_PLOTS,
    FRESH,
    HELD_CHANGES,
    HOLDING,
    KEEPERS,
    LAZY,
    LIVE_FRAMES,
    LOGGING_CALLS,
    MUTATOR_PREFIXES,
    MUTATORS,
    OPERANDS,
    PANDAS_MUTATORS,
    PANDAS_RETURNS,
    SELECTING_FUNCTIONS,
    SETTERS,
    SKLEARN_RANDOM,
    STATE_GETTERS,
    VIEW_FUNCTIONS,
    VIEWS,
    WELL_KNOWN,
)
from jupyter_flows.analysis.objects import EMPTY, Obj, Value, closure_of, contents, paired, union

_ELEMENTS = {
    "get",
    "pop",
    "popitem",
    "setdefault",
    "popleft",
    "__getitem__",
    "get_nowait",
    "next",
    "peek",
    "top",
}
_PATH_RESULTS = {
    "joinpath",
    "with_suffix",
    "with_name",
    "resolve",
    "absolute",
    "expanduser",
    "relative_to",
    "parent",
}
_WRAPPERS = frozenset(
    {"ChainMap", "writer", "DictWriter", "reader", "DictReader", "TextIOWrapper", "BufferedWriter"}
)


class Libraries(Builtins):
    """Judges calls of library functions and methods."""

    # -- libraries ---------------------------------------------------------------------------------------

    def library_call(
        self,
        callee: Obj,
        arguments: list[Value],
        keywords: dict[str, Value],
        node: ast.Call | None,
        *,
        is_bare: bool,
    ) -> Value:
        """Judge a call of a function that an imported module has."""
        qual = callee.qual
        name = qual.rpartition(".")[2]
        package = qual.split(".", 1)[0]
        everything = union([EMPTY, *arguments, *keywords.values()])
        if node is not None:
            self.library_effects(qual, arguments, keywords, node)
        elements = contents(everything) if any(self.is_callable(obj) for obj in everything) else EMPTY
        if name == "reduce":
            elements |= union([EMPTY, *arguments[2:]])
        results = [EMPTY]
        if name not in KEEPERS or name in {"ensure_future", "create_task", "gather", "interact"}:
            results.append(self.hand_over(arguments, keywords, elements=elements))
        self.change_arguments(name, arguments, keywords, node)
        if package == "numpy" and len(arguments) > OPERANDS.get(name, len(arguments)):
            self.ledger.change(arguments[OPERANDS[name]], f"{name}()")
        if package == "cv2" and name in CV2_DRAWS and arguments:
            self.ledger.change(arguments[0], f"{name}()")
        target = constant_text(arguments[0]) if name == "patch" and arguments else None
        if target is not None and (patched := self.ledger.modules.get(target.rpartition(".")[0])) is not None:
            self.ledger.change(frozenset({patched}), "patched")
        if package == "logging" and name in LOGGING_CALLS:
            # A handler may write it into a buffer of the notebook.
            module = self.module_object("logging")
            written = frozenset(
                obj
                for obj in closure_of(frozenset({module}), depth=3)
                if obj.qual.startswith("io.") or obj.kind == "file"
            )
            self.ledger.change(written, "logged into")
        if package in {"duckdb", "pandasql"} or name in {"sqldf", "read_sql", "read_sql_query"}:
            for value in arguments:
                text = constant_text(value)
                if text is not None and package in {"duckdb", "pandasql"}:
                    self.sql_names(text)
        if name in {"read_sql", "read_sql_query"} and len(arguments) > 1 and not _only_selects(arguments[0]):
            self.ledger.change(arguments[1], f"{name}()")
        top = qual.rpartition(".")[0]
        has_state = name in SETTERS or any(
            name.startswith(prefix) for prefix in SETTERS if prefix.endswith("_") or len(prefix) > 5
        )
        if (
            has_state
            and package not in {"warnings", "random", "asyncio"}
            and not top.startswith("matplotlib.pyplot")
        ):
            module = self.ledger.modules.get(top) or self.ledger.modules.get(package) or callee
            self.ledger.change(
                frozenset({module}), f"{name}()", label=self.root_label(node) if node is not None else None
            )
            if name in HOLDING:
                module.parts |= everything
        if node is not None and (is_bare or node is self.shown) and package not in WELL_KNOWN:
            self.given_away(arguments, node, f"{name}()")
        is_seeded = node is not None and has_random_state(node)
        made = self._library_result(qual, name, package, arguments, keywords, is_seeded=is_seeded)
        return made | union(results)

    def _library_result(
        self,
        qual: str,
        name: str,
        package: str,
        arguments: list[Value],
        keywords: dict[str, Value],
        *,
        is_seeded: bool,
    ) -> Value:
        everything = union([EMPTY, *arguments, *keywords.values()])
        if qual in STATE_GETTERS:
            return frozenset({self.module_object(package)})
        if qual in ELEMENT_FUNCTIONS:
            return everything | contents(everything)
        opened = self.opened_by_library(qual, arguments, keywords) or _shared(qual, arguments, keywords)
        if opened is not None:
            return frozenset({opened})
        if qual in {"os.path.join", "posixpath.join"} and arguments:
            texts = [constant_text(value) for value in arguments]
            joined = None if any(text is None for text in texts) else "/".join(text or "" for text in texts)
            return frozenset({Obj("str", const=joined)})
        if qual in {"pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath"}:
            texts = [constant_text(value) for value in arguments]
            joined = None if any(text is None for text in texts) else "/".join(text or "" for text in texts)
            return frozenset({Obj("path", const=joined or ".") if joined is not None else Obj("path")})
        if qual.endswith("random.default_rng") or name == "RandomState" or qual == "random.Random":
            if everything:
                self.ledger.change(everything, "shared with a generator")
            made = Obj("rng")
            made.parts |= everything
            return frozenset({made})
        if name in {"subplots", "subplot_mosaic"}:
            figure = Obj("figure")
            axes = Obj("figure")
            axes.viewed.add(figure)
            axes.parts.add(axes)
            pair = Obj("pair")
            pair.parts |= {figure, axes}
            return frozenset({pair})
        if name in {"figure", "gca", "gcf", "subplot", "axes"} and "pyplot" in qual:
            return frozenset({Obj("figure")})
        if qual in {"copy.copy", "copy.deepcopy", "copy.replace", "dataclasses.replace"}:
            copied = Obj()
            if name != "deepcopy":
                copied.parts |= contents(everything)
            return frozenset({copied})
        if (
            package in {"pandas", "geopandas", "polars"} and name in PANDAS_RETURNS | {"load_dataset"}
        ) or qual == "seaborn.load_dataset":
            return frozenset({Obj("pandas")})
        if package == "vega_datasets":
            return frozenset({Obj("pandas")})
        if name in DATASET_LOADERS or (package == "sklearn" and name.startswith(("load_", "fetch_"))):
            return frozenset({_bunch(qual)})
        if name in VIEW_FUNCTIONS and arguments and package in {"numpy", "torch", "tensorflow"}:
            made = Obj("view")
            made.viewed |= arguments[0]
            return frozenset({made})
        if package in {"math", "cmath", "statistics", "time"} or qual.startswith("os.path."):
            return EMPTY
        made = Obj("lazy" if name in LAZY else "unknown", qual)
        if name in KEEPERS or name[:1].isupper() or (package not in WELL_KNOWN):
            made.parts |= everything
        if is_seeded:
            made.const = "seeded"
        if name in LAZY:
            # It draws from what it was given only when it is drawn from itself.
            made.receiver = everything
            made.thunk = lambda: self._drawn(arguments)
        if name in _WRAPPERS:
            made.viewed |= everything
        if name in {"open", "urlopen", "fdopen"}:
            made.kind = "file"
        if name == "partial" and arguments:
            made.kind = "partial"
        for obj in arguments[0] if name == "SubElement" and arguments else ():
            obj.parts.add(made)
        return frozenset({made})

    def _drawn(self, arguments: list[Value]) -> Value:
        """Return what is drawn from a lazy call over *arguments*; a function among them is called with it."""
        elements = union([EMPTY, *(self.iterate(value) for value in arguments)])
        called = [value for value in arguments if any(self.is_callable(obj) for obj in value)]
        return elements | (
            self.hand_over(called, {}, elements=elements | contents(elements)) if called else EMPTY
        )

    # -- methods -----------------------------------------------------------------------------------------

    def method(
        self,
        obj: Obj,
        name: str,
        arguments: list[Value],
        keywords: dict[str, Value],
        node: ast.Call,
        *,
        is_bare: bool,
    ) -> Value:
        """Judge a method call on an object whose class is not of this notebook."""
        one = frozenset({obj})
        everything = union([EMPTY, *arguments, *keywords.values()])
        if obj.kind == "namespace":
            return self._namespace_method(name, arguments, keywords, node)
        if obj.kind == "ipython":
            return self.shell_call(name, [constant_text(value) for value in arguments])
        if obj.kind == "str":
            self.hand_over(arguments, keywords)
            return frozenset({Obj("str")})
        self.method_files(name, obj, arguments, keywords)
        if obj.kind == "accessor":
            for inner in obj.viewed:
                self.method(inner, name, arguments, keywords, node, is_bare=is_bare)
            return frozenset({Obj()})
        if obj.kind == "path" and name in _PATH_RESULTS | {"glob", "iterdir", "rglob"}:
            texts = [obj.const, *(constant_text(value) for value in arguments)]
            known = name == "joinpath" and None not in texts
            return frozenset({Obj("path", const="/".join(text or "" for text in texts) if known else None)})
        if obj.kind == "path" and name == "open":
            return frozenset({self.open_file(one, arguments[0] if arguments else EMPTY)})
        if obj.kind == "pandas" and name in FRAME_PLOTS:
            self.frame_plot(keywords)
        if name == "sample" and not has_random_state(node) and obj.kind in {"pandas", "unknown", "parameter"}:
            self._random("rng:numpy", "sample")
        if (
            "sklearn." in obj.qual
            and obj.const != "seeded"
            and name.startswith("fit")
            and obj.qual.rpartition(".")[2] in SKLEARN_RANDOM
        ):
            self._random("rng:numpy", name)
        if name in {"query", "eval"}:
            for value in arguments:
                for word in _at_names(constant_text(value)):
                    self.load(word)
        if name in {"sql", "query", "execute"}:
            for value in arguments:
                text = constant_text(value)
                if text is not None and obj.qual.startswith("duckdb"):
                    self.sql_names(text)
        if obj.thunk is not None:
            # `send`, `__next__`, `throw`: it goes on; what it returns at its end comes as an exception.
            self.raised |= self.consume(one)
        changes = self._changes(obj, name, keywords, node, is_bare=is_bare)
        callables = [
            value
            for value in (*arguments, *keywords.values())
            if any(self.is_callable(inner) for inner in value)
        ]
        elements = EMPTY
        if callables and obj.kind != "pandas":
            elements = contents(one)
        holds_callables = any(inner.kind in {"function", "bound", "method", "lazy"} for inner in obj.parts)
        if (obj.cls is not None or (holds_callables and obj.kind == "unknown")) and not _is_plain_container(
            name
        ):
            self.hand_over([one], {})
        results = [self.hand_over(arguments, keywords, elements=elements)]
        label = self.root_label(node.func)
        if changes:
            self._change_by(obj, name, everything, label=label)
        self.change_arguments(name if name in {"dump", "to_sql"} else "", arguments, keywords, node)
        if name.endswith("_") and not name.startswith("_") and obj.kind in {"unknown", "parameter", "view"}:
            self.ledger.change(one, f".{name}()", label=label)
        return self._method_result(obj, name, everything, is_changed=changes) | union(results)

    def _change_by(self, obj: Obj, name: str, everything: Value, *, label: str | None) -> None:
        """Change an object by one of its methods, called with *everything*."""
        one = frozenset({obj})
        self.ledger.change(one, f".{name}()", label=label)
        if name in HOLDING or name.startswith(("add_", "append_", "insert_", "register_")):
            obj.parts |= everything
        if name in {"extend", "update", "extendleft"}:
            listed = frozenset(inner for inner in everything if inner.kind != "dict" and name == "update")
            obj.parts |= contents(everything) | paired(contents(listed))
        if name in HELD_CHANGES and obj.kind in {"unknown", "instance", "parameter"}:
            self.ledger.change(
                frozenset(inner for inner in closure_of(one, depth=3) if inner.kind == "unknown"),
                f".{name}() of what holds it",
            )
        self.store_used(obj, name)
        if obj.kind == "file" and obj.qual == "written":
            self.ledger.update_channel(f"file:{obj.const or '?'}", "file written")

    def _changes(
        self, obj: Obj, name: str, keywords: dict[str, Value], node: ast.Call, *, is_bare: bool
    ) -> bool:
        """Whether a method changes its object."""
        for keyword in node.keywords:
            if keyword.arg == "inplace":
                return not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)
        del keywords
        if obj.kind == "pandas":
            return name in PANDAS_MUTATORS
        if obj.kind in {"rng", "lazy", "file", "iterator"}:
            return True
        if obj.kind in {"builtin", "function", "path", "mask", "tuple"}:
            return False
        if (
            name in {"plot", "hist", "scatter"}
            and obj.kind == "unknown"
            and not is_bare
            and not self._looks_like_axes(obj)
        ):
            return False
        if name in MUTATORS or name.startswith(MUTATOR_PREFIXES):
            return True
        if obj.kind in {"list", "dict", "set"}:
            return False
        return (
            is_bare
            and name not in FRESH
            and not name.startswith(("to_", "is_", "get_", "has_", "print", "as_", "plot_", "display"))
        )

    def _looks_like_axes(self, obj: Obj) -> bool:
        return any(name.startswith(("ax", "fig")) for name in obj.names)

    def _method_result(self, obj: Obj, name: str, everything: Value, *, is_changed: bool) -> Value:
        one = frozenset({obj})
        if obj.kind == "pandas":
            made = Obj("str" if name == "to_string" else "pandas")
            if name in LIVE_FRAMES:
                # It computes when it is asked, from what the frame is then.
                made.receiver = one
            return frozenset({made})
        if name in _ELEMENTS:
            return contents(one) | (everything if name in {"get", "setdefault", "pop"} else EMPTY)
        if name == "copy":
            copied = Obj(obj.kind if obj.kind in {"list", "dict", "set"} else "unknown")
            copied.parts |= obj.parts if obj.kind in {"list", "dict", "set"} else set()
            return frozenset({copied})
        if name in {"items", "iterrows", "itertuples", "keys", "values"}:
            listed = Obj("list")
            if name == "values":
                listed.parts |= contents(one)
            else:
                pair = Obj("tuple")
                pair.parts |= contents(one)
                listed.parts.add(pair)
            # Such a view is live: who reads it reads what the dictionary has become.
            listed.receiver = one
            return frozenset({listed})
        if name in VIEWS:
            made = Obj("view")
            made.viewed.add(obj)
            return frozenset({made})
        if name in {"astype", "union", "intersection", "difference"} and obj.kind in {"list", "set", "dict"}:
            return frozenset({_shallow(obj)})
        if name in FRAME_METHODS and obj.kind in {"unknown", "parameter"}:
            made = Obj("pandas")
            made.receiver = one if name in LIVE_FRAMES else EMPTY
            return frozenset({made})
        if name in FRESH or obj.kind in {"rng", "list", "set", "numbers", "mask"}:
            return frozenset({Obj()})
        if is_changed and obj.kind not in {"figure", "file"}:
            return one | contents(one)
        made = Obj("unknown", f"{obj.qual}.{name}" if obj.qual else "")
        if obj.kind in {"figure", "unknown", "parameter", "instance"}:
            # A cursor of a connection, axes of a figure: what is done to it is seen through its owner.
            made.viewed |= one if obj.kind == "figure" else set()
            obj.parts.add(made)
        if obj.kind == "file":
            obj.parts.add(made)  # a dataset of an archive
        return frozenset({made})


def _shared(qual: str, arguments: list[Value], keywords: dict[str, Value]) -> Obj | None:
    """Return the result of a function that gives its arguments away in another form; None if it is none."""
    everything = union([EMPTY, *arguments])
    if qual in SELECTING_FUNCTIONS:
        selected = Obj("list")
        selected.parts |= contents(everything)
        return selected
    if qual == "itertools.tee":
        branch = Obj("lazy")
        branch.parts |= contents(everything)
        branch.viewed |= everything
        branches = Obj("tuple")
        branches.parts.add(branch)
        return branches
    if qual == "numpy.einsum" and len(arguments) == 2:
        everything = arguments[1]
    elif qual != "ctypes.pointer" and not (qual == "numpy.meshgrid" and "copy" in keywords):
        return None
    made = Obj("view")
    made.viewed |= everything
    inner = Obj("view")
    inner.viewed |= everything
    made.parts.add(inner)
    return made


def _bunch(qual: str) -> Obj:
    """Make what a loader of example data returns: frames by name, the same each time."""
    made = Obj("unknown", qual)
    frames = ("frame", "data", "endog", "exog", "raw_data") if "statsmodels" in qual else ("frame",)
    for name in frames:
        made.attrs[name] = frozenset({Obj("pandas")})
    return made


def _shallow(obj: Obj) -> Obj:
    made = Obj(obj.kind)
    made.parts |= obj.parts
    return made


def _is_plain_container(name: str) -> bool:
    return name in {"append", "get", "keys", "items", "values", "copy"}


def _only_selects(statement: Value) -> bool:
    return (constant_text(statement) or "").lstrip().lower().startswith("select")


def _at_names(text: str | None) -> list[str]:
    """Names behind ``@`` in the text of ``df.query``."""
    return list(dict.fromkeys(re.findall(r"@([^\W\d]\w*)", text or "")))
