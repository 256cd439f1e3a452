"""The public names: what ``__init__`` exports exists, is documented, and nothing else is promised."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

import jupyter_flows
from jupyter_flows import errors
from jupyter_flows.settings import Settings


@pytest.mark.parametrize("name", jupyter_flows.__all__)
def test_public_name_exists_and_has_a_docstring(name):
    """Every exported name can be had, and says what it is."""
    value = getattr(jupyter_flows, name)
    assert inspect.getdoc(value)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'Flwo'"):
        jupyter_flows.Flwo


def test_the_version_is_a_text_however_often_it_is_asked_for():
    """The module that a build writes it to has the name of no function here."""
    assert {str} == {type(jupyter_flows.__version__) for _ in range(2)}


def test_settings_are_few():
    """At most thirty settings: the thirty-first should make one of them unnecessary."""
    assert len(dataclasses.fields(Settings)) <= 30


def test_every_error_has_a_code_of_its_own_and_a_docstring():
    """Codes go into JSON: they are unique among the concrete errors."""
    concrete = [
        kind
        for kind in vars(errors).values()
        if inspect.isclass(kind) and issubclass(kind, errors.FlowsError) and "code" in vars(kind)
    ]
    codes = [kind.code for kind in concrete]
    assert sorted(set(codes)) == sorted(codes)
    assert all(inspect.getdoc(kind) for kind in concrete)
