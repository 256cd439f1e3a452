"""The panel and a run's page: parameters, pause, cancel, failures, and a server that goes away."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.way import SLOW_MS, close_dialog, command, open_notebook, register, wait_for_run

LOAD = "%load_ext jupyter_flows"


def registered(page: Page, lab, name: str, *cells: str, parameters: str = "", options: str = ""):
    """Register a notebook of these cells as flow *name*; return its row in the panel."""
    notebook = lab.write(f"{name}.ipynb", LOAD, *cells, f"%flow {name} {options}", parameters=parameters)
    open_notebook(page, lab, notebook)
    register(page)
    close_dialog(page, "Open Flows")
    row = page.locator(f".jp-FlowsPanel-flow[data-flow={name}]")
    expect(row).to_be_visible()
    return row


def test_a_run_is_asked_for_with_parameters_and_its_failure_is_told(page: Page, lab, look):
    row = registered(
        page, lab, "divide", "%%task halve\nhalf = 10 / n", "%%task tell\nprint(half)", parameters="n = 2"
    )
    row.get_by_role("button", name="Run divide now").click()
    field = page.locator(".jp-FlowsForm input[name=n]")
    expect(field).to_have_value("2")
    field.fill("two")
    look("parameters")
    close_dialog(page, "Run")
    expect(page.locator(".jp-Dialog")).to_contain_text('n is a number, such as 2; not "two"')
    close_dialog(page, "Close")
    field.fill("0")
    close_dialog(page, "Run")

    row.locator(".jp-FlowsStrip-run").first.click()
    wait_for_run(page, "Failed")
    run_page = page.locator(".jp-FlowsRun")
    expect(run_page.locator(".jp-FlowsRun-facts")).to_contain_text("n=0")
    expect(run_page.locator("tr[data-state=Failed]")).to_contain_text("ZeroDivisionError")
    expect(run_page.locator("tr[data-state=TriggerFailed]")).to_have_count(1)
    page.evaluate("window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", "false")
    run_page.locator(".jp-FlowsDag-node[data-state=Failed]").click()
    expect(run_page.locator(".jp-FlowsDag-detail")).to_contain_text("ZeroDivisionError")
    look("run-failed-dark")
    page.evaluate("window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Light'})")

    # The executed notebook lies where the page does not show it, as it does by default: a copy is made.
    page.route("**/api/contents/flows-home/**", lambda route: route.fulfill(status=404, json={}))
    run_page.get_by_role("button", name="Debug").click()
    note = page.locator(".Toastify__toast").filter(has_text="The kernel is as before halve")
    expect(note).to_be_visible(timeout=SLOW_MS)
    expect(page.locator(".Toastify__toast")).to_have_count(1)
    look("run-debugged")
    active = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-mod-active")
    expect(active).to_contain_text("half = 10 / n")
    active.locator(".cm-content").click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text("print(n, 'is n')")
    page.keyboard.press("Control+Enter")
    expect(active.locator(".jp-OutputArea-output").first).to_have_text("0 is n", timeout=SLOW_MS)
    assert 1 == len(list(lab.root.glob("*.debug.ipynb")))


def test_a_schedule_is_paused_and_resumed(page: Page, lab, look):
    row = registered(page, lab, "nightly", "%%task a\nx = 1", options="--schedule '0 6 * * *'")
    expect(row).to_contain_text("next")
    switch = row.get_by_role("switch")
    expect(switch).to_have_attribute("aria-checked", "true")
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "false")
    expect(row).to_contain_text("paused")
    look("panel-paused")
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "true")
    row.get_by_role("button", name="Explain").click()
    expect(page.locator(".jp-FlowsReceipt")).to_contain_text("storage/nightly/")
    look("explain")
    close_dialog(page, "Close")


def test_a_long_run_is_watched_and_cancelled(page: Page, lab, look):
    row = registered(
        page,
        lab,
        "long",
        "%%task quick\nimport time, jupyter_flows\n"
        "for _ in jupyter_flows.progress(range(10), description='warming up'): time.sleep(0.2)",
        "%%task slow --after quick\nfrom tqdm.auto import tqdm\n"
        "for i in tqdm(range(200)): time.sleep(0.02 if i < 90 else 600)",
        "%%task never --after slow\ny = 1",
    )
    row.get_by_role("button", name="Run long now").click()
    row.locator(".jp-FlowsStrip-run").first.click()
    run_page = page.locator(".jp-FlowsRun")
    expect(run_page.locator(".jp-FlowsDag-node[data-state=Running]")).to_have_count(1, timeout=SLOW_MS)
    expect(page.locator(".jp-FlowsStatus")).to_contain_text("1 flow run")
    bar = run_page.get_by_role("progressbar", name="Progress of quick")
    expect(bar).to_contain_text("warming up")
    look("run-live-progress")

    # How far it is: in the list, on the card, and on the card of a picture in a notebook.
    bar = run_page.get_by_role("progressbar", name="Progress of slow")
    expect(bar).to_contain_text(re.compile(r"4[0-9] % · [89]\d/200"), timeout=SLOW_MS)
    card = run_page.locator(".jp-FlowsDag-node[data-id=slow]")
    expect(card.locator(".jp-FlowsDag-note")).to_contain_text(re.compile(r"4[0-9] %"))
    expect(card.locator(".jp-FlowsDag-part[data-family=running]")).to_have_count(1)
    look("run-live")
    run_page.get_by_role("button", name="Cancel").click()
    wait_for_run(page, "Cancelled")
    expect(run_page.get_by_role("button", name="Retry")).to_be_visible()

    # Another page brings the run back: its address is restored with the layout.
    page.goto(lab.address(reset=False))
    expect(page.locator(".jp-FlowsRun-header [data-state=Cancelled]")).to_be_visible(timeout=SLOW_MS)


def test_a_server_without_our_part_is_told_from_an_empty_one(page: Page, lab, look):
    page.route("**/flows/api/v1/**", lambda route: route.fulfill(status=404, body="<html>"))
    page.goto(lab.address())
    page.wait_for_function("window.jupyterapp?.restored.then(() => true)")
    command(page, "flows:open-panel")
    panel = page.locator(".jp-FlowsPanel")
    expect(panel).to_be_visible()
    expect(panel).to_contain_text("This Jupyter server has no flows part.")
    look("panel-missing")
    page.unroute("**/flows/api/v1/**")
    page.route("**/flows/api/v1/flows?*", lambda route: route.fulfill(json={"flows": [], "next": None}))
    panel.get_by_role("button", name="Try again").click()
    expect(panel).to_contain_text("No flows yet.")
    look("panel-empty")
