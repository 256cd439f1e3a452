"""The receipt says everything that a person wants to know after registering, in every form."""

from __future__ import annotations

import html
import json
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from jupyter_flows.registering import Receipt, register_notebook
from jupyter_flows.schema.flows import (
    AgentMatch,
    FlowSpec,
    ParameterSpec,
    RegisterResult,
    TaskSpec,
    VersionBrief,
)
from jupyter_flows.schema.refs import Fingerprint, ScheduleRef, StorageRef

from .conftest import notebook

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def receipt(
    *,
    created: bool = True,
    moved_runs: int = 0,
    paused: bool = False,
    agents=(),
    next_runs=(),
    warnings=(),
    **spec,
) -> Receipt:
    made = FlowSpec(
        **{
            "name": "etl",
            "storage": StorageRef(
                kind="notebook", location="/s/etl/ab.ipynb", sha256="ab" * 32, size_bytes=12345
            ),
            "tasks": (TaskSpec(slug="one", name="one"), TaskSpec(slug="setup", name="setup", role="setup")),
            **spec,
        }
    )
    result = RegisterResult(
        version=VersionBrief(id="v", flow_id="f", version=3, digest="d", registered_at=NOW),
        created=created,
        moved_runs=moved_runs,
        paused=paused,
        agents=agents,
        next_runs=next_runs,
    )
    return Receipt(
        result=result,
        spec=made,
        server="http://127.0.0.1:1",
        metadata_bytes=1500,
        warnings=warnings,
        schedule_text="every hour",
    )


def rows(made: Receipt) -> dict[str, str]:
    return dict(made.rows())


def test_the_flow_and_what_became_of_it():
    assert "etl  (version 3)" == rows(receipt())["flow"]
    assert "etl  (version 3; 1 scheduled run moved to it)" == rows(receipt(moved_runs=1))["flow"]
    assert "etl  (version 3; 2 scheduled runs moved to it)" == rows(receipt(moved_runs=2))["flow"]
    assert "etl  (version 3, unchanged: nothing new was made)" == rows(receipt(created=False))["flow"]


def test_what_went_where():
    made = rows(receipt())
    assert made["metadata"].startswith("1.5 kB to http://127.0.0.1:1\n1 task, 0 edges")
    assert "no code, no outputs" in made["metadata"]
    assert f"12.3 kB to notebook storage: /s/etl/ab.ipynb\nsha256 {'ab' * 32}" == made["code"]


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        (StorageRef(kind="local", location="/x"), "local (pickle) storage: /x\nsha256 not pinned"),
        (
            StorageRef(kind="local", location="/x", options={"stored_as_script": True}),
            "local (script) storage",
        ),
    ],
)
def test_the_kind_of_storage_is_named(ref, words):
    assert words in rows(receipt(storage=ref))["code"]


def test_defaults_of_parameters_are_said_to_be_sent():
    specs = (
        ParameterSpec(name="city", slug="city", required=False, default="Oslo"),
        ParameterSpec(name="n", slug="n", required=True),
    )
    assert "sent with their defaults: city='Oslo', n" == rows(receipt(parameters=specs))["parameters"]
    assert "parameters" not in rows(receipt())


def test_who_runs_it():
    takes = AgentMatch(agent="lab-3", takes=True, reason="")
    refuses = AgentMatch(agent="lab-4", takes=False, reason="has not the label gpu")
    assert "none: any agent may take it" == rows(receipt())["labels"]
    assert "gpu, lab" == rows(receipt(labels=("gpu", "lab")))["labels"]
    assert "no agent is running; start one: jupyter flows agent start" == rows(receipt())["who runs it"]
    assert "lab-3 would take it now" == rows(receipt(agents=(refuses, takes)))["who runs it"]
    text = receipt(agents=(refuses,) * 5).text
    assert "no agent would take it now" in text
    assert 3 == text.count("lab-4: has not the label gpu")


def test_when_it_runs():
    schedule = (ScheduleRef(kind="interval", options={"every_s": 3600}),)
    assert "on demand: jupyter flows run etl" == rows(receipt())["schedule"]
    assert (
        "every hour  (paused: jupyter flows resume etl)"
        == rows(receipt(schedules=schedule, paused=True))["schedule"]
    )
    times = tuple(NOW + timedelta(hours=n) for n in range(5))
    words = rows(receipt(schedules=schedule, next_runs=times))["schedule"]
    assert words.startswith("every hour\nnext: ")
    assert 3 == len(words.split(","))


def test_the_environment_and_warnings():
    made = receipt(
        fingerprint=Fingerprint(
            python="3.11.7", platform="Linux", kernel="python3", distributions={"pandas": "2.2"}
        ),
        warnings=("module a exists only here",),
    )
    assert "Python 3.11.7, kernel python3, pandas 2.2" == rows(made)["environment"]
    assert "module a exists only here" == rows(made)["warning"]


class Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text.append(data)


def test_html_is_a_table_in_which_names_are_only_text():
    """A flow, agent or path may be called anything; nothing of it becomes markup."""
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&"
    made = receipt(
        name=evil,
        storage=StorageRef(kind="notebook", location=evil),
        agents=(AgentMatch(agent=evil, takes=False, reason=evil),),
        parameters=(ParameterSpec(name="p", slug="p", required=False, default=evil),),
        warnings=(evil,),
    )
    bundle = made._repr_mimebundle_()
    parsed = Cells()
    parsed.feed(bundle["text/html"])
    assert {"table", "tr", "th", "td"} == set(parsed.tags)
    assert evil in "".join(parsed.text)
    assert html.escape(evil) in bundle["text/html"]


def test_the_bundle_is_text_html_and_data():
    made = receipt()._repr_mimebundle_(include=None, exclude=None)
    assert {"text/plain", "text/html", "application/vnd.jupyter-flows.receipt+json"} == set(made)
    assert made["text/plain"] == str(receipt()) == receipt().text
    json.dumps(made)


def test_text_is_aligned_and_has_no_trailing_space():
    lines = receipt(agents=(AgentMatch(agent="a", takes=False, reason="busy"),)).text.split("\n")
    assert all(line == line.rstrip() for line in lines)
    assert all(re.match(r"(\S[\w ]{11}|\s{12}) \S", line) for line in lines), lines


def test_a_receipt_of_a_real_registering_in_all_forms(server, tmp_path):
    made = register_notebook(notebook(tmp_path / "a.ipynb", "%%task one\nx = 1"), api=server.api)
    assert "a  (version 1)" in made.text
    assert server.url in made.text
    assert 1 == json.loads(made.to_json())["result"]["version"]["version"]
    assert (True, 1, "a") == (made.created, made.version, made.flow_name)
