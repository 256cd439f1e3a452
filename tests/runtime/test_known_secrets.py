"""Secrets never reach the executed notebook: not as parameters, outputs, tracebacks, metadata."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from jupyter_flows.runtime.known_secrets import Redactor, secret_parameters

SECRET = 'p@ss "wörd"/é\\42'


@pytest.mark.parametrize(
    "shown",
    [
        SECRET,
        repr(SECRET),
        json.dumps(SECRET),
        json.dumps(json.dumps(SECRET, ensure_ascii=False), ensure_ascii=False),
        quote(SECRET, safe=""),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        SECRET.encode().hex(),
        *(base64.b64encode(b"user:"[:n] + SECRET.encode() + b"!").decode() for n in range(5)),
    ],
)
def test_a_secret_is_replaced_however_it_is_shown(shown: str) -> None:
    """Raw, as Python and JSON write it, in a URL, in base64 at any alignment."""
    masked = Redactor([SECRET])(f"before {shown} after")
    assert "***" in masked
    assert shown not in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")


def test_a_secret_that_begins_another_hides_no_rest() -> None:
    assert "***" == Redactor(["abcd", "abcd-efgh"])("abcd-efgh")


def test_parameters_are_secret_by_mark_or_name() -> None:
    cell = 'day = 1\nshop: str = ""  # secret, of the shop\nnote = ""  # no secret here\nmy_token = ""'
    assert {"shop", "my_token"} == secret_parameters(["day", "shop", "note", "my_token", "tokens"], [cell])


def test_no_secret_reaches_the_executed_notebook(
    papermill_run: Callable, monkeypatch, tmp_path: Path
) -> None:
    """Parameter, environment, file: injected cell, metadata, outputs in pieces, displays, tracebacks, widgets."""
    home = tmp_path / "home"
    (home / "secrets").mkdir(parents=True)
    (home / "secrets" / "FILE").write_text("canary-in-file\n")
    monkeypatch.setenv("JUPYTER_FLOWS_HOME", str(home))
    monkeypatch.setenv("JUPYTER_FLOWS_SECRET_ENV", "canary-in-env")
    monkeypatch.setenv("SHOP_TOKEN", "canary-in-variable")
    done = papermill_run(
        "key = ''  # secret",
        "import sys, os\nprint(len(key), key)\nsys.stdout.write('canary-in-'); sys.stdout.flush(); print('parameter')",
        "key",
        "from IPython.display import HTML\nHTML(f'<b>{key}</b>')",
        "def show(value):\n    raise ValueError(value)\nshow(key)",
        "print(os.environ['JUPYTER_FLOWS_SECRET_ENV'])\n"
        "from jupyter_flows.tasks.secrets import EnvVarSecret\nprint(EnvVarSecret('SHOP_TOKEN').run())",
        "from jupyter_flows.client.secrets import Secret\nprint(Secret('FILE').get())",
        tags={0: ["parameters"]},
        parameters={"key": "canary-in-parameter"},
    )
    text = (tmp_path / "out.ipynb").read_text()
    for place in ("parameter", "env", "variable", "file"):
        assert f"canary-in-{place}" not in text
    assert "canary-in-" not in str(done.error)
    assert 'key = "***"' in done.code[1].source
    assert {"key": "***"} == done.nb.metadata.papermill.parameters
    assert "19 ***\n***\n" == done.text(2)
    assert "'***'" == done.text(3)
    assert "Failed" == done.states[5]
    assert ("ValueError", "***") == (done.code[5].outputs[0].ename, done.code[5].outputs[0].evalue)
    assert "***\n***\n" == done.text(6)
    assert "***\n" == done.text(7)
