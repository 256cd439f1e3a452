"""What an expression evaluates to: names, items, attributes, displays. No calls, no statements.

Evaluating an expression reads its names through the ledger and returns the objects it may be, so that a
change of one alias is a change of all.
"""

from __future__ import annotations

import ast

from jupyter_flows.analysis.classes import lookup, special_methods
from jupyter_flows.analysis.knowledge import MUTATORS, STATEFUL_MODULES, VIEWS
from jupyter_flows.analysis.ledger import Ledger
from jupyter_flows.analysis.objects import (
    EMPTY,
    Binding,
    Frame,
    Obj,
    Value,
    both,
    contents,
    in_order,
    merge,
    union,
)

State = tuple[int, dict[str, Binding]]
"""A position on the trail of the module's names, and the variables of the frame at work."""
_CONTAINER_KINDS = frozenset({"list", "dict", "set", "tuple", "lazy"})
_PROPERTIES = {"property", "cached_property", "setter", "getter"}


class Expressions:
    """Evaluates expressions; calls and definitions come with the classes that build on it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.frame: Frame = ledger.module
        self.type_parameters: dict[tuple[int, str], tuple[str, ...]] = {}
        self.hidden_names: list[tuple[str, ...]] = []
        """Type parameters in force."""
        self.constant_names: dict[str, str] = {}

    def begin_cell(self) -> None:
        """Forget what is per cell, also what a walk that was broken off has left."""
        self.frame = self.ledger.module
        self.hidden_names = []

    # -- to be provided by what builds on this -----------------------------------------------------------

    def call(self, node: ast.Call) -> Value:
        """Evaluate a call."""
        raise NotImplementedError

    def invoke(self, functions: Value, arguments: list[Value], keywords: dict[str, Value]) -> Value:
        """Call what *functions* may be."""
        raise NotImplementedError

    def define(self, node: ast.Lambda) -> Value:
        """Make a function."""
        raise NotImplementedError

    def read_namespace_item(self, container: Value, key: ast.expr) -> Value | None:
        """Read ``globals()["x"]``; None if *container* is something else."""
        raise NotImplementedError

    def loaded_module(self, key: Value) -> Value:
        """Return what ``sys.modules`` has under a name."""
        raise NotImplementedError

    def hidden_item(self, container: Value, key: ast.expr) -> None:
        """Note what reading an item means to a hidden channel."""
        raise NotImplementedError

    # -- names -------------------------------------------------------------------------------------------

    def load(self, name: str) -> Value:
        """Read a name by the scoping rules of the frame at work."""
        if any(name in hidden for hidden in self.hidden_names):
            return EMPTY
        frame: Frame | None = self.frame
        is_innermost = True
        while frame is not None and frame.kind != "module":
            if frame.kind == "class" and not is_innermost:
                frame = frame.parent
                continue
            if name in frame.global_names:
                return self.ledger.read_name(name)
            if name in frame.variables:
                return frame.variables[name].value
            if name in frame.locals and frame.kind != "class":
                return EMPTY
            # A comprehension in a class body does not see the class's names, its first iterable does.
            is_innermost = False
            frame = frame.parent
        return self.ledger.read_name(name)

    def home_of(self, name: str) -> Frame:
        """Return the frame in which an assignment to *name* lands."""
        frame = self.frame
        while frame.kind == "comprehension" and frame.parent is not None:
            frame = frame.parent
        if name in frame.global_names:
            return self.ledger.module
        if name in frame.nonlocal_names:
            outer = frame.parent
            while outer is not None and outer.kind != "module":
                if outer.kind == "function" and name in outer.locals:
                    return outer
                outer = outer.parent
        return frame

    def store(self, name: str, value: Value, how: str) -> None:
        """Bind *name* in the frame where it belongs."""
        home = self.home_of(name)
        if home.kind == "module":
            self.ledger.bind_name(name, value, how)
            return
        if home is not self.frame and name in self.frame.nonlocal_names:
            self.ledger.change(frozenset({home.owner}), f"`{name}` is rebound by an inner function")
            earlier = home.variables.get(name)
            value = value | earlier.value if earlier else value
        home.variables[name] = Binding((), value)

    def root_label(self, node: ast.AST) -> str | None:
        """Return the global name that an access path starts from, if it starts from one."""
        while True:
            if isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred, ast.Await)):
                node = node.value
            elif isinstance(node, ast.Call):
                node = node.func
            elif isinstance(node, ast.NamedExpr):
                node = node.target
            else:
                break
        if not isinstance(node, ast.Name):
            return None
        frame: Frame | None = self.frame
        while frame is not None and frame.kind != "module":
            if node.id in frame.global_names:
                break
            if node.id in frame.locals or node.id in frame.variables:
                return None
            frame = frame.parent
        return node.id

    # -- expressions -------------------------------------------------------------------------------------

    def evaluate(self, node: ast.expr | None) -> Value:
        """Read what *node* reads and return what it may be."""
        if node is None:
            return EMPTY
        if node.lineno and not self.ledger.through:
            self.ledger.line = node.lineno
        method = getattr(self, f"_on_{type(node).__name__.lower()}", None)
        if method is not None:
            value: Value = method(node)
            return value
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.evaluate(child)
        return EMPTY

    def _on_name(self, node: ast.Name) -> Value:
        return self.load(node.id)

    def _on_constant(self, node: ast.Constant) -> Value:
        if isinstance(node.value, str):
            return frozenset({Obj("str", const=node.value)})
        return EMPTY

    def _on_joinedstr(self, node: ast.JoinedStr) -> Value:
        pieces: list[str | None] = []
        for part in node.values:
            if isinstance(part, ast.Constant):
                pieces.append(str(part.value))
                continue
            value = self.evaluate(part.value) if isinstance(part, ast.FormattedValue) else self.evaluate(part)
            self.operate(value)
            if isinstance(part, ast.FormattedValue) and part.format_spec is not None:
                self.evaluate(part.format_spec)
                pieces.append(None)
            else:
                pieces.append(constant_text(value))
        if any(piece is None for piece in pieces):
            return frozenset({Obj("str")})
        return frozenset({Obj("str", const="".join(piece or "" for piece in pieces))})

    _on_templatestr = _on_joinedstr

    def _on_namedexpr(self, node: ast.NamedExpr) -> Value:
        value = self.evaluate(node.value)
        self.store(node.target.id, value, "assigned")
        return value

    def _on_lambda(self, node: ast.Lambda) -> Value:
        return self.define(node)

    def _on_call(self, node: ast.Call) -> Value:
        return self.call(node)

    def _on_await(self, node: ast.Await) -> Value:
        value = self.evaluate(node.value)
        return value | self.consume(value)

    def _on_starred(self, node: ast.Starred) -> Value:
        value = self.evaluate(node.value)
        return self.iterate(value)

    def _on_ifexp(self, node: ast.IfExp) -> Value:
        self.evaluate(node.test)
        before = self.snapshot()
        left = self.evaluate(node.body)
        after = self.snapshot()
        self.restore(before)
        right = self.evaluate(node.orelse)
        self.join(after)
        return left | right

    def _on_boolop(self, node: ast.BoolOp) -> Value:
        values = [self.evaluate(node.values[0])]
        for other in node.values[1:]:
            before = self.snapshot()
            values.append(self.evaluate(other))
            self.join(before)
        self.operate(union(values))
        return union(values)

    def _on_binop(self, node: ast.BinOp) -> Value:
        left, right = self.evaluate(node.left), self.evaluate(node.right)
        both = left | right
        result = self.operate(both)
        if isinstance(node.op, ast.Add):
            text = (constant_text(left), constant_text(right))
            if text[0] is not None and text[1] is not None:
                return frozenset({Obj("str", const=text[0] + text[1])})
        if isinstance(node.op, ast.Div) and any(obj.kind == "path" for obj in left):
            return frozenset({self.path_below(left, right)})
        kinds = {obj.kind for obj in both}
        if not both or kinds <= {"str"}:
            return frozenset({Obj("str")}) if kinds else EMPTY
        fresh = Obj("pandas" if "pandas" in kinds else "list" if kinds <= {"list"} else "unknown")
        for obj in both:
            fresh.parts |= obj.parts
        return result | {fresh}

    def _on_unaryop(self, node: ast.UnaryOp) -> Value:
        value = self.evaluate(node.operand)
        result = self.operate(value)
        kinds = {obj.kind for obj in value}
        if isinstance(node.op, ast.Not) or not kinds:
            return EMPTY
        return result | {Obj("pandas" if "pandas" in kinds else "unknown")}

    def _on_compare(self, node: ast.Compare) -> Value:
        left = self.evaluate(node.left)
        values = [left]
        for operator, other in zip(node.ops, node.comparators, strict=True):
            right = self.evaluate(other)
            values.append(right)
            if isinstance(operator, (ast.In, ast.NotIn)):
                self.consume(right)
                if self.read_namespace_item(right, node.left) is None:
                    self.hidden_item(right, node.left)
        both = union(values)
        self.operate(both)
        kinds = {obj.kind for obj in both}
        return frozenset({Obj("pandas" if "pandas" in kinds else "mask")}) if kinds - {"str"} else EMPTY

    def _on_tuple(self, node: ast.Tuple) -> Value:
        return self.display("tuple", node.elts)

    def _on_list(self, node: ast.List) -> Value:
        return self.display("list", node.elts)

    def _on_set(self, node: ast.Set) -> Value:
        return self.display("set", node.elts)

    def _on_dict(self, node: ast.Dict) -> Value:
        made = Obj("dict")
        for key, item in zip(node.keys, node.values, strict=True):
            self.evaluate(key)
            value = self.evaluate(item)
            made.parts |= value if key is not None else contents(value)
        return frozenset({made})

    def display(self, kind: str, elements: list[ast.expr]) -> Value:
        """Make a list, tuple or set of *elements*."""
        made = Obj(kind)
        for element in elements:
            made.parts |= self.evaluate(element)
        return frozenset({made})

    def _on_slice(self, node: ast.Slice) -> Value:
        for part in (node.lower, node.upper, node.step):
            self.evaluate(part)
        return EMPTY

    def _on_subscript(self, node: ast.Subscript) -> Value:
        container = self.evaluate(node.value)
        index = self.evaluate(node.slice)
        found = self.read_namespace_item(container, node.slice)
        if found is not None:
            return found
        self.hidden_item(container, node.slice)
        result = set(self.operate(container))
        for obj in in_order(container):
            result |= self.item_of(obj, node.slice, index)
        return frozenset(result)

    def item_of(self, obj: Obj, key: ast.expr, index: Value) -> Value:
        """Return what ``obj[key]`` may be: an element, a view, or a copy."""
        one = frozenset({obj})
        if obj.qual == "sys.modules":
            return self.loaded_module(index)
        if obj.kind in {"str", "numbers"}:
            return frozenset({Obj("str")}) if obj.kind == "str" else EMPTY
        if obj.kind in {"function", "class", "builtin", "module"}:
            return one  # list[int], and generic classes
        if obj.kind == "file" and not obj.parts:
            obj.parts.add(Obj())  # a dataset of an archive
        if obj.kind == "accessor":
            return union([self.item_of(inner, key, index) for inner in obj.viewed]) if obj.viewed else EMPTY
        keys = key.elts if isinstance(key, ast.Tuple) else [key]
        picks_many = any(
            isinstance(part, (ast.Compare, ast.BoolOp, ast.BinOp, ast.List, ast.ListComp)) for part in keys
        )
        picks_many |= any(isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.Invert) for part in keys)
        picks_many |= any(inner.kind in {"mask", "pandas", "list"} for inner in index)
        slices = any(isinstance(part, ast.Slice) for part in keys)
        if obj.kind == "pandas" and (picks_many or slices):
            return frozenset({Obj("pandas")})
        if obj.kind in {"list", "tuple"} and slices:
            return frozenset({_copy_of(obj)})
        if slices:
            made = Obj("view")
            made.viewed.add(obj)
            return frozenset({made})
        if picks_many and obj.kind != "dict":
            return frozenset({_copy_of(obj)})
        return contents(one)

    def _on_attribute(self, node: ast.Attribute) -> Value:
        container = self.evaluate(node.value)
        return self.attribute_of(container, node.attr)

    def attribute_of(self, container: Value, name: str) -> Value:
        """Return what ``container.name`` may be; properties are called."""
        found: set[Obj] = set()
        for obj in in_order(container):
            found |= self._attribute(obj, name)
        return frozenset(found)

    def _attribute(self, obj: Obj, name: str) -> Value:
        one = frozenset({obj})
        if obj.kind in {"module", "member"}:
            if obj.qual == "sys" and name in {"path", "modules"}:
                self.ledger.read_channel(f"sys.{name}")
            return obj.attrs.get(name, EMPTY) | {self.member(obj, name)}
        if name == "value" and obj.kind in _CONTAINER_KINDS:
            return one  # a member of an enumeration
        if name in {"f_globals", "f_builtins"}:
            return frozenset({Obj("namespace")})
        if name == "__subclasses__":
            self.ledger.read_channel("subclasses")
        if obj.kind in {"str", "numbers", "bound"}:
            return EMPTY
        if obj.kind == "ipython" and name in {"user_ns", "user_global_ns"}:
            return frozenset({Obj("namespace")})
        if name == "__class__" and obj.cls is not None:
            return frozenset({obj.cls})
        if name == "__dict__":
            return one
        found: set[Obj] = set(obj.attrs.get(name, EMPTY))
        if obj.kind == "super":
            for base in obj.bases:
                found |= self._bind_methods(lookup(base, name), obj.receiver)
            return frozenset(found)
        if obj.cls is not None:
            found |= self._bind_methods(lookup(obj.cls, name), one)
        if obj.kind == "class":
            inherited = lookup(obj, name)
            found |= self._bind_methods(frozenset(o for o in inherited if o.qual == "classmethod"), one)
            found |= frozenset(o for o in inherited if o.qual != "classmethod")
            if not inherited:
                found |= {inner for inner in obj.parts if inner.kind != "function"}
        if found:
            if any(function.kind == "function" for function in obj.attrs.get("__getattribute__", EMPTY)):
                self.operate(one)
            return frozenset(found)
        if name in VIEWS:
            accessor = Obj("accessor")
            accessor.viewed.add(obj)
            return frozenset({accessor}) if name in {"loc", "iloc", "at", "iat"} else self._view(obj)
        if obj.kind in {"function", "builtin", "class"}:
            inner = Obj("unknown", f"{obj.qual}.{name}")
            if obj.kind != "builtin":
                inner.parts |= {part for part in obj.parts if part.kind == "unknown"}
                obj.attrs[name] = frozenset({inner})
            return frozenset({inner})
        if obj.cls is not None:
            self.operate(one)  # __getattr__
        if name in MUTATORS:
            stored = Obj("method", name)
            stored.receiver = one
            return frozenset({stored}) | (EMPTY if obj.kind in _CONTAINER_KINDS else contents(one))
        return EMPTY if obj.kind in _CONTAINER_KINDS else contents(one)

    def _view(self, obj: Obj) -> Value:
        if obj.kind == "pandas":
            return frozenset({obj})
        made = Obj("view")
        made.viewed.add(obj)
        return frozenset({made})

    def _bind_methods(self, found: Value, receiver: Value) -> Value:
        bound: set[Obj] = set()
        for function in in_order(found):
            if function.kind != "function":
                bound.add(function)
            elif function.qual in _PROPERTIES:
                before = self.ledger.states_read
                bound |= self.invoke(frozenset({function}), [receiver], {})
                if function.qual == "cached_property" and self.ledger.states_read != before:
                    self.ledger.change(receiver, f"`{function.const}` computed and kept")
            else:
                method = Obj("bound", function.qual)
                method.parts.add(function)
                if function.qual == "classmethod":
                    receiver = frozenset(obj.cls or obj for obj in receiver)
                method.receiver = EMPTY if function.qual == "staticmethod" else receiver
                bound.add(method)
        return frozenset(bound)

    def member(self, module: Obj, name: str) -> Obj:
        """Return the one object that stands for an attribute of a module."""
        qual = f"{module.qual}.{name}"
        if qual in self.ledger.modules:
            found = self.ledger.modules[qual]
        else:
            known: Obj | None = self.ledger.members.get(qual)
            if known is None:
                known = self.ledger.members[qual] = self.ledger.one("member", qual)
            found = known
        module.parts.add(found)
        if module.qual in STATEFUL_MODULES:
            found.receiver = frozenset({module})
        return found

    # -- iterating, operators, comprehensions ------------------------------------------------------------

    def consume(self, value: Value) -> Value:
        """Do the work that lazy objects in *value* have put off; return what it gives."""
        given: set[Obj] = set()
        for obj in in_order(value):
            if obj.thunk is not None:
                thunk, obj.thunk = obj.thunk, None
                # Put back afterwards: another cell may consume the rest.
                given |= thunk()
                obj.thunk = thunk
        return frozenset(given)

    def iterate(self, value: Value) -> Value:
        """Return what a loop over *value* yields."""
        given = self.consume(value)
        self.operate(value)
        for obj in in_order(value):
            if obj.kind == "namespace":
                self.ledger.warn("looks at the names of its namespace: they depend on all cells above")
                self.ledger.read_everything()
            elif obj.kind in {"lazy", "file", "iterator"}:
                self.ledger.change(frozenset({obj}), "consumed")
        return given | contents(value)

    def operate(self, value: Value) -> Value:
        """Run the special methods that operators, ``print``, ``with`` and ``for`` would call."""
        given: set[Obj] = set()
        for obj in in_order(value):
            cls = obj.cls
            if cls is None:
                continue
            for name, function in special_methods(cls):
                given |= self.invoke(function, [frozenset({obj}), EMPTY, EMPTY], {})
                del name
        return frozenset(given)

    def path_below(self, left: Value, right: Value) -> Obj:
        """Join two paths."""
        path = Obj("path")
        texts = (constant_text(left), constant_text(right))
        if texts[0] is not None and texts[1] is not None:
            path.const = f"{texts[0]}/{texts[1]}"
        return path

    def _on_yield(self, node: ast.Yield) -> Value:
        """Give the value to whoever consumes the generator; what is sent in may be anything."""
        self.frame.returns |= self.evaluate(node.value)
        return frozenset({Obj()})

    def _on_yieldfrom(self, node: ast.YieldFrom) -> Value:
        given = self.iterate(self.evaluate(node.value))
        self.frame.returns |= given
        return given

    def _on_listcomp(self, node: ast.ListComp) -> Value:
        return self._comprehension("list", node.generators, [node.elt])

    def _on_setcomp(self, node: ast.SetComp) -> Value:
        return self._comprehension("set", node.generators, [node.elt])

    def _on_dictcomp(self, node: ast.DictComp) -> Value:
        return self._comprehension("dict", node.generators, [node.key, node.value])

    def _on_generatorexp(self, node: ast.GeneratorExp) -> Value:
        first = self.evaluate(node.generators[0].iter)
        made = Obj("lazy")
        made.parts |= first
        made.frame = frame = self.frame

        def run() -> Value:
            return self.within(frame, lambda: self._clauses(node.generators, [node.elt], first=first))

        made.thunk = run
        return frozenset({made})

    def _comprehension(
        self, kind: str, generators: list[ast.comprehension], elements: list[ast.expr]
    ) -> Value:
        first = self.evaluate(generators[0].iter)
        made = Obj(kind)
        made.parts |= self._clauses(generators, elements, first=first)
        return frozenset({made})

    def _clauses(
        self, generators: list[ast.comprehension], elements: list[ast.expr], *, first: Value
    ) -> Value:
        inner = Frame("comprehension", self.frame)
        for generator in generators:
            inner.locals.update(_names_in(generator.target))
        outer, self.frame = self.frame, inner
        try:
            for number, generator in enumerate(generators):
                source = first if number == 0 else self.evaluate(generator.iter)
                self._bind_local(inner, generator.target, self.iterate(source))
                for condition in generator.ifs:
                    self.evaluate(condition)
            return union([self.evaluate(element) for element in elements])
        finally:
            self.frame = outer

    def _bind_local(self, frame: Frame, target: ast.expr, value: Value) -> None:
        if isinstance(target, ast.Name):
            frame.variables[target.id] = Binding((), value)
        elif isinstance(target, (ast.Tuple, ast.List)):
            for element in target.elts:
                self._bind_local(
                    frame, element, contents(value) | {o for o in value if o.kind in {"function", "unknown"}}
                )
        elif isinstance(target, ast.Starred):
            self._bind_local(frame, target.value, value)
        else:
            self.evaluate(target)

    def within(self, frame: Frame, work: object) -> Value:
        """Do *work* with another frame in force."""
        assert callable(work)
        outer, self.frame = self.frame, frame
        try:
            value: Value = work()
            return value
        finally:
            self.frame = outer

    # -- ways through the code ---------------------------------------------------------------------------

    def snapshot(self) -> State:
        """Return where the module's bindings and those of the frame at work are, to come back to."""
        return len(self.ledger.names.trail), {} if self.frame.kind == "module" else dict(self.frame.variables)

    def restore(self, state: State) -> None:
        """Go back to *state*."""
        self.ledger.names.go_back(state[0])
        if self.frame.kind != "module":
            self.frame.variables = dict(state[1])

    def join(self, state: State) -> None:
        """Go on with what either the present way or *state* left behind."""
        self.ledger.names.join(state[0], both)
        if self.frame.kind != "module":
            self.frame.variables = merge(self.frame.variables, state[1])


def constant_text(value: Value) -> str | None:
    """Return the text that *value* is known to be."""
    if len(value) != 1:
        return None
    (obj,) = value
    return obj.const


def _copy_of(obj: Obj) -> Obj:
    made = Obj(obj.kind if obj.kind in {"list", "tuple", "dict", "pandas"} else "unknown")
    made.parts |= obj.parts
    return made


def _names_in(target: ast.expr) -> set[str]:
    return {
        node.id for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
