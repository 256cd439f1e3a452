"""What a call does: functions and classes of the notebook are followed, to any depth.

A function's globals are read where it is called, with the bindings of that moment. A callable that is
handed to a library counts as called there.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

from jupyter_flows.analysis.classes import lookup, methods
from jupyter_flows.analysis.knowledge import (
    CONTAINER_CHANGES,
    CONTAINERS,
    MUTATORS,
)
from jupyter_flows.analysis.libraries import Libraries
from jupyter_flows.analysis.objects import EMPTY, Frame, Obj, Value, closure_of, contents, in_order, union
from jupyter_flows.analysis.scopes import FunctionNode, locals_of

MAX_CALLS = 1500
"""Calls followed in one cell, so that a tangle of functions cannot take minutes; told on the cell."""
_RUNNABLE = frozenset({"function", "bound", "method", "instance", "lazy", "namespace"})


class Calls(Libraries):
    """Evaluates calls."""

    def begin_cell(self) -> None:
        """Forget what is per cell."""
        super().begin_cell()
        self.followed = 0
        self.active: list[Obj] = []
        self.memo: dict[tuple[object, ...], Value] = {}
        self.escaped: set[Obj] = set()
        self.thrown_away: ast.Call | None = None
        self.shown: ast.expr | None = None
        """The cell's last expression."""

    # -- provided by statements --------------------------------------------------------------------------

    def walk_body(self, node: FunctionNode) -> Value:
        """Walk a function's body in the frame at work and return what it returns."""
        raise NotImplementedError

    # -- the call ----------------------------------------------------------------------------------------

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
        self.named_files([*arguments, *keywords.values()])
        results: list[Value] = []
        if receiver is not None:
            assert isinstance(function, ast.Attribute)
            results += [
                self._call_on(obj, function, arguments, keywords, node, is_bare=is_bare)
                for obj in in_order(receiver)
            ]
            if not receiver:
                self.hand_over(arguments, keywords)
        results += [
            self._call_one(callee, arguments, keywords, node, is_bare=is_bare) for callee in in_order(callees)
        ]
        if receiver is None and not callees:
            self.hand_over(arguments, keywords)
            results.append(frozenset({Obj()}))
        return union(results) if results else EMPTY

    def invoke(self, functions: Value, arguments: list[Value], keywords: dict[str, Value]) -> Value:
        """Call what *functions* may be, with no syntax to look at."""
        results = [EMPTY]
        results += [
            self._call_one(function, arguments, keywords, None, is_bare=False)
            for function in in_order(functions)
        ]
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
        if name == "__subclasses__":
            self.ledger.read_channel("subclasses")
        if obj.kind in {"module", "member"}:
            if self.module_method(obj, name, arguments):
                if obj.qual == "sys.modules" and name in {"get", "pop", "setdefault", "__getitem__"}:
                    return union([self.loaded_module(arguments[0] if arguments else EMPTY), *arguments[1:]])
                return frozenset({Obj()})
            member = self.member(obj, name)
            if obj.kind == "member" and name in CONTAINER_CHANGES and obj.qual.rpartition(".")[2].islower():
                self.ledger.change(frozenset({obj}), f".{name}()", label=self.root_label(function))
            # Somebody may have put a function of the notebook into the module.
            results = [
                self._call_one(callee, arguments, keywords, node, is_bare=is_bare)
                for callee in (member, *in_order(obj.attrs.get(name, EMPTY)))
            ]
            return union(results)
        if obj.kind == "builtin" and obj.qual in CONTAINERS | {"str", "object"} and arguments:
            if name in MUTATORS:
                self.ledger.change(
                    arguments[0],
                    f"{obj.qual}.{name}()",
                    label=self.root_label(node.args[0]) if node.args else None,
                )
            if name == "fromkeys":
                made = Obj("dict")
                made.parts |= union(arguments[1:]) if len(arguments) > 1 else EMPTY
                return frozenset({made})
            return union(arguments) | contents(union(arguments))
        kept = self._function_method(obj, name, arguments) if obj.kind == "function" else None
        if kept is not None:
            return kept
        found = self.attribute_of(frozenset({obj}), name) if self._has_own(obj, name) else EMPTY
        if found:
            results = [EMPTY]
            results += [
                self._call_one(callee, arguments, keywords, node, is_bare=is_bare)
                for callee in in_order(found)
            ]
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
            results = [self.apply(callee, arguments, keywords)]
            elements = union([EMPTY, *arguments])
            # Implementations that were registered with it: functools.singledispatch.
            for registry in callee.attrs.get("register", EMPTY):
                results += [
                    self.apply_unknown(inner, elements)
                    for inner in in_order(registry.parts)
                    if inner.kind in {"function", "bound", "class"}
                ]
            return union(results)
        if callee.kind == "bound":
            given = [callee.receiver, *arguments] if callee.receiver else arguments
            return union(
                [EMPTY, *(self.apply(function, given, keywords) for function in in_order(callee.parts))]
            )
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
        self.hand_over([frozenset({callee}), *arguments], keywords)
        held = [inner for inner in in_order(callee.parts) if inner.kind in {"function", "bound", "class"}]
        results = [self.apply_unknown(inner, union([EMPTY, *arguments])) for inner in held]
        if is_bare and callee.kind not in {"mask", "numbers"}:
            self.ledger.change(frozenset({callee}), "called")
        if callee.kind == "partial" and (is_bare or (node is not None and node is self.shown)):
            self.ledger.change(frozenset(callee.parts), "called")
        if callee.qual in {"operator.attrgetter", "operator.itemgetter"}:
            elements = union([EMPTY, *arguments])
            return union([elements, contents(elements), *results])
        if callee.qual == "operator.methodcaller" and (is_bare or (node is not None and node is self.shown)):
            self.ledger.change(union([EMPTY, *arguments]), "changed by a method that is called by its name")
        if node is not None and (is_bare or node is self.shown) and callee.kind == "unknown":
            self.given_away(arguments, node, "an unknown function")
        fresh = Obj(callee.kind if callee.kind == "parameter" else "unknown")
        return union([frozenset({fresh}), *results])

    def _call_stored(self, method: Obj, given: Value) -> Value:
        """Call a changing method that was taken off its object: ``push = xs.append``."""
        self.ledger.change(method.receiver, f".{method.qual}()")
        for obj in method.receiver:
            obj.parts |= given
        return contents(method.receiver)

    # -- functions of the notebook -----------------------------------------------------------------------

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
        result = run() if function.qual != "cached" else self._cached(function, run)
        self.memo[key] = result
        return result

    def _cached(self, function: Obj, run: Callable[[], Value]) -> Value:
        """Call a function that keeps its results: if it reads anything else, who called it first matters."""
        before = self.ledger.states_read
        result = run()
        channel = f"cache:{function.const}"
        if self.ledger.states_read != before:
            self.ledger.read_channel(channel)
        self.ledger.write_channel(channel, "result kept", keeps_earlier=True)
        return result

    def _function_method(self, function: Obj, name: str, arguments: list[Value]) -> Value | None:
        """Call what functools hangs onto a function; None if it is something else."""
        one = frozenset({function})
        if name in {"cache_clear", "cache_info"} and function.qual == "cached":
            channel = f"cache:{function.const}"
            self.ledger.read_channel(channel)
            if name == "cache_clear":
                self.ledger.write_channel(channel, "cache cleared")
            return EMPTY
        if name != "register":
            return None
        self.ledger.change(one, ".register()")
        registry = self.attribute_of(one, name)
        for obj in registry:
            obj.parts |= union([EMPTY, *arguments])
        return registry

    def _bind_parameters(
        self,
        frame: Frame,
        function: Obj,
        node: FunctionNode,
        arguments: list[Value],
        keywords: dict[str, Value],
    ) -> None:
        from jupyter_flows.analysis.objects import Binding

        given: dict[str, Value] = dict(function.defaults or {})
        names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
        given |= dict(zip(names, arguments, strict=False))
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
            results += [
                self.apply_any(function, elements, receiver=callee.receiver)
                for function in in_order(callee.parts)
            ]
            return union(results)
        if callee.kind == "class":
            return self.instantiate(callee, [elements], {})
        return self.apply_any(callee, elements, receiver=EMPTY)

    def apply_any(self, function: Obj, elements: Value, *, receiver: Value) -> Value:
        """Follow a function called with *elements* for every argument but the receiver."""
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
            self.hand_over(arguments, keywords)
        return one

    # -- handing things to code that cannot be seen ------------------------------------------------------

    def hand_over(
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
                            results += [
                                self.apply_any(function, elements, receiver=frozenset({obj}))
                                for function in in_order(functions)
                            ]
                elif obj.kind in {"function", "bound"} and (obj in value or not self._is_method(obj)):
                    results.append(self.apply_unknown(obj, elements))
                    self.escaped.discard(obj)
        return union(results)

    def _is_method(self, obj: Obj) -> bool:
        return bool(obj.frame is not None and obj.frame.kind == "class") or obj.kind == "bound"
