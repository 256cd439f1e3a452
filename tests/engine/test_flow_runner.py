"""A flow run from begin to end: states, retries, handlers, skips, cancelling, what is said of failures."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from jupyter_flows import Flow, Parameter, Task, context, task, triggers
from jupyter_flows.engine import signals, state
from jupyter_flows.engine.flow_runner import FlowRunner
from jupyter_flows.engine.runner import ENDRUN
from jupyter_flows.errors import FlowCycle, InvalidFlow, InvalidParameters


@task
def one():
    return 1


@task
def add(x, y=1):
    return x + y


@task
def fail():
    raise ValueError("the secret text")


@task
def skip():
    raise signals.SKIP("nothing new")


def kinds(flow_state):
    """Names of the final states, by task name."""
    return {own.name: type(found).__name__ for own, found in flow_state.result.items()}


# -- values --------------------------------------------------------------------------------------


def test_results_flow_along_edges():
    """An argument that is a task gets that task's result; others are constants."""
    with Flow("sum") as flow:
        total = add(add(one(), 10), y=one())
    done = flow.run()
    assert done.is_successful()
    assert done.message == "All reference tasks succeeded."
    assert done.result[total].result == 12


def test_an_empty_flow_succeeds():
    assert Flow("nothing").run().is_successful()


def test_upstream_tasks_make_wait_without_a_value():
    order = []

    @task
    def note(word):
        order.append(word)

    with Flow("order") as flow:
        late = note("late")
        early = note("early")
        late.set_upstream(early)
    flow.run()
    assert order == ["early", "late"]


def test_independent_tasks_run_in_the_order_of_their_calls():
    """One by one, tasks run as they stand; a task that gets ready takes its place in the order."""
    order = []

    @task
    def note(word, after=None):
        order.append(word)

    with Flow("document order") as flow:
        a = note("a")
        note("b", after=a)
        note("c")
        note("d", after=a)
    flow.run()
    assert order == ["a", "b", "c", "d"]


def test_collections_of_tasks_arrive_as_collections():
    with Flow("collections") as flow:
        first = one()
        second = add(first)
        seen = {
            "list": add([first, second], y=[]),
            "tuple": add((second, 5), y=()),
            "dict": task(lambda d: d)({"a": first, "b": [second, 7]}),
            "set": task(lambda s: s)({first, second}),
        }
    done = flow.run()
    results = {name: done.result[made].result for name, made in seen.items()}
    assert results == {"list": [1, 2], "tuple": (2, 5), "dict": {"a": 1, "b": [2, 7]}, "set": {1, 2}}


def test_plain_collections_stay_constants():
    with Flow("constants") as flow:
        made = add([1, 2], y=[3])
    assert [made] == list(flow.tasks)
    assert flow.constants[made] == {"x": [1, 2], "y": [3]}
    assert flow.run().result[made].result == [1, 2, 3]


def test_operators_make_tasks():
    with Flow("operators") as flow:
        x = one()
        found = [x + 2, 5 - x, x * 3, x < 2, (x + 9)[0:1] if False else x / 2, x.is_equal(1), x.not_()]
    done = flow.run()
    assert [done.result[made].result for made in found] == [3, 4, 3, True, 0.5, True, False]


def test_a_task_has_no_truth_value_while_the_flow_is_built():
    """``if task:`` would silently take the branch in every run."""
    with Flow("truth"), pytest.raises(ValueError, match="no value while the flow is built"):
        bool(one())


def test_results_can_be_unpacked():
    @task
    def pair() -> tuple[int, int]:
        return 3, 4

    with Flow("unpack") as flow:
        x, y = pair()
        total = add(x, y)
    assert flow.run().result[total].result == 7


# -- parameters ------------------------------------------------------------------------------------


def test_parameters_take_their_value_or_default():
    with Flow("parameters") as flow:
        x, y = Parameter("x"), Parameter("y", default=10)
        total = add(x, y)
    assert flow.run(x=1).result[total].result == 11
    assert flow.run(parameters={"x": 1}, y=2).result[total].result == 3


def test_a_default_of_none_makes_a_parameter_optional():
    with Flow("optional") as flow:
        x = Parameter("x", default=None)
        x()
    assert flow.run().result[x].result is None


def test_a_missing_parameter_is_named():
    with Flow("etl") as flow:
        add(Parameter("x"))
    with pytest.raises(InvalidParameters, match="flow 'etl' needs a value for its parameter 'x'"):
        flow.run()


def test_an_unknown_parameter_is_named_with_the_nearest():
    with Flow("etl") as flow:
        add(Parameter("city"))
    with pytest.raises(InvalidParameters, match="has no parameter 'citty'; did you mean 'city'"):
        flow.run(citty=1)


# -- failures --------------------------------------------------------------------------------------


def test_a_failure_stops_what_depends_on_it_and_nothing_else():
    with Flow("branches") as flow:
        broken = fail()
        after = add(broken)
        fine = add(one())
    done = flow.run()
    assert done.is_failed()
    assert done.message == "Some reference tasks failed."
    assert type(done.result[after]) is state.TriggerFailed
    assert done.result[after].message == "trigger all_successful: upstream task fail ended Failed"
    assert done.result[fine].result == 2


def test_messages_tell_class_and_place_and_nothing_of_the_text():
    """Messages go to the server: neither the exception's text nor a source line is in them."""
    with Flow("leak") as flow:
        broken = fail()
    found = flow.run().result[broken]
    assert found.message.startswith("ValueError in task fail, line 3 (test_flow_runner.py:")
    assert "secret" not in found.message
    assert isinstance(found.result, ValueError)


def test_sys_exit_fails_its_task_only():
    @task
    def leave():
        raise SystemExit(3)

    with Flow("exit") as flow:
        leave()
        fine = one()
    done = flow.run()
    assert done.is_failed()
    assert done.result[fine].is_successful()


def test_a_failure_is_logged_with_its_traceback_on_this_machine(caplog):
    with Flow("logged") as flow:
        fail()
    flow.run()
    assert "the secret text" in caplog.text


# -- skips, signals, triggers -------------------------------------------------------------------------


def test_skips_travel_downstream_unless_a_task_says_no():
    with Flow("skips") as flow:
        skipped = skip()
        follows = task(lambda x: x, name="follows")(skipped)
        stands = task(lambda x: x, name="stands", skip_on_upstream_skip=False)(skipped)
    done = flow.run()
    assert done.is_successful()
    assert done.result[follows].is_skipped()
    assert done.result[follows].message == "upstream task skip was skipped"
    assert type(done.result[stands]) is state.Success
    assert done.result[stands].result is None


@pytest.mark.parametrize(
    ("signal", "kind"),
    [
        (signals.SUCCESS("early"), state.Success),
        (signals.SKIP("no"), state.Skipped),
        (signals.FAIL("bad"), state.Failed),
        (signals.VALIDATIONFAIL("odd"), state.ValidationFailed),
    ],
)
def test_a_signal_sets_the_state(signal, kind):
    @task
    def raises():
        try:
            raise signal
        except Exception:
            pytest.fail("a signal is no Exception: a body that catches those does not swallow it")

    with Flow("signal") as flow:
        made = raises()
    found = flow.run().result[made]
    assert type(found) is kind
    assert found.message == signal.state.message


def test_always_run_cleans_up_after_a_failure():
    with Flow("cleanup") as flow:
        broken = fail()
        cleanup = task(lambda: "clean", name="cleanup", trigger=triggers.always_run)(upstream_tasks=[broken])
    done = flow.run()
    assert done.result[cleanup].result == "clean"
    assert done.is_successful(), "only the terminal task counts"
    flow.set_reference_tasks([broken])
    assert flow.run().is_failed()


def test_an_own_trigger_gets_states_by_edge():
    """As in Prefect 1: ``{edge: state}``."""
    seen = {}

    def own(upstream_states):
        seen.update({edge.upstream_task.name: found.result for edge, found in upstream_states.items()})
        return False

    with Flow("own trigger") as flow:
        made = task(lambda x: x, trigger=own, name="guarded")(one())
    found = flow.run().result[made]
    assert seen == {"one": 1}
    assert type(found) is state.TriggerFailed
    assert found.message == "trigger own said no"


def test_a_trigger_that_raises_refuses():
    def broken(_states):
        raise KeyError("secret")

    with Flow("broken trigger") as flow:
        made = task(lambda x: x, trigger=broken, name="guarded")(one())
    assert flow.run().result[made].message == "the trigger of task guarded raised KeyError"


def test_a_trigger_that_returns_false_leaves_its_signal_as_result():
    """A reader of failed results gets an exception, not None."""
    with Flow("no") as flow:
        made = task(lambda x: x, trigger=lambda _states: False, name="guarded")(one())
    assert type(flow.run().result[made].result) is signals.TRIGGERFAIL


def test_a_task_for_a_person_pauses_the_flow_until_it_is_resumed():
    runs = []

    @task
    def prepare():
        runs.append("prepare")
        return 20

    @task(trigger=triggers.manual_only)
    def approve(x):
        return x + 1

    with Flow("approval") as flow:
        approved = approve(prepare())
        end = add(approved)
    waiting = flow.run()
    assert type(waiting) is state.Paused
    assert waiting.message == "waits for approval of approve"
    assert type(waiting.result[end]) is state.Pending
    done = flow.run(task_states={**waiting.result, approved: state.Resume()})
    assert done.result[end].result == 22
    assert runs == ["prepare"], "what was done is not done again"


# -- retries -------------------------------------------------------------------------------------------


def flaky(failures, **options):
    """A task that fails a number of times."""
    left = [failures]

    @task(name="flaky", **options)
    def body():
        if left[0]:
            left[0] -= 1
            raise OSError("away")
        return context.task_run_count

    return body


def test_a_failed_task_is_tried_again_after_its_delay(clock, recorder):
    with Flow("retry") as flow:
        made = flaky(2, max_retries=2, retry_delay=timedelta(minutes=1))()
        end = add(made)
    done = FlowRunner(flow, clock=clock, reporter=recorder).run()
    assert done.result[end].result == 4, "the third attempt knows that it is the third"
    assert clock.waits == [60, 60]
    assert [(kind, attempt) for name, kind, attempt in recorder.task_states if name == "flaky"] == [
        ("Running", 1), ("Retrying", 1), ("Running", 2), ("Retrying", 2), ("Running", 3), ("Success", 3),
    ]  # fmt: skip


def test_retries_come_to_an_end(clock):
    with Flow("retry") as flow:
        made = flaky(3, max_retries=2, retry_delay=1)()
    found = FlowRunner(flow, clock=clock).run().result[made]
    assert type(found) is state.Failed


def test_other_tasks_run_while_one_waits_for_its_retry(clock):
    order = []
    note = task(lambda: order.append("other"), name="note")
    with Flow("meanwhile") as flow:
        late = flaky(1, max_retries=1, retry_delay=60)()
        note()
        task(lambda x: order.append("late"), name="after")(late)
    FlowRunner(flow, clock=clock).run()
    assert order == ["other", "late"]


def test_retry_on_tells_which_failures_are_worth_it(clock):
    with Flow("retry on") as flow:
        tried = flaky(1, max_retries=1, retry_delay=1, retry_on=OSError)()
        not_tried = flaky(1, max_retries=1, retry_delay=1, retry_on=(KeyError,))()
    done = FlowRunner(flow, clock=clock).run()
    assert done.result[tried].is_successful()
    assert done.result[not_tried].is_failed()


def test_a_time_without_a_zone_is_utc(clock):
    """``RETRY(start_time=datetime.utcnow() + ...)``, as it stands in flows that were written for Prefect 1."""

    @task
    def again():
        if context.task_run_count == 1:
            at = context.date.replace(tzinfo=None) + timedelta(seconds=30)
            raise signals.RETRY("later", start_time=at)
        return 1

    with Flow("naive") as flow:
        made = again()
    assert flow.run(clock=clock).result[made].result == 1
    assert clock.waits == [30.0]


def test_a_retry_at_what_is_no_time_fails_its_task_only():
    def again():
        raise signals.RETRY("later", start_time="soon")

    with Flow("soon") as flow:
        made, other = task(again)(), one()
    found = flow.run().result
    assert str(found[made].result) == "start_time of a state Retrying is 'soon'; give a datetime"
    assert found[other].result == 1


def test_a_task_that_raises_endrun_ends_in_its_state_and_is_not_tried_again():
    runs = []

    def done():
        runs.append(1)
        raise ENDRUN(state.Failed("no use", result=3))

    with Flow("endrun") as flow:
        made = task(done, max_retries=2, retry_delay=0)()
    found = flow.run().result[made]
    assert (found.message, found.result, runs) == ("no use", 3, [1])


def test_raising_retry_needs_no_retries_left(clock):
    @task
    def until_third():
        if context.task_run_count < 3:
            raise signals.RETRY("not yet", start_time=clock.now() + timedelta(seconds=5))
        return "done"

    with Flow("signal") as flow:
        made = until_third()
    assert FlowRunner(flow, clock=clock).run().result[made].result == "done"
    assert clock.waits == [5, 5]


# -- handlers -------------------------------------------------------------------------------------------


def test_state_handlers_see_every_change(clock):
    seen = []

    def note(own, old, new):
        seen.append((own.name, type(old).__name__, type(new).__name__))

    with Flow("handlers") as flow:
        broken = flaky(2, max_retries=1, retry_delay=1, state_handlers=[note])()
        task(lambda x: x, name="after", state_handlers=[note])(broken)
    FlowRunner(flow, clock=clock).run()
    assert seen == [
        ("flaky", "Pending", "Running"),
        ("flaky", "Running", "Failed"),
        ("flaky", "Failed", "Retrying"),
        ("flaky", "Retrying", "Running"),
        ("flaky", "Running", "Failed"),
        ("after", "Pending", "TriggerFailed"),
    ]


def test_a_state_handler_may_change_the_state():
    def forgive(own, old, new):
        return state.Success("forgiven", 0) if new.is_failed() else None

    with Flow("forgive") as flow:
        made = task(fail.run, name="fail", state_handlers=[forgive])()
        end = add(made)
    done = flow.run()
    assert done.result[end].result == 1


def test_a_state_handler_that_raises_fails_its_task():
    def broken(own, old, new):
        raise KeyError("secret")

    with Flow("broken handler") as flow:
        made = task(lambda: 1, name="fine", state_handlers=[broken])()
    found = flow.run().result[made]
    assert found.message == "a state handler of task fine raised KeyError"


def test_a_state_handler_may_raise_a_signal():
    def refuse(own, old, new):
        if new.is_running():
            raise signals.SKIP("not today")

    with Flow("signal") as flow:
        made = task(lambda: 1, name="fine", state_handlers=[refuse])()
    assert flow.run().result[made].is_skipped()


def test_on_failure_is_called_for_tasks_and_for_the_flow():
    called = []
    with Flow("etl", on_failure=lambda flow, state: called.append((flow.name, state.message))) as flow:
        task(fail.run, name="bad", on_failure=lambda own, state: called.append((own.name, type(state))))()
    flow.run()
    assert called == [("bad", state.Failed), ("etl", "Some reference tasks failed.")]


def test_flow_handlers_see_begin_and_end():
    seen = []
    with Flow(
        "etl", state_handlers=[lambda f, old, new: seen.append((type(old).__name__, type(new).__name__))]
    ) as flow:
        one()
    done = flow.run()
    assert seen == [("Pending", "Running"), ("Running", "Success")]
    assert len(done.result) == 1


def test_a_terminal_state_handler_has_the_last_word():
    def judge(flow, final, reference_states):
        return state.Failed("too few") if len(reference_states) < 2 else None

    with Flow("judged", terminal_state_handler=judge) as flow:
        made = one()
    done = flow.run()
    assert done.message == "too few"
    assert done.result[made].is_successful(), "the states of the tasks are kept"


def test_a_terminal_state_handler_sees_the_children_of_a_map():
    """In place of their parent, which is ``Mapped`` however they ended."""
    seen = []
    with Flow("inverses", terminal_state_handler=lambda f, end, reference: seen.extend(reference)) as flow:
        task(lambda x: 1 / x, name="inverse").map([1, 0])
    flow.run()
    assert [type(one).__name__ for one in seen] == ["Success", "Failed"]


@pytest.mark.parametrize("error", [KeyError("x"), signals.FAIL("too few rows")])
def test_the_states_of_the_tasks_are_there_whatever_a_handler_of_the_flow_raises(error):
    def broken(flow, old, new):
        if new.is_finished():
            raise error

    with Flow("judged", state_handlers=[broken]) as flow:
        made = one()
    done = flow.run()
    assert done.is_failed()
    assert done.result[made].result == 1


def test_a_date_that_is_given_as_text_is_a_time_in_templates_too():
    with Flow("dated") as flow:
        made = task(lambda: context.task_run_name, name="named", task_run_name="{date:%Y}-{today}")()
        told = task(
            lambda: context.task_run_name, name="told", task_run_name=lambda tomorrow, **names: tomorrow
        )()
    done = flow.run(context={"date": "2020-02-03"})
    assert done.result[made].result == "2020-2020-02-03"
    assert done.result[told].result == "2020-02-04"


def test_handlers_see_the_context_of_their_task():
    seen = []
    with Flow("context") as flow:
        task(lambda: 1, name="here", state_handlers=[lambda *_: seen.append(context.task_name)])()
    flow.run()
    assert set(seen) == {"here"}


# -- what a run is given -------------------------------------------------------------------------------------


def test_context_tells_about_the_run():
    @task(tags=["a"])
    def look():
        keys = ("flow_name", "task_name", "task_slug", "task_run_count", "map_index", "mine", "parameters")
        return {key: context[key] for key in keys} | {"days": (context.today, context.yesterday_nodash)}

    with Flow("seen") as flow:
        Parameter("p", default=5)()
        made = look()
    found = flow.run(context={"mine": 1}).result[made].result
    assert len(found.pop("days")[0]) == 10
    assert found == {
        "flow_name": "seen", "task_name": "look", "task_slug": "look-a-1", "task_run_count": 1,
        "map_index": None, "mine": 1, "parameters": {"p": 5},
    }  # fmt: skip


def test_given_states_are_not_run_again():
    with Flow("resume") as flow:
        broken = fail()
        end = add(broken)
    done = flow.run(task_states={broken: state.Success(result=41)})
    assert done.result[end].result == 42
    by_slug = flow.run(task_states={flow.slugs[broken]: state.Success(result=41)})
    assert by_slug.result[end].result == 42


def test_states_of_strangers_are_refused():
    with Flow("mine") as flow:
        one()
    with pytest.raises(InvalidFlow, match="task_states names 'stranger', which is not in it"):
        flow.run(task_states={Task(name="stranger"): state.Success()})


def test_a_cycle_is_named_and_nothing_runs():
    with Flow("round") as flow:
        a, b = add(1, task_args={"name": "a"}), add(2, task_args={"name": "b"})
        a.set_upstream(b)
        b.set_upstream(a)
    with pytest.raises(FlowCycle, match=r"flow 'round' has a cycle: (a -> b -> a|b -> a -> b)"):
        flow.run()


def test_run_inside_the_with_block_is_refused():
    with Flow("half") as flow, pytest.raises(InvalidFlow, match="still being built"):
        flow.run()


def test_a_run_does_not_change_the_flow():
    with Flow("twice") as flow:
        made = flaky(1, max_retries=1, retry_delay=0)()
    first, second = flow.run(), flow.run()
    assert (first.result[made].result, second.result[made].result) == (2, 1)


# -- order edges ---------------------------------------------------------------------------------------------


def test_an_order_edge_makes_wait_but_judges_nothing():
    """What must only come later runs even if what it follows failed; that failure still fails the flow."""
    flow = Flow("order")
    broken = flow.add_task(task(fail.run, name="broken"))
    later = flow.add_task(task(one.run, name="later"))
    flow.add_edge(broken, later, kind="order")
    done = flow.run()
    assert done.result[later].is_successful()
    assert done.is_failed()


# -- cancelling ------------------------------------------------------------------------------------------------


def interrupted_flow():
    @task
    def interrupt():
        raise KeyboardInterrupt

    with Flow("interrupted") as flow:
        made = (one(), interrupt(), one())
    return flow, made


def test_an_interrupt_cancels_what_has_not_ended(recorder):
    flow, (before, during, after) = interrupted_flow()
    done = FlowRunner(flow, reporter=recorder).run()
    assert type(done) is state.Cancelled
    assert [type(done.result[made]) for made in (before, during, after)] == [
        state.Success, state.Cancelled, state.Cancelled,
    ]  # fmt: skip
    assert recorder.flow_states == ["Running", "Cancelled"]
    assert done.result[during].message == "the run was cancelled while it ran"


def test_flow_run_raises_the_interrupt_again():
    flow, _ = interrupted_flow()
    with pytest.raises(KeyboardInterrupt):
        flow.run()


# -- reporting and logging --------------------------------------------------------------------------------------


def test_a_reporter_hears_states_in_order(recorder):
    with Flow("told") as flow:
        add(fail())
    FlowRunner(flow, reporter=recorder).run()
    assert recorder.flow_states == ["Running", "Failed"]
    assert recorder.task_states == [
        ("fail", "Running", 1),
        ("fail", "Failed", 1),
        ("add", "TriggerFailed", 1),
    ]


def test_a_reporter_that_fails_does_not_break_the_run(caplog):
    class Broken:
        def __getattr__(self, name):
            raise RuntimeError(name)

    with Flow("told") as flow:
        made = one()
    assert FlowRunner(flow, reporter=Broken()).run().result[made].is_successful()
    assert caplog.text.count("Broken failed with RuntimeError; the run goes on") == 1


def test_log_lines_reach_the_reporter_without_tracebacks(recorder):
    @task
    def talk():
        context.logger.info("%s rows", 3)
        raise ValueError("the secret text")

    with Flow("talks") as flow:
        talk()
    FlowRunner(flow, reporter=recorder).run()
    assert recorder.logs[0] == ("INFO", "3 rows", "talk")
    assert recorder.logs[1][0] == "ERROR"
    assert "secret" not in str(recorder.logs)


def test_prints_of_a_task_reach_the_log_if_it_says_so(recorder, capsys):
    @task(log_stdout=True)
    def loud():
        print("one")
        print("two", end="")

    @task
    def quiet():
        print("not logged")

    with Flow("prints") as flow:
        loud()
        quiet()
    FlowRunner(flow, reporter=recorder).run()
    assert recorder.logs == [("INFO", "one", "loud"), ("INFO", "two", "loud")]
    assert capsys.readouterr().out == "not logged\n"


def test_logging_is_left_as_it_was(recorder):
    logger = logging.getLogger("jupyter_flows.flow.clean")
    with Flow("clean") as flow:
        one()
    FlowRunner(flow, reporter=recorder).run()
    assert (logger.level, logger.handlers) == (logging.NOTSET, [])


# -- time -----------------------------------------------------------------------------------------------------------


def test_a_task_that_takes_too_long_times_out():
    """In the main thread the code is stopped, even if it catches every Exception."""

    @task(timeout=0.05)
    def stubborn():
        while True:
            try:
                while True:
                    pass
            except Exception:
                continue

    with Flow("slow") as flow:
        made = stubborn()
    found = flow.run().result[made]
    assert type(found) is state.TimedOut
    assert found.is_failed()
    assert found.message == "task stubborn took longer than 0.05 s"


def test_a_flow_follows_its_schedule_only_if_asked(clock):
    from datetime import UTC, datetime

    from jupyter_flows.schedules import DatesSchedule

    seen = []
    flow = Flow(
        "scheduled",
        schedule=DatesSchedule([datetime(2030, 1, 1, 13, tzinfo=UTC), datetime(2030, 1, 2, tzinfo=UTC)]),
    )
    with flow:
        task(lambda: seen.append(context.scheduled_start_time.hour), name="note")()
    flow.run(clock=clock)
    assert (seen, clock.waits) == ([12], [])
    flow.run(run_on_schedule=True, clock=clock)
    assert seen == [12, 13, 0]


def test_a_chain_of_a_hundred_thousand_failures_needs_no_recursion():
    flow = Flow("long")
    made = [Task(name="t") for _ in range(20_000)]
    broken = task(fail.run, name="first")
    flow.chain(broken, *made)
    logging.getLogger("jupyter_flows.flow.long").setLevel(logging.CRITICAL)
    done = flow.run()
    assert type(done.result[made[-1]]) is state.TriggerFailed
