"""Real parts for every suite: a home of its own, and a stand-alone server with SQLite in a thread."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jupyter_flows.settings import Settings, load_settings

if TYPE_CHECKING:
    from tests.typist import Typist

# A shell starts what stands before "&" with SIGINT ignored; tests that interrupt would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch):
    """What the person running the tests has set does not reach them."""
    for name in list(os.environ):
        if name.startswith("JUPYTER_FLOWS_"):
            monkeypatch.delenv(name)


@pytest.fixture
def home(tmp_path: Path, monkeypatch) -> Settings:
    """Settings whose home is empty and of this test alone; the environment names it too."""
    directory = tmp_path / "home"
    monkeypatch.setenv("JUPYTER_FLOWS_HOME", str(directory))
    return replace(load_settings({"JUPYTER_FLOWS_HOME": str(directory)}), kill_grace_s=1.0, long_poll_s=5.0)


class ServerInThread:
    """A stand-alone server, and the two ways to talk to it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.start()

    def start(self) -> None:
        """Start (again): the same home, another port."""
        from jupyter_flows.client import connect
        from jupyter_flows.server.standalone import start_server_thread

        self.running = start_server_thread(self.settings, port=0)
        self.url = self.running.url
        self.api = connect(self.settings)
        self.agent_api = connect(self.settings, role="agent")

    @property
    def agent_token(self) -> str:
        """The token of this home's agents."""
        return (self.settings.home / "tokens" / "agent.token").read_text("ascii").strip()

    def stop(self) -> None:
        """Stop; a second time does nothing."""
        self.api.close()
        self.agent_api.close()
        self.running.stop()


@pytest.fixture
def server(home: Settings):
    """A running server with the home's defaults."""
    running = ServerInThread(home)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def typist() -> Iterator[Typist]:
    """Types ``jupyter flows`` without starting Python anew each time."""
    from tests.typist import hired

    with hired() as one:
        yield one
