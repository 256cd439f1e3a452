"""Text that only a newer Python accepts, brought to older words that mean the same to an analysis.

f-strings of PEP 701 (3.12) and t-strings (3.14) become calls of a marker that is turned back into a formatted
string once the rest has been parsed; ``type`` statements (3.12) become lazy values; type parameters
(3.12, defaults 3.13) are blanked out and told beside the text; ``except A, B:`` (3.14) gets its brackets.
Lines stay where they are. Only used for what the running Python refuses.
"""

from __future__ import annotations

import ast
import re

import msgspec

_MARK = "__flows_formatted__"
_PREFIX = re.compile(r"[rRbBuUfFtT]{0,2}(?=[\"'])")
_STRING = re.compile(r"(?<![^\W\d])[rRbBuUfFtT]{0,2}(?:\"\"\"|'''|\"|')|(?<=\d)(?:\"\"\"|'''|\"|')")
_ALIAS = re.compile(r"^([ \t]*)type([ \t]+)([^\W\d]\w*)[ \t]*(?=[\[=])", re.MULTILINE)
_GENERIC = re.compile(r"^[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+([^\W\d]\w*)[ \t]*(?=\[)", re.MULTILINE)
_EXCEPT = re.compile(r"^([ \t]*except\*?[ \t]+)([\w.]+(?:[ \t]*,[ \t]*[\w.]+)+)[ \t]*:", re.MULTILINE)


class Needs(msgspec.Struct, frozen=True):
    """The oldest Python that accepts a text, for what, and where."""

    minor: int
    """Of Python 3."""
    what: str
    line: int

    def said(self, kernel: tuple[int, int] | None) -> str | None:
        """Return the sentence about it for a notebook of that *kernel*; None if there is nothing to say.

        Examples
        --------
        >>> Needs(12, "a type statement", 3).said(None)
        'needs Python 3.12 or newer (a type statement, line 3)'
        >>> Needs(12, "a type statement", 3).said((3, 13))
        """
        if kernel is not None and kernel >= (3, self.minor):
            return None
        text = f"needs Python 3.{self.minor} or newer ({self.what}, line {self.line})"
        return (
            text
            if kernel is None
            else f"{text}; the notebook's kernel, Python {kernel[0]}.{kernel[1]}, refuses it"
        )


class Older(msgspec.Struct, frozen=True):
    """What came of a text: older words, type parameters that were cut out, what it needs."""

    text: str
    parameters: dict[tuple[int, str], tuple[str, ...]]
    needs: Needs | None


def in_older_words(source: str) -> Older:
    r"""Bring *source* to the syntax of Python 3.11, as far as it is known how.

    Examples
    --------
    >>> in_older_words("type V[T] = list[T]").text
    'V = lambda T: list[T]'
    >>> in_older_words("def f[T](x: T): pass").parameters
    {(1, 'f'): ('T',)}
    >>> in_older_words("x = 1").needs is None
    True
    """
    found: list[Needs] = []
    text = _Strings(source, found).rewritten()
    text = _aliases(text, found)
    text, parameters = _generics(text, found)

    def bracketed(match: re.Match[str]) -> str:
        found.append(Needs(14, "exceptions without brackets", _line(text, match.start())))
        return f"{match[1]}({match[2]}):"

    # `except E, e:` of Python 2 binds a name; exceptions are written with a capital.
    older = _EXCEPT.sub(lambda m: bracketed(m) if _all_capital(m[2]) else m[0], text)
    needs = max(found, key=lambda one: (one.minor, -one.line), default=None)
    return Older(older, parameters, needs)


def formatted_again(tree: ast.Module) -> ast.Module:
    """Turn the marked calls back into formatted strings."""
    restored: ast.Module = _Restore().visit(tree)
    return restored


class _Restore(ast.NodeTransformer):
    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if not (isinstance(node.func, ast.Name) and node.func.id == _MARK):
            return node
        parts: list[ast.expr] = [
            part
            if isinstance(part, ast.Constant) and isinstance(part.value, str)
            else ast.copy_location(ast.FormattedValue(part, -1, None), part)
            for part in node.args
        ]
        return ast.copy_location(ast.JoinedStr(parts), node)


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _all_capital(names: str) -> bool:
    return all(name.strip().rpartition(".")[2][:1].isupper() for name in names.split(","))


# -- type statements and parameters ----------------------------------------------------------------------


def _aliases(text: str, found: list[Needs]) -> str:
    pieces: list[str] = []
    last = 0
    for match in _ALIAS.finditer(text):
        end, inside = match.end(), ""
        if text[end] == "[":
            closing = _closing_bracket(text, end)
            if closing is None:
                continue
            inside, end = text[end + 1 : closing - 1], closing
        rest = re.compile(r"[ \t]*=(?!=)").match(text, end)
        if rest is None:
            continue
        found.append(_of_parameters(inside, "a type statement", _line(text, match.start())))
        names = ", ".join(_parameter_names(inside))
        head = f"{match[1]}{match[3]} = lambda {names}:" if names else f"{match[1]}{match[3]} = lambda:"
        pieces += [text[last : match.start()], head]
        last = rest.end()
    return "".join([*pieces, text[last:]])


def _generics(text: str, found: list[Needs]) -> tuple[str, dict[tuple[int, str], tuple[str, ...]]]:
    parameters: dict[tuple[int, str], tuple[str, ...]] = {}
    pieces: list[str] = []
    last = 0
    for match in _GENERIC.finditer(text):
        end = _closing_bracket(text, match.end())
        if end is None:
            continue
        inside = text[match.end() + 1 : end - 1]
        line = _line(text, match.start(1))
        found.append(_of_parameters(inside, "type parameters", line))
        parameters[line, match[1]] = tuple(_parameter_names(inside))
        pieces += [text[last : match.end()], re.sub(r"[^\n]", " ", text[match.end() : end])]
        last = end
    return "".join([*pieces, text[last:]]), parameters


def _of_parameters(inside: str, what: str, line: int) -> Needs:
    has_default = any("=" in piece for piece in _split(inside))
    return Needs(13, "defaults of type parameters", line) if has_default else Needs(12, what, line)


def _parameter_names(inside: str) -> list[str]:
    matches = [re.match(r"\s*\*{0,2}\s*([^\W\d]\w*)", piece) for piece in _split(inside)]
    return [match[1] for match in matches if match is not None]


def _split(inside: str) -> list[str]:
    """Split at the commas that stand in no bracket."""
    pieces, depth = [""], 0
    for letter in inside:
        depth += {"[": 1, "(": 1, "]": -1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += letter
    return pieces


def _closing_bracket(text: str, start: int) -> int | None:
    depth = 0
    for position in range(start, len(text)):
        depth += {"[": 1, "]": -1}.get(text[position], 0)
        if depth == 0:
            return position + 1
    return None


# -- formatted strings -----------------------------------------------------------------------------------


class _Strings:
    """Finds formatted strings by the rules of Python 3.12 and writes them as calls of the marker."""

    def __init__(self, source: str, found: list[Needs]) -> None:
        self.source = source
        self.found = found

    def rewritten(self) -> str:
        try:
            return self._code(0, is_field=False)[0]
        except (IndexError, ValueError):  # a string that does not end
            return self.source

    def _code(self, at: int, *, is_field: bool) -> tuple[str, int]:
        """Copy code from *at*; a replacement field ends at its bracket, conversion or format."""
        source, depth, pieces = self.source, 0, []
        while at < len(source):
            letter = source[at]
            string = _STRING.match(source, at) if letter in "rRbBuUfFtT\"'" else None
            if string is not None and not (at and (source[at - 1].isalnum() or source[at - 1] == "_")):
                text, at = self._group(at)
                pieces.append(text)
                continue
            if letter == "#":
                end = source.find("\n", at)
                at = len(source) if end < 0 else end
                continue
            if is_field and depth == 0 and self._ends_field(at):
                return "".join(pieces), at
            depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(letter, 0)
            pieces.append(letter)
            at += 1
        if is_field:
            raise ValueError("a replacement field that does not end")
        return "".join(pieces), at

    def _ends_field(self, at: int) -> bool:
        letter, after = self.source[at], self.source[at + 1 : at + 2]
        if letter == "=":
            return re.match(r"=\s*[}!:]", self.source[at:]) is not None
        return letter in "}:" or (letter == "!" and after != "=")

    def _group(self, at: int) -> tuple[str, int]:
        """Copy adjacent strings; as one marked call if any is formatted and newer than Python 3.11."""
        start, pieces, is_newer = at, [], False
        end = at
        while True:
            text, end, newer = self._string(at)
            pieces.append(text)
            is_newer |= newer
            gap = re.compile(r"(?:[ \t]|\\\n)*").match(self.source, end)
            at = gap.end() if gap is not None else end
            if _STRING.match(self.source, at) is None or not _PREFIX.match(self.source, at):
                break
            pieces.append("\n" * self.source.count("\n", end, at))
        if not is_newer:
            return self.source[start:end], end
        return f"{_MARK}({''.join(pieces)})", end

    def _string(self, at: int) -> tuple[str, int, bool]:
        """Return a string as arguments of the marker, where it ends, and whether it needs a newer Python."""
        source = self.source
        prefix = _PREFIX.match(source, at)
        assert prefix is not None
        letters = prefix[0].lower()
        start = at
        at = prefix.end()
        quote = source[at : at + 3] if source[at : at + 3] in {'"""', "'''"} else source[at]
        at += len(quote)
        is_formatted = "f" in letters or "t" in letters
        pieces, constant = [], ""
        while not source.startswith(quote, at):
            letter = source[at]
            if letter == "\n" and len(quote) == 1:
                raise ValueError("a string that does not end on its line")
            if letter == "\\" and not (is_formatted and source[at + 1] in "{}"):
                constant += source[at : at + 2]
                at += 2
            elif is_formatted and letter == "{" and source[at + 1] != "{":
                pieces.append(_written(constant, is_raw="r" in letters))
                constant = ""
                fields, at = self._field(at + 1)
                pieces += fields
            else:
                at += 2 if is_formatted and source[at : at + 2] in {"{{", "}}"} else 1
                constant += letter
        end = at + len(quote)
        if not is_formatted:
            return f"{source[start:end]}, ", end, False
        pieces.append(_written(constant, is_raw="r" in letters))
        is_newer = "t" in letters or not _is_old(source[start:end])
        if is_newer:
            what = Needs(14, "a t-string", _line(source, start)) if "t" in letters else None
            self.found.append(
                what or Needs(12, "quotes, a backslash or a comment within an f-string", _line(source, start))
            )
        return "".join(pieces), end, is_newer

    def _field(self, at: int) -> tuple[list[str], int]:
        """Return a replacement field as arguments, those of its format too, and where it ends."""
        source = self.source
        code, at = self._code(at, is_field=True)
        lines = code.rstrip().count("\n")
        pieces = [f"({code}), "] if code.strip() else ["\n" * lines]
        at += len(re.compile(r"=?\s*(?:!\s*\w+\s*)?").match(source, at)[0])  # type: ignore[index]
        if source[at] == ":":
            at += 1
            while source[at] != "}":
                if source[at] == "{":
                    inner, at = self._field(at + 1)
                    pieces += inner
                else:
                    at += 1
        if source[at] != "}":
            raise ValueError("a replacement field that does not end")
        return pieces, at + 1


def _is_old(text: str) -> bool:
    """Whether the running Python takes a string as it is."""
    try:
        ast.parse(f"({text})")
    except (SyntaxError, ValueError):
        return False
    return True


def _written(constant: str, *, is_raw: bool) -> str:
    """Write a constant piece as an argument, on as many lines."""
    if not constant:
        return ""
    value = constant
    if not is_raw and "\\" in constant:
        try:
            value = ast.literal_eval('"""' + constant.replace('"', '\\"') + '"""')
        except (SyntaxError, ValueError):
            value = constant
    return f"{value!r}, " + "\n" * constant.count("\n")
