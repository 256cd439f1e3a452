"""What an environment is, and how another differs, in sentences."""

from __future__ import annotations

import platform
import sys
from typing import NamedTuple

import pytest

from jupyter_flows.environment import compare, fingerprint_here
from jupyter_flows.environment.fingerprint import distributions_of, version_of
from jupyter_flows.schema.refs import Fingerprint

THEN = Fingerprint(python="3.11.7", platform="Linux x86_64", distributions={"numpy": "2.1", "pandas": "2.2"})


class Case(NamedTuple):
    name: str
    here: Fingerprint
    sentences: list[str]


CASES = (
    Case("the same", THEN, []),
    Case("another patch version of Python", Fingerprint(python="3.11.9", platform="Linux x86_64", distributions=THEN.distributions), []),
    Case(
        "another minor version of Python",
        Fingerprint(python="3.12.1", platform="Linux x86_64", distributions=THEN.distributions),
        ["Python is 3.12.1 here, was 3.11.7 at registering"],
    ),
    Case(
        "another platform",
        Fingerprint(python="3.11.7", platform="Linux aarch64", distributions=THEN.distributions),
        ["platform is Linux aarch64 here, was Linux x86_64 at registering"],
    ),
    Case(
        "another version, and one missing",
        Fingerprint(python="3.11.7", platform="Linux x86_64", distributions={"numpy": "2.4"}),
        [
            "numpy is 2.4 here, was 2.1 at registering",
            "pandas 2.2 was there at registering, here it is not installed",
        ],
    ),
    Case(
        "more is installed here",
        Fingerprint(python="3.11.7", platform="Linux x86_64", distributions={**THEN.distributions, "scipy": "1"}),
        [],
    ),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_differences_are_sentences(case):
    assert case.sentences == [str(difference) for difference in compare(THEN, case.here)]


def test_the_fingerprint_tells_python_platform_and_versions_that_are_here():
    made = fingerprint_here(["pytest", "no-such-distribution"], kernel="python3", language="python")
    assert platform.python_version() == made.python
    assert f"{platform.system()} {platform.machine()}" == made.platform
    assert {"pytest": pytest.__version__} == made.distributions
    assert ("python3", "python") == (made.kernel, made.kernel_language)
    assert [] == compare(made, fingerprint_here(["pytest"]))


def test_distributions_are_found_by_what_is_imported():
    """The name of an import is not that of its distribution; the standard library has none."""
    assert ["pytest"] == distributions_of(["pytest.mark", "os", "sys", "no_such_module"])
    assert ["python-dateutil"] == distributions_of(["dateutil"])


def test_asking_for_versions_imports_nothing():
    before = set(sys.modules)
    assert version_of("matplotlib") is not None
    assert not {name for name in set(sys.modules) - before if name.startswith("matplotlib")}
