"""Small careless notebooks by chance: rebinding, aliases, changes in place, functions, loops, deletes."""

from __future__ import annotations

from hypothesis import strategies as st

NAMES = ("a", "b", "c", "d")
FUNCTIONS = ("f", "g")

name = st.sampled_from(NAMES)
function = st.sampled_from(FUNCTIONS)
number = st.integers(1, 9)


def _line(template: str) -> st.SearchStrategy[str]:
    return st.builds(
        lambda x, y, z, f, g, n: template.format(x=x, y=y, z=z, f=f, g=g, n=n),
        name,
        name,
        name,
        function,
        function,
        number,
    )


SIMPLE = [
    "{x} = [{n}]", "{x} = {n}", "{x} = {{'k': [{n}]}}", "{x} = {y}", "{x} = [{y}, {n}]", "{x} = {{'k': {y}}}",
    "{x} = list({y})", "{x} = {y} + {y}", "{x} = len([{y}])", "{x} = {y}[0]", "{x} = {y}['k']", "{x} = {y}[:1]",
    "{x} = type({y}).__name__", "{x}.append({n})", "{x}.append({y})", "{x}['k'] = {y}", "{x}['k'].append({n})",
    "{x}[0] = {n}", "{x}[0].append({n})", "{x} += [{n}]", "{x} *= 2", "del {x}", "{x}.clear()", "{x}, {y} = {y}, {x}",
    "{x}, {y} = [{n}], {z}", "{x} = ({y}, {z})", "print({x})", "print({x}, {y})", "{x} = [i for i in {y}]",
    "{x} = [{y} for i in range(2)]", "{x} = (i for i in {y})", "{x} = {y} or {z}", "{x} = {y} if {z} else {x}",
    "{x} = next(iter({y}))", "{x} = iter({y})", "{x} = dict(k={y})", "{x} = {y}.copy()", "{x}.extend(list({y})[:4])",
    "{x} = {y}.pop()", "{x}.insert(0, {y})", "{x} = {y}.setdefault('k', {z})", "{x}.update(k={y})", "{x} = {y}.get('k')",
    "{x} = {f}({y})", "{f}({x})", "{x} = {f}", "{x} = {y}({z})", "{x} = [{f}, {g}]", "{x} = map({f}, {y})", "{x} = list(map({f}, {y}))",
    "{x} = {f}(n={y})", "{f} = {g}", "{x} = lambda v, k={y}: (v, k)", "{x} = lambda v: ({y}, v)", "{x} = max({y}, {z}, key=lambda v: type(v).__name__)",
    "{x} = sum(({y} for i in range(2)), [])", "{x} = {{**{y}}}", "{x} = [*{y}]", "for {x} in {y}: pass", "for {x} in {y}: {x}.append({n})",
    "for i in range(2): {x} = {y}; {y} = {z}", "{x}: list = {y}", "({x} := {y})", "{x} = f'{{type({y}).__name__}}'", "assert {x}", "{x} = {y} == {z}",
    "{x} = {y}.append", "{x}({n})", "{x} = enumerate({y})", "{x} = zip({y}, {z})", "{x} = list({y}.items())", "{x} = [v for k, v in {y}.items()]",
]  # fmt: skip
DEFINITIONS = [
    "def {f}(v=None, n=0): return [{x}, v]", "def {f}(v=None, n=0):\n    v.append({n})\n    return v",
    "def {f}(v=None, n=0):\n    {x}.append({n})", "def {f}(v=None, n=0):\n    global {x}\n    {x} = [{y}]\n    return v",
    "def {f}(v=None, n={y}): return n", "def {f}(v=None, n=0): return {g}(v)", "def {f}(v=None, n=0):\n    {x} = [v]\n    {x}.append({n})\n    return {x}",
    "def {f}(v=None, n=[]):\n    n.append(1)\n    return n", "def {f}(v=None, n=0):\n    yield {x}\n    yield v",
    "def {f}(v=None, n=0):\n    def inner(): return [{x}, v]\n    return inner", "class {f}:\n    s = []\n    def __init__(self, v=None, n=0):\n        self.v = v\n        self.s.append({x})",
    "def {f}(v=None, n=0):\n    if v: return {x}\n    return {y}", "def {f}(v=None, n=0):\n    try:\n        return {x}[0]\n    except Exception:\n        return {y}",
    "{f} = lambda v=None, n=0: [{x}, v]", "def {f}(v=None, n=0):\n    for i in v: i.append({n})\n    return {x}",
]  # fmt: skip

statement = st.one_of([_line(template) for template in SIMPLE])
definition = st.one_of([_line(template) for template in DEFINITIONS])


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


conditional = st.builds(
    lambda test, yes, no: f"if {test}:\n{_indented(yes)}" + (f"\nelse:\n{_indented(no)}" if no else ""),
    name, statement, st.one_of(st.none(), statement),
)  # fmt: skip
attempt = st.builds(
    lambda body, other: f"try:\n{_indented(body)}\nexcept Exception:\n{_indented(other)}",
    statement,
    statement,
)
loop = st.builds(lambda x, y, body: f"for {x} in [{y}]:\n{_indented(body)}", name, name, statement)
cell = st.one_of(
    statement, statement, statement, definition, definition, conditional, attempt, loop,
    st.builds(lambda a, b: f"{a}\n{b}", statement, statement),
)  # fmt: skip
FIRST = (
    "a = [1]\nb = [[2]]\nc = {'k': [3]}\nd = 4\ndef f(v=None, n=0): return v\ndef g(v=None, n=0): return [v]"
)
notebooks = st.lists(cell, min_size=2, max_size=8).map(lambda cells: [FIRST, *cells])
