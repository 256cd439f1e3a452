"""State that flows beside the names: generators of random numbers, figures, the environment.

Each has a name (``rng:numpy``, ``mpl:figure``, ``mpl:style``, ``cwd``, ``env:KEY``, ``sys.path``,
``file:PATH``, ``db:URL``, ``option:pandas``, ``warnings``, ``store:NAME``, ``ext:NAME``). Detectors look
at qualified names only; what they cannot pin down becomes a sentence on the cell. Files: ``files.py``.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping, Sequence

from jupyter_flows.analysis.aliases import constant_text
from jupyter_flows.analysis.files import Files
from jupyter_flows.analysis.knowledge import (
    FILE_MODULES,
    PYPLOT_CHOOSES,
    PYPLOT_DRAWS,
    PYPLOT_ENDS,
    PYPLOT_FINISHES,
    PYPLOT_LOOKS,
    PYPLOT_STARTS,
    SEABORN_DRAWS,
    SKLEARN_RANDOM,
    WELL_KNOWN,
    words,
)
from jupyter_flows.analysis.objects import EMPTY, Obj, Value, in_order, union

_SEEDS = {"seed", "set_state", "setstate", "manual_seed", "manual_seed_all", "set_random_seed", "set_seed"}
_NOT_DRAWS = words("""
default_rng RandomState Random SystemRandom Generator SeedSequence get_state getstate PCG64 MT19937
mtrand bit_generator
""")
_TORCH_DRAWS = {
    "rand",
    "randn",
    "randint",
    "randperm",
    "normal",
    "bernoulli",
    "multinomial",
    "rand_like",
    "randn_like",
    "dropout",
}


class Channels(Files):
    """Finds reads and writes of hidden state in calls, items and attributes."""

    def begin_cell(self) -> None:
        """Forget what is per cell."""
        super().begin_cell()
        self.figure_is_own = False
        self.present_axes: Value = EMPTY
        """What pyplot draws into, where the cell said so."""

    def program_files(self, arguments: Sequence[Value], node: ast.Call) -> None:
        """Follow the files of a command that a library starts."""
        raise NotImplementedError

    # -- calls of library functions ----------------------------------------------------------------------

    def library_effects(
        self, qual: str, arguments: list[Value], keywords: dict[str, Value], node: ast.Call
    ) -> None:
        """Note what calling *qual* does to hidden state."""
        top, _, last = qual.rpartition(".")
        package = qual.split(".", 1)[0]
        ledger = self.ledger
        if qual.startswith("numpy.random.") and last not in _NOT_DRAWS:
            self._random("rng:numpy", last)
        elif top == "random" and last not in _NOT_DRAWS:
            self._random("rng:random", last)
        elif package == "torch":
            if (
                last in _SEEDS
                or last in _TORCH_DRAWS
                or (qual.startswith("torch.nn.") and last[:1].isupper())
                or ".init." in qual
            ):
                self._random("rng:torch", last)
        elif package in {"tensorflow", "keras"} and (
            ".random" in qual or last in _SEEDS or ".layers." in qual
        ):
            self._random("rng:tensorflow", last)
        elif not has_random_state(node) and (
            (package == "sklearn" and last in SKLEARN_RANDOM) or (package == "scipy" and last == "rvs")
        ):
            self._random("rng:numpy", last)
        elif qual == "importlib.import_module":
            self._import_by_name(arguments)
        elif package == "warnings":
            self._warning_filters(last)
        elif qual in {"os.chdir", "contextlib.chdir"}:
            ledger.write_channel("cwd", "working directory changed")
        elif qual in {"os.getcwd", "pathlib.Path.cwd"}:
            ledger.read_channel("cwd")
        elif qual == "os.getenv":
            self._environment(arguments[0] if arguments else frozenset(), writes=False)
        elif qual in {"os.putenv", "os.unsetenv"}:
            self._environment(arguments[0] if arguments else frozenset(), writes=True)
        elif last == "load_dotenv":
            self.write_environment(None)
        elif package == "subprocess" or qual in {"os.system", "os.popen"}:
            self.external_program()
            self.program_files(arguments, node)
        elif qual.startswith(("matplotlib.style.", "matplotlib.pyplot.style.")) or qual in {
            "matplotlib.rc",
            "matplotlib.rcdefaults",
            "matplotlib.use",
        }:
            ledger.write_channel("mpl:style", "plot style changed", keeps_earlier=True)
        elif qual.startswith("matplotlib.pyplot."):
            self._pyplot(last, arguments, keywords, node)
        elif package == "seaborn":
            self._seaborn(last, keywords)
        elif package == "pandas" and last in {"set_option", "reset_option"}:
            ledger.write_channel("option:pandas", "option of pandas set", keeps_earlier=True)
        elif package == "pandas" and last in {"get_option", "describe_option"}:
            ledger.read_channel("option:pandas")
        elif qual in {"numpy.set_printoptions", "numpy.set_string_function"}:
            ledger.write_channel("option:numpy", "way of printing arrays set", keeps_earlier=True)
        elif qual == "numpy.get_printoptions":
            ledger.read_channel("option:numpy")
        elif qual in {"contextlib.redirect_stdout", "contextlib.redirect_stderr"} and arguments:
            ledger.change(arguments[0], "printed into")
        if package in FILE_MODULES:
            self.file_function(last, package, arguments, keywords)

    def _random(self, channel: str, name: str) -> None:
        if name in _SEEDS:
            self.ledger.write_channel(channel, "seeded")
            return
        self.ledger.update_channel(channel, "random numbers drawn")

    def _warning_filters(self, name: str) -> None:
        if name in {"filterwarnings", "simplefilter", "resetwarnings"}:
            self.ledger.write_channel("warnings", "filter of warnings set", keeps_earlier=True)
            self.ledger.warn(
                "changes the filter of warnings: whatever later cells warn about passes through it (warnings)"
            )
        elif name in {"warn", "warn_explicit", "catch_warnings"}:
            self.ledger.read_channel("warnings")

    def shows(self, value: Value) -> None:
        """Note that something is turned into text: how its library is set to print it counts."""
        if any(obj.kind == "pandas" for obj in value):
            self.ledger.read_channel("option:pandas")
        if "option:numpy" in self.ledger.channels and any(obj.kind != "str" for obj in value):
            self.ledger.read_channel("option:numpy")

    # -- environment, working directory, programs --------------------------------------------------------

    def _environment(self, key: Value, *, writes: bool) -> None:
        name = constant_text(key)
        if writes:
            self.write_environment(name)
        else:
            self.read_environment(name)

    def write_environment(self, key: str | None) -> None:
        """Note a variable of the environment that is set; None if its name is not known."""
        self.ledger.write_channel(f"env:{key or '*'}", "environment variable set", keeps_earlier=key is None)
        self.ledger.warn(
            "changes the environment: libraries and programs that later cells use may read it (env)"
        )

    def read_environment(self, key: str | None) -> None:
        """Note a variable of the environment that is read; None if it may be any."""
        ledger = self.ledger
        names = (
            [f"env:{key}", "env:*"]
            if key is not None
            else sorted({"env:*", *(name for name in ledger.channels if name.startswith("env:"))})
        )
        for name in names:
            ledger.read_channel(name)

    def external_program(self) -> None:
        """Note a program that sees the environment, the working directory and files."""
        self.read_environment(None)
        self.ledger.read_channel("cwd")

    # -- pictures ----------------------------------------------------------------------------------------

    def _pyplot(
        self,
        name: str,
        arguments: Sequence[Value] = (),
        keywords: Mapping[str, Value] | None = None,
        node: ast.Call | None = None,
    ) -> None:
        ledger = self.ledger
        if node is not None:
            self._choose_figure(name, node)
        if name in {"rc", "rcdefaults", "set_cmap", "switch_backend", "xkcd", "ion", "ioff", "style_context"}:
            ledger.write_channel("mpl:style", "plot style changed", keeps_earlier=True)
            return
        if name == "isinteractive":
            ledger.read_channel("mpl:style")
        if name == "sca" and arguments:
            self.present_axes = arguments[0]
        elif name in PYPLOT_STARTS | PYPLOT_ENDS:
            self.present_axes = arguments[0] if name == "figure" and arguments else EMPTY
        elif name in (PYPLOT_DRAWS | PYPLOT_FINISHES) - PYPLOT_LOOKS:
            ledger.change(self.present_axes, f"drawn into by pyplot's {name}()")
        if name in {"figure", "subplots"} and (arguments if name == "figure" else "num" in (keywords or {})):
            # A figure that has a number or a name may be there already.
            ledger.read_channel("mpl:figure")
        if name in PYPLOT_STARTS | PYPLOT_DRAWS:
            ledger.read_channel("mpl:style")
        if name in PYPLOT_STARTS:
            self.figure_is_own = True
            ledger.write_channel("mpl:figure", "figure drawn", keeps_earlier=name == "subplot")
        elif name in PYPLOT_DRAWS:
            chosen = ledger.channels.get("mpl:open") or []
            if not self.figure_is_own and any(write.cell != ledger.cell for write in chosen):
                # Otherwise the figures of a cell are closed at its end, and drawing begins a new one.
                ledger.read_channel("mpl:open")
                ledger.read_channel("mpl:figure")
                ledger.warn("may draw into a figure that another cell left open (mpl:figure)")
                self._open_figures(is_changed=True)
            ledger.write_channel("mpl:figure", "figure drawn", keeps_earlier=not self.figure_is_own)
            self.figure_is_own = True
        elif name in PYPLOT_FINISHES and not self.figure_is_own:
            ledger.read_channel("mpl:figure")
            if ledger.channels.get("mpl:figure"):
                ledger.warn("works on the figure that another cell left open (mpl:figure)")
                self._open_figures(is_changed=name not in PYPLOT_LOOKS)
            ledger.write_channel("mpl:figure", "figure changed", keeps_earlier=True)
        elif name in PYPLOT_ENDS:
            if not self.figure_is_own:
                ledger.read_channel("mpl:figure")
            self.figure_is_own = False
            ledger.channels["mpl:figure"] = []

    def _choose_figure(self, name: str, node: ast.Call) -> None:
        """Note a figure of another cell that pyplot is told to draw into: it stays open below."""
        if name in PYPLOT_CHOOSES and node.args and self._is_from_above(node.args[0]):
            self.ledger.write_channel("mpl:open", "figure of another cell chosen", keeps_earlier=True)

    def _is_from_above(self, node: ast.expr) -> bool:
        """Whether a name in *node* was bound by another cell."""
        names = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
        bindings = [self.ledger.names.get(name) for name in sorted(names)]
        return any(
            write.cell != self.ledger.cell
            for binding in bindings
            for write in (binding.writers if binding is not None else ())
        )

    def _open_figures(self, *, is_changed: bool) -> None:
        """Note that pyplot looks at the named figures or changes them: any may be the present one."""
        for name in self.ledger.names:
            binding = self.ledger.names[name]
            held = binding.value | union([EMPTY, *(frozenset(obj.parts) for obj in binding.value)])
            if any(obj.kind == "figure" for obj in held):
                figures = self.ledger.read_name(name)
                if is_changed:
                    self.ledger.change(figures, "figure changed through pyplot", label=name)

    def _seaborn(self, name: str, keywords: dict[str, Value]) -> None:
        if name in {
            "set",
            "set_theme",
            "set_style",
            "set_palette",
            "set_context",
            "reset_defaults",
            "reset_orig",
            "set_color_codes",
        }:
            self.ledger.write_channel("mpl:style", "plot style changed", keeps_earlier=True)
        elif name.endswith(("plot", "Grid")) or name in SEABORN_DRAWS:
            self.ledger.read_channel("mpl:style")
            if "ax" not in keywords:
                self._pyplot("plot")

    def frame_plot(self, keywords: dict[str, Value]) -> None:
        """Note a drawing method of a data frame."""
        self.ledger.read_channel("mpl:style")
        if "ax" not in keywords:
            self._pyplot("plot")

    # -- imports, items, attributes ----------------------------------------------------------------------

    def import_effects(self, module: str) -> None:
        """Note what an import depends on: ``sys.path`` and modules that cells wrote as files."""
        package = module.split(".", 1)[0]
        if package not in WELL_KNOWN:
            self.ledger.read_channel("sys.path")
        if package not in WELL_KNOWN or "sys.modules" in self.ledger.channels:
            self.ledger.read_channel("sys.modules")
        for name in (f"file:{package}.py", f"file:{package}/__init__.py"):
            if name in self.ledger.channels:
                self.ledger.read_channel(name)
        if package not in sys.stdlib_module_names and "pip" in self.ledger.channels:
            self.ledger.read_channel("pip")

    def _import_by_name(self, arguments: Sequence[Value]) -> None:
        module = constant_text(arguments[0]) if arguments else None
        if module is not None:
            self.import_effects(module)
        else:
            self.ledger.warn("imports a module whose name is only known when it runs")

    def _change_modules(self) -> None:
        self.ledger.write_channel("sys.modules", "table of modules changed", keeps_earlier=True)
        self.ledger.warn(
            "changes the table of modules: what later cells import, also inside of libraries, may be another "
            "(sys.modules)"
        )

    def loaded_module(self, key: Value) -> Value:
        """Return the module that ``sys.modules`` has under a name: the one that an import binds."""
        name = constant_text(key)
        if name == "__main__" or any(obj.kind == "builtin" and obj.qual == "__name__" for obj in key):
            self.opaque("takes its own namespace out of sys.modules")
        elif name is not None:
            return frozenset({self.module_object(name)})
        else:
            self.ledger.warn("takes modules out of sys.modules by names that are only known when it runs")
        return frozenset({Obj()})

    def opaque(self, why: str) -> None:
        """Make the present cell a barrier."""
        raise NotImplementedError

    def module_object(self, qual: str) -> Obj:
        """Return the one object that stands for a module."""
        raise NotImplementedError

    def hidden_item(self, container: Value, key: ast.expr) -> None:
        """Note ``os.environ["K"]`` and ``Out[3]`` being read."""
        for obj in in_order(container):
            if obj.qual == "os.environ":
                self.read_environment(
                    key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else None
                )
            elif obj.qual == "Out" and obj.kind == "builtin":
                number = key.value if isinstance(key, ast.Constant) and isinstance(key.value, int) else None
                self.ledger.read_output(number, "Out")
            elif obj.qual.endswith("rcParams"):
                self.ledger.read_channel("mpl:style")
            elif obj.qual == "sys.modules":
                self.ledger.read_channel("sys.path")
                self.ledger.read_channel("sys.modules")

    def changes_hidden(self, container: Value, key: ast.expr | None) -> bool:
        """Note a change of hidden state by item assignment; True if that is all it is."""
        is_hidden = False
        for obj in in_order(container):
            if obj.qual == "os.environ":
                self.write_environment(
                    key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else None
                )
                is_hidden = True
            elif obj.qual.endswith("rcParams"):
                self.ledger.write_channel("mpl:style", "plot style changed", keeps_earlier=True)
            elif obj.qual.startswith("pandas.options"):
                self.ledger.write_channel("option:pandas", "option of pandas set", keeps_earlier=True)
            elif obj.qual == "sys.path":
                self.ledger.write_channel("sys.path", "search path changed", keeps_earlier=True)
                is_hidden = True
            elif obj.qual == "sys.modules":
                self._change_modules()
        return is_hidden

    def module_method(self, obj: Obj, name: str, arguments: list[Value]) -> bool:
        """Note methods of module state: ``sys.path.append``, ``os.environ.update``; True if it was one."""
        if obj.qual == "sys.path":
            if name not in {"append", "insert", "extend"}:
                self.ledger.read_channel("sys.path")
            self.ledger.write_channel("sys.path", "search path changed", keeps_earlier=True)
            return True
        if obj.qual == "sys.modules":
            self.ledger.read_channel("sys.modules")
            if name not in {"get", "keys", "values", "items", "copy"}:
                self._change_modules()
            return True
        if obj.qual == "os.environ":
            if name in {"get", "__getitem__", "__contains__"}:
                self._environment(arguments[0] if arguments else frozenset(), writes=False)
            elif name in {"setdefault", "pop", "__setitem__"}:
                self._environment(arguments[0] if arguments else frozenset(), writes=False)
                self._environment(arguments[0] if arguments else frozenset(), writes=True)
            elif name in {"update", "clear", "popitem"}:
                self.write_environment(None)
            else:
                self.read_environment(None)
            return True
        if obj.qual.endswith("rcParams"):
            self.ledger.write_channel("mpl:style", "plot style changed", keeps_earlier=True)
            return True
        return False


def has_random_state(node: ast.Call) -> bool:
    """Whether a call brings its own random state; ``random_state=None`` asks for the global one."""
    return any(
        keyword.arg == "random_state"
        and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is None)
        for keyword in node.keywords
    )
