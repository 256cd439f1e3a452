"""What a call does: functions of the notebook are followed to any depth, libraries by what is known of them.

A function's globals are read where it is called, with the bindings of that moment. A callable that is
handed to a library counts as called there. A method that nothing is known of changes its object if its
value is thrown away.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from jupyter_flows.analysis.aliases import constant_text, lookup, methods
from jupyter_flows.analysis.ipython import Magics
from jupyter_flows.analysis.knowledge import (
    ARGUMENT_MUTATORS,
    CONTAINERS,
    FRESH,
    HOLDING,
    IMMUTABLE_RESULTS,
    KEEPERS,
    LAZY,
    MUTATOR_PREFIXES,
    MUTATORS,
    PANDAS_MUTATORS,
    PANDAS_RETURNS,
    PASSIVE,
    SETTERS,
    VIEW_FUNCTIONS,
    VIEWS,
    WELL_KNOWN,
    WRITTEN_KEYWORDS,
)
from jupyter_flows.analysis.objects import EMPTY, Frame, Obj, Value, closure_of, contents, union
from jupyter_flows.analysis.scopes import FunctionNode, locals_of
from jupyter_flows.analysis.syntax import parse

MAX_CALLS = 1500
"""Calls followed in one cell, so that a tangle of functions cannot take minutes; told on the cell."""
_ELEMENTS = {
    "get",
    "pop",
    "popitem",
    "setdefault",
    "values",
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
_RUNNABLE = frozenset({"function", "bound", "method", "instance", "lazy", "namespace"})
_NAMESPACE_PURE = {"keys", "__contains__"}


class Calls(Magics):
    """Evaluates calls."""

    def begin_cell(self) -> None:
        """Forget what is per cell."""
        super().begin_cell()
        self.followed = 0
        self.active: list[Obj] = []
        self.memo: dict[tuple[object, ...], Value] = {}
        self.escaped: set[Obj] = set()
        self.thrown_away: ast.Call | None = None
        self.defaults: dict[Obj, dict[str, Value]] = getattr(self, "defaults", {})

    # -- provided by statements ----------------------------------------------------------------------

    def walk_body(self, node: FunctionNode) -> Value:
        """Walk a function's body in the frame at work and return what it returns."""
        raise NotImplementedError

    # -- the call ------------------------------------------------------------------------------------

    def call(self, node: ast.Call) -> Value:
        """Evaluate a call: the function, the arguments, then what calling does."""
        is_bare = node is self.thrown_away
        function = node.func
        receiver: Value | None = None
        if isinstance(function, ast.Attribute):
            receiver = self.evaluate(function.value)
            callees: Value = EMPTY
        else:
            callees = self.evaluate(function)
        arguments: list[Value] = []
        for argument in node.args:
            value = self.evaluate(argument)
            arguments.append(value)
        keywords: dict[str, Value] = {}
        for keyword in node.keywords:
            value = self.evaluate(keyword.value)
            if keyword.arg is None:
                arguments.append(contents(value))
            else:
                keywords[keyword.arg] = value
        results: list[Value] = []
        if receiver is not None:
            assert isinstance(function, ast.Attribute)
            for obj in receiver:
                results.append(self._call_on(obj, function, arguments, keywords, node, is_bare=is_bare))
            if not receiver:
                self._hand_over(arguments, keywords)
        for callee in callees:
            results.append(self._call_one(callee, arguments, keywords, node, is_bare=is_bare))
        if receiver is None and not callees:
            self._hand_over(arguments, keywords)
            results.append(frozenset({Obj()}))
        return union(results) if results else EMPTY

    def invoke(self, functions: Value, arguments: list[Value], keywords: dict[str, Value]) -> Value:
        """Call what *functions* may be, with no syntax to look at."""
        results = [EMPTY]
        for function in functions:
            results.append(self._call_one(function, arguments, keywords, None, is_bare=False))
        return union(results)

    def _call_on(
        self,
        obj: Obj,
        function: ast.Attribute,
        arguments: list[Value],
        keywords: dict[str, Value],
        node: ast.Call,
        *,
        is_bare: bool,
    ) -> Value:
        name = function.attr
        if obj.kind in {"module", "member"}:
            if self.module_method(obj, name, arguments):
                return frozenset({Obj()})
            member = self.member(obj, name)
            return self._call_one(member, arguments, keywords, node, is_bare=is_bare)
        if obj.kind == "builtin" and obj.qual in CONTAINERS | {"str", "object"} and arguments:
            if name in MUTATORS:
                self.ledger.change(
                    arguments[0],
                    f"{obj.qual}.{name}()",
                    label=self.root_label(node.args[0]) if node.args else None,
                )
            return union(arguments) | contents(union(arguments))
        found = self.attribute_of(frozenset({obj}), name) if self._has_own(obj, name) else EMPTY
        if found:
            results = [EMPTY]
            for callee in found:
                results.append(self._call_one(callee, arguments, keywords, node, is_bare=is_bare))
            return union(results)
        return self.method(obj, name, arguments, keywords, node, is_bare=is_bare)

    def _has_own(self, obj: Obj, name: str) -> bool:
        if obj.kind == "super":
            return any(lookup(base, name) for base in obj.bases)
        if name in obj.attrs:
            return True
        return (obj.cls is not None and bool(lookup(obj.cls, name))) or (
            obj.kind == "class" and bool(lookup(obj, name))
        )

    def _call_one(
        self,
        callee: Obj,
        arguments: list[Value],
        keywords: dict[str, Value],
        node: ast.Call | None,
        *,
        is_bare: bool,
    ) -> Value:
        if callee.kind == "function":
            return self.apply(callee, arguments, keywords)
        if callee.kind == "bound":
            given = [callee.receiver, *arguments] if callee.receiver else arguments
            return union([EMPTY, *(self.apply(function, given, keywords) for function in callee.parts)])
        if callee.kind == "class":
            return self.instantiate(callee, arguments, keywords)
        if callee.kind == "method":
            return self._call_stored(callee, union([EMPTY, *arguments, *keywords.values()]))
        if callee.kind == "builtin":
            return self.builtin_call(callee.qual, arguments, keywords, node, is_bare=is_bare)
        if callee.kind in {"member", "module"}:
            return self.library_call(callee, arguments, keywords, node, is_bare=is_bare)
        if callee.cls is not None:
            own = lookup(callee.cls, "__call__")
            if own:
                return self.invoke(own, [frozenset({callee}), *arguments], keywords)
        # A partial, a decorated function, a model: whatever it holds may run.
        self._hand_over([frozenset({callee}), *arguments], keywords)
        held = [inner for inner in callee.parts if inner.kind in {"function", "bound", "class"}]
        results = [self.apply_unknown(inner, union([EMPTY, *arguments])) for inner in held]
        if is_bare and callee.kind not in {"mask", "numbers"}:
            self.ledger.change(frozenset({callee}), "called")
        fresh = Obj(callee.kind if callee.kind == "parameter" else "unknown")
        return union([frozenset({fresh}), *results])

    def _call_stored(self, method: Obj, given: Value) -> Value:
        """Call a changing method that was taken off its object: ``push = xs.append``."""
        self.ledger.change(method.receiver, f".{method.qual}()")
        for obj in method.receiver:
            obj.parts |= given
        return contents(method.receiver)

    # -- functions of the notebook -------------------------------------------------------------------------

    def apply(self, function: Obj, arguments: list[Value], keywords: dict[str, Value]) -> Value:
        """Follow a call of a known function."""
        node = function.node
        assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        if self.active.count(function) > 1:
            return EMPTY
        key = (
            function,
            tuple(arguments),
            tuple(sorted(keywords.items(), key=lambda item: item[0])),
            len(self.ledger.writes),
        )
        known = self.memo.get(key)
        if known is not None:
            return known
        self.followed += 1
        if self.followed > MAX_CALLS:
            self.ledger.warn("calls more functions than can be followed: an edge may be missing")
            return frozenset({Obj()})
        scope = locals_of(node)
        frame = Frame("function", function.frame)
        frame.function = function
        frame.locals = scope.bound
        frame.global_names = scope.global_names
        frame.nonlocal_names = scope.nonlocal_names
        self._bind_parameters(frame, function, node, arguments, keywords)

        def run() -> Value:
            if self.active.count(function) > 1:
                return EMPTY
            self.active.append(function)
            self.ledger.through.append(function.const or "a lambda")
            outer_type_parameters = self.hidden_names
            try:
                return self.within(frame, lambda: self.walk_body(node))
            finally:
                self.active.pop()
                self.ledger.through.pop()
                self.hidden_names = outer_type_parameters

        if scope.is_generator or isinstance(node, ast.AsyncFunctionDef):
            later = Obj("lazy")
            later.parts |= union([EMPTY, *arguments, *keywords.values()])
            later.frame = frame
            later.thunk = run
            return frozenset({later})
        result = run()
        self.memo[key] = result
        return result

    def _bind_parameters(
        self,
        frame: Frame,
        function: Obj,
        node: FunctionNode,
        arguments: list[Value],
        keywords: dict[str, Value],
    ) -> None:
        from jupyter_flows.analysis.objects import Binding

        given: dict[str, Value] = dict(self.defaults.get(function, {}))
        names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
        for name, value in zip(names, arguments, strict=False):
            given[name] = value
        extra = union([EMPTY, *arguments[len(names) :]])
        rest = Obj("tuple")
        rest.parts |= extra
        others = Obj("dict")
        known = {*names, *(argument.arg for argument in node.args.kwonlyargs)}
        for name, value in keywords.items():
            if name in known:
                given[name] = value
            else:
                others.parts |= value
        if node.args.vararg is not None:
            given[node.args.vararg.arg] = frozenset({rest})
        if node.args.kwarg is not None:
            given[node.args.kwarg.arg] = frozenset({others})
        for name in known:
            # What is not given is something of the caller's library: new, and of no known kind.
            frame.variables[name] = Binding((), given.get(name, EMPTY))
        for star in (node.args.vararg, node.args.kwarg):
            if star is not None:
                frame.variables[star.arg] = Binding((), given[star.arg])

    def apply_unknown(self, callee: Obj, elements: Value) -> Value:
        """Follow a callable that a library calls, with arguments that may be any of *elements*."""
        if callee.kind == "bound":
            results = [EMPTY]
            for function in callee.parts:
                results.append(self._apply_any(function, elements, receiver=callee.receiver))
            return union(results)
        if callee.kind == "class":
            return self.instantiate(callee, [elements], {})
        return self._apply_any(callee, elements, receiver=EMPTY)

    def _apply_any(self, function: Obj, elements: Value, *, receiver: Value) -> Value:
        node = function.node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            return EMPTY
        count = len(node.args.posonlyargs) + len(node.args.args) + len(node.args.kwonlyargs)
        given = [elements] * count
        if receiver and given:
            given[0] = receiver
        result = self.apply(function, given, {})
        return result | self.consume(result)

    def instantiate(self, cls: Obj, arguments: list[Value], keywords: dict[str, Value]) -> Value:
        """Make an instance and run its constructor."""
        made = Obj("instance", cls.qual)
        made.cls = cls
        one = frozenset({made})
        has_constructor = False
        for name in ("__new__", "__init__", "__post_init__"):
            constructor = lookup(cls, name)
            if constructor:
                has_constructor = has_constructor or name != "__post_init__"
                given = [frozenset({cls})] if name == "__new__" else [one]
                self.invoke(
                    constructor,
                    [*given, *(arguments if name != "__post_init__" else [])],
                    keywords if name != "__post_init__" else {},
                )
        if not has_constructor:
            made.parts |= union([EMPTY, *arguments, *keywords.values()])
            self._hand_over(arguments, keywords)
        return one

    # -- handing things to code that cannot be seen -----------------------------------------------------------

    def _hand_over(
        self, arguments: Iterable[Value], keywords: dict[str, Value], *, elements: Value = EMPTY
    ) -> Value:
        """Let unseen code have *arguments*: callables run, lazy values are consumed."""
        results: list[Value] = [EMPTY]
        values = [*arguments, *keywords.values()]
        for value in values:
            for obj in closure_of(value, depth=2):
                if obj.kind not in _RUNNABLE or obj in self.escaped:
                    continue
                if obj.kind == "namespace":
                    self.opaque("hands out its namespace")
                    continue
                self.escaped.add(obj)
                if obj.kind == "method":
                    self._call_stored(obj, elements)
                elif obj.thunk is not None:
                    results.append(self.consume(frozenset({obj})))
                elif obj.kind == "instance" and obj.cls is not None:
                    if obj not in value and obj.cls in self.escaped:
                        continue
                    for name, functions in list(methods(obj.cls)):
                        if name not in {"__init__", "__new__", "__init_subclass__"}:
                            for function in functions:
                                results.append(self._apply_any(function, elements, receiver=frozenset({obj})))
                elif obj.kind in {"function", "bound"} and (obj in value or not self._is_method(obj)):
                    results.append(self.apply_unknown(obj, elements))
                    self.escaped.discard(obj)
        return union(results)

    def _is_method(self, obj: Obj) -> bool:
        return bool(obj.frame is not None and obj.frame.kind == "class") or obj.kind == "bound"

    # -- libraries --------------------------------------------------------------------------------------------

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
        elements = contents(everything) if any(self._is_callable(obj) for obj in everything) else EMPTY
        results = [EMPTY]
        if name not in KEEPERS or name in {"ensure_future", "create_task", "gather", "interact"}:
            results.append(self._hand_over(arguments, keywords, elements=elements))
        self._change_arguments(name, arguments, keywords, node)
        if package in {"duckdb", "pandasql"} or name in {"sqldf", "read_sql", "read_sql_query"}:
            for value in arguments:
                text = constant_text(value)
                if text is not None and package in {"duckdb", "pandasql"}:
                    self.sql_names(text)
        if name in {"read_sql", "read_sql_query", "to_sql", "read_sql_table"} and len(arguments) > 1:
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
        if is_bare and package not in WELL_KNOWN and name != "display":
            labels = node.args if node is not None else []
            for value, argument in zip(arguments, labels, strict=False):
                self.ledger.change(value, f"given to {name}()", label=self.root_label(argument))
        return self._library_result(qual, name, package, arguments, keywords) | union(results)

    def _library_result(
        self, qual: str, name: str, package: str, arguments: list[Value], keywords: dict[str, Value]
    ) -> Value:
        everything = union([EMPTY, *arguments, *keywords.values()])
        if qual in {"os.path.join", "posixpath.join"} and arguments:
            texts = [constant_text(value) for value in arguments]
            joined = None if any(text is None for text in texts) else "/".join(text or "" for text in texts)
            return frozenset({Obj("str", const=joined)})
        if qual in {"pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath"}:
            texts = [constant_text(value) for value in arguments]
            joined = None if any(text is None for text in texts) else "/".join(text or "" for text in texts)
            return frozenset({Obj("path", const=joined or ".") if joined is not None else Obj("path")})
        if qual.endswith("random.default_rng") or name in {"RandomState"} or qual == "random.Random":
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
        if name in {"copy", "deepcopy"} and package == "copy":
            copied = Obj()
            if name == "copy":
                copied.parts |= contents(everything)
            return frozenset({copied})
        if (
            package in {"pandas", "geopandas", "polars"} and name in PANDAS_RETURNS | {"load_dataset"}
        ) or qual == "seaborn.load_dataset":
            return frozenset({Obj("pandas")})
        if name in VIEW_FUNCTIONS and arguments and package in {"numpy", "torch", "tensorflow"}:
            made = Obj("view")
            made.viewed |= arguments[0]
            return frozenset({made})
        if package in {"math", "cmath", "statistics", "time"} or qual.startswith("os.path."):
            return EMPTY
        made = Obj("lazy" if name in LAZY else "unknown", qual)
        if name in KEEPERS or name[:1].isupper() or (package not in WELL_KNOWN):
            made.parts |= everything
        if name in _WRAPPERS:
            made.viewed |= everything
        if name in {"open", "urlopen", "fdopen"}:
            made.kind = "file"
        if name == "partial" and arguments:
            made.kind = "partial"
        return frozenset({made})

    def _is_callable(self, obj: Obj) -> bool:
        return obj.kind in {"function", "bound"}

    def _change_arguments(
        self, name: str, arguments: list[Value], keywords: dict[str, Value], node: ast.Call | None
    ) -> None:
        positions: Iterable[int] = ARGUMENT_MUTATORS.get(name, ())
        if name.endswith("_") and not name.startswith("_"):
            positions = range(len(arguments))
        for position in positions:
            if position < len(arguments):
                label = (
                    self.root_label(node.args[position])
                    if node is not None and position < len(node.args)
                    else None
                )
                self.ledger.change(arguments[position], f"{name}()", label=label)
                held = union(
                    [EMPTY, *(value for number, value in enumerate(arguments) if number != position)]
                )
                for obj in arguments[position]:
                    obj.parts |= held
        for key, value in keywords.items():
            if key in WRITTEN_KEYWORDS:
                label = None
                if node is not None:
                    label = next(
                        (self.root_label(word.value) for word in node.keywords if word.arg == key), None
                    )
                self.ledger.change(value, f"{key}= of {name}()", label=label)

    # -- methods ----------------------------------------------------------------------------------------------

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
            self._hand_over(arguments, keywords)
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
        if obj.kind == "pandas" and name in {"plot", "hist", "boxplot"}:
            self.frame_plot(keywords)
        if (
            name == "sample"
            and "random_state" not in keywords
            and obj.kind in {"pandas", "unknown", "parameter"}
        ):
            self._random("rng:numpy", "sample")
        if (
            "sklearn." in obj.qual
            and name.startswith("fit")
            and obj.qual.rpartition(".")[2] in _random_estimators()
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
        changes = self._changes(obj, name, keywords, node, is_bare=is_bare)
        callables = [
            value
            for value in (*arguments, *keywords.values())
            if any(self._is_callable(inner) for inner in value)
        ]
        elements = EMPTY
        if callables and obj.kind != "pandas":
            elements = contents(one)
        holds_callables = any(inner.kind in {"function", "bound", "method", "lazy"} for inner in obj.parts)
        if (obj.cls is not None or (holds_callables and obj.kind == "unknown")) and not _is_plain_container(
            name
        ):
            self._hand_over([one], {})
        results = [self._hand_over(arguments, keywords, elements=elements)]
        label = self.root_label(node.func)
        if changes:
            self.ledger.change(one, f".{name}()", label=label)
            if name in HOLDING or name.startswith(("add_", "append_", "insert_", "register_")):
                obj.parts |= everything
            if name in {"extend", "update", "extendleft"}:
                obj.parts |= contents(everything)
            if obj.kind == "file" and obj.qual == "written":
                self.ledger.update_channel(f"file:{obj.const or '?'}", "file written")
        self._change_arguments(name if name in {"dump"} else "", arguments, keywords, node)
        if name.endswith("_") and not name.startswith("_") and obj.kind in {"unknown", "parameter", "view"}:
            self.ledger.change(one, f".{name}()", label=label)
        return self._method_result(obj, name, everything, is_changed=changes) | union(results)

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
            if (
                name in {"groupby", "rolling", "resample", "items", "iterrows", "itertuples", "query", "pop"}
                or name in FRESH
            ):
                return frozenset({Obj("pandas")})
            return frozenset({Obj("str" if name == "to_string" else "pandas")})
        if name in _ELEMENTS:
            return contents(one) | (everything if name in {"get", "setdefault", "pop"} else EMPTY)
        if name == "copy":
            copied = Obj(obj.kind if obj.kind in {"list", "dict", "set"} else "unknown")
            copied.parts |= obj.parts if obj.kind in {"list", "dict", "set"} else set()
            return frozenset({copied})
        if name in {"items", "iterrows", "itertuples", "keys"}:
            pair = Obj("tuple")
            pair.parts |= contents(one)
            listed = Obj("list")
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
        if name in FRESH or obj.kind in {"rng", "list", "set", "numbers", "mask"}:
            return frozenset({Obj()})
        if is_changed and obj.kind not in {"figure", "file"}:
            return one | contents(one)
        made = Obj("unknown", f"{obj.qual}.{name}" if obj.qual else "")
        if obj.kind in {"figure", "unknown", "parameter", "instance"}:
            # A cursor of a connection, axes of a figure: what is done to it is seen through its owner.
            made.viewed |= one if obj.kind == "figure" else set()
            obj.parts.add(made)
        return frozenset({made})

    # -- namespaces ---------------------------------------------------------------------------------------------

    def read_namespace_item(self, container: Value, key: ast.expr) -> Value | None:
        """Read ``globals()["x"]`` as the name x; None if *container* is not the namespace."""
        if not any(obj.kind == "namespace" for obj in container):
            return None
        name = constant_text(self.evaluate(key))
        if name is not None:
            return self.ledger.read_name(name, quiet=True)
        self.opaque("looks names up in its own namespace")
        return frozenset({Obj()})

    def _namespace_method(
        self, name: str, arguments: list[Value], keywords: dict[str, Value], node: ast.Call
    ) -> Value:
        key = constant_text(arguments[0]) if arguments else None
        if name in {"get", "__getitem__"} and key is not None:
            return self.ledger.read_name(key, quiet=True) | union([EMPTY, *arguments[1:]])
        if name == "pop" and key is not None:
            value = self.ledger.read_name(key, quiet=True)
            self.ledger.delete_name(key)
            return value
        if name == "update" and not arguments and keywords:
            for bound, value in keywords.items():
                self.ledger.bind_name(bound, value, "assigned through the namespace")
            return EMPTY
        if name == "update" and len(node.args) == 1 and isinstance(node.args[0], ast.Dict):
            names = [item.value if isinstance(item, ast.Constant) else None for item in node.args[0].keys]
            if all(isinstance(item, str) for item in names):
                for item in names:
                    self.ledger.bind_name(str(item), arguments[0], "assigned through the namespace")
                return EMPTY
        if name in _NAMESPACE_PURE:
            self.ledger.warn(
                "looks at the names of its namespace: which there are depends on all cells above"
            )
            self.ledger.read_everything()
            return EMPTY
        self.opaque("works on its own namespace")
        return frozenset({Obj()})

    # -- builtins -------------------------------------------------------------------------------------------------

    def builtin_call(
        self,
        name: str,
        arguments: list[Value],
        keywords: dict[str, Value],
        node: ast.Call | None,
        *,
        is_bare: bool,
    ) -> Value:
        """Judge a call of a builtin."""
        first = arguments[0] if arguments else EMPTY
        everything = union([EMPTY, *arguments, *keywords.values()])
        label = self.root_label(node.args[0]) if node is not None and node.args else None
        special = self._special_builtin(name, arguments, keywords, node, label=label)
        if special is not None:
            return special
        if name in {"map", "filter"} and len(arguments) > 1:
            made = Obj("lazy")
            made.parts |= everything
            made.thunk = lambda: self._mapped(arguments)
            return frozenset({made})
        if name in {"zip", "enumerate", "iter", "reversed"}:
            made = Obj("lazy")
            is_plain = name in {"iter", "reversed"}
            row = Obj("tuple")
            for value in arguments:
                inner = contents(value) | self.consume(value)
                row.parts |= inner
                if is_plain:
                    made.parts |= inner
                made.viewed |= {obj for obj in value if obj.kind in {"lazy", "file", "iterator"}}
            if not is_plain:
                made.parts.add(row)
            # It reads its sources only when it is consumed itself.
            made.receiver = everything
            self.operate(everything)
            return frozenset({made})
        if name == "next":
            given = self.iterate(first)
            self.ledger.change(first, "next()", label=label)
            return given | contents(first)
        callables = any(self._is_callable(obj) for obj in everything)
        self._change_arguments(name if name in {"setattr", "delattr"} else "", arguments, keywords, node)
        if name in CONTAINERS or name in {"min", "max", "sum", "any", "all"}:
            given = union([EMPTY, *(self.iterate(value) for value in arguments)])
            if callables:
                self._hand_over(arguments, keywords, elements=given)
            if name in {"any", "all", "sum"}:
                return frozenset({Obj()}) if name == "sum" and given else EMPTY
            if name in {"min", "max"}:
                return given | everything
            made = Obj("list" if name == "sorted" else name)
            made.parts |= given | union([EMPTY, *keywords.values()])
            return frozenset({made})
        if name in PASSIVE:
            self.consume(everything)
            self.operate(everything)
            if any(obj.kind == "pandas" for obj in everything) and name in {"print", "display"}:
                self.ledger.read_channel("option:pandas")
            if name == "type":
                return frozenset(obj.cls for obj in first if obj.cls is not None) or frozenset(
                    {Obj("builtin", "type")}
                )
            if any(obj.kind == "namespace" for obj in everything):
                self.ledger.warn("shows its namespace: which names there are depends on all cells above")
            return frozenset({Obj("str")}) if name in {"str", "repr", "format", "ascii"} else EMPTY
        if name in IMMUTABLE_RESULTS:
            self.operate(everything)
            return EMPTY
        if name[:1].isupper():  # exceptions
            made = Obj("unknown", name)
            made.parts |= everything
            return frozenset({made})
        self._hand_over(arguments, keywords)
        del is_bare
        return frozenset({Obj()}) | (first if name in {"property", "staticmethod", "classmethod"} else EMPTY)

    def _mapped(self, arguments: list[Value]) -> Value:
        elements = [self.iterate(value) for value in arguments[1:]]
        functions = arguments[0]
        given = union([EMPTY, *elements])
        return self.invoke(functions, elements, {}) | given

    def _special_builtin(
        self,
        name: str,
        arguments: list[Value],
        keywords: dict[str, Value],
        node: ast.Call | None,
        *,
        label: str | None,
    ) -> Value | None:
        """Judge builtins that reach into names, attributes and files."""
        first = arguments[0] if arguments else EMPTY
        if name == "get_ipython":
            return frozenset({Obj("ipython")})
        if name == "open":
            mode = arguments[1] if len(arguments) > 1 else keywords.get("mode", EMPTY)
            return frozenset({self.open_file(first, mode)})
        if name in {"globals", "locals", "vars"} and not arguments:
            if name == "globals" or self.frame.kind == "module":
                return frozenset({Obj("namespace")})
            made = Obj("dict")
            made.frame = self.frame
            return frozenset({made})
        if name in {"exec", "eval"}:
            return self._run_text(name, arguments, keywords)
        if name == "dir" and not arguments:
            self.ledger.warn(
                "looks at the names of its namespace: which there are depends on all cells above"
            )
            self.ledger.read_everything()
            return EMPTY
        if name == "vars":
            return first
        if name == "memoryview":
            made = Obj("view")
            made.viewed |= first
            return frozenset({made})
        if name == "input":
            self.ledger.warn("asks for input: a headless run has nobody to answer")
            return frozenset({Obj("str")})
        if name in {"setattr", "delattr"}:
            attribute = constant_text(arguments[1]) if len(arguments) > 1 else None
            value = arguments[2] if len(arguments) > 2 else EMPTY
            self.ledger.change(first, f"{name}()", label=label)
            for obj in first:
                obj.parts |= value
                if attribute is not None:
                    obj.attrs[attribute] = obj.attrs.get(attribute, EMPTY) | value
            return EMPTY
        if name == "getattr":
            attribute = constant_text(arguments[1]) if len(arguments) > 1 else None
            default = arguments[2] if len(arguments) > 2 else EMPTY
            if attribute is not None:
                return self.attribute_of(first, attribute) | default
            self._hand_over([first], {})
            return contents(first) | default
        if name == "super":
            return self._super()
        if name == "__import__":
            module = constant_text(first)
            if module is not None:
                self.import_effects(module)
                return frozenset({self.module_object(module.split(".")[0])})
            self.ledger.warn("imports a module whose name is only known when it runs")
            return frozenset({Obj()})
        del node
        return None

    def module_object(self, qual: str) -> Obj:
        """Return the one object that stands for a module."""
        found = self.ledger.modules.get(qual)
        if found is None:
            found = self.ledger.modules[qual] = self.ledger.members.pop(qual, Obj("module", qual))
            found.kind = "module"
        return found

    def _super(self) -> Value:
        frame: Frame | None = self.frame
        while frame is not None and (
            frame.kind != "function" or frame.function is None or frame.function.cls is None
        ):
            frame = frame.parent
        if frame is None or frame.function is None or frame.function.cls is None:
            return frozenset({Obj()})
        node = frame.function.node
        made = Obj("super")
        made.bases = frame.function.cls.bases
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.args.args:
            binding = frame.variables.get(node.args.args[0].arg)
            made.receiver = binding.value if binding else EMPTY
        return frozenset({made})

    def _run_text(self, name: str, arguments: list[Value], keywords: dict[str, Value]) -> Value:
        text = constant_text(arguments[0]) if arguments else None
        spaces = [*arguments[1:], *(keywords[key] for key in ("globals", "locals") if key in keywords)]
        if spaces and not any(obj.kind == "namespace" for value in spaces for obj in value):
            # The code works on dictionaries of its own.
            for value in spaces:
                self.ledger.change(value, f"{name}() in it")
            return frozenset({Obj()})
        if text is not None and parse(text.strip()).tree is not None:
            return self.run_source(text.strip())
        self.opaque(f"runs code that is only known when it runs, by {name}()")
        return frozenset({Obj()})


def _shallow(obj: Obj) -> Obj:
    made = Obj(obj.kind)
    made.parts |= obj.parts
    return made


def _is_plain_container(name: str) -> bool:
    return name in {"append", "get", "keys", "items", "values", "copy"}


def _random_estimators() -> frozenset[str]:
    from jupyter_flows.analysis.knowledge import SKLEARN_RANDOM

    return SKLEARN_RANDOM


def _at_names(text: str | None) -> list[str]:
    """Names behind ``@`` in the text of ``df.query``."""
    import re

    return list(dict.fromkeys(re.findall(r"@([^\W\d]\w*)", text or "")))
