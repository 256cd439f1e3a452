"""The options of a task cell."""

from __future__ import annotations

import pytest

from jupyter_flows.analysis import parse_task_line
from jupyter_flows.errors import InvalidOption


def test_every_option_is_read():
    options = parse_task_line(
        "clean data --retries 3 --retry-delay 10s --timeout 5m --trigger all_finished "
        "--after load,check --in a,b --out=c --mutates d --tags nightly,big"
    )
    assert (options.name, options.retries, options.retry_delay_s, options.timeout_s) == (
        "clean data",
        3,
        10.0,
        300.0,
    )
    assert (options.trigger, options.after, options.inputs) == ("all_finished", ("load", "check"), ("a", "b"))
    assert (options.outputs, options.mutates, options.tags) == (("c",), ("d",), ("nightly", "big"))


def test_a_bare_line_is_a_task_without_a_name():
    assert parse_task_line("").name is None


@pytest.mark.parametrize("name", ["täsk", "load-2", "a.b", "step_1", "load the data", '"quoted name"'])
def test_names_may_have_letters_of_any_script(name):
    assert parse_task_line(name).name == name.strip('"')


def test_map_may_come_twice_and_keeps_its_order():
    read = parse_task_line("x --map b=rows --map 'a=range(3, 5)' --out-map c, d")
    assert read.map == (("b", "rows"), ("a", "range(3, 5)"))
    assert read.out_map == ("c", "d")


def test_lists_may_have_spaces_and_come_twice():
    assert parse_task_line("x --after a, b --after c").after == ("a", "b", "c")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("clean --retires 3", "Cell 7 (%%task clean): unknown option --retires; did you mean --retries?"),
        ("clean --retries", "Cell 7 (%%task clean): --retries needs a value, such as --retries 3"),
        (
            "clean --retries many",
            "Cell 7 (%%task clean): --retries many: expected a whole number from 0 to 1000, such as --retries 3",
        ),
        (
            "clean --retries -1",
            "Cell 7 (%%task clean): --retries -1: expected a whole number from 0 to 1000, such as --retries 3",
        ),
        (
            "--timeout 5 parsecs",
            "Cell 7 (%%task): 'parsecs' belongs to no option; quote values that contain spaces",
        ),
        (
            "--timeout 5x",
            "Cell 7 (%%task): --timeout: '5x' is not a duration; write it as 10s, 5m, 1h, 1h30m or 1d",
        ),
        (
            "--trigger all_finish",
            "Cell 7 (%%task): --trigger all_finish: unknown trigger; did you mean all_finished?",
        ),
        (
            "x --when 'a ='",
            'Cell 7 (%%task x): --when a =: expected an expression of Python, such as --when "len(rows) > 0"',
        ),
        (
            "x --when '(y := 1)'",
            (
                "Cell 7 (%%task x): --when (y := 1): expected an expression that only reads, such as --when "
                '"len(rows) > 0"'
            ),
        ),
        ("x --in 1a", "Cell 7 (%%task x): --in 1a: that is not the name of a variable"),
        ("x --retries 1 --retries 2", "Cell 7 (%%task x): --retries is given twice"),
        (
            "x --map rows",
            (
                "Cell 7 (%%task x): --map rows: expected NAME=ITEMS, a name for each item and what they come "
                "from, such as --map row=rows"
            ),
        ),
        (
            "x --map 'row=a b'",
            ("Cell 7 (%%task x): --map row=a b: expected an expression of Python, such as --map row=rows"),
        ),
        ("x --out-map y", "Cell 7 (%%task x): --out-map needs --map, such as --map row=rows"),
        (
            "x --map r=rows --out-map 1y",
            "Cell 7 (%%task x): --out-map 1y: that is not the name of a variable",
        ),
        ("x --cache-by all", "Cell 7 (%%task x): --cache-by needs --cache-for, such as --cache-for 1d"),
        (
            "x --cache-for 1d --cache-by me",
            (
                "Cell 7 (%%task x): --cache-by me: expected inputs, parameters or all, such as "
                "--cache-by inputs"
            ),
        ),
        ('x "y', "Cell 7 (%%task): a quotation mark is not closed"),
        (
            "a/b",
            "Cell 7 (%%task a/b): 'a/b' cannot be a task name; use letters, digits, '_', '-', '.' and spaces",
        ),
    ],
)
def test_a_mistake_is_one_sentence(line, sentence):
    with pytest.raises(InvalidOption) as caught:
        parse_task_line(line, where="Cell 7")
    assert str(caught.value) == sentence
