"""Careless notebooks by chance in which most cells run: what a name holds is kept, what is done to it is not.

``generated.py`` throws names and statements together and loses the cells that fail. Here lists stay lists
and functions functions, so that chains of changes get long: closures over closures, methods that change
globals, generators that are consumed three cells later, deletes, imports under conditions.
"""

from __future__ import annotations

import string

from hypothesis import strategies as st

KINDS = {
    "L": ("xs", "ys", "zs"), "M": ("grid", "rows"), "D": ("d", "e"), "I": ("n", "k", "i"), "F": ("f", "g", "h"),
    "A": ("A", "B"), "O": ("p", "q"), "G": ("it", "gen"), "T": ("pair", "both"), "C": ("fs", "table"), "W": ("ctx",),
}  # fmt: skip
"""Letters of the templates below -> names that hold a list of numbers, a list of lists, a dictionary of lists, a
number, a function of (v=None, n=0), a class, an instance, an iterator, a pair of lists, a list of functions and a
context manager."""

FIRST = """\
xs = [1, 2]; ys = [3]; zs = xs
grid = [[1], xs]; rows = [ys]
d = {'k': [1], 'j': xs}; e = {'k': ys}
n = 2; k = 3; i = 0
def f(v=None, n=0): return xs
def g(v=None, n=0): return f(v)
h = lambda v=None, n=0: [k]
class A:
    shared = []
    def __init__(self, v=None): self.v = v if v is not None else []
    def put(self, x): self.v.append(x); return self
    def size(self): return len(self.v) + k
class B(A): pass
p = A(xs); q = B()
it = iter([1, 2, 3]); gen = (x + k for x in xs)
pair = (xs, ys); both = ([1], [2])
fs = [f, g]; table = [h]
import contextlib
@contextlib.contextmanager
def ctx(v=None):
    ys.append(0)
    yield ys
    ys.append(n)"""

STATEMENTS = """\
{L} = [{#}]
{L} = {L2}
{L} = list({L2})
{L} = {L2} + {L3}
{L} = {L2}[:]
{L} = {L2}[1:] or [{I}]
{L} = [x + {I} for x in {L2}]
{L} = [len({L2}) for _ in range(2)]
{L} = [{I} for {I} in range(2)]
{L} = [(y := x) for x in {L2}]; {I} = y
{L} = {D}['k']
{L} = {D}.get('j', {L2})
{L} = {D}.setdefault('z', {L2})
{L} = {M}[0]
{L} = {M}[-1]
{L} = {M}.pop() if len({M}) > 1 else {L2}
{L} = {T}[0]
{L} = {O}.v
{L} = {A}.shared
{L} = {F}({L2})
{L} = {F}(n={I})
{L} = {C}[0]({L2})
{L} = sorted({L2}, key=lambda x: x * {I})
{L} = [*{L2}, *{L3}][:5]
{L} = (lambda: {L2})()
{L} = {L2} if {I} > 2 else {L3}
{L} = {L2} and {L3}
{L} = list({G})
{L} = list(map(lambda x: x + {I}, {L2}))
{L} = [a + b for a, b in zip({L2}, {L3})]
{L} = [x for r in {M} for x in r if x > {I}]
{L} = globals()['{L2}']
{L} = max({L2}, {L3}, key=len)
{L} = eval('{L2}')
{L}: list = {L2}
{L} += [{#}]
{L} += {L2}[:2]
{L} *= 2; del {L}[4:]
{L}.append({#})
{L}.append({I})
{L}.extend({L2}[:2])
{L}.sort()
{L}.reverse()
{L}.clear(); {L}.append({I})
{L}.insert(0, {I})
{L}[0:1] = [{I}]
{L}[:] = [x + {#} for x in {L2}]
del {L}[:1]
del {L}; {L} = [{#}]
del {L}
print({L}, {I})
print(f'{{len({L})}} {{{I}}}')
print(sum({L}), {M})
print({D})
print({T}, {O}.v)
print({O}.size())
print([fn() for fn in {C}])
print({F}({L}))
assert {L} is not None
len({L})
{M} = [{L}, {L2}]
{M} = [{L}] * 2
{M} = [list(r) for r in {M2}]
{M} = list({M2})
{M} = {M2}[:1]
{M} = [r for r in {M2}]
{M} = list({D}.values())
{M}.append({L})
{M}[0].append({I})
{M}[-1] = {L}
{M}[0] += [{#}]
{M}[0], {M}[-1] = {M}[-1], {M}[0]
for r in {M}: r.append({#})
for r in {M}: r = [0]
for {I}, r in enumerate({M}): r.append({I})
for {L} in {M}: pass
for {L}[0:1] in [[{#}]]: pass
[r.append({#}) for r in {M}]
{D} = {{'k': {L}}}
{D} = {{'k': {L}, **{D2}}}
{D} = dict({D2})
{D} = {D2}
{D} = {D2}.copy()
{D} = {{key: {L} for key in 'jk'}}
{D} = {{key: list(v) for key, v in {D2}.items()}}
{D} = dict(zip('kj', {M}))
{D} |= {{'j': {L}}}
{D}['k'] = {L}
{D}['k'].append({I})
{D}['k'] += [{#}]
{D}.update(j={L})
{D}.update({D2})
{D}.pop('j', None)
for key, v in {D}.items(): v.append({#})
for key in {D}: {L} = {D}[key]
{I} = {#}
{I} = {I2} + 1
{I} = len({L})
{I} = {O}.size()
{I} += 1
{I} += len({L})
{I} = next({G}, 0)
{I} = sum({L})
{I} = sum(x for x in {L})
{I}, {L} = len({L}), [{I}]
{I} = (lambda {I}: {I} + {I2})({#})
({I} := len({L}))
{I} = int(any(x > {I2} for x in {L}))
{I} = [x for x in ({I2}, {#})][0]
for {I} in range(3): pass
for {I} in {L}[:2]: {L2}.append({I})
while {I} < 4: {I} += 1
for x in {L}[:3]: {I} = x
{L}, {L2} = {L2}, {L}
{L}, {L2} = {T}
{L}, *{M} = {L2}, {L3}, {L}
({L}, {I}), {L2} = ([{#}], 1), {L3}
{L} = {L2} = [{#}]
{T} = {L}, {L2}
{T} = {T2}
{T} = ([*{L}], {L2})
{T}[0].append({#})
{F} = {F2}
{F} = lambda v=None, n=0: {L}
{F} = lambda v={L}, n={I}: v if v is not None else [n]
{F} = lambda v=None, n=0, keep=[]: keep.append(len(keep)) or keep
{F} = (lambda f: lambda v=None, n=0: [*f(v), {I}])({F2})
{F} = {C}[-1]
{F} = lambda v=None, n=0: [x + {I} for x in {L}]
{F}.seen = {L}
{F}({L})
{F}(n={I})
{C} = [{F}, {F2}]
{C}.append({F})
{C} = [lambda v=None, n=0: {L}]
{C} = [lambda v=None, n=0, i=i: [i, {I}] for i in range(2)]
for i in range(2): {C}.append(lambda v=None, n=0: [i])
{C}[0]({L})
for fn in {C}: fn({L})
{O} = {A}({L})
{O} = {A}()
{O} = {O2}
{O}.v = {L}
{O}.v.append({I})
{O}.put({I})
{O}.put({I}).put({#})
{O}.v, {I} = [{#}], {O}.size()
{O}.extra = {L}
setattr({O}, 'v', {L})
getattr({O}, 'v').append({#})
{O}.size()
{A}.shared = {L}
{A}.shared.append({I})
{O}.shared.append({#})
{A}.size = lambda self: len({L})
{A}.put({O}, {I})
{A} = {A2}
put = {O}.put; put({#})
push = {L}.append; push({I})
{G} = iter({L})
{G} = (x + {I} for x in {L})
{G} = (x for x in {L} if x > {I})
{G} = map(lambda x: x + {I}, {L})
{G} = zip({L}, {L2}); {G} = (a for a, b in {G})
{G} = (len({F}()) for _ in range(2))
{G} = {G2}
{G} = iter({M}[0])
{G} = (y for r in {M} for y in r)
next({G}, None)
{L} = [next({G}, {I})]
{L}.extend(x for x, _ in zip({G}, range(2)))
for x in {G}: {L}.append(x); break
with ctx({L}) as {L2}: {L2}.append({I})
with {W}(): {I} = len({L})
with contextlib.suppress(Exception): {L} = [1 // ({I} - {#})]
with contextlib.suppress(ValueError): {L}.remove({#})
import math; {I} = math.gcd({I2}, {#})
from math import gcd as {F}_gcd; {I} = {F}_gcd({I2}, 4)
from copy import copy; {M} = copy({M2})
import copy as cp; {M} = cp.deepcopy({M2})
from functools import partial; {F} = partial({F2}, {L})
from functools import reduce; {I} = reduce(lambda a, b: a + b + {I2}, {L}, 0)
from itertools import chain; {G} = chain({L}, {L2})
import random; random.seed({I})
import random; {L} = [random.randint(0, 9)]
import random; random.shuffle({L})
exec('{L} = [{#}, {I}]')
exec('{L}.append({#})')
globals()['{L}'] = [{#}]
global {I}; {I} = {#}
{L}.append({#}) if {I} > 2 else {L2}.append({#})
{L} = f'{{{L2}}}' and {L3}
print(*{L}, sep={I} * '-')
print({{x: {I} for x in {L}}})
print(sorted({{tuple(r) for r in {M}}}))
print('{L}' in globals(), {I} in {L})
print(type({O}).__name__, len({C}), callable({F}))
print([{I} for {I} in range(2)], {I})
print((lambda v={I}: v + {I2})())
print(getattr({F}, 'seen', None), {A}.shared)
print(next(iter({L}), None), {T}[1])""".splitlines()

DEFINITIONS = """\
def {F}(v=None, n=0): return {L}
def {F}(v=None, n=0): return [*{L}, n]
def {F}(v=None, n={I}): return [n, {I2}]
def {F}(v={L}, n=0): return v if v is not None else [n]
def {F}(v=None, n=0): return {F2}(v, n)
def {F}(v=None, n=0): return {C}[0](v) if {I} else [{#}]
def {F}(v=None, n=0): {L}.append({#}); return {L}
def {F}(v=None, n=0): {L} = [{#}]; return {L}
def {F}(v=None, n=0): return [x + {I} for x in (v or {L})]
def {F}(v=None, n=0, *rest, **kw): return [len(rest), *kw, {I}]
def {F}(v=None, n=0, keep=[]): keep.append(n); return keep
def {F}(v=None, n=0, keep={L}): keep.append(n); return list(keep)
def {F}(*args, **kw): return list(args[0]) if args and args[0] else {L}
def {F}(*args, **kw): return {F2}(*args, **kw)
def {F}(v=None, n=0): v = v or []; v.append({I}); return v
def {F}(v=None, n=0): {D}['k'] = v or {L}; return {D}['k']
def {F}(v=None, n=0): {O}.put(n); return {O}.v
def {F}(v=None, n=0): {F}.count = getattr({F}, 'count', 0) + 1; return [{F}.count]
def {F}(v=None, n=0): import math; return [math.gcd({I}, n)]
def {F}(v=None, n=0): return [next({G}, 0)]
def {F}(v=None, n=0):
    global {L}
    {L} = [{#}, {I}]
    return {L}
def {F}(v=None, n=0):
    global {I}
    {I} += 1
    return [{I}]
def {F}(v=None, n=0):
    global {I}, {L}
    if v: {I} = len(v)
    else: {L} = [n]
    return {L}
def {F}(v=None, n=0):
    def inner(x):
        return [*(v or []), x, {I}]
    return inner(n)
def {F}(v=None, n=0):
    def inner():
        {L}.append({I})
        def deeper(): return {L2}
        return deeper
    return inner()()
def {F}(v=None, n=0):
    count = 0
    def up():
        nonlocal count
        count += {I}
        return [count]
    up()
    return up()
def make(v):
    kept = [0]
    def inner(w=None, n=0):
        kept.append({I}); v.append(n)
        return kept
    return inner
{F} = make({L})
def make(v):
    def inner(w=None, n=0): return [*v, {I}]
    return inner
{F} = make({L}); {F2} = make({L2})
def deco(fn):
    def wrapped(*args, **kw):
        {L}.append({#})
        return fn(*args, **kw)
    return wrapped
@deco
def {F}(v=None, n=0): return [n, {I}]
def deco(fn):
    {C}.append(fn)
    return fn
@deco
def {F}(v=None, n=0): return {L}
def {F}(v=None, n=0):
    try:
        return [{L}[{#}]]
    except IndexError as error:
        return {L2}
    finally:
        {L3}.append({#})
def {F}(v=None, n=0):
    for x in v or {L}:
        if x > {I}: return [x]
    else:
        {L2}.append({#})
    return {L2}
def {F}(v=None, n=0):
    yield from ()
    yield {I}
    yield from {L}
{G} = {F}({L}); {F} = lambda v=None, n=0: {L2}
def walk():
    for x in list({L}):
        {L2}.append(x)
        yield x + {I}
{G} = walk()
def walk(v):
    while v:
        yield v[0]
        v = v[1:]
{G} = walk({L})
class {A}:
    shared = {L}
    def __init__(self, v=None): self.v = v if v is not None else {L2}
    def put(self, x): self.v.append(x); return self
    def size(self): return len(self.v) + {I}
class {A}:
    shared = []
    def __init__(self, v=None): self.v = list(v or []); self.shared.append({I})
    def put(self, x): {L}.append(x); return self
    def size(self): return len({L}) + len(self.shared)
class {A}({A2}):
    def put(self, x):
        global {I}
        {I} += 1
        return super().put(x)
class {A}({A2}):
    extra = {I}
    def size(self): return super().size() + self.extra
class {A}({A2}):
    values = [{I} for _ in range(2)]
    def __len__(self): return len({L})
    def __bool__(self): return True
class {A}({A2}):
    @property
    def double(self): return {I} * 2
    @classmethod
    def make(cls, *args): cls.shared.append({#}); return cls(*args)
    @staticmethod
    def nothing(): return {L}
    def size(self): self.make(); return self.double + len(self.nothing())
class {A}({A2}):
    def __iter__(self): return iter({L})
    def __getitem__(self, key): return {L}[key]
    def __add__(self, other): self.v.append({I}); return self
class {W}:
    def __init__(self, v=None): self.v = v
    def __enter__(self): {L}.append({#}); return {L2}
    def __exit__(self, *args): {L3}.append({I})
@contextlib.contextmanager
def {W}(v=None):
    before = list({L})
    yield {L}
    {L}[:] = before
if {I} > 2:
    def {F}(v=None, n=0): return {L}
else:
    def {F}(v=None, n=0): return {L2}
if {I} > 2:
    import math as m
    {I2} = m.gcd(6, 4)
elif {L}:
    import cmath as m
    {L} = [int(abs(m.sqrt(4)))]
else:
    del {L}
    {L} = []
try:
    import no_such_module_here as thing
except ImportError:
    thing = {L}
thing.append({#})
try:
    {L} = [{L2}[{#}]]
except (IndexError, TypeError) as problem:
    {I} = len(str(problem))
else:
    {L3}.append({I})
try:
    {L}.append({I})
    {I} = {L}[{#}]
    {L2} = [{I}]
except Exception:
    {L2} = {L3}
finally:
    {I2} = {#}
for i in range(2):
    for j in range(2):
        if j > i: continue
        {L}.append(i + j)
    else:
        {I} = j
for x in {L}:
    if x > {I}:
        {L2} = [x]
        break
else:
    {L2} = {L3}
while True:
    {I} += 1
    if {I} > {#}: break
    {L}.append({I}); {L} = {L}[-3:]
match {L}:
    case [{I}, *rest]:
        {L2} = rest
    case []:
        {L2} = [{#}]
match {D}:
    case {{'k': [{I}, *_], **others}}: {D} = {{'k': [{I}]}}
    case {{'k': {L}}} if {I} > 2: {L}.append({I})
    case _: {L2}.append({#})
with ctx() as {L}, contextlib.suppress(ZeroDivisionError):
    {L2}.append({I})
    {I} = 1 // ({I} - {I2})
if (m := len({L})) > 1 and ({I} := m):
    {L2} = {L}
if {L}:
    del {L}
    {L} = {L2}
if not {L}: {L} = [{#}]
elif {I} > 2: {L}.append({I})
for {I} in range(2):
    {F} = lambda v=None, n=0: [{I}]
    {C}.append({F})
async def later(): return {L}.append({I}) or {L2}
c = later()
try: c.send(None)
except StopIteration as stop: {L3} = stop.value
for r in {M}:
    for {I} in r[:1]:
        {L} = r
def swap(): globals().update({L}={L2}, {L2}={L})
swap()
r = {L}
r += [{#}]
r = r + [{I}]
r.append({#})
alias = {L}; alias[0:1] = [{I}]; del alias""".splitlines()


def _blocks(lines: list[str]) -> list[str]:
    """Join lines to pieces of code: what is indented, and what continues, belongs to what stands before it."""
    found: list[str] = []
    for line in lines:
        continues = line.startswith((" ", "else", "elif", "except", "finally"))
        decorated = bool(found) and found[-1].splitlines()[-1].startswith("@")
        if continues or decorated:
            found[-1] += "\n" + line
        else:
            found.append(line)
    return found


def _holes(template: str) -> list[str]:
    return sorted({field for _, field, _, _ in string.Formatter().parse(template) if field})


@st.composite
def _filled(draw: st.DrawFn, templates: list[str]) -> str:
    """One of *templates* with its holes filled."""
    template = draw(st.sampled_from(templates))
    values = {
        hole: str(draw(st.integers(0, 5))) if hole == "#" else draw(st.sampled_from(KINDS[hole[0]]))
        for hole in _holes(template)
    }
    return template.format_map(values)


def _grouped(lines: list[str]) -> list[str]:
    """Blocks, with what uses a helper (``make``, ``deco``, …) kept with it."""
    found: list[str] = []
    for block in _blocks(lines):
        follows = block.split("(")[0].split(" ")[0] in {
            "swap",
            "thing.append",
            "r.append",
            "try:",
        } or block.startswith(
            ("{F} = make(", "{G} = {F}(", "{G} = walk(", "@deco", "c = later", "r = r", "r +=")
        )
        after = found[-1] if found else ""
        if follows and after.startswith(
            (
                "def swap",
                "def make",
                "def walk",
                "def deco",
                "async def",
                "r = {L}",
                "def {F}(v=None, n=0):\n    yield",
                "try:\n    import",
            )
        ):
            found[-1] += "\n" + block
        else:
            found.append(block)
    return found


statement = _filled(STATEMENTS)
definition = _filled(_grouped(DEFINITIONS))


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


@st.composite
def _wrapped(draw: st.DrawFn) -> str:
    """A statement where it may not run, may run twice, or runs in a function."""
    body = _indented(draw(statement))
    test = draw(_filled(["if {I} > {#}:", "if {L}:"]))
    other = _indented(draw(statement))
    ways = [
        f"{test}\n{body}",
        f"{test}\n{body}\nelse:\n{other}",
        f"{test}\n{_indented(draw(definition))}",
        f"try:\n{body}\nexcept Exception:\n{other}",
        f"for _ in range(2):\n{body}",
    ]
    if "global" not in body:
        ways.append(f"def job():\n{body}\njob()")
    return draw(st.sampled_from(ways))


@st.composite
def _cell(draw: st.DrawFn) -> str:
    way = draw(st.integers(0, 5))
    if way == 0:
        return draw(definition)
    if way == 1:
        return draw(_wrapped())
    return "\n".join(draw(statement) for _ in range(max(1, way - 2)))


typed_notebooks = st.lists(_cell(), min_size=4, max_size=12).map(lambda cells: [FIRST, *cells])
