"""A notebook that was executed headless, opened in JupyterLab: each cell says how it stood in that run."""

from __future__ import annotations

import os
import subprocess
import sys

import nbformat
from playwright.sync_api import Page, expect

from tests.browser.way import SLOW_MS, close_dialog, command, open_notebook

CELLS = (
    "import time",
    "%%task load\nrows = [3, 1, 2]",
    "%%task total --cache-for 1d\ntotal = sum(rows)\nprint(total)",
    "%%task many --when total>100\nprint('many')",
    "%%task tenth --retries 1 --retry-delay 100ms\nwrong = rows[10]",
    "%%task report\nprint(wrong)",
)


def execute(lab, *arguments: str) -> int:
    """Run ``jupyter flows execute`` in the shown directory."""
    env = {**os.environ, "JUPYTER_FLOWS_HOME": str(lab.home)}
    done = subprocess.run(
        [sys.executable, "-m", "jupyter_flows", "execute", *arguments],
        cwd=lab.root,
        env=env,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode in {0, 1}, done.stderr
    return done.returncode


def line(page: Page, name: str):
    """What stands above the cell of a task."""
    return page.locator(f".jp-Cell .jp-FlowsBadge[aria-label^='Task {name}:']")


def dark(page: Page, *, is_on: bool) -> None:
    theme = "JupyterLab Dark" if is_on else "JupyterLab Light"
    page.evaluate(f"window.jupyterapp.commands.execute('apputils:change-theme', {{theme: '{theme}'}})")
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", "false" if is_on else "true")
    expect(page.locator("#jupyterlab-splash")).to_have_count(0)


def test_each_cell_says_how_it_stood_in_its_run(page: Page, lab, look):
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(error.stack))
    name = lab.write("told.ipynb", *CELLS)
    assert 0 == execute(lab, name, "made.ipynb", "--only", "total")
    assert 1 == execute(lab, name, "again.ipynb")
    assert 1 == execute(lab, name, "more.ipynb", "--resume", "again.ipynb")
    nbformat.validate(nbformat.read(lab.root / "more.ipynb", nbformat.NO_CONVERT))

    open_notebook(page, lab, "more.ipynb")
    load = line(page, "load")
    expect(load).to_contain_text("Success")
    expect(load).to_contain_text("restored from again.ipynb")
    expect(line(page, "total")).to_contain_text("Cached")
    expect(line(page, "total")).to_contain_text("from cache, run made.ipynb")
    expect(line(page, "many")).to_contain_text("the condition of many (--when) is false")
    failed = line(page, "tenth")
    expect(failed).to_have_attribute("data-family", "failed")
    expect(failed).to_contain_text("2 attempts")
    expect(failed).to_contain_text("IndexError in cell tenth, line 2")
    expect(line(page, "report")).to_contain_text("TriggerFailed")
    expect(page.locator(".jp-Dialog, .Toastify__toast")).to_have_count(0)
    # The notebook that was executed says only the name of its kernel, as one written by a program does.
    assert page.evaluate("window.jupyterapp.shell.currentWidget.context.isReady")
    assert not page.evaluate("window.jupyterapp.shell.currentWidget.context.model.dirty")
    expect(page.locator(".jp-mod-current.jp-mod-dirty")).to_have_count(0)
    look("executed-light")
    dark(page, is_on=True)
    look("executed-dark")
    dark(page, is_on=False)

    kept = lab.root / ".more.ipynb.checkpoint"
    kept.rename(lab.root / "put-away")
    failed.get_by_role("button", name="Debug").click()
    expect(page.locator(".jp-Dialog")).to_contain_text("The run cannot be debugged", timeout=SLOW_MS)
    expect(page.locator(".jp-Dialog")).to_contain_text("the checkpoint of that run is not there")
    close_dialog(page, "Close")
    (lab.root / "put-away").rename(kept)

    failed.get_by_role("button", name="Debug").click()
    note = page.locator(".Toastify__toast").filter(has_text="The kernel is as before tenth")
    expect(note).to_contain_text("it has rows, total", timeout=SLOW_MS)
    expect(page.locator(".Toastify__toast")).to_have_count(1)
    look("debugged")
    active = page.locator(".jp-Notebook .jp-mod-active")
    expect(active).to_contain_text("wrong = rows[10]")
    active.locator(".cm-content").click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text("%%task tenth\nwrong = rows[1] + total")
    page.keyboard.press("Control+Enter")
    expect(active.locator(".jp-FlowsBadge")).to_contain_text("Success", timeout=SLOW_MS)
    expect(active.locator(".jp-OutputArea-output")).to_have_count(0)
    look("debugged-and-mended")

    # What is run by hand is no longer of that run.
    page.locator(".jp-CodeCell").nth(0).locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".jp-CodeCell").nth(0).locator(".jp-FlowsBadge")).to_have_count(0, timeout=SLOW_MS)
    expect(line(page, "many")).to_be_visible()
    command(page, "docmanager:save")
    expect(page.locator(".jp-NotebookPanel .jp-mod-dirty")).to_have_count(0)
    assert errors == []
