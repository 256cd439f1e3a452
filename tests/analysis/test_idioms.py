"""What careless notebooks do with libraries; the truth comes from running them with each cell left out."""

from __future__ import annotations

import sys
import warnings

import pytest

from tests.analysis.cases import closure, graph, pairs
from tests.analysis.oracle import dependent_pairs, run

CASES: dict[str, list[str]] = {
    "monkeypatch via from": ["import colorsys", "colorsys.hsv_to_rgb = lambda h, s, v: 'no'", "from colorsys import hsv_to_rgb", "print(hsv_to_rgb(1, 1, 1))", "import importlib; importlib.reload(colorsys)"],
    "monkeypatch sys.modules": ["import sys, types", "m = types.ModuleType('mymod'); m.x = 3\nsys.modules['mymod'] = m", "import mymod", "print(mymod.x)", "sys.modules.pop('mymod')"],
    "cache cleared": ["import functools\nlog=[]", "@functools.lru_cache(None)\ndef f(x):\n    log.append(x)\n    return x", "f(1)", "f(1)", "f.cache_clear()", "f(1)", "print(log)"],
    "cache counted": ["import functools", "@functools.cache\ndef f(x): return x", "f(1)", "print(f.cache_info())"],
    "cached_property": ["import functools\nk=[1]", "class A:\n    @functools.cached_property\n    def p(self): return k[0]", "a = A()", "a.p", "k[0] = 5", "print(a.p)"],
    "singledispatch": ["import functools", "@functools.singledispatch\ndef f(x): return 'o'", "@f.register\ndef _(x: int): return 'i'", "print(f(1))"],
    "singledispatch by call": ["import functools", "@functools.singledispatch\ndef f(x): return 'o'", "f.register(int, lambda x: 'i')", "print(f(1))"],
    "logger writes into a buffer": ["import logging, io\nbuf = io.StringIO()", "logging.getLogger('a').addHandler(logging.StreamHandler(buf))", "logging.getLogger('a').setLevel(20)", "logging.getLogger('a').info('x')", "print(buf.getvalue())", "logging.getLogger('a').handlers.clear()"],
    "list of filters of warnings": ["import warnings", "n = len(warnings.filters)", "warnings.filters.insert(0, ('ignore',None,Warning,None,0))", "print(len(warnings.filters))", "warnings.filters.pop(0)"],
    "nditer writes": ["import numpy as np\na=np.zeros(2)", "for x in np.nditer(a, op_flags=['readwrite']):\n    x[...] = 3", "print(a)"],
    "ufunc at": ["import numpy as np\na=np.zeros(2)", "np.add.at(a,[0,0],1)", "print(a)"],
    "a ufunc writes into its third argument": ["import numpy as np\na=np.zeros(2)", "np.add(a,1,a)", "print(a)"],
    "print options of numpy": ["import numpy as np\na=np.array([1.23456])", "np.set_printoptions(precision=2)", "print(a)", "np.set_printoptions(precision=8)"],
    "meshgrid without copies": ["import numpy as np\na=np.zeros(3)", "x,y=np.meshgrid(a,a,copy=False)", "a[0]=3", "print(x)"],
    "einsum gives a view": ["import numpy as np\na=np.zeros((2,2))", "d=np.einsum('ii->i',a)", "d[:]=1", "print(a)"],
    "vectorize calls late": ["import numpy as np\nk=2", "f=np.vectorize(lambda x:x*k)", "k=4", "print(f([1]))"],
    "memmap writes a file": ["import numpy as np\nm=np.memmap('m.bin',dtype='u1',mode='w+',shape=(4,))", "m[0]=4; m.flush()", "print(np.fromfile('m.bin',dtype='u1'))"],
    "savez adds its suffix": ["import numpy as np\na=np.arange(3)", "np.savez('x',a=a)", "print(np.load('x.npz')['a'])"],
    "np.save adds its suffix": ["import numpy as np\na=np.arange(3)", "np.save('x',a)", "print(np.load('x.npy'))"],
    "pyplot style": ["import matplotlib.pyplot as plt\nx=1", "plt.style.use('ggplot')", "print(plt.rcParams['axes.facecolor'])", "plt.rcdefaults()"],
    "pyplot interactive": ["import matplotlib.pyplot as plt\nplt.ioff()", "plt.ion()", "print(plt.isinteractive())", "plt.ioff()"],
    "pipeline fits its steps": ["from sklearn.linear_model import LinearRegression\nfrom sklearn.preprocessing import StandardScaler\nfrom sklearn.pipeline import Pipeline", "sc=StandardScaler(); lr=LinearRegression()", "p=Pipeline([('s',sc),('l',lr)])", "p.fit([[1],[2]],[1,2])", "print(sc.mean_)"],
    "shelf in a file": ["import shelve", "s=shelve.open('sh')", "s['a']=1", "s.close()", "print(shelve.open('sh')['a'])"],
    "database in a file": ["import sqlite3", "c=sqlite3.connect('x.db'); c.execute('create table t(a)'); c.execute('insert into t values (1)'); c.commit(); c.close()", "c2=sqlite3.connect('x.db')", "print(c2.execute('select * from t').fetchall())"],
    "archive": ["import zipfile", "with zipfile.ZipFile('a.zip','w') as z: z.writestr('a','1')", "with zipfile.ZipFile('a.zip') as z: print(z.read('a'))"],
    "subprocess reads a file": ["import subprocess", "open('sp.txt','w').write('1')", "print(subprocess.check_output(['cat','sp.txt']))"],
    "subprocess writes a file": ["import subprocess", "subprocess.run('echo 1 > spo.txt',shell=True)", "print(open('spo.txt').read())"],
    "environment variable deleted": ["import os", "os.environ['QQ']='1'", "print(os.getenv('QQ'))", "del os.environ['QQ']"],
    "printed into a buffer": ["import io,contextlib\nbuf=io.StringIO()", "with contextlib.redirect_stdout(buf): print('x')", "print(buf.getvalue())"],
    "decimal context": ["from decimal import getcontext, Decimal", "getcontext().prec=3", "x=Decimal(1)/3", "print(x)", "getcontext().prec=28"],
    "exit stack calls back": ["import contextlib\nlog=[]", "st=contextlib.ExitStack()", "st.callback(log.append,1)", "st.close()", "print(log)"],
    "tee shares its source": ["import itertools\nit=iter([1,2,3])", "a,b=itertools.tee(it)", "next(a)", "next(it)", "print(list(b))"],
    "starmap calls late": ["import itertools\nk=1", "s=itertools.starmap(lambda a,b:a*b*k,[(1,2)])", "k=5", "print(list(s))"],
    "attrgetter shares": ["import operator\nclass C: pass\nc=C(); c.x=[1]", "g=operator.attrgetter('x')", "g(c).append(2)", "print(c.x)"],
    "metaclass is inherited": ["class Meta(type):\n    reg=[]\n    def __init__(cls,n,b,d):\n        super().__init__(n,b,d)\n        Meta.reg.append(n)", "class A(metaclass=Meta): pass", "class B(A): pass", "print(Meta.reg)"],
    "derived classes are listed": ["class Base: pass", "class A(Base): pass", "class B(Base): pass", "print([c.__name__ for c in Base.__subclasses__()])"],
    "finalizer": ["log=[]", "class A:\n    def __del__(s): log.append(1)", "a=A()", "del a", "print(log)"],
    "partial of a changing method": ["import functools\nxs=[]", "p=functools.partial(list.append,xs)", "p(1)", "print(xs)"],
    "reduce hands on its start": ["import functools\nacc=[]", "functools.reduce(lambda a,b:(a.append(b),a)[1],[1,2],acc)", "print(acc)"],
    "pack into": ["import struct\nb=bytearray(4)", "struct.pack_into('i',b,0,7)", "print(b)"],
    "pointer": ["import ctypes\nn=ctypes.c_int(1)", "p=ctypes.pointer(n)", "p.contents.value=5", "print(n.value)"],
    "set of an unknown object": ["import configparser\nc=configparser.ConfigParser()", "c['a']={'x':'1'}", "c.set('a','y','2')", "print(dict(c['a']))"],
    "child of an element": ["import xml.etree.ElementTree as ET\nr=ET.Element('a')", "c=ET.SubElement(r,'b')", "c.set('k','v')", "c.text='t'", "print(ET.tostring(r))"],
    "globals of a frame": ["import inspect\nk=1", "def f(): return inspect.currentframe().f_globals['k']", "k=3", "print(f())"],
    "class made by type()": ["k=1", "A=type('A',(),{'m':lambda s:k})", "k=4", "print(A().m())"],
    "cached result is kept": ["import functools\nk = 1", "@functools.lru_cache\ndef f(x): return x * k", "f(2)", "k = 5", "print(f(2))"],
    "compressed file": ["import gzip", "with gzip.open('a.gz', 'wt') as f: f.write('1')", "print(gzip.open('a.gz', 'rt').read())"],
    "patched function of a module reads globals": ["import math\nk = 1", "real = math.sqrt\nmath.sqrt = lambda x: k", "k = 5", "print(math.sqrt(4))", "math.sqrt = real"],
    "star pattern shares elements": ["p=[1,[2],3]", "match p:\n    case [a,*b]: pass", "b[0].append(1)", "print(p)"],
    "patched by mock": ["from unittest import mock\nimport math", "p=mock.patch('math.floor', lambda x: 99); p.start()", "print(math.floor(1.5))", "p.stop()"],
    "dict.fromkeys shares its value": ["v=[]", "d=dict.fromkeys('ab',v)", "d['a'].append(1)", "print(v)"],
    "choice shares its element": ["import random\na=[[2]]", "m=random.choice(a)", "m.append(9)", "print(a)"],
    "file moved away": ["import os\nopen('r1','w').write('1')", "os.replace('r1','r2')", "print(os.path.exists('r1'))"],
    "archive made": ["import os,shutil\nos.makedirs('de'); open('de/a','w').write('1')", "shutil.make_archive('arc','zip','de')", "print(os.path.exists('arc.zip'))"],
    "archive unpacked": ["import os,shutil\nos.makedirs('df'); open('df/a','w').write('1'); shutil.make_archive('ar2','zip','df')", "shutil.unpack_archive('ar2.zip','out')", "print(os.listdir('out'))"],
    "file opened by os": ["import os", "fd=os.open('of',os.O_CREAT|os.O_WRONLY); os.write(fd,b'1'); os.close(fd)", "print(open('of').read())"],
    "tree written": ["import xml.etree.ElementTree as ET\nr=ET.Element('a')", "ET.ElementTree(r).write('x.xml')", "print(ET.parse('x.xml').getroot().tag)"],
    "pixel of a picture set": ["from PIL import Image\nim=Image.new('L',(2,2))", "im.putpixel((0,0),5)", "print(im.getpixel((0,0)))"],
    "dataclass replaced": ["import dataclasses\n@dataclasses.dataclass\nclass D:\n    x: list\nd=D([1])", "e=dataclasses.replace(d)", "e.x.append(2)", "print(d)"],
    "value of an enumeration": ["import enum\nclass C(enum.Enum):\n    A=[]", "C.A.value.append(1)", "print(C.A.value)"],
}  # fmt: skip

# The cells leave files open, and a finalizer fails where what it uses is left out: as in notebooks.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def _own_process_state(tmp_path, monkeypatch):
    """Cells write files, and change modules that the tests share."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    with warnings.catch_warnings():
        yield
    sys.modules.pop("mymod", None)


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_missed(name):
    """Every pair that leaving a cell out reveals is in the graph; a warning is not enough."""
    cells = CASES[name]
    assert dependent_pairs(cells) - closure(pairs(graph(*cells))) == set()


@pytest.mark.parametrize("name", CASES)
def test_the_cases_are_sound(name):
    """They run through."""
    assert [seen[2] for seen in run(CASES[name])] == [None] * len(CASES[name])


def test_a_pure_cached_function_makes_no_chain():
    """Calls of a function that keeps results of its arguments alone do not wait for each other."""
    found = graph("import functools", "@functools.cache\ndef f(x): return x * 2", "a = f(1)", "b = f(1)")
    assert (3, 4) not in pairs(found)


def test_loggers_make_no_chain():
    """To log is no change of the logger."""
    found = graph(
        "import logging\nlog = logging.getLogger('a')", "log.info('a')\nx = 1", "log.info('b')\ny = 1"
    )
    assert pairs(found) == {(1, 2), (1, 3)}
