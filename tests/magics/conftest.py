"""A real kernel with the extension, driven as a front end drives it; cells carry ids."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client import KernelManager

LIMIT_S = 60


class Ran:
    """What came of one execution, as the front end saw it."""

    def __init__(self, reply: dict[str, Any], messages: list[dict[str, Any]]) -> None:
        self.reply = reply
        self.messages = messages
        self.status: str = reply["status"]

    def _all(self, kind: str) -> list[dict[str, Any]]:
        return [message["content"] for message in self.messages if message["msg_type"] == kind]

    @property
    def stdout(self) -> str:
        """What was printed."""
        return "".join(item["text"] for item in self._all("stream") if item["name"] == "stdout")

    @property
    def stderr(self) -> str:
        """What was written in red."""
        return "".join(item["text"] for item in self._all("stream") if item["name"] == "stderr")

    @property
    def result(self) -> str | None:
        """The value of the last line, as text."""
        results = self._all("execute_result")
        return results[0]["data"]["text/plain"] if results else None

    @property
    def shown(self) -> list[dict[str, Any]]:
        """MIME bundles that were displayed."""
        return [item["data"] for item in self._all("display_data")]

    @property
    def updates(self) -> list[dict[str, Any]]:
        """MIME bundles that took the place of earlier ones."""
        return [item["data"] for item in self._all("update_display_data")]

    @property
    def errors(self) -> list[dict[str, Any]]:
        """Errors with their tracebacks."""
        return self._all("error")


class Kernel:
    """Executes cells in a kernel of its own."""

    def __init__(self, directory: Path, environ: dict[str, str]) -> None:
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(cwd=str(directory), env=environ)
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=LIMIT_S)

    def run(self, source: str, cell_id: str | None = None) -> Ran:
        """Execute a cell; wait until the kernel has told everything of it."""
        message = self.client.session.msg(
            "execute_request",
            {
                "code": source,
                "silent": False,
                "store_history": True,
                "user_expressions": {},
                "allow_stdin": False,
                "stop_on_error": True,
            },
            metadata={"cellId": cell_id} if cell_id is not None else {},
        )
        self.client.shell_channel.send(message)
        asked = message["header"]["msg_id"]
        messages: list[dict[str, Any]] = []
        while True:
            heard = self.client.get_iopub_msg(timeout=LIMIT_S)
            if heard["parent_header"].get("msg_id") != asked:
                continue
            if heard["msg_type"] == "status" and heard["content"]["execution_state"] == "idle":
                break
            messages.append(heard)
        while True:
            reply = self.client.get_shell_msg(timeout=LIMIT_S)
            if reply["parent_header"].get("msg_id") == asked:
                return Ran(reply["content"], messages)

    def value(self, expression: str) -> Any:
        """Evaluate an expression without leaving a trace of a cell."""
        message = self.client.session.msg(
            "execute_request",
            {
                "code": "",
                "silent": True,
                "store_history": False,
                "user_expressions": {"value": f"__import__('json').dumps({expression})"},
                "allow_stdin": False,
                "stop_on_error": True,
            },
        )
        self.client.shell_channel.send(message)
        while True:
            reply = self.client.get_shell_msg(timeout=LIMIT_S)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                found = reply["content"]["user_expressions"]["value"]
                assert found["status"] == "ok", found
                text: str = found["data"]["text/plain"]
                return json.loads(eval(text))

    def close(self) -> None:
        """Stop it."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()


def start_kernel(directory: Path, home: Path, **environ: str) -> Kernel:
    """Start a kernel whose user has that home and no settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER_FLOWS_")}
    kept.pop("JPY_SESSION_NAME", None)
    return Kernel(
        directory,
        {**kept, "JUPYTER_FLOWS_HOME": str(home), "IPYTHONDIR": str(home / "ipython"), **environ},
    )


@pytest.fixture(scope="module")
def bare_kernel(tmp_path_factory) -> Iterator[Kernel]:
    """One kernel for a module's tests; it has started, nothing is loaded."""
    directory = tmp_path_factory.mktemp("kernel")
    running = start_kernel(directory, directory / "home")
    yield running
    running.close()


@pytest.fixture
def kernel(bare_kernel: Kernel) -> Kernel:
    """A kernel whose namespace is empty, with the extension freshly loaded."""
    bare_kernel.run("%unload_ext jupyter_flows")
    bare_kernel.run("%reset -sf")
    loaded = bare_kernel.run("%load_ext jupyter_flows", "load")
    assert (loaded.status, loaded.stderr) == ("ok", "")
    return bare_kernel
