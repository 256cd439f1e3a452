"""A person's whole way: open a notebook, run it, register it, run it headless, look at what came out."""

from __future__ import annotations

from playwright.sync_api import Page, expect

IDLE = """() => {
  const app = window.jupyterapp;
  const panel = app?.commands.hasCommand('runmenu:run-all') && app.shell.currentWidget;
  return panel && panel.sessionContext?.session?.kernel?.status === 'idle' && !panel.sessionContext.isRestarting;
}"""
SLOW_MS = 60_000


def open_notebook(page: Page, lab, name: str) -> None:
    page.goto(lab.address(lab.copy(name)))
    page.wait_for_function(IDLE, timeout=SLOW_MS)


def test_from_a_notebook_to_its_headless_run(page: Page, lab, look):
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    open_notebook(page, lab, "quickstart.ipynb")

    page.evaluate("window.jupyterapp.commands.execute('runmenu:run-all')")
    graph = page.locator(".jp-Notebook .jp-FlowsDag").first
    cards = graph.locator(".jp-FlowsDag-node")
    expect(cards).to_have_count(3, timeout=SLOW_MS)
    expect(graph.locator(".jp-FlowsDag-edge")).to_have_count(3)
    look("notebook-graph")

    page.get_by_role("button", name="Register", exact=True).click()
    save = page.get_by_role("button", name="Save and register")
    expect(save.or_(page.locator(".jp-FlowsReceipt"))).to_be_visible(timeout=SLOW_MS)
    if save.is_visible():
        save.click()
    receipt = page.locator(".jp-FlowsReceipt pre")
    expect(receipt).to_contain_text("quickstart", timeout=SLOW_MS)
    look("receipt")
    page.locator(".jp-Dialog").get_by_role("button", name="Open Flows").click()

    row = page.locator(".jp-FlowsPanel-flow[data-flow=quickstart]")
    expect(row).to_be_visible()
    expect(page.locator(".jp-FlowsPanel-agents")).to_contain_text("idle")
    look("panel")
    row.get_by_role("button", name="Run quickstart now").click()
    run = row.locator(".jp-FlowsStrip-run").first
    run.click()

    run_page = page.locator(".jp-FlowsRun")
    expect(run_page.locator(".jp-FlowsRun-header [data-state=Success]")).to_be_visible(timeout=SLOW_MS)
    expect(run_page.locator(".jp-FlowsDag-node[data-state=Success]")).to_have_count(3)
    expect(run_page.locator(".jp-FlowsRun-tasks tbody tr[data-state=Success]")).to_have_count(3)
    expect(run_page.locator(".jp-FlowsRun-log")).to_contain_text("kernel")
    expect(row.locator(".jp-FlowsStrip-run[data-state=Success]")).to_have_count(1)
    look("run-page")

    run_page.get_by_role("button", name="Open executed notebook").click()
    executed = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    expect(executed.locator(".jp-OutputArea").get_by_text("guest number 23")).to_be_visible(timeout=SLOW_MS)
    look("executed-notebook")
    assert errors == []
