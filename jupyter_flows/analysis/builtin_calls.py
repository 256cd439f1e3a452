"""What calls of builtins do, and of the notebook's own namespace: ``exec``, ``globals()``, ``open``, …

Code given as constant text is walked as if it stood in the cell; any other makes the cell a barrier.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from jupyter_flows.analysis.aliases import constant_text
from jupyter_flows.analysis.ipython import Magics
from jupyter_flows.analysis.knowledge import (
    ARGUMENT_MUTATORS,
    CONTAINERS,
    IMMUTABLE_RESULTS,
    PASSIVE,
    WRITTEN_KEYWORDS,
)
from jupyter_flows.analysis.objects import EMPTY, Frame, Obj, Value, contents, in_order, paired, union
from jupyter_flows.analysis.syntax import parse

_NAMESPACE_PURE = {"keys", "__contains__"}


class Builtins(Magics):
    """Judges calls of builtins."""

    def hand_over(
        self, arguments: Iterable[Value], keywords: dict[str, Value], *, elements: Value = EMPTY
    ) -> Value:
        """Let unseen code have *arguments*."""
        raise NotImplementedError

    shown: ast.expr | None = None
    """The cell's last expression."""
    raised: Value = EMPTY
    """What exceptions of the cell may carry."""

    def given_away(self, arguments: list[Value], node: ast.Call, to: str) -> None:
        """Change what an unknown function is given: called for its effect, that may be the effect."""
        for value, argument in zip(arguments, node.args, strict=False):
            self.ledger.change(value, f"given to {to}", label=self.root_label(argument))

    def is_callable(self, obj: Obj) -> bool:
        """Whether *obj* is a function of the notebook, bound or not."""
        return obj.kind in {"function", "bound", "method"}

    def change_arguments(
        self, name: str, arguments: list[Value], keywords: dict[str, Value], node: ast.Call | None
    ) -> None:
        """Change the arguments that a function of that name is known to write into."""
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

    # -- namespaces --------------------------------------------------------------------------------------

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
            self.ledger.warn("looks at the names of its namespace: they depend on all cells above")
            self.ledger.read_everything()
            return EMPTY
        self.opaque("works on its own namespace")
        return frozenset({Obj()})

    # -- builtins ----------------------------------------------------------------------------------------

    def builtin_call(  # noqa: PLR0915 - one table of builtins reads better in one place
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
        callables = any(self.is_callable(obj) for obj in everything)
        self.change_arguments(name if name in {"setattr", "delattr"} else "", arguments, keywords, node)
        if name in CONTAINERS or name in {"min", "max", "sum", "any", "all"}:
            given = union([EMPTY, *(self.iterate(value) for value in arguments)])
            if callables:
                self.hand_over(arguments, keywords, elements=given)
            if name in {"any", "all", "sum"}:
                total = Obj()
                total.parts |= contents(given)  # lists added up share their elements
                return frozenset({total}) if name == "sum" and given else EMPTY
            if name in {"min", "max"}:
                return given | everything
            made = Obj("list" if name == "sorted" else name)
            made.parts |= given | union([EMPTY, *keywords.values()])
            if name == "dict" and not any(obj.kind == "dict" for obj in first):
                made.parts |= paired(given)
            return frozenset({made})
        if name in PASSIVE:
            self.consume(everything)
            self.operate(everything)
            if name in {"print", "display", "str", "repr", "format"}:
                self.shows(everything)
            if name == "type":
                return frozenset(obj.cls for obj in first if obj.cls is not None) or frozenset(
                    {Obj("builtin", "type")}
                )
            if any(obj.kind == "namespace" for obj in everything):
                self.ledger.warn("shows its namespace: its names depend on all cells above")
            return frozenset({Obj("str")}) if name in {"str", "repr", "format", "ascii"} else EMPTY
        if name in IMMUTABLE_RESULTS:
            self.operate(everything)
            return EMPTY
        if name[:1].isupper():  # exceptions
            made = Obj("unknown", name)
            made.parts |= everything
            return frozenset({made})
        self.hand_over(arguments, keywords)
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
            self.ledger.warn("looks at the names of its namespace: they depend on all cells above")
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
            self.hand_over([first], {})
            return contents(first) | default
        if name == "type" and len(arguments) == 3:
            return frozenset({self._made_class(arguments, node)})
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

    def _made_class(self, arguments: list[Value], node: ast.Call | None) -> Obj:
        """Make the class that ``type(name, bases, attributes)`` makes."""
        made = Obj("class", constant_text(arguments[0]) or "")
        made.bases = tuple(obj for obj in in_order(contents(arguments[1])) if obj.kind == "class")
        written = node.args[2] if node is not None and len(node.args) == 3 else None
        if isinstance(written, ast.Dict):
            for key, item in zip(written.keys, written.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    made.attrs[key.value] = value = self.evaluate(item)
                    for obj in value:
                        if obj.kind == "function":
                            obj.cls = obj.cls or made
        made.parts |= contents(arguments[2])
        return made

    def module_object(self, qual: str) -> Obj:
        """Return the one object that stands for a module."""
        found: Obj | None = self.ledger.modules.get(qual)
        if found is None:
            found = self.ledger.modules[qual] = self.ledger.members.pop(qual) or self.ledger.one(
                "module", qual
            )
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
