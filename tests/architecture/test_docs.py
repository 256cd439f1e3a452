"""What the documents say exists: commands and their options, settings, links, code that parses."""

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

from jupyter_flows.settings import PREFIX, Settings

REPOSITORY = Path(__file__).parents[2]
PAGES = sorted([*REPOSITORY.glob("docs/*.md"), *(REPOSITORY / name for name in ("README.md", "SECURITY.md"))])
NAMES = [str(page.relative_to(REPOSITORY)) for page in PAGES]


def commands_in(text: str) -> Iterator[str]:
    """Each ``jupyter flows …`` of a page, from inline code and from code blocks."""
    inline = re.findall(r"`(jupyter[ -]flows [^`\n]+)`", text)
    blocks = re.findall(r"^ {4}(jupyter[ -]flows [^\n]+)$", text, flags=re.MULTILINE)
    for found in (*inline, *blocks):
        yield re.sub(r"\s+#.*$", "", found).replace("…", "").strip()


def resolve(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that *words* begin with, and the words after it."""
    from jupyter_flows.cli import group

    command: click.Command = group
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, f"no command {words[0]!r}"
        command, words = found, words[1:]
    return command, words


@pytest.mark.parametrize("document", PAGES, ids=NAMES)
def test_commands_and_their_options_exist(document: Path) -> None:
    """A reader who types what stands there is not told that it does not exist."""
    wrong = []
    for line in commands_in(document.read_text("utf-8")):
        try:
            command, rest = resolve(shlex.split(line)[2 if line.startswith("jupyter flows") else 1 :])
        except AssertionError as error:
            wrong.append(f"{line}: {error}")
            continue
        known = {"--help", *(opt for param in command.params for opt in (*param.opts, *param.secondary_opts))}
        options = [word.partition("=")[0] for word in rest if re.match(r"-{1,2}[a-zA-Z]", word)]
        wrong += [f"{line}: no option {option}" for option in options if option not in known]
    assert wrong == []


@pytest.mark.parametrize("document", PAGES, ids=NAMES)
def test_links_lead_somewhere(document: Path) -> None:
    """Links between pages are relative and resolve."""
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text("utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", PAGES, ids=NAMES)
def test_python_examples_parse(document: Path) -> None:
    """Cells lose their ``%%task`` line first; everything else is plain Python."""
    for source in re.findall(r"```python\n(.*?)```", document.read_text("utf-8"), flags=re.DOTALL):
        ast.parse(re.sub(r"^%%.*\n", "", source))


def test_every_setting_is_documented_with_its_default() -> None:
    """The table of docs/server-and-agents.md is the list of settings."""
    text = (REPOSITORY / "docs" / "server-and-agents.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `JUPYTER_FLOWS_(\w+)` \| (\S*) ?\|", text, flags=re.MULTILINE))
    settings = Settings(home=Path("~/.jupyter_flows"))
    actual = {}
    for field in fields(Settings):
        value = getattr(settings, field.name)
        shown = (
            str(value).lower()
            if isinstance(value, bool)
            else f"{value:g}"
            if isinstance(value, float)
            else str(value)
        )
        actual[field.name.upper()] = f"`{shown}`" if shown else ""
    assert rows == actual
    assert PREFIX == "JUPYTER_FLOWS_"


@pytest.mark.parametrize("document", ["README.md", "docs/python-api.md"])
def test_the_first_python_flow_gives_what_is_said(document: str) -> None:
    """The example is run as it stands, without the lines that need a server."""
    text = (REPOSITORY / document).read_text("utf-8")
    sources = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    first = next(source for source in sources if 'Flow("totals")' in source)
    names: dict[str, Any] = {}
    exec(first.partition("state =")[0], names)
    state = names["flow"].run(city="New York")
    answer = names.get("answer", names.get("result"))
    assert (state.is_successful(), state.result[answer].result) == (True, 16)
    assert re.search(r"\.result\b.*# 16", text)
