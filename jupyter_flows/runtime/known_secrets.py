"""Which values of a run are secret, and text without them.

Secret are: the values of this machine's secrets (``JUPYTER_FLOWS_SECRET_*``, the files of ``secrets/`` in
the home, ``secrets`` of the run's context), the environment variables that a notebook names with
``EnvVarSecret``, and parameters that are marked or named as secret. What is known is replaced in every
encoding in which a program is likely to show it; what the program makes of it beyond that (encrypted, cut in
two, printed backwards) cannot be known.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from jupyter_flows.client.secrets import PREFIX
from jupyter_flows.settings import load_settings

MASK = "***"
SHORTEST = 4
"""Shorter values are not looked for: replacing each "no" would leave no readable notebook."""

_SURE_BYTES = 6
"""A shorter piece of an encoded secret could be anything."""

_NAMED = re.compile(
    r"(?i)(?:^|_)(?:password|passwd|pwd|passphrase|secret|token|api_?key|access_?key|private_?key|credentials?)$"
)
_MARKED = re.compile(r"^(?P<name>[^\W\d]\w*)[ \t]*(?::[^=#\n]+)?=[^#\n]*#[ \t]*secret\b", re.MULTILINE)
_ENV_SECRET = re.compile(r"""\bEnvVarSecret\(\s*(?:name\s*=\s*)?["'](?P<name>[^"'\n]+)["']""")


class Redactor:
    """Replaces known secrets in text.

    Parameters
    ----------
    values : iterable of str
        The secrets.

    Examples
    --------
    >>> redactor = Redactor(["hunter2!"])
    >>> redactor("password is hunter2!, that is hunter2%21 or aHVudGVyMiE=")
    'password is ***, that is *** or ***'
    """

    def __init__(self, values: Iterable[str]) -> None:
        forms = {form for value in values if len(value) >= SHORTEST for form in _forms(value)}
        # The longest first: a secret may be the beginning of another.
        ordered = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    @property
    def knows_any(self) -> bool:
        """Whether there is anything to replace."""
        return self._pattern is not None

    def __call__(self, text: str) -> str:
        """Return *text* with every known secret replaced."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    def clean(self, value: Any) -> Any:
        """Return JSON-like data with every known secret replaced; what has none is the same object."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self(value)
        if isinstance(value, dict):
            for key in list(value):
                value[key] = self.clean(value[key])
        elif isinstance(value, list):
            value[:] = [self.clean(each) for each in value]
        return value


def _forms(value: str) -> set[str]:
    """Return the ways in which a program is likely to show a value."""
    found = {value, value.strip(), json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    found |= {repr(value)[1:-1], quote(value, safe=""), quote_plus(value)}
    # As a string within a string, which is how a notebook's file holds the source that holds the value.
    found |= {json.dumps(form, ensure_ascii=False)[1:-1] for form in list(found)}
    data = value.encode("utf-8", "surrogatepass")
    found |= {
        data.hex(),
        base64.b64encode(data).decode("ascii"),
        base64.urlsafe_b64encode(data).decode("ascii"),
    }
    # Within a longer text that was encoded, a secret has one of three alignments; its inner part is certain.
    for shift in range(3):
        skip = (3 - shift) % 3
        whole = (len(data) - skip) // 3 * 3
        found.add(base64.b64encode(data[skip : skip + whole]).decode("ascii") if whole >= _SURE_BYTES else "")
    return {form for form in found if len(form) >= SHORTEST}


def secret_values(
    *,
    home: Path,
    environ: Mapping[str, str] = os.environ,
    context: Mapping[str, Any] | None = None,
    sources: Iterable[str] = (),
    parameters: Mapping[str, Any] | None = None,
    parameter_cells: Iterable[str] = (),
) -> list[str]:
    """Return every value of a run that must not be shown.

    Parameters
    ----------
    home : Path
        Home of jupyter_flows, with ``secrets/``.
    context : mapping, optional
        The run's context; its ``secrets``.
    sources : iterable of str
        Source of the notebook's cells: ``EnvVarSecret("NAME")`` names a variable.
    parameters : mapping, optional
        The run's parameters; those of them are secret that are marked so, ``token = ""  # secret``, in one of
        *parameter_cells*, or whose name says it (``api_key``, ``db_password``).
    """
    found: list[Any] = [value for name, value in environ.items() if name.startswith(PREFIX)]
    directory = home / "secrets"
    if directory.is_dir():
        for path in directory.iterdir():
            try:
                found.append(path.read_text("utf-8").rstrip("\r\n"))
            except (OSError, UnicodeDecodeError):
                continue
    found += list(((context or {}).get("secrets") or {}).values())
    for source in sources:
        found += [environ.get(match["name"]) for match in _ENV_SECRET.finditer(source)]
    names = secret_parameters(parameters or {}, parameter_cells)
    found += [(parameters or {})[name] for name in names]
    return list(_texts(found))


def run_secrets(nb: Any, *, context: Mapping[str, Any]) -> Redactor:
    """Return what replaces the secrets of an open notebook, parameterised (papermill notes the values)."""
    code = [cell for cell in nb["cells"] if cell["cell_type"] == "code"]
    asked = nb["metadata"].get("papermill", {}).get("parameters")
    return Redactor(
        secret_values(
            home=load_settings().home,
            context=context,
            sources=[cell["source"] for cell in code],
            parameters={**(context.get("parameters") or {}), **(asked or {})},
            parameter_cells=[cell["source"] for cell in code if _has_parameters(cell)],
        )
    )


def _has_parameters(cell: Any) -> bool:
    return "parameters" in cell["metadata"].get("tags", []) or cell["source"].lstrip().startswith(
        "%%parameters"
    )


def secret_parameters(names: Iterable[str], parameter_cells: Iterable[str] = ()) -> set[str]:
    r"""Return which parameters are secret, by mark or by name.

    Examples
    --------
    >>> sorted(secret_parameters(["day", "key", "db_password"], ["day = 1\nkey = ''  # secret: of the shop"]))
    ['db_password', 'key']
    """
    marked = {match["name"] for cell in parameter_cells for match in _MARKED.finditer(cell)}
    return {name for name in names if name in marked or _NAMED.search(name)}


def _texts(values: Iterable[Any]) -> Iterable[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            yield from _texts(value.values())
        elif isinstance(value, list | tuple):
            yield from _texts(value)
        elif value is not None and not isinstance(value, bool):
            yield str(value)
