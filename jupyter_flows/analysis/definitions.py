"""Imports, functions and classes: what making them reads, and the objects they leave behind.

Bodies of functions are not walked here but where they are called; class bodies are, at once.
"""

from __future__ import annotations

import ast

from jupyter_flows.analysis.calls import Calls
from jupyter_flows.analysis.classes import lookup
from jupyter_flows.analysis.objects import EMPTY, Frame, Obj, Value, in_order, union
from jupyter_flows.analysis.scopes import FunctionNode, locals_of
from jupyter_flows.analysis.stars import is_fixed, public_names


class Definitions(Calls):
    """Walks imports and definitions."""

    def walk(self, body: list[ast.stmt]) -> None:
        """Walk statements one after the other."""
        raise NotImplementedError

    def _do_import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.import_effects(alias.name)
            if alias.asname:
                module = self._submodule(alias.name)
                self.store(alias.asname, frozenset({module}), "imported")
            else:
                self._submodule(alias.name)
                top = alias.name.split(".")[0]
                self.store(top, frozenset({self.module_object(top)}), "imported")
                self._note_definition(top)
            if alias.asname:
                self._note_definition(alias.asname)

    def _submodule(self, qual: str) -> Obj:
        parts = qual.split(".")
        module = self.module_object(parts[0])
        for position in range(2, len(parts) + 1):
            inner = self.module_object(".".join(parts[:position]))
            module.parts.add(inner)
            module = inner
        return module

    def _do_importfrom(self, node: ast.ImportFrom) -> None:
        qual = "." * node.level + (node.module or "")
        if qual == "__future__":
            for alias in node.names:
                self.ledger.write_channel(f"future:{alias.name}", "compiler flag set")
                self.store(alias.name, frozenset({Obj("builtin", alias.name)}), "imported")
                self._note_definition(alias.name)
            if any(alias.name == "annotations" for alias in node.names):
                self.ledger.settings["postpones annotations"] = True
            return
        self.import_effects(qual)
        module = self._submodule(qual) if node.level == 0 else self.module_object(qual)
        for alias in node.names:
            if alias.name == "*":
                self._import_star(qual, module)
                continue
            if qual == "__main__":
                self.store(alias.asname or alias.name, self.ledger.read_name(alias.name), "imported")
                continue
            found = module.attrs.get(alias.name, EMPTY) | {self.member(module, alias.name)}
            self.store(alias.asname or alias.name, found, "imported")
            self._note_definition(alias.asname or alias.name)

    def _import_star(self, qual: str, module: Obj) -> None:
        names = public_names(qual)
        if not is_fixed(qual):
            self.ledger.depend_on_disk()
        if names is not None:
            for name in names:
                self.store(name, frozenset({self.member(module, name)}), "imported")
                self._note_definition(name)
            # Hundreds of names say nothing to a reader; those that are used make the edges.
            return
        self.ledger.warn(f"imports every name of {qual}: which names that are is only known when it runs")
        self.ledger.write_anything(f"names of {qual} imported")
        self.ledger.is_opaque = False

    def _note_definition(self, name: str) -> None:
        if self.frame.kind == "module":
            self.ledger.defines.add(name)

    def _do_functiondef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        decorators = [self.evaluate(decorator) for decorator in node.decorator_list]
        function = self._function(node, node.name)
        value: Value = frozenset({function})
        for decorator, written in zip(reversed(decorators), reversed(node.decorator_list), strict=True):
            value = self._decorate(decorator, written, value, function)
        self.store(node.name, value, "defined")
        self._note_definition(node.name)

    _do_asyncfunctiondef = _do_functiondef

    def _decorate(self, decorator: Value, written: ast.expr, value: Value, function: Obj) -> Value:
        name = written.func if isinstance(written, ast.Call) else written
        if isinstance(name, ast.Attribute) and name.attr == "register":
            generic = frozenset(obj for obj in self.evaluate(name.value) if obj.kind == "function")
            self.ledger.change(generic, "used as a decorator", label=self.root_label(name))
            for registry in self.attribute_of(generic, "register"):
                registry.parts |= value
        if any(obj.qual in {"functools.lru_cache", "functools.cache"} for obj in self.evaluate(name)):
            function.qual = "cached"
        own = frozenset(obj for obj in decorator if obj.kind in {"function", "bound", "class"})
        if own:
            return self.invoke(own, [value], {}) or value
        last = name.attr if isinstance(name, ast.Attribute) else name.id if isinstance(name, ast.Name) else ""
        if function.kind == "function" and last in {
            "property",
            "cached_property",
            "setter",
            "getter",
            "staticmethod",
            "classmethod",
        }:
            function.qual = last
        for obj in in_order(decorator):
            # A registry or an application keeps what it decorates.
            if obj.kind not in {"member", "module", "builtin"} and not (obj.kind == "unknown" and obj.qual):
                self.ledger.change(frozenset({obj}), "used as a decorator")
                obj.parts |= value
        held = frozenset(inner for obj in decorator for inner in obj.parts if inner.kind == "function")
        return value | held

    def define(self, node: ast.Lambda) -> Value:
        """Make a function of a lambda."""
        return frozenset({self._function(node, "a lambda")})

    def _function(self, node: FunctionNode, name: str) -> Obj:
        function = Obj("function")
        function.const = name
        function.node = node
        function.frame = self.frame
        given: dict[str, Value] = {}
        positional = [*node.args.posonlyargs, *node.args.args]
        for argument, default in zip(reversed(positional), reversed(node.args.defaults), strict=False):
            given[argument.arg] = self.evaluate(default)
        for argument, keyword_default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
            if keyword_default is not None:
                given[argument.arg] = self.evaluate(keyword_default)
        function.parts |= union([EMPTY, *given.values()])
        function.defaults = given
        if not isinstance(node, ast.Lambda):
            own = self._type_parameters(node, name)
            self.hidden_names = [*self.hidden_names, own]
            arguments = (*positional, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg)
            for annotated in arguments:
                if annotated is not None and annotated.annotation is not None:
                    self.annotation(annotated.annotation)
            if node.returns is not None:
                self.annotation(node.returns)
            self.hidden_names = self.hidden_names[:-1]
        return function

    def _type_parameters(self, node: ast.AST, name: str) -> tuple[str, ...]:
        written = getattr(node, "type_params", None)
        if written:
            return tuple(parameter.name for parameter in written)
        return self.type_parameters.get((getattr(node, "lineno", 0), name), ())

    def annotation(self, node: ast.expr) -> None:
        """Read an annotation, unless annotations are postponed."""
        if "postpones annotations" not in self.ledger.settings:
            self.evaluate(node)
            return
        for name in ast.walk(node):
            if isinstance(name, ast.Name) and name.id not in self.ledger.module.variables:
                self.ledger.read_channel("future:annotations")

    def _do_classdef(self, node: ast.ClassDef) -> None:
        decorators = [self.evaluate(decorator) for decorator in node.decorator_list]
        own = self._type_parameters(node, node.name)
        self.hidden_names = [*self.hidden_names, own]
        bases = [self.evaluate(base) for base in node.bases]
        keywords = {keyword.arg or "": self.evaluate(keyword.value) for keyword in node.keywords}
        made = Obj("class", node.name)
        made.node = node
        made.bases = tuple(obj for value in bases for obj in value if obj.kind == "class")
        made.parts |= frozenset(
            obj
            for value in bases
            for obj in value
            if obj.kind not in {"class", "builtin", "member", "module"}
        )
        scope = locals_of(node)
        frame = Frame("class", self.frame)
        frame.locals = scope.bound
        frame.global_names = scope.global_names
        frame.nonlocal_names = scope.nonlocal_names
        outer, self.frame = self.frame, frame
        try:
            self.walk(node.body)
        finally:
            self.frame = outer
            self.hidden_names = self.hidden_names[:-1]
        for name, binding in frame.variables.items():
            made.attrs[name] = binding.value
            for obj in binding.value:
                if obj.kind == "function":
                    obj.cls = obj.cls or made
        for base in made.bases:
            hook = lookup(base, "__init_subclass__")
            if hook:
                self.invoke(hook, [frozenset({made})], keywords)
        if made.bases:
            self.ledger.write_channel("subclasses", f"class `{node.name}` derived", keeps_earlier=True)
        # No attribute has this name; looked up like one, since a metaclass is inherited.
        inherited = union([EMPTY, *(lookup(base, "metaclass=") for base in made.bases)])
        made.attrs["metaclass="] = keywords.get("metaclass", inherited)
        for obj in in_order(made.attrs["metaclass="]):
            for name in ("__new__", "__init__"):
                self.invoke(lookup(obj, name), [frozenset({made if name == "__init__" else obj})], {})
        value: Value = frozenset({made})
        for decorator, written in zip(reversed(decorators), reversed(node.decorator_list), strict=True):
            value = self._decorate(decorator, written, value, made) | value
        self.store(node.name, value, "defined")
        self._note_definition(node.name)
