"""What a spool took is delivered once, in order, through any crash."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from jupyter_flows.client.spool import JOURNAL, LOGS, STATES, Spool
from jupyter_flows.schema.base import utc_now
from jupyter_flows.schema.runs import (
    FinishItem,
    LogItem,
    ProgressItem,
    SequencedItem,
    StateRecord,
    TaskProgress,
    TaskStateItem,
)

LIMIT = 1 << 20


def state(slug: str, name: str = "Running") -> TaskStateItem:
    return TaskStateItem(slug=slug, name=slug, state=StateRecord(type=name, at=utc_now()))


def line(text: str) -> LogItem:
    return LogItem(at=utc_now(), level="INFO", logger="flow", message=text)


def finish() -> FinishItem:
    return FinishItem(state=StateRecord(type="Success", at=utc_now()))


def told(items: tuple[SequencedItem, ...]) -> list[str]:
    return [
        item.item.slug if isinstance(item.item, TaskStateItem) else getattr(item.item, "message", "finish")
        for item in items
    ]


def drain(spool: Spool, **limits: int) -> list[SequencedItem]:
    items: list[SequencedItem] = []
    while batch := spool.next_batch(**limits):
        items.extend(batch)
        spool.accepted(batch[-1].seq)
    return items


def test_items_come_back_in_order_with_growing_numbers(tmp_path: Path) -> None:
    """States keep their order, and sequence numbers have no gap."""
    spool = Spool(tmp_path / "s", limit_bytes=LIMIT)
    for number in range(1200):
        spool.append(state(f"t{number}"))
    items = drain(spool)
    assert [f"t{number}" for number in range(1200)] == told(tuple(items))
    assert list(range(1, 1201)) == [item.seq for item in items]
    assert not spool.pending


def test_states_overtake_logs_and_the_finish_waits_for_them() -> None:
    """A flood of log lines delays no state; nothing comes after the finish."""
    import tempfile

    spool = Spool(Path(tempfile.mkdtemp()), limit_bytes=LIMIT)
    for number in range(30):
        spool.append(line(f"l{number}"))
    spool.append(state("a"))
    spool.append(finish())
    first = spool.next_batch(max_items=10)
    assert "a" == told(first)[0]
    assert "finish" not in told(first)
    rest = told(tuple(drain(spool, max_items=10)))
    assert "finish" == rest[-1]
    assert 32 == len(rest)


def test_the_same_batch_goes_out_again_until_it_is_accepted(tmp_path: Path) -> None:
    """A batch sent before a crash has the same numbers after it, though more was appended since."""
    spool = Spool(tmp_path / "s", limit_bytes=LIMIT)
    spool.append(state("a"))
    sent = spool.next_batch()
    spool.append(state("b"))
    assert sent == spool.next_batch()
    spool.close()
    again = Spool(tmp_path / "s", limit_bytes=LIMIT)
    assert sent == again.next_batch()
    again.accepted(sent[-1].seq)
    assert [2] == [item.seq for item in again.next_batch()]


def test_an_accepted_batch_is_not_sent_again_after_a_restart(tmp_path: Path) -> None:
    """The journal remembers what the server has."""
    spool = Spool(tmp_path / "s", limit_bytes=LIMIT)
    spool.append(state("a"))
    spool.accepted(spool.next_batch()[-1].seq)
    spool.append(finish())
    spool.close()
    again = Spool(tmp_path / "s", limit_bytes=LIMIT)
    assert again.finish is not None
    assert ["finish"] == told(again.next_batch())


def test_logs_over_the_limit_are_counted_and_told(tmp_path: Path) -> None:
    """Lines over the limit are dropped, states are not, and one line says how many were."""
    spool = Spool(tmp_path / "s", limit_bytes=4000)
    taken = [spool.append(line("x" * 100)) for _ in range(50)]
    assert False in taken
    assert spool.append(state("a"))
    spool.append(finish())
    lines = told(tuple(drain(spool)))
    assert any(f"{taken.count(False)} lines of this log were dropped" in text for text in lines)
    assert "a" in lines


@pytest.mark.parametrize("name", [STATES, LOGS, JOURNAL])
def test_damage_at_any_byte_leaves_a_good_prefix(tmp_path: Path, name: str) -> None:
    """Truncate each file at every offset, and flip each byte: opening works, and what is told is true."""
    source = tmp_path / "source"
    spool = Spool(source, limit_bytes=LIMIT)
    spool.append(state("a"))
    spool.append(line("one"))
    spool.accepted(spool.next_batch()[-1].seq)
    spool.append(state("b"))
    spool.append(line("two"))
    spool.next_batch()
    spool.close()
    original = (source / name).read_bytes()
    for offset in range(0, len(original), 3):
        for damaged in (
            original[:offset],
            original[:offset] + bytes([original[offset] ^ 0xFF]) + original[offset + 1 :],
        ):
            copy = tmp_path / "copy"
            shutil.copytree(source, copy)
            (copy / name).write_bytes(damaged)
            opened = Spool(copy, limit_bytes=LIMIT)
            items = drain(opened)
            assert set(told(tuple(items))) <= {"a", "one", "b", "two"}
            assert [item.seq for item in items] == sorted({item.seq for item in items})
            assert opened.append(state("c"))
            assert ["c"] == told(tuple(drain(opened)))
            opened.close()
            shutil.rmtree(copy)


def test_a_held_finish_goes_out_when_it_is_released(tmp_path: Path) -> None:
    """What is learnt after a run's own end, but before it is told, still comes before it."""
    spool = Spool(tmp_path / "s", limit_bytes=LIMIT, hold_finish=True)
    spool.append(state("a"))
    spool.append(finish())
    assert ["a"] == told(tuple(drain(spool)))
    assert not spool.pending
    spool.append(line("swept"))
    spool.release_finish()
    assert ["swept", "finish"] == told(tuple(drain(spool)))


def test_a_held_finish_is_free_for_whoever_finds_it(tmp_path: Path) -> None:
    """A keeper that died while holding it does not hold it for ever."""
    spool = Spool(tmp_path / "s", limit_bytes=LIMIT, hold_finish=True)
    spool.append(finish())
    spool.close()
    assert ["finish"] == told(tuple(drain(Spool(tmp_path / "s", limit_bytes=LIMIT))))


def test_files_are_private(tmp_path: Path) -> None:
    """Nobody else of the machine reads a run's reports."""
    spool = Spool(tmp_path / "s", limit_bytes=LIMIT)
    spool.append(state("a"))
    assert {0o600} == {path.stat().st_mode & 0o777 for path in (tmp_path / "s").iterdir()}


def test_remove_leaves_nothing(tmp_path: Path) -> None:
    """A delivered spool is gone."""
    spool = Spool(tmp_path / "s", limit_bytes=LIMIT)
    spool.append(state("a"))
    spool.remove()
    assert [] == list((tmp_path / "s").iterdir())


def progress(slug: str, fraction: float) -> ProgressItem:
    return ProgressItem(slug=slug, progress=TaskProgress(fraction=fraction))


def test_of_progress_the_newest_is_kept_until_the_task_or_the_run_ends(tmp_path: Path) -> None:
    spool = Spool(tmp_path, limit_bytes=1_000_000)
    for item in (progress("a", 0.1), progress("b", 0.2), progress("a", 0.3)):
        assert spool.append(item)
    assert spool.wait_pending(0)
    assert not spool.pending
    assert (progress("a", 0.3), progress("b", 0.2)) == spool.take_progress()
    assert () == spool.take_progress()
    spool.append(progress("a", 0.4))
    spool.append(state("a", "Success"))
    assert () == spool.take_progress()
    spool.append(FinishItem(state=StateRecord(type="Success", at=utc_now())))
    assert not spool.append(progress("b", 0.5))
    spool.close()
