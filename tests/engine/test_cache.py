"""What of results is kept: targets, caches in this process and beyond it, checkpoints."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from jupyter_flows import Flow, Parameter, task
from jupyter_flows.core.state import Cached
from jupyter_flows.engine import cache
from jupyter_flows.engine.cache_validators import all_inputs, all_parameters, hashed
from jupyter_flows.engine.results import LocalResult, PrefectResult, S3Result
from jupyter_flows.engine.results.object_store import UrlResult
from jupyter_flows.engine.serializers import JSONSerializer
from jupyter_flows.errors import EnvironmentFault, InvalidTask

ON = {"checkpointing": True}


@pytest.fixture(autouse=True)
def nothing_kept(home):
    cache._kept.clear()
    yield
    cache._kept.clear()


def counted(**options):
    """A task that counts its calls."""
    calls = []

    @task(name="work", **options)
    def work(x=1):
        calls.append(x)
        return x

    return work, calls


def test_a_target_is_written_and_read_instead_of_running_again(tmp_path):
    work, calls = counted(target="{flow_name}/{x}.pkl", result=LocalResult(str(tmp_path)))
    with Flow("f") as flow:
        worked = work(Parameter("x", default=1))
    assert "Success" == type(flow.run(context=ON).result[worked]).__name__
    state = flow.run(context=ON).result[worked]
    assert ("Cached", 1, [1]) == (type(state).__name__, state.result, calls)
    assert (tmp_path / "f" / "1.pkl").is_file()
    flow.run(context=ON, x=2)
    assert [1, 2] == calls


def test_a_target_needs_no_result(home):
    """Prefect 1 failed with ResultNotImplementedError."""
    work, calls = counted(target="somewhere.pkl")
    with Flow("f") as flow:
        work()
    for _ in range(2):
        assert flow.run(context=ON).is_successful()
    assert [1] == calls
    assert (home.home / "results" / "somewhere.pkl").is_file()


def test_none_is_a_value(tmp_path):
    work, calls = counted(target="none.pkl", result=LocalResult(str(tmp_path)))
    with Flow("f") as flow:
        worked = work(None)
    flow.run(context=ON)
    state = flow.run(context=ON).result[worked]
    assert ("Cached", None, [None]) == (type(state).__name__, state.result, calls)


def test_a_target_that_cannot_be_read_fails_its_task_with_a_sentence(tmp_path):
    (tmp_path / "t.pkl").write_bytes(b"half a pick")
    work, calls = counted(target="t.pkl", result=LocalResult(str(tmp_path)))
    with Flow("f") as flow:
        worked = work()
    state = flow.run(context=ON).result[worked]
    assert state.message.startswith("the target of task work cannot be read: ")
    assert [] == calls


def test_what_cannot_be_written_fails_its_task_and_leaves_no_file(tmp_path):
    @task(result=LocalResult(str(tmp_path), location="lock.pkl"))
    def lock():
        return threading.Lock()

    with Flow("f") as flow:
        locked = lock()
    state = flow.run(context=ON).result[locked]
    assert "the result of task lock, a lock, cannot be written: TypeError" == state.message
    assert [] == list(tmp_path.iterdir())
    assert flow.run().is_successful(), "without checkpointing nothing is written"


def test_the_flows_result_is_for_tasks_without_their_own(tmp_path):
    plain, _ = counted()
    with Flow("f", result=LocalResult(str(tmp_path), location="{task_name}.pkl")) as flow:
        plain(Parameter("x", default=3))
    flow.run(context=ON)
    assert ["work.pkl"] == [path.name for path in tmp_path.iterdir()]


def test_checkpoint_false_writes_nothing(tmp_path):
    plain, _ = counted(checkpoint=False, result=LocalResult(str(tmp_path)))
    with Flow("f") as flow:
        plain()
    flow.run(context=ON)
    assert [] == list(tmp_path.iterdir())


def test_the_environment_switches_checkpoints_on(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_FLOWS_CHECKPOINTING", "true")
    plain, _ = counted(result=LocalResult(str(tmp_path)))
    with Flow("f") as flow:
        plain()
    flow.run()
    assert 1 == len(list(tmp_path.iterdir()))


# -- caches ---------------------------------------------------------------------------------------------


def test_a_cache_holds_for_a_time():
    work, calls = counted(cache_for=timedelta(hours=1))
    brief, brief_calls = counted(cache_for=0)
    with Flow("f") as flow:
        work()
        brief()
    for _ in range(3):
        state = flow.run()
    assert all(isinstance(own, Cached) for own in state.result.values())
    assert ([1], [1, 1, 1]) == (calls, brief_calls)


def test_caches_of_two_flows_do_not_meet_by_their_tasks_names():
    """In Prefect 1 they did."""
    one, one_calls = counted(cache_for=60)
    two, two_calls = counted(cache_for=60)
    with Flow("one") as first:
        one()
    with Flow("two") as second:
        two()
    first.run()
    second.run()
    assert ([1], [1]) == (one_calls, two_calls)


def test_a_cache_key_is_shared():
    one, one_calls = counted(cache_for=60, cache_key="shared")
    two, two_calls = counted(cache_for=60, cache_key="shared")
    with Flow("one") as first:
        one()
    with Flow("two") as second:
        taken = two(5)
    first.run()
    assert 1 == second.run().result[taken].result
    assert ([1], []) == (one_calls, two_calls)


@pytest.mark.parametrize(("validator", "calls"), [(all_inputs, [1, 2]), (all_parameters, [1, 2])])
def test_a_validator_looks_at_what_it_was_made_of(validator, calls):
    work, seen = counted(cache_for=60, cache_validator=validator)
    with Flow("f") as flow:
        work(Parameter("x", default=1))
    for x in (1, 2, 1, 2):
        flow.run(x=x)
    assert calls == seen


def test_with_checkpoints_a_cache_outlives_the_process(home):
    """As a run of tonight and one of tomorrow night: another process, the same machine."""
    work, calls = counted(cache_for=3600, cache_validator=all_inputs)
    with Flow("f") as flow:
        worked = work(7)
    flow.run(context=ON)
    cache._kept.clear()
    state = flow.run(context=ON).result[worked]
    assert ("Cached", 7, [7]) == (type(state).__name__, state.result, calls)
    for path in (home.home / "results").iterdir():
        path.unlink()
    cache._kept.clear()
    assert flow.run(context=ON).is_successful(), "a value that was removed is made again"
    assert [7, 7] == calls


def test_hashes_are_the_same_for_equal_sets_and_dictionaries():
    assert hashed({"a": {1, 2}, "b": 1}) == hashed({"b": 1, "a": {2, 1}})
    assert hashed([1, 2]) != hashed([2, 1])


# -- results and names ----------------------------------------------------------------------------------


def test_a_run_name_is_filled_in_with_arguments_and_context():
    from jupyter_flows import context

    @task(task_run_name="load {table} of {flow_name}")
    def load(table):
        return context.task_run_name

    with Flow("nightly") as flow:
        loaded = load("orders")
    assert "load orders of nightly" == flow.run().result[loaded].result


def test_a_result_by_address(tmp_path):
    result = UrlResult(f"file://{tmp_path}/deep", location="{n}.json", serializer=JSONSerializer())
    written = result.write({"a": 1}, n=5)
    assert {"a": 1} == result.read(written.location).value
    assert result.exists("{n}.json", n=5)
    assert not result.exists("{n}.json", n=6)


def test_a_store_whose_package_is_missing_says_what_to_install():
    with pytest.raises(EnvironmentFault, match="pip install s3fs"):
        S3Result("bucket").has_bytes("x")


def test_a_small_result_is_its_own_location():
    assert [1, 2] == PrefectResult().read(PrefectResult().write([1, 2]).location).value


def test_a_directory_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "f").touch()
    with pytest.raises(InvalidTask, match="is a file; name a directory"):
        LocalResult(str(tmp_path / "f"))


def test_options_that_do_nothing_are_warned_of():
    with pytest.warns(UserWarning, match="cache_validator without cache_for"):
        counted(cache_validator=all_inputs)
    with pytest.warns(UserWarning, match="target wins"):
        counted(target="a", result=LocalResult("/tmp/none", location="b"))


def test_a_cache_validator_that_raises_fails_its_task_only():
    made = task(lambda: 1, name="kept", cache_for=60, cache_validator=lambda _state, _inputs, _given: 1 / 0)
    with Flow("broken validator") as flow:
        kept, other = made(), task(lambda: 2, name="other")()
    flow.run()
    again = flow.run().result
    assert again[kept].message == "the cache_validator of task kept raised ZeroDivisionError"
    assert again[other].result == 2


def test_a_target_that_cannot_be_filled_in_names_what_is_missing():
    with Flow("unfilled") as flow:
        made = task(lambda: 1, name="one", target="{colour}.pkl")()
    assert flow.run().result[made].message == (
        "the target of task one cannot be filled in: neither context, parameters nor arguments have 'colour'"
    )
