"""What of an earlier run stands, and what runs. Decided without a kernel."""

from __future__ import annotations

import re
from collections.abc import Collection

import msgspec
import pytest

from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.errors import CannotResume, InvalidOption
from jupyter_flows.runtime.book import Gift, Place
from jupyter_flows.runtime.code_digests import code_digests
from jupyter_flows.runtime.passing import needs_of
from jupyter_flows.runtime.resume import Resumption, chosen, resume

from .test_passing import flow_of

CHAIN = ("%%task one\nx = 1", "%%task two\ny = x", "%%task three\nz = y")
STORED = Place(kind="stored")
LOST = Place(kind="lost", type="lock", why="it cannot be pickled (TypeError)")


def digests_of(graph: FlowGraph, *sources: str) -> dict[str, str]:
    """Return what tells each task's code from another."""
    codes = {slug: (sources[task.index - 1],) for task, slug in graph.slugs.items()}
    return code_digests(graph, needs_of(graph), codes)


class Before:
    """An earlier run of a notebook, of which some tasks ended well."""

    def __init__(self, *sources: str, ended: Collection[str], **places: dict[str, Place]) -> None:
        self.sources = sources
        graph = flow_of(*sources)
        needs, digests = needs_of(graph), digests_of(graph, *sources)
        self.gifts = {
            slug: Gift(
                slug=slug,
                code=digests[slug],
                names={name: places.get(slug, {}).get(name, STORED) for name in need.gives},
                channels=dict.fromkeys(need.state, STORED),
            )
            for slug, need in needs.items()
            if slug in ended or need.is_replayed
        }

    def resumed(
        self,
        *sources: str,
        only: tuple[str, ...] = (),
        start: str | None = None,
        is_forced: bool = False,
    ) -> Resumption:
        """Decide, for the same notebook or a changed one."""
        sources = sources or self.sources
        graph = flow_of(*sources)
        return resume(
            graph,
            needs_of(graph),
            self.gifts,
            digests_of(graph, *sources),
            wanted=chosen(graph, only=only, start=start),
            is_forced=is_forced,
        )


def test_nothing_earlier_runs_all() -> None:
    """A first run leaves nothing out."""
    found = Before(*CHAIN, ended=()).resumed()
    assert (("one", "two", "three"), (), {}, ()) == (found.runs, found.stands, found.again, found.left_out)


def test_what_ended_well_stands() -> None:
    """Only what did not succeed runs."""
    found = Before(*CHAIN, ended=("one", "two")).resumed()
    assert (("three",), ("one", "two"), {}) == (found.runs, found.stands, found.again)


def test_what_stands_on_something_that_runs_runs_too() -> None:
    """A task that ended well below one that did not has seen what no longer is."""
    found = Before(*CHAIN, ended=("one", "three")).resumed()
    assert (("two", "three"), ("one",)) == (found.runs, found.stands)


def test_a_value_that_was_not_kept_makes_its_task_run_again() -> None:
    """And only that one, with the reason in words."""
    found = Before(*CHAIN, ended=("one", "two"), two={"y": LOST}).resumed()
    assert {"two": "`y` was not kept: it cannot be pickled (TypeError)"} == found.again
    assert (("two", "three"), ("one",)) == (found.runs, found.stands)


def test_lost_values_are_made_again_all_the_way_up() -> None:
    """What runs again needs its own inputs; if these are lost too, they are made again."""
    found = Before(*CHAIN, ended=("one", "two"), one={"x": LOST}, two={"y": LOST}).resumed()
    assert {"one", "two"} == set(found.again)
    assert ("one", "two", "three") == found.runs


def test_a_lost_value_that_nobody_needs_is_left_lost() -> None:
    """Its reader stands."""
    found = Before(*CHAIN, ended=("one", "two"), one={"x": LOST}).resumed()
    assert (("three",), {}) == (found.runs, found.again)


def test_a_name_that_a_cell_did_not_bind_is_taken_from_the_one_above() -> None:
    """Then it is that value that must have been kept."""
    sources = ("%%task one\nx = 1", "%%task two\nif x > 9:\n    x = 3", "%%task three\ny = x")
    absent = Place(kind="absent")
    assert ("three",) == Before(*sources, ended=("one", "two"), two={"x": absent}).resumed().runs
    found = Before(*sources, ended=("one", "two"), one={"x": LOST}, two={"x": absent}).resumed()
    assert ["one"] == list(found.again)


SHARING = (
    "%%task one\nrows = []\nother = rows",
    "%%task two\nrows.append(1)",
    "%%task three\nother.append(2)\nz = rows",
)


def test_objects_that_share_memory_are_gone_on_from_together_or_made_again() -> None:
    """With one picture of all of them they stand; without it the tasks that made them run."""
    before = Before(*SHARING, ended=("one", "two"))
    found = before.resumed()
    assert ("one", "two", "three") == found.runs
    assert all(why.endswith("shares memory with other variables") for why in found.again.values())
    before.gifts["two"] = Gift(
        slug="two",
        code=before.gifts["two"].code,
        names=before.gifts["two"].names,
        joint=Place(kind="stored", names=("rows", "other"), versions={"rows": "two", "other": "two"}),
    )
    assert ("three",) == before.resumed().runs


def test_what_was_changed_under_the_eyes_of_a_cell_that_runs_is_changed_again() -> None:
    """A cell that holds the object must see the change, which was made to a copy of it."""
    cells = (
        "%%task one\na = [1]",
        "%%task hold\nc = [a]",
        "%%task change\na.append(2)",
        "%%task look\nz = (a, c)",
    )
    before = Before(*cells, ended=("one", "change"))
    for slug in ("one", "change"):
        joint = Place(kind="stored", names=("a",), versions={"a": slug})
        before.gifts[slug] = msgspec.structs.replace(before.gifts[slug], joint=joint)
    found = before.resumed()
    assert ("hold", "change", "look") == found.runs
    assert "`a` shares memory with what hold makes" == found.again["change"]


def test_the_state_of_the_process_must_have_been_kept() -> None:
    """A reader of random numbers cannot go on without the state of the generator."""
    sources = ("%%task one\nimport random\nrandom.seed(1)", "%%task two\nimport random\nx = random.random()")
    before = Before(*sources, ended=("one",))
    assert ("two",) == before.resumed().runs
    before.gifts["one"] = Gift(slug="one", code=before.gifts["one"].code)
    assert {"one": "rng:random was not kept"} == dict(before.resumed().again)


def test_a_channel_that_no_file_holds_makes_its_task_run_again() -> None:
    """A figure under way is in no checkpoint."""
    sources = (
        "%%task one\nimport matplotlib.pyplot as plt\nplt.plot([1])",
        "%%task two\nimport matplotlib.pyplot as plt\nplt.title('x')",
    )
    assert {"one": "mpl:figure is not kept"} == dict(Before(*sources, ended=("one",)).resumed().again)


def test_a_file_that_was_overwritten_since_is_written_again() -> None:
    """Who runs must find what stood there in the notebook's order; who read it well need not run again."""
    cells = (
        "%%task first\nopen('d.txt', 'w').write('1')",
        "%%task early\nx = open('d.txt').read()",
        "%%task second\nopen('d.txt', 'w').write('2')",
        "%%task late\ny = open('d.txt').read()",
        "%%task third\nopen('d.txt', 'a').write('3')",
    )
    found = Before(*cells, ended=["first", "second", "late", "third"]).resumed()
    assert ("first", "early", "second", "third") == found.runs
    assert {"first", "second", "third"} == set(found.again)
    assert ("late",) == found.stands
    assert "file:d.txt was changed since by second" == found.again["first"]


def test_a_file_that_nobody_has_changed_since_is_taken_as_it_is() -> None:
    cells = ("%%task first\nopen('d.txt', 'w').write('1')", "%%task early\nx = open('d.txt').read()")
    assert ("early",) == Before(*cells, ended=["first"]).resumed().runs


def test_changed_code_is_refused_and_named() -> None:
    """In exact words: which task, and the two ways out."""
    before = Before(*CHAIN, ended=("one", "two"))
    with pytest.raises(CannotResume) as raised:
        before.resumed("%%task one\nx = 2", *CHAIN[1:])
    assert str(raised.value) == (
        "one has changed since the run that is to go on; run without --resume, "
        "or take its result as it is with --force"
    )


def test_many_changed_tasks_are_named_and_counted() -> None:
    """The first five, and how many more."""
    sources = [f"%%task t{n}\nx{n} = {n}" for n in range(7)]
    before = Before(*sources, ended=[f"t{n}" for n in range(7)])
    with pytest.raises(CannotResume) as raised:
        before.resumed(*[source + "0" for source in sources])
    assert str(raised.value) == (
        "t0, t1, t2, t3, t4 and 2 more have changed since the run that is to go on; run without --resume, "
        "or take their results as they are with --force"
    )


def test_what_has_changed_may_run_if_it_runs_anyway() -> None:
    """Mending the cell that failed is what resuming is for; comments and blank ends count, spaces do not."""
    before = Before(*CHAIN, ended=("one", "two"))
    assert ("three",) == before.resumed(CHAIN[0] + "   \n\n", CHAIN[1], "%%task three\nz = y + 1").runs


def test_forced_results_are_taken_as_they_are() -> None:
    """``--force`` lets a changed task stand."""
    before = Before(*CHAIN, ended=("one", "two"))
    assert ("three",) == before.resumed("%%task one\nx = 2", *CHAIN[1:], is_forced=True).runs


def test_a_changed_function_of_a_setup_cell_changes_who_calls_it() -> None:
    """And nobody else: a setup cell is compared by the parts that a task uses."""
    sources = (
        "def f(x):\n    return x\ndef g(x):\n    return x",
        "%%task one\na = f(1)",
        "%%task two\nb = g(1)",
        "%%task three\nc = (a, b)",
    )
    before = Before(*sources, ended=("one", "two"))
    with pytest.raises(CannotResume, match=r"^two has changed since"):
        before.resumed(
            sources[0].replace("def g(x):\n    return x", "def g(x):\n    return -x"), *sources[1:]
        )


def test_only_runs_a_task_and_what_it_needs() -> None:
    """What did not run before and is not asked for is left out."""
    sources = (*CHAIN, "%%task beside\nw = 1")
    found = Before(*sources, ended=()).resumed(only=("two",))
    assert (("one", "two"), ("three", "beside")) == (found.runs, found.left_out)
    found = Before(*sources, ended=("one",)).resumed(only=("two",))
    assert (("two",), ("one",)) == (found.runs, found.stands)


def test_from_runs_a_task_and_all_below_it() -> None:
    """Also what ended well before; what stands above is taken."""
    found = Before(*CHAIN, ended=("one", "two", "three")).resumed(start="two")
    assert (("two", "three"), ("one",)) == (found.runs, found.stands)


def test_a_changed_task_that_is_asked_for_is_no_reason_to_refuse() -> None:
    """``--from`` the changed cell is how to go on after a change."""
    before = Before(*CHAIN, ended=("one", "two", "three"))
    assert ("two", "three") == before.resumed(CHAIN[0], "%%task two\ny = -x", CHAIN[2], start="two").runs


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("tow", "no task is called 'tow'; did you mean two?"),
        ("42", "no task is called '42'; there are one, two, three"),
    ],
)
def test_an_unknown_task_is_answered_with_the_nearest(name: str, sentence: str) -> None:
    """Or with the names that there are."""
    for choice in ({"only": (name,)}, {"start": name}):
        with pytest.raises(InvalidOption, match=f"^{re.escape(sentence)}$"):
            chosen(flow_of(*CHAIN), **choice)
