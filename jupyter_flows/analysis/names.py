"""What statements read, bind, change and delete, by Python's own scoping rules and control flow.

Branches are walked one after the other from the same beginning and joined, so that a conditional write
keeps the earlier writer. Loops are walked twice: the second round sees what the first one left.
"""

from __future__ import annotations

import ast

from jupyter_flows.analysis.aliases import State
from jupyter_flows.analysis.classes import lookup
from jupyter_flows.analysis.definitions import Definitions
from jupyter_flows.analysis.objects import EMPTY, Binding, Frame, Obj, Value, Write, contents, in_order
from jupyter_flows.analysis.scopes import FunctionNode, target_names, terminates
from jupyter_flows.analysis.syntax import parse

_REPLACED = frozenset({"str", "tuple", "numbers", "mask", "builtin"})
"""Kinds of which an augmented assignment makes a new object."""
_SWALLOWERS = frozenset({"suppress", "raises", "assertRaises", "ExitStack"})


class Statements(Definitions):
    """Walks statements."""

    def begin_cell(self) -> None:
        """Forget what is per cell."""
        super().begin_cell()
        self.loop_depth = 0
        self.exits: list[State] = []
        """Bindings at the places where control leaves the function early."""
        self.raised = EMPTY
        self.breaks: list[State] = []

    # -- whole cells and bodies --------------------------------------------------------------------------

    def walk_cell(self, body: list[ast.stmt]) -> None:
        """Walk a cell's statements; the last expression is shown, not thrown away."""
        self.walk(body[:-1])
        if not body:
            return
        last = body[-1]
        if isinstance(last, ast.Expr):
            self.ledger.line = last.lineno
            self.shown = last.value
            value = self.evaluate(last.value)
            self.consume(value)
            self.operate(value)
            self.shows(value)
        else:
            self.walk([last])

    def run_source(self, source: str, *, isolated: bool = False) -> Value:
        """Walk Python text as if it stood here; *isolated* if its bindings are thrown away."""
        tree = parse(source).tree
        if tree is None or len(self.active) > 20:
            return EMPTY
        marker = Obj("text")
        self.active.append(marker)
        if self.frame.kind == "function":
            # Text is compiled apart from the function: a local that has no value yet hides no global.
            unbound = self.frame.locals - set(self.frame.variables)
            for node in ast.walk(tree):
                if isinstance(node, ast.Name) and node.id in unbound and isinstance(node.ctx, ast.Load):
                    self.ledger.read_name(node.id)
        for node in ast.walk(tree):
            if hasattr(node, "lineno"):
                node.lineno = self.ledger.line  # lines of the text mean nothing in the cell
        outer = self.frame
        if isolated:
            self.frame = Frame("function", outer)
            self.frame.locals = {name for statement in tree.body for name in _bound_by(statement)}
        try:
            self.walk(tree.body[:-1])
            if tree.body and isinstance(tree.body[-1], ast.Expr):
                return self.evaluate(tree.body[-1].value)
            self.walk(tree.body[-1:])
            return EMPTY
        finally:
            self.frame = outer
            self.active.remove(marker)

    def walk_body(self, node: FunctionNode) -> Value:
        """Walk a function's body in the frame at work and return what it returns."""
        frame = self.frame
        own = self._type_parameters(node, getattr(node, "name", ""))
        if own:
            self.hidden_names = [*self.hidden_names, own]
        if isinstance(node, ast.Lambda):
            return self.evaluate(node.body)
        exits, self.exits = self.exits, []
        breaks, self.breaks = self.breaks, []
        depth, self.loop_depth = self.loop_depth, 0
        try:
            self.walk(node.body)
            for state in self.exits:
                self.join(state)
        finally:
            self.exits, self.breaks, self.loop_depth = exits, breaks, depth
        return frozenset(frame.returns)

    def walk(self, body: list[ast.stmt]) -> None:
        """Walk statements one after the other."""
        for statement in body:
            if not self.ledger.through:
                self.ledger.line = statement.lineno
            method = getattr(self, f"_do_{type(statement).__name__.lower()}", None)
            if method is not None:
                method(statement)
            else:
                for child in ast.iter_child_nodes(statement):
                    if isinstance(child, ast.expr):
                        self.evaluate(child)

    # -- assignments -------------------------------------------------------------------------------------

    def _do_expr(self, node: ast.Expr) -> None:
        outer, self.thrown_away = self.thrown_away, None
        inner = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(inner, ast.Call):
            self.thrown_away = inner
        self.evaluate(node.value)
        self.thrown_away = outer

    def _do_assign(self, node: ast.Assign) -> None:
        value = self.evaluate(node.value)
        for target in node.targets:
            self.assign(target, value, node.value)

    def _do_annassign(self, node: ast.AnnAssign) -> None:
        if self.frame.kind != "function":
            self.annotation(node.annotation)
        if node.value is not None:
            self.assign(node.target, self.evaluate(node.value), node.value)
        elif not isinstance(node.target, ast.Name):
            self.evaluate(node.target)

    def _do_augassign(self, node: ast.AugAssign) -> None:
        target = node.target
        if isinstance(target, ast.Name):
            old = self.load(target.id)
            self._augment(target, old, self.evaluate(node.value))
            self.store(target.id, old, "augmented")
            return
        added = self.evaluate(node.value)
        # What is assigned is the item that was there: other names of it see the change.
        old = self.evaluate(target)
        self._augment(target, old, added)
        self.assign(target, old, None, how="augmented assignment")

    def _augment(self, target: ast.expr, old: Value, added: Value) -> None:
        """Change in place what ``+=`` finds, unless it can only make something new."""
        self.operate(old)
        if any(obj.kind not in _REPLACED for obj in old):
            self.ledger.change(old, "augmented assignment", label=self.root_label(target))
            for obj in old:
                obj.parts |= contents(added)

    def _do_typealias(self, node: ast.stmt) -> None:  # Python 3.12
        self.store(node.name.id, frozenset({Obj()}), "type alias")  # type: ignore[attr-defined]

    def assign(
        self, target: ast.expr, value: Value, source: ast.expr | None, *, how: str = "assigned"
    ) -> None:
        """Give *value* to a target of any form."""
        if isinstance(target, ast.Name):
            self.store(target.id, value, how)
        elif isinstance(target, ast.Starred):
            made = Obj("list")
            made.parts |= value
            self.assign(target.value, frozenset({made}), None, how=how)
        elif isinstance(target, (ast.Tuple, ast.List)):
            self._unpack(target, value, source, how=how)
        elif isinstance(target, ast.Attribute):
            container = self.evaluate(target.value)
            self.operate(container)
            self.changes_hidden(self._rc_owner(container), None)
            self._change_path(
                target.value, container, f"attribute `{target.attr}` set" if how == "assigned" else how
            )
            for obj in in_order(container):
                obj.attrs[target.attr] = obj.attrs.get(target.attr, EMPTY) | value
                if obj.kind == "module":
                    # Whoever imports the attribute by itself meets what was put there.
                    self.ledger.change(
                        frozenset({self.member(obj, target.attr)}), f"attribute `{target.attr}` set"
                    )
                setter = lookup(obj.cls, target.attr) if obj.cls is not None else EMPTY
                if setter:
                    self.invoke(setter, [frozenset({obj}), value], {})
        elif isinstance(target, ast.Subscript):
            container = self.evaluate(target.value)
            self.evaluate(target.slice)
            if self._store_in_namespace(container, target.slice, value) or self.changes_hidden(
                container, target.slice
            ):
                return
            self.operate(container)
            self._change_path(target.value, container, "item assignment" if how == "assigned" else how)
            for obj in in_order(container):
                obj.parts |= value
        else:
            self.evaluate(target)

    def _rc_owner(self, container: Value) -> Value:
        return frozenset(
            obj for obj in container if obj.qual.endswith("rcParams") or obj.qual.startswith("pandas.options")
        )

    def _change_path(self, path: ast.expr, container: Value, how: str) -> None:
        """Change what a path ends in, and what it goes through: ``a.b()["c"].d = 1``."""
        label = self.root_label(path)
        self.ledger.change(container, how, label=label)
        node = path
        while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
            is_copy = (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in {"copy", "deepcopy"}
            )
            if is_copy:
                return
            node = node.func if isinstance(node, ast.Call) else node.value
        if isinstance(node, ast.Name) and node is not path and node.id not in {"self", "cls"}:
            root = self.load(node.id)
            # What is made by a function of the notebook was followed already.
            if not any(obj.kind in {"function", "class", "builtin"} for obj in root):
                self.ledger.change(root, how, label=label)

    def _unpack(
        self, target: ast.Tuple | ast.List, value: Value, source: ast.expr | None, *, how: str
    ) -> None:
        elements = target.elts
        written = source.elts if isinstance(source, (ast.Tuple, ast.List)) else []
        has_star = any(isinstance(element, ast.Starred) for element in (*elements, *written))
        if len(written) == len(elements) and not has_star:
            # The right-hand side has been read as a whole; here each target gets its own piece again.
            pieces = [self.evaluate(piece) for piece in written]
            for element, piece, inner in zip(elements, pieces, written, strict=True):
                self.assign(element, piece, inner, how=how)
            return
        given = self.iterate(value)
        is_separate = bool(value) and all(obj.kind == "unknown" for obj in value)
        for element in elements:
            # Results of a library function are taken to be separate objects, as in train, test = split(…).
            piece = frozenset({Obj()}) if is_separate and not isinstance(element, ast.Starred) else given
            if is_separate:
                for obj in in_order(value):
                    obj.parts |= piece
            self.assign(element, piece, None, how=how)

    def _store_in_namespace(self, container: Value, key: ast.expr, value: Value) -> bool:
        if not any(obj.kind == "namespace" for obj in container):
            return False
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            self.ledger.bind_name(key.value, value, "assigned through the namespace")
        else:
            self.opaque("assigns names that are only known when it runs")
        return True

    def _do_delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            self._delete(target)

    def _delete(self, target: ast.expr) -> None:
        if isinstance(target, (ast.Tuple, ast.List)):
            for element in target.elts:
                self._delete(element)
        elif isinstance(target, ast.Name):
            for obj in in_order(self.load(target.id)):
                if obj.cls is not None:
                    self.invoke(lookup(obj.cls, "__del__"), [frozenset({obj})], {})
            home = self.home_of(target.id)
            if home.kind == "module":
                self.ledger.delete_name(target.id)
            else:
                home.variables.pop(target.id, None)
        elif isinstance(target, (ast.Attribute, ast.Subscript)):
            container = self.evaluate(target.value)
            if isinstance(target, ast.Subscript):
                self.evaluate(target.slice)
                self.hidden_item(container, target.slice)
                if any(obj.kind == "namespace" for obj in container):
                    if isinstance(target.slice, ast.Constant):
                        self.ledger.delete_name(str(target.slice.value))
                    else:
                        self.opaque("deletes names that are only known when it runs")
                    return
                if self.changes_hidden(container, target.slice):
                    return
            self._change_path(
                target.value,
                container,
                "item deleted" if isinstance(target, ast.Subscript) else "attribute deleted",
            )

    def _do_return(self, node: ast.Return) -> None:
        self.frame.returns |= self.evaluate(node.value)
        self.exits.append(self.snapshot())

    def _do_raise(self, node: ast.Raise) -> None:
        self.raised |= self.evaluate(node.exc) | self.evaluate(node.cause)

    # -- control flow ------------------------------------------------------------------------------------

    def _do_if(self, node: ast.If) -> None:
        self.operate(self.evaluate(node.test))
        before = self.snapshot()
        self.walk(node.body)
        after = self.snapshot()
        self.restore(before)
        self.walk(node.orelse)
        if terminates(node.orelse) and not terminates(node.body):
            self.restore(after)
        elif not terminates(node.body):
            self.join(after)

    def _do_for(self, node: ast.For | ast.AsyncFor) -> None:
        source = self.evaluate(node.iter)
        self._loop(
            node.body,
            node.orelse,
            lambda: self.assign(node.target, self.iterate(source), None, how="loop variable"),
        )

    _do_asyncfor = _do_for

    def _do_while(self, node: ast.While) -> None:
        self.operate(self.evaluate(node.test))
        self._loop(
            node.body,
            node.orelse,
            lambda: self.operate(self.evaluate(node.test)),
            endless=_is_true(node.test),
        )

    def _loop(
        self, body: list[ast.stmt], orelse: list[ast.stmt], head: object, *, endless: bool = False
    ) -> None:
        assert callable(head)
        outer, self.breaks = self.breaks, []
        before = self.snapshot()
        self.loop_depth += 1
        # Nested loops are walked twice by their outermost loop already.
        for _ in range(2 if self.loop_depth == 1 else 1):
            head()
            self.walk(body)
            if not endless:
                self.join(before)
        self.loop_depth -= 1
        self.walk(orelse)
        for state in self.breaks:
            self.join(state)
        self.breaks = outer

    def _do_break(self, node: ast.stmt) -> None:
        self.breaks.append(self.snapshot())
        del node

    _do_continue = _do_break

    def _do_with(self, node: ast.With | ast.AsyncWith) -> None:
        before = self.snapshot()
        may_swallow = False
        for item in node.items:
            value = self.evaluate(item.context_expr)
            entered: set[Obj] = set()
            for obj in in_order(value):
                own = (
                    lookup(obj.cls, "__enter__") | lookup(obj.cls, "__aenter__")
                    if obj.cls is not None
                    else EMPTY
                )
                if own:
                    given = self.invoke(own, [frozenset({obj})], {})
                    entered |= given | self.consume(given)
                    entered.add(obj)
                else:
                    entered |= self.consume(frozenset({obj})) | {obj}
            self.operate(value)
            may_swallow |= any(
                obj.qual.rpartition(".")[2] in _SWALLOWERS or obj.cls is not None for obj in value
            )
            if item.optional_vars is not None:
                self.assign(item.optional_vars, frozenset(entered), None, how="bound by with")
        self.walk(node.body)
        if may_swallow:
            self.join(before)

    _do_asyncwith = _do_with

    def _do_try(self, node: ast.Try) -> None:
        before = self.snapshot()
        self.walk(node.body)
        after_body = self.snapshot()
        self.walk(node.orelse)
        after_else = self.snapshot()
        endings = [] if terminates(node.orelse or node.body) else [after_else]
        for handler in node.handlers:
            self.restore(before)
            self.join(after_body)
            self.evaluate(handler.type)
            if handler.name:
                caught = Obj()
                caught.parts |= self.raised
                self.store(handler.name, frozenset({caught}), "bound by except")
            self.walk(handler.body)
            if handler.name:
                self._unbind_quietly(handler.name)
            if not terminates(handler.body):
                endings.append(self.snapshot())
        if endings:
            self.restore(endings[0])
            for state in endings[1:]:
                self.join(state)
        elif node.finalbody:
            self.restore(before)
            self.join(after_body)
        self.walk(node.finalbody)

    _do_trystar = _do_try

    def _unbind_quietly(self, name: str) -> None:
        """Take the name of ``except … as name`` away, as Python does at the end of the handler."""
        home = self.home_of(name)
        write = Write(self.ledger.cell, self.ledger.line, "unbound at the end of except")
        home.variables[name] = Binding((write,) if home.kind == "module" else (), EMPTY, is_deleted=True)

    def _do_match(self, node: ast.Match) -> None:
        subject = self.evaluate(node.subject)
        self.operate(subject)
        before = self.snapshot()
        endings: list[State] = []
        is_complete = False
        for case in node.cases:
            self.restore(before)
            self._pattern(case.pattern, subject)
            # Captures of a pattern that failed halfway may stay bound.
            partial = self.snapshot()
            self.evaluate(case.guard)
            self.walk(case.body)
            if not terminates(case.body):
                endings.append(self.snapshot())
            irrefutable = isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None
            if irrefutable and case.guard is None:
                is_complete = True
            else:
                self.restore(before)
                if case.guard is not None:
                    self.join(partial)
                before = self.snapshot()
        if not is_complete:
            endings.append(before)
        if endings:
            self.restore(endings[0])
            for state in endings[1:]:
                self.join(state)

    def _pattern(self, pattern: ast.pattern, subject: Value) -> None:
        if isinstance(pattern, ast.MatchValue):
            self.evaluate(pattern.value)
        elif isinstance(pattern, ast.MatchAs):
            if pattern.pattern is not None:
                self._pattern(pattern.pattern, subject)
            if pattern.name is not None:
                self.store(pattern.name, subject, "captured by match")
        elif isinstance(pattern, ast.MatchStar):
            if pattern.name is not None:
                rest = Obj("list")
                rest.parts |= subject
                self.store(pattern.name, frozenset({rest}), "captured by match")
        elif isinstance(pattern, ast.MatchMapping):
            for key in pattern.keys:
                self.evaluate(key)
            for inner in pattern.patterns:
                self._pattern(inner, contents(subject))
            if pattern.rest is not None:
                others = Obj("dict")
                others.parts |= contents(subject)
                self.store(pattern.rest, frozenset({others}), "captured by match")
        elif isinstance(pattern, ast.MatchClass):
            self.evaluate(pattern.cls)
            for inner in (*pattern.patterns, *pattern.kwd_patterns):
                self._pattern(inner, contents(subject))
        elif isinstance(pattern, ast.MatchSequence):
            for inner in pattern.patterns:
                self._pattern(inner, contents(subject))
        elif isinstance(pattern, ast.MatchOr):
            for inner in pattern.patterns:
                self._pattern(inner, subject)


def _is_true(test: ast.expr) -> bool:
    return isinstance(test, ast.Constant) and bool(test.value)


def _bound_by(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.Assign):
        return {name for target in statement.targets for name in target_names(target)}
    return set()
