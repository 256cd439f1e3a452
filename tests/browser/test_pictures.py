"""Pictures in notebooks follow what runs, lead to cells, and talk to the kernel."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.way import SLOW_MS, command, open_notebook

WIDGET = """
import time
from jupyter_flows import Flow, task
from jupyter_flows.widget import FlowDag

@task
def slow():
    time.sleep(2)
    return 1

@task
def wrong(x):
    return x / 0

@task
def after(y):
    return y

with Flow("api") as flow:
    after(wrong(slow()))
dag = FlowDag(flow)
dag
"""


def test_a_widget_colours_while_the_kernel_runs_and_tells_what_is_selected(page: Page, lab, look):
    open_notebook(
        page,
        lab,
        lab.write("widget.ipynb", WIDGET, "state = flow.run(reporter=dag.reporter())", "dag.selected"),
    )
    command(page, "runmenu:run-all")
    dag = page.locator(".jp-Notebook .jp-FlowsDag")
    card = dag.locator(".jp-FlowsDag-node")
    expect(card).to_have_count(3, timeout=SLOW_MS)
    expect(dag.locator("[data-id=slow-1][data-state=Running]")).to_be_visible(timeout=SLOW_MS)
    expect(dag.locator("[data-id=wrong-1][data-state=Failed]")).to_be_visible(timeout=SLOW_MS)
    expect(dag.locator("[data-id=after-1][data-state=TriggerFailed]")).to_be_visible()
    dag.locator(".jp-FlowsDag-node[data-id=wrong-1]").click()
    expect(dag.locator(".jp-FlowsDag-detail")).to_contain_text("Waits for")
    look("widget")
    page.locator(".jp-CodeCell").nth(2).locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".jp-CodeCell").nth(2).locator(".jp-OutputArea-output")).to_have_text(
        "'wrong-1'", timeout=SLOW_MS
    )


def test_a_picture_follows_its_cells_and_leads_to_them(page: Page, lab, look):
    cells = [
        "%load_ext jupyter_flows",
        "%flow follow",
        "%%task first\nimport time\ntime.sleep(3)\na = 1",
        "%%task second\nb = a",
    ]
    open_notebook(page, lab, lab.write("follow.ipynb", *cells))
    command(page, "runmenu:run-all")
    dag = page.locator(".jp-Notebook .jp-FlowsDag")
    expect(dag.locator("[data-state=Running]")).to_have_count(1, timeout=SLOW_MS)
    look("picture-live")
    expect(dag.locator("[data-state=Success]")).to_have_count(2, timeout=SLOW_MS)
    dag.locator(".jp-FlowsDag-node").first.click()
    page.wait_for_function("window.jupyterapp.shell.currentWidget.content.activeCellIndex === 2")
    dag.get_by_role("button", name="Table").click()
    expect(dag.locator("tbody tr")).to_have_count(2)
    look("picture-table")


def test_a_saved_picture_is_shown_in_a_notebook_that_is_not_trusted(page: Page, lab):
    name = lab.write("saved.ipynb", "%load_ext jupyter_flows", "%%task only\nx = 1", "%flow saved")
    import nbformat
    from nbformat import v4

    path = lab.root / name
    notebook = nbformat.read(path, 4)
    data = {
        "application/vnd.jupyter-flows.dag+json": {
            "nodes": [{"id": "only", "name": "<b>only</b>", "role": "task"}],
            "edges": [{"from": "only", "to": "nowhere"}],
            "states": {"only": {"state": "Success"}},
            "title": "saved",
        },
        "text/plain": "Flow saved: 1 task",
    }
    notebook.cells[2].outputs = [v4.new_output("display_data", data=data)]
    nbformat.write(notebook, path)
    open_notebook(page, lab, name)
    card = page.locator(".jp-Notebook .jp-FlowsDag-node")
    expect(card).to_have_attribute("data-state", "Success")
    expect(card.locator(".jp-FlowsDag-name")).to_have_text("<b>only</b>")
