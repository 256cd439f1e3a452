"""Registering: all or nothing, once for each change, and whatever was wrong is one sentence."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jupyter_flows import Flow, Parameter, task
from jupyter_flows.errors import (
    CannotPickle,
    FlowCycle,
    FlowNotFoundInFile,
    FlowsError,
    InvalidFlow,
    InvalidLabel,
    InvalidNotebook,
    InvalidOption,
    InvalidRequest,
    InvalidSchedule,
    NotAuthorised,
    NotebookNotSaved,
    NotebookWithoutTasks,
    Refused,
    ServerNotRunning,
    ServerUnavailable,
    StorageUnavailable,
)
from jupyter_flows.registering import register, register_notebook, register_script
from jupyter_flows.run_configs import LocalRun
from jupyter_flows.schedules import IntervalSchedule, parse_schedule
from jupyter_flows.schema.agents import RegisterAgent
from jupyter_flows.storage import Local, Notebook

from .conftest import notebook

BOOK = (
    "%load_ext jupyter_flows\nimport math",
    "def area(r):\n    return math.pi * r ** 2 * factor in {'a', 'b', 'c'}\nfactor = 2",
    "%%task circle --retries 1\nwords = {'one', 'two', 'three'}\nx = area(3)",
    "%%task square\ny = x, words",
    "%flow shapes --label shop",
)
SCRIPT = '''
import math
from dataclasses import dataclass
from jupyter_flows import Flow, Parameter, Task, task

WORDS = {"lion", "quokka", "zebra"}

@dataclass
class Point:
    x: int
    def far(self):
        return math.hypot(self.x, 1) in {1.0, 2.0} or str(self.x) in {"p", "q", "r"}

class Scale(Task):
    """Scales."""
    def run(self, n):
        return n * 2

def make(k):
    def inner(n):
        return n + k + len(WORDS)
    return inner

@task
def point(n):
    return Point(n).far()

with Flow("shapes") as flow:
    n = Parameter("n", default=3)
    point(n)
    Scale()(n)
    task(make(5), name="closure")(n)
    task(lambda n: n in {"x", "y", "z"}, name="lam")(n)
'''


@task
def one():
    return 1


def small(name: str = "small") -> Flow:
    with Flow(name) as flow:
        one()
    return flow


@pytest.fixture
def book(tmp_path):
    return notebook(tmp_path / "book.ipynb", *BOOK, parameters="n = 1")


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "etl.py"
    path.write_text(SCRIPT)
    return path


# -- once for each change --------------------------------------------------------------------------------


@pytest.mark.parametrize("storage", ["notebook", "pickle"])
def test_an_unchanged_notebook_makes_no_version_from_another_process(book, fresh, stored, storage):
    """Twice from fresh processes with other hash seeds: one version, one file; a change makes the next."""
    first = fresh(book, "--storage", storage, seed=1)
    files = stored()
    again = fresh(book, "--storage", storage, seed=2)
    assert (1, True) == (first["result"]["version"]["version"], first["result"]["created"])
    assert (1, False) == (again["result"]["version"]["version"], again["result"]["created"])
    assert files == stored()
    book.write_text(book.read_text().replace("area(3)", "area(4)"))
    changed = fresh(book, "--storage", storage, seed=3)
    assert (2, True) == (changed["result"]["version"]["version"], changed["result"]["created"])


@pytest.mark.parametrize("storage", ["pickle", "script"])
def test_an_unchanged_script_makes_no_version_from_another_process(script, fresh, stored, storage):
    """Functions, closures, lambdas, a class of the script, sets: the bytes are the content's."""
    first = fresh(script, "--storage", storage, seed=1)
    files = stored()
    again = fresh(script, "--storage", storage, seed=2)
    assert [True, False] == [first["result"]["created"], again["result"]["created"]]
    assert files == stored()
    script.write_text(SCRIPT.replace("n * 2", "n * 3"))
    changed = fresh(script, "--storage", storage, seed=3)
    assert (2, True) == (changed["result"]["version"]["version"], changed["result"]["created"])


def test_going_back_to_an_old_content_makes_a_version_too(book, server):
    """The digest of the newest version counts, so runs use what was registered last."""
    text = book.read_text()
    first = register_notebook(book, api=server.api)
    book.write_text(text.replace("area(3)", "area(4)"))
    register_notebook(book, api=server.api)
    book.write_text(text)
    back = register_notebook(book, api=server.api)
    assert (1, 3) == (first.version, back.version)


def test_metadata_that_changed_makes_a_version(server):
    assert 1 == register(small(), api=server.api).version
    assert 2 == register(small(), labels=["gpu"], api=server.api).version
    assert 3 == register(small(), labels=["gpu"], schedule="every 1 hour", api=server.api).version
    assert 3 == register(small(), labels=["gpu"], schedule="every 1 hour", api=server.api).version


def test_a_pickle_runs_when_the_scripts_directory_is_gone(script, server, tmp_path):
    """Functions and classes of the script travel by value."""
    moved = tmp_path / "gone" / "etl.py"
    moved.parent.mkdir()
    script.rename(moved)
    receipt = register_script(moved, storage="pickle", api=server.api)
    moved.unlink()
    moved.parent.rmdir()
    program = (
        "import sys, pickle; flow = pickle.load(open(sys.argv[1], 'rb'))\n"
        "print({t.name: s.result for t, s in flow.run(n=4).result.items()})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, receipt.spec.storage.location],
        capture_output=True, text=True, cwd="/", check=True, timeout=60,
    )  # fmt: skip
    assert "{'n': 4, 'point': False, 'Scale': 8, 'closure': 12, 'lam': False}" == done.stdout.strip()


# -- all or nothing --------------------------------------------------------------------------------------


@pytest.fixture
def untouched(server, stored):
    """After the test nothing is registered, and nothing is in storage, not even a directory."""
    yield
    assert () == server.api.list_flows().flows
    assert [] == stored()
    root = server.settings.storage_path
    assert not root.exists() or [] == list(root.iterdir())


class Wrong:
    """What is wrong, how it is asked for, and the sentence."""

    def __init__(self, name, error, sentence, **options) -> None:
        self.name, self.error, self.sentence, self.options = name, error, sentence, options


WRONG = (
    Wrong("a label with a space", InvalidLabel, "label 'my label' has a space", labels=["my label"]),
    Wrong("labels that are one text", InvalidLabel, "labels are a list of words", labels="gpu"),
    Wrong("a schedule", InvalidSchedule, "fortnight-ish", schedule="every fortnight-ish"),
    Wrong("a schedule that never fires", InvalidSchedule, "0 0 30 2 *", schedule="0 0 30 2 *"),
    Wrong("a storage's name", InvalidOption, "no storage is called 's4'", storage="s4"),
    Wrong("a notebook's storage for a flow", InvalidOption, "is not a notebook", storage="notebook"),
    Wrong("a notebook's storage as object", InvalidOption, "is not a notebook", storage=Notebook()),
    Wrong("a script's storage for a flow", InvalidOption, "came from no script", storage="script"),
    Wrong("a script that is gone", StorageUnavailable, "gone.py", storage=Local(stored_as_script=True, path="/gone.py")),
)  # fmt: skip


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.name)
def test_what_is_wrong_is_told_before_anything_is_written(case, server, untouched):
    with pytest.raises(case.error) as refused:
        register(small(), api=server.api, **case.options)
    assert case.sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_flows_that_are_none_are_refused(server, untouched, tmp_path):
    with pytest.raises(InvalidFlow, match="flow 'empty' has no task"):
        register(Flow("empty"), api=server.api)
    flow = small()
    a, b = one.copy(), one.copy()
    flow.add_edge(a, b)
    flow.add_edge(b, a)
    with pytest.raises(FlowCycle):
        register(flow, api=server.api)
    with pytest.raises(NotebookWithoutTasks, match=r"book\.ipynb has no task"):
        register_notebook(notebook(tmp_path / "book.ipynb", "x = 1"), api=server.api)
    with pytest.raises(InvalidNotebook, match=r"gone\.ipynb"):
        register_notebook(tmp_path / "gone.ipynb", api=server.api)
    with pytest.raises(FlowNotFoundInFile, match=r"gone\.py"):
        register_script(tmp_path / "gone.py", api=server.api)


def test_what_cannot_be_pickled_leaves_nothing(server, untouched):
    guard = threading.Lock()
    with Flow("etl") as flow:
        task(lambda: guard, name="load")()
    with pytest.raises(CannotPickle, match="task 'load' uses 'guard', a _thread.lock"):
        register(flow, api=server.api)


def test_an_unpicklable_global_is_named_with_its_cell_in_a_kernel(server, untouched):
    """In a kernel the task's cell is named by the number that stands beside it."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    try:
        shell.user_ns["__name__"] = "__main__"
        shell.run_cell(
            "import threading\nfrom jupyter_flows import Flow, task\nguard = threading.Lock()",
            store_history=True,
        )
        shell.run_cell("@task\ndef load():\n    return guard", store_history=True)
        shell.run_cell("with Flow('etl') as flow:\n    load()", store_history=True)
        number = next(n for n, source in enumerate(shell.user_ns["In"]) if "def load" in source)
        with pytest.raises(
            CannotPickle, match=rf"task 'load' \(cell In \[{number}\]\) uses 'guard', a _thread.lock"
        ):
            register(shell.user_ns["flow"], api=server.api)
    finally:
        InteractiveShell.clear_instance()


def test_a_wrong_token_leaves_nothing(server, untouched, book):
    from jupyter_flows.client.api import FlowsApi

    api = FlowsApi.at(server.url, token="jf_admin_nonsense")
    for attempt in (lambda: register(small(), api=api), lambda: register_notebook(book, api=api)):
        with pytest.raises(NotAuthorised) as refused:
            attempt()
        assert "nonsense" not in str(refused.value)
    api.close()


def test_no_server_leaves_nothing(home, book):
    with pytest.raises(ServerNotRunning, match="jupyter flows up"):
        register_notebook(book)
    with pytest.raises(ServerNotRunning, match="jupyter flows up"):
        register(small())
    assert not home.storage_path.exists()


def test_storage_that_cannot_be_written_registers_nothing(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnavailable, match="is a file; name another"):
        register(small(), storage=Local(directory=str(tmp_path / "file" / "x")), api=server.api)
    assert () == server.api.list_flows().flows


class Refusing:
    """The real API, but for the answer to registering."""

    def __init__(self, api, error: BaseException) -> None:
        self._api, self._error = api, error
        self.url = api.url

    def get_flow(self, flow, **options):
        return self._api.get_flow(flow, **options)

    def list_flows(self, **options):
        return self._api.list_flows(**options)

    def register_flow(self, request):
        raise self._error


@pytest.mark.parametrize(
    "error", [Refused("no"), InvalidRequest("no"), ServerNotRunning("gone"), RuntimeError("bug")]
)
def test_what_the_server_refuses_is_taken_from_storage_again(server, untouched, book, error):
    for attempt in (register_notebook, lambda *a, **k: register(small(), **k)):
        with pytest.raises(type(error)):
            attempt(book, api=Refusing(server.api, error))


def test_what_the_server_refuses_leaves_what_was_there(server, stored, book):
    """Only the file that this very registering wrote is taken away."""
    register_notebook(book, api=server.api)
    before = stored()
    with pytest.raises(Refused):
        register_notebook(book, api=Refusing(server.api, Refused("no")))
    assert before == stored()


def test_what_others_wrote_meanwhile_stays(server, book, tmp_path):
    """Another process registers a flow of the same name while the server refuses ours."""
    root = server.settings.storage_path

    class Meanwhile(Refusing):
        def register_flow(self, request):
            Notebook().write(b"theirs", name="shapes", suffix=".ipynb")
            super().register_flow(request)

    with pytest.raises(Refused):
        register_notebook(book, api=Meanwhile(server.api, Refused("no")))
    assert [b"theirs"] == [path.read_bytes() for path in root.rglob("*.ipynb")]


def test_the_same_code_that_others_registered_meanwhile_stays(server, book):
    """Their registering found our file and uses it: it is not ours to take away any more."""

    class Meanwhile(Refusing):
        def register_flow(self, request):
            register_notebook(book, api=self._api)
            super().register_flow(request)

    with pytest.raises(Refused):
        register_notebook(book, api=Meanwhile(server.api, Refused("no")))
    location = server.api.get_flow("shapes").version.spec.storage.location
    assert Path(location).is_file()


def test_an_answer_that_never_came_keeps_the_code(server, stored, book):
    """The server may have registered it: a registered flow without code would be worse than a spare file."""
    lost = ServerUnavailable("the connection broke")
    with pytest.raises(ServerUnavailable, match="may have been registered; register again"):
        register_notebook(book, api=Refusing(server.api, lost))
    assert 1 == len(stored())


def test_an_interrupt_while_the_server_answers_keeps_the_code(server, stored, book):
    with pytest.raises(KeyboardInterrupt):
        register_notebook(book, api=Refusing(server.api, KeyboardInterrupt()))
    assert 1 == len(stored())


def test_no_connection_is_left_open(server, book, home, recwarn):
    """Registering opens the connection that it needs and closes it."""
    import gc

    register_notebook(book)
    gc.collect()
    assert [] == [str(w.message) for w in recwarn if issubclass(w.category, ResourceWarning)]


# -- what is sent ----------------------------------------------------------------------------------------


def test_labels_come_from_flow_options_run_config_storage_and_host(server, book):
    receipt = register_notebook(book, labels=["gpu"], run_config=LocalRun(labels=["lab"]), api=server.api)
    host = socket.gethostname()
    assert tuple(sorted({"shop", "gpu", "lab", host})) == receipt.spec.labels


def test_the_host_label_can_be_declined(server, book):
    receipt = register_notebook(book, storage=Notebook(add_default_labels=False), api=server.api)
    assert ("shop",) == receipt.spec.labels


def test_a_schedule_of_the_flow_is_used_and_an_option_wins(server):
    from datetime import timedelta

    flow = small()
    flow.schedule = IntervalSchedule(timedelta(hours=2))
    spec = register(flow, api=server.api).spec
    assert [7200] == [ref.options.get("every_s", ref.options.get("interval_s")) for ref in spec.schedules]
    assert "every hour" == register(flow, schedule="every 1 hour", api=server.api).schedule_text


def test_a_schedule_can_be_registered_without_being_started(server):
    receipt = register(small(), schedule="every 1 hour", set_schedule_active=False, api=server.api)
    assert receipt.result.paused
    assert "paused: jupyter flows resume small" in receipt.text


def test_the_project_is_the_flows_the_options_or_the_settings(server, book, monkeypatch):
    assert "default" == register(small(), api=server.api).spec.project
    assert "lab" == register(small("b"), project="lab", api=server.api).spec.project
    monkeypatch.setenv("JUPYTER_FLOWS_PROJECT", "mine")
    assert "mine" == register(small("c"), api=server.api).spec.project


def test_the_environment_names_what_is_imported(server, tmp_path):
    book = notebook(tmp_path / "a.ipynb", "import pytest, os", "%%task one\nx = pytest.__version__")
    fingerprint = register_notebook(book, api=server.api).spec.fingerprint
    assert {"pytest": pytest.__version__} == dict(fingerprint.distributions)
    assert "python3" == fingerprint.kernel


def test_imports_of_cells_with_magics_are_seen(server, tmp_path):
    """IPython's syntax beside an import hides it from nobody."""
    book = notebook(tmp_path / "a.ipynb", "%matplotlib inline\nimport pytest\n!ls", "%%task one\nx = pytest")
    fingerprint = register_notebook(book, api=server.api).spec.fingerprint
    assert "pytest" in fingerprint.distributions


def test_local_modules_are_warned_of(server, tmp_path):
    """A module beside the notebook is not on another machine; an installed one may be."""
    (tmp_path / "cleaning.py").write_text("x = 1\n")
    book = notebook(tmp_path / "a.ipynb", "import cleaning, pytest", "%%task one\nx = cleaning.x")
    (warning,) = register_notebook(book, api=server.api).warnings
    assert f"module cleaning exists only here ({tmp_path / 'cleaning.py'})" in warning
    assert "--import-path" in warning


def test_a_script_with_a_module_beside_it_is_registered_as_a_pickle_with_a_warning(fresh, tmp_path):
    """The runtime puts the source's directory on the path, so the pickle loads on this machine."""
    (tmp_path / "cleaning.py").write_text("def clean(): return 1\n")
    script = tmp_path / "etl.py"
    script.write_text(
        "from jupyter_flows import Flow, task\nimport cleaning\nwith Flow('etl') as flow:\n    task(cleaning.clean, name='clean')()\n"
    )
    receipt = fresh(script, "--storage", "pickle")
    assert ["cleaning"] == [word.split()[1] for word in receipt["warnings"]]


def test_nothing_is_registered_in_a_headless_run(server, monkeypatch, capsys, book):
    """A notebook may end in flow.register(): run by an agent it says one line and goes on."""
    monkeypatch.setenv("JUPYTER_FLOWS_RUN_ID", "123")
    assert small().register() is None
    assert 1 == len(capsys.readouterr().out.strip().splitlines())
    assert () == server.api.list_flows().flows


def test_parameters_of_a_script_are_sent_with_their_defaults(server):
    with Flow("p") as flow:
        one.copy()
        task(lambda n: n, name="use")(Parameter("n", default=[1, "a"]))
    receipt = register(flow, api=server.api)
    assert [("n", [1, "a"])] == [(spec.name, spec.default) for spec in receipt.spec.parameters]
    assert "sent with their defaults: n=[1, 'a']" in receipt.text


def test_a_flow_of_a_module_is_registered_by_its_dotted_name(server, fresh, tmp_path):
    (tmp_path / "my_flows.py").write_text(SCRIPT)
    receipt = fresh("my_flows:flow", PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path]))
    assert receipt["result"]["created"]


def test_odd_flow_names_are_stored_inside(server):
    """A name is data: the server refuses or keeps it, and storage never leaves its directory."""
    root = server.settings.storage_path
    for name in ("../up", "/abs", "x" * 150, "🦆", "a/b"):
        try:
            ref = register(small(name), api=server.api).spec.storage
        except FlowsError as error:
            assert "\n" not in str(error)
        else:
            assert Path(ref.location).resolve().is_relative_to(root.resolve())


PROGRAM = """
import helper_beside
from jupyter_flows import Flow, task
@task
def load():
    return helper_beside.VALUE
with Flow("etl") as flow:
    load()
if __name__ == "__main__":
    import sys
    print(flow.register(storage=sys.argv[1] if len(sys.argv) > 1 else None).to_json().decode())
"""


@pytest.mark.parametrize("storage", [None, "script"])
def test_a_script_that_registers_itself_is_known_by_its_file(server, home, tmp_path, storage):
    """Its directory is where runs begin, so a module beside it is found; its text can be the storage."""
    (tmp_path / "helper_beside.py").write_text("VALUE = 1\n")
    script = tmp_path / "etl.py"
    script.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, str(script), *([storage] if storage else [])],
        env={**os.environ, "JUPYTER_FLOWS_HOME": str(home.home)},
        cwd="/", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (flow,) = server.api.list_flows().flows
    ref = server.api.get_flow(flow.name).version.spec.storage
    assert str(script) == ref.options["source"]
    assert (storage == "script") is bool(ref.options.get("stored_as_script"))
    assert "helper_beside exists only here" in done.stdout


def test_a_flow_of_functions_in_a_notebook_runs_where_the_notebook_is(server, book, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", str(book))
    ref = register(small(), api=server.api).spec.storage
    assert ("local", str(book)) == (ref.kind, ref.options["source"])
    with pytest.raises(InvalidOption, match="came from no script"):
        register(small(), storage="script", api=server.api)


class Editing:
    """The real API; between the look at the file and the look at its code, somebody saves the file."""

    def __init__(self, api, path: Path, text: str) -> None:
        self._api, self._path, self._text = api, path, text
        self.url = api.url

    def get_flow(self, flow, **options):
        self._path.write_text(self._text)
        return self._api.get_flow(flow, **options)

    def list_flows(self, **options):
        return self._api.list_flows(**options)

    def register_flow(self, request):
        return self._api.register_flow(request)


def test_a_file_saved_meanwhile_is_not_registered_with_the_graph_of_before(server, untouched, book, script):
    """Graph and code are of one moment."""
    edited = book.read_text().replace("area(3)", "area(4)")
    with pytest.raises(NotebookNotSaved, match=r"book\.ipynb was saved while it was being registered"):
        register_notebook(book, api=Editing(server.api, book, edited))
    with pytest.raises(NotebookNotSaved, match=r"etl\.py was saved while it was being registered"):
        register_script(script, api=Editing(server.api, script, SCRIPT.replace("n * 2", "n * 3")))


def test_a_file_saved_meanwhile_without_a_change_of_code_is_registered(server, book):
    """An autosave of outputs is none."""
    edited = book.read_text().replace(
        '"outputs": []', '"outputs": [{"output_type": "stream", "name": "stdout", "text": "x"}]'
    )
    assert register_notebook(book, api=Editing(server.api, book, edited)).created


# -- registering again -----------------------------------------------------------------------------------


def test_a_schedule_that_was_given_is_kept_until_it_is_dropped(server, book):
    """Whoever registers again from JupyterLab cannot give it again, and must not lose it."""
    register_notebook(book, schedule="every 20 minutes", api=server.api)
    book.write_text(book.read_text().replace("factor = 2", "factor = 3"))
    kept = register_notebook(book, api=server.api)
    assert (2, 1) == (kept.version, len(kept.spec.schedules))
    assert "kept from version 1, for which it was given; --schedule none drops it" in kept.text
    assert not register_notebook(book, api=server.api).created
    dropped = register_notebook(book, schedule="none", api=server.api)
    assert (3, ()) == (dropped.version, dropped.spec.schedules)
    assert 0 == dropped.result.moved_runs, "its runs were withdrawn, not moved"
    assert () == server.api.list_runs(flow=dropped.flow_name, state="Scheduled").runs


def test_a_schedule_of_the_flow_itself_goes_with_it(server):
    """What the flow no longer says is no longer so."""
    flow = small()
    flow.schedule = parse_schedule("every 1 hour")
    register(flow, api=server.api)
    flow.schedule = None
    assert () == register(flow, api=server.api).spec.schedules


def test_another_notebook_of_the_same_name_is_told(server, book, tmp_path):
    register_notebook(book, name="etl", api=server.api)
    other = tmp_path / "copy" / book.name
    other.parent.mkdir()
    other.write_text(book.read_text())
    receipt = register_notebook(other, name="etl", api=server.api)
    assert [f"version 1 came from {book}, this one from {other}"] == [
        warning.partition(";")[0] for warning in receipt.warnings
    ]


def test_a_cell_that_is_no_python_is_told(server, book):
    book.write_text(book.read_text().replace("x = area(3)", "x = = 3"))
    (warning,) = register_notebook(book, api=server.api).warnings
    assert "cannot be read as Python" in warning
    assert warning.endswith("it will fail when it runs")


def test_an_agent_without_the_kernel_is_told(server, tmp_path):
    server.agent_api.register_agent(
        RegisterAgent(name="lab", labels=(socket.gethostname(),), kernels=("python3",))
    )
    book = notebook(tmp_path / "a.ipynb", "%%task one\nx = 1")
    book.write_text(book.read_text().replace('"python3"', '"julia-1.9"'))
    text = register_notebook(book, api=server.api).text
    assert "but lab has no kernel julia-1.9, so the run would fail there" in text
