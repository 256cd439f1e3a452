"""What stands behind %flow is read as it is meant, or refused in one sentence."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_flows.errors import InvalidOption
from jupyter_flows.notebook.flow_line import FlowLine, declaration, has_only_flow_lines, parse_flow_line


class Case(NamedTuple):
    line: str
    read: FlowLine


CASES = (
    Case("", FlowLine()),
    Case("   ", FlowLine()),
    Case("etl", FlowLine(name="etl")),
    Case('"my flow"', FlowLine(name="my flow")),
    Case("my flow", FlowLine(name="my flow")),
    Case("etl # a comment", FlowLine(name="etl")),
    Case(
        'etl --schedule "0 6 * * *" -l a -l b', FlowLine(name="etl", schedule="0 6 * * *", labels=("a", "b"))
    ),
    Case("etl --schedule='every 10 minutes'", FlowLine(name="etl", schedule="every 10 minutes")),
    Case("etl --schedule 0 6 * * * -l a", FlowLine(name="etl", schedule="0 6 * * *", labels=("a",))),
    Case("--schedule every 10 minutes", FlowLine(schedule="every 10 minutes")),
    Case("--schedule @daily etl", FlowLine(name="etl", schedule="@daily")),
    Case("--label=gpu etl", FlowLine(name="etl", labels=("gpu",))),
    Case("run -p year=2014 --param city=Oslo", FlowLine(verb="run", params=("year=2014", "city=Oslo"))),
    Case("run -p 'city=New York'", FlowLine(verb="run", params=("city=New York",))),
    Case("check --runs 3 --all-cells", FlowLine(verb="check", runs="3", all_cells=True)),
    Case("run -p n=-1", FlowLine(verb="run", params=("n=-1",))),
    Case(
        "register a.ipynb --storage pickle", FlowLine(verb="register", words=("a.ipynb",), storage="pickle")
    ),
    Case("cancel 1234", FlowLine(verb="cancel", words=("1234",))),
    Case("runs my flow", FlowLine(verb="runs", words=("my", "flow"))),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.line or "(empty)")
def test_a_line_is_read(case):
    assert case.read == parse_flow_line(case.line)


class Wrong(NamedTuple):
    line: str
    sentence: str


WRONG = (
    Wrong("etl --scedule x", "%flow: unknown option --scedule; did you mean --schedule?"),
    Wrong(
        "--zzz",
        "%flow: unknown option --zzz; there are --schedule, --storage, --project, --path, --runs,",
    ),
    Wrong("-x", "%flow: unknown option -x; there are"),
    Wrong("etl --label", "%flow: option --label needs a value"),
    Wrong("etl --label=", "%flow: option --label needs a value"),
    Wrong("etl --label --project p", "%flow: option --label needs a value"),
    Wrong("'etl", '%flow: no closing quotation in "\'etl"; close the quotation mark'),
)


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.line)
def test_a_mistake_is_one_sentence(case):
    with pytest.raises(InvalidOption) as refused:
        parse_flow_line(case.line)
    assert case.sentence in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(line):
    """No line that a person can type ends in anything but a FlowLine or a sentence."""
    try:
        assert isinstance(parse_flow_line(line), FlowLine)
    except InvalidOption as error:
        assert str(error).startswith("%flow: ")


@pytest.mark.parametrize(
    ("source", "only"),
    [
        ("%flow", True),
        ("%load_ext jupyter_flows\n%flow etl", True),
        ("%flow etl \\\n   --label a", True),
        ("%flow?", True),
        ("# the flow\n\n%flow register\n", True),
        ("%load_ext jupyter_flows", False),
        ("# nothing", False),
        ("", False),
        ("x = 1\n%flow", False),
        ("%flowchart", False),
        ("%%task\n%flow", False),
        ("s = '''\n%flow\n'''", False),
    ],
)
def test_a_cell_that_only_speaks_to_us_is_no_part_of_the_flow(source, only):
    assert only is has_only_flow_lines(source)


def test_declarations_of_a_notebook_add_up():
    """A later line wins, labels add up, and a line that asks for something declares nothing."""
    found = declaration(
        [
            "%load_ext jupyter_flows\n%flow etl --schedule 'every 1 hour' -l a",
            "x = 1\n%flow run -p n=1 --storage pickle",
            "%flow register --label b -l a --project lab",
            "%flow --schedule 'every 2 hours'",
            "%%bash\n%flow other",
            "def f(:\n%flow broken",
            "if True:\n    %flow --label c",
        ]
    )
    assert FlowLine(name="etl", schedule="every 2 hours", labels=("a", "b", "c"), project="lab") == found


def test_nothing_is_declared_by_looking():
    assert FlowLine() == declaration(["%flow", "%flow runs etl", "x = 1"])


def test_a_line_in_a_text_or_a_comment_declares_nothing():
    """A docstring that explains %flow is no declaration."""
    sources = [
        '"""Write\n%flow other --label x\n"""',
        "# %flow third",
        "def f():\n    '''\n    %flow fourth\n    '''",
    ]
    assert FlowLine() == declaration(sources)


def test_help_is_no_declaration():
    assert FlowLine() == declaration(["%flow?", "?%flow", "%flow??"])


def test_a_mistyped_action_does_not_name_the_flow():
    with pytest.raises(InvalidOption, match="'regsiter' is no action; did you mean %flow register"):
        parse_flow_line("regsiter")
    assert "regsiter" == parse_flow_line("regsiter --project default").name
    for name in ("weather", "long", "registry", "log", "runs-of-cats"):
        assert name == parse_flow_line(name).name
