"""Steps that several tests take."""

from __future__ import annotations

from playwright.sync_api import Page, expect

SLOW_MS = 60_000
_IDLE = """() => {
  const app = window.jupyterapp;
  const panel = app?.commands.hasCommand('runmenu:run-all') && app.shell.currentWidget;
  return panel && panel.sessionContext?.session?.kernel?.status === 'idle';
}"""


def open_notebook(page: Page, lab, name: str) -> None:
    """Open a notebook of the shown directory, and wait for its kernel."""
    page.goto(lab.address(name))
    page.wait_for_function(_IDLE, timeout=SLOW_MS)


def command(page: Page, name: str) -> None:
    """Run one of JupyterLab's commands; it is not waited for."""
    page.evaluate(f"void window.jupyterapp.commands.execute('{name}')")


def press_register(page: Page) -> None:
    """Press Register, and save if asked (JupyterLab itself changes a notebook that it opens first)."""
    page.get_by_role("button", name="Register", exact=True).click()
    dialog = page.locator(".jp-Dialog")
    expect(dialog).to_be_visible(timeout=SLOW_MS)
    save = dialog.get_by_role("button", name="Save and register")
    if save.is_visible():
        save.click()
        expect(save).not_to_be_visible()


def register(page: Page) -> str:
    """Register, and return the receipt."""
    press_register(page)
    receipt = page.locator(".jp-FlowsReceipt table")
    expect(receipt).to_be_visible(timeout=SLOW_MS)
    return receipt.inner_text()


def close_dialog(page: Page, button: str) -> None:
    """Press a button of the dialog."""
    page.locator(".jp-Dialog").get_by_role("button", name=button).click()


def wait_for_run(page: Page, state: str) -> None:
    """Wait until the run whose page is open is in *state*."""
    expect(page.locator(f".jp-FlowsRun-header [data-state={state}]")).to_be_visible(timeout=SLOW_MS)
