"""What IPython's own syntax means: shell lines, line magics, cell magics, interpolation, ``user_ns``.

Gets calls of ``get_ipython()`` as IPython's transformer writes them; cell magics whose body is Python have
been unwrapped before. Nothing is run and no extension is imported.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Sequence

from jupyter_flows.analysis.aliases import constant_text
from jupyter_flows.analysis.channels import Channels
from jupyter_flows.analysis.knowledge import words
from jupyter_flows.analysis.objects import EMPTY, Obj, Value
from jupyter_flows.analysis.syntax import parse

_DISPLAY_MAGICS = frozenset({"html", "HTML", "javascript", "js", "latex", "markdown", "svg", "SVG"})
_PROCESS_MAGICS = words("bash sh script perl ruby python python2 python3 pypy cmd ! sx system")
_QUIET_LINES = words("""
alias alias_magic autoawait autocall automagic bookmark cls clear color colors colours config dhist dirs
doctest_mode edit gui hist history killbgscripts load load_ext logoff logon logstart logstate logstop ls
lsmagic ll lf lk ldir lx magic man matplotlib mkdir more notebook page pastebin pdb pdef pdoc pfile pinfo
pinfo2 pip conda mamba micromamba uv popd precision profile psearch psource pushd pwd pycat qtconsole
quickref rehashx reload_ext rm rmdir save sc subshell tb unalias unload_ext who who_ls whos xmode
autoreload connect_info env set_env cd cp cat mv watermark flow task aimport code_wrap timeit time prun
memit mprun lprun xdel reset reset_selective store run pylab debug system sx macro recall rerun rep px
autopx parallel sql R Rpush Rpull
""")
_INTERPOLATION = re.compile(r"(?<!\\)\$\$|\$\{?([^\W\d]\w*(?:\.[^\W\d]\w*)*)|\{([^{}]+)\}")


class Magics(Channels):
    """Understands calls on the running IPython shell."""

    def run_source(self, source: str, *, isolated: bool = False) -> Value:
        """Walk Python text as if it stood here; *isolated* if its bindings are thrown away."""
        raise NotImplementedError

    def opaque(self, why: str) -> None:
        """Make the cell a barrier, and say why."""
        self.ledger.warn(
            f"{why}: what it reads and writes cannot be seen, so it waits for all above, and all below for it"
        )
        self.ledger.read_everything()
        self.ledger.update_any_channel(why)
        self.ledger.write_anything(why)

    def shell_call(self, name: str, texts: list[str | None]) -> Value:
        """Carry out a method of ``get_ipython()`` whose arguments are known texts (None where not)."""
        if name in {"system", "getoutput", "getoutput_pcolor", "system_raw", "system_piped"}:
            if texts and texts[0] is not None:
                self.interpolate(texts[0])
                self._shell_files(texts[0])
            self.external_program()
            return frozenset({Obj("list")}) if name == "getoutput" else EMPTY
        if name in {"run_line_magic", "magic", "line_magic"} and texts and texts[0]:
            if name == "magic":
                texts = [*texts[0].partition(" ")[::2]]
            return self._line_magic(texts[0] or "", (texts[1] if len(texts) > 1 else "") or "")
        if name == "run_cell_magic" and len(texts) > 2 and texts[0]:
            self._cell_magic(texts[0], texts[1] or "", texts[2] or "")
            return EMPTY
        if name in {"run_cell", "ex", "ev", "run_code", "run_cell_async"}:
            if texts and texts[0] is not None and parse(texts[0]).tree is not None:
                return self.run_source(texts[0])
            self.opaque("runs code given as text")
        elif name in {"push", "reset", "safe_execfile", "drop_by_id", "del_var"}:
            self.opaque(f"changes the namespace by get_ipython().{name}")
        return EMPTY

    def program_files(self, arguments: Sequence[Value], node: ast.Call) -> None:
        """Follow the files of a command that a library starts: ``subprocess.run("cp a b", shell=True)``."""
        written = node.args[0] if node.args else None
        if isinstance(written, (ast.List, ast.Tuple)):
            texts = [word.value if isinstance(word, ast.Constant) else None for word in written.elts]
            command = None if None in texts else shlex.join(str(text) for text in texts)
        else:
            command = constant_text(arguments[0]) if arguments else None
        if command is not None:
            self._shell_files(command)
        self.ledger.warn("runs a program of its own: the files that it reads and writes are not all seen")

    def interpolate(self, text: str) -> None:
        """Read the names that IPython puts into a shell line or a magic's line."""
        for match in _INTERPOLATION.finditer(text):
            if match[1]:
                self._read_if_bound(match[1].split(".")[0])
            elif match[2]:
                tree = parse(match[2].split("!r")[0].split(":")[0].strip()).tree
                statement = tree.body[0] if tree is not None and len(tree.body) == 1 else None
                names = (
                    [node.id for node in ast.walk(statement) if isinstance(node, ast.Name)]
                    if statement
                    else []
                )
                if isinstance(statement, ast.Expr) and all(self._is_bound(name) for name in names):
                    self.evaluate(statement.value)

    def _is_bound(self, name: str) -> bool:
        return (
            name in self.ledger.module.variables
            or name in self.frame.variables
            or bool(self.ledger.catch_all)
        )

    def _read_if_bound(self, name: str) -> None:
        if self._is_bound(name):
            self.load(name)

    def _shell_files(self, command: str) -> None:
        """Follow the files of plain commands: ``cp a b``, ``> out``, ``rm x``, ``pip install``."""
        if "{" in command or "$" in command:
            return
        try:
            words = shlex.split(command)
        except ValueError:
            return
        if not words:
            return
        for sign, path in re.findall(r"(>>?)\s*([^\s;&|<>]+)", command):
            self.write_file(frozenset({Obj("str", const=path)}))
            del sign
        program, operands = (
            words[0],
            [word for word in words[1:] if not word.startswith("-") and word not in {">", ">>", "|"}],
        )
        if program in {"pip", "pip3", "conda", "mamba", "uv"} and "install" in words:
            self.ledger.write_channel("pip", "package installed", keeps_earlier=True)
        elif program in {"cp", "mv"} and len(operands) > 1:
            for operand in operands[:-1]:
                self.read_file(frozenset({Obj("str", const=operand)}))
            self.write_file(frozenset({Obj("str", const=operands[-1])}))
        elif program in {"rm", "touch", "mkdir", "tee", "rmdir"}:
            for operand in operands:
                self.write_file(frozenset({Obj("str", const=operand)}))
        elif program in {
            "cat",
            "head",
            "tail",
            "wc",
            "ls",
            "grep",
            "sort",
            "python",
            "python3",
            "unzip",
            "tar",
            "less",
            "sh",
            "bash",
            "diff",
        }:
            for operand in operands or ["."]:
                self.read_file(frozenset({Obj("str", const=operand)}), is_listing=program == "ls")
        elif program in {"wget", "curl", "git", "kaggle", "gdown"}:
            outputs = re.findall(r"(?:-O|-o|--output|--output-document)[ =]?\s*([^\s-][^\s]*)", command)
            names = outputs or [
                operand.rstrip("/").rsplit("/", 1)[-1] for operand in operands if "/" in operand
            ]
            for path in names:
                self.write_file(frozenset({Obj("str", const=path.removesuffix(".git"))}))

    # -- line magics -------------------------------------------------------------------------------------

    def _line_magic(self, name: str, line: str) -> Value:
        ledger = self.ledger
        if name not in {"time", "timeit", "prun", "memit", "lprun", "mprun"}:
            self.interpolate(line)
        if name in {"time", "prun", "memit", "timeit"}:
            code = _after_flags(line)
            return self.run_source(code, isolated=name in {"timeit", "memit"}) if code else EMPTY
        if name in {"lprun", "mprun"}:
            for function in re.findall(r"-f\s+([^\W\d]\w*)", line):
                self._read_if_bound(function)
            self.run_source(re.sub(r"-\w+\s+\S+\s*", "", line), isolated=True)
        elif name in {"pinfo", "pinfo2", "pdoc", "psource", "pfile", "pdef", "page"}:
            self._read_if_bound(line.strip().split(".")[0].split("(")[0])
        elif name in {"env", "set_env"}:
            key, sign, _ = line.strip().replace(" ", "=", 1).partition("=")
            if sign:
                self.write_environment(key)
            else:
                self.read_environment(key or None)
        elif name in {"cd", "pushd", "popd"}:
            ledger.write_channel("cwd", "working directory changed")
        elif name in {"pwd", "ls", "ll", "cat", "system", "sx", "sc"}:
            self.external_program()
        elif name in {"load_ext", "reload_ext"}:
            ledger.write_channel(f"ext:{line.strip()}", "extension loaded")
        elif name == "run":
            self.opaque(f"runs {line.split(maxsplit=1)[0] if line.split() else 'a file'} with %run")
        elif name == "pylab":
            ledger.warn("%pylab puts hundreds of names into the namespace")
            ledger.write_anything("names of numpy and pyplot brought in by %pylab")
        elif name in {"reset", "reset_selective", "rerun", "recall", "macro", "rep", "autopx"}:
            self.opaque(f"%{name} changes the namespace")
        elif name == "xdel":
            self.load(line.strip())
            ledger.delete_name(line.strip())
        elif name in {"who", "whos", "who_ls"}:
            ledger.warn(f"%{name} shows every name: its output depends on all cells above")
        elif name == "store":
            self._store(line.split())
        elif name in {"pip", "conda", "mamba", "uv"}:
            ledger.write_channel("pip", "package installed", keeps_earlier=True)
        elif name in {"matplotlib", "config"}:
            if "close_figures" in line and "False" in line:
                ledger.write_channel("mpl:open", "figures left open", keeps_earlier=True)
            ledger.write_channel("mpl:style", "plot style changed", keeps_earlier=True)
        elif name in {"sql", "R", "Rpush", "Rpull"}:
            self._foreign(name, line, "")
        self._extension(name)
        return frozenset({Obj("str")}) if name == "pwd" else EMPTY

    def _extension(self, name: str) -> None:
        """Depend on the extension that may have brought a magic."""
        ledger = self.ledger
        loaded = [channel for channel in ledger.channels if channel.startswith("ext:")]
        own = [channel for channel in loaded if name in channel]
        if own:
            for channel in own:
                ledger.read_channel(channel)
        elif name not in _QUIET_LINES:
            for channel in loaded:
                ledger.read_channel(channel)
            self.opaque(f"uses %{name}, which is not one of IPython's own magics")

    def _store(self, words: list[str]) -> None:
        names = [word for word in words if not word.startswith("-")]
        if "-r" in words:
            for name in names or ["*"]:
                self.ledger.read_channel(f"store:{name}")
                if name != "*":
                    self.ledger.bind_name(name, frozenset({Obj()}), "restored by %store")
            if not names:
                self.opaque("%store -r restores names of earlier sessions")
        else:
            for name in names:
                self._read_if_bound(name)
                self.ledger.write_channel(f"store:{name}", "stored")

    # -- cell magics -------------------------------------------------------------------------------------

    def _cell_magic(self, name: str, line: str, body: str) -> None:
        ledger = self.ledger
        self.interpolate(line)
        if name in _DISPLAY_MAGICS:
            return
        if name in _PROCESS_MAGICS:
            for target in re.findall(r"--(?:out|err|proc)[ =]+([^\W\d]\w*)", line):
                ledger.bind_name(target, frozenset({Obj("str")}), f"assigned by %%{name}")
            self.external_program()
            ledger.warn(
                f"%%{name} runs in a process of its own: the files that it reads and writes are not all seen"
            )
            for command in body.splitlines():
                self._shell_files(command.strip())
        elif name in {"writefile", "file"}:
            words = line.split()
            path = words[-1] if words else None
            if "-a" in words:
                self.read_file(frozenset({Obj("str", const=path)}))
            self.write_file(frozenset({Obj("str", const=path)}))
        elif name in {"sql", "R", "cypher", "bigquery", "spark", "julia"}:
            self._foreign(name, line, body)
            self._extension(name)
        elif name == "cython":
            for defined in re.findall(
                r"^(?:cpdef|def|cdef)\s+(?:[\w\[\], ]+\s)?([^\W\d]\w*)\s*\(", body, re.MULTILINE
            ):
                ledger.bind_name(defined, frozenset({Obj("builtin", defined)}), "compiled by %%cython")
            ledger.warn("%%cython: the body is compiled, what it reads is not seen")
        else:
            for channel in [channel for channel in ledger.channels if channel.startswith("ext:")]:
                ledger.read_channel(channel)
            self.opaque(f"uses %%{name}, whose meaning is not known")

    def _foreign(self, name: str, line: str, body: str) -> None:
        """Follow the inputs and outputs that SQL and R magics declare."""
        ledger = self.ledger
        for variables in re.findall(r"(?:-i|--input|--params|-p)[ =]+([\w,]+)", line):
            for variable in variables.split(","):
                self._read_if_bound(variable)
        text = f"{line}\n{body}"
        for match in re.finditer(r":([^\W\d]\w*)|\{\{?\s*([^\W\d]\w*)\s*\}?\}|\$([^\W\d]\w*)", text):
            self._read_if_bound(match[1] or match[2] or match[3])
        self.sql_names(text)
        outputs = re.findall(r"(?:-o|--output)[ =]+([\w,]+)", line) + re.findall(
            r"^\s*([^\W\d]\w*)\s*<<", text, re.MULTILINE
        )
        if name in {"bigquery", "spark"} and re.fullmatch(r"[^\W\d]\w*", (line.split() or [""])[0]):
            outputs.append(line.split(maxsplit=1)[0])
        for variables in outputs:
            for variable in variables.split(","):
                ledger.bind_name(variable, frozenset({Obj()}), f"assigned by %{name}")
        ledger.update_channel(f"db:{name}", f"used by %{name}")
        ledger.warn(f"%{name} runs another language: only the names it declares are seen")

    def sql_names(self, text: str) -> None:
        """Read the variables that a query mentions as tables."""
        for word in dict.fromkeys(re.findall(r"[^\W\d]\w*", text)):
            binding = self.ledger.module.variables.get(word)
            if binding is not None and not all(
                obj.kind in {"module", "function", "class", "str"} for obj in binding.value
            ):
                self.load(word)


def _after_flags(line: str) -> str:
    """Drop the options of ``%timeit -n 3 -r 2 code``."""
    return re.sub(r"^(?:\s*-(?:[nrsltT]\s*\S+|[a-zA-Z]+)(?=\s))*\s*", "", line)
