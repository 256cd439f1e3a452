"""A person's whole way: open a notebook, run it, register it, run it headless, look at what came out."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.way import (
    SLOW_MS,
    close_dialog,
    command,
    open_notebook,
    press_register,
    register,
    wait_for_run,
)


def test_from_a_notebook_to_its_headless_run(page: Page, lab, look):
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    open_notebook(page, lab, lab.copy("quickstart.ipynb"))

    command(page, "runmenu:run-all")
    graph = page.locator(".jp-Notebook .jp-FlowsDag")
    expect(graph.locator(".jp-FlowsDag-node[data-state=Success]")).to_have_count(3, timeout=SLOW_MS)
    expect(graph.locator(".jp-FlowsDag-edge")).to_have_count(3)
    look("notebook-graph")

    assert "quickstart  (version 1)" in register(page)
    look("receipt")
    close_dialog(page, "Open Flows")

    row = page.locator(".jp-FlowsPanel-flow[data-flow=quickstart]")
    expect(row).to_be_visible()
    expect(page.locator(".jp-FlowsPanel-agents")).to_contain_text("idle")
    look("panel")
    row.get_by_role("button", name="Run quickstart now").click()
    row.locator(".jp-FlowsStrip-run").first.click()

    wait_for_run(page, "Success")
    run_page = page.locator(".jp-FlowsRun")
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


def test_a_notebook_that_was_registered_unchanged_stays_at_its_version(page: Page, lab):
    open_notebook(
        page, lab, lab.write("same.ipynb", "%load_ext jupyter_flows", "%%task a\nx = 1", "%flow same")
    )
    command(page, "runmenu:run-all")
    expect(page.locator(".jp-Notebook .jp-FlowsDag-node[data-state=Success]")).to_have_count(
        1, timeout=SLOW_MS
    )
    register(page)
    close_dialog(page, "Close")
    register(page)
    expect(page.get_by_text("same is unchanged: version 1 stays")).to_be_visible()


def test_what_cannot_be_registered_is_refused_in_one_sentence(page: Page, lab, look):
    open_notebook(
        page,
        lab,
        lab.write(
            "broken.ipynb",
            "%load_ext jupyter_flows",
            "%%task a\nx = 1",
            "%flow broken --schedule 'every blue moon'",
        ),
    )
    press_register(page)
    dialog = page.locator(".jp-Dialog")
    expect(dialog).to_contain_text("The notebook was not registered", timeout=SLOW_MS)
    look("refusal")
    said = dialog.locator(".jp-Dialog-body").inner_text().strip()
    assert "blue moon" in said
    assert "Traceback" not in said
    assert "\n" not in said
