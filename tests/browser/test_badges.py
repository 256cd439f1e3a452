"""Badges on cells in a real JupyterLab: states, what an edit makes stale, a page loaded again, a kernel restarted."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.way import SLOW_MS, command, open_notebook

CELLS = (
    "%load_ext jupyter_flows",
    "%%task load\nrows = [3, 1, 2]",
    "%%task clean\nrows = sorted(rows)",
    "%%task count --not-after clean\nn = len(rows)",
    "%%task odd\nexec(open('made.py').read())",
    "%flow badges",
)
_EDIT = """([index, text]) => {
  const notebook = window.jupyterapp.shell.currentWidget.content;
  notebook.widgets[index].model.sharedModel.setSource(text);
}"""
_RUN = """index => {
  const notebook = window.jupyterapp.shell.currentWidget.content;
  notebook.deselectAll();
  notebook.activeCellIndex = index;
  void window.jupyterapp.commands.execute('notebook:run-cell');
}"""


def badge(page: Page, name: str):
    """The badge of a task's cell, by what a screen reader says of it."""
    return page.locator(f".jp-Cell .jp-FlowsBadge[aria-label^='Task {name}:']")


def test_cells_say_how_they_stand(page: Page, lab, look):
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    (lab.root / "made.py").write_text("made = 1")
    name = lab.write("badges.ipynb", *CELLS)
    open_notebook(page, lab, name)
    command(page, "runmenu:run-all")
    expect(page.locator(".jp-FlowsBadge[data-state=Success]")).to_have_count(4, timeout=SLOW_MS)
    expect(badge(page, "count")).to_contain_text("does not wait for cell 3 (--not-after)")
    expect(badge(page, "odd")).to_contain_text("barrier: runs code that is only known when it runs")
    expect(page.locator(".jp-FlowsDag-edge[data-kind=denied]")).to_have_count(1)
    expect(page.locator(".jp-FlowsDag-node[data-id=odd] .jp-FlowsDag-barrier")).to_have_count(2)
    look("badges")

    # An edit that is neither run nor saved: badge and picture know it, and what is below.
    page.evaluate(_EDIT, [1, "%%task load\nrows = [3, 1, 2, 0]"])
    expect(badge(page, "load")).to_contain_text("stale")
    expect(badge(page, "clean")).to_contain_text("load changed after it last ran")
    expect(page.locator(".jp-FlowsDag-node[data-family=stale][data-id=clean]")).to_have_count(1)
    look("badges-stale")
    page.evaluate(_EDIT, [1, "%%task load\nrows = [3, 1, 2]"])
    expect(page.locator(".jp-FlowsBadge[data-family=stale]")).to_have_count(0)

    page.evaluate(_EDIT, [1, "%%task load\nrows = [3, 1, 2, 0]"])
    page.evaluate(_RUN, 1)
    expect(badge(page, "clean")).to_contain_text("load ran after clean last ran")
    expect(badge(page, "load")).to_contain_text("Success")
    page.evaluate(_EDIT, [5, "%flow run --stale"])
    page.evaluate(_RUN, 5)
    expect(page.locator(".jp-FlowsBadge[data-state=Success][data-family=success]")).to_have_count(4)
    expect(page.locator(".jp-OutputArea").get_by_text("nothing is stale")).to_be_visible()

    # A badge can be reached and read without a mouse.
    badge(page, "load").focus()
    expect(badge(page, "load")).to_be_focused()
    expect(badge(page, "load")).to_have_attribute("role", "note")

    command(page, "docmanager:save")
    expect(page.locator(".jp-NotebookPanel .jp-mod-dirty")).to_have_count(0)
    open_notebook(page, lab, name)
    expect(page.locator(".jp-FlowsBadge[data-state=Success]")).to_have_count(4, timeout=SLOW_MS)

    page.evaluate("void window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()")
    expect(page.locator(".jp-FlowsBadge")).to_have_count(0, timeout=SLOW_MS)
    assert errors == []
