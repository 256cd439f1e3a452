"""What a front end is told of each cell, and what it tells: states, staleness, edits that were not run."""

from __future__ import annotations

from typing import Any

from jupyter_flows.magics.badges import TARGET, CellBadges
from jupyter_flows.magics.cells import CellRecorder
from jupyter_flows.magics.desk import Desk

LOAD, CLEAN = "%%task load\nrows = [3, 1]", "%%task clean\nrows = sorted(rows)"
SETUP, ODD = "import os", "exec(open('code.py').read())"


class Front:
    """A front end's end of the comm: keeps the badges as it is told them."""

    def __init__(self) -> None:
        self.badges: dict[str, Any] = {}
        self.told: list[dict[str, Any]] = []
        self.opened = 0
        self.is_closed = False
        self.hear: Any = None
        self.refuse: Any = None

    def open(self, target: str, data: dict[str, Any]) -> Front:
        assert target == TARGET
        self.opened += 1
        self.send(data)
        return self

    def send(self, data: dict[str, Any]) -> None:
        self.told.append(data)
        if data["kind"] == "all":
            self.badges.clear()
        self.badges.update(data["cells"])
        self.badges = {key: badge for key, badge in self.badges.items() if badge is not None}

    def on_msg(self, hear: Any) -> None:
        self.hear = hear

    def on_close(self, refuse: Any) -> None:
        self.refuse = refuse

    def close(self) -> None:
        self.is_closed = True

    def say(self, **data: Any) -> None:
        self.hear({"content": {"data": data}})


def desk_with_front() -> tuple[Desk, Front, CellBadges]:
    front = Front()
    recorder = CellRecorder()
    desk = Desk(recorder, namespace={}, hidden={}, is_tracing=False)
    badges = CellBadges(desk, front.open)
    recorder.watchers.append(badges)
    return desk, front, badges


def ran(desk: Desk, *cells: tuple[str, str], error: Exception | None = None) -> None:
    for cell_id, source in cells:
        desk.begin(source, cell_id, execution=cell_id)
        desk.end(error, execution=cell_id)


def short(front: Front) -> dict[str, tuple[str, str]]:
    return {key: (badge["state"], badge.get("stale", "")) for key, badge in front.badges.items()}


def test_tasks_have_badges_and_setup_has_none():
    desk, front, _ = desk_with_front()
    ran(desk, ("s", SETUP), ("l", LOAD), ("c", CLEAN))
    assert {"l": ("Success", ""), "c": ("Success", "")} == short(front)
    assert ["name", "role", "state"] == sorted(front.badges["l"].keys() - {"duration_s"})
    assert front.opened == 1


def test_a_notebook_without_tasks_opens_nothing():
    desk, front, _ = desk_with_front()
    ran(desk, ("s", SETUP), ("x", "x = 1"))
    assert front.opened == 0


def test_a_cell_that_runs_and_fails_says_so():
    desk, front, _ = desk_with_front()
    ran(desk, ("l", LOAD))
    desk.begin(LOAD, "l", execution=1)
    assert front.badges["l"] == {"name": "load", "role": "task", "state": "Running"}
    desk.end(KeyError("x"), execution=1)
    assert (front.badges["l"]["state"], front.badges["l"]["message"]) == ("Failed", "KeyError in this cell")


def test_only_what_changed_is_sent():
    desk, front, _ = desk_with_front()
    ran(desk, ("l", LOAD), ("c", CLEAN))
    before = len(front.told)
    ran(desk, ("c", CLEAN))
    assert [["c"], ["c"]] == [sorted(message["cells"]) for message in front.told[before:]]


def test_an_edit_that_was_not_run_makes_it_and_all_below_stale():
    """The editor's text counts as soon as the front end tells it; undoing the edit takes it back."""
    desk, front, _ = desk_with_front()
    ran(desk, ("l", LOAD), ("c", CLEAN))
    front.say(kind="edited", sources={"l": LOAD + "\nrows.append(7)", "c": CLEAN})
    reason = "load changed after it last ran"
    assert {"l": ("Success", reason), "c": ("Success", reason)} == short(front)
    assert [1, 2] == [step.index for step in desk.plan()]
    assert "append" in desk.recorder.notebook().cells[0].source
    front.say(kind="edited", sources={"l": LOAD})
    assert {"l": ("Success", ""), "c": ("Success", "")} == short(front)


def test_running_the_edited_cell_leaves_what_is_below_stale():
    desk, front, _ = desk_with_front()
    ran(desk, ("l", LOAD), ("c", CLEAN))
    edited = LOAD + "\nrows.append(7)"
    front.say(kind="edited", sources={"l": edited})
    ran(desk, ("l", edited))
    assert {"l": ("Success", ""), "c": ("Success", "load ran after clean last ran")} == short(front)


def test_a_barrier_and_its_warning_are_on_the_cell_though_it_is_no_task():
    desk, front, _ = desk_with_front()
    ran(desk, ("l", LOAD), ("o", ODD))
    assert front.badges["o"]["barrier"] is True
    assert "by exec()" in front.badges["o"]["warnings"][0]
    assert "barrier" not in front.badges["l"]


def test_a_page_that_was_loaded_again_asks_and_gets_all():
    desk, front, _ = desk_with_front()
    ran(desk, ("l", LOAD), ("c", CLEAN))
    expected = dict(front.badges)
    front.badges = {}
    front.say(kind="ask")
    assert (front.told[-1]["kind"], front.badges) == ("all", expected)


def test_nonsense_from_a_front_end_is_ignored():
    desk, front, _ = desk_with_front()
    ran(desk, ("l", LOAD))
    for data in (
        {},
        {"kind": "edited"},
        {"kind": "edited", "sources": {"l": 3, "gone": "x = 1"}},
        {"kind": 7},
    ):
        front.say(**data)
    assert {"l": ("Success", "")} == short(front)


def test_a_front_end_that_knows_no_badges_is_not_asked_again():
    """It closes the comm; a kernel that opened it again at each cell would fill its console."""
    desk, front, _ = desk_with_front()
    ran(desk, ("l", LOAD))
    told = len(front.told)
    front.refuse({})
    ran(desk, ("l", LOAD), ("c", CLEAN))
    assert (1, told) == (front.opened, len(front.told))


def test_unloading_takes_the_badges_away():
    desk, front, badges = desk_with_front()
    ran(desk, ("l", LOAD))
    badges.stop()
    assert front.is_closed


def test_the_graph_without_its_runs_says_the_same_as_with_them():
    """What is quick to ask for at each cell has the edges of the whole; a run that adds some is heeded."""
    from jupyter_flows.analysis.observed import Observed

    desk, _, _ = desk_with_front()
    ran(desk, ("a", "import library"), ("l", "%%task l\nlibrary.fill()"), ("p", "%%task p\nprint(total)"))
    notebook = desk.recorder.notebook()
    cells = desk.recorder.cells

    def ends(analysis):
        return {(edge.source_index, edge.target_index) for edge in analysis.edges}

    desk._keep(cells["l"], Observed(reads=frozenset({"library"})))
    assert desk.graph(notebook) is desk.read(notebook)
    assert ends(desk.graph(notebook)) == ends(desk.analysis(notebook))
    desk._keep(cells["l"], Observed(binds=frozenset({"total"})))
    beyond = desk.graph(notebook)
    assert ends(beyond) == ends(desk.read(notebook)) | {(2, 3)} == ends(desk.analysis(notebook))
    desk._keep(cells["p"], Observed(reads=frozenset({"total"})))
    assert desk.graph(notebook) is beyond


def test_a_real_kernel_speaks_over_a_real_comm(kernel):
    kernel.run(LOAD, "l")
    heard = kernel.run(CLEAN, "c")
    opened = [m["content"] for m in heard.messages if m["msg_type"] == "comm_open"]
    sent = [m["content"]["data"] for m in heard.messages if m["msg_type"] == "comm_msg"]
    assert opened == []  # at the first task already
    assert sent[-1]["cells"]["c"]["state"] == "Success"
