"""States by hand: what they carry, what stands before what, and that it costs nothing where it is not used."""

from __future__ import annotations

import pickle

from jupyter_flows.core.state import (
    STATES,
    Cached,
    Mapped,
    Pending,
    Queued,
    Retrying,
    Running,
    State,
    Submitted,
    Success,
)


def test_a_context_is_the_states_own():
    """Two states without one do not share one."""
    first, second = Success(), Success()
    first.context["a"] = 1
    assert ({"a": 1}, {}) == (first.context, second.context)


def test_states_that_stand_before_others_never_nest():
    """What an agent has that waited for room, is what waited."""
    inner = Running("goes on")
    state = Submitted("an agent has it", state=Queued("for room", state=inner))
    assert inner is state.state
    assert state.is_meta_state()
    assert state.is_pending()
    assert not Pending().is_meta_state()


def test_every_state_survives_a_pickle():
    """With its context, and the states of its children."""
    for kind in STATES.values():
        state = pickle.loads(pickle.dumps(kind("m", context={"a": 1})))
        assert (kind, "m", {"a": 1}) == (type(state), state.message, state.context)
    mapped = pickle.loads(pickle.dumps(Mapped("two", [1, 2], [Success(result=1), Cached(result=2)])))
    assert [1, 2] == [state.result for state in mapped.map_states]


def test_own_arguments_may_be_given_by_place():
    """As in Prefect 1, where the third is what the state is about."""
    time = Pending().at
    assert (time, 3) == (
        Retrying("again", None, time, run_count=3).start_time,
        Retrying(run_count=3).run_count,
    )


def test_each_kind_has_a_colour_of_its_kind():
    """A handler that tells a chat room of a state colours its message by it."""
    assert {"#"} == {kind.color[0] for kind in State.children(include_self=True)}
    assert Success.color != Retrying.color
